"""Events: every member at its limit and just past it, each with its error, its field and its limit."""

import json
from typing import Any

import builders
import pytest
from builders import STAMP, event_id, open_event, receipt_event, record, ref_of, share_event
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ledger import event as events
from ledger.encoding import INTEGER_MAX, JsonObject, canonical_json, encode_base64, parse_hash
from ledger.errors import (
    BadValueError,
    Base64Error,
    EventError,
    JsonError,
    LedgerError,
    LimitError,
    MalformedError,
    MissingMemberError,
    OutOfRangeError,
    TimeError,
    TooLongError,
    TooManyError,
    UnknownMemberError,
    UnknownTypeError,
    WrongTypeError,
)
from ledger.event import (
    EntryRef,
    KeyRotate,
    LogOpen,
    NetworkAdopt,
    Receipt,
    Share,
    Violation,
    parse_event,
    parse_event_text,
    read_event,
)
from ledger.event.base import parse_model
from ledger.event.transfer import ManifestRef
from ledger.note import COSIGNATURE

HASH = encode_base64(bytes(range(32)))
REF = ref_of("grant").model_dump()
REFS = [ref_of(number).model_dump() for number in range(101)]
LABELS = {f"label.{number}": "value" for number in range(17)}
RECEIPT = receipt_event(ref_of("share"))
KANJI = "\U00020bb7"  # one character, two UTF-16 units, four bytes

MANIFEST = {"count": 1, "root": HASH}

GOOD: dict[str, list[Any]] = {
    "id": [event_id(1), "00000000-0000-0000-0000-000000000000"],
    "consumer": ["a/b", "tax.ordos.example/log", "x" * 124 + "/log", "0/~._-", "a-.b/c/d"],
    "resource": ["x", "户籍登记", "x" * 200, KANJI * 200],
    "resource_version": [1, INTEGER_MAX],
    "records": [[record(1)], [record(number) for number in range(1000)]],
    "fields": [["x"], ["x" * 200], [f"f{number}" for number in range(200)]],
    "purpose": ["x", "x" * 500, KANJI * 500],
    "legal_basis": ["x", "政务数据共享条例第九条", "x" * 500],
    "grant": ["x", "x" * 200, REF],
    "method": ["api", "database", "file", "message", "manual"],
    "mode": ["copy", "query", "verify", "compute"],
    "calls": [0, INTEGER_MAX],
    "rows": [0, INTEGER_MAX],
    "bytes": [0, INTEGER_MAX],
    "payload_digest": [f"sha-256:{HASH}", f"hmac-sha-256:{HASH}", f"sm3:{HASH}"],
    "parents": [REFS[:1], REFS[:100]],
    "case": ["x", "x" * 200],
    "system": ["x", "x" * 200],
    "operator": ["x", "x" * 128],
    "labels": [{"a": ""}, {"a" * 64: "x" * 256}, dict(list(LABELS.items())[:16])],
    "occurred_at": [STAMP, "0001-01-01T00:00:00.000Z"],
}

Bad = tuple[str, Any, type[LedgerError], str, int | None]  # member, value, error, field, limit

TEXTS: list[tuple[str, int]] = [
    ("resource", 200),
    ("purpose", 500),
    ("legal_basis", 500),
    ("case", 200),
    ("system", 200),
    ("operator", 128),
]
COUNTS = ["calls", "rows", "bytes"]
HASHES = ["AA==", HASH[:-1], HASH + "\n", "B" * 43 + "=", HASH[:-2] + "9=", "A" * 44, "-" * 43 + "=", ""]


