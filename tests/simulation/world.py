"""A whole network in one process, in virtual time, from one seed: members, liars, mishaps, clients, and the checker.

A run has three parts. For some twenty seconds of virtual time clients submit events while the mishaps of the plan come
over the members and the liars lie. Then the faults end: the wires are fine, every honest machine runs, the liars fall
silent or mend their ways. In the end all honest members must converge within the time that the longest pauses of the
software need. The checker looks at every message and every durable write; the first violation ends the run.
"""

import asyncio
import hashlib
import logging
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

import httpx
import structlog
from byzantine import Liar, draw_manners, keys_of
from checker import Checker, ViolationError
from governors import Act, Governors, draw_acts
from loop import InlineExecutor, InlineWriter, run
from node_helpers import NOW_MS, Paper, Party, parties, receipt, share, tokens_json
from wires import Weather, Wires

from ledger.network import Network
from ledger.store.gate import State
from ledger.store.memory import Cell, Fault, MemoryDisk, MemoryStore
from ledger.store.protocol import Batch
from ledger.versions import verify_chain
from node.app import create_app
from node.config import Home, make_settings
from node.foundation import Foundation
from node.keys import KeyRing
from node.service import Node

PATIENCE_SECONDS = 1.0  # of a node for a part of an answer
SETTLE_SECONDS_MAX = 150.0  # pauses between tries grow up to 15 seconds, rounds of comparing heads up to 30
SKEW_MS_MAX = 20_000  # clocks may differ by a minute

COUNTS = (4, 7, 10)  # members that a network begins with
SETTINGS = {"confirm_timeout_ms": 1_500, "peer_timeout_ms": int(PATIENCE_SECONDS * 1000)}


@dataclass(frozen=True)
class Mishap:
    """Something that befalls the network or one member at a moment of virtual time."""

    at: float
    kind: str
    who: str = ""
    lasts: float = 0.0
    what: Any = None


