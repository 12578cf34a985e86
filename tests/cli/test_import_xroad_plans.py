"""What X-Road calls mean for a department: the table of outcomes, purposes, and what never enters the ledger."""

import itertools
import json
from typing import Any, Literal

import pytest
from node_helpers import Party, paper
from shared_vectors import shared_file

from cli.sources.ids import receipt_id
from cli.sources.names import Members, NameMap
from cli.sources.xroad import WINDOW_MS, match, parse_record
from cli.sources.xroad_plans import Planner, Purposes, XRoadPlans
from ledger.record import record_ref

TEST1, TEST2, TEST3, OTHER = (Party(name) for name in ("d1", "d2", "d3", "d4"))
MAP = {"LTT/TEST/TEST1": TEST1.origin, "LTT/TEST/TEST2": TEST2.origin, "LTT/TEST/TEST3": TEST3.origin}
NETWORK = paper([TEST1, TEST2, TEST3, OTHER]).network
AT = 1_671_066_024_379
BOTH = (TEST1, TEST2)
State = Literal["ok", "failed"] | None


def value(side: str, **changes: Any) -> dict[str, Any]:
    members = {
        "securityServerType": side,
        "requestInTs": AT,
        "responseOutTs": AT + 20,
        "clientXRoadInstance": "LTT",
        "clientMemberClass": "TEST",
        "clientMemberCode": "TEST1",
        "clientSubsystemCode": "SUB1",
        "serviceXRoadInstance": "LTT",
        "serviceMemberClass": "TEST",
        "serviceMemberCode": "TEST2",
        "serviceSubsystemCode": "SUB3",
        "serviceCode": "payloadgen",
        "messageId": "m-1",
        "messageUserId": "EE38001085718",
        "messageIssue": "case 7",
        "messageProtocolVersion": "1",
        "representedPartyCode": "38001085718",
        "restPath": "/persons/38001085718",
        "securityServerInternalIp": "10.4.0.182",
        "responseSize": 1408,
        "succeeded": True,
        "xRequestId": "2c2fd07d",
        "serviceType": "REST",
        **changes,
    }
    return {name: member for name, member in members.items() if member is not None}


def call(client: State, producer: State, **changes: Any) -> list[dict[str, Any]]:
    """The records of a call whose sides succeeded, failed, or are not there."""
    sides = {"Client": client, "Producer": producer}
    return [
        value(side, succeeded=state == "ok", **({} if state == "ok" else {"faultCode": "Server.X"}), **changes)
        for side, state in sides.items()
        if state is not None
    ]


def plan(
    records: list[dict[str, Any]],
    *ours: Party,
    purpose: str | None = "relief",
    names: dict[str, str] | None = None,
    known: dict[str, str] | None = None,
) -> XRoadPlans:
    members = Members(NETWORK, NameMap(MAP if names is None else names))
    matched = match(parse_record(record, f"r{number}") for number, record in enumerate(records))
    keys = {party.origin: party.keys.record for party in ours}
    return Planner(members, keys, Purposes(known or {}, purpose)).plan(matched)


def real(*names: str) -> list[dict[str, Any]]:
    return [
        one
        for name in names
        for one in json.loads(shared_file(f"xroad-opmon/raw_messages_{name}.json").read_text("utf-8"))
    ]


def brief(plans: XRoadPlans) -> list[str]:
    return [
        f"{one.kind} {one.event.get('outcome', '')}{'?' if one.optional else ''}".replace(" ?", "?")
        for one in plans.plans
    ]


OUTCOMES: dict[
    tuple[State, State], tuple[list[str], dict[str, int]]
] = {  # client, producer: what both departments together record, and what is counted
    ("ok", "ok"): (["share ", "receipt accepted"], {}),
    ("failed", "ok"): (["share ", "receipt rejected"], {}),
    (None, "ok"): (["share "], {"one_sided": 1}),
    ("ok", None): (["receipt accepted?"], {"one_sided": 1}),
    ("failed", None): (["receipt rejected?"], {"doubtful": 1}),
    ("ok", "failed"): ([], {"refused": 1}),
    ("failed", "failed"): ([], {"failed": 1}),
    (None, "failed"): ([], {"failed": 1}),
}


def counted(plans: XRoadPlans) -> dict[str, int]:
    sizes = {name: len(getattr(plans, name)) for name in ("refused", "lost", "one_sided", "doubtful", "unmapped")}
    numbers = {name: getattr(plans, name) for name in ("failed", "internal", "others")}
    return {name: count for name, count in {**sizes, **numbers}.items() if count}


