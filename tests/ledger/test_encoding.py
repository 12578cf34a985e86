"""Codecs: one spelling for every value, and nothing but typed errors for everything else."""

import json
import time
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ledger import encoding
from ledger.encoding import (
    DECIMAL_MAX,
    DEPTH_MAX,
    INTEGER_MAX,
    UNSURE,
    JsonValue,
    canonical_json,
    check_json,
    check_time,
    decode_utf8,
    encode_base64,
    format_time,
    lines_to_text,
    parse_base64,
    parse_canonical_json,
    parse_decimal,
    parse_hash,
    parse_json,
    parse_time,
    plain_json,
    text_to_lines,
)
from ledger.errors import (
    Base64Error,
    DecimalError,
    DuplicateMemberError,
    FloatError,
    JsonError,
    LedgerError,
    NotCanonicalError,
    OutOfRangeError,
    TimeError,
    TooDeepError,
    Utf8Error,
)

NFD = unicodedata.normalize("NFD", "é")

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-INTEGER_MAX, INTEGER_MAX) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
json_texts = st.text('{}[]":,\\u0naltrfse19-.eE+ é\u0301\x00\x7f\u2028\ufeff', max_size=30)


def accepted(parse: Callable[[Any], object], value: object) -> bool:
    """Whether a parser takes something; any other error than a LedgerError fails the test."""
    try:
        parse(value)
    except LedgerError:
        return False
    return True


def nested(depth: int, *, inner: str = "0") -> str:
    """Arrays in arrays, ``depth`` of them."""
    return "[" * depth + inner + "]" * depth


@pytest.mark.parametrize("number", [0, 1, 9, 10, 255, 2**53, DECIMAL_MAX - 1, DECIMAL_MAX])
def test_a_decimal_is_read_as_it_is_written(number: int) -> None:
    assert parse_decimal(str(number)) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-0",
        "-1",
        "+1",
        "00",
        "01",
        " 1",
        "1 ",
        "1\n",
        "\n1",
        "1_000",
        "1,000",
        "1e3",
        "1.0",
        "0x1",
        "٣",
        "\uff11",
        "²",
        "a",
        "1\x00",
        str(DECIMAL_MAX + 1),
        "9" * 19,
        "1" * 20,
        "9" * 5000,
    ],
)
def test_any_other_spelling_of_a_decimal_is_refused(text: str) -> None:
    with pytest.raises(DecimalError) as caught:
        parse_decimal(text, field="line 3")
    assert caught.value.code == "bad_decimal"
    assert caught.value.field == "line 3"
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("text", "data"),
    [("", b""), ("AA==", b"\x00"), ("AAA=", b"\x00\x00"), ("AAAA", bytes(3)), ("+/+/", b"\xfb\xff\xbf")],
)
def test_canonical_base64_is_read_as_it_is_written(text: str, data: bytes) -> None:
    assert parse_base64(text) == data
    assert encode_base64(data) == text


@pytest.mark.parametrize(
    "text",
    [
        "AB==",
        "AAB=",
        "AA=",
        "AA",
        "A",
        "A===",
        "====",
        "=",
        "AA==\n",
        "\nAA==",
        "AA ==",
        " AA==",
        "AA==AA==",
        "AAAA====",
        "-_-_",
        "AA=A",
        "AA==A",
        "ÄA==",
        "\uff21A==",
        "AA==\x00",
        "\ud800AA=",
        "A" * 4097,
    ],
)
def test_any_other_spelling_of_base64_is_refused(text: str) -> None:
    with pytest.raises(Base64Error) as caught:
        parse_base64(text, field="root")
    assert caught.value.code == "bad_base64"
    assert caught.value.field == "root"
    assert len(str(caught.value)) < 200


def test_base64_of_another_length_is_refused_with_the_length_as_limit() -> None:
    assert parse_hash(encode_base64(bytes(32))) == bytes(32)
    for size in (0, 31, 33):
        with pytest.raises(Base64Error) as caught:
            parse_hash(encode_base64(bytes(size)))
        assert caught.value.limit == 32


@settings(deadline=None)
@given(st.binary(max_size=100))
def test_bytes_have_one_base64(data: bytes) -> None:
    assert parse_base64(encode_base64(data), size=len(data)) == data


