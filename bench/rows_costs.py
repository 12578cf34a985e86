"""Where the time goes: microseconds of processor time for an event, step by step, on one core and without contention.

Not a row with a target but what explains those that have one. Each step is the product's own function on real events;
processor time of this thread is counted, not the clock, so that a busy machine changes little.
"""

import asyncio
import hashlib
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Self, TypeAlias

from bench import load
from bench.context import Bench, require
from bench.ledgers import HOPS, Ledger, ledger_of, opened
from bench.nodes import as_json, log_signer, network_of
from bench.postgres import CONNECTIONS
from bench.report import Row, shown
from bench.rows_append import NodeHere
from bench.rows_reading import sizes
from cli.demo.network import Department
from ledger.encoding import JsonObject, canonical_json, check_json, parse_canonical_json, parse_json
from ledger.entry import ChainHead, Entry, chain, open_chain, parse_entry, sign_texts, verify_entries, verify_signature
from ledger.event import parse_event, read_event
from ledger.merkle import LeafIndex, leaf_hash
from ledger.note import Signer, sign_detached, verify_detached
from ledger.store import Batch, Store, open_store, prefix_end
from ledger.tile import KnownTree, MiddleRows, encode_bundle, parse_bundle
from node import layout, logs
from node.app import create_app
from node.foundation import load_network
from node.history import History
from node.logs import LogState, load_log, read_entry
from node.service import ROWS_MAX
from node.submission import Prepared, Recorded, prepare, prepare_text

EVENTS = 1000
TURNS = 9

Step: TypeAlias = tuple[str, str, Callable[[], object]]  # path, name, what is done


def costs(bench: Bench) -> list[Row]:
    """Measure the steps of appending, replicating and tracing."""
    return [*_writing(bench), *asyncio.run(_serving(bench)), *_tracing(ledger_of(bench, sizes(bench)[1]))]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shares:
    """The first shares of a log, in all the forms that they have on their way from bodies into the store."""

    origin: str
    bodies: list[bytes]
    values: list[JsonObject]
    prepared: list[Prepared]
    before: ChainHead
    chained: list[bytes]
    after: ChainHead
    signer: Signer
    raws: list[bytes]
    entries: list[Entry]
    state: LogState  # before the batch
    batch: Batch

    @classmethod
    def of(cls, own: Department, consumer: str, store: Store) -> Self:
        """Return shares of ``own`` to ``consumer``; nothing is written."""
        network, _ = load_network(own.home)
        signer = log_signer(own.home)
        values = [load.share(number, consumer) for number in range(EVENTS)]
        prepared = [prepare(value, origin=own.origin) for value in values]
        before = open_chain(own.origin, network.text.encode())
        chained, after = chain(before, [one.text for one in prepared], time=1_800_000_000_000)
        raws = sign_texts(signer, chained)
        entries = [parse_entry(raw) for raw in raws]
        state = load_log(store, own.origin, network)
        batch = Batch()
        logs.append(state, entries, after, batch)
        return cls(
            origin=own.origin, bodies=[as_json(value).encode() for value in values], values=values, prepared=prepared,
            before=before, chained=chained, after=after, signer=signer, raws=raws, entries=entries, state=state,
            batch=batch,
        )  # fmt: skip


def _writing(bench: Bench) -> list[Row]:
    made = network_of(bench.folder("costs"), 2)
    own, peer = made.departments["police"], made.departments["tax"]
    store = open_store(own.home.data)
    try:
        shares = _Shares.of(own, peer.origin, store)
        steps = [*_preparing(shares, store), *_appending(shares, store), *_replicating(shares, store)]
        return _rows(steps, EVENTS, "event")
    finally:
        store.close()


def _preparing(shares: _Shares, store: Store) -> list[Step]:
    """From a body to an event that may be recorded."""
    bodies, values, origin, log = shares.bodies, shares.values, shares.origin, shares.state.log
    return [
        ("append", "body → JSON, strict", lambda: list(map(parse_json, bodies))),
        ("append", "  of that: json.loads alone", lambda: list(map(json.loads, bodies))),
        ("append", "  of that: check_json", lambda: list(map(check_json, values))),
        ("append", "prepare: all of it", lambda: [prepare(value, origin=origin) for value in values]),
        ("append", "  of that: pydantic model", lambda: list(map(parse_event, values))),
        ("append", "  of that: canonical_json", lambda: list(map(canonical_json, values))),
        (
            "append",
            "the same two, of a canonical body (prepare_text)",
            lambda: [prepare_text(body, origin=origin) for body in bodies],
        ),
        (
            "append",
            "look for the id in the store",
            lambda: [store.get(layout.event_key(one.event.id, log)) for one in shares.prepared],
        ),
    ]


