"""Real nodes under load, parted, killed, wiped, put back from old copies, and healed: what sections 7.5 and 9.1 of the
protocol promise, and nothing weaker.

- Everything answered ``confirmed`` is there. Everything answered ``recorded`` is there too, but for what a lost disk
  alone held.
- No log has two histories, whatever was signed and by whom: every head that was ever on a wire or in a head file is one
  of the final history's (tests/hearing.py). Without a quorum nothing is confirmed.
- All nodes hold the same entries, byte for byte, and tell the same of every record: what was posted.

Where two members lose their memory at once, more than f = 1, all nodes have ``recovery_answers = "all"``: the default,
``2f``, is for one. A node is killed at any moment but one: while its newest signed checkpoint lies on its own disk
alone. What becomes of it then is a claim of its own.
"""

import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from departments import free_ports
from field import Copy, Field, until
from hearing import Hearing
from load import Load, Loss
from proxies import Wires
from traces import check_trace, told

from ledger.checkpoint import parse_checkpoint_text
from ledger.entry import open_chain, parse_entry, verify_entries
from ledger.note import parse_note

NAMES = ("police", "tax", "court", "health")
SETTINGS = {
    "checkpoint_interval_ms": 200,
    "confirm_timeout_ms": 1500,
    "pull_interval_ms": 500,
    "peer_timeout_ms": 1500,
    "recovery_answers": "all",
}
SAMPLES = 12
ROUNDS = int(os.environ.get("SUYUAN_SOAK_ROUNDS", "5"))  # of a soak


@dataclass(frozen=True, kw_only=True)
class Round:
    """What goes wrong together."""

    apart: tuple[str, ...]  # parted from the others
    one_way: bool = False  # those apart hear nothing of the others; what they say arrives
    wiped: str | None = None
    wiped_head: str = "gone"  # "gone" or "kept"
    restored: str | None = None
    restored_head: str = "kept"  # "kept", "old" (as in the copy), "gone"
    clean_copy: bool = False  # of a stopped node; else of a killed one
    seconds: float = 2.5  # between two things

    @property
    def lost(self) -> list[str]:
        return [name for name in (self.wiped, self.restored) if name is not None]

    @property
    def survivors(self) -> list[str]:
        return [name for name in NAMES if name not in self.lost]

    @property
    def stuck(self) -> list[str]:
        """Those whose logs nobody can confirm meanwhile: no part has three of the four, or the one apart is alone."""
        return list(NAMES if len(self.apart) == 2 else self.apart)


@dataclass
class Ground:
    """The nodes, the wires between them, what goes over those, and the load."""

    field: Field
    wires: Wires
    hearing: Hearing
    load: Load

    async def work(self, seconds: float) -> None:
        """Let everything run for a while."""
        await asyncio.sleep(seconds)
        self.load.check()


@asynccontextmanager
async def ground(folder: Path, chance: random.Random, **settings: Any) -> AsyncIterator[Ground]:
    public = dict(zip(NAMES, free_ports(len(NAMES)), strict=True))
    hearing = Hearing()
    field = Field(folder, NAMES, settings={**SETTINGS, **settings}, public_ports=public)
    wires = Wires(hearing, {field.origin_of(name): (public[name], field.places[name].port) for name in NAMES})
    async with field, wires:
        await field.start_all()
        async with Load(field.clients, field.origin_of, chance) as load:
            yield Ground(field, wires, hearing, load)


def say(words: str) -> None:
    sys.stdout.write(f"  {words}\n")


async def play(ground: Ground, plan: Round) -> None:
    """Let one round of faults happen under load, and heal; return when all nodes write again."""
    field = ground.field
    copied = await take_copy(ground, plan.restored, clean=plan.clean_copy) if plan.restored is not None else None
    await ground.work(plan.seconds)
    part(ground, plan)
    await ground.work(max(plan.seconds, 1))
    confirmed = await confirmed_sizes(field, plan, NAMES)
    for name in plan.lost:
        await kill_while_it_is_known(ground, name, plan)
    if plan.wiped is not None:
        await field.wipe(plan.wiped, head_too=plan.wiped_head == "gone")
        await note_loss(ground, plan.wiped, 0, plan)
    if plan.restored is not None and copied is not None:
        await field.restore(plan.restored, copied.copy, head=plan.restored_head)
        await note_loss(ground, plan.restored, copied.answers, plan)
    async with asyncio.TaskGroup() as group:
        for name in plan.lost:
            group.create_task(back(ground, plan, name))
        await asyncio.gather(*map(field.wait_answering, plan.lost))
        await ground.work(plan.seconds / 2)
        now = await confirmed_sizes(field, plan, plan.survivors)
        assert all(now[origin] <= size for origin, size in confirmed.items()), "confirmed without a quorum"
        await heal(ground, plan)


