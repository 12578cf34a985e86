"""Attacks that a review has found to work once: across versions of the network document, by a line, a proof, a wait."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from node_helpers import (
    NOW_MS,
    Desk,
    PaperLog,
    Party,
    Town,
    adopts,
    entry_of,
    event_id,
    heads,
    members,
    paper,
    parties,
    seed,
    share,
    until,
)
from structlog.testing import capture_logs

from ledger.checkpoint import Checkpoint
from ledger.cosignature import cosign
from ledger.encoding import encode_base64
from ledger.equivocation import entries_proof
from ledger.errors import LedgerError, StoreFailedError
from ledger.merkle import TreeSize
from ledger.network import Network
from ledger.note import ED25519, Note, Signature, Signer, SigningKey
from ledger.quorum import judge_checkpoint
from node import recovery, witness
from node.answers import Answer, enough
from node.errors import RotationError
from node.keys import key_name
from node.service import Node
from node.submission import Submission, prepare

A, B, C, D, E, F, G = SEVEN = parties(7)
FOUR = SEVEN[:4]
NO_FAULTS: dict[str, Any] = {"quorum": {"faults": 0}}


async def record(node: Node, number: int, consumer: Party) -> None:
    event = prepare(share(number, consumer), origin=node.origin)
    await node.submit((event,), wait_confirmed=True)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "RETRY_SECONDS_MIN", 0.02)
    monkeypatch.setattr(recovery, "RETRY_SECONDS_MAX", 0.05)
    monkeypatch.setattr(recovery, "GRACE_SECONDS", 0.1)


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with Town(tmp_path, SEVEN, law=paper(FOUR)) as town:
        with capture_logs():
            yield town


def deaf_to_nothing(town: Town) -> Node:
    """A node that has heard from everybody."""
    node = town.open(B)
    node.recovery._remembers.set()
    return node


# Documents.


@pytest.mark.parametrize("change", [{"url": "http://moved.test"}, {"status": "suspended"}], ids=str)
async def test_whoever_tells_of_his_own_change_does_not_break_off_its_adoption(
    town: Town, change: dict[str, Any]
) -> None:
    """The others hear of it from A, and stop talking to A in the middle of it."""
    nodes = await town.start(*FOUR)
    town.wire.routes["moved.test"] = town.wire.routes["d0.test"]
    await nodes[0].adopt(town.law.next(members(entry_of(A, **change), B, C, D)).document)
    for node in nodes[1:]:
        await until(lambda node=node: node.state.version_at(node.state.size, node.network) == 2)  # type: ignore[misc]


async def test_a_write_that_fails_does_not_leave_half_of_a_change(town: Town) -> None:
    node = town.open(A)
    add_logs, failures = node._add_logs, 2

    async def failing(network: Network) -> None:
        nonlocal failures
        if failures:
            failures -= 1
            raise StoreFailedError("the disk is full for a moment")
        await add_logs(network)

    node._add_logs = failing  # type: ignore[method-assign]
    assert await node.adopt(town.law.next(members(*FOUR, E)).document) == 1
    assert node.network.version == node.adoption.network.version == 2
    assert E.origin in node.states


async def test_whoever_lets_others_wait_does_not_cut_an_adoption_short(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witness, "ENTRIES_SECONDS_MAX", 0.2)
    node = deaf_to_nothing(town)
    law = town.law.next(members(*FOUR), rules="cn-2026")
    log = PaperLog(A, town.law.network)
    log.append(adopts(law.network))
    add_logs = node._add_logs

    async def slowly(network: Network) -> None:
        await asyncio.sleep(0.3)
        await add_logs(network)

    node._add_logs = slowly  # type: ignore[method-assign]

    async def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/health":
            return httpx.Response(200, json={"network": {"version": 2}})
        if request.url.path == "/v1/network":
            return httpx.Response(200, content=law.document)
        return await log.answer(request)

    town.wire.answer(A, answer)
    with pytest.raises(LedgerError):
        await node.witness.add_checkpoint(log.request(0))
    await until(lambda: node.network.version == 2)


async def test_a_peer_that_goes_before_it_was_followed_ends_nothing(town: Town) -> None:
    node = town.open(A)
    task = asyncio.create_task(node.gossip.run())
    law = town.law.next(members(A, B, C, entry_of(D, status="ended")))
    asyncio.get_running_loop().call_soon(lambda: node.peers.update(law.network))
    await asyncio.sleep(0.1)
    assert not task.done()
    task.cancel()


# Lines and proofs.


def with_false_line(note: Note) -> Note:
    """A note with a line in the name of E's cosigner, who is no member yet."""
    key = E.keys.cosigner.verifier
    return Note(note.text, (*note.signatures, Signature(name=key.name, key_id=key.key_id, blob=bytes(72))))


@pytest.mark.parametrize("way", ["head", "request"])
async def test_a_false_line_in_the_name_of_a_later_member_stops_nothing(town: Town, way: str) -> None:
    node = deaf_to_nothing(town)
    log = PaperLog(A, town.law.network, FOUR)
    log.grow(3, B)
    town.wire.answer(A, log.answer)
    if way == "head":
        assert await node.mirror.take_signed(with_false_line(log.checkpoint()).encode(), origin=A.origin)
    else:
        line = with_false_line(log.checkpoint()).signatures[-1].line.encode()
        await node.witness.add_checkpoint(log.request(0) + line)
    law = town.law.next(members(*FOUR, E))
    await node.adopt(law.document)
    with capture_logs():
        node.writer._recover(StoreFailedError("a write that failed"))
    assert node.writer.failure is None
    await town.stop(B)
    town.law = law
    state = town.open(B).states[A.origin]
    assert state.checkpoint is not None
    assert state.checkpoint.size == 4