@pytest.mark.parametrize(("client", "producer"), OUTCOMES)
def test_what_is_recorded_follows_from_what_both_sides_say(client: State, producer: State) -> None:
    expected, counts = OUTCOMES[client, producer]
    found = plan(call(client, producer), *BOTH)
    assert brief(found) == expected
    assert counted(found) == counts
    for one in found.plans:
        one.check()


@pytest.mark.parametrize(("client", "producer"), OUTCOMES)
def test_each_department_alone_records_its_part_of_it(client: State, producer: State) -> None:
    together = plan(call(client, producer), *BOTH)
    alone = [one for party in BOTH for one in plan(call(client, producer), party).plans]
    assert sorted(one.id for one in together.plans) == sorted(one.id for one in alone)
    assert {one.id: one.event for one in together.plans} == {one.id: one.event for one in alone}


@pytest.mark.parametrize("client", ["ok", "failed"])
def test_a_receipt_says_the_same_whether_or_not_the_other_side_is_in_the_file(client: State) -> None:
    [with_producer] = plan(call(client, "ok"), TEST1).plans
    [alone] = plan(call(client, None), TEST1).plans
    assert with_producer.event == alone.event
    assert (with_producer.optional, alone.optional) == (False, True)


def test_a_share_says_what_the_provider_s_record_says() -> None:
    [share] = plan(call(None, "ok"), TEST2).plans
    assert share.event == {
        "type": "share",
        "id": share.id,
        "consumer": TEST1.origin,
        "resource": "LTT/TEST/TEST2/SUB3/payloadgen",
        "purpose": "relief",
        "method": "api",
        "calls": 1,
        "bytes": 1408,
        "case": "case 7",
        "system": "SUB3",
        "labels": {"xroad.message_id": "m-1", "xroad.request_id": "2c2fd07d", "xroad.protocol": "1"},
        "occurred_at": "2022-12-15T01:00:24.399Z",
    }


def test_a_soap_service_is_called_by_messages() -> None:
    [share] = plan([value("Producer", serviceType="WSDL", serviceVersion="v1")], TEST2).plans
    assert share.event["method"] == "message"
    assert share.event["resource"] == "LTT/TEST/TEST2/SUB3/payloadgen.v1"


def test_a_rejection_has_the_fault_as_its_reason() -> None:
    [receipt] = plan(call("failed", "ok"), TEST1).plans
    assert receipt.event["reason"] == "X-Road fault Server.X"
    assert receipt.event["id"] == receipt_id(plan(call("failed", "ok"), TEST2).plans[0].id)


def test_a_receipt_waits_for_a_share_of_about_its_time() -> None:
    [receipt] = plan(call("ok", None), TEST1).plans
    assert receipt.need is not None
    assert (receipt.need.provider, receipt.need.time_ms, receipt.need.tolerance_ms) == (
        TEST2.origin,
        AT + 20,
        WINDOW_MS,
    )


def test_the_user_becomes_a_pseudonym_that_the_consumer_alone_can_resolve() -> None:
    share, receipt = plan(call("ok", "ok"), *BOTH).plans
    assert receipt.event["operator"] == record_ref(TEST1.keys.record, "EE38001085718", scheme="operator")
    assert "operator" not in share.event


def test_nothing_that_identifies_a_person_or_a_machine_reaches_an_event() -> None:
    for client, producer in OUTCOMES:
        found = plan(call(client, producer, faultString="38001085718 at 10.4.0.182"), *BOTH)
        shown = json.dumps([one.event for one in found.plans]) + str(found)
        for secret in ("38001085718", "10.4.0.182", "/persons"):
            assert secret not in shown


# Purposes.


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({}, "relief"),
        ({"LTT/TEST/TEST2": "a"}, "a"),
        ({"LTT/TEST/TEST2": "a", "LTT/TEST/TEST2/SUB3": "b"}, "b"),
        ({"LTT/TEST/TEST2/SUB3/payloadgen": "c", "LTT/TEST/TEST2/SUB3": "b"}, "c"),
        ({"LTT/TEST/TEST2/SUB3/payloadgen.v1": "d", "LTT/TEST/TEST2/SUB3/payloadgen": "c"}, "d"),
        ({"LTT/TEST/TEST1": "e", "LTT/TEST": "f"}, "relief"),
    ],
    ids=["default", "member", "subsystem", "service", "version", "others"],
)
def test_the_longest_name_of_the_service_gives_the_purpose(known: dict[str, str], expected: str) -> None:
    [share] = plan([value("Producer", serviceVersion="v1")], TEST2, known=known).plans
    assert share.event["purpose"] == expected


def test_a_share_without_purpose_is_refused_and_its_receipt_with_it() -> None:
    found = plan(call("ok", "ok"), *BOTH, purpose=None)
    assert [(place, error.code) for place, error in found.refused] == [("r1", "no_purpose")]
    [receipt] = found.plans
    assert receipt.need is not None
    assert found.lost == {receipt.need.share_id: "r1"}