@settings(deadline=None)
@given(st.text("ABab01+/=-_\n é", max_size=12))
def test_base64_that_is_accepted_is_what_would_be_written(text: str) -> None:
    if accepted(parse_base64, text):
        assert encode_base64(parse_base64(text)) == text


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("1970-01-01T00:00:00.000Z", 0),
        ("1970-01-01T00:00:00.001Z", 1),
        ("1969-12-31T23:59:59.999Z", -1),
        ("2026-11-21T08:15:30.123Z", 1795248930123),
        ("2024-02-29T23:59:59.999Z", 1709251199999),
        ("0001-01-01T00:00:00.000Z", -62135596800000),
        ("9999-12-31T23:59:59.999Z", 253402300799999),
    ],
)
def test_a_time_is_read_as_it_is_written(text: str, milliseconds: int) -> None:
    assert parse_time(text) == milliseconds
    assert format_time(milliseconds) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-21",
        "2026-11-21T08:15:30Z",
        "2026-11-21T08:15:30.12Z",
        "2026-11-21T08:15:30.1234Z",
        "2026-11-21T08:15:30.123",
        "2026-11-21T08:15:30.123z",
        "2026-11-21t08:15:30.123Z",
        "2026-11-21 08:15:30.123Z",
        "2026-11-21T08:15:30,123Z",
        "2026-11-21T08:15:30.123+00:00",
        "2026-11-21T08:15:30.123Z\n",
        " 2026-11-21T08:15:30.123Z",
        "26-11-21T08:15:30.123Z",
        "+2026-11-21T08:15:30.123Z",
        "2026-11-21T08:15:30.12٣Z",
        "\uff12026-11-21T08:15:30.123Z",
        "20261121T081530.123Z",
        "2026-W47-6T08:15:30.123Z",
        "0000-01-01T00:00:00.000Z",
        "2026-00-21T08:15:30.123Z",
        "2026-13-21T08:15:30.123Z",
        "2026-11-00T08:15:30.123Z",
        "2026-11-31T08:15:30.123Z",
        "2026-02-29T08:15:30.123Z",
        "2026-11-21T24:00:00.000Z",
        "2026-11-21T25:15:30.123Z",
        "2026-11-21T08:60:30.123Z",
        "2026-12-31T23:59:60.000Z",
    ],
)
def test_any_other_spelling_of_a_time_is_refused(text: str) -> None:
    with pytest.raises(TimeError) as caught:
        parse_time(text, field="line 5")
    assert caught.value.code == "bad_time"
    assert caught.value.field == "line 5"


@settings(deadline=None)
@given(st.datetimes(min_value=datetime(1, 1, 1), max_value=datetime(9999, 12, 31)))  # noqa: DTZ001 - UTC follows
def test_every_millisecond_has_one_spelling(moment: datetime) -> None:
    moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000, tzinfo=UTC)
    text = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert format_time(parse_time(text)) == text


times = st.integers(-62_135_596_800_000, 253_402_300_799_999).map(format_time)
few_times = st.sampled_from(["2026-02-28T08:15:30.123Z", "2026-02-29T08:15:30.123Z", "2026-02-28T23:59:59.999Z"])


@settings(deadline=None)
@given(st.lists(st.tuples(times | few_times, st.integers(0, 24), st.text("0123456789T:.Z-x٣", max_size=2)), max_size=9))
def test_a_time_that_is_checked_is_one_that_can_be_parsed(changed: list[tuple[str, int, str]]) -> None:
    def told(read: Callable[[str], object], text: str) -> str:
        try:
            read(text)
        except TimeError as error:
            return str(error)
        return "a time"

    for text, at, put in changed:
        for one in (text, text[:at] + put + text[at + len(put) :], text):
            assert told(check_time, one) == told(parse_time, one)


def test_the_memory_of_minutes_is_bounded() -> None:
    for minute in range(encoding._MINUTES_MAX + 2):
        check_time(format_time(minute * 60_000))
    assert 0 < len(encoding._minutes) <= encoding._MINUTES_MAX


