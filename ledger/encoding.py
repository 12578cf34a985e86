"""Strict codecs: decimal, base64, time, canonical JSON (protocol section 2).

Parse, re-encode, compare: a value has exactly one spelling, so whatever was signed has exactly one meaning. Python's
own parsers are kinder than that (``int("1_000")``, ``int("٣")`` and ``b64decode("AB==", validate=True)`` all succeed).

    42    AA==    2026-11-21T08:15:30.123Z    {"bytes":2048,"type":"share"}
"""

import binascii
import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn, TypeAlias

from ledger.errors import (
    Base64Error,
    DecimalError,
    DuplicateMemberError,
    FloatError,
    JsonError,
    LedgerError,
    MalformedError,
    NotCanonicalError,
    OutOfRangeError,
    TimeError,
    TooDeepError,
    Utf8Error,
)
from ledger.limits import remember

JsonValue: TypeAlias = "bool | int | str | list[JsonValue] | dict[str, JsonValue] | None"
JsonObject: TypeAlias = dict[str, Any]

DECIMAL_MAX = 2**63 - 1  # sizes and indexes fit into a signed 64-bit integer everywhere (C2SP)
INTEGER_MAX = 2**53 - 1  # the largest integer that every JSON reader keeps exactly (RFC 7493 section 2.2)
DEPTH_MAX = 16  # no event needs more, and a parser's stack stays small
HASH_SIZE = 32  # bytes of a SHA-256
SHOWN_MAX = 40  # characters of hostile text that a message repeats

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")
# 24:00 is tomorrow
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_INTEGER_RANGE = "integers lie within ±(2^53-1)"
UNSURE: Any = object()  # it takes the exact way to tell
_SECONDS = re.compile(r"[0-5][0-9]\.[0-9]{3}Z")
_MINUTES_MAX = 4096  # three days
_minutes: set[str] = set()  # each with the colon behind it
_WRITER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True)


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
        data = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:  # binascii.Error, and what it says of text that is not ASCII
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


def check_time(text: str) -> None:
    """Check what :func:`parse_time` checks; a minute that was found in the calendar is remembered.

    Raises:
        TimeError: as :func:`parse_time`.
    """
    if text[:17] not in _minutes or _SECONDS.fullmatch(text, 17) is None:
        parse_time(text)
        remember(_minutes, text[:17], _MINUTES_MAX)


def format_time(milliseconds: int) -> str:
    """Return the spelling of a time given in milliseconds since 1970 (UTC), years 1 to 9999."""
    moment = _EPOCH + timedelta(milliseconds=milliseconds)
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def canonical_json(value: JsonValue) -> str:
    """Return the one spelling of ``value`` that is signed: RFC 8785 within the limits of protocol section 2.

    ``value`` must have passed :func:`check_json`; member names are ASCII, so sorting by code point is RFC 8785's order.
    """
    return _WRITER.encode(value)


def text_to_lines(text: bytes) -> list[str]:
    """Return the lines of a text that ends in a newline: canonical JSON has no newline within a string."""
    assert text.endswith(b"\n")
    return text.decode()[:-1].split("\n")


def lines_to_text(lines: Sequence[str]) -> bytes:
    """Return the text of these lines, each with its newline."""
    return "\n".join((*lines, "")).encode()


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
    value = _decode(_ANY_SPELLING, text, field=field)
    check_json(value, field=field)
    return value


def parse_canonical_json(text: str, *, field: str | None = None) -> JsonValue:
    """Return the value of a canonical JSON text.

    Raises:
        NotCanonicalError: another spelling of a valid value.
        DuplicateMemberError, FloatError, TooDeepError, OutOfRangeError, JsonError: as :func:`parse_json`.
    """
    value: JsonValue = plain_json(_utf8(text))
    if value is not UNSURE:
        return value
    value = _decode(_CANONICAL, text, field=field)
    check_json(value, field=field)
    if canonical_json(value) != text:
        parse_json(text, field=field)  # a duplicate name has its own error
        raise NotCanonicalError("not in canonical form (RFC 8785)", field=field)
    return value


def plain_json(data: bytes) -> Any:
    """Return the value of a canonical text as nearly all of them are, or ``UNSURE``: then the exact way decides.

    Nothing is escaped and nothing is a control character (above ASCII, those begin with byte C2), so strings and names
    are as they stand there, and they are in NFC when the whole text is: a quotation mark composes with nothing. What
    is written again alike has no white space, no name twice, and one spelling of each number. This takes half the time
    of the exact way.
    """
    if b"\\" in data or b"\x7f" in data or b"\xc2" in data:
        return UNSURE
    from pydantic_core import from_json, to_json  # noqa: PLC0415 - recognising events does without, in every process

    try:
        if not (data.isascii() or unicodedata.is_normalized("NFC", data.decode())):
            return UNSURE
        value: JsonValue = from_json(data, cache_strings="keys")
        if _is_plain(value, DEPTH_MAX) and to_json(value) == data:
            return value
    except ValueError:
        pass
    return UNSURE


