"""The network changes while real transfers are recorded: a member is added by the commands that a governor types, keys
are rotated, a member is suspended and comes back. Every node tells of every record what the file says, the new one too;
and whatever was proven before stays proven, under the document of its day and under the newest.
"""

import asyncio
import json
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import naive
import pytest
from departments import free_ports
from field import Field, until
from shared_vectors import shared_file
from traces import check_trace, told

from cli.demo.cluster import Cluster
from cli.demo.network import DemoNetwork, Department
from cli.demo.replay import Replay
from cli.sources.transfers import Transfer, by_record, departments_of, read_transfers
from ledger.entry import open_chain, parse_entry, verify_entries
from ledger.network import Names

FOUNDERS = ("front-desk", "group-1", "group-2", "group-3")
NEWCOMER = "group-4"
SETTINGS = {"checkpoint_interval_ms": 200, "pull_interval_ms": 500, "recovery_answers": "2f"}
RECORDS_AT_ONCE = 2
LOG_KEY_MARGIN = 8  # entries that the old key may still sign
PAUSE_SECONDS = 0.4  # between a few records and the next ones
WAVES_OF_FIVE_MIN = 2


@dataclass
class Import:
    """Plays the records of a file, a few at a time, as long as it is let."""

    here: Field
    records: list[list[Transfer]]  # that nobody has played yet
    references: dict[str, str] = field(default_factory=dict)  # of what has been played to its end
    spared: frozenset[str] = frozenset()  # departments that nobody shares with just now
    busy: frozenset[str] = frozenset()  # those of the records that are being played
    waves_of_five: int = 0
    stopping: bool = False

    async def run(self) -> None:
        while not self.stopping or self.waves_of_five < WAVES_OF_FIVE_MIN:
            with_newcomer = NEWCOMER in self.here.clients
            wave = [self._next(with_newcomer=with_newcomer) for _ in range(RECORDS_AT_ONCE)]
            self.busy = frozenset().union(*map(departments_of_record, wave))
            replay = self._replay([transfer for record in wave for transfer in record])
            await replay.run()
            self.busy = frozenset()
            self.references |= replay.records
            self.waves_of_five += with_newcomer
            await asyncio.sleep(PAUSE_SECONDS)

    def _next(self, *, with_newcomer: bool) -> list[Transfer]:
        for number, record in enumerate(self.records):
            names = departments_of_record(record)
            if not names & self.spared and (NEWCOMER in names) == with_newcomer:
                return self.records.pop(number)
        raise AssertionError("the file has no such record left")

    async def spare(self, *names: str) -> None:
        """Return when nothing is played that these departments take part in."""
        self.spared = frozenset(names)

        async def are_free() -> bool:
            return not self.busy & self.spared

        await until(are_free)

    async def has_begun(self) -> bool:
        return bool(self.references)

    def _replay(self, transfers: list[Transfer]) -> Replay:
        departments = {
            name: Department(
                name, Names(zh=name, en=name), place.origin, place.home, f"http://127.0.0.1:{place.port}",
                place.token, place.home.folder / "tests.token",
            )
            for name, place in self.here.places.items()
            if name in self.here.clients
        }  # fmt: skip
        network = DemoNetwork(self.here.folder, self.here.document, self.here.fingerprint, departments)
        cluster = Cluster(network, say=say)  # it runs no process: the field does
        cluster.clients = dict(self.here.clients)
        return Replay(network, cluster, transfers, on_progress=lambda _: None)


@asynccontextmanager
async def importing(handovers: Path, folder: Path) -> AsyncIterator[Import]:
    """Four departments, whose records of the file are being played."""
    everybody = {*FOUNDERS, NEWCOMER}
    records = by_record(read_transfers(handovers)).values()
    played = [record for record in records if departments_of_record(record) <= everybody]
    async with Field(folder, FOUNDERS, settings=SETTINGS) as made:
        await made.start_all()
        yield Import(made, played)


def departments_of_record(record: list[Transfer]) -> frozenset[str]:
    return frozenset(departments_of(record))


def say(words: str) -> None:
    sys.stdout.write(f"  {words}\n")


@dataclass
class Saved:
    """Proofs and evidence, and the network document of their day."""

    files: list[Path]
    document: Path