def test_text_that_is_not_utf8_is_refused_with_the_offset() -> None:
    for data in (b"\xff", b"a\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe4\xb8"):
        with pytest.raises(Utf8Error) as caught:
            decode_utf8(data, field="note")
        assert caught.value.code == "invalid_utf8"
        assert caught.value.field == "note"
        assert f"byte {data[0] == ord('a'):d} " in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "null",
        "true",
        "0",
        "-1",
        f"{INTEGER_MAX}",
        f"-{INTEGER_MAX}",
        '""',
        '"é"',
        '"\u2028"',
        '"\u3000"',
        '"\\\\n"',
        '"\\""',
        '"/"',
        '"</script>"',
        '"😀"',
        "[]",
        "{}",
        '{"":1}',
        '{"A":1,"a":2}',
        '{"a":{"b":[1,2,{"c":"法规"}]}}',
        nested(DEPTH_MAX),
        '{"a":' * DEPTH_MAX + "0" + "}" * DEPTH_MAX,
    ],
)
def test_canonical_json_is_read_as_it_is_written(text: str) -> None:
    value = parse_canonical_json(text)
    assert canonical_json(value) == text
    assert value == parse_json(text) == parse_json(text.encode()) == json.loads(text)


@pytest.mark.parametrize(
    ("text", "error", "field"),
    [
        ("", JsonError, None),
        (" ", JsonError, None),
        ("{", JsonError, None),
        ('{"a":1}{', JsonError, None),
        ('{"a":1}0', JsonError, None),
        ('{"a":1}\x00', JsonError, None),
        ("\ufeff{}", JsonError, None),
        ("{'a':1}", JsonError, None),
        ('{"a":1,}', JsonError, None),
        ("[1,]", JsonError, None),
        ("{a:1}", JsonError, None),
        ("01", JsonError, None),
        ("+1", JsonError, None),
        (".5", JsonError, None),
        ("1.", JsonError, None),
        ("0x1", JsonError, None),
        ("١", JsonError, None),
        ("nul", JsonError, None),
        ('"', JsonError, None),
        ('"\\x41"', JsonError, None),
        ('"\\u12"', JsonError, None),
        ('"\n"', JsonError, None),
        ('"\x00"', JsonError, None),
        ("1.0", FloatError, None),
        ("1e5", FloatError, None),
        ("1E400", FloatError, None),
        ("-0.0", FloatError, None),
        ('{"a":[0,1.5]}', FloatError, "a[1]"),
        ("NaN", FloatError, None),
        ("Infinity", FloatError, None),
        ("-Infinity", FloatError, None),
        (f"{INTEGER_MAX + 1}", OutOfRangeError, None),
        (f"-{INTEGER_MAX + 1}", OutOfRangeError, None),
        ("1" * 4300, OutOfRangeError, None),
        ("1" * 5000, OutOfRangeError, None),
        ('{"a":{"b":[9007199254740992]}}', OutOfRangeError, "a.b[0]"),
        ('"\x7f"', JsonError, None),
        ('"\\u0007"', JsonError, None),
        ('"\\n"', JsonError, None),
        ('"\x85"', JsonError, None),
        ('"\\u009f"', JsonError, None),
        ('"\\ud800"', JsonError, None),
        ('"\\udc00\\ud800"', JsonError, None),
        ('"\ud800"', JsonError, None),
        (f'"{NFD}"', JsonError, None),
        ('"e\\u0301"', JsonError, None),
        ('"\u212b"', JsonError, None),
        (f'{{"a":["ok","{NFD}"]}}', JsonError, "a[1]"),
        ('{"\u00e9":1}', JsonError, None),
        ('{"a":{"\\u00e9":1}}', JsonError, "a"),
        ('{"\\n":1}', JsonError, None),
        ('{"\x7f":1}', JsonError, None),
        (nested(DEPTH_MAX + 1), TooDeepError, "[0]" * DEPTH_MAX),
        ('{"a":' * (DEPTH_MAX + 1) + "0" + "}" * (DEPTH_MAX + 1), TooDeepError, ".".join("a" * DEPTH_MAX)),
        (nested(DEPTH_MAX + 1, inner=""), TooDeepError, "[0]" * DEPTH_MAX),
        ("[" * 100_000, TooDeepError, None),
        (nested(100_000), TooDeepError, None),
        ('{"a":' * 100_000, TooDeepError, None),
        ('{"a":1,"a":1}', DuplicateMemberError, "a"),
        ('{"a":1,"\\u0061":2}', DuplicateMemberError, "a"),
        ('{"b":{"a":1,"a":2}}', DuplicateMemberError, "a"),
    ],
)
def test_json_without_a_canonical_form_is_refused_in_both_parsers(
    text: str, error: type[LedgerError], field: str | None
) -> None:
    for parse in (parse_json, parse_canonical_json):
        with pytest.raises(error) as caught:
            parse(text)
        assert type(caught.value) is error
        if error in (FloatError, JsonError) and caught.value.field is None:
            continue  # the strict parser meets a float before it knows where
        assert caught.value.field == field