async def back(ground: Ground, plan: Round, name: str) -> None:
    """Start a node that has lost its disk, and tell when it writes again."""
    what = "wiped" if name == plan.wiped else "put back from a copy"
    ground.field.start(name)
    took = await ground.field.wait_ready(name)
    when = "while the network was parted" if ground.wires.parted else "after the healing"
    say(f"{name}, {what}: writes again {when}, {took:.1f} s after its start")


async def heal(ground: Ground, plan: Round) -> None:
    """Mend the wires; return when all that was recorded meanwhile is confirmed everywhere."""
    field, loop = ground.field, asyncio.get_running_loop()
    goals = {field.origin_of(name): (await field.logs(name))[field.origin_of(name)]["size"] for name in plan.survivors}
    began = loop.time()
    ground.wires.mend()
    await confirmed_everywhere(ground, goals)
    say(f"all that was recorded apart is confirmed on every node {loop.time() - began:.1f} s after the healing")


def part(ground: Ground, plan: Round) -> None:
    apart = [ground.field.origin_of(name) for name in NAMES if name in plan.apart]
    others = [ground.field.origin_of(name) for name in NAMES if name not in plan.apart]
    if plan.one_way:
        ground.wires.cut(others, apart)
    else:
        ground.wires.part(apart, others)


@dataclass(frozen=True)
class Copied:
    """A copy of a disk, and how many answers there were when it was made."""

    copy: Copy
    answers: int


async def take_copy(ground: Ground, name: str, *, clean: bool) -> Copied:
    field = ground.field
    await (field.stop(name) if clean else field.kill(name))
    copied = Copied(await field.copy(name), len(ground.load.answers))
    field.start(name)
    say(f"{name} was {'stopped' if clean else 'killed'} and copied; writes again after "
        f"{await field.wait_ready(name):.1f} s")  # fmt: skip
    return copied


async def kill_while_it_is_known(ground: Ground, name: str, plan: Round) -> None:
    """Kill a node at a moment when the entries below all that it has signed are on another disk as well."""
    field = ground.field

    async def frozen_in_time() -> bool:
        field.freeze(name)
        if await most_copied(field, name, plan.survivors) >= signed_size(ground, name):
            return True
        field.thaw(name)
        return False

    await until(frozen_in_time)
    await field.kill(name)


def signed_size(ground: Ground, name: str) -> int:
    """How much a node has signed, by its head file."""
    head = ground.field.places[name].home.head.read_bytes()
    ground.hearing.note(head)
    return parse_checkpoint_text(parse_note(head).text).size


async def most_copied(field: Field, name: str, others: list[str]) -> int:
    """How many entries of a log are on the disks of others."""
    told = await asyncio.gather(*map(field.logs, others))
    return max(int(one[field.origin_of(name)]["size"]) for one in told)


async def note_loss(ground: Ground, name: str, since: int, plan: Round) -> None:
    """Note what may be lost: all that nobody has copied; with ``2f``, not asking all, all that is not signed."""
    size = await most_copied(ground.field, name, plan.survivors)
    if ground.field.own_settings.get(name, {}).get("recovery_answers") == "2f":
        size = min(size, signed_size(ground, name))
    ground.load.losses.append(Loss(ground.field.origin_of(name), since, len(ground.load.answers), size))


async def confirmed_sizes(field: Field, plan: Round, asked: Iterable[str]) -> dict[str, int]:
    """How much of the logs that are stuck is confirmed, as those who are asked know."""
    told = await asyncio.gather(*map(field.logs, asked))
    origins = map(field.origin_of, plan.stuck)
    return {origin: max(int(one[origin]["confirmed_size"]) for one in told) for origin in origins}