def bad_members() -> list[Bad]:
    bad: list[Bad] = []
    for name, limit in TEXTS:
        bad += [
            (name, "x" * (limit + 1), TooLongError, name, limit),
            (name, KANJI * (limit + 1), TooLongError, name, limit),
        ]
        bad += [(name, text, BadValueError, name, None) for text in ("", " x", "x ", "\u3000x", "x\u00a0", " ")]
        bad += [(name, wrong, WrongTypeError, name, None) for wrong in (1, True, 1.5, ["x"], {"x": "x"})]
    for name in COUNTS:
        bad.append((name, -1, OutOfRangeError, name, 0))
        bad += [(name, number, OutOfRangeError, name, INTEGER_MAX) for number in (INTEGER_MAX + 1, 2**70)]
        bad += [(name, wrong, WrongTypeError, name, None) for wrong in (True, False, 1.0, "1", [1], {"a": 1})]
    bad += [
        ("resource_version", 0, OutOfRangeError, "resource_version", 1),
        ("resource_version", INTEGER_MAX + 1, OutOfRangeError, "resource_version", INTEGER_MAX),
        ("resource_version", True, WrongTypeError, "resource_version", None),
        ("method", "fax", BadValueError, "method", None),
        ("method", "API", BadValueError, "method", None),
        ("method", ["api"], BadValueError, "method", None),
        ("mode", "", BadValueError, "mode", None),
        ("mode", 1, BadValueError, "mode", None),
        ("records", [record(number) for number in range(1001)], TooManyError, "records", 1000),
        ("records", [record(1), record(2), record(1)], BadValueError, "records", None),
        ("records", [*(record(number) for number in range(3)), "x"], BadValueError, "records[3]", None),
        ("records", [record(1).upper()], BadValueError, "records[0]", None),
        ("records", [record(1) + "\n"], BadValueError, "records[0]", None),
        ("records", [record(1)[:-1]], BadValueError, "records[0]", None),
        ("records", [1], WrongTypeError, "records[0]", None),
        ("records", record(1), WrongTypeError, "records", None),
        ("records", {"0": record(1)}, WrongTypeError, "records", None),
        ("records", (record(1),), WrongTypeError, "records", None),
        ("fields", [f"f{number}" for number in range(201)], TooManyError, "fields", 200),
        ("fields", ["x" * 201], TooLongError, "fields[0]", 200),
        ("fields", ["a", ""], BadValueError, "fields[1]", None),
        ("fields", ["a", "b", "a"], BadValueError, "fields", None),
        ("fields", ["a", 1], WrongTypeError, "fields[1]", None),
        ("fields", ["a", None], WrongTypeError, "fields[1]", None),
        ("grant", "", BadValueError, "grant", None),
        ("grant", "x" * 201, TooLongError, "grant", 200),
        ("grant", 1, WrongTypeError, "grant", None),
        ("grant", [REF], WrongTypeError, "grant", None),
        ("grant", {}, MissingMemberError, "grant.hash", None),
        ("grant", {**REF, "entry": 1}, UnknownMemberError, "grant.entry", None),
        ("grant", {**REF, "index": -1}, OutOfRangeError, "grant.index", 0),
        ("grant", {**REF, "log": 1}, WrongTypeError, "grant.log", None),
        ("parents", REFS, TooManyError, "parents", 100),
        ("parents", [REFS[0], REFS[0]], BadValueError, "parents", None),
        ("parents", [REFS[0], {**REFS[0], "index": 7}], BadValueError, "parents", None),
        ("parents", [REFS[0], {**REFS[1], "hash": "x"}], Base64Error, "parents[1].hash", None),
        ("parents", [{**REF, "index": INTEGER_MAX + 1}], OutOfRangeError, "parents[0].index", INTEGER_MAX),
        ("parents", [{**REF, "index": True}], WrongTypeError, "parents[0].index", None),
        ("parents", [{**REF, "log": "x" * 125 + "/log"}], TooLongError, "parents[0].log", 128),
        ("parents", [{"index": 1, "log": "a/b"}], MissingMemberError, "parents[0].hash", None),
        ("parents", [{**REF, "extra": 1}], UnknownMemberError, "parents[0].extra", None),
        ("parents", ["police.ordos.example/log#42"], WrongTypeError, "parents[0]", None),
        ("parents", REF, WrongTypeError, "parents", None),
        ("labels", {}, BadValueError, "labels", None),
        ("labels", LABELS, TooManyError, "labels", 16),
        ("labels", {"a": "x" * 257}, TooLongError, "labels.a", 256),
        ("labels", {"a" * 65: "x"}, BadValueError, "labels." + "a" * 37 + "...", None),
        ("labels", {"A": "x"}, BadValueError, "labels.A", None),
        ("labels", {"": "x"}, BadValueError, "labels.", None),
        ("labels", {"a": 1}, WrongTypeError, "labels.a", None),
        ("labels", {"str": {"[key]": 1}}, WrongTypeError, "labels.str", None),
        ("labels", {"a": None}, WrongTypeError, "labels.a", None),
        ("labels", ["a"], WrongTypeError, "labels", None),
        ("manifest", {**MANIFEST, "count": 0}, OutOfRangeError, "manifest.count", 1),
        ("manifest", {**MANIFEST, "count": 100_001}, OutOfRangeError, "manifest.count", 100_000),
        ("manifest", {**MANIFEST, "count": True}, WrongTypeError, "manifest.count", None),
        ("manifest", {"count": 1}, MissingMemberError, "manifest.root", None),
        ("manifest", {**MANIFEST, "records": []}, UnknownMemberError, "manifest.records", None),
        ("manifest", {**MANIFEST, "root": None}, WrongTypeError, "manifest.root", None),
        ("manifest", HASH, WrongTypeError, "manifest", None),
        ("occurred_at", "2026-11-21T08:15:30Z", TimeError, "occurred_at", None),
        ("occurred_at", "2026-02-29T08:15:30.000Z", TimeError, "occurred_at", None),
        ("occurred_at", "2026-11-21T24:00:00.000Z", TimeError, "occurred_at", None),
        ("occurred_at", 1763712930123, WrongTypeError, "occurred_at", None),
        ("type", "receipts", UnknownTypeError, "type", None),
        ("type", "", UnknownTypeError, "type", None),
        ("type", 1, WrongTypeError, "type", None),
        ("type", ["share"], WrongTypeError, "type", None),
        ("records_", [], UnknownMemberError, "records_", None),
        ("Purpose", "x", UnknownMemberError, "Purpose", None),
        ("TYPE", "share", UnknownMemberError, "TYPE", None),
        ("model_config", {}, UnknownMemberError, "model_config", None),
        ("x" * 1000, 1, UnknownMemberError, "x" * 37 + "...", None),
    ]
    bad += [("id", text, BadValueError, "id", None) for text in ("", event_id(1).upper(), event_id(1) + "\n", "0" * 36)]
    bad += [("manifest", {**MANIFEST, "root": text}, Base64Error, "manifest.root", None) for text in HASHES]
    bad += [
        ("payload_digest", text, BadValueError, "payload_digest", None)
        for text in (HASH, f"md5:{HASH}", f"SHA-256:{HASH}", f"sha-256: {HASH}", *(f"sha-256:{one}" for one in HASHES))
    ]
    bad += [
        ("consumer", text, BadValueError, "consumer", None)
        for text in ("", "/", "a", "a/", "/a", "A/b", "a b/c", "-a/b", "a-/b", "ä/b", "a/b/", "a//b", "a/b\n", "a+b/c")
    ]
    return bad


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in GOOD.items() for value in values])
def test_each_member_of_a_share_takes_what_lies_within_its_limits(name: str, value: object) -> None:
    share = parse_event({**share_event(), name: value})
    assert isinstance(share, Share)
    found = getattr(share, name)
    assert (found.model_dump() if isinstance(found, EntryRef) else share.model_dump()[name]) == value


