"""Keys are replaced while the logs go on: announced, named by the document, used; what was signed stays valid."""

import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from node_helpers import (
    NOW_MS,
    RECORD,
    Desk,
    Paper,
    PaperLog,
    Party,
    Town,
    entry_of,
    event_id,
    paper,
    parties,
    share,
    until,
    verify_log,
)
from structlog.testing import capture_logs

from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.cosignature import add_signatures, cosign
from ledger.encoding import encode_base64
from ledger.entry import sign_texts
from ledger.errors import BadValueError, KeyEndedError, OutOfRangeError
from ledger.event import KeyRotate
from ledger.event.base import parse_model
from ledger.evidence import verify_evidence, verify_proof_file
from ledger.merkle import TreeSize
from ledger.network import MemberEntry, Network
from ledger.note import Signer
from ledger.quorum import judge_checkpoint
from ledger.store.memory import MemoryDisk
from ledger.versions import verify_chain
from node.audit import audit_store
from node.errors import ConflictError, FrozenError, IntegrityAlarm, ReadOnlyError, RefusedError, RotationError
from node.faults import PeerError
from node.fetching import KEY_ENDED
from node.keys import KeyRing
from node.logs import find_ended
from node.service import Node
from node.setup import member_json, rotated_entry
from node.signers import close_processes, load_signers
from node.submission import Submission, prepare

A, B, C, D = FOUR = parties(4)
ROTATE = frozenset({KeyRotate.TYPE})


def rotation(number: int, role: str, **members: Any) -> dict[str, Any]:
    keys = A.other_keys(role)
    public = encode_base64(keys.sealing_public) if role == "sealing" else getattr(keys, role).verifier.vkey
    return {"id": event_id(number), "type": KeyRotate.TYPE, "role": role, "key": public, **members}


def spans(party: Party, start: int) -> dict[str, Any]:
    """The member's entry when its next log key begins at ``start``."""
    old, new = party.keys.log.verifier.vkey, party.other_keys("log").log.verifier.vkey
    return entry_of(party, log_keys=[{"key": old, "from": 0, "until": start}, {"key": new, "from": start}])


def both(party: Party, role: str) -> KeyRing:
    return KeyRing.of(party.keys, party.other_keys(role))


async def everybody_confirms(town: Town, size: int) -> None:
    await until(
        lambda: all(node.states[A.origin].confirmed_size == size for node in town.nodes.values()), f"{size} confirmed"
    )


async def post(town: Town, path: str, body: Any) -> httpx.Response:
    async with town.client(A) as client:
        return await client.post(path, json=body)


async def adopted(town: Town, law: Paper) -> Network:
    """Give A's node another version of the document, and wait until all logs act under it; return it."""
    await town.nodes[A.name].adopt(law.document)
    town.law = law

    def done() -> bool:
        return all(
            state.confirmed is not None and state.confirmed.version == law.network.version
            for node in town.nodes.values()
            for state in node.states.values()
        )

    await until(done, "everybody has the version")
    return verify_chain(law.document, law.fingerprint)


# End to end.


