"""Nothing is traded away: what must hold in every measured run, tried where it would hurt."""

from collections.abc import Callable
from functools import partial

from bench import load
from bench.context import Bench, DishonestError, require
from bench.ledgers import copy, ledger_of, make_entries, opened
from bench.nodes import log_signer, network_of, one_node
from bench.report import Row
from bench.rows_http import killed
from bench.rows_reading import sizes
from ledger.entry import verify_entries
from ledger.errors import LedgerError
from ledger.store import open_store
from node import logs
from node.foundation import load_network


def honest(bench: Bench) -> list[Row]:
    """Kill a node under load, flip bits, submit what must be refused; any of it going through fails the bench."""
    said = [killed(bench), flipped_entry(bench), flipped_disk(bench), strict(bench)]
    for words in said:
        bench.asserted(words)
    return [Row("honest", "; ".join(said), figure=float(len(said)), unit="checks", measured="all held")]


def flipped_entry(bench: Bench) -> str:
    """Flip one bit of every kind of place of an entry that a peer serves: the copy must be refused."""
    network = network_of(bench.folder("flipped"), 2)
    own, peer = network.departments["police"], network.departments["tax"]
    document, _ = load_network(own.home)
    store = open_store(own.home.data)
    try:
        state = logs.load_log(store, peer.origin, document)
    finally:
        store.close()
    skey = log_signer(peer.home).skey
    block = make_entries(skey, state, [], range(64), [own.origin])
    raws = [value for key, value in block.pairs if key[:1] == b"E"]
    key_at = document.member(peer.origin).log_key_at
    entries, _ = verify_entries(state.chain, raws, key_at=key_at)
    require(len(entries) == len(raws), "entries as they were signed verify")
    bits = 0
    middle = len(raws) // 2
    for place in range(0, len(raws[middle]), 7):
        flipped = bytearray(raws[middle])
        flipped[place] ^= 1 << (place % 8)
        bad = [*raws[:middle], bytes(flipped), *raws[middle + 1 :]]
        _must_refuse(partial(verify_entries, state.chain, bad, key_at=key_at), f"an entry with bit {place} flipped")
        bits += 1
    return f"an entry with one bit flipped is refused by the code that replicates ({bits} places tried)"


def flipped_disk(bench: Bench) -> str:
    """Flip one bit in a table of a store: whatever reads there must say so."""
    ledger = copy(ledger_of(bench, sizes(bench)[1]), bench.folder("disk") / "ledger")
    with opened(ledger) as (store, _, _):
        store.check()  # which puts into tables what is only in the journal
    tables = sorted((ledger.home.data / "leveldb").glob("*.ldb"), key=lambda path: path.stat().st_size)
    require(tables, "the store has tables")
    table = tables[-1]
    data = bytearray(table.read_bytes())
    data[len(data) // 3] ^= 0x10
    table.unlink()  # it is a link to a table of the ledger that is kept
    table.write_bytes(data)

    def read() -> None:
        with opened(ledger) as (store, _, _):
            store.check()

    _must_refuse(read, "a flipped bit on the disk")
    return "a bit flipped in a table on the disk is found when it is read"


def strict(bench: Bench) -> str:
    """Submit what no node may record, over the same interface that is measured."""
    with one_node(bench.folder("strict")) as (node, consumer):
        good = load.share(1, consumer)
        bad = {
            "an unknown member": {**good, "surprise": 1},
            "an unknown consumer": {**good, "consumer": "nobody.example/log"},
            "a number with a fraction": {**good, "rows": 1.5},
            "a record that is no reference": {**good, "records": ["liu"]},
            "a missing purpose": {name: value for name, value in good.items() if name != "purpose"},
        }
        size = node.log()["size"]
        for what, event in bad.items():
            answer = node.client.post("/v1/events", json=event)
            require(answer.is_client_error, f"{what} is refused (it was answered with {answer.status_code})")
            answer = node.client.post("/v1/events/batch", json={"events": [load.share(2, consumer), event]})
            require(answer.is_client_error, f"a batch with {what} is refused")
        require(node.log()["size"] == size, "nothing of it was recorded")
        require(node.client.post("/v1/events", json=good).status_code == 201, "a good event is recorded")
        changed = node.client.post("/v1/events", json={**good, "purpose": "another one"})
        require(changed.status_code == 409, "the same id with other content is a conflict")
    return f"{len(bad)} kinds of bad events are refused, alone and in a batch, and a changed repetition as well"


def _must_refuse(attempt: Callable[[], object], what: str) -> None:
    try:
        attempt()
    except LedgerError:
        return
    raise DishonestError(f"{what} was not noticed")