@dataclass(frozen=True)
class Plan:
    """Everything that a seed decides beforehand."""

    seed: int
    count: int
    liars: tuple[str, ...]
    forgetful: tuple[str, ...]
    weather: Weather
    mishaps: tuple[Mishap, ...]
    calm_at: float
    theme: str = (
        ""  # what the run is about: "forgetful", "governed", or what its liars are made of; else chance decides
    )
    newcomers: tuple[str, ...] = ()  # who will join
    acts: tuple[Act, ...] = ()  # what the governors will decide
    rulings: bool = False  # whether they readmit a log that has lied
    answers: str = "2f"  # how many must tell what they remember before a node speaks again after a start

    @classmethod
    def of(cls, seed: int, count: int | None = None, theme: str = "") -> "Plan":
        random = Random(f"plan {seed}")
        count = count or random.choice([4] * 14 + [7] * 5 + [10])
        names = [party.name for party in parties(count)]
        governed = theme == "governed" or (theme != "forgetful" and random.random() < 0.5)
        joining = random.choice([0, 0, 1, 3] if count < max(COUNTS) else [0, 1]) if governed else 0
        newcomers = [f"d{count + number}" for number in range(joining)]
        faulty = random.sample(names, (count - 1) // 3)
        if governed and random.random() < 0.3:
            faulty = faulty[1:]
        faulty += random.sample(newcomers, (count + joining - 1) // 3 - (count - 1) // 3)
        faults = len(faulty)
        honest_faults = random.choice(
            [0, 0, 0, 1, faults] if faults > 1 else [0, 0, 1]
        )  # of the f, so many lose their disk instead of lying
        if theme not in ("", "governed"):
            honest_faults = {"forgetful": faults, "silent": 0}.get(theme, faults // 2)
        forgetful, liars = faulty[:honest_faults], faulty[honest_faults:]
        weather = random.choice(
            [
                Weather(),
                Weather(loss=0.02, twice=0.05, late=0.05),
                Weather(delay_s=0.05, loss=0.1, twice=0.1, late=0.2, late_s=4.0),
                Weather(delay_s=0.3, late=0.3),
            ]
        )
        calm_at = random.uniform(12.0, 25.0)
        everybody = names + newcomers
        upright = [name for name in everybody if name not in liars]
        mishaps = [_draw_mishap(random, calm_at, everybody, upright) for _ in range(random.randrange(9))]
        for name in forgetful:
            for _ in range(random.choice([1, 1, 2])):
                at = random.uniform(2.0, calm_at)
                mishaps.append(Mishap(at, "amnesia", name, random.uniform(0.0, 4.0), random.choice(["old", "empty"])))
        mishaps.sort(key=lambda one: one.at)
        acts = draw_acts(random, names, faulty, newcomers, calm_at) if governed else []
        return cls(
            seed, count, tuple(liars), tuple(forgetful), weather, tuple(mishaps), calm_at, theme,
            newcomers=tuple(newcomers), acts=tuple(acts), rulings=governed and random.random() < 0.8,
            answers=random.choice(["2f", "2f"] if liars else ["2f", "2f+1", "all"]),
        )  # fmt: skip


def _draw_mishap(random: Random, calm_at: float, names: list[str], upright: list[str]) -> Mishap:
    at, lasts, who = random.uniform(0.5, calm_at), random.expovariate(1 / 4.0), random.choice(upright)
    kind = random.choice(["partition", "cut", "slow", "crash", "crash", "torn", "torn", "failure", "clock"])
    what: Any = None
    if kind == "partition":
        what = frozenset(random.sample(names, random.randrange(1, len(names))))
    elif kind == "cut":
        what = tuple(random.sample(names, 2))
    elif kind == "slow":
        what = random.choice([10, 50])
    elif kind == "torn":
        what = random.choice(["before", "after"])
    elif kind == "failure":
        what = random.choice(list(Fault))
    elif kind == "clock":
        what = random.randrange(-10_000, 10_000)
    return Mishap(at, kind, who, lasts, what)


class SkewedClock:
    """A clock that goes wrong by a constant, and too fast or too slow."""

    def __init__(self, offset_ms: int, drift: float) -> None:
        self.offset_ms = offset_ms
        self._drift = drift

    def now_ms(self) -> int:
        try:
            now = asyncio.get_running_loop().time()
        except RuntimeError:
            now = 0.0
        return NOW_MS + self.offset_ms + int(now * 1000 * (1 + self._drift))


class WatchedDisk(MemoryDisk):
    """A disk whose every durable write somebody sees, and in whose next write the machine may die."""

    def __init__(self, wrote: Callable[[Mapping[bytes, bytes | None]], None], died: Callable[[], None]) -> None:
        super().__init__()
        self.wrote = wrote
        self.died = died
        self.doom: str | None = None

    def open(self) -> MemoryStore:
        assert self.cells is not None
        assert self.owner is None
        self.owner = _WatchedStore(self)
        return self.owner


class _WatchedStore(MemoryStore):
    def __init__(self, disk: WatchedDisk) -> None:
        super().__init__(disk)
        self._watched = disk

    def write(self, batch: Batch) -> None:
        doom, self._watched.doom = self._watched.doom, None
        if doom == "before":
            self._watched.died()
        super().write(batch)
        if doom == "after":
            self._watched.died()

    def _sync(self, fresh: dict[bytes, Cell | None]) -> None:
        super()._sync(fresh)
        self._watched.wrote({key: None if cell is None else cell.value for key, cell in fresh.items()})


@dataclass(frozen=True)
class Backup:
    """A copy of a disk, of the head file if there was one, and of the network document."""

    cells: dict[bytes, Cell]
    head: bytes | None
    network: bytes


class Site:
    """One machine with the real software on it: it starts, dies, and starts again on what its disk has kept."""

    def __init__(self, world: "World", party: Party, *, watched: bool = True, folder: str = "") -> None:
        self.world = world
        self.party = party
        skew_ms = world.random.choice([500, 500, 500, SKEW_MS_MAX // 2])  # a node that restarts refuses those behind it
        self.clock = SkewedClock(world.random.randrange(-skew_ms, skew_ms), world.random.uniform(-1e-4, 1e-4))
        wrote = self._wrote if watched else lambda _fresh: None
        self.disk = WatchedDisk(wrote, self._died)
        self.folder = world.folder / (folder or party.name)
        self.reach: Callable[[str], bool] = lambda _name: True
        self.answers_needed: int | None = None
        self.node: Node | None = None
        self.starts = 0
        self.down = asyncio.Lock()  # while it is being stopped or started
        self._app: httpx.ASGITransport | None = None
        self._tasks: set[asyncio.Task[httpx.Response]] = set()
        self.old: Backup | None = None

    @property
    def home(self) -> Home:
        values = {"origin": self.party.origin, "fingerprint": self.world.law.fingerprint, **SETTINGS}
        values |= {
            "recovery_answers": self.world.plan.answers,
            "checkpoint_interval_ms": 100 * self.world.plan.count,
            "pull_interval_ms": 600 * self.world.plan.count,
        }
        home = Home(self.folder, make_settings(values, "simulation"))
        if not home.tokens.exists():
            self.folder.mkdir(parents=True)
            home.tokens.touch(mode=0o600)
            home.tokens.write_text(tokens_json({"test": (self.party.token, "admin")}))
        return home

    async def start(self) -> None:
        """Start the software; nothing happens when it runs."""
        async with self.down:
            if self.node is not None:
                return
            self.starts += 1
            number = self.starts
            self.node = node = Node(
                self._foundation(),
                clock=self.clock,
                store=self.disk.create() if self.disk.cells is None else self.disk.open(),
                transport_to=lambda member: _Out(self, httpx.URL(member.url).host.partition(".")[0], number),
                writer=InlineWriter,
                pool=InlineExecutor(),
                random=Random(f"node {self.world.plan.seed} {self.folder.name} {number}").randbytes,
            )
            if self.answers_needed is not None:
                node.recovery.progress.needed = self.answers_needed
            self._app = httpx.ASGITransport(create_app(node))
            await node.start()

    def _foundation(self) -> Foundation:
        """What the node finds in its folder; a new one is given the newest network document."""
        home, document = self.home, self.world.law.document
        if home.network.exists():
            document = home.network.read_bytes()
        else:
            home.network.write_bytes(document)
        network = _verified(document, self.world.law.fingerprint)
        return Foundation(home, network, document, KeyRing.of(*keys_of(self.party)))

    async def crash(self) -> None:
        """Die at once: whatever is under way is lost, and nothing more reaches the disk."""
        async with self.down:
            node, self.node, self._app = self.node, None, None
            if node is None:
                return
            if (store := self.disk.owner) is not None:
                store._gate.state = State.CLOSED
                self.disk.owner = None
            node.writer._closing = True
            node.writer._waiting.clear()
            tasks, self._tasks = self._tasks, set()
            for task in sorted(tasks, key=lambda task: int(task.get_name())):
                task.cancel()
            await node.stop()

    def is_up(self, number: int) -> bool:
        return self.node is not None and self.starts == number

    async def serve(self, source: str, request: httpx.Request) -> httpx.Response:
        """Answer a request, unless the machine dies over it."""
        del source
        number, app = self.starts, self._app
        if app is None:
            raise httpx.ConnectError("the machine is down", request=request)
        copy = httpx.Request(request.method, request.url, headers=request.headers, content=request.content)
        task = asyncio.create_task(_answer(app, copy), name=str(self.world.number()))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.wait([task])
        if task.cancelled() or not self.is_up(number):
            raise httpx.ReadError("the machine died", request=request)
        return task.result()

    async def ask(
        self, method: str, path: str, json: Any = None, content: bytes | None = None
    ) -> httpx.Response | None:
        """Ask as the department's own client; None when the node is down or dies."""
        headers = {"Authorization": f"Bearer {self.party.token}"}
        request = httpx.Request(method, self.party.url + path, headers=headers, json=json, content=content)
        try:
            return await self.serve("", request)
        except httpx.TransportError:
            return None

    def alarms(self) -> list[str]:
        """What the node raises an alarm about: origins of logs, and parts of its own."""
        return list(self.node.alarms) if self.node is not None else []

    def snapshot(self) -> None:
        """Make a copy of the disk, for a restore later."""
        if self.disk.cells is not None:
            head, network = self.home.head, self.home.network
            self.old = Backup(dict(self.disk.cells), head.read_bytes() if head.exists() else None, network.read_bytes())

    def lose(self, what: str, *, head_too: bool) -> None:
        """Replace the disk of a machine that is down by the old copy, or an empty one."""
        old = self.old if what == "old" else None
        self.disk.cells = None if old is None else dict(old.cells)
        if old is not None:
            self.home.network.write_bytes(old.network)
        else:
            self.home.network.unlink(missing_ok=True)
        if head_too:
            self.home.head.unlink(missing_ok=True)
            if old is not None and old.head is not None:
                self.home.head.write_bytes(old.head)

    def _wrote(self, fresh: Mapping[bytes, bytes | None]) -> None:
        self.world.check(lambda: self.world.checker.wrote(self.party.origin, fresh.items()))

    def _died(self) -> None:
        """The power goes, here and now, in the middle of a write."""
        assert self.disk.owner is not None
        self.disk.owner._gate.state = State.CLOSED
        self.disk.owner = None
        self.starts += 1  # nothing of this process leaves the machine any more
        self.world.spawn(self._torn())
        raise _PowerCutError

    async def _torn(self) -> None:
        await self.crash()
        await asyncio.sleep(1.0)
        await self.start()


class _PowerCutError(Exception):
    """Nobody sees it: the process is gone."""


class _Out(httpx.AsyncBaseTransport):
    """The way out of one process of a site."""

    def __init__(self, site: Site, target: str, number: int) -> None:
        self._site = site
        self._target = target
        self._number = number
        self._line = site.world.wires.to(site.party.name, target)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._site.starts != self._number or not self._site.reach(self._target):
            raise httpx.ConnectError("no way out", request=request)
        return await self._line.handle_async_request(request)


async def _answer(app: httpx.ASGITransport, request: httpx.Request) -> httpx.Response:
    response = await app.handle_async_request(request)
    await response.aread()
    return response


@dataclass
class Outcome:
    """What a run has come to."""

    digest: str
    messages: int
    checks: int
    events: int
    seconds: float  # of virtual time
    lies: int  # logs that have shown honest members two histories
    proofs: int  # that honest nodes have against them
    saw: dict[str, int]  # what befell it, how often
    problem: str | None


@dataclass
class World:
    """One run."""

    plan: Plan
    folder: Path
    tell: Callable[[str], None] | None = None
    random: Random = field(init=False)
    sites: dict[str, Site] = field(default_factory=dict)  # of honest members
    liars: dict[str, Liar] = field(default_factory=dict)

    def __post_init__(self) -> None:
        seed = self.plan.seed
        self.random = Random(f"world {seed}")
        self.parties = {party.name: party for party in parties(self.plan.count)}
        self.governors = Governors(self, self.plan.acts, rules=self.plan.rulings)
        everybody = [*self.parties.values(), *map(Party, self.plan.newcomers)]
        honest = frozenset(party.origin for party in everybody if party.name not in self.plan.liars)
        self.checker = Checker(self.law.document, honest)
        self.wires = Wires(Random(f"wires {seed}"), self._watch, PATIENCE_SECONDS, self.plan.weather, tell=self.say)
        self.problem: str | None = None
        self.events = 0
        self.proofs = 0
        self.calm = False
        self.saw: Counter[str] = Counter()
        self._numbers = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._shares: list[tuple[Party, dict[str, Any]]] = []  # to whom, and the entry
        self._answers: dict[str, dict[str, Any]] = {}

    @property
    def law(self) -> Paper:
        """The network document that the governors have issued last."""
        return self.governors.law

    # Watching.

    def say(self, what: str) -> None:
        if self.tell is not None:
            self.tell(f"{asyncio.get_running_loop().time():9.4f}  {what}")

    def check(self, look: Callable[[], None]) -> None:
        """Look whether all is well; the first violation is what the run comes to."""
        if self.problem is not None:
            return
        try:
            look()
        except ViolationError as error:
            self.problem = str(error)
            self.say(f"VIOLATION: {error}")
        except Exception as error:  # noqa: BLE001 - nodes survive whatever comes out of a wire or a disk
            self.problem = f"the checker itself has failed: {error!r}\n{''.join(traceback.format_exception(error))}"

    def _watch(self, source: str, target: str, path: str, asked: bytes, status: int | None, body: bytes) -> None:
        del source
        if status is None:
            self.check(lambda: self.checker.request(path, asked))
        else:
            origin = self.parties[target].origin
            self.check(lambda: self.checker.answer(origin, path, asked, status, body))

    def number(self) -> int:
        self._numbers += 1
        return self._numbers

    def spawn(self, work: Any) -> "asyncio.Task[None]":
        task: asyncio.Task[None] = asyncio.create_task(work, name=str(self.number()))
        self._tasks.append(task)
        return task

    # Running.

    async def live(self) -> Outcome:
        """Run from the beginning to the end."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._unhandled)
        self._say_plan()
        for name in self.parties:
            self._settle_in(name)
        for name in list(self.parties):
            await asyncio.sleep(self.random.random() * 0.5)
            await self._start(name)
        self._govern = asyncio.create_task(self.governors.run(), name="the governors")
        for mishap in self.plan.mishaps:
            self.spawn(self._suffer(mishap))
        await self._until(self.plan.calm_at)
        if self.problem is None:
            await self._calm_down()
        if self.problem is None:
            await self._settle()
        self.saw.update({f"document: {kind}": count for kind, count in self.governors.done.items()})
        self.saw.update(f"liar: {liar.manners.body}" for liar in self.liars.values())
        seconds = loop.time()
        lies = sum(self.checker.lied(log) for log in self.checker.members)
        self._govern.cancel()
        self._tasks.append(self._govern)
        await self._stop()
        return Outcome(
            self.wires.digest,
            self.wires.messages,
            self.checker.checks,
            self.events,
            seconds,
            lies,
            self.proofs,
            dict(sorted(self.saw.items())),
            self.problem,
        )

    def _settle_in(self, name: str) -> None:
        """Give a member its machine, or its liar."""
        party = self.parties[name]
        if name in self.plan.liars:
            liar = Liar(self, party, draw_manners(Random(f"manners {self.plan.seed} {name}"), self.plan.theme))
            self.liars[name] = liar
            self.wires.servers[name] = liar.serve
            self.say(f"{name} lies: {liar.manners}")
        else:
            site = self.sites[name] = Site(self, party)
            self.wires.servers[name] = site.serve

    async def _start(self, name: str) -> None:
        if name in self.liars:
            await self.liars[name].start()
        else:
            await self.sites[name].start()
            self.spawn(self._clerk(self.sites[name]))

    async def arrive(self, name: str, after: float) -> None:
        """A member that has joined starts its node."""
        self._settle_in(name)
        await asyncio.sleep(after)
        await self._start(name)
        for liar in self.liars.values():
            liar.hear_of_member(self.parties[name])

    async def _until(self, moment: float) -> None:
        loop = asyncio.get_running_loop()
        while loop.time() < moment and self.problem is None:
            await asyncio.sleep(min(0.25, max(moment - loop.time(), 0.001)))
            self._look_for_failures()

    def _look_for_failures(self) -> None:
        for task in (self._govern, *self._tasks):
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                raise error
        self._tasks = [task for task in self._tasks if not task.done()]

    async def _calm_down(self) -> None:
        self.say("the faults end")
        self.calm = True
        self.wires.heal()
        for liar in self.liars.values():
            await liar.retire()
        for site in self.sites.values():
            site.disk.doom = None
            site.disk._faults.clear()
            await site.start()
        for site in self.sites.values():
            self.spawn(self._last_event(site)).set_name(f"the last event of {site.party.name}")

    async def _settle(self) -> None:
        """Wait until nothing differs any more, then look whether all is as it must be in the end."""
        loop = asyncio.get_running_loop()
        end = loop.time() + SETTLE_SECONDS_MAX
        waits: str = "nobody has looked"
        proven: dict[str, list[str]] | None = None
        while waits and self.problem is None and loop.time() < max(end, self.governors.last_at + SETTLE_SECONDS_MAX):
            version = self.law.network.version
            await self._until(loop.time() + 1.0)
            waits = self.governors.pending or self.checker.settled()
            waits = waits or next((f"{task.get_name()} is not done" for task in self._tasks), "")
            if not waits:
                proven = await self.proven()
                waits = self.checker.unproven(proven) if proven is not None else ""
                waits = waits or self.checker.settled()  # asking took a moment, and somebody may have grown
            if not waits and self.law.network.version != version:
                waits = "there is a newer network document"
        if self.problem is None and waits:
            self.problem = f"the honest members have not converged: {waits}"
        self.say("the end")
        accused = {site.party.origin: site.alarms() for site in self.sites.values()}
        self.check(lambda: self.checker.ended(accused, proven))
        for name, alarms in accused.items():
            for alarm in alarms:
                if alarm.startswith("service ") and self.problem is None:
                    self.problem = f"{name}: {alarm} has ended"

    async def proven(self) -> dict[str, list[str]] | None:
        """Against which logs each honest node has a proof; None where nodes do not keep any."""
        proven: dict[str, list[str]] = {}
        for site in self.sites.values():
            answer = await site.ask("GET", "/v1/equivocations")
            if answer is None or answer.status_code == 404:
                return None
            proven[site.party.origin] = [one["log"] for one in answer.json()["equivocations"]]
        self.proofs = sum(map(len, proven.values()))
        return proven

    async def _stop(self) -> None:
        self.wires.servers.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for liar in self.liars.values():
            await liar.stop()
        for site in self.sites.values():
            await site.crash()

    def _unhandled(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        del loop
        if self.problem is None and not isinstance(context.get("exception"), httpx.TransportError):
            self.problem = f"nobody handled {context.get('exception')!r}: {context.get('message')}"

    def _say_plan(self) -> None:
        plan = self.plan
        self.say(f"seed {plan.seed}: {plan.count} members, liars {plan.liars}, forgetful {plan.forgetful}")
        self.say(f"{plan.weather}")
        for act in plan.acts:
            self.say(f"to come: {act}")
        for mishap in plan.mishaps:
            self.say(f"to come: {mishap}")

    # Mishaps.

    async def _suffer(self, mishap: Mishap) -> None:
        if mishap.kind == "amnesia" and mishap.what == "old":
            await asyncio.sleep(mishap.at * Random(f"{mishap}").random())
            if mishap.who in self.sites:
                self.sites[mishap.who].snapshot()
        await asyncio.sleep(max(0.0, mishap.at - asyncio.get_running_loop().time()))
        if self.calm or (mishap.who and mishap.who not in self.sites):
            return
        self.say(
            f"{mishap.kind} {mishap.who} {mishap.what if mishap.what is not None else ''} for {mishap.lasts:.1f} s"
        )
        self.saw[mishap.kind if mishap.kind != "amnesia" else f"{mishap.what} disk"] += 1
        await getattr(self, f"_{mishap.kind}")(mishap)

    async def _partition(self, mishap: Mishap) -> None:
        self.wires.groups.append(mishap.what)
        await asyncio.sleep(mishap.lasts)
        if mishap.what in self.wires.groups:
            self.wires.groups.remove(mishap.what)

    async def _cut(self, mishap: Mishap) -> None:
        self.wires.cuts.add(mishap.what)
        await asyncio.sleep(mishap.lasts)
        self.wires.cuts.discard(mishap.what)

    async def _slow(self, mishap: Mishap) -> None:
        self.wires.slow[mishap.who] = mishap.what
        await asyncio.sleep(mishap.lasts)
        self.wires.slow.pop(mishap.who, None)

    async def _crash(self, mishap: Mishap) -> None:
        await self.sites[mishap.who].crash()
        await asyncio.sleep(mishap.lasts)
        await self.sites[mishap.who].start()

    async def _torn(self, mishap: Mishap) -> None:
        self.sites[mishap.who].disk.doom = mishap.what

    async def _failure(self, mishap: Mishap) -> None:
        disk = self.sites[mishap.who].disk
        disk.fail_write(disk.writes + 1, mishap.what)

    async def _clock(self, mishap: Mishap) -> None:
        clock = self.sites[mishap.who].clock
        clock.offset_ms = max(-SKEW_MS_MAX, min(SKEW_MS_MAX, clock.offset_ms + mishap.what))

    async def _amnesia(self, mishap: Mishap) -> None:
        site = self.sites[mishap.who]
        await site.crash()
        async with site.down:
            site.lose(mishap.what, head_too=self.random.random() < 0.7)
            pairs = [(key, cell.value) for key, cell in (site.disk.cells or {}).items()]
            self.check(lambda: self.checker.replaced(site.party.origin, pairs))
        for liar in self.liars.values():
            liar.hear_of_loss(site.party.name)
        await asyncio.sleep(mishap.lasts)
        await site.start()

    # Clients.

    async def _clerk(self, site: Site) -> None:
        """Submit events at one department until the faults end; what has no answer is submitted again."""
        random = Random(f"clerk {self.plan.seed} {site.party.name}")
        pause = random.choice([0.3, 1.0, 3.0]) * self.plan.count / 4
        while not self.calm:
            await asyncio.sleep(random.expovariate(1 / pause))
            event = self._draw_event(site.party, random)
            await self._submit(site, event, wait=random.choice(["recorded", "recorded", "confirmed"]))
            if random.random() < 0.1:
                await self._submit(site, event, wait="recorded")

    async def _last_event(self, site: Site) -> None:
        """After the faults have ended everybody must be able to record something."""
        event: dict[str, Any] = {}
        while True:
            active = [party for party in self.parties.values() if party.origin in self.checker.law.voters]
            if event.get("consumer") not in self.checker.law.voters:
                event = share(self.number() + 10**6, next(party for party in active if party is not site.party))
            await self._submit(site, event, wait="recorded")
            if event["id"] in self._answers or self.checker.excused(site.party.origin):
                return
            if site.party not in active and not self.governors.pending:
                return
            await asyncio.sleep(0.5)

    def _draw_event(self, party: Party, random: Random) -> dict[str, Any]:
        to_me = [entry for consumer, entry in self._shares if consumer is party]
        number = self.number() + 10**6
        if to_me and random.random() < 0.4:
            return receipt(number, random.choice(to_me))
        other = random.choice([one for one in self.parties.values() if one is not party])
        return share(number, other, records=[hashlib.sha256(str(number).encode()).hexdigest()[:32]])

    async def _submit(self, site: Site, event: dict[str, Any], *, wait: str) -> None:
        for _ in range(20):
            answer = await site.ask("POST", f"/v1/events?wait={wait}", event)
            if answer is not None and answer.status_code not in (503, 201):
                return  # a receipt for what is not known there, or is answered already
            if answer is not None and answer.status_code == 201:
                self._take_answer(site, event, answer.json())
                return
            await asyncio.sleep(1.0)
            if self.calm:
                return

    def _take_answer(self, site: Site, event: dict[str, Any], told: dict[str, Any]) -> None:
        entry = told["entry"]
        self.check(
            lambda: self.checker.answered(
                site.party.origin, told["event_id"], entry, confirmed=told["state"] == "confirmed"
            )
        )
        before = self._answers.setdefault(event["id"], entry)
        if before != entry and self.checker.trusted(site.party.origin):
            self.problem = self.problem or f"{event['id']} is {before} first, then {entry}"
        if event["type"] == "share" and before is entry:
            self.events += 1
            self._shares.append((self._party_of(event["consumer"]), entry))

    def _party_of(self, origin: str) -> Party:
        return self.parties[origin.partition(".")[0]]


@lru_cache(maxsize=64)
def _verified(document: bytes, fingerprint: str) -> Network:
    return verify_chain(document, fingerprint)


def simulate(plan: Plan, folder: Path, *, tell: Callable[[str], None] | None = None) -> Outcome:
    """Run one plan."""
    before = structlog.get_config()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if tell else logging.CRITICAL),
        processors=[_line(tell)],
        cache_logger_on_first_use=False,
    )
    try:
        return run(_live(plan, folder, tell), Random(f"threads {plan.seed}"))
    finally:
        structlog.configure(**before)


async def _live(plan: Plan, folder: Path, tell: Callable[[str], None] | None) -> Outcome:
    return await World(plan, folder, tell).live()


def _line(tell: Callable[[str], None] | None) -> Any:
    def process(_logger: Any, level: str, event: dict[str, Any]) -> Any:
        if tell is None:
            raise structlog.DropEvent
        try:
            now = asyncio.get_running_loop().time()
        except RuntimeError:
            now = 0.0
        words = " ".join(f"{name}={value}" for name, value in event.items() if name != "event")
        tell(f"{now:9.4f}    {level}: {event['event']}  {words}")
        raise structlog.DropEvent

    return process
