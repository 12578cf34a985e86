"""What an import is about to record, what that rests on, and what became of it."""

from dataclasses import dataclass, field
from typing import Any, Final, Literal

from ledger.encoding import JsonObject, check_json, encode_base64
from ledger.errors import LedgerError
from ledger.event import EntryRef
from node.errors import RefusedError
from node.submission import prepare

LISTED_MAX = 10_000  # findings kept in full; further ones are only counted

_UNKNOWN_HASH: Final = encode_base64(bytes(32))
_UNKNOWN_RECORD: Final = "0" * 32

Kind = Literal["share", "receipt"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """The share that must be at a department's node before its event can be recorded."""

    share_id: str
    provider: str  # in whose log it must stand
    time_ms: int
    tolerance_ms: int = 0  # between the time that the share states and ``time_ms``
    unlike: str | None = None  # an event id that must not be there: else nobody can tell which share is meant


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """An event to be recorded, complete but for what it takes from the share that it needs."""

    place: str  # where the source says it: ``line 7``
    department: str  # in whose log it will stand
    kind: Kind
    event: JsonObject
    need: Need | None = None
    optional: bool = False  # dropped, not waited for, where the share is not here

    @property
    def id(self) -> str:
        """The event's id."""
        return str(self.event["id"])

    def completed(self, ref: EntryRef, records: list[str]) -> JsonObject:
        """Return the event with what its share gives: a receipt names it, an onward share is of the same record."""
        if self.kind == "receipt":
            return {**self.event, "share": ref.model_dump()}
        return {"records": records, **self.event, "parents": [ref.model_dump()]}

    def check(self) -> None:
        """Check the event as its node will, before anything is sent.

        Raises:
            LedgerError: the node would refuse it.
        """
        value = self.event
        if self.need is not None:
            holder = EntryRef(hash=_UNKNOWN_HASH, index=0, log=self.need.provider)
            value = self.completed(holder, [_UNKNOWN_RECORD])
        check_json(value)
        prepare(value, origin=self.department)


class UnknownNameError(RefusedError):
    """A name that leads to no member of the network."""

    code = "unknown_name"
    hint = "say in a map (--map) whose log it is"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that was not recorded, and why."""

    place: str
    kind: Kind | None  # nothing where the source itself cannot be read
    event_id: str | None
    code: str
    reason: str
    hint: str = ""

    def to_json(self) -> JsonObject:
        """Return the finding as the report's JSON has it."""
        said: dict[str, Any] = {"place": self.place, "event": self.kind, "event_id": self.event_id}
        return {**said, "code": self.code, "reason": self.reason}


@dataclass(slots=True)
class Findings:
    """A list that stays small, and its true length."""

    count: int = 0
    listed: list[Finding] = field(default_factory=list)

    def add(self, finding: Finding) -> None:
        """Count one more."""
        self.count += 1
        if len(self.listed) < LISTED_MAX:
            self.listed.append(finding)


def _none() -> dict[Kind, int]:
    return {"share": 0, "receipt": 0}


@dataclass(slots=True)
class Outcome:
    """What became of the plans."""

    made: dict[Kind, int] = field(default_factory=_none)
    there: dict[Kind, int] = field(default_factory=_none)  # recorded by an earlier run
    dropped: set[str] = field(default_factory=set)  # ids of optional events whose share is not here
    waiting: Findings = field(default_factory=Findings)
    refused: Findings = field(default_factory=Findings)

    def refuse(self, place: str, error: LedgerError, plan: Planned | None = None) -> None:
        """Count something that cannot be recorded."""
        kind, event_id = (plan.kind, plan.id) if plan is not None else (None, None)
        finding = Finding(
            place=place, kind=kind, event_id=event_id, code=error.code, reason=error.message, hint=error.hint
        )
        self.refused.add(finding)

    def wait(self, plan: Planned, reason: str) -> None:
        """Count an event whose share has not arrived."""
        finding = Finding(place=plan.place, kind=plan.kind, event_id=plan.id, code="waiting", reason=reason)
        self.waiting.add(finding)
