"""The mirror: entries from the owner or from anybody else, every byte of them verified, whoever serves them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from node_helpers import (
    NOW_MS,
    PaperLog,
    Party,
    Town,
    bundle,
    entry_of,
    paper,
    parties,
    seed,
    share,
    until,
    verify_log,
)
from structlog.testing import capture_logs

from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.cosignature import add_signatures, cosign
from ledger.errors import (
    InvalidSignatureError,
    LedgerError,
    MalformedError,
    QuorumError,
    StoreFailedError,
    UnknownLogError,
    UnsignedError,
    VerificationError,
)
from ledger.merkle import TreeSize
from ledger.note import COSIGNATURE, ED25519, Note, Signer
from ledger.store.memory import Fault
from node import equivocations, layout, writer
from node.errors import BusyError, FrozenError, IntegrityAlarm
from node.faults import PeerError
from node.layout import origin_hash
from node.mirror import Mirror
from node.peers import ENTRIES_MAX
from node.service import Node

A, B, C, D = FOUR = parties(4)
LAW = paper(FOUR)


class Library:
    """A's node, and B's log on paper, which B and C serve unless something else is said."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.log = PaperLog(B, LAW.network, FOUR)
        self.log.grow(9, A)
        for party in (B, C):
            town.wire.answer(party, self.log.answer)

    @property
    def node(self) -> Node:
        return self.town.nodes[A.name]

    @property
    def mirror(self) -> Mirror:
        return self.node.mirror

    @property
    def size(self) -> int:
        return self.node.states[B.origin].size

    def verify(self) -> None:
        """What is stored is a prefix of what B has signed, and verifies end to end."""
        stored = verify_log(self.node.store, self.node.states[B.origin], LAW.network)
        assert [entry.raw for entry in stored] == self.log.raws[: self.size]

    def asked(self) -> list[str]:
        path = f"/v1/logs/{origin_hash(B.origin)}/entries"
        return [host for _, host, asked in self.town.wire.seen if asked == path]


@pytest.fixture
async def library(tmp_path: Path) -> AsyncIterator[Library]:
    async with Town(tmp_path, FOUR, law=LAW, peer_timeout_ms=100) as town:
        library = Library(town)
        with capture_logs():
            town.open(A)
            yield library


# Where entries come from.


async def test_entries_come_from_the_owner(library: Library) -> None:
    await library.mirror.catch_up(B.origin, 10)
    library.verify()
    assert library.asked() == ["d1.test"]
    counted = library.node.metrics.registry.get_sample_value("suyuan_entries_mirrored_total", {"log": B.origin})
    assert counted == library.size == 10


async def test_no_more_entries_are_asked_for_than_are_wanted(library: Library) -> None:
    await library.mirror.catch_up(B.origin, 4)
    assert library.size == 4
    await library.mirror.catch_up(B.origin, 3)
    assert library.asked() == ["d1.test"]


async def test_many_entries_come_in_pieces(library: Library) -> None:
    library.log.grow(ENTRIES_MAX, A)
    await library.mirror.catch_up(B.origin, ENTRIES_MAX + 10)
    library.verify()
    assert library.asked() == ["d1.test", "d1.test"]


async def test_while_the_owner_is_down_entries_come_from_another_mirror(library: Library) -> None:
    library.town.wire.cut.add("d1.test")
    await library.mirror.catch_up(B.origin, 10)
    library.verify()
    assert "d2.test" in library.asked()


async def test_a_source_that_did_not_answer_last_time_comes_last(library: Library) -> None:
    library.town.wire.cut.add("d1.test")
    await library.mirror.catch_up(B.origin, 5)
    before = len(library.asked())
    await library.mirror.catch_up(B.origin, 10)
    assert library.asked()[before] == "d2.test"


async def test_the_hint_is_asked_before_the_others(library: Library) -> None:
    library.town.wire.cut.add("d1.test")
    library.town.wire.answer(D, library.log.answer)
    await library.mirror.catch_up(B.origin, 10, hint=D.origin)
    assert library.asked() == ["d1.test", "d3.test"]


