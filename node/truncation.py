"""Dropping the end of a log, after the governors have ruled that it is void (protocol section 7.7).

What is left is what a store that never had the end would hold: entries, hash tiles, the chain's head, every index. A
manifest stays where it is: other shares may name it. Entries go from the end, so many in one durable write; after a
crash between two writes the log is whole, as long as the last one has left it, and the rest goes when it is asked for
again.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace

from ledger.entry import ChainHead, Entry, parse_entry
from ledger.errors import LedgerError, StoreCorruptError
from ledger.quorum import Judged
from ledger.store import Batch, Store
from ledger.tile import HEIGHT, WIDTH, Tile
from node import layout, logs
from node.logs import LogState

STEP_MAX = 200  # entries in one write; each may call for a thousand index keys
_EVENT_ID = re.compile(rb'"id":"([0-9a-f-]{36})"')


def truncate(store: Store, state: LogState, size: int, batch: Batch) -> LogState:
    """Drop entries of a log from its end, at most down to ``size``, in ``batch``; return the log as it is then.

    Checkpoints that name more than ``size`` go at once. The caller comes again until the size is reached.

    Raises:
        StoreCorruptError: an entry that must be known for it is missing or damaged.
    """
    assert 0 <= size < state.size
    end = max(size, state.size - STEP_MAX)
    raws = store.scan(layout.entry_key(state.log, end), layout.entry_key(state.log, state.size))
    tail = [_parsed(raw, state.origin) for _, raw in raws]
    if len(tail) != state.size - end:
        raise StoreCorruptError(f"entries of {state.origin} are missing from {end} on", field=state.origin)
    _remove(store, state, tail, size, batch)
    _cut_tiles(store, state, end, batch)
    for key, judged in (
        (layout.checkpoint_key(state.log), state.checkpoint),
        (layout.cosigned_key(state.log), state.cosigned),
    ):
        if _at_most(judged, size) is None:
            batch.delete(key)
    chain = ChainHead(state.origin, 0, tail[0].previous, 0)
    if end > 0:
        last = _parsed(store.get(layout.entry_key(state.log, end - 1)) or b"", state.origin)
        chain = ChainHead(state.origin, end, hashlib.sha256(last.text).digest(), last.time)
        batch.put(layout.chain_key(state.log), logs.encode_chain(chain))
    else:
        batch.delete(layout.chain_key(state.log))
    return replace(
        state,
        chain=chain,
        edge=logs.read_edge(store, state, end),
        checkpoint=_at_most(state.checkpoint, size),
        cosigned=_at_most(state.cosigned, size),
        acting=tuple(one for one in state.acting if one[0] < end),
        rotation=logs.load_rotation(store, state.log, end),
    )


def _at_most(judged: Judged | None, size: int) -> Judged | None:
    return judged if judged is not None and judged.size <= size else None


def _remove(store: Store, state: LogState, tail: list[Entry], size: int, batch: Batch) -> None:
    """Take out entries and the keys that they call for; an event id that was used before leads there again."""
    earlier = _used_before(store, state, size, {_id_of(entry) for entry in tail})
    for entry in tail:
        batch.delete(layout.entry_key(state.log, entry.index))
        batch.delete(layout.wanted_key(layout.Place(state.log, entry.index).encode()))
        for key in logs.called_for(state.log, entry):
            if key in earlier:
                batch.put(key, earlier[key])
            else:
                batch.delete(key)


def _used_before(store: Store, state: LogState, size: int, ids: set[str]) -> dict[bytes, bytes]:
    """Return the index keys and values of event ids that entries below ``size`` have too: an honest log has none."""
    found: dict[bytes, bytes] = {}
    for _, raw in store.scan(layout.entry_key(state.log, 0), layout.entry_key(state.log, size)):
        if any(match.decode() in ids for match in _EVENT_ID.findall(raw)):
            keys = logs.called_for(state.log, _parsed(raw, state.origin))
            found |= {key: value for key, value in keys.items() if key[:1] == b"I"}
    return found


def _id_of(entry: Entry) -> str:
    return str(entry.event.get("id"))


def _cut_tiles(store: Store, state: LogState, size: int, batch: Batch) -> None:
    """Shorten the hash tiles to the hashes that they have in a tree of ``size`` leaves."""
    for tile in _tiles_from(size, state.size):
        width = (size >> HEIGHT * tile.level) - tile.index * WIDTH
        key = layout.tile_key(state.log, tile.level, tile.index)
        if width <= 0:
            batch.delete(key)
        elif width < tile.width:
            batch.put(key, logs.read_tile(store, state.log, Tile(level=tile.level, index=tile.index, width=width)))


def _tiles_from(start: int, end: int) -> Iterator[Tile]:
    """Yield the hash tiles of a tree of ``end`` leaves that are not full yet in one of ``start`` leaves."""
    level = 0
    while hashes := end >> HEIGHT * level:
        for index in range((start >> HEIGHT * level) // WIDTH, -(-hashes // WIDTH)):
            yield Tile(level=level, index=index, width=min(WIDTH, hashes - index * WIDTH))
        level += 1


def _parsed(raw: bytes, origin: str) -> Entry:
    try:
        return parse_entry(raw)
    except LedgerError as error:
        raise StoreCorruptError(f"an entry of {origin} is damaged: {error}", field=origin) from None
