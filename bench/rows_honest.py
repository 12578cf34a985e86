"""Nothing is traded away: what must hold in every measured run, tried where it would hurt."""

from bench import load
from bench.context import Bench, require
from bench.flipped import flipped_entries, lying_source, must_refuse
from bench.ledgers import copy, ledger_of, opened
from bench.nodes import one_node
from bench.report import Row
from bench.rows_http import killed
from bench.rows_reading import sizes


def honest(bench: Bench) -> list[Row]:
    """Kill a node under load, flip bits, submit what must be refused; any of it going through fails the bench."""
    said = [killed(bench), flipped_entries(bench), lying_source(bench), flipped_disk(bench), strict(bench)]
    for words in said:
        bench.asserted(words)
    return [Row("honest", "; ".join(said), figure=float(len(said)), unit="checks", measured="all held")]


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

    must_refuse(read, "a flipped bit on the disk")
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