async def test_who_is_known_to_have_most_is_asked_before_the_others(library: Library) -> None:
    library.town.wire.cut.add("d1.test")
    library.town.wire.answer(D, library.log.answer)
    library.node.peers[D.origin].status.sizes[B.origin] = 10
    await library.mirror.catch_up(B.origin, 10)
    assert library.asked() == ["d1.test", "d3.test"]


async def test_when_nobody_has_them_it_says_who_was_asked(library: Library) -> None:
    library.town.wire.cut |= {"d1.test", "d2.test", "d3.test"}
    with pytest.raises(PeerError) as failed:
        await library.mirror.catch_up(B.origin, 10)
    assert all(party.origin in str(failed.value) for party in (B, C, D))
    failures = library.node.metrics.registry.get_sample_value("suyuan_fetch_failures_total", {"log": B.origin})
    assert failures == 3


async def test_a_log_of_a_member_that_has_left_comes_from_the_others(tmp_path: Path) -> None:
    law = paper([A, entry_of(B, status="ended"), C, D])
    async with Town(tmp_path, FOUR, law=law) as town:
        log = PaperLog(B, law.network)
        town.wire.answer(C, log.answer)
        with capture_logs():
            node = town.open(A)
            await node.mirror.catch_up(B.origin, 1)
        assert node.states[B.origin].size == 1


# Sources that lie.


Lie = Callable[[Library], Any]


def raws_lie(change: Callable[[Library, list[bytes]], list[bytes]]) -> Lie:
    """Answer with other entries than those that were asked for."""

    def make(library: Library) -> Any:
        async def answer(request: httpx.Request) -> httpx.Response:
            asked = parse_qs(request.url.query.decode())
            start, limit = int(asked["start"][0]), int(asked["limit"][0])
            return bundle(change(library, library.log.raws[start : start + limit]))

        return answer

    return make


def body_lie(content: Callable[[], Any], count: str | None = "1") -> Lie:
    """Answer with other bytes than a bundle."""

    def make(_: Library) -> Any:
        async def answer(_: httpx.Request) -> httpx.Response:
            headers = {} if count is None else {"Entry-Count": count}
            return httpx.Response(200, content=content(), headers=headers)

        return answer

    return make


def status_lie(status: int) -> Lie:
    def make(_: Library) -> Any:
        async def answer(_: httpx.Request) -> httpx.Response:
            return httpx.Response(status)

        return answer

    return make


def damaged(_: Library, raws: list[bytes]) -> list[bytes]:
    return [*raws[:-1], raws[-1].replace(b"check of", b"sale  of")]


def other_signature(_: Library, raws: list[bytes]) -> list[bytes]:
    lines = raws[-1].split(b"\n")
    lines[-2] = raws[-2].split(b"\n")[-2]
    return [*raws[:-1], b"\n".join(lines)]


def forked(library: Library, raws: list[bytes]) -> list[bytes]:
    fork = PaperLog(B, LAW.network)
    fork.append(*(share(number, A) for number in range(1, library.log.size)))
    return [*raws[:1], *fork.raws[2:]]


def foreign(_: Library, raws: list[bytes]) -> list[bytes]:
    return PaperLog(C, LAW.network).raws[: len(raws)]


def other_network(_: Library, raws: list[bytes]) -> list[bytes]:
    return PaperLog(B, paper([A, B]).network).raws[: len(raws)]


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield bytes(1 << 20)


async def dripping() -> AsyncIterator[bytes]:
    while True:
        await asyncio.sleep(0.02)
        yield b"."


