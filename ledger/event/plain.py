"""Shares and receipts as nearly all of them are, recognised and read in one step.

Reading an event exactly takes two: its canonical JSON (:mod:`ledger.encoding`), then the model of its type, pydantic's.
Here both are done at once by msgspec, in half of the time, and the answer is only ever yes: :func:`recognise` returns
the event when it is certain that the exact way would take the very same bytes to the same event, and None in every
other case, wrong or only unusual. Then the exact way decides, and says what is wrong.

    recognise(b'{"consumer":"tax.ordos.example/log", … ,"type":"share"}')    PlainShare(consumer='tax.…', …)

The models are the source of the schema. What stands here repeats it, each member in canonical order; a test compares
every constraint with the models' own, and another one what both ways say of events by the thousand.
"""

import unicodedata
from collections.abc import Callable, Iterable
from typing import Annotated, ClassVar, Final, Literal, TypeAlias

from msgspec import Meta, MsgspecError, Raw, Struct
from msgspec.json import Decoder, Encoder

from ledger.encoding import INTEGER_MAX, parse_hash, parse_time, plain_json
from ledger.errors import TimeError
from ledger.event import read_event
from ledger.event.base import (
    DIGEST_PATTERN,
    EVENT_ID_PATTERN,
    HASH_PATTERN,
    LABEL_CHARACTERS_MAX,
    LABEL_NAME_PATTERN,
    LABELS_MAX,
    NAME_CHARACTERS_MAX,
    ORIGIN_CHARACTERS_MAX,
    ORIGIN_PATTERN,
    PSEUDONYM_CHARACTERS_MAX,
    RECORD_REF_PATTERN,
    TEXT_CHARACTERS_MAX,
    Event,
    Violation,
)
from ledger.event.transfer import FIELDS_MAX, MANIFEST_RECORDS_MAX, PARENTS_MAX, RECORDS_MAX, Receipt, Share


def _whole(pattern: str) -> str:
    """Return a pattern for ``re``, in which $ would take a newline as well."""
    return pattern.removesuffix("$") + r"\Z"


_Origin = Annotated[str, Meta(max_length=ORIGIN_CHARACTERS_MAX, pattern=_whole(ORIGIN_PATTERN))]
_EventId = Annotated[str, Meta(pattern=_whole(EVENT_ID_PATTERN))]
_RecordRef = Annotated[str, Meta(pattern=_whole(RECORD_REF_PATTERN))]
_Hash = Annotated[str, Meta(pattern=_whole(HASH_PATTERN))]
_Digest = Annotated[str, Meta(pattern=_whole(DIGEST_PATTERN))]
_Text = Annotated[str, Meta(min_length=1, max_length=TEXT_CHARACTERS_MAX)]
_Name = Annotated[str, Meta(min_length=1, max_length=NAME_CHARACTERS_MAX)]
_Pseudonym = Annotated[str, Meta(min_length=1, max_length=PSEUDONYM_CHARACTERS_MAX)]
_Count = Annotated[int, Meta(ge=0, le=INTEGER_MAX)]
_Version = Annotated[int, Meta(ge=1, le=INTEGER_MAX)]
_LabelName = Annotated[str, Meta(pattern=_whole(LABEL_NAME_PATTERN))]
_LabelValue = Annotated[str, Meta(max_length=LABEL_CHARACTERS_MAX)]
_Labels = Annotated[dict[_LabelName, _LabelValue], Meta(min_length=1, max_length=LABELS_MAX)]


