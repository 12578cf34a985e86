"""Entries: exact bytes, an unbroken chain, and no mutation that passes."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError
from hashlib import sha256

import builders
import pytest
from builders import STAMP, TIME, open_event, receipt_event, share_event
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ledger import entry as entry_module
from ledger.encoding import INTEGER_MAX, JsonObject, canonical_json, encode_base64, format_time, plain_json
from ledger.entry import (
    ENTRY_BYTES_MAX,
    PARALLEL_MIN,
    ChainHead,
    Confirmed,
    SignatureMemory,
    chain,
    confirm_entries,
    follow,
    in_parallel,
    open_chain,
    parse_entry,
    sign_texts,
    signature_line_bytes,
    verify_entries,
    verify_signature,
)
from ledger.errors import (
    Base64Error,
    ChainError,
    DecimalError,
    EntryError,
    FloatError,
    InvalidSignatureError,
    LedgerError,
    NotCanonicalError,
    OutOfRangeError,
    TimeError,
    TooLongError,
    UnsignedError,
    Utf8Error,
)
from ledger.event import EntryRef
from ledger.limits import PARENTS_MAX, RECORDS_MAX
from ledger.merkle import leaf_hash
from ledger.note import COSIGNATURE, VerifierKey, open_note, parse_note, verify_detached

NET = builders.make_network(2)
POLICE, TAX = NET.departments
ORIGIN = POLICE.origin
NETWORK_TEXT = NET.network.text.encode()
START = open_chain(ORIGIN, NETWORK_TEXT)
EVENTS = [
    canonical_json(event).encode()
    for event in (open_event(), share_event(purpose="住房补贴"), share_event(name="again"))
]


def key_at(_: int) -> VerifierKey:
    return POLICE.log.verifier


def read(text: bytes) -> JsonObject | None:
    value = plain_json(text)
    return value if isinstance(value, dict) else None


def written(count: int, head: ChainHead = START, *, at: int = TIME) -> tuple[list[bytes], ChainHead]:
    """Entries behind a head, and the head behind them."""
    events = [canonical_json(share_event(name=(head.size, number))).encode() for number in range(count)]
    texts, after = chain(head, events, time=at)
    return sign_texts(POLICE.log, texts), after


def raw_entry(**lines: str) -> bytes:
    """An entry with a true signature, whatever its lines say; ``end`` takes the place of all that follows the text."""
    parts = {
        "format": "suyuan/entry/v1",
        "origin": ORIGIN,
        "index": "0",
        "previous": encode_base64(START.previous),
        "time": STAMP,
        "event": EVENTS[0].decode(),
        **lines,
    }
    end = parts.pop("end", None)
    text = "".join(f"{line}\n" for line in parts.values())
    signature = POLICE.log.sign(text.encode("utf-8", "surrogatepass"))
    line = f"— {parts['origin']} {encode_base64(signature.key_id + signature.blob)}\n"
    return (text + (f"\n{line}" if end is None else end.format(line=line))).encode("utf-8", "surrogatepass")


def mutants(data: bytes) -> Iterator[bytes]:
    """The bytes with one bit changed, one byte left out, doubled or put in, or cut short."""
    for at in range(len(data)):
        for bit in range(8):
            yield data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
        yield data[:at]
        yield data[:at] + b" " + data[at:]
        if data[at : at + 1] != data[at + 1 : at + 2]:
            yield data[:at] + data[at + 1 :]
        yield data[:at] + data[at : at + 1] + data[at:]
    yield data + b"\n"


def test_an_entry_has_the_lines_of_the_protocol() -> None:
    (text, second, _), head = chain(START, EVENTS, time=TIME)
    assert text.decode() == (
        f"suyuan/entry/v1\n{ORIGIN}\n0\n{encode_base64(sha256(NETWORK_TEXT).digest())}\n{STAMP}\n{EVENTS[0].decode()}\n"
    )
    assert second.decode() == (
        f"suyuan/entry/v1\n{ORIGIN}\n1\n{encode_base64(sha256(text).digest())}\n{STAMP}\n{EVENTS[1].decode()}\n"
    )
    assert (head.size, head.time) == (3, TIME)
    raw = sign_texts(POLICE.log, [text])[0]
    assert raw.decode() == f"{text.decode()}\n{POLICE.log.sign(text).line}"
    assert open_note(parse_note(raw), [POLICE.log.verifier])[0].key == POLICE.log.verifier


def test_a_parsed_entry_has_all_its_parts() -> None:
    (text,), _ = chain(START, EVENTS[:1], time=TIME)
    raw = sign_texts(POLICE.log, [text])[0]
    one = parse_entry(raw)
    assert (one.origin, one.index, one.previous, one.time) == (ORIGIN, 0, START.previous, TIME)
    assert (one.text, one.raw, one.event) == (text, raw, open_event())
    assert one.leaf == sha256(b"\x00" + raw).digest() == leaf_hash(raw)
    assert one.key_id == POLICE.log.verifier.key_id
    assert one.ref == EntryRef(hash=encode_base64(one.leaf), index=0, log=ORIGIN)
    assert str(one.ref) == "police.ordos.example/log#0"


@pytest.mark.parametrize(
    ("lines", "error", "field"),
    [
        ({"format": "suyuan/entry/v2"}, EntryError, "line 1"),
        ({"format": ""}, EntryError, "line 1"),
        ({"format": "suyuan/entry/v1 "}, EntryError, "line 1"),
        ({"origin": "Police.ordos.example/log"}, EntryError, "line 2"),
        ({"origin": ""}, EntryError, "line 2"),
        ({"origin": "police"}, EntryError, "line 2"),
        ({"origin": "police /log"}, EntryError, "line 2"),
        ({"origin": "p" * 125 + "/log"}, EntryError, "line 2"),
        ({"index": "00"}, DecimalError, "line 3"),
        ({"index": "-0"}, DecimalError, "line 3"),
        ({"index": ""}, DecimalError, "line 3"),
        ({"index": str(2**63)}, DecimalError, "line 3"),
        ({"index": str(INTEGER_MAX + 1)}, OutOfRangeError, "line 3"),
        ({"previous": "AA=="}, Base64Error, "line 4"),
        ({"previous": ""}, Base64Error, "line 4"),
        ({"previous": "a" * 43 + "="}, Base64Error, "line 4"),
        ({"time": "2026-11-21T08:15:30Z"}, TimeError, "line 5"),
        ({"time": "2026-11-21T08:15:30.123+00:00"}, TimeError, "line 5"),
        ({"event": "[]"}, EntryError, "line 6"),
        ({"event": "null"}, EntryError, "line 6"),
        ({"event": '{"type": "share"}'}, NotCanonicalError, "line 6"),
        ({"event": '{"b":1,"a":1}'}, NotCanonicalError, "line 6"),
        ({"event": '{"a":1.5}'}, FloatError, "line 6"),
        ({"event": '{"a":9007199254740992}'}, OutOfRangeError, "line 6.a"),
        ({"event": '{"a":"\x7f"}'}, LedgerError, "line 6.a"),
        ({"event": '{"a":"\ud800"}'}, Utf8Error, "entry"),
        ({"event": "{}\r"}, NotCanonicalError, "line 6"),
        ({"event": "{}\nmore"}, EntryError, "entry"),
        ({"end": ""}, EntryError, "entry"),
        ({"end": "\n"}, EntryError, "entry"),
        ({"end": "{line}"}, EntryError, "entry"),
        ({"end": "\n\n{line}"}, EntryError, "entry"),
        ({"end": "\n{line}\n"}, EntryError, "entry"),
        ({"end": "\n{line}{line}"}, EntryError, "entry"),
        ({"end": "\n{line}x"}, EntryError, "entry"),
        ({"end": "x\n{line}"}, EntryError, "entry"),
        ({"end": f"\n— {ORIGIN} AA==\n"}, Base64Error, "line 8"),
        ({"end": f"\n— {ORIGIN} {encode_base64(bytes(69))}\n"}, Base64Error, "line 8"),
        ({"end": f"\n— {ORIGIN}  {encode_base64(bytes(68))}\n"}, Base64Error, "line 8"),
        ({"end": f"\n— {ORIGIN}/x {encode_base64(bytes(68))}\n"}, EntryError, "line 8"),
        ({"end": f"\n— {TAX.origin} {encode_base64(bytes(68))}\n"}, EntryError, "line 8"),
        ({"end": f"\n- {ORIGIN} {encode_base64(bytes(68))}\n"}, EntryError, "line 8"),
        ({"end": "\nx\n"}, EntryError, "line 8"),
    ],
)
def test_what_is_not_an_entry_is_refused_with_its_line(
    lines: dict[str, str], error: type[LedgerError], field: str
) -> None:
    with pytest.raises(error) as caught:
        parse_entry(raw_entry(**lines))
    assert caught.value.field == field
    with pytest.raises(LedgerError) as caught:
        verify_entries(START, [raw_entry(**lines)], key_at=key_at)
    assert caught.value.field == f"entry 0.{field}"
    assert confirm_entries(START, [raw_entry(**lines)], key_at=key_at, read=read) is None


def test_no_single_mutation_of_an_entry_passes() -> None:
    (raw,), _ = written(1)
    assert verify_entries(START, [raw], key_at=key_at)[0] == [parse_entry(raw)]
    passed = []
    for mutant in mutants(raw):
        try:
            one = parse_entry(mutant)
            assert one.leaf != parse_entry(raw).leaf
            assert confirm_entries(START, [mutant], key_at=key_at, read=read) is None
            verify_signature(one, POLICE.log.verifier)
        except LedgerError:
            continue
        passed.append(mutant)
    assert not passed


def columns(head: ChainHead, raws: Sequence[bytes]) -> Confirmed[JsonObject]:
    """What confirming gives, by way of verifying."""
    entries, after = verify_entries(head, raws, key_at=key_at)
    assert all(one.event_text == canonical_json(one.event).encode() for one in entries)
    return Confirmed([e.event for e in entries], [e.leaf for e in entries], after)


def test_what_is_confirmed_is_what_is_verified() -> None:
    first, middle = written(3)
    second, _ = written(2, middle, at=TIME + 1)
    for head, raws in ((START, first + second), (middle, second), (START, [])):
        assert confirm_entries(head, raws, key_at=key_at, read=read) == columns(head, raws)


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 800), st.binary(max_size=2), st.integers(0, 2)), max_size=2)
)
def test_whatever_is_confirmed_is_verified(changes: list[tuple[int, int, bytes, int]]) -> None:
    raws, _ = written(3)
    for number, at, put, left_out in changes:
        raws[number] = raws[number][:at] + put + raws[number][at + left_out :]
    confirmed = confirm_entries(START, raws, key_at=key_at, read=read)
    assert confirmed is None or confirmed == columns(START, raws)


def test_what_takes_the_exact_way_to_tell_is_not_confirmed() -> None:
    raw = raw_entry(event=canonical_json({**open_event(), "software": 'a "quoted" name'}))
    assert verify_entries(START, [raw], key_at=key_at)
    assert confirm_entries(START, [raw], key_at=key_at, read=read) is None


@pytest.mark.parametrize("change", ["swap", "drop", "repeat", "older", "other log", "other key", "no key", "bad log"])
def test_what_does_not_hold_is_not_confirmed(change: str) -> None:
    raws, head = written(2)
    key = {"other key": lambda _: TAX.log.verifier, "no key": NET.network.member(TAX.origin).log_key_at}
    other = {"other log": open_chain(TAX.origin, NETWORK_TEXT), "bad log": open_chain("Nobody", NETWORK_TEXT)}
    text = f"suyuan/entry/v1\n{ORIGIN}\n2\n{encode_base64(head.previous)}\n{format_time(TIME - 1)}\n".encode()
    text += EVENTS[1] + b"\n"
    given_raws = {
        "swap": raws[::-1],
        "drop": raws[1:],
        "repeat": [raws[0], *raws],
        "older": [*raws, *sign_texts(POLICE.log, [text])],
    }
    assert confirm_entries(START, raws, key_at=key_at, read=read) is not None
    assert (
        confirm_entries(
            other.get(change, START), given_raws.get(change, raws), key_at=key.get(change, key_at), read=read
        )
        is None
    )


def test_the_largest_index_is_one_that_a_reference_can_name() -> None:
    assert parse_entry(raw_entry(index=str(INTEGER_MAX))).ref.index == INTEGER_MAX


@settings(deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=100).map(str.encode), st.integers(0, 400), st.integers(0, 400))
def test_hostile_entries_raise_nothing_but_ledger_errors(data: bytes, start: int, length: int) -> None:
    raw = raw_entry()
    for candidate in (data, raw[:start] + data + raw[start + length :]):
        try:
            one = parse_entry(candidate)
        except LedgerError:
            continue
        assert one.raw == candidate
        assert isinstance(one.ref, EntryRef)


def test_a_chain_goes_on_from_its_head_however_it_is_cut_into_batches() -> None:
    whole, end = written(5)
    first, middle = written(2)
    events = [canonical_json(share_event(name=(0, number))).encode() for number in range(2, 5)]
    texts, after = chain(middle, events, time=TIME)
    assert first + sign_texts(POLICE.log, texts) == whole
    assert after == end
    assert verify_entries(middle, whole[2:], key_at=key_at)[1] == end


def test_a_chain_without_events_is_the_same_chain() -> None:
    _, head = written(2)
    assert chain(head, [], time=TIME + 1) == ([], head)
    assert verify_entries(head, [], key_at=key_at) == ([], head)


def test_time_never_decreases_when_the_clock_goes_back() -> None:
    first, head = written(1, at=TIME + 5)
    second, after = written(1, head, at=TIME)
    assert parse_entry(second[0]).time == TIME + 5 == after.time
    assert verify_entries(START, first + second, key_at=key_at)[1] == after


@pytest.mark.parametrize(
    ("lines", "field"),
    [
        ({"origin": TAX.origin}, "line 2"),
        ({"index": "1"}, "line 3"),
        ({"previous": encode_base64(bytes(32))}, "line 4"),
        ({"time": "1969-12-31T23:59:59.999Z"}, "line 5"),
    ],
)
def test_an_entry_that_does_not_follow_breaks_the_chain(lines: dict[str, str], field: str) -> None:
    with pytest.raises(ChainError) as caught:
        follow(START, parse_entry(raw_entry(**lines)))
    assert (caught.value.field, caught.value.code) == (field, "broken_chain")
    assert f"{ORIGIN}#0" in str(caught.value)


def test_an_older_entry_behind_a_younger_one_breaks_the_chain_and_an_equal_one_does_not() -> None:
    _, head = written(1)
    for at, breaks in ((TIME - 1, True), (TIME, False), (TIME + 1, False)):
        lines = {"index": "1", "previous": encode_base64(head.previous), "time": format_time(at)}
        one = parse_entry(raw_entry(**lines))
        if breaks:
            with pytest.raises(ChainError):
                follow(head, one)
        else:
            assert follow(head, one) == ChainHead(ORIGIN, 2, sha256(one.text).digest(), at)


def test_an_entry_of_another_network_or_log_is_no_entry_0_of_this_one() -> None:
    (raw,), _ = written(1)
    other = open_chain(ORIGIN, NETWORK_TEXT.replace(b"ordos\n", b"other\n", 1))
    for head in (other, open_chain(TAX.origin, NETWORK_TEXT)):
        with pytest.raises(ChainError):
            verify_entries(head, [raw], key_at=key_at)


@pytest.mark.parametrize("change", ["swap", "drop", "repeat", "other"])
def test_entries_out_of_their_order_break_the_chain(change: str) -> None:
    raws, _ = written(4)
    raws = {
        "swap": [raws[0], raws[2], raws[1], raws[3]],
        "drop": [raws[0], *raws[2:]],
        "repeat": [raws[0], *raws],
        "other": [*raws[:3], raw_entry(index="3")],
    }[change]
    with pytest.raises(ChainError):
        verify_entries(START, raws, key_at=key_at)


def test_a_signature_by_another_key_and_a_false_one_are_told_apart() -> None:
    (raw,), _ = written(1)
    one = parse_entry(raw)
    for key in (TAX.log.verifier, builders.signer("other.example/log").verifier):
        with pytest.raises(UnsignedError) as unsigned:
            verify_signature(one, key)
        assert unsigned.value.field == "line 8"
    forged = parse_entry(raw.replace(b'"purpose":"housing benefit"', b'"purpose":"housing benefits"'))
    with pytest.raises(InvalidSignatureError) as invalid:
        verify_signature(forged, POLICE.log.verifier)
    assert invalid.value.field == "line 8"


def test_a_signature_that_was_verified_once_is_remembered_for_these_bytes_and_this_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[bytes] = []

    def counting(public_key: bytes, text: bytes, signature: bytes) -> bool:
        asked.append(signature)
        return verify_detached(public_key, text, signature)

    monkeypatch.setattr(entry_module, "verify_detached", counting)
    (raw, other), _ = written(2)
    memory = SignatureMemory(4)
    for _ in range(3):
        memory.verify(parse_entry(raw), POLICE.log.verifier)
    assert len(asked) == 1
    forged = parse_entry(raw.replace(b'"purpose":"housing benefit"', b'"purpose":"housing benefits"'))
    for count in (2, 3):  # what is false is asked for again
        with pytest.raises(InvalidSignatureError):
            memory.verify(forged, POLICE.log.verifier)
        assert len(asked) == count
    with pytest.raises(UnsignedError):
        memory.verify(parse_entry(raw), TAX.log.verifier)
    memory.verify(parse_entry(other), POLICE.log.verifier)
    assert len(asked) == 4


def test_so_many_signatures_are_remembered_those_asked_for_last() -> None:
    raws, _ = written(4)
    entries = [parse_entry(raw) for raw in raws]
    memory = SignatureMemory(2)
    for number in (0, 1, 0, 2):
        memory.verify(entries[number], POLICE.log.verifier)
        assert len(memory) <= 2
    assert [entry.index for entry in entries if (entry.leaf, POLICE.log.verifier) in memory._verified] == [0, 2]


def test_the_key_is_asked_for_at_each_index() -> None:
    raws, _ = written(3)
    asked: list[int] = []

    def until_two(index: int) -> VerifierKey:
        asked.append(index)
        if index == 2:
            raise UnsignedError("no key", field="log_keys")
        return POLICE.log.verifier

    with pytest.raises(UnsignedError) as caught:
        verify_entries(START, raws, key_at=until_two)
    assert asked == [0, 1, 2]
    assert caught.value.field == "entry 2.log_keys"


def test_a_cosigners_key_neither_signs_entries_nor_verifies_them() -> None:
    with pytest.raises(AssertionError):
        sign_texts(POLICE.cosigner, [b"text\n"])
    (raw,), _ = written(1)
    with pytest.raises(AssertionError):
        verify_signature(parse_entry(raw), POLICE.cosigner.verifier)
    assert POLICE.cosigner.algorithm == COSIGNATURE


@pytest.mark.parametrize("origin", [ORIGIN, "a/b", "x" * 124 + "/log"])
def test_the_largest_entry_has_exactly_65535_bytes(origin: str) -> None:
    owner = builders.signer(origin)
    head = open_chain(origin, NETWORK_TEXT)

    def entry_of(padding: int) -> bytes:
        texts, _ = chain(head, [canonical_json({"a": "法" * (padding // 3) + "x" * (padding % 3)}).encode()], time=TIME)
        return sign_texts(owner, texts)[0]

    room = ENTRY_BYTES_MAX - len(entry_of(0))
    largest = entry_of(room)
    assert len(largest) == ENTRY_BYTES_MAX == 65_535
    assert parse_entry(largest).raw == largest
    with pytest.raises(TooLongError) as caught:
        entry_of(room + 1)
    assert (caught.value.field, caught.value.limit) == ("[0]", ENTRY_BYTES_MAX)
    assert "65536 bytes" in str(caught.value)


def test_a_share_of_as_many_records_and_parents_as_it_may_name_fits_into_an_entry() -> None:
    records = [builders.record(number) for number in range(RECORDS_MAX)]
    parents = [builders.ref_of(number).model_dump() for number in range(PARENTS_MAX)]
    texts, _ = chain(START, [canonical_json(share_event(records=records, parents=parents)).encode()], time=TIME)
    assert len(sign_texts(POLICE.log, texts)[0]) < ENTRY_BYTES_MAX


def test_an_entry_above_the_limit_is_refused_before_it_is_looked_at() -> None:
    for data in (b"\xff" * (ENTRY_BYTES_MAX + 1), b"[" * 10_000_000):
        with pytest.raises(TooLongError) as caught:
            parse_entry(data)
        assert (caught.value.field, caught.value.limit) == ("entry", ENTRY_BYTES_MAX)
    with pytest.raises(Utf8Error):
        parse_entry(b"\xff" * ENTRY_BYTES_MAX)


def test_the_event_that_is_too_long_is_named_by_its_place_in_the_batch() -> None:
    with pytest.raises(TooLongError) as caught:
        chain(START, [EVENTS[0], canonical_json({"a": "x" * ENTRY_BYTES_MAX}).encode()], time=TIME)
    assert caught.value.field == "[1]"


def test_the_length_of_a_signature_line_is_known_before_it_is_signed() -> None:
    for origin in (ORIGIN, "a/b"):
        signer = builders.signer(origin)
        assert signature_line_bytes(origin) == len(signer.sign("text\n").line.encode())


@pytest.mark.parametrize("count", [0, 1, PARALLEL_MIN, 2 * PARALLEL_MIN - 1, 2 * PARALLEL_MIN, 2 * PARALLEL_MIN + 1])
def test_work_on_two_cores_gives_what_work_on_one_gives(count: int) -> None:
    texts, _ = chain(START, [canonical_json(share_event(name=number)).encode() for number in range(count)], time=TIME)
    with ThreadPoolExecutor(2) as pool:
        raws = sign_texts(POLICE.log, texts, pool=pool)
        assert raws == sign_texts(POLICE.log, texts)
        assert verify_entries(START, raws, key_at=key_at, pool=pool) == verify_entries(START, raws, key_at=key_at)


@pytest.mark.parametrize("wrong", [[3], [40], [3, 40], [15, 16], [63]])
def test_the_first_wrong_entry_is_named_on_two_cores_as_on_one(wrong: list[int]) -> None:
    raws, _ = written(64)
    for number in wrong:
        raws[number] = raws[number].replace(b'"method":"api"', b'"method":"axi"')
    with ThreadPoolExecutor(2) as pool:
        for chosen in (None, pool):
            with pytest.raises(InvalidSignatureError) as caught:
                verify_entries(START, raws, key_at=key_at, pool=chosen)
            assert caught.value.field == f"entry {wrong[0]}.line 8"


def test_the_second_half_is_not_begun_when_the_first_has_failed() -> None:
    done: list[int] = []

    def work(part: Sequence[int]) -> list[int]:
        if 0 in part:
            raise ChainError("the first half")
        done.extend(part)
        return list(part)

    with ThreadPoolExecutor(1) as pool:
        busy = pool.submit(time.sleep, 0.2)
        with pytest.raises(ChainError, match="the first half"):
            in_parallel(work, range(2 * PARALLEL_MIN), pool)
        busy.result()
    assert not done


def test_a_receipt_and_a_share_go_into_one_chain() -> None:
    police, tax = builders.logs_of(NET)
    share = police.share(tax, records=[builders.record(1)])
    tax.receipt(share)
    for log in (police, tax):
        entries, head = verify_entries(
            open_chain(log.origin, NETWORK_TEXT), log.raws, key_at=NET.network.member(log.origin).log_key_at
        )
        assert entries == log.entries
        assert head == log.head
    assert tax.entries[1].event == receipt_event(share, (tax.origin, 1))


def test_entries_and_references_are_values_that_cannot_be_changed() -> None:
    one = parse_entry(raw_entry())
    with pytest.raises(FrozenInstanceError):
        one.index = 1  # type: ignore[misc]
    with pytest.raises(ValidationError):
        one.ref.index = 1