LIES = [
    pytest.param(raws_lie(damaged), id="a damaged entry"),
    pytest.param(raws_lie(other_signature), id="the signature of another entry"),
    pytest.param(raws_lie(forked), id="a wrong chain"),
    pytest.param(raws_lie(foreign), id="a foreign origin"),
    pytest.param(raws_lie(other_network), id="a log of another network"),
    pytest.param(raws_lie(lambda _, raws: raws[::-1]), id="another order"),
    pytest.param(raws_lie(lambda _, raws: raws[1:]), id="a later start"),
    pytest.param(raws_lie(lambda _, raws: raws * 2), id="more entries than asked for"),
    pytest.param(raws_lie(lambda _, _raws: [b"not an entry"]), id="no entry"),
    pytest.param(raws_lie(lambda _, _raws: []), id="no entries"),
    pytest.param(body_lie(endless), id="an endless body"),
    pytest.param(body_lie(dripping), id="a dripping body"),
    pytest.param(body_lie(lambda: b"", None), id="no count"),
    pytest.param(body_lie(lambda: b"\x00\x01x", "1 "), id="a count that is no number"),
    pytest.param(body_lie(lambda: b"\x00\x01x", "2"), id="a count that is too high"),
    pytest.param(body_lie(lambda: b"\x00\x01x", "99999999999999999999"), id="a count beyond all numbers"),
    pytest.param(body_lie(lambda: b"\xff\xff"), id="a bundle that ends early"),
    pytest.param(body_lie(lambda: b'{"entries":[]}'), id="JSON"),
    pytest.param(status_lie(404), id="not found"),
]


@pytest.mark.parametrize("lie", LIES)
async def test_of_a_source_that_lies_nothing_is_stored_and_the_next_one_is_asked(library: Library, lie: Lie) -> None:
    library.town.wire.answer(B, lie(library))
    await library.mirror.catch_up(B.origin, 10)
    library.verify()
    assert library.size == 10
    assert library.asked()[:2] == ["d1.test", "d2.test"]
    assert not library.node.alarms


@pytest.mark.parametrize("lie", LIES[:10])
async def test_when_everybody_lies_nothing_is_stored(library: Library, lie: Lie) -> None:
    for party in (B, C, D):
        library.town.wire.answer(party, lie(library))
    with pytest.raises(PeerError):
        await library.mirror.catch_up(B.origin, 10)
    assert library.size in (0, 1)
    library.verify()


async def test_what_was_stored_before_a_break_is_not_fetched_again(library: Library) -> None:
    starts: list[int] = []

    async def breaking(request: httpx.Request) -> httpx.Response:
        start = int(parse_qs(request.url.query.decode())["start"][0])
        starts.append(start)
        if start >= 6:
            raise httpx.ReadError("broken off", request=request)
        return bundle(library.log.raws[start : start + 3])

    library.town.wire.answer(B, breaking)
    library.town.wire.cut.add("d2.test")
    with pytest.raises(PeerError):
        await library.mirror.catch_up(B.origin, 10)
    assert (starts, library.size) == ([0, 3, 6], 6)
    library.town.wire.answer(B, library.log.answer)
    await library.mirror.catch_up(B.origin, 10)
    library.verify()
    assert library.size == 10


async def test_a_mirror_goes_on_after_a_restart(library: Library) -> None:
    await library.mirror.catch_up(B.origin, 4)
    await library.town.stop(A)
    library.town.open(A)
    assert library.size == 4
    await library.mirror.catch_up(B.origin, 10)
    library.verify()


# Several who want something.


async def test_many_who_want_the_same_log_share_one_fetch(library: Library) -> None:
    await asyncio.gather(*(library.mirror.catch_up(B.origin, 10) for _ in range(20)))
    assert library.asked() == ["d1.test"]


async def test_whoever_wants_what_is_there_is_served_although_another_wants_more(library: Library) -> None:
    outcomes = await asyncio.gather(
        library.mirror.catch_up(B.origin, 1000), library.mirror.catch_up(B.origin, 10), return_exceptions=True
    )
    assert isinstance(outcomes[0], PeerError)
    assert outcomes[1] is None
    library.verify()


async def test_a_failure_is_shared_by_all_who_wait_for_it(library: Library) -> None:
    library.town.wire.cut |= {"d1.test", "d2.test", "d3.test"}
    outcomes = await asyncio.gather(
        *(library.mirror.catch_up(B.origin, size) for size in (3, 10, 5)), return_exceptions=True
    )
    assert all(isinstance(outcome, PeerError) for outcome in outcomes)
    assert len(library.asked()) == 3