def test_a_share_takes_all_its_members_at_once() -> None:
    share = parse_event(share_event(**{name: values[-1] for name, values in GOOD.items()}))
    assert share.model_dump(exclude_none=True) == {
        "type": "share",
        **{name: values[-1] for name, values in GOOD.items()},
    }


@pytest.mark.parametrize(("name", "value", "error", "field", "limit"), bad_members())
def test_each_member_of_a_share_refuses_what_lies_beyond(
    name: str, value: object, error: type[LedgerError], field: str, limit: int | None
) -> None:
    with pytest.raises(LedgerError) as caught:
        parse_event({**share_event(), name: value})
    assert (type(caught.value), caught.value.field, caught.value.limit) == (error, field, limit)
    assert len(str(caught.value)) < 300
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "event", [share_event(**{name: values[0] for name, values in GOOD.items()}), RECEIPT, open_event()]
)
def test_null_is_no_value_of_any_member(event: JsonObject) -> None:
    for name in event:
        with pytest.raises(WrongTypeError) as caught:
            parse_event({**event, name: None})
        assert caught.value.field == name


@pytest.mark.parametrize(
    ("event", "required"),
    [
        (share_event(), {"consumer", "id", "method", "occurred_at", "purpose", "resource", "type"}),
        (RECEIPT, {"id", "occurred_at", "outcome", "share", "type"}),
        (open_event(), {"id", "network", "network_version", "software", "type"}),
    ],
)
def test_each_required_member_is_missed_by_its_name(event: JsonObject, required: set[str]) -> None:
    assert event.keys() == required
    for name in required:
        with pytest.raises(MissingMemberError) as caught:
            parse_event({key: value for key, value in event.items() if key != name})
        assert (caught.value.field, caught.value.code) == (name, "missing_member")