def _appending(shares: _Shares, store: Store) -> list[Step]:
    """From events to entries that are on the disk, and the answer."""
    state, entries, signer, chained = shares.state, shares.entries, shares.signer, shares.chained
    texts = [one.text for one in shares.prepared]
    events = [read_event(value) for value in shares.values]
    pairs = list(shares.batch)
    answers = [
        Recorded(one.event.id, entry.ref.hash, entry.index, entry.origin, entry.time)
        for one, entry in zip(shares.prepared, entries, strict=True)
    ]

    def put() -> None:
        again = Batch()
        for where, what in pairs:
            assert what is not None
            again.put(where, what)

    return [
        ("append", "chain: text and SHA-256", lambda: chain(shares.before, texts, time=1_800_000_000_000)),
        ("append", "sign_texts: all of it", lambda: sign_texts(signer, chained)),
        ("append", "  of that: crypto_sign", lambda: [sign_detached(signer.secret_key, text) for text in chained]),
        ("append", "leaf hashes", lambda: list(map(leaf_hash, shares.raws))),
        (
            "append",
            "indexes, tiles, batch",
            lambda: logs.append(state, entries, shares.after, Batch(), events=events),
        ),
        ("append", "  of that: tiles", lambda: state.edge.extended([one.leaf for one in entries])),
        ("append", "  of that: putting the pairs", put),
        ("append", "synced write of the batch", lambda: store.write(shares.batch)),
        ("append", "answer: reference and JSON", lambda: [one.to_text("recorded") for one in answers]),
    ]


def _replicating(shares: _Shares, store: Store) -> list[Step]:
    """From a peer's bundle to verified entries that are on the disk."""
    raws, entries, key = shares.raws, shares.entries, shares.signer.verifier
    bundle = encode_bundle(raws)
    texts = [one.text for one in shares.prepared]

    def verified() -> None:
        for one in entries:
            verify_signature(one, key)

    return [
        (
            "replicate",
            "encode and parse a bundle",
            lambda: (encode_bundle(raws), parse_bundle(bundle, count=len(raws))),
        ),
        ("replicate", "verify_entries: all of it", lambda: verify_entries(shares.before, raws, key_at=lambda _: key)),
        ("replicate", "  of that: parse_entry", lambda: list(map(parse_entry, raws))),
        (
            "replicate",
            "  of that: canonical JSON of the event",
            lambda: [parse_canonical_json(text.decode()) for text in texts],
        ),
        ("replicate", "  of that: verify_signature", verified),
        (
            "replicate",
            "    of that: crypto_sign_open",
            lambda: [verify_detached(key.public_key, one.text, one.signature) for one in entries],
        ),
        ("replicate", "  of that: SHA-256 of text", lambda: [hashlib.sha256(one.text).digest() for one in entries]),
        ("replicate", "logs.append", lambda: logs.append(shares.state, entries, shares.after, Batch())),
        ("replicate", "synced write of the batch", lambda: store.write(shares.batch)),
    ]


async def _serving(bench: Bench) -> list[Row]:
    """Measure what the event loop's thread does for one request: the application is called, without sockets."""
    made = network_of(bench.folder("costs-http"), 2)
    own, consumer = made.departments["police"], made.departments["tax"].origin
    here = NodeHere(made)
    rows = []
    async with here as node:
        app = create_app(node)
        numbers = count()
        room = asyncio.Semaphore(CONNECTIONS)

        async def ask(path: str, body: bytes, status: int) -> None:
            async with room:
                require(await _call(app, own.token, path, body) == status, f"{path} is answered with {status}")

        def events(many: int) -> list[bytes]:
            return [as_json(load.share(next(numbers), consumer)).encode() for _ in range(many)]

        singles = "a single event, whole: 32 at once, the writer's thread apart"
        for name, path, bodies, status, each in (
            (singles, "/v1/events", events(2000), 201, 1),
            ("· of that: framework, token, refusal of an empty body", "/v1/events", [b""] * 1000, 400, 1),
            ("batches of 500, for each event", "/v1/events/batch", [_batch(events(500)) for _ in range(10)], 201, 500),
        ):
            start = time.thread_time()
            await asyncio.gather(*(ask(path, body, status) for body in bodies))
            figure = (time.thread_time() - start) / (len(bodies) * each) * 1e6
            rows.append(
                Row(
                    "costs-http",
                    name,
                    "http",
                    figure=figure,
                    unit="µs per event",
                    measured=shown(figure),
                    step_of="http",
                )
            )
        start = time.thread_time()
        for _ in range(1000):
            node.tokens.identify(f"Bearer {own.token}")
        figure = (time.thread_time() - start) / 1000 * 1e6
        rows.insert(
            2,
            Row(
                "costs-http",
                "· of that: whose token it is",
                "http",
                figure=figure,
                unit="µs per event",
                measured=shown(figure),
                step_of="http",
            ),
        )
    return rows


