"""What all events have in common: the frame, the member types, and parsing with errors that name the member.

An event is one JSON object in canonical form (protocol section 2), the sixth line of an entry. ``type`` says which model
below reads it, ``id`` is the submitter's own UUID, by which a repeated submission is recognised. Members that have
nothing to say are absent, never null, so that an event has one spelling.

    {"id":"0f1e…","outcome":"accepted","share":{"hash":"…","index":42,"log":"police.ordos.example/log"},"type":"receipt"}

Models are frozen and strict and refuse members that they do not know.
"""

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, NamedTuple, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import ErrorDetails, PydanticCustomError

from ledger.encoding import INTEGER_MAX, parse_hash, parse_time
from ledger.errors import (
    BadValueError,
    Base64Error,
    LedgerError,
    MissingMemberError,
    OutOfRangeError,
    TimeError,
    TooLongError,
    TooManyError,
    UnknownMemberError,
    WrongTypeError,
)

ORIGIN_CHARACTERS_MAX = 128  # an origin is a line of every entry, so it must stay short
TEXT_CHARACTERS_MAX = 500  # a purpose or a legal basis: a sentence with its citation, not a document
NAME_CHARACTERS_MAX = 200  # codes and names
PSEUDONYM_CHARACTERS_MAX = 128
LABELS_MAX = 16
LABEL_CHARACTERS_MAX = 256

_BRANCHES = frozenset({"str", "EntryRef", "[key]"})  # pydantic's own words within a location
Model = TypeVar("Model", bound=BaseModel)

ORIGIN_PATTERN = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(/[a-z0-9._~-]+)+$"


def _hash(text: str) -> str:
    return _checked(parse_hash, text)


def _time(text: str) -> str:
    return _checked(parse_time, text)


def _checked(parse: Callable[[str], object], text: str) -> str:
    try:
        parse(text)
    except LedgerError as error:
        raise PydanticCustomError(error.code, "{problem}", {"problem": error.message}) from None
    return text


def _unpadded(text: str) -> str:
    if text.strip() != text:
        raise PydanticCustomError("bad_value", "the text begins or ends with white space")
    return text


Origin = Annotated[str, StringConstraints(max_length=ORIGIN_CHARACTERS_MAX, pattern=ORIGIN_PATTERN)]
EventId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")]
RecordRef = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Hash = Annotated[str, AfterValidator(_hash), WithJsonSchema({"type": "string", "format": "byte", "maxLength": 44})]
Time = Annotated[
    str,
    AfterValidator(_time),
    WithJsonSchema({"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"}),
]
Digest = Annotated[str, StringConstraints(pattern=r"^(sha-256|hmac-sha-256|sm3):[A-Za-z0-9+/]{43}=$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=TEXT_CHARACTERS_MAX), AfterValidator(_unpadded)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=NAME_CHARACTERS_MAX), AfterValidator(_unpadded)]
Pseudonym = Annotated[str, StringConstraints(min_length=1, max_length=PSEUDONYM_CHARACTERS_MAX), AfterValidator(_unpadded)]
Count = Annotated[int, Field(ge=0, le=INTEGER_MAX)]
Index = Annotated[int, Field(ge=0, le=INTEGER_MAX)]
LabelName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.-]{0,63}$")]
LabelValue = Annotated[str, StringConstraints(max_length=LABEL_CHARACTERS_MAX)]
Labels = Annotated[dict[LabelName, LabelValue], Field(min_length=1, max_length=LABELS_MAX)]
Absent = SkipJsonSchema[None]  # a member that may be left out; null itself is refused by parse_model


class Frozen(BaseModel):
    """Base of every model that reads signed bytes: nothing is coerced, nothing ignored, nothing changed."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", ser_json_inf_nan="strings")


class EntryRef(Frozen):
    """Where an entry stands, and which bytes stand there: written ``police.ordos.example/log#42``."""

    hash: Hash
    index: Index
    log: Origin

    def __str__(self) -> str:
        return f"{self.log}#{self.index}"


class Event(Frozen):
    """The frame: what every event of every type has."""

    TYPE: ClassVar[str]

    id: EventId
    type: str


class Violation(NamedTuple):
    """What is wrong with an event that is history all the same (protocol section 7)."""

    code: str
    message: str


def parse_model(model: type[Model], value: Any) -> Model:
    """Return ``value``, a parsed JSON object, as an instance of ``model``.

    Raises:
        UnknownMemberError, MissingMemberError, WrongTypeError, BadValueError, TooLongError, TooManyError,
        OutOfRangeError, TimeError, Base64Error: the first thing that is wrong, with the member's name.
    """
    _refuse_null(value)
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise _translated(_most_telling(error.errors(include_url=False))) from None


def _refuse_null(value: Any) -> None:
    if isinstance(value, dict):
        for name, member in value.items():
            if member is None:
                raise WrongTypeError("null is not a value: leave the member out", field=name)


def _most_telling(errors: list[ErrorDetails]) -> ErrorDetails:
    """Prefer the error that the sender did not mean: an unknown member explains a missing one, not the other way."""
    return next((error for error in errors if error["type"] == "extra_forbidden"), errors[0])


def _translated(details: ErrorDetails) -> LedgerError:
    field = _path(details["loc"])
    kind = details["type"]
    context = details.get("ctx", {})
    message = details["msg"]
    if kind == "extra_forbidden":
        return UnknownMemberError("there is no member of this name", field=field)
    if kind == "missing":
        return MissingMemberError("this member is required", field=field)
    if kind == "string_too_long":
        limit = context["max_length"]
        return TooLongError(f"at most {limit} characters", field=field, limit=limit)
    if kind == "too_long":
        limit = context["max_length"]
        return TooManyError(f"at most {limit} items, {context['actual_length']} given", field=field, limit=limit)
    if kind in {"greater_than_equal", "less_than_equal"}:
        limit = context.get("ge", context.get("le"))
        return OutOfRangeError(f"the number must be {'at least' if 'ge' in context else 'at most'} {limit}", field=field, limit=limit)
    if kind == "bad_time":
        return TimeError(message, field=field)
    if kind == "bad_base64":
        return Base64Error(message, field=field)
    if kind.endswith(("_type", "_type_strict")) or kind in {"model_type", "model_attributes_type"}:
        return WrongTypeError(message.removeprefix("Input should be ").join(("expected ", "")), field=field)
    return _bad_value(kind, context, message, field)


def _bad_value(kind: str, context: dict[str, Any], message: str, field: str) -> LedgerError:
    hints = {
        "string_pattern_mismatch": f"the text must match {context.get('pattern', '')}",
        "string_too_short": "the text is empty",
        "too_short": f"at least {context.get('min_length', 1)} items",
        "literal_error": f"expected {context.get('expected', '')}",
    }
    return BadValueError(hints.get(kind, message), field=field)


def _path(location: tuple[int | str, ...]) -> str:
    """Write a pydantic location as ``records[3]`` or ``share.index``; names of union branches are no member names."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part not in _BRANCHES:
            text += f".{part}" if text else part
    return text or "event"
