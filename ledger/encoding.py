"""Strict codecs: decimal, base64, time, canonical JSON (protocol section 2).

Parse, re-encode, compare: a value has exactly one spelling, so whatever was signed has exactly one meaning. Python's own
parsers are kinder than that (``int("1_000")``, ``int("٣")`` and ``b64decode("AB==", validate=True)`` all succeed).

    42    AA==    2026-11-21T08:15:30.123Z    {"bytes":2048,"type":"share"}
"""

import base64
import binascii
import json
import re
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn, TypeAlias

from ledger.errors import (
    Base64Error,
    DecimalError,
    DuplicateMemberError,
    FloatError,
    JsonError,
    MalformedError,
    NotCanonicalError,
    OutOfRangeError,
    TimeError,
    TooDeepError,
    Utf8Error,
)

JsonValue: TypeAlias = "None | bool | int | str | list[JsonValue] | dict[str, JsonValue]"
JsonObject: TypeAlias = dict[str, Any]

DECIMAL_MAX = 2**63 - 1  # sizes and indexes fit into a signed 64-bit integer everywhere (C2SP)
INTEGER_MAX = 2**53 - 1  # the largest integer that every JSON reader keeps exactly (RFC 7493 section 2.2)
DEPTH_MAX = 16  # no event needs more, and a parser's stack stays small
HASH_SIZE = 32  # bytes of a SHA-256

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")
_ESCAPED_CONTROL = re.compile(r"\\[bfnrtu]")  # an escape that canonical text of ours can only use for what is forbidden
_LONG_NUMBER = re.compile(r"[0-9]{16}")  # only these digits can pass INTEGER_MAX
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def parse_decimal(text: str, *, field: str | None = None) -> int:
    """Return the number that ``text`` spells: ASCII digits, no sign, no leading zero, below 2^63.

    Raises:
        DecimalError: any other spelling.
    """
    if _DECIMAL.fullmatch(text) is None or (value := int(text)) > DECIMAL_MAX:
        raise DecimalError(f"{_shown(text)} is not a decimal below 2^63 without sign or leading zero", field=field)
    return value


def encode_base64(data: bytes) -> str:
    """Return ``data`` as padded standard base64 (RFC 4648 section 4)."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def parse_base64(text: str, *, size: int | None = None, field: str | None = None) -> bytes:
    """Return the bytes that ``text`` spells in canonical base64; ``size`` is their expected number.

    Raises:
        Base64Error: another alphabet, missing padding, stray bits at the end, or another length.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        data = b""
    if encode_base64(data) != text or (not data and text):
        raise Base64Error(f"{_shown(text)} is not canonical base64", field=field)
    if size is not None and len(data) != size:
        raise Base64Error(f"{len(data)} bytes in base64 where {size} are expected", field=field, limit=size)
    return data


def parse_hash(text: str, *, field: str | None = None) -> bytes:
    """Return the 32 bytes of a SHA-256 spelled in base64.

    Raises:
        Base64Error: not canonical base64 of 32 bytes.
    """
    return parse_base64(text, size=HASH_SIZE, field=field)


def parse_time(text: str, *, field: str | None = None) -> int:
    """Return the milliseconds since 1970 (UTC) that ``text`` spells, as in ``2026-11-21T08:15:30.123Z``.

    Raises:
        TimeError: another spelling, or a day or hour that does not exist.
    """
    if _TIME.fullmatch(text) is None:
        raise TimeError(f"{_shown(text)} is not a time like 2026-11-21T08:15:30.123Z", field=field)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise TimeError(f"{_shown(text)} is not a moment of the calendar: {error}", field=field) from None
    return (moment - _EPOCH) // _MILLISECOND


def format_time(milliseconds: int) -> str:
    """Return the spelling of a time given in milliseconds since 1970 (UTC), years 1 to 9999."""
    moment = _EPOCH + timedelta(milliseconds=milliseconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.").rjust(20, "0") + f"{milliseconds % 1000:03d}Z"


def canonical_json(value: JsonValue) -> str:
    """Return the one spelling of ``value`` that is signed: RFC 8785 within the limits of protocol section 2.

    ``value`` must have passed :func:`check_json`; member names are ASCII, so sorting by code point is RFC 8785's order.
    """
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True)


def decode_utf8(data: bytes, *, field: str | None = None) -> str:
    """Return ``data`` as text.

    Raises:
        Utf8Error: the bytes are not UTF-8; the message says at which offset.
    """
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Utf8Error(f"byte {error.start} is not UTF-8", field=field) from None


