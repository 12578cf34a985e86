"""One bit that is wrong: a copy must refuse it, by every way that an entry takes into a copy."""

from collections.abc import Callable
from functools import partial

from bench.context import Bench, DishonestError, require, wait_until
from bench.ledgers import fill, make_entries
from bench.nodes import NodeProcess, log_signer, network_of
from ledger.entry import verify_entries
from ledger.errors import LedgerError
from ledger.store import Batch, open_store
from node import layout, logs
from node.checking import Piece, check
from node.foundation import load_network
from node.verifying import PROCESSES_MIN

ENTRIES = 64
EVERY = 7  # bytes: one bit of each of these is flipped
LIE_SECONDS_MAX = 120.0


def flipped_entries(bench: Bench) -> str:
    """Flip bits of an entry in the middle of a piece: what checks pieces must refuse it, and so must the judge."""
    network = network_of(bench.folder("flipped"), 2)
    own, peer = network.departments["police"], network.departments["tax"]
    document, _ = load_network(own.home)
    member = document.member(peer.origin)
    store = open_store(own.home.data)
    try:
        state = logs.load_log(store, peer.origin, document)
    finally:
        store.close()
    block = make_entries(log_signer(peer.home).skey, state, [], range(ENTRIES), [own.origin])
    raws = [value for key, value in block.pairs if key[:1] == b"E"]
    piece = partial(Piece, member.keys, state.size, consumer=own.origin)
    require(check(piece(raws=raws)) is not None, "a piece as it was signed is taken")
    entries, _ = verify_entries(state.chain, raws, key_at=member.log_key_at)
    require(len(entries) == len(raws), "entries as they were signed verify")
    middle = len(raws) // 2
    places = range(0, len(raws[middle]), EVERY)
    for place in places:
        bad = [*raws[:middle], flip(raws[middle], place), *raws[middle + 1 :]]
        require(check(piece(raws=bad)) is None, f"a piece with bit {place} of an entry flipped is refused")
        must_refuse(partial(verify_entries, state.chain, bad, key_at=member.log_key_at), f"bit {place} of an entry")
    return (
        f"an entry with one bit flipped is refused by what checks pieces of a copy, and by its judge ({len(places)} "
        "places tried)"
    )


def lying_source(bench: Bench) -> str:
    """Have a node copy a long log in which one bit of one signature is flipped: it stops before that entry."""
    network = network_of(bench.folder("lying"), 2)
    source, copy = network.departments["police"], network.departments["tax"]
    size = PROCESSES_MIN + PROCESSES_MIN // 5
    place = size - size // 10
    fill(network, "police", size)
    store = open_store(source.home.data)
    try:
        key = layout.entry_key(layout.log_id(source.origin), place)
        raw = store.get(key)
        assert raw is not None
        batch = Batch()
        batch.put(key, flip(raw, len(raw) - 20))
        store.write(batch)
    finally:
        store.close()
    liar, honest = NodeProcess(source.home, source.token), NodeProcess(copy.home, copy.token)
    try:
        liar.start(ready=False)
        honest.start(ready=False)
        wait_until(lambda: _blames(honest) or _size(honest, source.origin) > place, "the lie is found", LIE_SECONDS_MAX)
        stored = _size(honest, source.origin)
        require(stored <= place, f"nothing is stored from the flipped entry {place} on ({stored} entries are)")
    finally:
        honest.stop()
        liar.stop()
    return f"a node that copies {size:,} entries stops at the one of which a bit of the signature is flipped"


def flip(raw: bytes, place: int) -> bytes:
    """Return an entry with one bit of the byte at ``place`` flipped."""
    return raw[:place] + bytes([raw[place] ^ 1 << (place % 8)]) + raw[place + 1 :]


def must_refuse(attempt: Callable[[], object], what: str) -> None:
    """Try what must be refused.

    Raises:
        DishonestError: it was not.
    """
    try:
        attempt()
    except LedgerError:
        return
    raise DishonestError(f"{what}: it was not noticed")


def _blames(node: NodeProcess) -> bool:
    peers = node.client.get("/v1/peers").raise_for_status().json()["peers"]
    return any(peer["faults"] for peer in peers)


def _size(node: NodeProcess, origin: str) -> int:
    listed = node.client.get("/v1/logs").raise_for_status().json()["logs"]
    return next(int(one["size"]) for one in listed if one["log"] == origin)
