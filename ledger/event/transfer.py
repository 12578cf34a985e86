"""Events of a transfer: the provider's share and the consumer's receipt.

A share is signed when the data leaves, a receipt when it has arrived; each party speaks in its own log, so that neither
can say later that the other one was alone (domain: provider 提供方, consumer 使用方).

    {"consumer":"tax.ordos.example/log","id":"…","legal_basis":"…","method":"api","purpose":"…",
     "records":["9f2c…"],"resource":"household-register","type":"share"}
    {"id":"…","outcome":"accepted","share":{"hash":"…","index":42,"log":"police.ordos.example/log"},"type":"receipt"}

No personal data: records and operators are keyed pseudonyms, the payload is only a digest (mechanisms M32, M96).
"""

from collections import Counter
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from ledger.encoding import INTEGER_MAX, parse_hash
from ledger.event.base import (
    Count,
    Digest,
    EntryRef,
    Event,
    Frozen,
    Hash,
    Labels,
    Maybe,
    Name,
    Origin,
    Pseudonym,
    RecordRef,
    Text,
    Time,
)
from ledger.limits import FIELDS_MAX, MANIFEST_RECORDS_MAX, PARENTS_MAX, RECORDS_MAX


def _distinct(items: list[str]) -> list[str]:
    if len(set(items)) != len(items):
        twice, _ = Counter(items).most_common(1)[0]
        raise PydanticCustomError("bad_value", "{item} is there twice", {"item": twice})
    return items


def _distinct_refs(items: list[EntryRef]) -> list[EntryRef]:
    if len({item.hash for item in items}) != len(items):
        raise PydanticCustomError("bad_value", "the same entry is there twice")
    return items


def _grant_kind(value: object) -> str:
    return "entry" if isinstance(value, dict | EntryRef) else "name"


Records = Annotated[list[RecordRef], Field(max_length=RECORDS_MAX), AfterValidator(_distinct)]
FieldNames = Annotated[list[Name], Field(max_length=FIELDS_MAX), AfterValidator(_distinct)]
Parents = Annotated[list[EntryRef], Field(max_length=PARENTS_MAX), AfterValidator(_distinct_refs)]
Grant = Annotated[
    Annotated[EntryRef, Tag("entry")] | Annotated[Name, Tag("name")],  # in this ledger, or in another system's words
    Discriminator(_grant_kind),
]


class ManifestRef(Frozen):
    """The records of a large share: Merkle root over their references, and their count (see ledger/manifest.py)."""

    count: Annotated[int, Field(ge=1, le=MANIFEST_RECORDS_MAX)]
    root: Hash

    @property
    def root_bytes(self) -> bytes:
        """The root as bytes."""
        return parse_hash(self.root)


class Share(Event):
    """One transfer, stated by its provider.

    ``mode`` says what left: a ``copy`` of the data, the answer to a ``query``, a yes or no (``verify``), or only what
    was computed from it (``compute``); ``method`` says by which way.
    """

    TYPE: ClassVar[str] = "share"

    type: Literal["share"]
    consumer: Origin
    resource: Name
    resource_version: Maybe[Annotated[int, Field(ge=1, le=INTEGER_MAX)]] = None
    records: Maybe[Records] = None
    manifest: Maybe[ManifestRef] = None
    fields: Maybe[FieldNames] = None
    purpose: Text
    legal_basis: Maybe[Text] = None
    grant: Maybe[Grant] = None
    method: Literal["api", "database", "file", "message", "manual"]
    mode: Maybe[Literal["copy", "query", "verify", "compute"]] = None
    calls: Maybe[Count] = None
    rows: Maybe[Count] = None
    bytes: Maybe[Count] = None
    payload_digest: Maybe[Digest] = None
    parents: Maybe[Parents] = None
    case: Maybe[Name] = None
    system: Maybe[Name] = None
    operator: Maybe[Pseudonym] = None
    labels: Maybe[Labels] = None
    occurred_at: Time

    @model_validator(mode="after")
    def _records_or_manifest(self) -> "Share":
        if self.manifest is not None and self.records is not None:
            raise PydanticCustomError(
                "bad_value", "a share names its records or a manifest, not both", {"member": "manifest"}
            )
        return self


class Receipt(Event):
    """The consumer's signed answer to a share: accepted, or rejected with a reason."""

    TYPE: ClassVar[str] = "receipt"

    type: Literal["receipt"]
    share: EntryRef
    outcome: Literal["accepted", "rejected"]
    reason: Maybe[Text] = None
    payload_digest: Maybe[Digest] = None
    rows: Maybe[Count] = None
    bytes: Maybe[Count] = None
    case: Maybe[Name] = None
    system: Maybe[Name] = None
    operator: Maybe[Pseudonym] = None
    labels: Maybe[Labels] = None
    occurred_at: Time

    @model_validator(mode="after")
    def _a_rejection_has_a_reason(self) -> "Receipt":
        if self.outcome == "rejected" and self.reason is None:
            raise PydanticCustomError("missing_member", "a rejection needs a reason", {"member": "reason"})
        return self