def test_an_unknown_member_is_named_before_the_one_that_is_missing_for_it() -> None:
    event = share_event(purpose=None, Purpose="x")
    with pytest.raises(UnknownMemberError) as caught:
        parse_event(event)
    assert caught.value.field == "Purpose"


def test_a_share_names_its_records_or_a_manifest_and_not_both() -> None:
    share = parse_event(share_event(manifest=MANIFEST))
    assert isinstance(share, Share)
    assert isinstance(share.manifest, ManifestRef)
    assert share.manifest.root_bytes == parse_hash(HASH)
    with pytest.raises(BadValueError) as caught:
        parse_event(share_event(manifest=MANIFEST, records=[record(1)]))
    assert caught.value.field == "manifest"


def test_a_rejection_needs_a_reason_and_an_acceptance_does_not() -> None:
    share = ref_of("share")
    for event in (RECEIPT, receipt_event(share, reason="thanks"), receipt_event(share, outcome="rejected")):
        assert isinstance(parse_event(event), Receipt)
    with pytest.raises(MissingMemberError) as caught:
        parse_event(receipt_event(share, outcome="rejected", reason=None))
    assert (caught.value.field, caught.value.message) == ("reason", "a rejection needs a reason")


@pytest.mark.parametrize(
    ("change", "error", "field"),
    [
        ({"outcome": "maybe"}, BadValueError, "outcome"),
        ({"share": ref_of(1)}, None, ""),
        ({"share": "a/b#1"}, WrongTypeError, "share"),
        ({"share": {**REF, "hash": ""}}, Base64Error, "share.hash"),
        ({"share": {**REF, "hash": None}}, WrongTypeError, "share.hash"),
        ({"reason": ""}, BadValueError, "reason"),
        ({"reason": "x" * 501}, TooLongError, "reason"),
        (
            {"payload_digest": f"sm3:{HASH}", "rows": 0, "bytes": 1, "case": "c", "system": "s", "operator": "o"},
            None,
            "",
        ),
        ({"consumer": "a/b"}, UnknownMemberError, "consumer"),
        ({"labels": {"a": "b"}}, None, ""),
    ],
)
def test_a_receipt_is_held_to_its_schema(change: JsonObject, error: type[LedgerError] | None, field: str) -> None:
    event = {**RECEIPT, **change}
    if error is None:
        assert isinstance(parse_event(event), Receipt)
        return
    with pytest.raises(LedgerError) as caught:
        parse_event(event)
    assert (type(caught.value), caught.value.field) == (error, field)


@pytest.mark.parametrize(
    ("change", "field"), [({"network_version": 0}, "network_version"), ({"network_version": 2**53}, "network_version")]
)
def test_the_opening_of_a_log_names_a_version_of_the_network(change: JsonObject, field: str) -> None:
    assert isinstance(parse_event(open_event()), LogOpen)
    with pytest.raises(OutOfRangeError) as caught:
        parse_event({**open_event(), **change})
    assert caught.value.field == field


@pytest.mark.parametrize("value", [None, [], "share", 1, True, 1.5, [share_event()]])
def test_what_is_no_object_is_no_event(value: object) -> None:
    with pytest.raises(WrongTypeError) as caught:
        parse_event(value)
    assert caught.value.field == "event"


def test_a_model_is_read_from_an_object_alone_and_the_caller_says_what_it_is() -> None:
    values: list[object] = [[], "x", None, 1]
    for value in values:
        with pytest.raises(WrongTypeError) as caught:
            parse_model(EntryRef, value, whole="grant")
        assert caught.value.field == "grant"


