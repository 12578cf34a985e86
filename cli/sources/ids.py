"""The ids of imported events: the same source gives the same ids, so nothing is recorded twice, and both sides meet.

An id is a UUID of version 5 (RFC 9562 section 5.5) over a line of JSON. The provider's importer makes a share with it;
the consumer's importer, which tells only its own side, computes the same id and finds the share in its node's copy of
the provider's log.

What goes into an id can be guessed and tried by every member who reads the ledger. So a record's local identifier never
goes into one: the 18 digits of an ID number are tried out in minutes. A record reference may, being a keyed pseudonym
already. Rows that only their identifiers tell apart are numbered in the order of the file.
"""

import json
import re
import uuid
from collections import Counter

NAMESPACE = uuid.UUID("8b025de8-57b1-4fbc-8036-6b6ca463cb83")  # of no meaning; never to be changed

_REFERENCE = re.compile(r"[0-9a-f]{32}")


def as_reference(record: str) -> str | None:
    """Return a record reference in its one spelling, or nothing for a local identifier."""
    return record.lower() if _REFERENCE.fullmatch(record.lower()) else None


def receipt_id(share_id: str) -> str:
    """Return the id of the consumer's answer to a share."""
    return _uuid("suyuan/import/receipt/v1", share_id)


class TransferIds:
    """Gives the shares of a CSV file their ids, row by row in the order of the file."""

    def __init__(self) -> None:
        self._seen: Counter[tuple[str, str, str, str]] = Counter()

    def next(self, *, provider: str, consumer: str, record: str, occurred_at: str) -> str:
        """Return the id of the next row; ``provider`` and ``consumer`` are origins."""
        key = (provider, consumer, as_reference(record) or "", occurred_at)
        number = self._seen[key]
        self._seen[key] += 1
        return _uuid("suyuan/import/csv/v1", *key, number)

    def beyond(self, *, provider: str, consumer: str, record: str, occurred_at: str) -> str:
        """Return the id that the next such row would have, after all rows of the file were given theirs."""
        key = (provider, consumer, as_reference(record) or "", occurred_at)
        return _uuid("suyuan/import/csv/v1", *key, self._seen[key])


def xroad_id(*parts: str | None, number: int) -> str:
    """Return the id of the share that an X-Road call was; ``number`` counts calls that nothing else tells apart."""
    return _uuid("suyuan/import/xroad/v1", *parts, number)


def _uuid(*parts: str | int | None) -> str:
    return str(uuid.uuid5(NAMESPACE, json.dumps(parts, ensure_ascii=False, separators=(",", ":"))))
