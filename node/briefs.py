"""Batches in brief: shares that were recognised elsewhere, as far as recording must know them.

Recognising an event takes 12 µs, most of it under the interpreter's lock. Where much is recorded, a process beside this
one (node/signatories.py) runs :func:`serve`: it is sent a batch as it came, and gives back for each event what the
round needs. The events' bytes do not come back: they are cut out of the batch that is here.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from ledger.plain import PlainEvent, PlainShare, recognise_batch
from node import indexing, layout, line

if TYPE_CHECKING:
    from ledger.store.protocol import Pair

_START, _BETWEEN, _END = b'{"events":[', b",", b"]}"


class Brief(NamedTuple):
    """A share that keeps to its schema, without parents and manifest: nothing in the store can speak against it."""

    id: str
    consumer: str
    key: bytes  # prefix of the key of its id
    places: list[bytes]  # prefixes of the other keys of the index, which end with its place


@dataclass(frozen=True, slots=True)
class Briefs:
    """A canonical batch whose events were recognised, as columns, which are quick to send."""

    lengths: list[int] = field(default_factory=list)  # of their texts, in bytes
    ids: list[str] = field(default_factory=list)
    consumers: list[str] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)
    places: list[list[bytes]] = field(default_factory=list)
    others: dict[int, PlainEvent] = field(default_factory=dict)  # that are more than a Brief says

    def cut(self, body: bytes) -> list[tuple[Brief | PlainEvent, bytes]]:
        """Return the events with their texts, which are cut out of the batch."""
        columns = zip(self.ids, self.consumers, self.keys, self.places, strict=True)
        events: list[Brief | PlainEvent] = list(map(_MAKE, columns))
        for number, event in self.others.items():
            events[number] = event
        texts, start = [], len(_START)
        for length in self.lengths:
            texts.append(body[start : start + length])
            start += length + len(_BETWEEN)
        assert body == _START + _BETWEEN.join(texts) + _END
        return list(zip(events, texts, strict=True))


_MAKE: Callable[[tuple[object, ...]], Brief] = partial(tuple.__new__, Brief)  # in C: a third of what Brief(…) takes


def brief_batch(body: bytes) -> Briefs | None:
    """Return a canonical batch in brief, if all of its events are recognised."""
    recognised = recognise_batch(body)
    if not recognised:
        return None
    briefs = Briefs([len(text) for _, text in recognised], [event.id for event, _ in recognised])
    for key, value in indexing.index(b"", 0, (event for event, _ in recognised)).pairs:
        if value:  # that of an id, with which the keys of each event begin
            briefs.keys.append(key)
            briefs.places.append([])
        else:
            briefs.places[-1].append(key[: -layout.INDEX_BYTES])
    consumers: dict[str, str] = {}  # one object for each, which is quick to send
    for number, (event, _) in enumerate(recognised):
        if isinstance(event, PlainShare) and not event.parents and event.manifest is None:
            briefs.consumers.append(consumers.setdefault(event.consumer, event.consumer))
        else:
            briefs.consumers.append("")
            briefs.others[number] = event
    return briefs


def index(log: bytes, start: int, briefs: Iterable[Brief]) -> indexing.Index:
    """Return what events leave in the store from entry ``start`` on, as :func:`node.indexing.index` does."""
    pairs: list[Pair] = []
    for number, brief in enumerate(briefs, start):
        index_bytes = number.to_bytes(layout.INDEX_BYTES, "big")
        pairs.append((brief.key + log, index_bytes))
        if brief.places:
            place = log + index_bytes
            pairs += [(prefix + place, b"") for prefix in brief.places]
    return indexing.Index(pairs, (), wanted=False, rotated=None)


def serve(descriptor: int) -> None:
    """Recognise what comes over a line, until it is closed."""
    line.serve(descriptor, _answer)


def _answer(body: object) -> Briefs | None:
    assert isinstance(body, bytes)
    return brief_batch(body)