async def test_a_caller_that_gives_up_does_not_stop_the_fetch(library: Library) -> None:
    held = library.town.wire.held["d1.test"] = asyncio.Event()
    task = asyncio.create_task(library.mirror.catch_up(B.origin, 10))
    await until(library.asked)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    held.set()
    await until(lambda: library.size == 10)


async def test_a_fetch_that_fails_after_its_caller_gave_up_says_nothing_more(library: Library) -> None:
    held = library.town.wire.held["d1.test"] = asyncio.Event()
    task = asyncio.create_task(library.mirror.catch_up(B.origin, 1000))
    await until(library.asked)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    held.set()
    await until(lambda: not library.mirror._tasks)  # and the loop's handler for lost exceptions stays silent


async def test_closing_stops_the_fetching(library: Library) -> None:
    library.town.wire.held["d1.test"] = asyncio.Event()
    task = asyncio.create_task(library.mirror.catch_up(B.origin, 10))
    await until(library.asked)
    await library.mirror.close()
    with pytest.raises(asyncio.CancelledError):
        await task


# Our own trouble.


async def test_a_full_disk_is_not_blamed_on_the_sources(library: Library) -> None:
    disk = library.town.disks[A.name]
    disk.fail_write(disk.writes + 1, Fault.NO_SPACE)
    with pytest.raises(StoreFailedError):
        await library.mirror.catch_up(B.origin, 10)
    assert library.asked() == ["d1.test"]
    await library.mirror.catch_up(B.origin, 10)
    library.verify()


async def test_a_full_queue_is_not_blamed_on_the_sources(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "QUEUE_MAX", 0)
    with pytest.raises(BusyError):
        await library.mirror.catch_up(B.origin, 10)
    assert library.asked() == ["d1.test"]


# Logs that were opened under an earlier version of the network document.


async def test_a_log_opened_under_an_earlier_version_is_mirrored_by_who_joins_later(tmp_path: Path) -> None:
    first = paper([B, C, D])
    second = first.next([entry_of(party) for party in FOUR])
    async with Town(tmp_path, FOUR, law=second) as town:
        old, new = PaperLog(B, first.network), PaperLog(C, second.network)
        old.grow(3, D)
        town.wire.answer(B, old.answer)
        town.wire.answer(C, new.answer)
        with capture_logs():
            node = town.open(A)
            await node.mirror.catch_up(B.origin, 4)
            await node.mirror.catch_up(C.origin, 1)
        assert node.states[B.origin].chain == old.head
        assert node.states[C.origin].chain == new.head


async def test_a_log_opened_under_a_document_that_never_was_is_refused(tmp_path: Path) -> None:
    first = paper([B, C, D])
    other = paper([B, C])
    second = first.next([entry_of(party) for party in FOUR])
    async with Town(tmp_path, FOUR, law=second) as town:
        town.wire.answer(B, PaperLog(B, other.network).answer)
        with capture_logs():
            node = town.open(A)
            with pytest.raises(PeerError, match="does not follow"):
                await node.mirror.catch_up(B.origin, 1)


async def test_a_schema_violation_in_a_log_is_history_and_a_finding(library: Library) -> None:
    odd = {"type": "share", "id": "no id", "surprise": True}
    unknown = {"type": "x.future", "id": "00000000-0000-4000-8000-0000000000aa"}
    library.log.append(odd, unknown)
    await library.mirror.catch_up(B.origin, 12)
    library.verify()
    log = layout.log_id(B.origin)
    assert library.node.store.get(layout.finding_key(log, 10)) == b"unknown_member"
    assert library.node.store.get(layout.finding_key(log, 11)) == b"unknown_event_type"


# Confirmed checkpoints.


async def take(library: Library, note: Note | bytes, origin: str = B.origin) -> bool:
    data = note if isinstance(note, bytes) else note.encode()
    return await library.mirror.take_confirmed(data, origin=origin)


