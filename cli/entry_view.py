"""One entry in words: what its event says, member by member."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cli import output
from cli.language import _, noted
from ledger.encoding import canonical_json

if TYPE_CHECKING:
    from rich.console import RenderableType

TYPE_WORDS = {
    "log.open": noted("the log was opened"),
    "share": noted("data was shared"),
    "receipt": noted("a share was answered"),
}
MEMBER_WORDS = {
    "bytes": noted("bytes"),
    "calls": noted("calls"),
    "case": noted("case"),
    "consumer": noted("to"),
    "fields": noted("fields"),
    "grant": noted("grant"),
    "id": noted("event id"),
    "labels": noted("labels"),
    "legal_basis": noted("basis"),
    "manifest": noted("manifest"),
    "method": noted("way"),
    "mode": noted("what left"),
    "network": noted("network"),
    "network_version": noted("network version"),
    "occurred_at": noted("when"),
    "operator": noted("operator"),
    "outcome": noted("answer"),
    "parents": noted("sources"),
    "payload_digest": noted("payload"),
    "purpose": noted("purpose"),
    "reason": noted("reason"),
    "records": noted("records"),
    "resource": noted("resource"),
    "resource_version": noted("resource version"),
    "rows": noted("rows"),
    "share": noted("share"),
    "software": noted("software"),
    "system": noted("system"),
}
VALUE_WORDS = (  # values of events and of the network document, which are said in the reader's language
    *("api", "database", "file", "message", "manual", "copy", "query", "verify", "compute"),
    *("accepted", "rejected", "recorded", "confirmed"),
    *("department", "authority", "auditor", "external", "active", "suspended", "ended"),
)
_FIRST = (
    "consumer",
    "share",
    "outcome",
    "reason",
    "resource",
    "purpose",
    "legal_basis",
    "grant",
    "method",
    "mode",
    "occurred_at",
)
_RECORDS_SHOWN = 10  # the raw entry below has them all


def parts(event: Mapping[str, Any], *, log: str, names: Mapping[str, str]) -> "list[RenderableType]":
    """Return what is drawn for an event of ``log``."""
    kind = str(event.get("type", ""))
    order = [name for name in _FIRST if name in event] + sorted(name for name in event if name not in (*_FIRST, "type"))
    rows = [
        (_("from"), with_name(log, names)),
        (_("type"), f"{kind}: {_(TYPE_WORDS[kind])}" if kind in TYPE_WORDS else kind),
    ]
    rows += [(_(MEMBER_WORDS.get(name, name)), _value(name, event[name], names)) for name in order]
    return [output.pairs(rows)]


def with_name(log: str, names: Mapping[str, str]) -> str:
    """Return a log with its department's name."""
    return f"{names[log]} ({log})" if log in names else log


def _value(name: str, value: Any, names: Mapping[str, str]) -> str:
    if name == "consumer" and isinstance(value, str):
        return with_name(value, names)
    if isinstance(value, list):
        shown = [_value("", item, names) for item in value[:_RECORDS_SHOWN]]
        rest = len(value) - len(shown)
        return "\n".join(shown) + ("\n" + _("… and {count} more", count=rest) if rest else "")
    if isinstance(value, dict):
        return f"{value['log']}#{value['index']}" if {"log", "index"} <= value.keys() else canonical_json(value)
    return _(value) if name in ("method", "mode", "outcome") and isinstance(value, str) else str(value)