async def test_a_log_key_is_replaced_and_what_both_have_signed_verifies_everywhere(tmp_path: Path) -> None:
    async with Town(tmp_path, FOUR) as town:
        node, *_ = await town.start()
        await post(town, "/v1/events", share(1, B))
        await everybody_confirms(town, 2)
        proof = node.history().proof(A.origin, 1).encode()
        evidence = node.history().evidence(RECORD, town.law.document)

        # Announced: at 2 stands the announcement; the old key signs up to 5.
        town.rings[A.name] = both(A, "log")
        announcement = rotation(2, "log", **{"from": 6})
        answers = [await post(town, "/v1/keys", announcement) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [201, 201]
        assert answers[0].json() | {"state": ""} == answers[1].json() | {"state": ""}
        assert answers[0].json()["entry"]["index"] == 2
        assert (await post(town, "/v1/events", share(3, B))).status_code == 201
        crossing = {"events": [share(number, B) for number in (4, 5, 6)]}
        refused = await post(town, "/v1/events/batch", crossing)
        assert refused.status_code == 503
        assert refused.json()["code"] == "read_only"
        assert "entry 6" in refused.json()["detail"]
        assert "member.json" in refused.json()["hint"]
        assert node.state.size == 4
        await everybody_confirms(town, 4)

        # Named: at 4 the log adopts the document, and a batch across the boundary is signed by both keys.
        law = town.law.next([spans(A, 6), *map(entry_of, (B, C, D))], quorum={"faults": 0})
        network = await adopted(town, law)
        assert node.keys.log.verifier == A.other_keys("log").log.verifier
        answer = await post(town, "/v1/events/batch?wait=confirmed", crossing)
        assert answer.status_code == 201
        assert {event["state"] for event in answer.json()["events"]} == {"confirmed"}
        await everybody_confirms(town, 8)
        key_ids = [A.keys.log.verifier.key_id] * 6 + [A.other_keys("log").log.verifier.key_id] * 2
        for one in town.nodes.values():
            assert [entry.key_id for entry in verify_log(one.store, one.states[A.origin], network)] == key_ids
            assert not one.alarms

        # What was proven before is proven still, and so is what came after.
        assert verify_proof_file(proof, network).entry.index == 1
        assert verify_evidence(evidence, fingerprint=law.fingerprint, network=network)
        for index in (1, 4, 5, 6, 7):
            again = node.history().proof(A.origin, index).encode()
            assert verify_proof_file(again, network).entry.index == index


@pytest.mark.parametrize("role", ["cosigner", "transport", "sealing"])
async def test_another_key_is_replaced_when_the_document_names_it(tmp_path: Path, role: str) -> None:
    async with Town(tmp_path, FOUR) as town:
        node, *_ = await town.start()
        await post(town, "/v1/events", share(1, B))
        await everybody_confirms(town, 2)
        proof = node.history().proof(A.origin, 1).encode()
        town.rings[A.name] = both(A, role)
        event = rotation(2, role)
        assert (await post(town, "/v1/keys", event)).status_code == 201
        await everybody_confirms(town, 3)
        assert getattr(node.keys, role) == getattr(A.keys, role)  # announced, not in use

        announced = parse_model(KeyRotate, event)
        entry = member_json(rotated_entry(parse_model(MemberEntry, entry_of(A)), [announced]))
        assert entry == entry_of(A) | {role: event["key"]}
        network = await adopted(town, town.law.next([entry, *map(entry_of, (B, C, D))], quorum={"faults": 0}))
        assert getattr(node.keys, role) == getattr(A.other_keys(role), role)
        assert len(node.ring.sealing_keys) == (2 if role == "sealing" else 1)
        assert (await post(town, "/v1/events?wait=confirmed", share(3, B))).json()["state"] == "confirmed"
        await everybody_confirms(town, 5)
        assert verify_proof_file(proof, network).entry.index == 1
        assert verify_proof_file(node.history().proof(A.origin, 4).encode(), network)
        assert not any(one.alarms for one in town.nodes.values())


async def test_a_document_that_names_a_key_which_is_not_here_is_an_alarm_and_the_log_is_read_only(
    tmp_path: Path,
) -> None:
    async with Town(tmp_path, FOUR) as town:
        node, *_ = await town.start()
        await everybody_confirms(town, 1)
        entry = entry_of(A, cosigner=A.other_keys("cosigner").cosigner.verifier.vkey)
        law = town.law.next([entry, *map(entry_of, (B, C, D))], quorum={"faults": 0})
        await node.adopt(law.document)
        assert "another cosigner key" in node.alarms[A.origin]
        assert node.keys.cosigner is A.keys.cosigner
        node.alarms.lift(A.origin, "keys")  # whatever becomes of the alarm, the key is still not here
        async with town.client(A, token=None) as client:
            told = await client.get("/v1/health")
        assert (told.status_code, told.json()["status"]) == (503, "keys_missing")
        assert told.json()["missing_keys"] == [{"role": "cosigner", "key": entry["cosigner"]}]
        node.alarms.take(IntegrityAlarm("again", field=A.origin, cause="keys"))
        assert (await post(town, "/v1/events", share(1, B))).status_code == 503
        await node.adopt(law.next(list(map(entry_of, FOUR)), quorum={"faults": 0}).document)
        assert A.origin not in node.alarms  # the governors have corrected it
        await until(lambda: node.state.version_at(node.state.size, node.network) == 3, "version 3 in the own log")
        assert (await post(town, "/v1/events", share(1, B))).status_code == 201


AWAITED = "nothing is recorded until the log's next key is in force"


async def test_health_tells_of_the_next_log_key_until_the_network_document_names_it(tmp_path: Path) -> None:
    async def told() -> tuple[int, str, Any]:
        async with town.client(A, token=None) as client:
            answer = await client.get("/v1/health")
        return answer.status_code, answer.json()["status"], answer.json()["next_log_key"]

    async with Town(tmp_path, FOUR) as town:
        await town.start()
        await everybody_confirms(town, 1)
        assert await told() == (200, "ok", None)
        town.rings[A.name] = both(A, "log")
        event = rotation(1, "log", **{"from": 3})
        assert (await post(town, "/v1/keys", event)).status_code == 201
        promised = {"key": event["key"], "from": 3}
        assert await told() == (200, "ok", promised)
        with capture_logs() as logs:
            assert (await post(town, "/v1/events", share(2, B))).status_code == 201
            assert (await post(town, "/v1/events", share(3, B))).status_code == 503
            assert await told() == (503, "key_awaited", promised)
            await everybody_confirms(town, 3)
        assert [line for line in logs if line["event"] == AWAITED] == [
            {"event": AWAITED, "log_level": "warning", "start": 3, "key": event["key"]}
        ]
        await adopted(town, town.law.next([spans(A, 3), *map(entry_of, (B, C, D))], quorum={"faults": 0}))
        assert await told() == (200, "ok", None)


async def test_a_node_whose_keys_another_process_has_records_confirms_and_cosigns(tmp_path: Path) -> None:
    (tmp_path / "signer.py").write_text(SIGNER.format(path=sys.path))
    keys = (A.keys.log, A.keys.cosigner, A.keys.transport)
    (tmp_path / "secret").write_text("\n".join(key.skey for key in keys if isinstance(key, Signer)))
    try:
        found = load_signers(f"exec:{sys.executable} signer.py", tmp_path)
        elsewhere = {role: (key,) for role, key in zip(("log", "cosigner", "transport"), found, strict=True)}
        async with Town(tmp_path / "town", FOUR) as town:
            town.rings[A.name] = KeyRing(elsewhere, (A.keys.sealing,), A.keys.record)
            node, other, *_ = await town.start()
            assert not isinstance(node.keys.log, Signer)
            assert (await post(town, "/v1/events?wait=confirmed", share(1, B))).json()["state"] == "confirmed"
            await everybody_confirms(town, 2)
            await until(lambda: node.states[B.origin].cosigned_head.size == 1)
            await until(lambda: other.peers[A.origin].status.reachable)
            (tmp_path / "signer.py").write_text("input(); print('error the token is out', flush=True)")
            close_processes()
            refused = await post(town, "/v1/events", share(2, B))
            assert (refused.status_code, refused.json()["code"]) == (503, "signer_failed")
            assert node.state.size == 2
    finally:
        close_processes()


SIGNER = """
import base64, sys
sys.path[:0] = {path!r}
from ledger.note import parse_skey
keys = {{key.verifier.key_id.hex(): key for key in map(parse_skey, open("secret").read().split())}}
for line in sys.stdin:
    word, *rest = line.split()
    if word == "keys":
        print("keys", *(key.verifier.vkey for key in keys.values()), flush=True)
    else:
        signature = keys[rest[0]].sign_bytes(base64.b64decode(rest[1]))
        print("signature", base64.b64encode(signature).decode(), flush=True)
"""


async def test_the_promise_is_kept_after_a_restart_and_after_the_loss_of_the_disk(tmp_path: Path) -> None:
    async with Town(tmp_path, FOUR, law=paper(FOUR)) as town:  # the others' memory is asked for
        [node, *_] = await town.start()
        town.rings[A.name] = both(A, "log")
        await everybody_confirms(town, 1)
        assert (await post(town, "/v1/keys", rotation(1, "log", **{"from": 2}))).status_code == 201
        await everybody_confirms(town, 2)
        for lost in (False, True):
            await town.stop(A)
            if lost:
                town.disks[A.name] = MemoryDisk()
                (town.folder / A.name / "head").unlink()
            with capture_logs() as logs:
                [node] = await town.start(A)
                await until(lambda node=node: node.state.size == 2)  # type: ignore[misc]
                await until(lambda logs=logs: [line for line in logs if line["event"] == AWAITED])  # type: ignore[misc]
            assert node.state.rotation is not None
            assert (await post(town, "/v1/events", share(2, B))).status_code == 503


async def test_a_key_that_the_node_does_not_have_is_not_announced(tmp_path: Path) -> None:
    async with Town(tmp_path, [A]) as town:
        [node] = await town.start()
        answer = await post(town, "/v1/keys", rotation(1, "cosigner"))
        assert (answer.status_code, answer.json()["code"]) == (409, "rotation_refused")
        town.rings[A.name] = both(A, "cosigner")
        assert (await post(town, "/v1/keys", rotation(1, "cosigner"))).status_code == 201
        assert node.state.size == 2


async def test_announcing_takes_an_admin_and_an_announcement(tmp_path: Path) -> None:
    async with Town(tmp_path, [A]) as town:
        await town.start()
        async with town.client(A, token=None) as nobody:
            assert (await nobody.post("/v1/keys", json=rotation(1, "log"))).status_code == 401
        for body in (share(1, B), rotation(1, "log"), rotation(1, "cosigner", **{"from": 3}), {"type": "key.rotate"}):
            assert (await post(town, "/v1/keys", body)).status_code == 422
        assert (await post(town, "/v1/events", rotation(1, "cosigner"))).status_code == 422


# What the log promises.


@pytest.fixture
def disk() -> MemoryDisk:
    return MemoryDisk()


async def test_what_an_ended_key_has_signed_accuses_nobody_though_it_was_judged_before(tmp_path: Path) -> None:
    law = paper(FOUR)
    async with Town(tmp_path, FOUR, law=law) as town:
        node = town.open(A)
        log = PaperLog(B, law.network)
        log.append(share(1, A))
        town.wire.answer(B, log.answer)
        await node.mirror.catch_up(B.origin, 2)
        other = judge_checkpoint(log.checkpoint(2, root=bytes(32)), law.network)
        ahead = judge_checkpoint(log.checkpoint(3, root=bytes(32)), law.network)
        node.recovery._promise(ahead)
        await node.adopt(law.next([entry_of(A), spans(B, 2), entry_of(C), entry_of(D)]).document)
        with capture_logs(), pytest.raises(KeyEndedError):
            node.mirror.contradict(ahead, "another root")
        assert not node.alarms
        assert node.recovery._still_promised(B.origin) == node.recovery._promised(B.origin) == []
        with capture_logs(), pytest.raises(FrozenError):
            node.mirror.contradict(other, "another root")  # that key has signed up to here, and is believed


def announce(desk: Desk, number: int, start: int) -> Any:
    event = prepare(rotation(number, "log", **{"from": start}), origin=A.origin, types=ROTATE)
    return desk.writer.submit_to(desk.sequencer, Submission((event,))).result(5)


def test_an_announcement_cannot_begin_at_or_before_itself(disk: MemoryDisk) -> None:
    with Desk(A, paper([A, B]).network, disk=disk) as desk:
        desk.record(share(1, B))
        with pytest.raises(RotationError, match="this is entry 1"):
            announce(desk, 2, 1)
        announce(desk, 2, 2)
        with pytest.raises(ReadOnlyError, match="announced another key from entry 2 on"):
            desk.record(share(3, B))
        assert desk.state.size == 2


@pytest.mark.parametrize("role", ["log", "cosigner", "transport", "sealing"])
def test_a_key_that_is_in_force_is_no_next_one(disk: MemoryDisk, role: str) -> None:
    public = encode_base64(A.keys.sealing_public) if role == "sealing" else getattr(A.keys, role).verifier.vkey
    value = rotation(1, role, key=public, **({"from": 5} if role == "log" else {}))
    with Desk(A, paper([A, B]).network, disk=disk) as desk:
        event = prepare(value, origin=A.origin, types=ROTATE)
        with pytest.raises(RotationError, match="names that key already"):
            desk.writer.submit_to(desk.sequencer, Submission((event,))).result(5)
        assert desk.state.size == 0


def test_a_promise_is_kept_within_the_round_in_which_it_is_given(disk: MemoryDisk) -> None:
    with Desk(A, paper([A, B]).network, disk=disk) as desk:
        desk.record(share(1, B))
        first = prepare(rotation(2, "log", **{"from": 2}), origin=A.origin, types=ROTATE)
        together = Submission((first, desk.prepare(share(3, B))))
        with pytest.raises(ReadOnlyError):
            desk.writer.submit_to(desk.sequencer, together).result(5)
        assert desk.state.size == 1
        desk.record(share(3, B))  # the promise was taken back with the submission
        assert desk.state.rotation is None


def test_a_promise_may_be_given_again_but_for_no_other_entry(disk: MemoryDisk) -> None:
    with Desk(A, paper([A, B]).network, disk=disk) as desk:
        announce(desk, 1, 3)
        for start in (2, 4, 5):  # from 2 on, no key could sign entry 2 if the governors name the one from 3 on
            with pytest.raises(RotationError, match="promised another key from entry 3 on"):
                announce(desk, 2, start)
        announce(desk, 3, 3)
        with pytest.raises(ConflictError):
            announce(desk, 3, 4)
        desk.record(share(4, B))
        with pytest.raises(ReadOnlyError):
            desk.record(share(5, B))


def test_the_log_goes_on_when_the_document_names_the_new_key(disk: MemoryDisk) -> None:
    with Desk(A, paper([A, B]).network, disk=disk) as desk:
        announce(desk, 1, 2)
        desk.record(share(2, B))
    law = paper([spans(A, 2), B])
    with Desk(A, law.network, disk=disk) as desk:
        with pytest.raises(ReadOnlyError, match="is not here") as refused:
            desk.record(share(3, B))
        assert refused.value.hint
        desk.sequencer._keys = lambda: both(A, "log").select(law.network.member(A.origin))
        desk.record(share(3, B), share(4, B))
        assert [entry.key_id for entry in law_entries(desk)] == [A.keys.log.verifier.key_id] * 2 + [
            A.other_keys("log").log.verifier.key_id
        ] * 2


def law_entries(desk: Desk) -> list[Any]:
    from ledger.entry import parse_entry  # noqa: PLC0415 - only here
    from node.history import read_entries  # noqa: PLC0415

    return [parse_entry(raw) for raw in read_entries(desk.store, desk.state, 0, 100, 1 << 20)]


def test_a_record_of_other_roles_promises_nothing(disk: MemoryDisk) -> None:
    with Desk(A, paper([A, B]).network, disk=disk) as desk:
        event = prepare(rotation(1, "cosigner"), origin=A.origin, types=ROTATE)
        desk.writer.submit_to(desk.sequencer, Submission((event,))).result(5)
        assert desk.state.rotation is None
        desk.record(share(2, B))
    with Desk(A, paper([A, B]).network, disk=disk) as desk:
        assert desk.state.rotation is None


def test_the_newest_promise_is_found_again(disk: MemoryDisk) -> None:
    with Desk(A, paper([A, B]).network, disk=disk) as desk:
        announce(desk, 1, 7)
        announce(desk, 2, 7)
        promised = desk.state.rotation
    with Desk(A, paper([A, B]).network, disk=disk) as desk:
        assert desk.state.rotation == promised
        assert promised is not None
        assert promised.start == 7


def test_the_entry_for_the_governors_has_all_keys_that_were_announced() -> None:
    events = [parse_model(KeyRotate, rotation(1, "log", **{"from": 9})), parse_model(KeyRotate, rotation(2, "sealing"))]
    entry = member_json(rotated_entry(parse_model(MemberEntry, entry_of(A)), events))
    assert entry == spans(A, 9) | {"sealing": events[1].key}
    assert rotation(1, "log")["key"] != A.keys.log.verifier.vkey


def test_what_is_no_announcement_is_refused_by_its_schema() -> None:
    for bad, kind in (
        (rotation(1, "log", **{"from": 0}), OutOfRangeError),
        (rotation(1, "cosigner") | {"role": "transport"}, BadValueError),
    ):
        with pytest.raises(kind):
            prepare(bad, origin=A.origin, types=ROTATE)
    assert issubclass(RotationError, RefusedError)


# Keys that have ended.

ENDED = paper([spans(A, 3), B, C, D], quorum={"faults": 0})


def forged(count: int) -> PaperLog:
    """A's log, signed with the old key throughout, also where it had ended."""
    log = PaperLog(A, ENDED.network, FOUR)
    log.grow(count - 1, B)
    return log


def new_key_signs(log: PaperLog, start: int) -> None:
    """Sign the entries from ``start`` on with A's next key, as A does."""
    for index in range(start, log.size):
        text = log.raws[index].rsplit(b"\n\n", 1)[0] + b"\n"
        [log.raws[index]] = sign_texts(A.other_keys("log").log, [text])


async def test_entries_signed_with_a_key_that_had_ended_are_refused_and_counted(tmp_path: Path) -> None:
    log = forged(5)
    with capture_logs() as logged:
        async with Town(tmp_path, FOUR, law=ENDED, peer_timeout_ms=100) as town:
            node = town.open(B)
            town.wire.answer(A, log.answer)
            for times in range(1, 6):
                with pytest.raises(PeerError, match=r"d0\.test/log#3 is signed by key [0-9a-f]{8}, which had ended"):
                    await node.mirror.catch_up(A.origin, 5)
                assert node.states[A.origin].size == 0
                assert counted(node) == times
            assert [one.get("times", 1) for one in logged if one["event"] == KEY_ENDED] == [1, 2, 4]
            assert {one["code"] for one in logged if one["event"] == KEY_ENDED} == {"key_ended"}
            await node.mirror.catch_up(A.origin, 3)
            new_key_signs(log, 3)
            await node.mirror.catch_up(A.origin, 5)
            assert node.states[A.origin].size == 5
            assert counted(node) == times
            assert KEY_ENDED in [one["what"] for one in logged if one["event"] == "a failure is over"]


def counted(node: Node) -> float:
    return node.metrics.registry.get_sample_value("suyuan_ended_keys_total", {"log": A.origin}) or 0.0


async def test_an_entry_that_only_names_a_key_that_had_ended_accuses_nobody(tmp_path: Path) -> None:
    log = forged(5)
    text, _, line = log.raws[3].rpartition(b"\n\n")
    log.raws[3] = text + b"\n\n" + line[:-10] + b"AAAAAAA==\n"
    with capture_logs():
        async with Town(tmp_path, FOUR, law=ENDED, peer_timeout_ms=100) as town:
            node = town.open(B)
            town.wire.answer(A, log.answer)
            with pytest.raises(PeerError):
                await node.mirror.catch_up(A.origin, 4)
            assert counted(node) == 0


async def test_a_checkpoint_signed_with_a_key_that_had_ended_is_refused_and_shown(tmp_path: Path) -> None:
    log = forged(5)
    with capture_logs():
        async with Town(tmp_path, FOUR, law=ENDED, peer_timeout_ms=100) as town:
            node = town.open(B)
            await node.recovery.once()
            town.wire.answer(A, log.answer)
            async with town.client(B, token=None) as client:
                answer = await client.post("/witness/add-checkpoint", content=log.request(0))
            assert answer.status_code == 403
            assert "had ended" in answer.text
            assert counted(node) == 1
            with pytest.raises(KeyEndedError):
                await node.mirror.take_confirmed(log.checkpoint(cosigners=4).encode(), origin=A.origin)
            await node.gossip.compare(node.peers[A.origin])
            assert counted(node) == 2
            async with town.client(B) as client:
                peers = {peer["log"]: peer for peer in (await client.get("/v1/peers")).json()["peers"]}
            assert {one["kind"]: one["count"] for one in peers[A.origin]["faults"]}["key_ended"] == 1

            new_key_signs(log, 3)
            promise = Checkpoint(A.origin, TreeSize(5), log.root())
            note = sign_checkpoint(A.other_keys("log").log, promise)
            signed = [cosign(party.keys.cosigner, promise, time=NOW_MS // 1000) for party in FOUR[:3]]
            assert await node.mirror.take_confirmed(add_signatures(note, signed).encode(), origin=A.origin)


@pytest.mark.parametrize("live", [True, False], ids=["on adoption", "at the start"])
async def test_entries_that_became_void_are_found(tmp_path: Path, *, live: bool) -> None:
    before = paper(FOUR, quorum={"faults": 0})
    after = before.next([spans(A, 3), *map(entry_of, (B, C, D))], quorum={"faults": 0})
    log = PaperLog(A, before.network, FOUR)
    log.grow(4, B)
    with capture_logs():
        async with Town(tmp_path, FOUR, law=before, peer_timeout_ms=100) as town:
            node = town.open(B)
            town.wire.answer(A, log.answer)
            await node.mirror.take_confirmed(log.checkpoint(cosigners=3).encode(), origin=A.origin)
            assert find_ended(node.store, node.states[A.origin], before.network.member(A.origin)) is None
            if live:
                await node.adopt(after.document)
            else:
                await town.stop(B)
                town.law = after
                node = town.open(B)
            assert "from 3 on" in node.alarms[A.origin]
            assert A.keys.log.verifier.key_id.hex() in node.alarms[A.origin]
            assert node.states[A.origin].size == 5  # nothing is thrown away
            found = find_ended(node.store, node.states[A.origin], after.network.member(A.origin))
            assert found == (3, A.keys.log.verifier)


async def test_a_department_whose_own_entries_became_void_starts_and_only_reads(tmp_path: Path) -> None:
    async with Town(tmp_path, [A, B]) as town:
        [node, _] = await town.start()
        for number in (1, 2):
            assert (await post(town, "/v1/events?wait=confirmed", share(number, B))).status_code == 201
        await town.stop(A)
        town.rings[A.name] = both(A, "log")
        town.law = town.law.next([spans(A, 2), entry_of(B)], quorum={"faults": 0})
        with capture_logs():
            node = town.open(A)
            assert "from 2 on" in node.alarms[A.origin]
            assert (await post(town, "/v1/events", share(3, B))).status_code == 503
            assert node.state.size == 3  # nothing is thrown away


def test_a_key_that_ended_where_no_entry_stands_yet_is_no_finding(disk: MemoryDisk) -> None:
    with Desk(A, paper([A, B]).network, disk=disk) as desk:
        desk.record(share(1, B), share(2, B))
        for start, found in ((3, None), (2, None), (1, (1, A.keys.log.verifier))):
            assert find_ended(desk.store, desk.state, paper([spans(A, start), B]).network.member(A.origin)) == found


def test_the_audit_names_log_entry_and_key_of_what_became_void(disk: MemoryDisk) -> None:
    before = paper([A, B])
    after = before.next([spans(A, 2), entry_of(B)])
    with Desk(A, before.network, disk=disk) as desk:
        desk.record(share(1, B), share(2, B), share(3, B), share(4, B))
        announce(desk, 5, 9)
        networks = [before.network, after.network]
        damages = audit_store(desk.store, networks, own=A.origin, head=None).damages
        key = A.keys.log.verifier.key_id.hex()
        assert [(one.code, one.place) for one in damages] == [("key_ended", f"{A.origin}#{at}") for at in (2, 3, 4)]
        assert all(f"by key {key}, which had ended" in one.message for one in damages)
        assert audit_store(desk.store, networks[:1], own=A.origin, head=None).sound
