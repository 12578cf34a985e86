"""What all events have in common: the frame, the member types, and parsing with errors that name the member.

An event is one JSON object in canonical form (protocol section 2), the sixth line of an entry. ``type`` says which
model below reads it, ``id`` is the submitter's own UUID, by which a repeated submission is recognised. Members that
have nothing to say are absent, never null.

    {"id":"0f1e…","outcome":"accepted","share":{"hash":"…","index":42,"log":"police.ordos.example/log"},"type":"receipt"}

Models are frozen and strict and refuse members that they do not know.
"""

from typing import Annotated, Any, ClassVar, NamedTuple, TypeAlias, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, ErrorDetails, PydanticCustomError

from ledger.encoding import INTEGER_MAX, cut, parse_time
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
from ledger.limits import (
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
)

_T = TypeVar("_T")
Model = TypeVar("Model", bound=BaseModel)


def _time(text: str) -> str:
    try:
        parse_time(text)
    except TimeError as error:
        raise PydanticCustomError(error.code, "{problem}", {"problem": error.message}) from None
    return text


def _unpadded(text: str) -> str:
    if text.strip() != text:
        raise PydanticCustomError("bad_value", "the text begins or ends with white space")
    return text


class _NotNull:
    """Takes null out of what pydantic accepts: None is the default of a member that was left out, never its value."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        assert schema["type"] == "nullable"
        inner: CoreSchema = schema["schema"]
        return inner


Maybe: TypeAlias = Annotated[_T | None, _NotNull()]  # a member that may be left out: ``case: Maybe[Name] = None``
Origin = Annotated[str, StringConstraints(max_length=ORIGIN_CHARACTERS_MAX, pattern=ORIGIN_PATTERN)]
EventId = Annotated[str, StringConstraints(pattern=EVENT_ID_PATTERN)]
RecordRef = Annotated[str, StringConstraints(pattern=RECORD_REF_PATTERN)]
Hash = Annotated[str, StringConstraints(pattern=HASH_PATTERN)]
Time = Annotated[
    str,
    AfterValidator(_time),
    WithJsonSchema({"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"}),
]
Digest = Annotated[str, StringConstraints(pattern=DIGEST_PATTERN)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=TEXT_CHARACTERS_MAX), AfterValidator(_unpadded)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=NAME_CHARACTERS_MAX), AfterValidator(_unpadded)]
Pseudonym = Annotated[
    str, StringConstraints(min_length=1, max_length=PSEUDONYM_CHARACTERS_MAX), AfterValidator(_unpadded)
]
Count = Annotated[int, Field(ge=0, le=INTEGER_MAX)]
Index = Annotated[int, Field(ge=0, le=INTEGER_MAX)]
LabelName = Annotated[str, StringConstraints(pattern=LABEL_NAME_PATTERN)]
LabelValue = Annotated[str, StringConstraints(max_length=LABEL_CHARACTERS_MAX)]
Labels = Annotated[dict[LabelName, LabelValue], Field(min_length=1, max_length=LABELS_MAX)]


def _without_null_defaults(schema: dict[str, Any]) -> None:
    for member in schema.get("properties", {}).values():
        if "default" in member and member["default"] is None:
            del member["default"]


class Frozen(BaseModel):
    """Base of every model that reads signed bytes: nothing is coerced, nothing ignored, nothing changed."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", json_schema_extra=_without_null_defaults)


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


def parse_model(model: type[Model], value: Any, *, whole: str = "event") -> Model:
    """Return ``value``, a parsed JSON object, as an instance of ``model``; ``whole`` is what errors call it.

    Raises:
        UnknownMemberError, MissingMemberError, WrongTypeError, BadValueError, TooLongError, TooManyError,
        OutOfRangeError, TimeError, Base64Error: the first thing that is wrong, with the member's name.
    """
    try:
        return model.__pydantic_validator__.validate_python(value)  # type: ignore[no-any-return]  # as model_validate
    except ValidationError as error:
        telling = _most_telling(error.errors(include_url=False))
    raise _translated(telling, _path(telling, value) or whole)


def _most_telling(errors: list[ErrorDetails]) -> ErrorDetails:
    """Prefer the error that the sender did not mean: an unknown member explains a missing one, not the other way."""
    return next((error for error in errors if error["type"] == "extra_forbidden"), errors[0])


def _path(details: ErrorDetails, value: Any) -> str:
    """Write the place of an error as ``records[3]`` or ``share.index``.

    The location has names besides those of members (of union branches, of dictionary keys), so it is followed through
    the value. An error of the whole object says itself which member it means.
    """
    text: str = details.get("ctx", {}).get("member", "")
    missing = details["loc"][-1] if details["type"] == "missing" else None
    for part in details["loc"]:
        if isinstance(value, list) and isinstance(part, int):
            text += f"[{part}]"
            value = value[part]
        elif isinstance(value, dict) and (part in value or part == missing):
            text += f".{cut(str(part))}" if text else cut(str(part))
            value = value.get(part)
    return text


def _translated(details: ErrorDetails, field: str) -> LedgerError:
    kind, context, message = details["type"], details.get("ctx", {}), details["msg"]
    if kind in _LIMITS:
        error, name, words = _LIMITS[kind]
        return error(words.format(**context), field=field, limit=context[name])
    if details["input"] is None and kind != "extra_forbidden":
        return WrongTypeError("null is no value: leave the member out", field=field)
    if kind in _TYPES:
        return WrongTypeError(_TYPES[kind], field=field)
    if context.get("pattern") == HASH_PATTERN:
        return Base64Error("not the canonical base64 of 32 bytes", field=field)
    error, words = _OTHERS.get(kind, (BadValueError, "{message}"))
    return error(words.format(message=message, **context), field=field)


# What pydantic calls an error, and what it is called here.
_LIMITS: dict[str, tuple[type[LedgerError], str, str]] = {
    "string_too_long": (TooLongError, "max_length", "at most {max_length} characters"),
    "too_long": (TooManyError, "max_length", "at most {max_length} items, {actual_length} given"),
    "greater_than_equal": (OutOfRangeError, "ge", "the number must be at least {ge}"),
    "less_than_equal": (OutOfRangeError, "le", "the number must be at most {le}"),
}
_TYPES = {
    "string_type": "expected a string",
    "int_type": "expected a whole number",
    "list_type": "expected an array",
    "dict_type": "expected an object",
    "model_type": "expected an object",
}
_OTHERS: dict[str, tuple[type[LedgerError], str]] = {
    "extra_forbidden": (UnknownMemberError, "there is no member of this name"),
    "missing": (MissingMemberError, "this member is required"),
    "missing_member": (MissingMemberError, "{message}"),
    "bad_time": (TimeError, "{message}"),
    "string_pattern_mismatch": (BadValueError, "the text must match {pattern}"),
    "string_too_short": (BadValueError, "the text is empty"),
    "too_short": (BadValueError, "at least {min_length} item"),
    "literal_error": (BadValueError, "expected {expected}"),
}