def _batch(events: Sequence[bytes]) -> bytes:
    return b'{"events":[' + b",".join(events) + b"]}"


async def _call(app: Any, token: str, path: str, body: bytes) -> int:
    """Call the application as a web server does; return the status."""
    statuses: list[int] = []
    parts = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        return parts.pop() if parts else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if "status" in message:
            statuses.append(message["status"])

    headers = [
        (b"host", b"127.0.0.1"), (b"authorization", b"Bearer " + token.encode()),
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]  # fmt: skip
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "path": path,
        "raw_path": path.encode(), "query_string": b"", "root_path": "", "scheme": "http", "headers": headers,
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
    }  # fmt: skip
    await app(scope, receive, send)
    return statuses[0]


def _tracing(ledger: Ledger) -> list[Row]:
    with opened(ledger) as (store, network, states):
        record = ledger.records[len(ledger.records) // 2]
        history = History(store, states, network)
        trace = history.trace(record)
        refs = [one.ref for hop in trace.hops for one in (hop.share, hop.receipt) if one is not None]
        entries = [read_entry(store, states[ref.log].log, ref.index) for ref in refs]
        rows = MiddleRows(ROWS_MAX)

        def included() -> None:
            trees: dict[str, KnownTree] = {}
            for ref, entry in zip(refs, entries, strict=True):
                if ref.log not in trees:
                    trees[ref.log] = _tree(store, states[ref.log], rows)
                trees[ref.log].check(LeafIndex(ref.index), entry.leaf)

        def signed() -> None:
            for one in entries:
                verify_signature(one, network.member(one.origin).log_key_at(one.index))

        def looked_up() -> None:
            for entry in entries:
                for prefix in (layout.child_prefix(entry.leaf), layout.answer_prefix(entry.leaf)):
                    list(store.scan(prefix, prefix_end(prefix)))

        keys = [layout.entry_key(states[ref.log].log, ref.index) for ref in refs]
        steps: list[Step] = [
            (
                "trace",
                f"trace of {HOPS} hops and as many receipts, signatures not verified before: all of it",
                lambda: History(store, states, network, rows=rows).trace(record),
            ),
            ("trace", "  of that: store.get of the entries", lambda: [store.get(one) for one in keys]),
            (
                "trace",
                "  of that: get and parse_entry",
                lambda: [read_entry(store, states[ref.log].log, ref.index) for ref in refs],
            ),
            (
                "trace",
                "  of that: verify signatures",
                signed,
            ),
            ("trace", "  of that: read tiles, and hash them up to the root", included),
            ("trace", "  of that: pydantic models", lambda: [read_event(one.event) for one in entries]),
            ("trace", "  of that: scans of the indexes", looked_up),
        ]
        return _rows(steps, 1, "trace")


def _tree(store: Store, state: LogState, rows: MiddleRows) -> KnownTree:
    assert state.confirmed is not None
    return KnownTree(
        lambda tiles: [logs.read_tile(store, state.log, tile) for tile in tiles],
        state.confirmed.checkpoint.head,
        rows,
    )


def _rows(steps: Sequence[Step], each: int, unit: str) -> list[Row]:
    rows = []
    for path, name, work in steps:
        work()
        taken = []
        for _ in range(TURNS):
            start = time.thread_time()
            work()
            taken.append((time.thread_time() - start) / each * 1e6)
        figure = statistics.median(taken)
        row = Row(f"costs-{path}", name, path, figure=figure, unit=f"µs per {unit}", measured=shown(figure))
        row.runs = [{"measured": value} for value in taken]
        row.step_of = path
        rows.append(row)
    return rows