class _Plain(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """Base of what is recognised: an absent member is None, and null, which is written as nothing, shows as such."""


class PlainRef(_Plain, frozen=True, gc=False):
    """As :class:`ledger.event.EntryRef`."""

    hash: _Hash
    index: _Count
    log: _Origin

    def __str__(self) -> str:
        return f"{self.log}#{self.index}"


class PlainManifest(_Plain, frozen=True, gc=False):
    """As :class:`ledger.event.transfer.ManifestRef`."""

    count: Annotated[int, Meta(ge=1, le=MANIFEST_RECORDS_MAX)]
    root: _Hash

    @property
    def root_bytes(self) -> bytes:
        """The root as bytes."""
        return parse_hash(self.root)


class PlainShare(_Plain, frozen=True, kw_only=True, gc=False):
    """As :class:`ledger.event.Share`."""

    TYPE: ClassVar[str] = Share.TYPE

    bytes: _Count | None = None
    calls: _Count | None = None
    case: _Name | None = None
    consumer: _Origin
    fields: Annotated[list[_Name], Meta(max_length=FIELDS_MAX)] | None = None
    grant: PlainRef | _Name | None = None
    id: _EventId
    labels: _Labels | None = None
    legal_basis: _Text | None = None
    manifest: PlainManifest | None = None
    method: Literal["api", "database", "file", "message", "manual"]
    mode: Literal["copy", "query", "verify", "compute"] | None = None
    occurred_at: str
    operator: _Pseudonym | None = None
    parents: Annotated[list[PlainRef], Meta(max_length=PARENTS_MAX)] | None = None
    payload_digest: _Digest | None = None
    purpose: _Text
    records: Annotated[list[_RecordRef], Meta(max_length=RECORDS_MAX)] | None = None
    resource: _Name
    resource_version: _Version | None = None
    rows: _Count | None = None
    system: _Name | None = None
    type: Literal["share"]


class PlainReceipt(_Plain, frozen=True, kw_only=True, gc=False):
    """As :class:`ledger.event.Receipt`."""

    TYPE: ClassVar[str] = Receipt.TYPE

    bytes: _Count | None = None
    case: _Name | None = None
    id: _EventId
    labels: _Labels | None = None
    occurred_at: str
    operator: _Pseudonym | None = None
    outcome: Literal["accepted", "rejected"]
    payload_digest: _Digest | None = None
    reason: _Text | None = None
    rows: _Count | None = None
    share: PlainRef
    system: _Name | None = None
    type: Literal["receipt"]


class _Batch(Struct, forbid_unknown_fields=True):
    events: list[Raw]


PlainEvent: TypeAlias = PlainShare | PlainReceipt
SHARES: Final = (Share, PlainShare)  # for isinstance
RECEIPTS: Final = (Receipt, PlainReceipt)

_COMMAS_MAX = 200_000  # in a batch, or there may be very many more values in it than there are events in any batch

_BATCH = Decoder(_Batch)
_SHARE = Decoder(PlainShare)
_RECEIPT = Decoder(PlainReceipt)
_WRITE: Callable[[object], bytes] = Encoder(order="deterministic").encode  # the members of labels sorted, too


def recognise(text: bytes) -> PlainEvent | None:
    """Return the share or receipt that a text is, if it is canonical JSON and keeps to its schema, and that is plain.

    Strings are as they stand in the text, for nothing is escaped; the text has no control character (msgspec refuses
    those of ASCII but for the last one, the others begin with byte C2), and its strings are in NFC when the whole text
    is: a quotation mark composes with nothing. What is written again alike has its members in order and once, no white
    space between them, no null, and one spelling of each number.
    """
    if b"\\" in text or b"\x7f" in text or b"\xc2" in text:
        return None
    try:
        if not (text.isascii() or unicodedata.is_normalized("NFC", text.decode())):
            return None
        event: PlainEvent
        if text.endswith(b'"share"}'):
            event = _SHARE.decode(text)
            holds = _share_holds(event)
        else:
            event = _RECEIPT.decode(text)
            holds = event.outcome == "accepted" or event.reason is not None
            holds = holds and _unpadded((event.reason, event.case, event.system, event.operator))
        if holds and _WRITE(event) == text:
            parse_time(event.occurred_at)
            return event
    except (MsgspecError, RecursionError, TimeError, UnicodeDecodeError):
        pass
    return None


def recognise_batch(body: bytes) -> list[tuple[PlainEvent, bytes]] | None:
    """Return the events of a canonical ``{"events":[…]}``, each with its text, if all of them are recognised."""
    if body.count(b",") > _COMMAS_MAX:
        return None
    try:
        texts = [bytes(raw) for raw in _BATCH.decode(body).events]
    except (MsgspecError, RecursionError, UnicodeDecodeError):
        return None
    if body != b'{"events":[%b]}' % b",".join(texts):
        return None
    events: list[tuple[PlainEvent, bytes]] = []
    for text in texts:
        event = recognise(text)
        if event is None:
            return None
        events.append((event, text))
    return events


def read_plain(text: bytes) -> PlainEvent | Event | Violation | None:
    """Return an event that is in a log already, or what is wrong with it; None: it takes the exact way to tell."""
    event = recognise(text)
    if event is not None:
        return event
    value = plain_json(text)
    return read_event(value) if isinstance(value, dict) else None


def _share_holds(share: PlainShare) -> bool:
    """Tell whether a share keeps to what its model says beyond members and their types."""
    records, fields, parents, grant = share.records, share.fields, share.parents, share.grant
    if records is not None and (share.manifest is not None or len(set(records)) != len(records)):
        return False
    if fields is not None and (len(set(fields)) != len(fields) or not _unpadded(fields)):
        return False
    if parents is not None and len({parent.hash for parent in parents}) != len(parents):
        return False
    names = (share.resource, share.purpose, share.legal_basis, share.case, share.system, share.operator)
    return _unpadded(names) and (not isinstance(grant, str) or grant.strip() == grant)


def _unpadded(texts: Iterable[str | None]) -> bool:
    for text in texts:  # noqa: SIM110 - all() would take half as long again
        if text is not None and text.strip() != text:
            return False
    return True
