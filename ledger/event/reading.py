"""Events of entries, read in whichever way takes less: recognised (ledger/plain.py), else exactly, by their model."""

from typing import Final, TypeAlias

from ledger.encoding import plain_json
from ledger.event import Event, Receipt, Share, Violation, read_event
from ledger.plain import PlainEvent, PlainReceipt, PlainShare, recognise

SHARES: Final = (Share, PlainShare)  # for isinstance
RECEIPTS: Final = (Receipt, PlainReceipt)

Read: TypeAlias = Event | PlainEvent | Violation  # what stands in an entry


def read_plain(text: bytes) -> Read | None:
    """Return an event that is in a log already, or what is wrong with it; None: it takes the exact way to tell."""
    event = recognise(text)
    return read_other(text) if event is None else event


def read_other(text: bytes) -> Event | Violation | None:
    """Do what :func:`read_plain` does for what is not recognised."""
    value = plain_json(text)
    return read_event(value) if isinstance(value, dict) else None