async def test_a_proof_with_an_old_document_stops_no_node_after_the_ruling(tmp_path: Path) -> None:
    first = paper(FOUR, **NO_FAULTS)
    second = first.next(members(*FOUR, E), **NO_FAULTS)
    async with Town(tmp_path, SEVEN, law=second) as town:
        with capture_logs():
            node = deaf_to_nothing(town)
            one, other = PaperLog(E, second.network, FOUR), PaperLog(E, second.network, FOUR)
            one.grow(5, A)
            other.append(*(share(500 + number, B) for number in range(5)))
            assert node.equivocations.take(entries_proof(first.document, E.origin, one.raws[4], other.raws[4])).standing
            await until(lambda: not node.equivocations._unsaved)
            following = Signer(key_name(E.origin, "log"), ED25519, seed("the next log key of E"))
            entry = entry_of(E) | {
                "log_keys": [
                    {"from": 0, "key": E.keys.log.verifier.vkey, "until": 1},
                    {"from": 1, "key": following.verifier.vkey},
                ],
                "readmitted": {"root": encode_base64(one.root(1)), "size": 1},
            }
            law = second.next([*members(*FOUR), entry], **NO_FAULTS)
            await node.adopt(law.document)
            assert node.equivocations.accused(E.origin) is None
            await town.stop(B)
            town.law = law
            assert town.open(B).equivocations.accused(E.origin) is None


# Keys.


def test_a_key_whose_end_is_fixed_announces_no_earlier_one() -> None:
    """Else the log would have promised to stop where no document can let it go on."""
    law = paper([A, B])
    following, third = (Signer(key_name(A.origin, "log"), ED25519, seed(name)) for name in ("next", "third"))
    spans = [
        {"key": A.keys.log.verifier.vkey, "from": 0, "until": 10},
        {"key": following.verifier.vkey, "from": 10},
    ]
    with Desk(A, law.network) as desk:

        def announce(number: int, key: SigningKey, start: int) -> None:
            value = {
                "type": "key.rotate", "id": event_id(number), "role": "log", "key": key.verifier.vkey, "from": start,
            }  # fmt: skip
            event = prepare(value, origin=A.origin, types=frozenset({"key.rotate"}))
            desk.writer.submit_to(desk.sequencer, Submission((event,))).result(5)

        desk.record(share(1, B))
        announce(2, following, 10)
        desk.network = law.next([entry_of(A) | {"log_keys": spans}, entry_of(B)]).network
        with pytest.raises(RotationError, match="its end already"):
            announce(3, third, 5)
        assert desk.record(share(4, B))


# Answers.


async def test_one_liar_and_two_documents_in_a_row_do_not_confirm_two_histories(tmp_path: Path) -> None:
    """A, C and D confirm one under version 1; B, who never saw it, E, F and G are asked for another under version 3."""
    first = paper(FOUR)
    third = first.next(members(*FOUR, E)).next(members(*SEVEN))
    one, other = PaperLog(A, first.network, [A, C, D]), PaperLog(A, first.network)
    one.grow(3, B)
    other.append(adopts(third.network), share(77, C))
    async with Town(tmp_path, SEVEN, law=third) as town:

        async def lie(request: httpx.Request) -> httpx.Response:
            if request.url.path == "/v1/memory":
                return httpx.Response(200, json={**heads(version=3), "since": 3})
            return await other.answer(request)

        town.wire.answer(A, lie)
        town.wire.cut |= {"d2.test", "d3.test"}
        with capture_logs():
            nodes = await town.start(B, E, F, G, wait=False)
            for node in nodes:
                await until(lambda node=node: len(node.recovery.progress.answered) == 4)  # type: ignore[misc]
            lines = [cosign(A.keys.cosigner, Checkpoint(A.origin, TreeSize(3), other.root()), time=NOW_MS // 1000).line]
            for node in nodes:
                try:
                    lines.append((await node.witness.add_checkpoint(other.request(0))).line)
                except LedgerError:
                    continue
    judged = [
        judge_checkpoint(data, third.network)
        for data in (one.checkpoint(cosigners=3), other.checkpoint().encode() + "".join(lines).encode())
    ]
    assert [judged[0].confirmed, judged[1].confirmed] == [True, False]


def told(version: int, *which: Party, since: int = 1) -> dict[str, Answer]:
    return {one.origin: Answer(version, since) for one in which}


def test_of_three_of_whom_none_may_fail_both_others_must_remember_when_there_are_four() -> None:
    law = paper(SEVEN[:3]).next(members(*FOUR))
    assert not enough(law.network, A.origin, "2f", told(2, C) | told(2, D, since=0))
    assert enough(law.network, A.origin, "2f", told(2, B, C))
    assert enough(law.network, A.origin, "2f", told(2, C) | told(2, D, since=2))  # D has heard of it when it joined


def test_a_version_that_changes_nothing_makes_nobody_one_of_before() -> None:
    law = paper(FOUR).next(members(*SEVEN)).next(members(*SEVEN), rules="cn-2026")
    assert not enough(law.network, A.origin, "2f", told(3, D) | told(3, E, F, G, since=0))
    assert enough(law.network, A.origin, "2f", told(3, B, C, D) | told(3, E, since=0))


def test_whoever_was_away_is_not_bound_to_what_was_confirmed_meanwhile() -> None:
    away = entry_of(E, status="suspended")
    law = paper(SEVEN[:5]).next(members(*FOUR, away)).next(members(*SEVEN[:5], F))
    rest = told(3, A, B)
    assert not enough(law.network, F.origin, "2f", rest | told(3, E, since=1))
    assert enough(law.network, F.origin, "2f", rest | told(3, E, since=3) | told(3, C))
