"""Manifests: one spelling, one root, and a proof for each record that fits no other."""

from hashlib import sha256

import oracle
import pytest
from builders import record
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.encoding import encode_base64
from ledger.errors import DecimalError, InclusionError, LedgerError, ManifestError, TooLongError, TooManyError
from ledger.event.transfer import ManifestRef
from ledger.limits import MANIFEST_RECORDS_MAX
from ledger.manifest import MANIFEST_BYTES_MAX, Manifest, make_manifest, parse_manifest, verify_membership

RECORDS = sorted(record(number) for number in range(13))
MANIFEST = make_manifest(RECORDS)
MANY = [f"{number:032x}" for number in range(MANIFEST_RECORDS_MAX)]


def spelled(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in ("suyuan/manifest/v1", *lines)).encode()


def test_a_manifest_has_the_lines_of_the_format() -> None:
    assert MANIFEST.encode() == spelled("13", *RECORDS)
    assert parse_manifest(MANIFEST.encode()) == MANIFEST


def test_the_root_is_the_merkle_root_over_the_bytes_of_the_references() -> None:
    leaves = [sha256(b"\x00" + bytes.fromhex(one)).digest() for one in RECORDS]
    assert MANIFEST.root == oracle.root(leaves)
    assert MANIFEST.ref == ManifestRef(count=13, root=encode_base64(oracle.root(leaves)))


def test_order_and_repetition_do_not_matter_when_a_manifest_is_made() -> None:
    assert make_manifest([*RECORDS[::-1], *RECORDS[3:5]]) == MANIFEST
    assert make_manifest(iter(RECORDS)) == MANIFEST


@pytest.mark.parametrize(
    ("data", "error", "field"),
    [
        (b"", ManifestError, "line 1"),
        (b"suyuan/manifest/v1\n", ManifestError, "line 1"),
        (spelled("1", RECORDS[0])[:-1], ManifestError, "line 1"),
        (spelled("1", RECORDS[0]).replace(b"v1", b"v2"), ManifestError, "line 1"),
        (b"\n" + spelled("1", RECORDS[0]), ManifestError, "line 1"),
        (b"\xef\xbb\xbf" + spelled("1", RECORDS[0]), ManifestError, "manifest"),
        (spelled("1", "é" * 64), ManifestError, "manifest"),
        (spelled("0"), ManifestError, "records"),
        (spelled("01", RECORDS[0]), DecimalError, "line 2"),
        (spelled("+1", RECORDS[0]), DecimalError, "line 2"),
        (spelled("", RECORDS[0]), DecimalError, "line 2"),
        (spelled("2", RECORDS[0]), ManifestError, "line 2"),
        (spelled("1", *RECORDS[:2]), ManifestError, "line 2"),
        (spelled("2", RECORDS[0], ""), ManifestError, "line 4"),
        (spelled("2", RECORDS[0], RECORDS[0]), ManifestError, "line 4"),
        (spelled("3", RECORDS[0], RECORDS[2], RECORDS[1]), ManifestError, "line 5"),
        (spelled("1", RECORDS[0][:-1]), ManifestError, "records[0]"),
        (spelled("1", RECORDS[0] + "0"), ManifestError, "records[0]"),
        (spelled("1", "A" * 64), ManifestError, "records[0]"),
        (spelled("1", " " + RECORDS[0][1:]), ManifestError, "records[0]"),
        (spelled("2", RECORDS[0], RECORDS[1][:-1] + "g"), ManifestError, "records[1]"),
        (spelled("1", RECORDS[0]).replace(b"\n", b"\r\n"), ManifestError, "line 1"),
        (spelled("1", RECORDS[0] + "\r"), ManifestError, "records[0]"),
    ],
)
def test_what_is_not_a_manifest_is_refused_with_its_place(data: bytes, error: type[LedgerError], field: str) -> None:
    with pytest.raises(LedgerError) as caught:
        parse_manifest(data)
    assert (type(caught.value), caught.value.field) == (error, field)


def test_no_bit_of_a_manifest_can_be_changed_without_another_root_or_an_error() -> None:
    data = make_manifest(RECORDS[:3]).encode()
    for at in range(len(data)):
        for bit in range(8):
            try:
                found = parse_manifest(data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :])
            except LedgerError:
                continue
            assert found.root != make_manifest(RECORDS[:3]).root