def test_an_unknown_type_is_named_and_so_are_those_that_are_known() -> None:
    with pytest.raises(UnknownTypeError) as caught:
        parse_event({"type": "destroy" * 100})
    message = str(caught.value)
    assert message.endswith("known: log.open, network.adopt, key.rotate, share, receipt")
    assert "destroydestroy" in message
    assert len(message) < 200


def test_the_types_that_are_submitted_are_types_that_are_known() -> None:
    assert {"share", "receipt"} == events.SUBMITTED_TYPES
    assert set(events.EVENT_TYPES) == {"log.open", "network.adopt", "key.rotate", "share", "receipt"}
    assert all(name == model.TYPE for name, model in events.EVENT_TYPES.items())


def test_an_event_in_a_log_that_breaks_the_schema_is_a_violation_and_no_error() -> None:
    assert read_event(share_event()) == parse_event(share_event())
    assert read_event({"type": "destroy"}) == Violation(
        "unknown_event_type",
        "type: there is no event type 'destroy'; known: log.open, network.adopt, key.rotate, share, receipt",
    )
    assert read_event(share_event(purpose="")) == Violation("bad_value", "purpose: the text is empty")
    assert read_event({}) == Violation("missing_member", "type: this member is required")


def test_an_event_may_be_submitted_in_any_spelling_of_json() -> None:
    event = share_event()
    for text in (
        json.dumps(event, indent=2),
        canonical_json(event).encode(),
        json.dumps(dict(reversed(event.items()))),
    ):
        assert parse_event_text(text) == (event, parse_event(event))
    with pytest.raises(JsonError):
        parse_event_text('{"type":"share","type":"share"}')
    with pytest.raises(WrongTypeError):
        parse_event_text("[]")


def test_an_event_cannot_be_changed() -> None:
    share = parse_event(share_event(manifest=MANIFEST, grant=REF))
    assert isinstance(share, Share)
    for target, name in ((share, "purpose"), (share.manifest, "count"), (share.grant, "index"), (share, "other")):
        with pytest.raises(ValidationError):
            setattr(target, name, 1)


def test_references_are_equal_by_value_and_can_be_told_apart_in_a_set() -> None:
    assert {ref_of(1), EntryRef(**ref_of(1).model_dump())} == {ref_of(1)}
    assert ref_of(1) != ref_of(1, index=1)
    assert str(ref_of(1, index=42)) == "police.ordos.example/log#42"


@pytest.mark.parametrize("model", [Share, Receipt, LogOpen, EntryRef, ManifestRef])
def test_each_model_has_a_json_schema_without_null(model: type[Share]) -> None:
    schema = model.model_json_schema()
    assert schema["additionalProperties"] is False
    assert all(set(value) - {"title"} for value in schema["properties"].values())  # each says something
    text = json.dumps(schema)
    assert "null" not in text
    assert "None" not in text


def test_the_schema_of_a_share_says_what_the_model_holds() -> None:
    schema = Share.model_json_schema()
    members = schema["properties"]
    assert set(schema["required"]) == set(share_event())
    assert set(members) == set(GOOD) | {"type", "manifest"}
    assert members["records"]["maxItems"] == 1000
    assert members["purpose"]["maxLength"] == 500
    assert members["type"]["const"] == "share"
    assert members["labels"]["maxProperties"] == 16
    assert len(members["grant"]["oneOf"]) == 2


@settings(deadline=None)
@given(
    st.text("ABCwxyz0189+/=-_ \n", min_size=42, max_size=46) | st.binary(min_size=31, max_size=33).map(encode_base64)
)
def test_a_hash_in_an_event_is_what_the_codec_reads(text: str) -> None:
    try:
        parse_hash(text)
    except Base64Error:
        with pytest.raises(Base64Error):
            parse_event(share_event(manifest={"count": 1, "root": text}))
    else:
        assert isinstance(read_event(share_event(manifest={"count": 1, "root": text})), Share)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(HASH),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.sampled_from(["hash", "log"]), inner)
    ),
    max_leaves=8,
)
TELLING = (EventError, LimitError, MalformedError)


