"""The audit finds every damage of a store, and names it where it is."""

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import pytest

from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.cosignature import add_signatures, cosign
from ledger.encoding import canonical_json, parse_time
from ledger.entry import chain, open_chain, sign_texts, verify_entries
from ledger.event import EntryRef
from ledger.manifest import Manifest, make_manifest
from ledger.merkle import TreeSize
from ledger.network import Network, parse_network
from ledger.note import Note
from ledger.quorum import judge_checkpoint
from ledger.store import Batch, Store
from ledger.store.memory import MemoryDisk
from ledger.store.protocol import KEY_END, prefix_end
from ledger.tile import Edge
from ledger.versions import verify_chain
from node import layout, logs
from node.audit import DAMAGES_MAX, Audit, audit_store
from node.keys import NodeKeys, load_ring
from node.logs import LogState

pytest_plugins = ("departments",)

NOW = parse_time("2026-11-21T08:15:30.123Z")
SIZE = 600  # two full tiles, a partial one, and one above them
CONFIRMED = 500
RECORDS = [sha256(str(number).encode()).hexdigest()[:32] for number in range(40)]


@dataclass
class World:
    """Police's store: its own log and tax's, both confirmed up to ``CONFIRMED``."""

    network: Network
    keys: dict[str, NodeKeys]
    disk: MemoryDisk = field(default_factory=MemoryDisk)
    head: bytes = b""

    def origin(self, name: str) -> str:
        return f"{name}.ordos.example/log"

    def log(self, name: str) -> bytes:
        return layout.log_id(self.origin(name))

    @property
    def store(self) -> Store:
        assert self.disk.owner is not None
        return self.disk.owner

    def audit(self, **options: Any) -> Audit:
        return audit_store(self.store, [self.network], own=self.origin("police"), **{"head": self.head, **options})

    def put(self, key: bytes, value: bytes | None) -> None:
        batch = Batch()
        if value is None:
            batch.delete(key)
        else:
            batch.put(key, value)
        self.store.write(batch)

    def get(self, key: bytes) -> bytes:
        value = self.store.get(key)
        assert value is not None
        return value

    def codes(self) -> set[tuple[str, str]]:
        return {(damage.code, damage.place) for damage in self.audit().damages}


def share(consumer: str, number: int, **more: Any) -> dict[str, Any]:
    return {
        "type": "share",
        "id": str(uuid.UUID(int=number, version=4)),
        "consumer": consumer,
        "resource": "r",
        "purpose": "p",
        "method": "api",
        "occurred_at": "2026-11-21T08:15:30.123Z",
        **more,
    }


