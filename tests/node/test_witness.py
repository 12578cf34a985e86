"""The witness: every row of the table in protocol section 6, and what must hold whoever asks and however often."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from node_helpers import (
    NOW_MS,
    PATIENCE_SECONDS,
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
)
from structlog.testing import capture_logs

from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.cosignature import cosign, parse_cosignatures, verify_cosignature
from ledger.merkle import EMPTY_ROOT, TreeSize
from ledger.note import COSIGNATURE, ED25519, Note, Signer
from ledger.store.memory import Fault
from ledger.witness_request import AddCheckpoint
from node import layout, witness
from node.api.bodies import BODY_SECONDS_MAX
from node.witness import BODY_BYTES_MAX

A, B, C, GONE = parties(4)
LAW = paper([A, B, C, entry_of(GONE, status="ended")])
SIZE = "text/x.tlog.size"


class Stand:
    """A's node as B's log sees it; B answers from paper."""

    def __init__(self, town: Town, log: PaperLog) -> None:
        self.town = town
        self.log = log
        self.node = town.nodes[A.name]
        self.client = town.client(A, token=None)

    async def ask(self, body: bytes) -> httpx.Response:
        return await self.client.post("/witness/add-checkpoint", content=body)

    @property
    def cosigned(self) -> int:
        return int(self.node.states[B.origin].cosigned_head.size)

    def refused(self, status: int) -> float:
        name = "suyuan_cosignatures_refused_total"
        return self.node.metrics.registry.get_sample_value(name, {"status": str(status)}) or 0.0


@pytest.fixture
async def stand(tmp_path: Path) -> AsyncIterator[Stand]:
    async with Town(tmp_path, [A, B, C], law=LAW) as town:
        log = PaperLog(B, LAW.network)
        town.wire.answer(B, log.answer)
        with capture_logs():
            await town.open(A).recovery.once()
            stand = Stand(town, log)
            async with stand.client:
                yield stand


def check(answer: httpx.Response, log: PaperLog, size: int, *, by: Party = A, time: int = NOW_MS // 1000) -> None:
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    [signature] = parse_cosignatures(answer.content)
    text = log.checkpoint(size).text
    assert verify_cosignature(by.keys.cosigner.verifier, text, signature) == time


# 200.


async def test_a_first_checkpoint_is_cosigned_when_its_entries_are_stored(stand: Stand) -> None:
    check(await stand.ask(stand.log.request(0)), stand.log, 1)
    state = stand.node.states[B.origin]
    assert (state.size, stand.cosigned) == (1, 1)
    assert stand.node.store.get(layout.entry_key(state.log, 0)) == stand.log.raws[0]


async def test_a_log_that_grows_is_cosigned_step_by_step(stand: Stand) -> None:
    size = 0
    for more in (0, 1, 2, 5, 250, 1, 1100):
        stand.log.grow(more, A)
        check(await stand.ask(stand.log.request(size)), stand.log, stand.log.size)
        size = stand.log.size
    assert stand.cosigned == stand.node.states[B.origin].size == 1360
    assert stand.node.metrics.registry.get_sample_value("suyuan_cosignatures_total", {"log": B.origin}) == 7


async def test_an_older_size_than_the_newest_that_is_stored_can_be_cosigned(stand: Stand) -> None:
    stand.log.grow(9, A)
    await stand.node.mirror.catch_up(B.origin, 10)
    check(await stand.ask(stand.log.request(0, 4)), stand.log, 4)
    assert (stand.cosigned, stand.node.states[B.origin].size) == (4, 10)


async def test_the_same_size_again_gives_a_fresh_timestamp(stand: Stand) -> None:
    stand.log.grow(3, A)
    check(await stand.ask(stand.log.request(0)), stand.log, 4)
    stand.town.clock.advance(7_000)
    check(await stand.ask(stand.log.request(4)), stand.log, 4, time=NOW_MS // 1000 + 7)


async def test_an_empty_log_is_cosigned(stand: Stand) -> None:
    empty = sign_checkpoint(B.keys.log, Checkpoint(B.origin, TreeSize(0), EMPTY_ROOT))
    answer = await stand.ask(AddCheckpoint(TreeSize(0), (), empty).encode())
    assert answer.status_code == 200
    check(await stand.ask(stand.log.request(0)), stand.log, 1)


async def test_cosignatures_of_others_in_the_request_do_no_harm(stand: Stand) -> None:
    note = stand.log.checkpoint()
    signed = (*note.signatures, cosign(C.keys.cosigner, Checkpoint(B.origin, TreeSize(1), stand.log.root()), time=1))
    check(await stand.ask(AddCheckpoint(TreeSize(0), (), Note(note.text, signed)).encode()), stand.log, 1)


async def test_signatures_by_unknown_keys_do_no_harm(stand: Stand) -> None:
    note = stand.log.checkpoint()
    strangers = [Signer(f"stranger-{number}", ED25519, seed(str(number))).sign(note.text) for number in range(99)]
    check(
        await stand.ask(AddCheckpoint(TreeSize(0), (), Note(note.text, (*strangers, *note.signatures))).encode()),
        stand.log,
        1,
    )


async def test_the_cosignature_survives_a_restart(stand: Stand) -> None:
    stand.log.grow(3, A)
    check(await stand.ask(stand.log.request(0)), stand.log, 4)
    await stand.town.stop(A)
    node = stand.town.open(A)
    await node.recovery.once()
    assert node.states[B.origin].cosigned_head.size == 4
    async with stand.town.client(A, token=None) as client:
        answer = await client.post("/witness/add-checkpoint", content=stand.log.request(0))
        assert (answer.status_code, answer.content) == (409, b"4\n")
        check(await client.post("/witness/add-checkpoint", content=stand.log.request(4)), stand.log, 4)


async def test_the_checkpoint_is_durable_before_the_answer(stand: Stand) -> None:
    """A crash during any write of it leaves no cosignature in the world."""
    stand.log.grow(3, A)
    await stand.node.mirror.catch_up(B.origin, 4)
    disk = stand.town.disks[A.name]
    key = layout.cosigned_key(layout.log_id(B.origin))
    answers: list[httpx.Response] = []
    order: list[str] = []
    disk.on_write = lambda: order.append(f"written, {len(answers)} answered")
    answers.append(await stand.ask(stand.log.request(0)))
    disk.on_write = None
    assert order == ["written, 0 answered"]
    assert disk.cells is not None
    assert disk.cells[key].value == stand.log.checkpoint().encode()


async def test_a_failed_write_is_503_and_no_cosignature(stand: Stand) -> None:
    stand.log.grow(3, A)
    await stand.node.mirror.catch_up(B.origin, 4)
    disk = stand.town.disks[A.name]
    disk.fail_write(disk.writes + 1, Fault.NO_SPACE)
    answer = await stand.ask(stand.log.request(0))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert stand.cosigned == 0
    check(await stand.ask(stand.log.request(0)), stand.log, 4)


# 404.


async def test_an_unknown_origin_is_404(stand: Stand) -> None:
    stranger = PaperLog(Party("stranger"), LAW.network)
    answer = await stand.ask(stranger.request(0))
    assert answer.status_code == 404
    assert stand.refused(404) == 1


async def test_a_member_that_has_left_is_404(stand: Stand) -> None:
    assert (await stand.ask(PaperLog(GONE, LAW.network).request(0))).status_code == 404


async def test_the_nodes_own_log_is_404(stand: Stand) -> None:
    assert (await stand.ask(PaperLog(A, LAW.network).request(0))).status_code == 404


# 403.


async def test_a_checkpoint_that_the_log_has_not_signed_is_403(stand: Stand) -> None:
    note = stand.log.checkpoint()
    others = (C.keys.log.sign(note.text), cosign(A.keys.cosigner, Checkpoint(B.origin, TreeSize(1), seed()), time=1))
    for signature in (others[0], Signer(B.origin, ED25519, seed("another key")).sign(note.text)):
        answer = await stand.ask(AddCheckpoint(TreeSize(0), (), Note(note.text, (signature,))).encode())
        assert answer.status_code == 403
    assert stand.refused(403) == 2
    assert stand.cosigned == 0


async def test_a_false_signature_in_the_logs_name_is_403(stand: Stand) -> None:
    other = stand.log.checkpoint(root=seed("another root")).signatures
    body = AddCheckpoint(TreeSize(0), (), Note(stand.log.checkpoint().text, other)).encode()
    assert (await stand.ask(body)).status_code == 403


async def test_a_cosigner_key_is_no_log_key(stand: Stand) -> None:
    text = stand.log.checkpoint().text
    signer = Signer(B.origin, COSIGNATURE, seed(B.origin, "log"))
    body = AddCheckpoint(TreeSize(0), (), Note(text, (signer.cosign(text, 1),))).encode()
    assert (await stand.ask(body)).status_code == 403


# 400.


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\n",
        b"old 0\n",
        b"old 0\n\n",
        b"old -1\n\n",
        b"old 00\n\n",
        b"old 0 \n\n",
        b"old 9223372036854775808\n\n",
        b"new 0\n\n",
        b"\xff\xfe",
        b"old 0\nAA==\n\n",
        b"old 0\n" + b"not base64\n\n",
        b'{"old": 0}',
    ],
)
async def test_what_is_no_request_is_400(stand: Stand, body: bytes) -> None:
    if body.endswith(b"\n\n"):
        body += stand.log.checkpoint().encode() if body != b"old 0\n\n" else b""
    answer = await stand.ask(body)
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text.strip()
    assert stand.cosigned == 0


async def test_an_old_size_above_the_new_one_is_400(stand: Stand) -> None:
    stand.log.grow(3, A)
    check(await stand.ask(stand.log.request(0)), stand.log, 4)
    answer = await stand.ask(AddCheckpoint(TreeSize(4), (), stand.log.checkpoint(2)).encode())
    assert answer.status_code == 400


async def test_too_many_proof_lines_are_400(stand: Stand) -> None:
    body = AddCheckpoint(TreeSize(0), (seed(),) * 64, stand.log.checkpoint()).encode()
    assert (await stand.ask(body)).status_code == 400


async def test_too_many_signatures_are_400(stand: Stand) -> None:
    note = stand.log.checkpoint()
    many = tuple(Signer(f"stranger-{number}", ED25519, seed(str(number))).sign(note.text) for number in range(100))
    body = AddCheckpoint(TreeSize(0), (), Note(note.text, (*many, *note.signatures))).encode()
    assert (await stand.ask(body)).status_code == 400


async def test_a_body_that_is_too_long_is_413(stand: Stand) -> None:
    assert (await stand.ask(b"old 0\n" + b"A" * BODY_BYTES_MAX)).status_code == 413

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(BODY_BYTES_MAX // 1024 + 1):
            yield b"A" * 1024

    answer = await stand.client.post("/witness/add-checkpoint", content=chunks())
    assert answer.status_code == 413
    assert BODY_SECONDS_MAX > 1


# 409.


async def test_another_old_size_than_the_one_cosigned_last_is_409_with_the_size(stand: Stand) -> None:
    stand.log.grow(7, A)
    check(await stand.ask(stand.log.request(0, 5)), stand.log, 5)
    for old in (0, 1, 4, 6, 8):
        answer = await stand.ask(stand.log.request(old))
        assert answer.status_code == 409
        assert answer.content == b"5\n"
        assert answer.headers["content-type"] == SIZE
    assert stand.refused(409) == 5


async def test_a_log_that_was_never_cosigned_has_size_0(stand: Stand) -> None:
    stand.log.grow(2, A)
    answer = await stand.ask(stand.log.request(1))
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (409, b"0\n", SIZE)


# 422.


async def test_a_wrong_proof_is_422(stand: Stand) -> None:
    stand.log.grow(9, A)
    check(await stand.ask(stand.log.request(0, 5)), stand.log, 5)
    good = stand.log.proof(5, 10)
    wrong = [good[:-1], [*good, seed()], good[::-1], [seed(), *good[1:]], []]
    for proof in wrong:
        answer = await stand.ask(AddCheckpoint(TreeSize(5), tuple(proof), stand.log.checkpoint()).encode())
        assert answer.status_code == 422
        assert answer.headers["content-type"].startswith("text/plain")
    assert stand.refused(422) == len(wrong)
    assert stand.cosigned == 5
    assert not stand.node.alarms
    check(await stand.ask(stand.log.request(5)), stand.log, 10)


async def test_a_proof_from_size_0_is_422(stand: Stand) -> None:
    stand.log.grow(2, A)
    body = AddCheckpoint(TreeSize(0), (seed(),), stand.log.checkpoint()).encode()
    assert (await stand.ask(body)).status_code == 422


async def test_a_proof_between_equal_sizes_is_422(stand: Stand) -> None:
    check(await stand.ask(stand.log.request(0)), stand.log, 1)
    body = AddCheckpoint(TreeSize(1), (seed(),), stand.log.checkpoint()).encode()
    assert (await stand.ask(body)).status_code == 422


async def test_size_0_with_a_root_is_422(stand: Stand) -> None:
    full = sign_checkpoint(B.keys.log, Checkpoint(B.origin, TreeSize(0), seed("a root")))
    assert (await stand.ask(AddCheckpoint(TreeSize(0), (), full).encode())).status_code == 422


async def test_the_same_size_with_another_root_is_422_and_kept_as_proof(stand: Stand) -> None:
    stand.log.grow(3, A)
    check(await stand.ask(stand.log.request(0)), stand.log, 4)
    lie = stand.log.request(4, root=seed("another root"))
    answer = await stand.ask(lie)
    assert answer.status_code == 422
    assert "two roots for size 4" in stand.node.alarms[B.origin]
    [kept] = stand.node.equivocations.listed()
    assert (kept.verdict.kind, kept.verdict.log, kept.standing) == ("heads", B.origin, True)
    key = layout.equivocation_key(layout.log_id(B.origin), kept.id)
    await until(lambda: stand.node.store.get(key))
    assert stand.node.store.get(key) == stand.node.equivocations.read(kept.id)
    assert stand.node.store.get(layout.cosigned_key(layout.log_id(B.origin))) == stand.log.checkpoint().encode()


async def test_a_log_that_has_lied_is_not_cosigned_any_more_not_even_after_a_restart(stand: Stand) -> None:
    stand.log.grow(3, A)
    check(await stand.ask(stand.log.request(0)), stand.log, 4)
    for number in range(3):
        assert (await stand.ask(stand.log.request(4, root=seed(str(number))))).status_code == 422
    stand.log.grow(3, A)
    answer = await stand.ask(stand.log.request(4))
    assert answer.status_code == 422
    assert "in doubt" in answer.text
    await stand.town.stop(A)
    node = stand.town.open(A)
    await node.recovery.once()
    assert B.origin in node.alarms
    async with stand.town.client(A, token=None) as client:
        assert (await client.post("/witness/add-checkpoint", content=stand.log.request(4))).status_code == 422
    assert stand.node.store.closed


async def test_a_root_to_which_the_entries_do_not_hash_is_422_and_an_alarm(stand: Stand) -> None:
    stand.log.grow(3, A)
    answer = await stand.ask(stand.log.request(0, root=seed("another root")))
    assert answer.status_code == 422
    assert "do not hash" in stand.node.alarms[B.origin]
    assert stand.cosigned == 0


# 503.


async def test_while_the_entries_cannot_be_had_it_is_503(stand: Stand) -> None:
    stand.log.grow(3, A)
    stand.town.wire.cut.add("d1.test")
    answer = await stand.ask(stand.log.request(0))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert stand.refused(503) == 1
    assert stand.cosigned == 0
    stand.town.wire.cut.clear()
    check(await stand.ask(stand.log.request(0)), stand.log, 4)


async def test_while_fetching_takes_long_it_is_503_and_the_fetching_goes_on(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witness, "ENTRIES_SECONDS_MAX", 0.05)
    stand.log.grow(3, A)
    held = stand.town.wire.held["d1.test"] = asyncio.Event()
    assert (await stand.ask(stand.log.request(0))).status_code == 503
    stand.town.wire.held.clear()
    held.set()
    await until(lambda: stand.node.states[B.origin].size == 4)
    check(await stand.ask(stand.log.request(0)), stand.log, 4)


async def test_entries_that_are_not_the_logs_are_503_and_not_stored(stand: Stand) -> None:
    async def liar(request: httpx.Request) -> httpx.Response:
        return (
            bundle([raw.replace(b"share", b"sh\xc3\xa4re") for raw in stand.log.raws]) if request.method else bundle([])
        )

    stand.log.grow(3, A)
    stand.town.wire.answer(B, liar)
    assert (await stand.ask(stand.log.request(0))).status_code == 503
    assert stand.node.states[B.origin].size < 4
    assert stand.cosigned == 0


async def test_a_promise_of_more_entries_than_there_are_holds_up_no_honest_checkpoint(stand: Stand) -> None:
    """The log signs a size that it does not have; what it has signed honestly before is still cosigned."""
    stand.log.grow(3, A)
    false = sign_checkpoint(B.keys.log, Checkpoint(B.origin, TreeSize(2**62), seed("a root")))
    assert (await stand.ask(AddCheckpoint(TreeSize(0), (), false).encode())).status_code == 503
    check(await stand.ask(stand.log.request(0)), stand.log, 4)
    assert stand.cosigned == 4


async def test_a_node_whose_store_has_gone_answers_503(stand: Stand) -> None:
    stand.log.grow(3, A)
    await stand.node.mirror.catch_up(B.origin, 4)
    disk = stand.town.disks[A.name]
    disk.flip(layout.chain_key(layout.log_id(B.origin)))
    disk.fail_write(disk.writes + 1, Fault.BEFORE)
    for _ in range(2):
        assert (await stand.ask(stand.log.request(0))).status_code == 503


# Racing requests.


async def test_racing_requests_never_cosign_two_roots_of_one_size(stand: Stand) -> None:
    fork = PaperLog(B, LAW.network)
    stand.log.append(share(901, A))
    fork.append(share(902, A))
    assert stand.log.root() != fork.root()

    def server(which: PaperLog) -> None:
        stand.town.wire.answer(B, which.answer)

    answers = []
    for number in range(4):
        server((stand.log, fork)[number % 2])
        bodies = [log.request(0) for log in (stand.log, fork)] * 4
        answers += await asyncio.gather(*(stand.ask(body) for body in bodies))
    good = [answer for answer in answers if answer.status_code == 200]
    texts = set()
    for answer, log in itertools.product(good, (stand.log, fork)):
        [signature] = parse_cosignatures(answer.content)
        try:
            verify_cosignature(A.keys.cosigner.verifier, log.checkpoint().text, signature)
        except Exception:  # noqa: BLE001 - not of this log
            continue
        texts.add(log.root())
    assert len(texts) <= 1  # none, where the log is convicted by its entries before any was cosigned
    assert {answer.status_code for answer in answers} <= {200, 409, 422, 503}


async def test_racing_requests_from_one_size_take_one_step_each(stand: Stand) -> None:
    stand.log.grow(9, A)
    check(await stand.ask(stand.log.request(0, 5)), stand.log, 5)
    answers = await asyncio.gather(*(stand.ask(stand.log.request(5, size)) for size in (6, 7, 8, 9, 10) * 3))
    assert [answer.status_code for answer in answers].count(200) >= 1
    assert {answer.status_code for answer in answers} <= {200, 409}
    first = next(number for number, answer in enumerate(answers) if answer.status_code == 200)
    assert stand.cosigned == (6, 7, 8, 9, 10)[first % 5]


async def test_compare_and_store_is_one_step_even_against_a_second_witness(stand: Stand) -> None:
    """What the event loop has checked is checked again where it is written."""
    stand.log.grow(4, A)
    await stand.node.mirror.catch_up(B.origin, 5)
    other = witness.Witness(
        own=A.origin,
        signer=lambda: A.keys.cosigner,
        mirror=stand.node.mirror,
        writer=stand.node.writer,
        network=lambda: LAW.network,
        clock=stand.town.clock,
        metrics=stand.node.metrics,
        recovery=stand.node.recovery,
        adoption=stand.node.adoption,
        peers=stand.node.peers,
        equivocations=stand.node.equivocations,
        alarms={},
    )
    outcomes = await asyncio.gather(
        stand.node.witness.add_checkpoint(stand.log.request(0, 3)),
        other.add_checkpoint(stand.log.request(0, 4)),
        return_exceptions=True,
    )
    lost = [one for one in outcomes if isinstance(one, BaseException)]
    assert [type(one) for one in lost] == [witness.WrongSizeError]
    assert stand.cosigned in (3, 4)


async def test_requests_for_different_logs_do_not_wait_for_each_other(stand: Stand) -> None:
    stand.log.grow(3, A)
    c_log = PaperLog(C, LAW.network)
    stand.town.wire.answer(C, c_log.answer)
    await stand.node.peers[C.origin].logs()  # it was down when the node started, and answers now
    held = stand.town.wire.held["d1.test"] = asyncio.Event()
    waiting = asyncio.create_task(stand.ask(stand.log.request(0)))
    async with asyncio.timeout(PATIENCE_SECONDS):
        answer = await stand.ask(c_log.request(0))
    assert answer.status_code == 200
    assert not waiting.done()
    stand.town.wire.held.clear()
    held.set()
    check(await waiting, stand.log, 4)