async def test_a_confirmed_checkpoint_is_taken_with_its_entries(library: Library) -> None:
    assert await take(library, library.log.checkpoint(cosigners=3))
    state = library.node.states[B.origin]
    assert (state.size, state.confirmed_size) == (10, 10)
    library.verify()


async def test_what_a_peer_has_put_behind_a_confirmed_checkpoint_is_not_kept(library: Library) -> None:
    note = library.log.checkpoint(cosigners=3)
    stranger = Signer("stranger.test/witness", COSIGNATURE, seed("stranger")).cosign(note.text, 1)
    assert await take(library, Note(note.text, (stranger, *note.signatures)))
    confirmed = library.node.states[B.origin].confirmed
    assert confirmed is not None
    assert confirmed.note == note


async def test_a_confirmed_checkpoint_that_is_known_is_no_news(library: Library) -> None:
    await take(library, library.log.checkpoint(cosigners=3))
    assert not await take(library, library.log.checkpoint(cosigners=3))
    assert not await take(library, library.log.checkpoint(5, cosigners=4))
    assert await take(library, library.log.checkpoint(cosigners=4))
    assert len(library.node.states[B.origin].confirmed.cosigners) == 4  # type: ignore[union-attr]


async def test_an_older_one_is_taken_when_none_is_known(library: Library) -> None:
    await library.mirror.catch_up(B.origin, 10)
    assert await take(library, library.log.checkpoint(7, cosigners=3))
    assert library.node.states[B.origin].confirmed_size == 7


def refused_notes() -> list[Any]:
    def of(make: Callable[[PaperLog], Note | bytes], error: type[LedgerError], name: str) -> Any:
        return pytest.param(make, error, id=name)

    def twice(log: PaperLog) -> Note:
        """Two cosignatures of one member are one."""
        promise = Checkpoint(B.origin, TreeSize(10), log.root())
        signed = [cosign(A.keys.cosigner, promise, time=time) for time in (1, 2)]
        note = add_signatures(log.checkpoint(), [cosign(C.keys.cosigner, promise, time=1)])
        return Note(note.text, (*note.signatures, *signed))

    def of_another(log: PaperLog) -> Note:
        other = cosign(A.keys.cosigner, Checkpoint(B.origin, TreeSize(9), log.root(9)), time=1)
        note = log.checkpoint(cosigners=3)
        return Note(note.text, (*note.signatures[:-1], other))

    def unsigned(log: PaperLog) -> Note:
        return Note(log.checkpoint().text, log.checkpoint(cosigners=4).signatures[1:])

    def stranger(log: PaperLog) -> Note:
        note = log.checkpoint(cosigners=4)
        return Note(note.text, (Signer("x", ED25519, seed("x")).sign(note.text),))

    return [
        of(lambda log: log.checkpoint(cosigners=2), QuorumError, "too few cosignatures"),
        of(lambda log: log.checkpoint(), QuorumError, "no cosignature"),
        of(twice, QuorumError, "one member twice"),
        of(of_another, InvalidSignatureError, "a cosignature of another checkpoint"),
        of(unsigned, UnsignedError, "not signed by the log"),
        of(stranger, UnsignedError, "signed by a stranger"),
        of(lambda _: b"not a note", MalformedError, "no note"),
        of(lambda _: b"", MalformedError, "nothing"),
        of(lambda _: PaperLog(C, LAW.network, FOUR).checkpoint(cosigners=3), VerificationError, "of another log"),
        of(lambda _: PaperLog(Party("x"), LAW.network).checkpoint(), UnknownLogError, "of an unknown log"),
    ]


@pytest.mark.parametrize(("make", "error"), refused_notes())
async def test_what_is_no_confirmed_checkpoint_is_refused_before_anything_is_fetched(
    library: Library, make: Callable[[PaperLog], Note | bytes], error: type[LedgerError]
) -> None:
    with pytest.raises(error):
        await take(library, make(library.log))
    assert library.size == 0
    assert not library.asked()
    assert not library.node.alarms