def test_a_manifest_has_at_most_100000_records() -> None:
    largest = make_manifest(MANY)
    assert largest.ref.count == MANIFEST_RECORDS_MAX
    assert len(largest.encode()) == MANIFEST_BYTES_MAX
    assert parse_manifest(largest.encode()).root == largest.root
    with pytest.raises(TooManyError) as caught:
        make_manifest([*MANY, "f" * 64])
    assert caught.value.limit == MANIFEST_RECORDS_MAX
    with pytest.raises(TooLongError) as too_long:
        parse_manifest(spelled("100001", *MANY, "f" * 64))
    assert too_long.value.limit == MANIFEST_BYTES_MAX


def test_a_manifest_names_at_least_one_record_and_nothing_but_records() -> None:
    with pytest.raises(ManifestError):
        make_manifest([])
    with pytest.raises(ManifestError) as caught:
        make_manifest([RECORDS[0], "z" * 64])
    assert caught.value.field == "records[1]"


@pytest.mark.parametrize("size", range(1, 14))
def test_each_record_has_a_proof_that_fits_it_alone(size: int) -> None:
    manifest = make_manifest(RECORDS[:size])
    for number, one in enumerate(manifest.records):
        index, proof = manifest.prove(one)
        assert (index, proof) == (number, oracle.path(number, manifest.leaves))
        for other in RECORDS:
            if other == one:
                verify_membership(other, ref=manifest.ref, index=index, proof=proof)
            else:
                with pytest.raises(InclusionError):
                    verify_membership(other, ref=manifest.ref, index=index, proof=proof)


@pytest.mark.parametrize("one", ["0" * 64, "f" * 64, record("another"), "", "z"])
def test_a_record_that_is_not_in_the_manifest_has_no_proof(one: str) -> None:
    with pytest.raises(InclusionError) as caught:
        MANIFEST.prove(one)
    assert caught.value.field == "record"


def test_a_proof_of_another_manifest_place_or_count_is_refused() -> None:
    index, proof = MANIFEST.prove(RECORDS[5])
    other = make_manifest(RECORDS[:12])
    refs: list[tuple[ManifestRef, int, list[bytes]]] = [
        (other.ref, index, proof),
        (MANIFEST.ref, index + 1, proof),
        (MANIFEST.ref, -1, proof),
        (MANIFEST.ref, 13, proof),
        (MANIFEST.ref, 2**60, proof),
        (MANIFEST.ref, index, proof[:-1]),
        (MANIFEST.ref, index, [*proof, bytes(32)]),
        (MANIFEST.ref, index, proof[::-1]),
        (MANIFEST.ref, index, [one[:-1] for one in proof]),
        (ManifestRef(count=12, root=MANIFEST.ref.root), index, proof[:-1]),
        (ManifestRef(count=100, root=MANIFEST.ref.root), index, proof),
    ]
    verify_membership(RECORDS[5], ref=MANIFEST.ref, index=index, proof=proof)
    for ref, place, hashes in refs:
        with pytest.raises(InclusionError):
            verify_membership(RECORDS[5], ref=ref, index=place, proof=hashes)


@pytest.mark.parametrize("one", ["", "xyz", RECORDS[5].upper(), f" {RECORDS[5]}", RECORDS[5] + "\n", "é" * 64])
def test_what_is_no_reference_is_in_no_manifest(one: str) -> None:
    index, proof = MANIFEST.prove(RECORDS[5])
    with pytest.raises(ManifestError) as caught:
        verify_membership(one, ref=MANIFEST.ref, index=index, proof=proof)
    assert caught.value.field == "record"


@settings(deadline=None)
@given(st.sets(st.integers(0, 2**128 - 1).map(lambda number: f"{number:032x}"), min_size=1, max_size=20))
def test_every_manifest_is_read_as_it_was_written(records: set[str]) -> None:
    manifest = make_manifest(records)
    assert parse_manifest(manifest.encode()) == manifest
    for one in records:
        index, proof = manifest.prove(one)
        verify_membership(one, ref=manifest.ref, index=index, proof=proof)


@settings(deadline=None)
@given(
    st.binary(max_size=100) | st.text("0123abf\n", max_size=150).map(str.encode),
    st.integers(0, 900),
    st.integers(0, 70),
)
def test_hostile_manifests_raise_nothing_but_ledger_errors(data: bytes, start: int, length: int) -> None:
    good = MANIFEST.encode()
    for candidate in (data, spelled("1") + data, good[:start] + data + good[start + length :]):
        try:
            found = parse_manifest(candidate)
        except LedgerError:
            continue
        assert isinstance(found, Manifest)
        assert found.encode() == candidate