@settings(deadline=None)
@given(
    st.sampled_from(["share", "receipt", "log.open"]), st.dictionaries(st.sampled_from([*GOOD, "share"]), json_values)
)
def test_hostile_events_raise_nothing_but_ledger_errors(kind: str, members: JsonObject) -> None:
    frames = {"share": share_event(), "receipt": RECEIPT, "log.open": open_event()}
    for value in (json_values, members, {**members, "type": kind}, {**frames[kind], **members}):
        found = read_event(value)  # type: ignore[arg-type]
        if isinstance(found, Violation):
            with pytest.raises(TELLING) as caught:
                parse_event(value)
            assert caught.value.field
            assert found == (caught.value.code, str(caught.value))


@settings(deadline=None)
@given(st.text(max_size=60) | st.binary(max_size=60))
def test_hostile_submissions_raise_nothing_but_ledger_errors(text: str | bytes) -> None:
    with pytest.raises(TELLING):
        parse_event_text(text)


# What a log says of itself.

LOG_VKEY = builders.signer("police.ordos.example/log").verifier.vkey
COSIGNER_VKEY = builders.signer("police.ordos.example/witness", COSIGNATURE).verifier.vkey
SEALING_KEY = encode_base64(bytes(32))


def adopt_event(**members: Any) -> JsonObject:
    value = {
        "type": "network.adopt",
        "id": event_id("adopt"),
        "network": "ordos",
        "version": 2,
        "hash": encode_base64(bytes(32)),
    }
    return {name: member for name, member in (value | members).items() if member is not None}


def rotate_event(role: str, key: str, start: int | None = None) -> JsonObject:
    value = {"type": "key.rotate", "id": event_id("rotate"), "role": role, "key": key}
    return value | ({} if start is None else {"from": start})


def test_a_log_says_under_which_version_it_acts() -> None:
    event = parse_event(adopt_event())
    assert isinstance(event, NetworkAdopt)
    assert (event.network, event.version) == ("ordos", 2)


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"version": 1}, "out_of_range"),
        ({"version": None}, "missing_member"),
        ({"hash": "AAAA"}, "bad_base64"),
        ({"network": ""}, "bad_value"),
        ({"more": 1}, "unknown_member"),
    ],
)
def test_a_version_that_cannot_be_is_a_violation(members: JsonObject, code: str) -> None:
    found = read_event(adopt_event(**members))
    assert isinstance(found, Violation)
    assert found.code == code


@pytest.mark.parametrize(
    ("role", "key", "start"),
    [
        ("log", LOG_VKEY, 9000),
        ("cosigner", COSIGNER_VKEY, None),
        ("transport", LOG_VKEY, None),
        ("sealing", SEALING_KEY, None),
    ],
)
def test_a_log_names_the_next_key_of_its_department(role: str, key: str, start: int | None) -> None:
    event = parse_event(rotate_event(role, key, start))
    assert isinstance(event, KeyRotate)
    assert (event.role, event.key, event.start) == (role, key, start)


@pytest.mark.parametrize(
    ("role", "key", "start", "code", "field"),
    [
        ("log", LOG_VKEY, None, "missing_member", "from"),
        ("log", LOG_VKEY, 0, "out_of_range", "from"),
        ("cosigner", COSIGNER_VKEY, 5, "bad_value", "from"),
        ("log", COSIGNER_VKEY, 5, "bad_value", "key"),
        ("cosigner", LOG_VKEY, None, "bad_value", "key"),
        ("transport", "no key", None, "bad_value", "key"),
        ("sealing", LOG_VKEY, None, "bad_value", "key"),
        ("sealing", SEALING_KEY[:-2] + "B=", None, "bad_value", "key"),
        ("sealing", "", None, "bad_value", "key"),
        ("governor", LOG_VKEY, None, "bad_value", "role"),
    ],
)
def test_a_key_that_its_role_cannot_have_is_refused(
    role: str, key: str, start: int | None, code: str, field: str
) -> None:
    with pytest.raises(LedgerError) as caught:
        parse_event(rotate_event(role, key, start))
    assert (caught.value.code, caught.value.field) == (code, field)
