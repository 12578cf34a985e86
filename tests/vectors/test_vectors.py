"""The published vectors, docs/vectors/*.json: the code agrees with every one of them, and they can be made anew."""

import base64
import hashlib
import hmac
import json
import runpy
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest

from ledger.cosignature import add_signatures
from ledger.encoding import (
    canonical_json,
    decode_utf8,
    encode_base64,
    format_time,
    parse_base64,
    parse_canonical_json,
    parse_decimal,
    parse_json,
    parse_time,
)
from ledger.entry import open_chain, verify_entries
from ledger.errors import LedgerError
from ledger.event import Violation, parse_event, read_event
from ledger.event.transfer import ManifestRef
from ledger.evidence import verify_evidence, verify_proof_file
from ledger.manifest import make_manifest, parse_manifest, verify_membership
from ledger.merkle import LeafIndex, TreeHead, TreeSize, leaf_hash, root_of, verify_consistency, verify_inclusion
from ledger.network import Network, parse_network
from ledger.note import Signer, open_note, parse_note, parse_skey, parse_vkey, verify_detached
from ledger.quorum import judge_checkpoint
from ledger.record import record_ref
from ledger.tile import BundlePath, Edge, edge_tiles, encode_bundle, hash_tiles, parse_bundle, parse_tile_path
from ledger.versions import fingerprint_of, verify_chain
from ledger.witness_request import parse_add_checkpoint
from node.gate import PeerGate
from node.transport import PeerAuth

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "vectors"
BYTES_MAX = 400_000  # of all files: they are there to be read

Vector = dict[str, Any]


@cache
def load(name: str) -> Vector:
    document: Vector = json.loads((FOLDER / f"{name}.json").read_text("ascii"))
    return document


def cases(name: str, *groups: str, refused: bool = False) -> pytest.MarkDecorator:
    """Parametrise over the vectors of some groups: those that must be refused, or the others."""
    found = [case for group in groups for case in load(name)[group] if ("error" in case) == refused]
    assert found
    return pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in found])


@contextmanager
def refusal(case: Vector) -> Iterator[None]:
    with pytest.raises(LedgerError) as caught:
        yield
    assert caught.value.code == case["error"], caught.value
    if "field" in case:
        assert caught.value.field == case["field"]


def test_making_the_vectors_anew_gives_the_same_bytes() -> None:
    made = runpy.run_path(str(ROOT / "tools" / "make_vectors.py"), run_name="make_vectors")["documents"]()
    assert {name: (FOLDER / name).read_bytes() for name in made} == made
    assert sorted(made) == sorted(path.name for path in FOLDER.iterdir())
    assert sum(map(len, made.values())) < BYTES_MAX


def test_every_vector_has_a_name_of_its_own() -> None:
    for path in FOLDER.glob("*.json"):
        for group, members in load(path.stem).items():
            if isinstance(members, list):
                names = [case["name"] for case in members]
                assert len(set(names)) == len(names), (path.name, group)


# Encodings.


@cases("encodings", "decimals")
def test_a_good_decimal_is_its_value(case: Vector) -> None:
    assert str(parse_decimal(case["text"])) == case["value"]


@cases("encodings", "decimals", refused=True)
def test_a_bad_decimal_is_refused(case: Vector) -> None:
    with refusal(case):
        parse_decimal(case["text"])


@cases("encodings", "base64")
def test_good_base64_is_its_bytes(case: Vector) -> None:
    assert parse_base64(case["text"]).hex() == case["hex"]
    assert base64.b64encode(bytes.fromhex(case["hex"])).decode() == case["text"]


@cases("encodings", "base64", refused=True)
def test_bad_base64_is_refused(case: Vector) -> None:
    with refusal(case):
        parse_base64(case["text"])


@cases("encodings", "times")
def test_a_good_time_is_its_milliseconds_and_back(case: Vector) -> None:
    assert parse_time(case["text"]) == case["milliseconds"]
    assert format_time(case["milliseconds"]) == case["text"]


@cases("encodings", "times", refused=True)
def test_a_bad_time_is_refused(case: Vector) -> None:
    with refusal(case):
        parse_time(case["text"])


@cases("json", "canonical")
def test_canonical_json_is_read_and_written_back(case: Vector) -> None:
    assert canonical_json(parse_canonical_json(case["text"])) == case["text"]
    assert canonical_json(parse_json(case["text"].encode())) == case["text"]