@pytest.mark.parametrize(
    "text",
    [
        " 1",
        "1 ",
        "1\n",
        "-0",
        "[1, 2]",
        '{"a": 1}',
        '{"a":1 }',
        '{"b":1,"a":2}',
        '{"a":1,"A":2}',
        '"\\/"',
        '"\\u0041"',
        '"\\u00e9"',
        '"\\ud83d\\ude00"',
        '"\\u2028"',
        '"\\u005c"',
        '"\\u0022"',
    ],
)
def test_another_spelling_of_a_value_is_read_and_is_not_canonical(text: str) -> None:
    value = parse_json(text)
    assert parse_canonical_json(canonical_json(value)) == value
    with pytest.raises(NotCanonicalError) as caught:
        parse_canonical_json(text, field="line 6")
    assert caught.value.code == "not_canonical"
    assert caught.value.field == "line 6"


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("{", "line 6"),
        ("1.5", "line 6"),
        ("[" * 100_000, "line 6"),
        ("1" * 5000, "line 6"),
        (nested(DEPTH_MAX + 1), "line 6" + "[0]" * DEPTH_MAX),
        ('{"a":["\x7f"]}', "line 6.a[0]"),
        ('{"a":{"a":1,"a":1}}', "line 6.a"),
        (f'{{"x":"{NFD}"}}', "line 6.x"),
    ],
)
def test_an_error_in_json_names_the_place_below_the_given_one(text: str, field: str) -> None:
    for parse in (parse_json, parse_canonical_json):
        with pytest.raises(LedgerError) as caught:
            parse(text, field="line 6")
        assert caught.value.field == field


def test_bytes_that_are_not_utf8_are_no_json() -> None:
    with pytest.raises(Utf8Error):
        parse_json(b'"\xff"', field="body")


@settings(deadline=None)
@given(json_values | json_values.map(lambda value: {"a": value}))
def test_every_value_within_the_rules_has_one_spelling(value: JsonValue) -> None:
    if accepted(check_json, value):
        text = canonical_json(value)
        assert parse_canonical_json(text) == value == parse_json(text)
        assert parse_json(json.dumps(value)) == value
        assert "\n" not in text


@settings(deadline=None)
@given(json_texts | json_values.map(lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":"))))
@example('{"a":0,"a":0}')
@example("-0")
@example('"\ud800"')
def test_text_is_canonical_exactly_when_reading_and_writing_it_gives_the_same_text(text: str) -> None:
    expected = False
    if accepted(parse_json, text):
        expected = canonical_json(parse_json(text)) == text
    assert accepted(parse_canonical_json, text) == expected


@settings(deadline=None)
@given(json_texts | json_values.map(lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":"))))
@example('{"a":0,"a":0}')
@example('{"b":0,"a":0}')
@example('[{"é":0}]')
@example("[-0]")
@example("[9007199254740992]")
@example("[1.0]")
@example("[NaN]")
@example(f'["{NFD}"]')
@example(f'["·{NFD}"]')
@example('["\x7f"]')
@example('["\x85"]')
@example('"\ud800"')
@example(nested(DEPTH_MAX + 1, inner="[]"))
@example(nested(DEPTH_MAX + 1, inner="{}"))
@example(nested(10_000))
def test_what_is_plainly_canonical_is_canonical(text: str) -> None:
    value = plain_json(text.encode("utf-8", "surrogatepass"))
    if value is not UNSURE:
        assert accepted(check_json, value)
        assert canonical_json(value) == text
        assert value == parse_json(text)