def check_json(value: JsonValue, *, field: str | None = None) -> None:
    """Check that a parsed value keeps to protocol section 2: names, integers, strings, depth.

    Raises:
        FloatError, TooDeepError, OutOfRangeError, JsonError: what is wrong, and where.
    """
    try:
        _check_value(value, DEPTH_MAX)
    except LedgerError as error:
        raise (error.at(field) if field else error) from None


def check_string(text: str) -> None:
    """Check a string of JSON: no control character, no half of a surrogate pair, and Unicode normal form C.

    Raises:
        JsonError: which of them it is not.
    """
    if text.isprintable() and (text.isascii() or unicodedata.is_normalized("NFC", text)):
        return
    for position, character in enumerate(text):
        if unicodedata.category(character) in {"Cc", "Cs"}:
            raise JsonError(f"character {position} is a control character or half a surrogate pair")
    if not unicodedata.is_normalized("NFC", text):
        raise JsonError("the text is not in Unicode normal form C (NFC)")


def cut(text: str) -> str:
    """Return the beginning of hostile text, as much as fits into a message."""
    return text if len(text) <= SHOWN_MAX else text[: SHOWN_MAX - 3] + "..."


def _check_value(value: JsonValue, depth: int) -> None:
    """Check a value that may have ``depth`` levels; only when something is wrong, its path is made on the way out."""
    if isinstance(value, str):
        check_string(value)
    elif isinstance(value, bool) or value is None:
        return
    elif isinstance(value, int):
        if not -INTEGER_MAX <= value <= INTEGER_MAX:
            raise OutOfRangeError(_INTEGER_RANGE, limit=INTEGER_MAX)
    elif isinstance(value, dict | list):
        if depth == 0:
            raise TooDeepError(f"nested more than {DEPTH_MAX} deep", limit=DEPTH_MAX)
        if isinstance(value, dict):
            _check_members(value, depth - 1)
        else:
            _check_items(value, depth - 1)
    else:
        raise FloatError(f"{value!r} is not a whole number")


def _check_members(members: dict[str, JsonValue], depth: int) -> None:
    for name, member in members.items():
        if not (name.isascii() and name.isprintable()):
            raise JsonError(f"the member name {_shown(name)} is not printable ASCII")
        if isinstance(member, str) and member.isascii() and member.isprintable():
            continue  # nearly all members are such strings
        try:
            _check_value(member, depth)
        except LedgerError as error:
            raise error.at(cut(name)) from None


def _check_items(items: list[JsonValue], depth: int) -> None:
    for number, item in enumerate(items):
        try:
            _check_value(item, depth)
        except LedgerError as error:
            raise error.at(f"[{number}]") from None


def _is_plain(value: JsonValue, depth: int) -> bool:
    """Tell whether names are ASCII and in order, numbers whole and in range, and nothing too deep."""
    if isinstance(value, dict):
        names = list(value)
        if not depth or names != sorted(names) or not "".join(names).isascii():
            return False
        parts: Iterable[JsonValue] = value.values()
    elif isinstance(value, list):
        if not depth:
            return False
        parts = value
    elif isinstance(value, int):
        return -INTEGER_MAX <= value <= INTEGER_MAX
    else:
        return value is None or isinstance(value, str)
    deeper = depth - 1
    for part in parts:  # noqa: SIM110 - all() would take half as long again, and this is done for every entry
        if type(part) is not str and not _is_plain(part, deeper):
            return False
    return True


def _decode(decoder: json.JSONDecoder, text: str, *, field: str | None) -> JsonValue:
    try:
        value: JsonValue = decoder.decode(text)
    except MalformedError as error:
        raise (error.at(field) if field else error) from None
    except RecursionError:
        raise TooDeepError(f"nested more than {DEPTH_MAX} deep", field=field, limit=DEPTH_MAX) from None
    except json.JSONDecodeError as error:
        raise JsonError(f"not JSON at character {error.pos}: {error.msg}", field=field) from None
    except ValueError:  # int() refuses numbers of more than 4,300 digits
        raise OutOfRangeError(_INTEGER_RANGE, field=field, limit=INTEGER_MAX) from None
    return value


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")  # half of a pair is refused later, by everybody who reads it


def _unique(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    members: dict[str, JsonValue] = {}
    for name, value in pairs:
        if name in members:
            raise DuplicateMemberError(f"the member {_shown(name)} is there twice", field=cut(name))
        members[name] = value
    return members


def _refuse_float(text: str) -> NoReturn:
    raise FloatError(f"{_shown(text)} is not a whole number")


def _shown(text: str) -> str:
    """Return hostile text in a form that a terminal can show."""
    return repr(cut(text))


# In canonical JSON a duplicate name shows when the value is written again, so the slower hook is not needed there.
_CANONICAL = json.JSONDecoder(parse_float=_refuse_float, parse_constant=_refuse_float)
_ANY_SPELLING = json.JSONDecoder(
    parse_float=float,  # check_json knows where the float is
    parse_constant=_refuse_float,
    object_pairs_hook=_unique,
)
