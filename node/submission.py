"""What a department gives to its sequencer, and what it hears: events that have passed their schema; their places."""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from ledger.encoding import canonical_json, format_time, parse_json
from ledger.entry import ENTRY_BYTES_MAX, signature_line_bytes
from ledger.errors import BadValueError, LedgerError, TooLongError
from ledger.event import SUBMITTED_TYPES, EntryRef, Event, parse_event
from ledger.plain import PlainEvent, recognise
from node.briefs import Brief
from node.recent import Look

EVENTS_MAX = 1000  # of one submission: about 60 MB of the largest entries


class Prepared(NamedTuple):
    """An event that has passed its schema, ready to be chained."""

    event: Event | PlainEvent | Brief
    text: bytes  # canonical JSON


@dataclass(frozen=True, slots=True)
class Submission:
    """Events that are recorded together or not at all, or ``apart``: each is recorded or refused for itself."""

    events: tuple[Prepared, ...]
    look: Look | None = None  # for ids of theirs, before their round
    apart: bool = False


@dataclass(frozen=True, slots=True)
class Recorded:
    """Where an event stands."""

    event_id: str
    hash: str  # of its entry's leaf, in base64
    index: int
    log: str
    time: int  # milliseconds

    @property
    def ref(self) -> EntryRef:
        """The reference to its entry."""
        return EntryRef(hash=self.hash, index=self.index, log=self.log)

    def to_text(self, state: str) -> str:
        """Return the answer to a submission as JSON; nothing in it needs escaping."""
        return (
            f'{{"event_id":"{self.event_id}","entry":{{"hash":"{self.hash}","index":{self.index},"log":"{self.log}"}},'
            f'"time":"{_stamp(self.time)}","state":"{state}"}}'
        )


Outcomes: TypeAlias = list[Recorded | LedgerError]  # of events that are apart: where each stands, or why not


def prepare(value: object, *, origin: str, types: frozenset[str] = SUBMITTED_TYPES) -> Prepared:
    """Return an event of one of the ``types`` ready to be chained: by default of those that others submit.

    Raises:
        EventError, LimitError, MalformedError: the first thing that breaks its schema.
        BadValueError: a type that only the node itself writes.
        TooLongError: the entry would be larger than 65,535 bytes.
    """
    event = parse_event(value)
    assert isinstance(value, dict)
    if event.type not in types:
        raise BadValueError(f"events of type {event.type} are written by the node itself", field="type")
    text = canonical_json(value).encode()
    room = event_bytes_max(origin)
    if len(text) > room:
        raise TooLongError(f"the event has {len(text)} bytes as canonical JSON", field="event", limit=room)
    return Prepared(event, text)


def prepare_text(text: bytes, *, origin: str) -> Prepared:
    """Return a submitted event ready to be chained, given in any spelling of JSON; the canonical one is quickest.

    Raises:
        LedgerError: as :func:`ledger.encoding.parse_json` and :func:`prepare`.
    """
    event = recognise(text)
    if event is None or len(text) > event_bytes_max(origin):
        return prepare(parse_json(text), origin=origin)
    return Prepared(event, text)


@lru_cache(8)
def event_bytes_max(origin: str) -> int:
    """Return how long an event of a log can be, whatever its index: the rest of an entry is fixed in length."""
    frame = len("suyuan/entry/v1\n\n\n\n\n\n\n") + len(origin) + 19 + 44 + 24
    return ENTRY_BYTES_MAX - frame - signature_line_bytes(origin)


_stamp = lru_cache(64)(format_time)  # the events of a round have one time