def test_ordinary_values_are_plainly_canonical() -> None:
    value: JsonValue = {"a": ["户籍信息查询", "", None], "b": {"c": -INTEGER_MAX, "d": True}, "e": [], "f": "x" * 1000}
    assert plain_json(canonical_json(value).encode()) == value


@settings(deadline=None)
@given(st.binary(max_size=40) | json_texts.map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_hostile_bytes_raise_nothing_but_ledger_errors(data: bytes) -> None:
    for parse in (parse_json, decode_utf8):
        accepted(parse, data)
    for parse_text in (parse_canonical_json, parse_decimal, parse_base64, parse_time):
        accepted(parse_text, data.decode("utf-8", "replace"))


@settings(deadline=None)
@given(st.recursive(st.just("0"), lambda inner: st.lists(inner, min_size=1).map(lambda v: f"[{','.join(v)}]")))
def test_depth_is_counted_in_levels_and_not_in_brackets(text: str) -> None:
    depth = level = 0
    for character in text:
        level += (character == "[") - (character == "]")
        depth = max(depth, level)
    assert accepted(parse_canonical_json, text) == (depth <= DEPTH_MAX)


def test_a_checked_value_is_within_the_rules_of_the_protocol() -> None:
    check_json({"a": [None, True, False, -INTEGER_MAX, "é", {}]})
    wrong: list[tuple[Any, type[LedgerError]]] = [
        (1.5, FloatError),
        (INTEGER_MAX + 1, OutOfRangeError),
        ("\x00", JsonError),
        ({"é": 1}, JsonError),
    ]
    for value, error in wrong:
        with pytest.raises(error) as caught:
            check_json({"a": [value]}, field="event")
        assert str(caught.value.field).startswith("event.a")


def test_a_long_text_is_cut_before_a_message_shows_it() -> None:
    name = "n" * 100_001
    hostile: list[tuple[Callable[..., object], str]] = [
        (parse_decimal, name),
        (parse_base64, name),
        (parse_time, name),
        (parse_json, f'{{"{name}":1,"{name}":2}}'),
        (parse_json, f'{{"{name}":[1.5]}}'),
        (parse_json, f'{{"{name}é":1}}'),
        (parse_canonical_json, "1." + "5" * 100_000),
        (parse_canonical_json, f'{{"{name}":{{"{name}":1.5}}}}'),
    ]
    for parse, text in hostile:
        with pytest.raises(LedgerError) as caught:
            parse(text)
        assert len(str(caught.value)) < 300


def test_hostile_json_takes_time_in_proportion_to_its_length() -> None:
    members = ",".join(f'"{number}":0' for number in range(40_000))
    name = "n" * 200_000
    hostile = [
        f'{{{members},"39999":1}}',  # the duplicate is the last of 40,000 names
        f'{{"{name}":[{"0," * 80_000}1.5]}}',  # every item below a long name
        f'{{"a":"{"😀" * 80_000}\x7f"}}',
    ]
    start = time.process_time()
    for text in hostile:
        assert not accepted(parse_json, text)
        assert not accepted(parse_canonical_json, text)
    assert time.process_time() - start < 3  # in proportion to the square it takes half a minute


@settings(deadline=None)
@given(st.lists(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"])), min_size=1))
def test_a_text_and_the_list_of_its_lines_are_the_same_thing(lines: list[str]) -> None:
    assert text_to_lines(lines_to_text(lines)) == lines


def test_the_canonical_writer_agrees_with_rfc_8785() -> None:
    value = parse_json('{"peach":"é","Peach":[],"":{},"10":1,"1":-0,"euro":"€\\u0024\\"\\\\/"}')  # after section 3.2.2
    expected = '{"":{},"1":0,"10":1,"Peach":[],"euro":"€$\\"\\\\/","peach":"é"}'
    assert canonical_json(value) == expected
    assert encoding.parse_canonical_json(expected) == value
