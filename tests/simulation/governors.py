"""The governors: they draw up the versions of the network document, sign them, and hand them in at one or more nodes.

They are careful as the documentation tells them to be (protocol sections 7.7, 8.3 and 8.4): before a member is
suspended they wait until all others act under the version in force; a document enters where its predecessor is in
force, for nobody asks a member who does not count; a log key ends where its log has announced it, in an entry that will
not be lost; a log is readmitted when all honest members hold the proof against it, and with a history above which
nothing can be confirmed any more, whoever of the liars adds his signature.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Any

from byzantine import keys_of
from node_helpers import Party, entry_of, event_id, paper, parties

from ledger.encoding import encode_base64

if TYPE_CHECKING:
    from checker import History
    from world import Site, World

LOOK_SECONDS = 0.25  # between two looks at what there is to do
TRIES_MAX = 80  # of what a member must do first, after the faults have ended
ROLES = ("cosigner", "transport")


@dataclass(frozen=True)
class Act:
    """Something that the governors will decide at a moment of virtual time, and where the document enters."""

    at: float
    kind: str  # join, suspend, resume, rules, cosigner, transport, log key, log key named
    who: tuple[str, ...] = ()
    start: int = 0  # of a log key that is announced
    entry: int = 0  # where it is


def draw_acts(random: Random, names: list[str], faulty: list[str], newcomers: list[str], calm_at: float) -> list[Act]:
    """Draw what the governors will decide, so that never more than f of those who count are ``faulty``."""
    moments = sorted(random.uniform(1.0, calm_at) for _ in range(random.choice([1, 2, 3, 4])))
    active, out, acts = list(names), "", list[Act]()
    if newcomers:
        acts.append(Act(moments[0], "join", tuple(newcomers)))
        active += newcomers
        moments = moments[1:]
    for at in moments:
        kind = random.choice(["suspend", "suspend", "rules", "cosigner", "transport", "log key", "log key"])
        upright = [name for name in names if name not in faulty]
        if kind == "suspend" and not out:
            allowed = [one for one in active if len({*active} & {*faulty} - {one}) <= (len(active) - 2) // 3]
            if allowed:
                out = random.choice(allowed)
                acts.append(Act(at, "suspend", (out,)))
                if random.random() < 0.8:
                    acts.append(Act(at + random.expovariate(1 / 4.0), "resume", (out,)))
        elif kind in ROLES:
            acts.append(Act(at, kind, (random.choice(names),)))
        elif kind == "log key" and upright:
            acts.append(Act(at, kind, (random.choice(upright),)))
        else:
            acts.append(Act(at, "rules"))
    return sorted(acts, key=lambda act: act.at)


class Governors:
    """Those who sign the network document of one world."""

    def __init__(self, world: "World", acts: tuple[Act, ...], *, rules: bool) -> None:
        """Carry out ``acts``; decide about logs that have lied as well, if this world's governors do so (``rules``)."""
        self._world = world
        self._random = Random(f"governors {world.plan.seed}")
        self._entries = {party.name: entry_of(party) for party in parties(world.plan.count)}
        self._pending = list(acts)
        self._rules = rules
        self._tries: Counter[str] = Counter()
        self._rotated: Counter[tuple[str, str]] = Counter()
        self._announcing: dict[str, dict[str, Any]] = {}  # the next log key, by name: asked for, not answered
        self._table = 2025
        self.law = paper(list(self._entries.values()), rules=f"cn-{self._table}")
        self.done: Counter[str] = Counter()  # by kind
        self.last_at = 0.0

    @property
    def pending(self) -> str:
        """What is still to be decided; nothing in the end."""
        return ", ".join(act.kind for act in self._pending)

    async def run(self) -> None:
        """Decide what is due, until everything is decided and no log lies any more."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self._decide()

    async def _decide(self) -> None:
        """Take one step: at most one version."""
        now = asyncio.get_running_loop().time()
        for act in [act for act in self._pending if act.at <= now or self._world.calm]:
            self._pending.remove(act)
            if again := await self._take(act):
                self._pending.insert(0, again)
            else:
                return
        if self._rules:
            await self._judge()

    async def _take(self, act: Act) -> Act | None:
        """Carry out an act; return what remains to be tried later."""
        kind, world = act.kind, self._world
        if kind == "suspend" and world.checker.lagging():
            return act
        if kind == "resume" and self._entries[act.who[0]]["status"] == "active":
            return act  # it is still to be suspended
        if kind in ("log key", "log key named"):
            return await self._log_key(act)
        if kind == "join":
            for name in act.who:
                party = Party(name)
                self._entries[name] = entry_of(party)
                world.parties[name] = party
            self._issue(kind)
            for name in act.who:
                world.spawn(world.arrive(name, self._random.expovariate(1 / 2.0)))
            return None
        if kind in ("suspend", "resume"):
            [name] = act.who
            self._entries[name]["status"] = "suspended" if kind == "suspend" else "active"
            self._issue(kind)
            return None
        if kind in ROLES:
            [name] = act.who
            self._rotated[name, kind] += 1
            keys = keys_of(world.parties[name])
            self._entries[name][kind] = getattr(keys[self._rotated[name, kind] % len(keys)], kind).verifier.vkey
        self._issue(kind)
        return None

    async def _log_key(self, act: Act) -> Act | None:
        """Have a log announce its next key; name it when the announcement is confirmed."""
        [name] = act.who
        self._tries[name] += self._world.calm
        site = self._world.sites.get(name)
        if site is None or self._tries[name] > TRIES_MAX or (key := self._next_key(name)) is None:
            return None
        if act.kind == "log key":
            named_first = any(one.kind == "log key named" and one.who == act.who for one in self._pending)
            return act if named_first else await self._announced(act, site, key)
        if act.start <= self._entries[name]["log_keys"][-1]["from"]:
            return None  # the governors have readmitted the log meanwhile, with that key
        checker, log = self._world.checker, site.party.origin
        confirmed = checker.confirmed.get(log)
        stored = checker.disks[log].copies[log].history
        if confirmed is not None and confirmed.size > act.entry:
            stored = confirmed
        elif name in self._world.plan.forgetful and not self._world.calm:
            return act  # it may be lost yet
        if stored.size <= act.entry or key.encode() not in stored.at(act.entry + 1).entry:
            return None  # lost with a disk: nobody was promised anything
        self._end_key(name, key, act.start)
        self._issue("log key")
        return None

    async def _announced(self, act: Act, site: "Site", key: str) -> Act:
        if site.node is None:
            return act
        begun = self._announcing.get(act.who[0])  # without an answer: it may be recorded
        promise, size = site.node.state.rotation, site.node.state.size
        start = (
            promise.start if promise is not None and promise.start > size else size + self._random.choice([1, 2, 2, 4])
        )
        start = start if begun is None else begun["from"]
        name = event_id(self._world.number() + 4 * 10**6)
        event = begun or {"type": "key.rotate", "id": name, "role": "log", "key": key, "from": start}
        self._announcing[act.who[0]] = event
        answer = await site.ask("POST", "/v1/keys", event)
        if answer is not None and answer.status_code < 500:
            del self._announcing[act.who[0]]
        if answer is None or answer.status_code != 201:
            return act
        now, entry = asyncio.get_running_loop().time(), answer.json()["entry"]["index"]
        return replace(act, kind="log key named", at=now + self._random.expovariate(1.0), start=start, entry=entry)

    def _next_key(self, name: str) -> str | None:
        """The log key that a member has not used yet."""
        used = {span["key"] for span in self._entries[name]["log_keys"]}
        left = [keys.log.verifier.vkey for keys in keys_of(self._world.parties[name])]
        return next((key for key in left if key not in used), None)

    def _end_key(self, name: str, key: str, start: int) -> None:
        *former, last = self._entries[name]["log_keys"]
        self._entries[name]["log_keys"] = [*former, {**last, "until": start}, {"key": key, "from": start}]

    # Rulings.

    async def _judge(self) -> None:
        """Readmit a log that has lied, when all honest members know."""
        checker = self._world.checker
        accused = [log for log in sorted(checker.members) if log not in checker.ruled and checker.lied(log)]
        if not accused or (proven := await self._world.proven()) is None:
            return
        for log in accused:
            if all(log in proven.get(member, ()) for member in checker.active) and self._rule(log):
                return

    def _rule(self, log: str) -> bool:
        checker = self._world.checker
        name = log.partition(".")[0]
        least = checker.confirmable(log)
        histories = [checker.disks[member].copies[log].history for member in checker.active]
        fit = [one for one in histories if one.size and one.follows(least)]
        start = self._entries[name]["log_keys"][-1]["from"]
        key = self._next_key(name)
        if not fit or key is None:
            return False
        history: History = self._random.choice(fit)
        size = self._random.choice([history.size, max(least.size, start + 1, 1)])
        if not max(least.size, start + 1) <= size <= history.size:
            return False
        self._discipline(name)
        self._end_key(name, key, size)
        self._entries[name]["readmitted"] = {"size": size, "root": encode_base64(history.at(size).root)}
        self._issue("ruling")
        return True

    def _discipline(self, name: str) -> None:
        """Who has lied goes on as before, or has seen to it that it does not happen again."""
        liar = self._world.liars.get(name)
        if liar is None or liar.retired:
            return
        if self._random.random() < 0.5:
            self._world.spawn(liar.retire())
        else:
            self._world.checker.relapsed.add(liar.party.origin)

    # Issuing.

    def _issue(self, kind: str) -> None:
        before = [name for name, site in self._world.sites.items() if site.party.origin in self._world.checker.active]
        if kind == "rules":
            self._table += 1
        self.law = self.law.next(list(self._entries.values()), rules=f"cn-{self._table}")
        self.done[kind] += 1
        self.last_at = asyncio.get_running_loop().time()
        world = self._world
        world.say(f"version {self.law.network.version} of the network document: {kind}")
        world.check(lambda: world.checker.issued(self.law.document))
        for liar in world.liars.values():
            liar.hear_of_law()
        for name in self._random.sample(before, self._random.choice([1, 1, 2, len(before)])):
            world.spawn(self._hand_in(name, self.law.document))

    async def _hand_in(self, name: str, document: bytes) -> None:
        """Hand a document in; again and again where it may be lost with a disk before anybody else has it."""
        await asyncio.sleep(self._random.expovariate(1.0))
        while True:
            answer = await self._world.sites[name].ask("POST", "/v1/network", content=document)
            safe = name not in self._world.plan.forgetful or self._world.calm
            if answer is not None and answer.status_code == 200 and safe:
                return
            await asyncio.sleep(1.0)