@cases("json", "other_spellings")
def test_json_in_another_spelling_has_one_canonical_form_and_is_not_it(case: Vector) -> None:
    assert canonical_json(parse_json(case["text"])) == case["canonical"]
    with refusal({"error": "not_canonical"}):
        parse_canonical_json(case["text"])


@cases("json", "refused", refused=True)
def test_json_without_a_canonical_form_is_refused(case: Vector) -> None:
    with refusal(case):
        parse_json(case["text"])
    with refusal(case):
        parse_canonical_json(case["text"])


@cases("json", "refused_bytes", refused=True)
def test_bytes_that_are_no_text_are_refused(case: Vector) -> None:
    with refusal(case):
        parse_json(bytes.fromhex(case["hex"]))
    with refusal(case):
        decode_utf8(bytes.fromhex(case["hex"]))


@cases("records", "references")
def test_a_record_reference_is_an_hmac(case: Vector) -> None:
    key = bytes.fromhex(load("records")["key_hex"])
    assert record_ref(key, case["identifier"], scheme=case["scheme"]) == case["reference"]
    if case["identifier"].isascii() and case["identifier"].strip() == case["identifier"]:
        message = f"suyuan/record/v1\n{case['scheme']}\n{case['identifier']}\n".encode()
        assert hmac.new(key, message, hashlib.sha256).hexdigest()[:32] == case["reference"]


@cases("records", "refused", refused=True)
def test_an_identifier_that_cannot_be_referred_to_is_refused(case: Vector) -> None:
    with refusal(case):
        record_ref(bytes.fromhex(load("records")["key_hex"]), case["identifier"], scheme=case["scheme"])


# Keys, signatures, notes.


@cases("keys", "keys")
def test_a_key_is_what_its_seed_makes(case: Vector) -> None:
    signer = Signer(case["key_name"], case["algorithm"], bytes.fromhex(case["seed_hex"]))
    assert signer.verifier.public_key.hex() == case["public_key_hex"]
    assert parse_vkey(case["vkey"]) == signer.verifier
    assert parse_skey(case["skey"]).verifier == signer.verifier
    named = f"{case['key_name']}\n".encode() + bytes([case["algorithm"]]) + signer.verifier.public_key
    assert hashlib.sha256(named).hexdigest()[:8] == case["key_id_hex"] == signer.verifier.key_id.hex()


@cases("keys", "refused_vkeys", refused=True)
def test_a_bad_verifier_key_is_refused(case: Vector) -> None:
    with refusal(case):
        parse_vkey(case["vkey"])


@cases("keys", "signatures")
def test_a_signature_is_judged_as_the_vector_says(case: Vector) -> None:
    key, message, signature = (bytes.fromhex(case[f"{name}_hex"]) for name in ("public_key", "message", "signature"))
    assert verify_detached(key, message, signature) is case["valid"]


@cases("keys", "notes")
def test_a_note_is_signed_by_whom_the_vector_says(case: Vector) -> None:
    seen = open_note(parse_note(case["note"].encode()), [parse_vkey(key) for key in case["vkeys"]])
    assert [one.key.name for one in seen] == case["signed_by"]


@cases("keys", "notes", refused=True)
def test_a_bad_note_is_refused(case: Vector) -> None:
    with refusal(case):
        open_note(parse_note(case["note"].encode()), [parse_vkey(key) for key in case["vkeys"]])


# Events and entries.


def event_of(case: Vector) -> Any:
    if "records" not in case:
        return case["event"]
    return {**case["event"], "records": [f"{number:032x}" for number in range(case["records"])]}


@cases("events", "accepted")
def test_a_good_event_says_what_it_says(case: Vector) -> None:
    event = parse_event(event_of(case))
    assert event.model_dump(exclude_none=True, mode="json") == event_of(case)


@cases("events", "refused", refused=True)
def test_a_bad_event_is_refused_with_the_member_at_fault(case: Vector) -> None:
    with refusal(case):
        parse_event(event_of(case))
    if isinstance(case["event"], dict):
        found = read_event(event_of(case))
        assert isinstance(found, Violation)
        assert found.code == case["error"]


def entries_network() -> Network:
    return parse_network(load("entries")["network"].encode())


def chain_of(count: int) -> list[bytes]:
    return [case["entry"].encode() for case in load("entries")["chain"][:count]]


