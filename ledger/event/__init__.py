"""The event types, one module per family: the single source of schema for API, OpenAPI, CLI and docs."""

from typing import Any

from ledger.encoding import JsonObject, cut, parse_json
from ledger.errors import EventError, LedgerError, MissingMemberError, UnknownTypeError, WrongTypeError
from ledger.event.base import EntryRef, Event, Violation, parse_model
from ledger.event.log import KeyRotate, LogOpen, NetworkAdopt
from ledger.event.transfer import Receipt, Share

EVENT_TYPES: dict[str, type[Event]] = {
    model.TYPE: model for model in (LogOpen, NetworkAdopt, KeyRotate, Share, Receipt)
}

# Types that a department's systems submit; the others are written by the node itself.
SUBMITTED_TYPES = frozenset({Share.TYPE, Receipt.TYPE})


def parse_event(value: Any) -> Event:
    """Return a parsed JSON value as the event that it is.

    Raises:
        UnknownTypeError: a type that this version does not know.
        EventError, LimitError, MalformedError: the first thing that breaks the type's schema, with the member's name.
    """
    if not isinstance(value, dict):
        raise WrongTypeError("an event is a JSON object", field="event")
    if "type" not in value:
        raise MissingMemberError("this member is required", field="type")
    kind = value["type"]
    if not isinstance(kind, str):
        raise WrongTypeError("expected a string", field="type")
    model = EVENT_TYPES.get(kind)
    if model is None:
        raise UnknownTypeError(f"there is no event type {cut(kind)!r}; known: {', '.join(EVENT_TYPES)}", field="type")
    return parse_model(model, value)


def read_event(value: JsonObject) -> Event | Violation:
    """Return an event that is in a log already, or what is wrong with it.

    History is never refused (protocol section 7).
    """
    try:
        return parse_event(value)
    except LedgerError as error:
        return Violation(error.code, str(error))


def parse_event_text(text: bytes | str) -> tuple[JsonObject, Event]:
    """Return an event as submitted, in any spelling of JSON: the object as given, and its model.

    Raises:
        JsonError, EventError, LimitError, MalformedError: see :func:`ledger.encoding.parse_json`, :func:`parse_event`.
    """
    value = parse_json(text)
    event = parse_event(value)
    assert isinstance(value, dict)
    return value, event


__all__ = [
    "EVENT_TYPES",
    "SUBMITTED_TYPES",
    "EntryRef",
    "Event",
    "EventError",
    "KeyRotate",
    "LogOpen",
    "NetworkAdopt",
    "Receipt",
    "Share",
    "Violation",
    "parse_event",
    "parse_event_text",
    "read_event",
]