def test_a_consumer_needs_no_purpose() -> None:
    assert counted(plan(call("ok", "ok"), TEST1, purpose=None)) == {}


# Members.


def test_calls_between_others_are_counted_alone() -> None:
    assert counted(plan(call("ok", "ok"), TEST3)) == {"others": 1}


@pytest.mark.parametrize(
    ("ours", "known"), [(TEST1, "LTT/TEST/TEST1"), (TEST2, "LTT/TEST/TEST2")], ids=["client", "provider"]
)
def test_a_call_with_an_unmapped_member_is_reported_and_not_recorded(ours: Party, known: str) -> None:
    found = plan(call("ok", "ok"), ours, names={known: ours.origin})
    [(_, error)] = found.refused
    assert error.code == "unknown_name"
    assert found.plans == []
    assert list(found.unmapped.values()) == [1]


def test_a_failed_call_with_an_unmapped_member_is_a_failed_call() -> None:
    sides: list[tuple[State, State]] = [("failed", "failed"), (None, "failed"), ("failed", None)]
    for client, producer in sides:
        found = plan(call(client, producer), TEST1, names={"LTT/TEST/TEST1": TEST1.origin})
        assert (found.failed, found.refused, dict(found.unmapped)) == (1, [], {"LTT/TEST/TEST2": 1})


def test_a_subsystem_may_be_a_department_of_its_own() -> None:
    names = {**MAP, "LTT/TEST/TEST2/SUB3": TEST3.origin}
    [share] = plan(call(None, "ok"), TEST3, names=names).plans
    assert share.department == TEST3.origin
    within = plan(call("ok", "ok", clientMemberCode="TEST2"), TEST3, TEST2, names=names)
    assert brief(within) == ["share ", "receipt accepted"]


def test_a_call_within_a_department_is_no_transfer() -> None:
    assert counted(plan(call("ok", "ok", clientMemberCode="TEST2"), TEST2)) == {"internal": 1}
    assert counted(plan(call("ok", "ok", clientMemberCode="X", serviceMemberCode="X"), TEST2)) == {"internal": 1}
    one = {"LTT/TEST/TEST1": TEST2.origin, "LTT/TEST/TEST2": TEST2.origin}
    assert counted(plan(call("ok", "ok"), TEST2, names=one)) == {"internal": 1}


def test_one_sided_calls_name_the_department_that_has_not_told_its_side() -> None:
    [sided] = plan(call(None, "ok"), TEST2).one_sided
    assert (sided.origin_missing, sided.other_half) == (TEST1.origin, receipt_id(sided.call.share_id))
    [sided] = plan(call("ok", None), TEST1).one_sided
    assert (sided.origin_missing, sided.other_half) == (TEST2.origin, sided.call.share_id)


def test_every_call_is_counted_once_or_planned() -> None:
    for (client, producer), ours in itertools.product(OUTCOMES, [(TEST1,), (TEST2,), BOTH, (TEST3,)]):
        found = plan(call(client, producer), *ours)
        accounted = {one.id for one in found.plans} | {sided.call.share_id for sided in found.one_sided}
        silent = found.failed + found.others + found.internal + len(found.refused)
        both_told = (client is not None and producer == "ok") and set(ours) != {TEST3}
        assert silent == 1 or accounted or both_told


# Real records.


@pytest.mark.parametrize(
    ("names", "kinds", "counts"),
    [
        (
            ["batch_1"],
            {"share ": 6, "receipt accepted": 4, "receipt rejected?": 2},
            {"one_sided": 2, "doubtful": 2, "internal": 1, "unmapped": 1, "failed": 1},
        ),
        (["batch_2"], {}, {"failed": 2}),
        (["case_insensitive_enums"], {}, {"internal": 1}),
        (["duplicates"], {"share ": 1}, {"one_sided": 1, "internal": 1, "unmapped": 1, "failed": 1}),
        (
            ["batch_1", "batch_2", "case_insensitive_enums", "duplicates"],
            {"share ": 6, "receipt accepted": 4, "receipt rejected?": 1},
            {"one_sided": 2, "doubtful": 1, "internal": 2, "unmapped": 1, "failed": 3},
        ),
    ],
    ids=["batch-1", "batch-2", "enums", "duplicates", "all"],
)
def test_real_records_give_these_shares_and_receipts(
    names: list[str], kinds: dict[str, int], counts: dict[str, int]
) -> None:
    found = plan(real(*names), TEST1, TEST2, TEST3)
    said = brief(found)
    assert {kind: said.count(kind) for kind in said} == kinds
    assert counted(found) == counts
    for one in found.plans:
        one.check()
