"""The ids of imported events: whoever reads the same source gets the same ids, so nothing is recorded twice and both sides meet.

An id is a UUID of version 5 (RFC 9562 section 5.5) over a line of JSON. The provider's importer makes a share with it; the consumer's
importer, which sees only its own side, computes the same id and finds the share in its node's copy of the provider's log.

Everything that goes into an id can be guessed and tried by every member who reads the ledger. So a record's local identifier (18 digits
of an ID number are tried out in minutes) never goes into one; a record reference may, as it is a keyed pseudonym already. Rows that
cannot be told apart without the identifier are numbered in the order of the file.
"""

import json
import re
import uuid
from collections import Counter

NAMESPACE = uuid.UUID("a9c4f9a6-6f0c-5a94-8a52-0d2f9f6d3b1e")  # of no meaning; never to be changed

_REFERENCE = re.compile(r"[0-9a-f]{64}")


def is_reference(record: str) -> bool:
    """Tell a record reference from a local identifier."""
    return _REFERENCE.fullmatch(record) is not None


def receipt_id(share_id: str) -> str:
    """Return the id of the consumer's answer to a share."""
    return _uuid("suyuan/import/receipt/v1", share_id)


class TransferIds:
    """Gives the shares of a CSV file their ids, row by row in the order of the file."""

    def __init__(self) -> None:
        self._seen: Counter[tuple[str, str, str, str]] = Counter()

    def next(self, *, provider: str, consumer: str, record: str, occurred_at: str) -> str:
        """Return the id of the next row; ``provider`` and ``consumer`` are origins."""
        key = (provider, consumer, record if is_reference(record) else "", occurred_at)
        number = self._seen[key]
        self._seen[key] += 1
        return _uuid("suyuan/import/csv/v1", *key, number)

    def beyond(self, *, provider: str, consumer: str, record: str, occurred_at: str) -> str:
        """Return the id that the next such row would have, after all rows of the file were given theirs."""
        key = (provider, consumer, record if is_reference(record) else "", occurred_at)
        return _uuid("suyuan/import/csv/v1", *key, self._seen[key])


def xroad_id(*parts: str | None, number: int) -> str:
    """Return the id of the share that an X-Road call was; ``number`` counts calls that nothing else tells apart."""
    return _uuid("suyuan/import/xroad/v1", *parts, number)


def _uuid(*parts: str | int | None) -> str:
    return str(uuid.uuid5(NAMESPACE, json.dumps(parts, ensure_ascii=False, separators=(",", ":"))))