async def confirmed_everywhere(ground: Ground, goals: dict[str, int]) -> None:
    """Return when every node knows that so many entries of each log are confirmed."""
    for name in NAMES:

        async def knows(name: str = name) -> bool:
            logs = await ground.field.logs(name)
            return all(logs[origin]["confirmed_size"] >= size for origin, size in goals.items())

        await until(knows)


async def settle(ground: Ground) -> None:
    """Tell all stories to their end, and return when all is confirmed everywhere."""
    await check_sound(ground)
    await ground.load.stop()
    goals = {ground.field.origin_of(name): 0 for name in NAMES}
    for name in NAMES:
        for origin, log in (await ground.field.logs(name)).items():
            goals[origin] = max(goals[origin], log["size"])
    await confirmed_everywhere(ground, goals)


async def check_all(ground: Ground, chance: random.Random) -> None:
    """Check everything that the protocol promises."""
    field, load = ground.field, ground.load
    await check_sound(ground)
    histories = {field.origin_of(name): await the_same_everywhere(field, field.origin_of(name)) for name in NAMES}
    lost = check_answers(load, histories)
    check_chains(field, histories)
    heads, cosignatures = ground.hearing.judge(field.network(), histories)
    assert heads > len(NAMES)
    await check_traces(ground, chance)
    say(
        f"{sum(map(len, histories.values()))} entries, {len(load.answers)} answers, {heads} signed heads, "
        f"{cosignatures} cosignatures, {len(load.stories)} stories; {lost} recorded events lay on a lost disk alone; "
        f"{load.refused} requests refused meanwhile, {ground.wires.held} held on the wires"
    )


async def check_sound(ground: Ground) -> None:
    """Check that no node has raised an alarm, or does not write."""
    for client in ground.field.clients.values():
        health = (await client.get("/v1/health")).json()
        assert health["status"] == "ok", health


async def the_same_everywhere(field: Field, origin: str) -> list[bytes]:
    first, *others = await asyncio.gather(*(field.entries(name, origin) for name in NAMES))
    assert first
    assert all(other == first for other in others), origin
    return first


def check_chains(field: Field, histories: dict[str, list[bytes]]) -> None:
    network = field.network()
    for origin, raws in histories.items():
        start = open_chain(origin, network.text.encode())
        entries, _ = verify_entries(start, raws, key_at=network.member(origin).log_key_at)
        ids = [entry.event["id"] for entry in entries]
        assert len(set(ids)) == len(ids), f"an event is twice in {origin}"


def check_answers(load: Load, histories: dict[str, list[bytes]]) -> int:
    """Check that every answer stands that must; return how many events were lost."""
    places = {
        (entry.ref.log, entry.event["id"]): entry.ref.model_dump()
        for raws in histories.values()
        for entry in map(parse_entry, raws)
    }
    for answer in load.durable():
        assert places.get((answer.entry["log"], answer.event_id)) == answer.entry, answer
    return sum(places.get((one.entry["log"], one.event_id)) != one.entry for one in load.answers)


async def check_traces(ground: Ground, chance: random.Random) -> None:
    """Check some stories, and some shares that nobody has answered, against what was posted."""
    field, load = ground.field, ground.load
    stories = chance.sample(load.stories, min(SAMPLES, len(load.stories)))
    assert stories
    for story in stories:
        for trace in await traces(field, story.reference):
            check_trace(trace, story.hops, field.origin_of)
    durable = [answer.event_id for answer in load.durable() if answer.event_id in load.singles]
    for single in (load.singles[name] for name in chance.sample(durable, SAMPLES)):
        first, *others = await traces(field, single.reference)
        assert [(hop["from"], hop["to"], hop["receipt"]) for hop in first["hops"]] == [
            (*map(field.origin_of, single.hops[0][:2]), None)
        ]
        assert all(told(other) == told(first) for other in others)


