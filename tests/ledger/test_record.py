"""Record references: one pseudonym for one record, whichever way it is typed, and another one under every other key."""

import hashlib
import hmac
import unicodedata

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ledger.errors import BadValueError, LedgerError, TooLongError
from ledger.record import IDENTIFIER_CHARACTERS_MAX, record_ref

KEY = bytes(range(32))
ID_NUMBER = "110101199003070019"


def test_the_vector_of_the_protocol_holds() -> None:
    message = f"suyuan/record/v1\nresident-id\n{ID_NUMBER}\n".encode()
    expected = hmac.new(KEY, message, hashlib.sha256).hexdigest()[:32]
    assert record_ref(KEY, ID_NUMBER, scheme="resident-id") == expected
    assert expected == "3197dd791eebb0830caa28ee5d43748b"  # openssl dgst -mac HMAC


def test_a_reference_is_no_plain_hash_of_the_identifier() -> None:
    other = record_ref(bytes(32), ID_NUMBER)
    assert record_ref(KEY, ID_NUMBER) != other
    assert hashlib.sha256(ID_NUMBER.encode()).hexdigest() not in (other, record_ref(KEY, ID_NUMBER))


@pytest.mark.parametrize(
    "written", [f" {ID_NUMBER}", f"{ID_NUMBER}\n", f"\u3000{ID_NUMBER}\u00a0", f"\t{ID_NUMBER}\r\n"]
)
def test_white_space_around_an_identifier_does_not_matter(written: str) -> None:
    assert record_ref(KEY, written) == record_ref(KEY, ID_NUMBER)


@pytest.mark.parametrize("name", ["é", "한글", "Å", "が"])
def test_equal_texts_of_different_normal_forms_are_one_record(name: str) -> None:
    forms = {unicodedata.normalize(form, name) for form in ("NFC", "NFD")}
    assert len(forms) == 2
    assert len({record_ref(KEY, form) for form in forms}) == 1


def test_texts_that_only_look_alike_are_different_records() -> None:
    assert record_ref(KEY, "A1") != record_ref(KEY, "\u0410" + "1")
    assert record_ref(KEY, "1") != record_ref(KEY, "\uff11")
    assert record_ref(KEY, "a 1") != record_ref(KEY, "a1")
    assert record_ref(KEY, "a") != record_ref(KEY, "A")


def test_schemes_keep_equal_numbers_apart() -> None:
    schemes = ["record", "case", "resident-id", "a", "0", "x.y_z-1", "a" * 64]
    assert len({record_ref(KEY, "1", scheme=scheme) for scheme in schemes}) == len(schemes)
    assert record_ref(KEY, "1") == record_ref(KEY, "1", scheme="record")


@pytest.mark.parametrize("scheme", ["", "A", "a" * 65, "-a", "a b", "a\n", "a\nb", "身份证", "a/b"])
def test_a_scheme_is_a_name(scheme: str) -> None:
    with pytest.raises(BadValueError) as caught:
        record_ref(KEY, "1", scheme=scheme)
    assert caught.value.field == "scheme"


@pytest.mark.parametrize(
    "identifier",
    ["", " ", "\n", "\u3000", "a\nb", "a\x00", "a\x7f", "a\x85b", "a\u2028b", "a\u200bb", "\ufeffa", "\ud800", "a\tb"],
)
def test_an_identifier_has_no_character_that_cannot_be_seen(identifier: str) -> None:
    with pytest.raises(BadValueError) as caught:
        record_ref(KEY, identifier)
    assert caught.value.field == "identifier"


def test_an_identifier_has_at_most_1000_characters() -> None:
    assert record_ref(KEY, "é" * IDENTIFIER_CHARACTERS_MAX) == record_ref(KEY, " " + "e\u0301" * 1000)
    with pytest.raises(TooLongError) as caught:
        record_ref(KEY, "x" * (IDENTIFIER_CHARACTERS_MAX + 1))
    assert (caught.value.field, caught.value.limit) == ("identifier", 1000)


def test_a_key_has_32_bytes() -> None:
    for size in (0, 31, 33):
        with pytest.raises(AssertionError):
            record_ref(bytes(size), "1")


names = st.text("abc123 -.\n\u3000éE\u0301", max_size=8)


@settings(deadline=None)
@given(names, names, st.sampled_from(["record", "a"]), st.sampled_from(["record", "a"]))
def test_different_records_have_different_references(one: str, other: str, scheme: str, other_scheme: str) -> None:
    try:
        first, second = record_ref(KEY, one, scheme=scheme), record_ref(KEY, other, scheme=other_scheme)
    except LedgerError:
        assume(False)  # noqa: FBT003 - Hypothesis's own word
    same = (unicodedata.normalize("NFC", one).strip(), scheme) == (
        unicodedata.normalize("NFC", other).strip(),
        other_scheme,
    )
    assert (first == second) == same
    assert len(first) == 32
    assert set(first) <= set("0123456789abcdef")


@settings(deadline=None)
@given(st.text(max_size=20), st.text(max_size=5))
def test_hostile_identifiers_raise_nothing_but_ledger_errors(identifier: str, scheme: str) -> None:
    for wanted in (scheme, "record"):
        try:
            record_ref(KEY, identifier, scheme=wanted)
        except LedgerError as error:
            assert error.field in ("identifier", "scheme")  # noqa: PT017 - either is right