async def test_a_confirmed_checkpoint_of_another_history_is_proven(library: Library) -> None:
    await library.mirror.catch_up(B.origin, 10)
    lie = library.log.checkpoint(root=seed("another root"), cosigners=3)
    with pytest.raises(FrozenError, match="do not hash"):
        await take(library, lie)
    assert B.origin in library.node.alarms
    assert library.node.states[B.origin].confirmed is None
    [kept] = library.node.equivocations.listed()
    assert (kept.verdict.kind, kept.verdict.until, kept.standing) == ("content", 10, True)
    await until(lambda: library.node.store.get(layout.equivocation_key(layout.log_id(B.origin), kept.id)))


async def test_an_older_confirmed_checkpoint_of_another_history_is_an_alarm(library: Library) -> None:
    await library.mirror.catch_up(B.origin, 10)
    with pytest.raises(IntegrityAlarm):
        await take(library, library.log.checkpoint(6, root=seed("another root"), cosigners=3))


async def test_a_contradiction_that_is_no_news_is_an_alarm_all_the_same(library: Library) -> None:
    await take(library, library.log.checkpoint(cosigners=4))
    with pytest.raises(IntegrityAlarm):
        await take(library, library.log.checkpoint(6, root=seed("another root"), cosigners=3))
    assert library.node.states[B.origin].confirmed_size == 10


async def test_what_cannot_be_proven_is_an_alarm_and_the_first_such_checkpoint_is_kept(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(equivocations, "ENTRIES_MAX", 9)  # the tenth entry is too many for a proof
    await library.mirror.catch_up(B.origin, 10)
    key = layout.contradiction_key(layout.log_id(B.origin))
    for number in range(3):
        with pytest.raises(IntegrityAlarm):
            await take(library, library.log.checkpoint(root=seed(str(number)), cosigners=3))
        await until(lambda: library.node.store.get(key))
    assert library.node.store.get(key) == library.log.checkpoint(root=seed("0"), cosigners=3).encode()
    assert not library.node.equivocations.listed()
    await library.town.stop(A)
    node = library.town.open(A)
    assert "it is kept" in node.alarms[B.origin]


async def test_what_can_be_proven_by_now_is_proven_at_the_next_start(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    await library.mirror.catch_up(B.origin, 10)
    key = layout.contradiction_key(layout.log_id(B.origin))
    with monkeypatch.context() as patched:
        patched.setattr(equivocations, "ENTRIES_MAX", 9)
        with pytest.raises(IntegrityAlarm):
            await take(library, library.log.checkpoint(root=seed("a lie"), cosigners=3))
        await until(lambda: library.node.store.get(key))
    await library.town.stop(A)
    node = library.town.open(A)
    [kept] = node.equivocations.listed()
    assert node.alarms[B.origin] == kept.verdict.words
    await until(lambda: node.store.get(key) is None)


async def test_a_confirmed_checkpoint_whose_entries_nobody_has_is_not_taken(library: Library) -> None:
    library.town.wire.cut |= {"d1.test", "d2.test", "d3.test"}
    with pytest.raises(PeerError):
        await take(library, library.log.checkpoint(cosigners=3))
    assert library.node.states[B.origin].confirmed is None


async def test_peers_that_confirm_more_of_our_log_than_we_have_are_an_alarm_when_it_is_too_late(
    library: Library,
) -> None:
    promise = Checkpoint(A.origin, TreeSize(50), seed("a root"))
    note = sign_checkpoint(A.keys.log, promise)
    signed = [cosign(party.keys.cosigner, promise, time=NOW_MS // 1000) for party in (B, C, D)]
    with pytest.raises(BusyError, match="is being restored"):
        await take(library, add_signatures(note, signed), A.origin)
    assert not library.node.alarms
    library.mirror.own_log_restored = True
    library.mirror.return_again = lambda _: False
    with pytest.raises(IntegrityAlarm, match="peers hold 50 entries of this node's own log, it has 0"):
        await take(library, add_signatures(note, signed), A.origin)
    assert A.origin in library.node.alarms
