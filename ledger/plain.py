"""Shares and receipts as nearly all of them are, recognised and read in one step.

Reading an event exactly takes two: its canonical JSON (:mod:`ledger.encoding`), then the model of its type, pydantic's.
Here both are done at once by msgspec, in half of the time, and the answer is only ever yes: :func:`recognise` returns
the event when it is certain that the exact way would take the very same bytes to the same event, and None in every
other case, wrong or only unusual. Then the exact way decides, and says what is wrong.

    recognise(b'{"consumer":"tax.ordos.example/log", … ,"type":"share"}')    PlainShare(consumer='tax.…', …)

The models are the source of the schema. What stands here repeats it, each member in canonical order; a test compares
every constraint with the models' own, and another one what both ways say of events by the thousand.
"""

import re
from collections.abc import Callable, Iterable
from typing import Annotated, ClassVar, Literal, TypeAlias

from msgspec import Meta, MsgspecError, Raw, Struct
from msgspec.json import Decoder, Encoder

from ledger.encoding import INTEGER_MAX, check_string, check_time, parse_hash
from ledger.errors import JsonError, TimeError
from ledger.limits import (
    DIGEST_PATTERN,
    EVENT_ID_PATTERN,
    FIELDS_MAX,
    HASH_PATTERN,
    LABEL_CHARACTERS_MAX,
    LABEL_NAME_PATTERN,
    LABELS_MAX,
    MANIFEST_RECORDS_MAX,
    NAME_CHARACTERS_MAX,
    ORIGIN_CHARACTERS_MAX,
    ORIGIN_PATTERN,
    PARENTS_MAX,
    PSEUDONYM_CHARACTERS_MAX,
    RECORD_REF_PATTERN,
    RECORDS_MAX,
    TEXT_CHARACTERS_MAX,
    is_origin,
    remember,
)

# Patterns are part of the schema, but checked below: msgspec takes twice as long for it.
_Origin = Annotated[str, Meta(max_length=ORIGIN_CHARACTERS_MAX, extra_json_schema={"pattern": ORIGIN_PATTERN})]
_EventId = Annotated[str, Meta(extra_json_schema={"pattern": EVENT_ID_PATTERN})]
_RecordRef = Annotated[str, Meta(extra_json_schema={"pattern": RECORD_REF_PATTERN})]
_Hash = Annotated[str, Meta(extra_json_schema={"pattern": HASH_PATTERN})]
_Digest = Annotated[str, Meta(extra_json_schema={"pattern": DIGEST_PATTERN})]
_Text = Annotated[str, Meta(min_length=1, max_length=TEXT_CHARACTERS_MAX)]
_Name = Annotated[str, Meta(min_length=1, max_length=NAME_CHARACTERS_MAX)]
_Pseudonym = Annotated[str, Meta(min_length=1, max_length=PSEUDONYM_CHARACTERS_MAX)]
_Count = Annotated[int, Meta(ge=0, le=INTEGER_MAX)]
_Version = Annotated[int, Meta(ge=1, le=INTEGER_MAX)]
_LabelName = Annotated[str, Meta(extra_json_schema={"pattern": LABEL_NAME_PATTERN})]
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

    TYPE: ClassVar[str] = "share"

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

    TYPE: ClassVar[str] = "receipt"

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

_COMMAS_MAX = 200_000  # in a batch, or there may be very many more values in it than there are events in any batch

_BATCH = Decoder(_Batch)
_SHARE = Decoder(PlainShare)
_RECEIPT = Decoder(PlainReceipt)
_WRITE: Callable[[object], bytes] = Encoder(order="deterministic").encode  # the members of labels sorted, too

_is_event_id, _is_record, _is_hash, _is_digest, _is_label = (
    re.compile(pattern).fullmatch
    for pattern in (EVENT_ID_PATTERN, RECORD_REF_PATTERN, HASH_PATTERN, DIGEST_PATTERN, LABEL_NAME_PATTERN)
)

_HELD_MAX = 2048  # what was found to hold, for purposes, laws and systems come again: at most 4 MB
_held: set[str] = set()


def recognise(text: bytes) -> PlainEvent | None:
    """Return the share or receipt that a text is, if it is canonical JSON and keeps to its schema, and that is plain.

    What is written again alike has its members in order and once, no white space between them, no null, and one
    spelling of each string and number. What canonical JSON says of the characters of strings is checked where nothing
    else says it: all the others have a pattern, of printable ASCII.
    """
    try:
        event: PlainEvent
        if text.endswith(b'"share"}'):
            event = _SHARE.decode(text)
            holds = _share_holds(event)
        else:
            event = _RECEIPT.decode(text)
            holds = _receipt_holds(event)
        if holds and _frame_holds(event) and _WRITE(event) == text:
            check_time(event.occurred_at)
            return event
    except (MsgspecError, RecursionError, TimeError, UnicodeError):
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


# What the models say beyond members, their types and lengths.


def _frame_holds(event: PlainEvent) -> bool:
    digest, labels = event.payload_digest, event.labels
    return (
        _is_event_id(event.id) is not None
        and (digest is None or _is_digest(digest) is not None)
        and (labels is None or all(_is_label(name) and _is_canonical(label) for name, label in labels.items()))
    )


def _share_holds(share: PlainShare) -> bool:
    records, fields, parents, grant = share.records, share.fields, share.parents, share.grant
    if records is not None:
        if share.manifest is not None or (len(records) > 1 and len(set(records)) != len(records)):
            return False
        for record in records:
            if _is_record(record) is None:
                return False
    elif share.manifest is not None and _is_hash(share.manifest.root) is None:
        return False
    if fields is not None and (len(set(fields)) != len(fields) or not _hold(fields)):
        return False
    if parents is not None and not (len({parent.hash for parent in parents}) == len(parents) and _point(parents)):
        return False
    if grant is not None and not (_hold((grant,)) if isinstance(grant, str) else _point((grant,))):
        return False
    names = (share.resource, share.purpose, share.legal_basis, share.case, share.system, share.operator)
    return is_origin(share.consumer) and _hold(names)


def _receipt_holds(receipt: PlainReceipt) -> bool:
    if receipt.outcome != "accepted" and receipt.reason is None:
        return False
    return _point((receipt.share,)) and _hold((receipt.reason, receipt.case, receipt.system, receipt.operator))


def _point(refs: Iterable[PlainRef]) -> bool:
    """Tell whether references have the form of an origin and a hash."""
    return all(_is_hash(ref.hash) and is_origin(ref.log) for ref in refs)


def _hold(texts: Iterable[str | None]) -> bool:
    """Tell whether texts are such as canonical JSON takes, without white space at their ends."""
    for text in texts:
        if text is None:
            continue
        if text.isascii():
            if not text.isprintable() or text[0] == " " or text[-1] == " ":
                return False
        elif text not in _held:
            if text.strip() != text or not _is_canonical(text):
                return False
            remember(_held, text, _HELD_MAX)
    return True


def _is_canonical(text: str) -> bool:
    try:
        check_string(text)
    except JsonError:
        return False
    return True