async def traces(field: Field, reference: str) -> list[dict[str, Any]]:
    answers = await asyncio.gather(*(field.clients[name].get(f"/v1/records/{reference}/trace") for name in NAMES))
    assert all(answer.status_code == httpx.codes.OK for answer in answers), [answer.text for answer in answers]
    return [answer.json() for answer in answers]


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_parted_network_that_loses_two_disks_heals_without_a_fork_or_a_loss(tmp_path: Path) -> None:
    chance = random.Random(1)
    async with ground(tmp_path, chance) as here:
        await play(here, Round(apart=("police", "tax"), wiped="tax", restored="court"))
        await here.work(1)
        await settle(here)
        await check_all(here, chance)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_node_that_has_lost_what_it_alone_had_signed_is_silent_until_it_is_found(tmp_path: Path) -> None:
    chance = random.Random(2)
    alone = Round(apart=("health",), wiped="health", wiped_head="kept")
    async with ground(tmp_path, chance) as here:
        field = here.field
        await here.work(1)
        part(here, alone)
        await here.work(1)  # whatever had passed is stored then
        await until(lambda: has_signed_alone(here, "health", alone))
        await field.kill("health")
        signed = signed_size(here, "health")
        disk = await field.copy("health")
        await field.wipe("health", head_too=False)
        field.start("health")
        await field.wait_answering("health")
        here.wires.mend()
        origin = field.origin_of("health")
        size = (await field.logs("police"))[field.origin_of("police")]["size"]
        await until(lambda: cosigns(field, "health", field.origin_of("police"), size))  # it has forgotten nothing there
        await here.work(2)
        health = (await field.clients["health"].get("/v1/health")).json()
        assert not health["recovery"]["done"]
        assert health["recovery"]["problem"]
        assert (await field.logs("health"))[origin]["size"] < signed == signed_size(here, "health")
        refused = await field.clients["health"].post("/v1/events", json=here.load.share("health", "tax"))
        assert (refused.status_code, refused.json()["code"]) == (503, "read_only")

        await field.kill("health")
        await field.restore("health", disk, head="kept")
        field.start("health")
        say(f"health, with its old disk again: writes after {await field.wait_ready('health'):.1f} s")
        await settle(here)
        assert not here.load.losses
        await check_all(here, chance)


async def has_signed_alone(ground: Ground, name: str, plan: Round) -> bool:
    """Tell whether a node has signed what nobody has copied."""
    return signed_size(ground, name) > await most_copied(ground.field, name, plan.survivors)


async def cosigns(field: Field, name: str, origin: str, size: int) -> bool:
    """Tell whether a node has cosigned a log at a size or above."""
    told = (await field.logs("police"))[origin]
    return told["confirmed_size"] >= size and field.origin_of(name) in told["cosigned_by"]


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(3))
async def test_rounds_of_all_kinds_of_faults_are_survived(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    async with ground(tmp_path, chance) as here:
        for number in range(ROUNDS):
            plan = any_round(chance)
            say(f"seed {seed}, round {number}: {plan}")
            here.field.own_settings.clear()
            if len(plan.lost) == 1:
                here.field.own_settings[plan.lost[0]] = {"recovery_answers": "2f"}
            await play(here, plan)
        await settle(here)
        await check_all(here, chance)
    for name in NAMES:
        await here.field.suyuan("doctor", "--deep", "--offline", "--config", here.field.places[name].home.folder)


def any_round(chance: random.Random) -> Round:
    """One of all rounds that the protocol promises to survive.

    Who loses a disk has somebody with him who does not; one who loses a disk alone, and asks only ``2f`` others, keeps
    his head file.
    """
    names = chance.sample(NAMES, len(NAMES))
    apart = names[: chance.randint(1, 2)]
    wiped, restored = (names[0], names[2]) if len(apart) == 2 else (names[1], names[2])
    both = chance.random() < 0.6
    only_wiped = not both and chance.random() < 0.5
    return Round(
        apart=tuple(apart),
        one_way=chance.random() < 0.3,
        wiped=wiped if both or only_wiped else None,
        wiped_head=chance.choice(["gone", "kept"]) if both else "kept",
        restored=restored if not only_wiped else None,
        restored_head=chance.choice(["gone", "old", "kept"]) if both else "kept",
        clean_copy=chance.random() < 0.5,
        seconds=chance.choice([0.5, 1.5, 3.0]),
    )