def test_the_chain_of_entries_holds_and_hashes_to_what_the_vectors_say() -> None:
    document = load("entries")
    network = entries_network()
    key = parse_vkey(document["log_key"])
    head = open_chain(key.name, network.text.encode())
    assert encode_base64(head.previous) == document["network_text_sha256"]
    entries, _ = verify_entries(head, chain_of(len(document["chain"])), key_at=network.member(key.name).log_key_at)
    for case, entry in zip(document["chain"], entries, strict=True):
        raw = case["entry"].encode()
        text = raw[: raw.rindex("\n\n— ".encode()) + 1]
        assert encode_base64(hashlib.sha256(text).digest()) == case["text_sha256"]
        assert encode_base64(hashlib.sha256(b"\x00" + raw).digest()) == case["leaf_hash"]
        assert entry.ref.model_dump() == case["reference"]
        found = read_event(entry.event)
        assert (found.code if isinstance(found, Violation) else None) == case["finding"]
    for number, case in enumerate(document["chain"], 1):
        assert encode_base64(root_of([entry.leaf for entry in entries[:number]])) == case["root_with_it"]


@cases("entries", "refused", refused=True)
def test_an_entry_that_cannot_stand_there_is_refused(case: Vector) -> None:
    network = entries_network()
    member = network.member(parse_vkey(load("entries")["log_key"]).name)
    head = open_chain(member.origin, network.text.encode())
    _, head = verify_entries(head, chain_of(case["after"]), key_at=member.log_key_at)
    with refusal(case):
        verify_entries(head, [case["entry"].encode()], key_at=member.log_key_at)


# Checkpoints, trees, tiles.


def network_named(name: str) -> Network:
    return parse_network(load("checkpoints")["networks"][name].encode())


@cases("checkpoints", "checkpoints")
def test_a_checkpoint_is_judged_as_the_vector_says(case: Vector) -> None:
    judged = judge_checkpoint(case["checkpoint"].encode(), network_named(case["network"]))
    assert judged.size == case["size"]
    assert [origin for origin, _ in judged.cosigners] == case["cosigned_by"]
    assert (judged.needed, judged.confirmed) == (case["needed"], case["confirmed"])


@cases("checkpoints", "checkpoints", refused=True)
def test_a_false_checkpoint_is_refused(case: Vector) -> None:
    with refusal(case):
        judge_checkpoint(case["checkpoint"].encode(), network_named(case["network"]))


@cases("checkpoints", "quorums")
def test_a_quorum_is_what_the_formula_gives(case: Vector) -> None:
    n, f, k = case["members"], case["faults"], case["quorum"]
    assert f == (n - 1) // 3
    assert k == (n + f) // 2 + 1
    assert 2 * k - n > f  # two quorums share more members than may lie
    assert k <= n - f  # and one can be had without those who may lie


@pytest.mark.parametrize(("name", "members", "quorum"), [("one", 1, 1), ("four", 4, 3), ("seven", 7, 5)])
def test_a_network_needs_the_quorum_of_its_size(name: str, members: int, quorum: int) -> None:
    network = network_named(name)
    assert (len(network.voters), network.quorum) == (members, quorum)


def leaves(count: int) -> list[bytes]:
    return [leaf_hash(str(number).encode()) for number in range(count)]


@cases("merkle", "roots")
def test_a_root_is_that_of_the_vectors(case: Vector) -> None:
    assert encode_base64(root_of(leaves(case["size"]))) == case["root"]


def check_inclusion(case: Vector) -> None:
    verify_inclusion(
        leaf=parse_base64(case["leaf_hash"]),
        index=LeafIndex(case["index"]),
        size=TreeSize(case["size"]),
        root=parse_base64(case["root"]),
        proof=[parse_base64(one) for one in case["proof"]],
    )


@cases("merkle", "inclusion")
def test_a_true_inclusion_proof_holds(case: Vector) -> None:
    check_inclusion(case)


@cases("merkle", "inclusion", refused=True)
def test_a_false_inclusion_proof_is_refused(case: Vector) -> None:
    with refusal(case):
        check_inclusion(case)


def check_consistency(case: Vector) -> None:
    verify_consistency(
        old=TreeHead(TreeSize(case["old_size"]), parse_base64(case["old_root"])),
        new=TreeHead(TreeSize(case["new_size"]), parse_base64(case["new_root"])),
        proof=[parse_base64(one) for one in case["proof"]],
    )