def parse_json(data: bytes | str, *, field: str | None = None) -> JsonValue:
    """Return the value of a JSON text in any spelling, with everything refused that has no canonical form.

    Raises:
        Utf8Error, DuplicateMemberError, FloatError, TooDeepError, OutOfRangeError, JsonError: what is wrong, and where.
    """
    text = decode_utf8(data, field=field) if isinstance(data, bytes) else data
    value = _loads(text, field=field, pairs_hook=_unique, parse_float=float)  # check_json knows where the float is
    check_json(value, field=field)
    return value


def parse_canonical_json(text: str, *, field: str | None = None) -> JsonValue:
    """Return the value of a canonical JSON text.

    Raises:
        NotCanonicalError: another spelling of a valid value.
        DuplicateMemberError, FloatError, TooDeepError, OutOfRangeError, JsonError: as :func:`parse_json`.
    """
    value = _loads(text, field=field, pairs_hook=None, parse_float=_refuse_float)
    if not _plainly_within_limits(text):
        check_json(value, field=field)
    try:
        same = canonical_json(value) == text
    except RecursionError:
        raise TooDeepError(f"nested more than {DEPTH_MAX} deep", field=field, limit=DEPTH_MAX) from None
    if not same:
        parse_json(text, field=field)  # a duplicate name has its own error
        raise NotCanonicalError("not in canonical form (RFC 8785)", field=field)
    return value


def check_json(value: JsonValue, *, field: str | None = None, depth: int = DEPTH_MAX) -> None:
    """Check that a parsed value keeps to protocol section 2: names, integers, strings, depth.

    Raises:
        FloatError, TooDeepError, OutOfRangeError, JsonError: what is wrong, and where.
    """
    if isinstance(value, str):
        _check_string(value, field=field)
    elif isinstance(value, bool) or value is None:
        return
    elif isinstance(value, int):
        if not -INTEGER_MAX <= value <= INTEGER_MAX:
            raise OutOfRangeError("integers lie within ±(2^53-1)", field=field, limit=INTEGER_MAX)
    elif depth == 0:
        raise TooDeepError(f"nested more than {DEPTH_MAX} deep", field=field, limit=DEPTH_MAX)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            check_json(item, field=f"{field or ''}[{number}]", depth=depth - 1)
    elif isinstance(value, dict):
        for name, item in value.items():
            if not name.isascii():
                raise JsonError(f"the member name {_shown(name)} is not ASCII", field=field)
            _check_string(name, field=field)
            check_json(item, field=f"{field}.{name}" if field else name, depth=depth - 1)
    else:
        raise FloatError(f"{value!r} is not a whole number", field=field)


def _loads(text: str, *, field: str | None, pairs_hook: Any, parse_float: Any) -> JsonValue:
    try:
        value: JsonValue = json.loads(
            text, parse_float=parse_float, parse_constant=_refuse_float, object_pairs_hook=pairs_hook
        )
    except MalformedError as error:
        error.field = error.field or field
        raise
    except RecursionError:
        raise TooDeepError(f"nested more than {DEPTH_MAX} deep", field=field, limit=DEPTH_MAX) from None
    except json.JSONDecodeError as error:
        raise JsonError(f"not JSON at character {error.pos}: {error.msg}", field=field) from None
    except ValueError:  # int() refuses numbers of more than 4,300 digits
        raise OutOfRangeError("integers lie within ±(2^53-1)", field=field, limit=INTEGER_MAX) from None
    return value


def _plainly_within_limits(text: str) -> bool:
    """Tell, without walking the value, that no limit of :func:`check_json` can be broken by ``text``."""
    return (
        text.isascii()
        and "\x7f" not in text
        and text.count("{") + text.count("[") <= DEPTH_MAX
        and _LONG_NUMBER.search(text) is None
        and _ESCAPED_CONTROL.search(text) is None
    )


def _check_string(text: str, *, field: str | None) -> None:
    if text.isascii():
        if text.isprintable():
            return
    elif text.isprintable() and unicodedata.is_normalized("NFC", text):
        return
    for position, character in enumerate(text):
        if unicodedata.category(character) in {"Cc", "Cs"}:
            raise JsonError(f"character {position} is a control character or half a surrogate pair", field=field)
    if not unicodedata.is_normalized("NFC", text):
        raise JsonError("the text is not in Unicode normal form C (NFC)", field=field)


def _unique(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise DuplicateMemberError(f"the member {_shown(twice)} is there twice", field=twice)
    return members


def _refuse_float(text: str) -> NoReturn:
    raise FloatError(f"{_shown(text)} is not a whole number")


def _shown(text: str) -> str:
    """Return hostile text in a form that fits into a message."""
    return repr(text if len(text) <= 40 else text[:37] + "...")  # noqa: PLR2004 - a message's width