class Archive:
    """Saves what somebody wants to be able to prove years later."""

    def __init__(self, here: Field, played: Import) -> None:
        self.here = here
        self.played = played
        self.saved: list[Saved] = []

    async def save(self) -> None:
        """Save the proof of each log's newest confirmed entry, and the evidence of a record, from various nodes."""
        stage = len(self.saved) + 1
        folder = self.here.folder / f"saved-{stage}"
        folder.mkdir()
        document = folder / "network.note"
        document.write_bytes(self.here.document.read_bytes())
        files: list[Path] = []
        names = list(self.here.clients)
        for number, name in enumerate(names):
            origin = self.here.origin_of(name)
            asked = self.here.clients[names[(number + stage) % len(names)]]
            newest = await self._newest_confirmed(name)
            files.append(folder / f"{name}.proof")
            await self._fetch(asked, "/v1/proof", files[-1], log=origin, index=str(newest))
        record = list(self.played.references.values())[-1]
        asked = self.here.clients[names[stage % len(names)]]
        files.append(folder / "evidence.json")
        await self._fetch(asked, f"/v1/records/{record}/evidence", files[-1])
        self.saved.append(Saved(files, document))

    async def _newest_confirmed(self, name: str) -> int:
        """Return the index of the newest confirmed entry of a member's log, which a newcomer has only after a while."""
        origin, size = self.here.origin_of(name), 0

        async def has_any() -> bool:
            nonlocal size
            size = int((await self.here.logs(name))[origin]["confirmed_size"])
            return size > 0

        await until(has_any)
        return size - 1

    @staticmethod
    async def _fetch(asked: httpx.AsyncClient, path: str, file: Path, **query: str) -> None:
        async def is_there() -> bool:  # where the node does not know yet that all of it is confirmed, it is not
            answer = await asked.get(path, params=query)
            if answer.status_code == httpx.codes.OK:
                await asyncio.to_thread(file.write_bytes, answer.content)
            return answer.status_code == httpx.codes.OK

        await until(is_there)

    async def verify(self) -> None:
        """Verify everything under the document of its day, and all together under the newest one."""
        await self._verify([file for saved in self.saved for file in saved.files], self.here.document)
        for saved in self.saved:
            await self._verify(saved.files, saved.document)

    async def _verify(self, files: list[Path], document: Path) -> None:
        await self.here.suyuan("verify", *files, "--fingerprint", self.here.fingerprint, "--network", document)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_traces_and_proofs_stay_true_while_members_and_keys_change(tmp_path: Path) -> None:
    handovers = shared_file("permit-handovers.csv")
    async with importing(handovers, tmp_path) as played, asyncio.TaskGroup() as group:
        here = played.here
        playing = group.create_task(played.run())
        archive = Archive(here, played)
        await until(played.has_begun)
        await archive.save()

        await add_newcomer(here)
        await archive.save()

        await rotate_keys(here)
        await archive.save()

        await played.spare("group-3")
        await suspend_and_resume(here, "group-3")
        await played.spare()
        await archive.save()

        played.stopping = True
        await playing
        await check_everything(played, handovers)
        await archive.verify()


async def change(here: Field, *revision: object, told_to: str) -> None:
    """Revise, sign, adopt at one node, and wait until all of them act under it."""
    loop = asyncio.get_running_loop()
    draft = here.document.with_suffix(".draft")
    await here.suyuan("network", "revise", here.document, *revision)
    await here.suyuan("network", "sign", draft, "--key", here.governor, "--out", here.document)
    version = here.network().version
    began = loop.time()
    adopting = asyncio.ensure_future(here.suyuan("network", "adopt", here.document, *here.ask(told_to)))
    await acts_under(here, told_to, version)
    given = loop.time()
    await asyncio.gather(*(acts_under(here, name, version) for name in here.clients), adopting)
    words = " ".join(str(one).removeprefix(str(here.folder)) for one in revision)
    say(f"version {version} ({words}): in force at {told_to} in {given - began:.1f} s, "
        f"at all others {loop.time() - given:.1f} s later")  # fmt: skip


async def acts_under(here: Field, name: str, version: int) -> None:
    async def does() -> bool:
        return bool((await here.clients[name].get("/v1/health")).json()["network"]["version"] == version)

    await until(does)


async def add_newcomer(here: Field) -> None:
    loop = asyncio.get_running_loop()
    [port] = free_ports(1)
    member = await asyncio.to_thread(here.make, NEWCOMER, port, port)
    await change(here, "--add", member, told_to="group-2")
    began = loop.time()
    await here.suyuan("init", here.folder / NEWCOMER, "--network", here.document, "--fingerprint", here.fingerprint)
    await asyncio.to_thread(here.enroll, NEWCOMER)
    here.start(NEWCOMER)
    await here.wait_ready(NEWCOMER)
    say(f"{NEWCOMER} writes {loop.time() - began:.1f} s after it has joined")