@cases("merkle", "consistency")
def test_a_true_consistency_proof_holds(case: Vector) -> None:
    check_consistency(case)


@cases("merkle", "consistency", refused=True)
def test_a_false_consistency_proof_is_refused(case: Vector) -> None:
    with refusal(case):
        check_consistency(case)


@cases("tiles", "paths")
def test_a_tile_path_is_its_coordinates_and_back(case: Vector) -> None:
    tile = parse_tile_path(case["path"])
    level = None if isinstance(tile, BundlePath) else tile.level
    assert (level, tile.index, tile.width) == (case["level"], case["index"], case["width"])
    assert tile.path == case["path"]


@cases("tiles", "paths", refused=True)
def test_a_bad_tile_path_is_refused(case: Vector) -> None:
    with refusal(case):
        parse_tile_path(case["path"])


@cases("tiles", "bundles")
def test_an_entry_bundle_is_its_entries_and_back(case: Vector) -> None:
    entries = [bytes.fromhex(one) for one in case["entries_hex"]]
    assert parse_bundle(bytes.fromhex(case["bundle_hex"]), count=case["count"]) == entries
    assert encode_bundle(entries).hex() == case["bundle_hex"]


@cases("tiles", "bundles", refused=True)
def test_a_bad_entry_bundle_is_refused(case: Vector) -> None:
    with refusal(case):
        parse_bundle(bytes.fromhex(case["bundle_hex"]), count=case["count"])


@cases("tiles", "trees")
def test_a_tree_has_the_tiles_that_the_vector_names(case: Vector) -> None:
    size = TreeSize(case["size"])
    assert [tile.path for tile in edge_tiles(size)] == case["partial"]
    assert len(list(hash_tiles(size))) == case["tiles"]


@cases("tiles", "hash_tiles")
def test_a_hash_tile_has_the_bytes_of_the_vector(case: Vector) -> None:
    _, tiles = Edge.empty().extended(leaves(case["size"]))
    (data,) = [data for tile, data in tiles if tile.path == case["path"]]
    assert (len(data), hashlib.sha256(data).hexdigest()) == (case["bytes"], case["sha256_hex"])


# Manifests, networks, proofs, evidence.


@cases("manifests", "manifests")
def test_a_manifest_is_the_same_whatever_the_order_of_its_records(case: Vector) -> None:
    manifest = make_manifest(case["records"])
    assert manifest.encode() == case["manifest"].encode()
    assert parse_manifest(case["manifest"].encode()) == manifest
    assert manifest.ref.model_dump() == case["reference"]
    for member in case["members"]:
        check_membership({**member, "reference": case["reference"]})


def check_membership(case: Vector) -> None:
    proof = [parse_base64(one) for one in case["proof"]]
    verify_membership(case["record"], ref=ManifestRef(**case["reference"]), index=case["index"], proof=proof)


@cases("manifests", "refused", refused=True)
def test_a_bad_manifest_is_refused(case: Vector) -> None:
    with refusal(case):
        parse_manifest(case["manifest"].encode())


@cases("manifests", "refused_members", refused=True)
def test_a_false_membership_is_refused(case: Vector) -> None:
    with refusal(case):
        check_membership(case)


def network_file(case: Vector) -> bytes:
    if "file" in case:
        return bytes(case["file"].encode())
    return "\n".join(load("networks")["documents"][name] for name in case["documents"]).encode()


@cases("networks", "accepted")
def test_a_chain_of_network_documents_holds(case: Vector) -> None:
    network = verify_chain(network_file(case), load("networks")["fingerprint"])
    assert (network.version, len(network.members), network.quorum) == (case["version"], case["members"], case["quorum"])


@cases("networks", "refused", refused=True)
def test_a_chain_of_network_documents_that_does_not_hold_is_refused(case: Vector) -> None:
    with refusal(case):
        verify_chain(network_file(case), case["fingerprint"])


@cases("proofs", "accepted")
def test_a_proof_file_proves_its_entry(case: Vector) -> None:
    network = parse_network(load("proofs")["network"].encode())
    entry = case["entry"].encode() if "entry" in case else None
    proven = verify_proof_file(case["proof"].encode(), network, entry=entry)
    assert (proven.entry.origin, proven.entry.index) == (case["log"], case["index"])
    assert proven.judged.size == case["size"]
    assert [origin for origin, _ in proven.judged.cosigners] == case["cosigned_by"]
    assert proven.judged.needed == case["needed"]