def checkpoint(world: World, name: str, size: int, edge: Edge, *cosigners: str) -> Note:
    signed = Checkpoint(world.origin(name), TreeSize(size), edge.root())
    note = sign_checkpoint(world.keys[name].log, signed)
    return add_signatures(note, [cosign(world.keys[one].cosigner, signed, time=NOW // 1000) for one in cosigners])


def fill(world: World, name: str, events: list[dict[str, Any]]) -> list[EntryRef]:
    """Write a log with these events, its checkpoints included; return where they stand."""
    origin, log = world.origin(name), world.log(name)
    begin = open_chain(origin, world.network.text.encode())
    texts, _ = chain(begin, [canonical_json(event).encode() for event in events], time=NOW)
    raws = sign_texts(world.keys[name].log, texts)
    entries, head = verify_entries(begin, raws, key_at=world.network.member(origin).log_key_at)
    state, batch = LogState(origin, log, begin, Edge.empty()), Batch()
    for size in (min(CONFIRMED, len(events)), len(events)):
        part = entries[state.size : size]
        state = logs.append(state, part, _head_at(begin, entries, size, head), batch)
        note = checkpoint(world, name, size, state.edge, "police", "tax")
        if size <= CONFIRMED:
            state = logs.with_confirmed(state, judge_checkpoint(note, world.network), batch)
        bare = judge_checkpoint(checkpoint(world, name, size, state.edge), world.network)
        state = logs.with_cosigned(logs.with_checkpoint(state, bare, batch), bare, batch)
        if name == "police":
            world.head = bare.note.encode()
    world.store.write(batch)
    return [entry.ref for entry in entries]


def _head_at(begin: Any, entries: Any, size: int, head: Any) -> Any:
    if size == len(entries):
        return head
    return type(head)(begin.origin, size, sha256(entries[size - 1].text).digest(), NOW)


def keep(world: World, manifest: Manifest) -> None:
    batch = Batch()
    batch.put(layout.manifest_key(manifest.root), manifest.encode())
    for record in manifest.records:
        batch.put(layout.membership_key(record, manifest.root), b"")
    world.store.write(batch)


@pytest.fixture(scope="module")
def pristine(network: Any) -> dict[bytes, bytes]:
    """The pairs of a sound store, to be damaged in a copy."""
    world = make_world(network)
    manifest = make_manifest(RECORDS)
    keep(world, manifest)
    opened = {
        "type": "log.open", "id": str(uuid.uuid4()), "network": "ordos", "network_version": 1, "software": "test",
    }  # fmt: skip
    tax, police = world.origin("tax"), world.origin("police")
    shares = [share(tax, number, records=[RECORDS[number % 40]]) for number in range(1, SIZE - 2)]
    odd = {**share(tax, SIZE), "colour": "red"}  # history all the same
    own = [opened, *shares, share(tax, SIZE + 1, manifest=manifest.ref.model_dump()), odd]
    refs = fill(world, "police", own)
    receipt = {
        "type": "receipt", "id": str(uuid.uuid4()), "share": refs[1].model_dump(), "outcome": "accepted",
        "occurred_at": "2026-11-21T08:15:30.123Z",
    }  # fmt: skip
    onward = share(police, 7, records=[RECORDS[1]], parents=[refs[1].model_dump()])
    fill(world, "tax", [{**opened, "id": str(uuid.uuid4())}, receipt, onward, {**onward, "purpose": "again"}])
    return {**dict(world.store.scan(b"", KEY_END)), b"head": world.head}


def make_world(network: Any) -> World:
    document = verify_chain(network.document.read_bytes(), network.fingerprint)
    keys = {
        name: load_ring(network.home(name) / "keys", f"{name}.ordos.example/log").newest for name in ("police", "tax")
    }
    world = World(document, keys)
    world.disk.create()
    return world


@pytest.fixture
def world(network: Any, pristine: dict[bytes, bytes]) -> World:
    made = make_world(network)
    batch = Batch()
    for key, value in pristine.items():
        if key != b"head":
            batch.put(key, value)
    made.store.write(batch)
    made.head = pristine[b"head"]
    return made


def test_a_sound_store_has_no_damage(world: World) -> None:
    audit = world.audit()
    assert audit.damages == ()
    assert audit.sound
    assert {(log.origin, log.size, log.confirmed_size) for log in audit.logs} == {
        (world.origin("police"), SIZE, CONFIRMED),
        (world.origin("tax"), 4, 4),
        (world.origin("court"), 0, 0),
    }
    assert audit.pairs == sum(1 for _ in world.store.scan(b"", KEY_END))


def test_signatures_may_be_verified_on_several_cores(world: World) -> None:
    with ThreadPoolExecutor(2) as pool:
        assert world.audit(pool=pool).sound


def test_an_audit_tells_how_far_it_is(world: World) -> None:
    told: list[tuple[str, int, int | None]] = []
    world.audit(progress=lambda step, done, total: told.append((step, done, total)))
    assert {step for step, _, _ in told} == {"store", "entries", "indexes"}
    assert ("entries", SIZE + 4, SIZE + 4) in told


# Damages: how they are made, and what must be found.


def reworded(world: World) -> None:
    key = layout.entry_key(world.log("police"), 300)
    world.put(key, world.get(key).replace(b'"purpose":"p"', b'"purpose":"q"'))


def unreadable_entry(world: World) -> None:
    world.put(layout.entry_key(world.log("police"), 300), b"rubbish")


def lost_entry(world: World) -> None:
    world.put(layout.entry_key(world.log("police"), 300), None)


def swapped_entries(world: World) -> None:
    first, second = (layout.entry_key(world.log("police"), index) for index in (300, 301))
    one, other = world.get(first), world.get(second)
    world.put(first, other)
    world.put(second, one)


def flipped_tile(world: World) -> None:
    key = layout.tile_key(world.log("police"), 0, 1)
    data = world.get(key)
    world.put(key, bytes([data[0] ^ 1]) + data[1:])


def lost_tile(world: World) -> None:
    world.put(layout.tile_key(world.log("police"), 1, 0), None)


def further_tile(world: World) -> None:
    world.put(layout.tile_key(world.log("police"), 0, 9), b"\x00" * 32)


def further_entry(world: World) -> None:
    world.put(layout.entry_key(world.log("police"), SIZE), world.get(layout.entry_key(world.log("police"), 0)))


def lost_chain(world: World) -> None:
    world.put(layout.chain_key(world.log("police")), None)


def other_chain(world: World) -> None:
    key = layout.chain_key(world.log("police"))
    data = world.get(key)
    world.put(key, data[:-1] + bytes([data[-1] ^ 1]))


def short_chain(world: World) -> None:
    world.put(layout.chain_key(world.log("police")), b"x")


def forged_checkpoint(world: World) -> None:
    key = layout.checkpoint_key(world.log("police"))
    world.put(key, world.get(key).replace(f"\n{SIZE}\n".encode(), f"\n{SIZE - 1}\n".encode()))


def wrong_root(world: World) -> None:
    edge = Edge.empty().extended([bytes(32)] * CONFIRMED)[0]
    note = checkpoint(world, "police", CONFIRMED, edge, "police", "tax")
    world.put(layout.confirmed_key(world.log("police")), note.encode())


def lost_checkpoint(world: World) -> None:
    world.put(layout.checkpoint_key(world.log("tax")), None)


def lost_cosignature(world: World) -> None:
    key = layout.confirmed_key(world.log("police"))
    note = world.get(key).decode()
    world.put(key, "".join(line for line in note.splitlines(keepends=True) if "tax.ordos" not in line).encode())


def _each_past(world: World, change: Callable[[bytes], bytes]) -> None:
    prefix = layout.past_prefix(world.log("police"))
    for key, value in list(world.store.scan(prefix, prefix_end(prefix))):
        world.put(key, change(value))


def lost_cosignature_of_the_past(world: World) -> None:
    lost_cosignature(world)
    note = world.get(layout.confirmed_key(world.log("police")))
    _each_past(world, lambda _: note)
    world.put(layout.confirmed_key(world.log("police")), None)


def unreadable_past(world: World) -> None:
    _each_past(world, lambda _: b"rubbish")


def wrong_root_of_the_past(world: World) -> None:
    edge = Edge.empty().extended([bytes(32)] * (CONFIRMED - 1))[0]
    note = checkpoint(world, "police", CONFIRMED - 1, edge, "police", "tax")
    _each_past(world, lambda _: note.encode())


def past_of_another_log(world: World) -> None:
    note = world.get(layout.confirmed_key(world.log("tax")))
    _each_past(world, lambda _: note)


def checkpoint_of_another_log(world: World) -> None:
    world.put(layout.checkpoint_key(world.log("police")), world.get(layout.checkpoint_key(world.log("tax"))))


def lost_index(world: World) -> None:
    world.put(layout.record_prefix(RECORDS[7]) + layout.Place(world.log("police"), 7).encode(), None)


def lost_event_id(world: World) -> None:
    world.put(layout.event_key(str(uuid.UUID(int=7, version=4)), world.log("police")), None)


def other_event_id(world: World) -> None:
    key = layout.event_key(str(uuid.UUID(int=9, version=4)), world.log("police"))
    world.put(key, (11).to_bytes(8, "big") + world.get(key)[8:])


def further_index(world: World) -> None:
    world.put(layout.record_prefix(RECORDS[7]) + layout.Place(world.log("police"), 8).encode(), b"")


def index_of_a_stranger(world: World) -> None:
    world.put(layout.record_prefix(RECORDS[7]) + layout.Place(b"stranger", 0).encode(), b"")


def lost_receipt_index(world: World) -> None:
    for key, _ in world.store.scan(b"A", prefix_end(b"A")):
        world.put(key, None)


def lost_finding(world: World) -> None:
    world.put(layout.finding_key(world.log("police"), SIZE - 1), None)


def lost_manifest(world: World) -> None:
    world.put(layout.manifest_key(make_manifest(RECORDS).root), None)


def other_manifest(world: World) -> None:
    world.put(layout.manifest_key(make_manifest(RECORDS).root), make_manifest(RECORDS[1:]).encode())


def broken_manifest(world: World) -> None:
    world.put(layout.manifest_key(make_manifest(RECORDS).root), b"rubbish")


def lost_membership(world: World) -> None:
    world.put(layout.membership_key(RECORDS[3], make_manifest(RECORDS).root), None)


def further_membership(world: World) -> None:
    world.put(layout.membership_key("ff" * 16, make_manifest(RECORDS).root), b"")


POLICE = "police.ordos.example/log"
ROOT = make_manifest(RECORDS).root.hex()
CASES: list[tuple[Callable[[World], None], set[tuple[str, str]]]] = [
    (reworded, {("invalid_signature", f"{POLICE}#300")}),
    (unreadable_entry, {("bad_entry", f"{POLICE}#300")}),
    (lost_entry, {("entry_missing", f"{POLICE}#300")}),
    (flipped_tile, {("tile_differs", f"{POLICE} tile/0/001")}),
    (lost_tile, {("tile_missing", f"{POLICE} tile/1/000.p/2")}),
    (further_tile, {("tiles_beyond", POLICE)}),
    (further_entry, {("entries_beyond", f"{POLICE}#{SIZE}")}),
    (lost_chain, {("chain_missing", POLICE)}),
    (other_chain, {("chain_differs", POLICE)}),
    (short_chain, {("store_corrupt", f"{POLICE} chain head"), ("chain_missing", POLICE)}),
    (forged_checkpoint, {("invalid_signature", f"{POLICE} newest checkpoint")}),
    (wrong_root, {("wrong_root", f"{POLICE} confirmed checkpoint")}),
    (lost_checkpoint, {("checkpoint_missing", "tax.ordos.example/log newest checkpoint")}),
    (lost_cosignature, {("no_quorum", f"{POLICE} confirmed checkpoint")}),
    (lost_cosignature_of_the_past, {("no_quorum", f"{POLICE} past checkpoint 0")}),
    (unreadable_past, {("bad_note", f"{POLICE} past checkpoint 0")}),
    (wrong_root_of_the_past, {("wrong_root", f"{POLICE} past checkpoint 0")}),
    (past_of_another_log, {("bad_checkpoint", f"{POLICE} past checkpoint 0")}),
    (checkpoint_of_another_log, {("bad_checkpoint", f"{POLICE} newest checkpoint")}),
    (lost_index, {("index_missing", f"{POLICE}#7")}),
    (lost_event_id, {("index_missing", f"{POLICE}#7")}),
    (other_event_id, {("index_differs", f"{POLICE}#9"), ("index_stray", f"{POLICE}#11")}),
    (further_index, {("index_stray", f"{POLICE}#8")}),
    (index_of_a_stranger, {("unknown_log", f"log {b'stranger'.hex()}")}),
    (lost_receipt_index, {("index_missing", "tax.ordos.example/log#1")}),
    (lost_finding, {("index_missing", f"{POLICE}#{SIZE - 1}")}),
    (lost_manifest, {("manifest_missing", f"{POLICE}#{SIZE - 2}"), ("index_stray", f"manifest {ROOT}")}),
    (other_manifest, {("manifest_differs", f"manifest {ROOT}")}),
    (broken_manifest, {("bad_manifest", f"manifest {ROOT}")}),
    (lost_membership, {("index_missing", f"manifest {ROOT}")}),
    (further_membership, {("index_stray", f"manifest {ROOT}")}),
]


@pytest.mark.parametrize(("damage", "expected"), CASES, ids=[damage.__name__ for damage, _ in CASES])
def test_each_damage_is_named_where_it_is_and_nowhere_else(
    world: World, damage: Callable[[World], None], expected: set[tuple[str, str]]
) -> None:
    damage(world)
    assert world.codes() == expected


def test_entries_in_each_others_place_are_named_with_the_one_behind_them(world: World) -> None:
    swapped_entries(world)
    assert {("broken_chain", f"{POLICE}#{index}") for index in (300, 301, 302)} <= world.codes()


def test_bytes_that_cannot_be_read_are_named_and_the_rest_is_audited(world: World) -> None:
    world.disk.flip(layout.entry_key(world.log("police"), 300))
    codes = world.codes()
    assert ("store_corrupt", "store") in codes
    assert ("entry_missing", f"{POLICE}#300") in codes
    assert not {code for code, _ in codes} & {"wrong_root", "tile_differs", "broken_chain", "tree_unknown"}


def test_a_tree_that_cannot_be_known_is_said_so(world: World) -> None:
    lost_entry(world)
    world.put(layout.tile_key(world.log("police"), 0, 1), None)
    assert ("tree_unknown", f"{POLICE}#300") in world.codes()


def test_a_head_file_that_promises_more_than_the_store_has_is_the_alarm(world: World) -> None:
    edge = Edge.empty().extended([bytes(32)] * (SIZE + 1))[0]
    world.head = checkpoint(world, "police", SIZE + 1, edge).encode()
    assert world.codes() == {("store_older", "head file")}


def test_a_head_file_with_another_history_is_the_alarm(world: World) -> None:
    edge = Edge.empty().extended([bytes(32)] * 100)[0]
    world.head = checkpoint(world, "police", 100, edge).encode()
    assert world.codes() == {("wrong_root", "head file")}


@pytest.mark.parametrize("head", [None, b"rubbish"], ids=["gone", "damaged"])
def test_a_head_file_that_is_gone_or_damaged_is_named(world: World, head: bytes | None) -> None:
    (damage,) = world.audit(head=head).damages
    assert damage.place == "head file"


def test_the_head_file_of_another_log_is_named(world: World) -> None:
    head = world.get(layout.checkpoint_key(world.log("tax")))
    assert [(one.code, one.place) for one in world.audit(head=head).damages] == [("bad_checkpoint", "head file")]


def test_a_log_of_another_network_is_named(world: World) -> None:
    data = world.network.note.encode().replace(b'"rules":"cn-2025"', b'"rules":"qingdao"')
    other = parse_network(data)
    codes = {damage.code for damage in audit_store(world.store, [other], own=POLICE, head=world.head).damages}
    assert codes == {"broken_chain"}


def test_a_log_may_have_been_opened_under_an_earlier_version(world: World) -> None:
    data = world.network.note.encode().replace(b'"rules":"cn-2025"', b'"rules":"qingdao"')
    versions = [world.network, parse_network(data)]
    assert audit_store(world.store, versions, own=POLICE, head=world.head).sound


def test_a_store_that_is_lost_is_not_listed_to_the_last_byte(world: World) -> None:
    for kind in (b"R", b"I"):
        for key, _ in list(world.store.scan(kind, prefix_end(kind))):
            world.put(key, None)
    audit = world.audit()
    assert audit.truncated
    assert len(audit.damages) == DAMAGES_MAX


def test_an_empty_store_is_sound(network: Any) -> None:
    assert make_world(network).audit(head=None).sound


@pytest.mark.slow
def test_every_single_pair_that_is_lost_is_missed(world: World, pristine: dict[bytes, bytes]) -> None:
    """Of each kind of key, the first and the last one."""
    for kind in sorted({key[:1] for key in pristine if key != b"head"}):
        keys = [key for key in pristine if key[:1] == kind and key != b"head"]
        for key in {keys[0], keys[-1]}:
            world.put(key, None)
            found = world.audit()
            world.put(key, pristine[key])
            assert found.sound == (kind in {b"Q", b"W", b"B"}), key  # nobody can say that there was one