async def rotate_keys(here: Field) -> None:
    """Replace a member's log key and another's cosigner key; where the old log key may sign no more, the log waits."""
    members = [here.folder / name / "member.json" for name in ("group-1", "group-2")]
    await here.suyuan("keys", "rotate", "log", "--margin", LOG_KEY_MARGIN, *here.ask("group-1"))
    await here.suyuan("keys", "rotate", "cosigner", *here.ask("group-2"))
    begins = json.loads(members[0].read_bytes())["log_keys"][-1]["from"]

    async def waits() -> bool:
        answer = await share(here, "group-1", "front-desk", wait="recorded")
        return answer.status_code == 503

    await until(waits)
    origin = here.origin_of("group-1")
    assert (await here.logs("group-1"))[origin]["size"] == begins
    await change(here, "--replace", members[0], "--replace", members[1], told_to="group-3")
    answer = await share(here, "group-1", "front-desk")
    assert (answer.status_code, answer.json()["state"]) == (201, "confirmed")
    assert answer.json()["entry"]["index"] > begins  # which says that the log acts under the new version

    async def cosigns() -> bool:
        log = (await here.logs("group-1"))[origin]
        return log["confirmed_size"] > begins and here.origin_of("group-2") in log["cosigned_by"]

    await until(cosigns)


async def suspend_and_resume(here: Field, name: str) -> None:
    """Suspend a member, who records nothing then while the others do; let it come back."""
    origin = here.origin_of(name)
    await change(here, "--suspend", origin, told_to="front-desk")
    size = (await here.logs(name))[origin]["size"]
    others = [other for other in here.clients if other != name]
    answers = await asyncio.gather(*(share(here, one, others[number - 1]) for number, one in enumerate(others)))
    assert [(answer.status_code, answer.json()["state"]) for answer in answers] == [(201, "confirmed")] * len(others)
    refused = await share(here, name, others[0])
    assert (refused.status_code, refused.json()["code"]) == (503, "read_only")
    assert (await here.logs(name))[origin]["size"] == size
    await change(here, "--resume", origin, told_to=NEWCOMER)


async def share(here: Field, provider: str, consumer: str, *, wait: str = "confirmed") -> httpx.Response:
    """Post a share, and wait until it is confirmed, or recorded."""
    event = {
        "type": "share", "id": str(uuid.uuid4()), "consumer": here.origin_of(consumer), "records": [uuid.uuid4().hex],
        "resource": "permit", "purpose": "review", "method": "api", "occurred_at": "2026-01-01T08:00:00.000Z",
    }  # fmt: skip
    return await here.clients[provider].post(f"/v1/events?wait={wait}", json=event)


async def check_everything(played: Import, handovers: Path) -> None:
    here = played.here
    expected = {record: hops for record, hops in naive.histories(handovers).items() if record in played.references}
    assert expected.keys() == played.references.keys()
    for record, hops in expected.items():
        first, *others = await traces(here, played.references[record])
        check_trace(first, hops, here.origin_of)
        assert all(told(other) == told(first) for other in others)
    lengths = {name: await check_log(here, here.origin_of(name)) for name in here.clients}
    network = here.network()
    log = (await here.logs("front-desk"))[here.origin_of(NEWCOMER)]
    assert (log["needed"], network.quorum) == (4, 4)
    assert log["confirmed_size"] == lengths[NEWCOMER] > 1
    assert here.origin_of(NEWCOMER) in log["cosigned_by"]
    say(
        f"{len(expected)} records with {sum(map(len, expected.values()))} transfers, {sum(lengths.values())} entries, "
        f"{len(network.versions)} versions of the network document"
    )


async def check_log(here: Field, origin: str) -> int:
    """Check that a log is whole, and the same on every node; return its length."""
    network = here.network()
    raws, *copies = await asyncio.gather(*(here.entries(name, origin) for name in here.clients))
    assert all(copy == raws for copy in copies)
    [opened] = {one.text for one in network.versions if one.text_hash == parse_entry(raws[0]).previous}
    verify_entries(open_chain(origin, opened.encode()), raws, key_at=network.member(origin).log_key_at)
    return len(raws)


async def traces(here: Field, reference: str) -> list[dict[str, Any]]:
    answers = await asyncio.gather(*(one.get(f"/v1/records/{reference}/trace") for one in here.clients.values()))
    assert all(answer.status_code == httpx.codes.OK for answer in answers), [answer.text for answer in answers]
    return [answer.json() for answer in answers]