@cases("proofs", "refused", refused=True)
def test_a_false_proof_file_is_refused(case: Vector) -> None:
    with refusal(case):
        verify_proof_file(case["proof"].encode(), parse_network(load("proofs")["network"].encode()))


@cases("evidence", "accepted")
def test_an_evidence_file_proves_its_trace(case: Vector) -> None:
    document = load("evidence")
    found = verify_evidence(case["evidence"].encode(), fingerprint=document["fingerprint"])
    assert found.trace.record == case["record"]
    assert found.trace.to_json() == case["trace"]


def evidence_of(case: Vector) -> bytes:
    if "evidence" in case:
        return bytes(case["evidence"].encode())
    (text,) = [one["evidence"] for one in load("evidence")["accepted"] if one["name"] == case["of"]]
    old, new = case["replace"]
    assert not old or text.count(old) == 1
    return bytes(text.replace(old, new).encode()) if old else bytes(text.encode())


@cases("evidence", "refused", refused=True)
def test_a_false_evidence_file_is_refused(case: Vector) -> None:
    pinned: str = case["fingerprint"] if "fingerprint" in case else load("evidence")["fingerprint"]
    with refusal(case):
        verify_evidence(evidence_of(case), fingerprint=pinned)


def test_the_networks_of_the_vectors_lead_back_to_their_fingerprints() -> None:
    for document in load("checkpoints")["networks"].values():
        network = parse_network(document.encode())
        assert verify_chain(document.encode(), fingerprint_of(network)).version == 1


# Requests between peers.


def gate() -> PeerGate:
    document = load("requests")
    keys = {document["peer"]: parse_vkey(document["transport_key"])}
    started = [0, document["time_ms"]]  # the gate has been up since 1970
    return PeerGate(document["authority"], keys.get, lambda: started.pop(0) if len(started) > 1 else started[0])


def headers_of(case: Vector) -> dict[str, str]:
    named = {"Content-Digest": "content_digest", "Signature-Input": "signature_input", "Signature": "signature"}
    return {header: case[name] for header, name in named.items() if case[name] is not None}


@cases("requests", "signed")
def test_a_request_is_signed_as_the_vector_writes_it_out(case: Vector) -> None:
    document = load("requests")
    assert gate().verify(case["method"], case["url"], headers_of(case), case["body"].encode()) == document["peer"]
    seed = hashlib.sha256(b"suyuan test vector tax.ordos.example/transport").digest()
    signer = Signer("tax.ordos.example/transport", 1, seed)
    auth = PeerAuth(
        lambda: signer, origin=document["peer"], clock=lambda: case["created"] * 1000, nonce=lambda: case["nonce"]
    )
    request = next(auth.auth_flow(httpx.Request(case["method"], case["url"], content=case["body"])))
    assert {name: request.headers[name] for name in headers_of(case)} == headers_of(case)
    signature = parse_base64(case["signature"].removeprefix("suyuan=:").removesuffix(":"))
    assert verify_detached(signer.verifier.public_key, case["signature_base"].encode(), signature)


@cases("requests", "refused", refused=True)
def test_a_request_that_is_not_the_peers_is_refused(case: Vector) -> None:
    with refusal(case):
        gate().verify(case["method"], case["url"], headers_of(case), case["body"].encode())


def test_a_request_is_taken_once() -> None:
    case = load("requests")["signed"][0]
    once = gate()
    once.verify(case["method"], case["url"], headers_of(case), case["body"].encode())
    with refusal({"error": "peer_signature_replayed"}):
        once.verify(case["method"], case["url"], headers_of(case), case["body"].encode())


@cases("requests", "add_checkpoint")
def test_an_add_checkpoint_body_is_read_and_written_back(case: Vector) -> None:
    request = parse_add_checkpoint(case["body"].encode())
    assert (request.old_size, request.checkpoint.size) == (case["old_size"], case["size"])
    assert [encode_base64(one) for one in request.proof] == case["proof"]
    assert request.encode() == case["body"].encode()
    assert add_signatures(request.note, []) == request.note


@cases("requests", "add_checkpoint", refused=True)
def test_a_bad_add_checkpoint_body_is_refused(case: Vector) -> None:
    with refusal(case):
        parse_add_checkpoint(case["body"].encode())
