"""The recogniser of plain events: it says yes only where the exact way does, and then to the same event."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from builders import event_id, open_event, receipt_event, record, ref_of, share_event
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from ledger import limits, plain
from ledger.encoding import (
    INTEGER_MAX,
    UNSURE,
    JsonObject,
    canonical_json,
    encode_base64,
    format_time,
    parse_canonical_json,
    plain_json,
)
from ledger.errors import LedgerError
from ledger.event import (
    EVENT_TYPES,
    SUBMITTED_TYPES,
    EntryRef,
    Event,
    Receipt,
    Share,
    Violation,
    base,
    parse_event,
    read_event,
    transfer,
)
from ledger.event.reading import read_plain
from ledger.event.transfer import ManifestRef
from ledger.plain import (
    PlainEvent,
    PlainManifest,
    PlainReceipt,
    PlainRef,
    PlainShare,
    recognise,
    recognise_batch,
)

MODELS: dict[type[msgspec.Struct], type[BaseModel]] = {
    PlainRef: EntryRef,
    PlainManifest: ManifestRef,
    PlainShare: Share,
    PlainReceipt: Receipt,
}
HASH = encode_base64(bytes(range(32)))
REF = ref_of("share").model_dump()
FULL_SHARE = share_event(
    bytes=2048,
    calls=1,
    case="2026-住房-000042",
    fields=["name", "状态"],
    grant=REF,
    labels={"a": "", "b.c": " kept as it is "},
    legal_basis="《政务数据共享条例》第九条",
    mode="query",
    operator="op-1",
    parents=[ref_of(1).model_dump(), ref_of(2).model_dump()],
    payload_digest=f"sm3:{HASH}",
    records=[record(1), record(2)],
    resource_version=3,
    rows=0,
    system="system",
)
FULL_RECEIPT = receipt_event(
    ref_of("share"),
    outcome="rejected",
    reason="字段不符",
    bytes=1,
    case="c",
    labels={"a": "b"},
    operator="o",
    payload_digest=f"hmac-sha-256:{HASH}",
    rows=INTEGER_MAX,
    system="s",
)
PLAIN = [
    FULL_SHARE,
    FULL_RECEIPT,
    share_event(),
    receipt_event(ref_of("share")),
    share_event(manifest={"count": 100_000, "root": HASH}, grant="a grant", fields=[], parents=[]),
    share_event(records=[]),
    share_event(purpose='a "quoted" word, and a \\', labels={"a": '"'}),
]


def encode(value: JsonObject) -> bytes:
    return canonical_json(value).encode("utf-8", "surrogatepass")


def exactly(text: bytes) -> Event | None:
    """The event that the exact way reads, or None where something is wrong with it."""
    try:
        return parse_event(parse_canonical_json(text.decode()))
    except (LedgerError, UnicodeDecodeError):
        return None


def members(event: PlainEvent | Event) -> JsonObject:
    """All that an event says."""
    if isinstance(event, msgspec.Struct):
        found: JsonObject = {
            name: member for name, member in msgspec.to_builtins(event).items() if getattr(event, name) is not None
        }
        return found
    return event.model_dump(exclude_none=True)


def check(text: bytes) -> bool:
    """Whether a text is recognised; if so, the exact way must read the same."""
    found = recognise(text)
    if found is None:
        return False
    exact = exactly(text)
    assert exact is not None, text
    assert members(found) == members(exact)
    assert type(exact) is MODELS[type(found)]
    assert exact.type == type(found).TYPE == found.type
    assert encode(members(found)) == text
    return True


# ------------------------------------------------------------------------------------------------ the same constraints


def flat(schema: Any, definitions: JsonObject) -> Any:
    """A JSON schema without names, titles and ways of saying the same: two that are alike take alike."""
    if "$ref" in schema:
        return flat(definitions[schema["$ref"].rsplit("/", 1)[1]], definitions)
    for union in ("anyOf", "oneOf"):
        if union in schema:
            options = [flat(one, definitions) for one in schema[union] if one != {"type": "null"}]
            return options[0] if len(options) == 1 else sorted(options, key=json.dumps)
    silent = {"$defs", "title", "description", "default", "discriminator"}
    found = {name: value for name, value in schema.items() if name not in silent}
    if "const" in found:
        found["enum"] = [found.pop("const")]
    if "enum" in found:
        return {"enum": sorted(found["enum"])}
    if "pattern" in found:
        found["pattern"] = found["pattern"].removesuffix("$").removesuffix(r"\Z")
    if "properties" in found:
        found["properties"] = {name: flat(value, definitions) for name, value in found["properties"].items()}
        found["required"] = sorted(found["required"])
    if "items" in found:
        found["items"] = flat(found["items"], definitions)
    if "patternProperties" in found:
        [(pattern, value)] = found.pop("patternProperties").items()
        found.pop("additionalProperties", None)
        found |= {"propertyNames": {"pattern": pattern}, "additionalProperties": value}
    if isinstance(found.get("propertyNames"), dict):
        found["propertyNames"] = flat({**found["propertyNames"]}, definitions)
        found["propertyNames"].pop("type", None)
    if isinstance(found.get("additionalProperties"), dict):
        found["additionalProperties"] = flat(found["additionalProperties"], definitions)
    return found


def flat_model(model: type[BaseModel]) -> Any:
    schema = model.model_json_schema()
    return flat(schema, schema.get("$defs", {}))


def flat_struct(struct: type[msgspec.Struct]) -> Any:
    schema = msgspec.json.schema(struct)
    return flat(schema, schema["$defs"])


@pytest.mark.parametrize("struct", MODELS)
def test_what_is_recognised_is_held_to_each_constraint_of_its_model(struct: type[msgspec.Struct]) -> None:
    ours, models = flat_struct(struct), flat_model(MODELS[struct])
    if "occurred_at" in ours["properties"]:
        assert ours["properties"].pop("occurred_at") == {"type": "string"}  # parse_time says the rest
        assert models["properties"].pop("occurred_at")["pattern"].startswith(r"^\d{4}-\d\d-\d\dT")
    assert ours == models
    assert list(struct.__struct_fields__) == sorted(struct.__struct_fields__)


def functions(schema: Any) -> Iterator[Callable[..., object]]:
    """All the functions by which a pydantic model checks more than its schema says."""
    for part in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list | tuple) else ():
        if isinstance(part, dict) and str(part.get("type", "")).startswith("function-"):
            yield part["function"]["function"]
        yield from functions(part)


@pytest.mark.parametrize("model", MODELS.values())
def test_the_models_check_nothing_more_than_the_recogniser_knows(model: type[BaseModel]) -> None:
    known = {
        base._time,
        base._unpadded,
        transfer._distinct,
        transfer._distinct_refs,
        Share._records_or_manifest,
        Receipt._a_rejection_has_a_reason,
    }
    found = {getattr(one, "__func__", one) for one in functions({"": model.__pydantic_core_schema__})}
    assert found <= known
    assert model in {EntryRef, ManifestRef} or {base._time, base._unpadded} < found


def test_each_type_that_is_submitted_can_be_recognised() -> None:
    assert {struct.TYPE for struct in (PlainShare, PlainReceipt)} == SUBMITTED_TYPES
    assert {EVENT_TYPES[struct.TYPE] for struct in (PlainShare, PlainReceipt)} == {Share, Receipt}


# ----------------------------------------------------------------------------------------------------------- examples


@pytest.mark.parametrize("event", PLAIN)
def test_a_plain_event_is_recognised(event: JsonObject) -> None:
    assert check(encode(event))


@pytest.mark.parametrize("name", sorted({*FULL_SHARE, "manifest"}))
def test_null_is_recognised_nowhere(name: str) -> None:
    event = {**FULL_SHARE, name: None}
    assert recognise(encode(event)) is None
    assert isinstance(read_plain(encode(event)), Violation)


@pytest.mark.parametrize(
    "text",
    [
        encode(open_event()),
        b"",
        b"{}",
        b"[]",
        b'"share"}',
        b'{"type":"share"}',
        b'{"type":"receipt"}',
        encode(share_event(purpose="a\x7f")),
        encode(share_event(purpose="\u0080")),
        encode(share_event(purpose="e\u0301")),
        encode(share_event(purpose="\ud800")),
        encode(share_event(purpose="x")).replace(b'"x"', b'"\xff"'),
        encode(share_event(purpose="x")).replace(b'"x"', b'"\n"'),
        encode(share_event(purpose="x")).replace(b'"x"', b'"\\u0078"'),
        encode(share_event(purpose="x ")),
        encode(share_event(purpose="\u3000x")),
        encode(share_event(purpose="x\u2028")),
        encode(share_event(grant=" x")),
        encode(share_event(fields=["a", "b "])),
        encode(share_event(fields=["a", "b", "a"])),
        encode(share_event(records=[record(1), record(1)])),
        encode(share_event(records=[record(1)], manifest={"count": 1, "root": HASH})),
        encode(share_event(records=[], manifest={"count": 1, "root": HASH})),
        encode(share_event(records=[record(1).upper()])),
        encode(share_event(manifest={"count": 1, "root": HASH[:-2] + "B="})),
        encode(share_event(consumer="A/b")),
        encode(share_event(parents=[{**REF, "log": "A/b"}])),
        encode(share_event(payload_digest=f"md5:{HASH}")),
        encode({**FULL_RECEIPT, "share": {**REF, "hash": HASH[:-2] + "B="}}),
        encode(share_event(parents=[REF, {**REF, "index": 7}])),
        encode(share_event(labels={})),
        encode(share_event(labels={"A": "x"})),
        encode(share_event(labels={"b": "", "a": ""})).replace(b'"a":"","b":""', b'"b":"","a":""'),
        encode(share_event(labels={"a": ""})).replace(b'"a":""', b'"a":"","a":""'),
        encode(share_event(rows=0)).replace(b":0,", b":-0,"),
        encode(share_event(rows=0)).replace(b":0,", b":0.0,"),
        encode(share_event(rows=10)).replace(b":10,", b":1e1,"),
        encode(share_event(rows=1)).replace(b":1,", b":true,"),
        encode(share_event(rows=INTEGER_MAX + 1)),
        encode(share_event(rows=2**70)),
        encode(share_event(id=event_id(1) + "\n")).replace(b"\\n", b"\n"),
        encode(share_event(occurred_at="2026-02-29T08:15:30.000Z")),
        encode(share_event(occurred_at="2026-11-21T24:00:00.000Z")),
        encode(share_event(occurred_at="2026-11-21T08:15:30Z")),
        encode(share_event(occurred_at="٢026-11-21T08:15:30.123Z")),
        encode(receipt_event(ref_of("share"), outcome="rejected", reason=None)),
        encode(receipt_event(ref_of("share"), reason=" ")),
        encode(receipt_event(ref_of("share"), reason="\u3000")),
        encode(share_event()) + b" ",
        b" " + encode(share_event()),
        b"\xef\xbb\xbf" + encode(share_event()),
        encode(share_event()).replace(b",", b", "),
        encode(share_event()).replace(b'"type"', b'"type":"share","type"'),
        encode(share_event()).replace(b'"method"', b'"mode":null,"method"'),
        b'{"a":' * 100_000 + b'"share"}',
        b"[" * 100_000,
    ],
)
def test_what_is_not_plain_is_left_to_the_exact_way(text: bytes) -> None:
    assert recognise(text) is None
    value = plain_json(text)
    assert read_plain(text) == (None if value is UNSURE or not isinstance(value, dict) else read_event(value))


@pytest.mark.parametrize("event", [FULL_SHARE, FULL_RECEIPT])
def test_white_space_at_the_end_of_a_text_is_recognised_nowhere_but_in_labels(event: JsonObject) -> None:
    padded = 0
    for name, member in event.items():
        for change in (" {}", "{} ", "\u3000{}", "{}\u2009"):
            if isinstance(member, str):
                check(encode({**event, name: change.format(member)}))
                padded += 1
            elif name == "labels":
                assert check(encode({**event, name: {"a": change.format("x")}}))
    assert padded >= 4 * 8


def test_what_is_recognised_cannot_be_changed() -> None:
    share = recognise(encode(FULL_SHARE))
    assert isinstance(share, PlainShare)
    with pytest.raises(AttributeError):
        share.purpose = "x"  # type: ignore[misc]


def test_a_reference_and_a_root_are_what_those_of_the_models_are() -> None:
    share = recognise(encode(PLAIN[4]))
    assert isinstance(share, PlainShare)
    assert share.manifest is not None
    assert share.manifest.root_bytes == bytes(range(32))
    receipt = recognise(encode(FULL_RECEIPT))
    assert isinstance(receipt, PlainReceipt)
    assert str(receipt.share) == str(ref_of("share"))


@pytest.mark.parametrize("held", [plain._held, limits._origins], ids=["texts", "origins"])
def test_what_is_remembered_to_hold_is_bounded(held: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "_HELD_MAX", 10)
    monkeypatch.setattr(limits, "_ORIGINS_KEPT", 10)
    held.clear()
    for number in range(30):
        assert check(encode(share_event(purpose=f"目的 {number}", consumer=f"d{number}.test/log")))
        assert 0 < len(held) <= 10


def test_what_was_refused_once_is_refused_again() -> None:
    for _ in range(3):
        for change in ({"purpose": "x "}, {"purpose": "e\u0301"}, {"consumer": "A/b"}, {"labels": {"a": "\u0080"}}):
            assert recognise(encode(share_event(**change))) is None


# ------------------------------------------------------------------------------------------------------------- batches


def test_a_canonical_batch_is_recognised_with_the_text_of_each_event() -> None:
    texts = [encode(event) for event in PLAIN]
    found = recognise_batch(b'{"events":[%b]}' % b",".join(texts))
    assert found is not None
    assert [text for _, text in found] == texts
    assert [event for event, _ in found] == [recognise(text) for text in texts]
    assert recognise_batch(b'{"events":[]}') == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b'{"events":[\xff]}',
        b'{"events":["\xff"]}',
        b'{"events":[%b] }' % encode(FULL_SHARE),
        b'{"events":[%b,{}]}' % encode(FULL_SHARE),
        b'{"events":[],"events":[%b]}' % encode(FULL_SHARE),
        b'{"events":[%b],"more":1}' % encode(FULL_SHARE),
        b'{"event":[]}',
        b'{"events":null}',
        b"[]",
        b'{"events":[' + b"[" * 100_000 + b"]" * 100_000 + b"]}",
        b'{"events":[' + b"0," * 300_000 + b"0]}",
    ],
)
def test_any_other_batch_is_left_to_the_exact_way(body: bytes) -> None:
    assert recognise_batch(body) is None


def test_a_batch_of_very_many_values_is_not_even_split(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b'{"events":[%b]}' % encode(share_event())
    assert recognise_batch(body) is not None
    monkeypatch.setattr(plain, "_COMMAS_MAX", body.count(b",") - 1)
    assert recognise_batch(body) is None


# ------------------------------------------------------------------------------------------- by the thousand, at random

characters = st.sampled_from('xé中 \u3000\u2028\u00a0\u0301\u0085\x7f\x1f\n"\\\ud800\U00020bb7“”') | st.characters()
few = st.text(characters, max_size=4)
texts = few | st.sampled_from(["x" * 128, "x" * 129, "中" * 200, "中" * 201, "\U00020bb7" * 500, "x" * 501])
numbers = st.sampled_from([-1, 0, 1, 2, 100_000, 100_001, INTEGER_MAX, INTEGER_MAX + 1, 2**64]) | st.integers()
times = st.integers(-62_135_596_800_000, 253_402_300_799_999).map(format_time)
stamps = times | st.from_regex(r"\A[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9]\.[0-9]{3}Z\Z") | few
hashes = st.binary(min_size=32, max_size=32).map(encode_base64) | st.text("AB9/+=", min_size=43, max_size=44) | few
digests = st.builds(str.__add__, st.sampled_from(["sha-256:", "hmac-sha-256:", "sm3:", "md5:"]), hashes)
origins = st.sampled_from(["a/b", "tax.ordos.example/log", "x" * 125 + "/log", "a//b", "A/b", "a/b "]) | few
ids = st.uuids().map(str) | st.sampled_from([event_id(1).upper(), event_id(1) + "\n"]) | few
records = st.sampled_from([record(1), record(2), record(3), record(1).upper(), record(1) + "\n", ""])
refs = st.fixed_dictionaries(
    {}, optional={"hash": hashes, "index": numbers, "log": origins, "extra": st.just(1)}
) | st.builds(lambda hash_, index: {**REF, "hash": hash_, "index": index}, hashes, st.integers(0, 9))
names = st.from_regex(r"\A[a-z][a-z0-9_.-]{0,3}\Z") | few | st.sampled_from(["a" * 64, "a" * 65, "A"])
nothing: st.SearchStrategy[Any] = st.sampled_from([None, True, False, 0.0, 1.5, [], {}])
odd = nothing | numbers | few

MEMBERS: dict[str, st.SearchStrategy[Any]] = {
    "bytes": numbers,
    "calls": numbers,
    "case": texts,
    "consumer": origins,
    "fields": st.lists(texts, max_size=4)
    | st.just([str(n) for n in range(200)])
    | st.just([str(n) for n in range(201)]),
    "grant": refs | texts,
    "id": ids,
    "labels": st.dictionaries(names, texts | st.just("x" * 257), max_size=3)
    | st.integers(15, 17).map(lambda count: {f"a{n}": "" for n in range(count)}),
    "legal_basis": texts,
    "manifest": st.fixed_dictionaries({"count": numbers, "root": hashes}),
    "method": st.sampled_from(["api", "manual", "fax"]),
    "mode": st.sampled_from(["copy", "compute", ""]),
    "occurred_at": stamps,
    "operator": texts,
    "outcome": st.sampled_from(["accepted", "rejected", "lost"]),
    "parents": st.lists(refs, max_size=3)
    | st.integers(99, 101).map(lambda count: [ref_of(n).model_dump() for n in range(count)]),
    "payload_digest": digests,
    "purpose": texts,
    "reason": texts,
    "records": st.lists(records, max_size=4)
    | st.integers(999, 1001).map(lambda count: [record(n) for n in range(count)]),
    "resource": texts,
    "resource_version": numbers,
    "rows": numbers,
    "share": refs,
    "system": texts,
    "type": st.sampled_from(["share", "receipt", "log.open"]),
    "zebra": few,
}
changes = st.sampled_from(sorted(MEMBERS)).flatmap(lambda name: st.tuples(st.just(name), MEMBERS[name] | odd))
tokens = st.sampled_from(
    [b'"', b",", b":", b"{", b"}", b"[", b"]", b" ", b"null", b"0", b"-", b".0", b"e1", b"\\", b"\xc2", b"\xe3\x80\x80"]
) | st.binary(max_size=2)


@settings(deadline=None, max_examples=400)
@given(st.sampled_from(PLAIN), st.lists(changes, max_size=3), st.sets(st.integers(0, 30), max_size=2))
def test_what_is_recognised_is_what_the_exact_way_reads(
    event: JsonObject, changed: list[tuple[str, Any]], dropped: set[int]
) -> None:
    value = {name: member for n, (name, member) in enumerate((event | dict(changed)).items()) if n not in dropped}
    text = encode(value)
    assert check(text) or exactly(text) is None


@settings(deadline=None, max_examples=400)
@given(st.sampled_from(PLAIN), st.lists(st.tuples(st.integers(0, 1200), tokens, st.integers(0, 3)), max_size=3))
@example(PLAIN[2], [(0, b"", 0)])
def test_no_mutation_of_an_event_is_recognised_that_the_exact_way_refuses(
    event: JsonObject, mutations: list[tuple[int, bytes, int]]
) -> None:
    text = encode(event)
    for at, put, left_out in mutations:
        text = text[:at] + put + text[at + left_out :]
    check(text)


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(PLAIN), st.integers(0, 40), st.integers(0, 40))
def test_members_in_another_order_or_twice_are_not_recognised(event: JsonObject, one: int, other: int) -> None:
    parts = [encode({name: member})[1:-1] for name, member in sorted(event.items())]
    mixed = list(parts)
    mixed.insert(other % len(parts), mixed[one % len(parts)])
    assert recognise(b"{%b}" % b",".join(mixed)) is None
    mixed = list(parts)
    mixed.insert(other % len(parts), mixed.pop(one % len(parts)))
    assert check(b"{%b}" % b",".join(mixed)) == (mixed == parts)
