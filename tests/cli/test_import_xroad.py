"""Putting X-Road's two views of a call together: real records, and every odd case that can be made."""

import itertools
import json
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_vectors import shared_file

from cli.sources.xroad import (
    FIELD_CHARACTERS_MAX,
    TIME_MS_MAX,
    WINDOW_MS,
    Call,
    Matched,
    Sighting,
    XRoadRecordError,
    match,
    parse_record,
)

BATCH_1 = "raw_messages_batch_1"
BATCH_2 = "raw_messages_batch_2"
CASES = "raw_messages_case_insensitive_enums"
DUPLICATES = "raw_messages_duplicates"
AT = 1_671_066_024_379


def load(*names: str) -> list[Sighting]:
    found = []
    for name in names:
        records = json.loads(shared_file(f"xroad-opmon/{name}.json").read_text("utf-8"))
        found += [parse_record(value, f"{name} {number}") for number, value in enumerate(records, 1)]
    return found


def value(side: str = "Client", **changes: Any) -> dict[str, Any]:
    """A record as a security server writes it; None leaves a member out."""
    early = side.lower() == "client"
    members = {
        "monitoringDataTs": AT // 1000,
        "securityServerInternalIp": "10.4.0.182",
        "securityServerType": side,
        "requestInTs": AT - 20 if early else AT,
        "requestOutTs": AT,
        "responseInTs": AT,
        "responseOutTs": AT + 20 if early else AT + 10,
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
        "representedPartyClass": "PERSON",
        "representedPartyCode": "38001085718",
        "restPath": "/persons/38001085718",
        "messageProtocolVersion": "1",
        "clientSecurityServerAddress": "35.177.255.57",
        "serviceSecurityServerAddress": "35.177.255.57",
        "requestSize": 206,
        "responseSize": 1408,
        "succeeded": True,
        "xRequestId": "2c2fd07d-146b-4cc9-8844-2e08d65d5879",
        "statusCode": 200,
        "serviceType": "REST",
        "insertTime": 1671090130.54086,
        **changes,
    }
    return {name: member for name, member in members.items() if member is not None}


def seen(side: str = "Client", **changes: Any) -> Sighting:
    return parse_record(value(side, **changes), "test")


def both(**changes: Any) -> list[Sighting]:
    return [seen("Client", **changes), seen("Producer", **changes)]


def shape(matched: Matched) -> tuple[list[str], int, int]:
    """Which sides each call has, how many duplicates, how many unidentified."""
    sides = sorted(("C" if call.client else "-") + ("P" if call.producer else "-") for call in matched.calls)
    return sides, len(matched.duplicates), len(matched.unidentified)


def essence(matched: Matched) -> Any:
    """All that a match says, whatever the order of the input."""
    return [(call.key, call.number, call.client, call.producer) for call in matched.calls], Counter(matched.duplicates)


# Real records, as X-Road Metrics' own tests have them.


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ((BATCH_1,), (["-P", "-P", "C-", "C-", "C-", "CP", "CP", "CP", "CP", "CP"], 0, 2)),
        ((BATCH_2,), (["-P", "-P"], 0, 0)),
        ((CASES,), (["CP"], 0, 0)),
        ((DUPLICATES,), (["-P", "C-", "C-"], 1, 0)),
        ((BATCH_1, BATCH_2), (["-P", "-P", "-P", "C-", "C-", "CP", "CP", "CP", "CP", "CP", "CP"], 0, 2)),
        ((BATCH_1, DUPLICATES), (["-P", "-P", "C-", "C-", "C-", "CP", "CP", "CP", "CP", "CP"], 4, 2)),
    ],
    ids=["batch-1", "batch-2", "enums", "duplicates", "both-batches", "batch-with-duplicates"],
)
def test_real_records_match_as_the_corrector_matches_them(names: tuple[str, ...], expected: Any) -> None:
    assert shape(match(load(*names))) == expected


def test_every_record_of_every_real_file_is_accounted_for() -> None:
    sightings = load(BATCH_1, BATCH_2, CASES, DUPLICATES)
    matched = match(sightings)
    sides = [side for call in matched.calls for side in (call.client, call.producer) if side is not None]
    assert Counter([*sides, *matched.duplicates, *matched.unidentified]) == Counter(sightings)
    assert shape(matched) == (["-P", "-P", "-P", "C-", "C-", *["CP"] * 7], 4, 2)


def test_real_calls_that_failed_on_both_sides_are_one_call() -> None:
    [call] = [
        call for call in match(load(BATCH_1, BATCH_2)).calls if call.key.service.code == "doesnotexist" and call.client
    ]
    assert call.missing is None
    assert call.failed
    assert not call.data_left
    assert call.seen.failure == "X-Road fault Server.ServerProxy.UnknownService"


def test_a_request_id_alone_does_not_make_two_records_one_call() -> None:
    """The real batch 2 repeats the xRequestId of a call between others."""
    calls = [call for call in match(load(BATCH_1, BATCH_2)).calls if (call.key.request_id or "").startswith("3d3969aa")]
    assert {str(call.key.client) for call in calls} == {"LTT/CS/CS1/MANAGEMENT", "LTT/TEST/TEST1/SUB1"}
    assert all(call.missing for call in calls)


def test_a_real_call_within_one_member_is_seen_from_both_sides() -> None:
    [call] = match(load(CASES)).calls
    assert call.key.client.member == call.key.service.provider.member == "PLAYGROUND/ORG/2908758-4"
    assert str(call.key.service) == "PLAYGROUND/ORG/2908758-4/getSecurityServerOperationalData"
    assert call.seen.size == 4488  # with its attachment, not the 2,003 bytes of the message alone


def test_real_times_order_the_calls() -> None:
    times = [call.seen.request_in for call in match(load(BATCH_1, BATCH_2, CASES)).calls]
    assert times == sorted(times)


# One record.


@pytest.mark.parametrize("side", ["client", "CLIENT", "cLIeNt", " Client "])
def test_the_type_of_a_security_server_is_read_in_any_case(side: str) -> None:
    assert seen(side).side == "client"
    assert seen("pRODUceR").side == "producer"


def test_nothing_that_identifies_a_person_or_a_machine_is_kept() -> None:
    sighting = seen(faultString="Could not reach 38001085718 at 10.4.0.182", faultCode="Server.X", succeeded=False)
    shown = repr(sighting)
    for secret in ("38001085718", "10.4.0.182", "35.177.255.57", "PERSON", "/persons"):
        assert secret not in shown
    assert "38001085718" not in sighting.failure


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"securityServerType": None}, "securityServerType"),
        ({"securityServerType": "Proxy"}, "securityServerType"),
        ({"securityServerType": 1}, "securityServerType"),
        ({"succeeded": None}, "succeeded"),
        ({"succeeded": "true"}, "succeeded"),
        ({"requestInTs": None}, "requestInTs"),
        ({"responseOutTs": None}, "responseOutTs"),
        ({"responseOutTs": "1671066024379"}, "responseOutTs"),
        ({"responseOutTs": 1671066024379.5}, "responseOutTs"),
        ({"responseOutTs": True}, "responseOutTs"),
        ({"responseOutTs": -1}, "responseOutTs"),
        ({"responseOutTs": TIME_MS_MAX + 1}, "responseOutTs"),
        ({"responseSize": 2**53}, "responseSize"),
        ({"messageId": 7}, "messageId"),
        ({"messageId": "x" * (FIELD_CHARACTERS_MAX + 1)}, "messageId"),
        ({"messageIssue": "a\nb"}, "messageIssue"),
        ({"serviceCode": "a\ud800"}, "serviceCode"),
        ({"messageId": None, "xRequestId": None}, "without client, service, or message id"),
        ({"clientMemberCode": None}, "without client"),
        ({"serviceMemberClass": ""}, "without client"),
        ({"serviceCode": None}, "without client"),
    ],
    ids=lambda found: None if isinstance(found, str) else "-".join(f"{k}={str(v)[-6:]!r}" for k, v in found.items()),
)
def test_a_record_that_says_too_little_or_something_else_is_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(XRoadRecordError, match=problem) as caught:
        parse_record(value(**changes), "a.json record 3")
    assert caught.value.field == "a.json record 3"


@pytest.mark.parametrize("thing", [None, 1, "Client", [], [value()]], ids=["null", "number", "text", "list", "nested"])
def test_what_is_no_object_is_no_record(thing: Any) -> None:
    with pytest.raises(XRoadRecordError, match="object"):
        parse_record(thing, "a.json record 1")


def test_the_longest_text_is_taken() -> None:
    assert seen(messageId="x" * FIELD_CHARACTERS_MAX).message_id == "x" * FIELD_CHARACTERS_MAX


def test_null_and_empty_members_say_nothing() -> None:
    record = value() | {"messageIssue": None, "serviceVersion": "", "clientSubsystemCode": " ", "responseSize": None}
    sighting = parse_record(record, "test")
    assert (sighting.issue, sighting.size) == (None, None)
    assert str(sighting.client) == "LTT/TEST/TEST1"
    assert str(sighting.service) == "LTT/TEST/TEST2/SUB3/payloadgen"


def test_identifiers_may_be_of_any_script_in_normal_form() -> None:
    sighting = seen(clientMemberCode="税务局", clientSubsystemCode="Bu\u0308ro")
    assert str(sighting.client) == "LTT/TEST/税务局/B\u00fcro"


def test_a_version_is_part_of_the_service() -> None:
    assert str(seen(serviceVersion="v1").service) == "LTT/TEST/TEST2/SUB3/payloadgen.v1"
    assert shape(match([seen("Client", serviceVersion="v1"), seen("Producer")])) == (["-P", "C-"], 0, 0)


@pytest.mark.parametrize(
    ("changes", "size"),
    [
        ({}, 1408),
        ({"responseMimeSize": 9000}, 1408),
        ({"responseMimeSize": 9000, "responseAttachmentCount": 0}, 1408),
        ({"responseMimeSize": 9000, "responseAttachmentCount": 2}, 9000),
        ({"responseAttachmentCount": 2}, 1408),
        ({"responseSize": None}, None),
    ],
    ids=["plain", "mime", "no-attachment", "attachments", "no-mime", "none"],
)
def test_attachments_count_as_part_of_the_response(changes: dict[str, Any], size: int | None) -> None:
    assert seen(**changes).size == size


@pytest.mark.parametrize(
    ("changes", "rest"),
    [
        ({"serviceType": "REST"}, True),
        ({"serviceType": "openapi3"}, True),
        ({"serviceType": "WSDL"}, False),
        ({"serviceType": None, "messageProtocolVersion": "1"}, True),
        ({"serviceType": None, "messageProtocolVersion": "4.0"}, False),
        ({"serviceType": None, "messageProtocolVersion": None}, False),
    ],
    ids=["rest", "openapi", "wsdl", "protocol-1", "protocol-4", "unknown"],
)
def test_rest_and_soap_are_told_apart(changes: dict[str, Any], rest: bool) -> None:
    assert seen(**changes).is_rest is rest


@pytest.mark.parametrize(
    ("changes", "failure"),
    [
        ({"faultCode": "Server.X", "statusCode": 500}, "X-Road fault Server.X"),
        ({"statusCode": 404}, "HTTP status 404"),
        ({"statusCode": None}, "X-Road: failed without a fault code"),
    ],
    ids=["fault", "status", "nothing"],
)
def test_a_failure_is_told_by_its_code(changes: dict[str, Any], failure: str) -> None:
    assert seen(succeeded=False, **changes).failure == failure


# Two records and more.


def test_both_sides_of_a_call_are_put_together_in_any_order() -> None:
    for order in itertools.permutations(both()):
        [call] = match(order).calls
        assert call.client == seen("Client")
        assert call.producer == seen("Producer")


@pytest.mark.parametrize(
    "member",
    ["clientXRoadInstance", "clientMemberClass", "clientMemberCode", "clientSubsystemCode", "serviceXRoadInstance",
     "serviceMemberClass", "serviceMemberCode", "serviceSubsystemCode", "serviceCode", "messageId", "xRequestId"],
)  # fmt: skip
def test_records_that_differ_in_what_identifies_a_call_are_two_calls(member: str) -> None:
    assert shape(match([seen("Client", **{member: "other"}), seen("Producer")])) == (["-P", "C-"], 0, 0)


@pytest.mark.parametrize(
    "member", ["responseSize", "messageIssue", "messageUserId", "statusCode", "serviceType", "faultCode"]
)
def test_records_that_differ_in_anything_else_are_one_call(member: str) -> None:
    other: Any = 7 if member in {"responseSize", "statusCode"} else "other"
    assert shape(match([seen("Client", **{member: other}), seen("Producer")])) == (["CP"], 0, 0)


@pytest.mark.parametrize("skew", [0, 20, -20, WINDOW_MS, -WINDOW_MS])
def test_clocks_may_differ_by_the_window(skew: int) -> None:
    assert shape(match([seen("Client", requestInTs=AT), seen("Producer", requestInTs=AT + skew)]))[0] == ["CP"]


@pytest.mark.parametrize("skew", [WINDOW_MS + 1, -WINDOW_MS - 1])
def test_clocks_may_not_differ_by_more_than_the_window(skew: int) -> None:
    assert shape(match([seen("Client", requestInTs=AT), seen("Producer", requestInTs=AT + skew)]))[0] == ["-P", "C-"]


@pytest.mark.parametrize("side", ["Client", "Producer"])
@pytest.mark.parametrize("copies", [1, 2, 5])
def test_duplicates_are_recognised_whatever_their_number(side: str, copies: int) -> None:
    assert shape(match([*both(), *[seen(side, insertTime=n) for n in range(copies)]])) == (["CP"], copies, 0)


def test_a_later_record_of_the_same_request_is_a_duplicate_within_the_window_and_another_call_beyond_it() -> None:
    later = seen("Producer", requestInTs=AT + WINDOW_MS)
    much_later = seen("Producer", requestInTs=AT + 2 * WINDOW_MS + 1)
    assert shape(match([*both(), later])) == (["CP"], 1, 0)
    matched = match([*both(), much_later])
    assert shape(matched) == (["-P", "CP"], 0, 0)
    assert len({call.share_id for call in matched.calls}) == 2


@pytest.mark.parametrize("first", [True, False])
def test_of_two_records_of_a_side_the_one_counts_by_which_data_left(first: bool) -> None:
    early = seen("Producer", succeeded=first)
    late = seen("Producer", requestInTs=AT + 50, succeeded=not first)
    [call] = match([seen("Client"), early, late]).calls
    assert call.data_left


def test_without_a_request_id_the_message_id_pairs() -> None:
    assert shape(match(both(xRequestId=None))) == (["CP"], 0, 0)


def test_without_a_message_id_the_request_id_pairs() -> None:
    assert shape(match(both(messageId=None))) == (["CP"], 0, 0)


@pytest.mark.parametrize("without", ["Client", "Producer"])
def test_a_side_that_does_not_log_request_ids_is_paired_by_the_message_id(without: str) -> None:
    records = [seen(side, **({"xRequestId": None} if side == without else {})) for side in ("Client", "Producer")]
    assert shape(match(records)) == (["CP"], 0, 0)


def test_two_different_request_ids_are_never_paired() -> None:
    assert shape(match([seen("Client", xRequestId="a"), seen("Producer", xRequestId="b")])) == (["-P", "C-"], 0, 0)


def test_without_message_id_nothing_pairs_what_has_different_request_ids() -> None:
    records = [seen("Client", xRequestId="a", messageId=None), seen("Producer", xRequestId="b", messageId=None)]
    assert shape(match(records)) == (["-P", "C-"], 0, 0)


def test_a_message_id_that_is_used_again_is_another_call_with_another_number_and_id() -> None:
    records = [
        seen(side, xRequestId=None, requestInTs=AT + start + delay, responseOutTs=AT + start + delay + 5)
        for start in (0, 1000, 2000)
        for side, delay in (("Client", 0), ("Producer", 10))
    ]
    matched = match(records)
    assert shape(matched) == (["CP", "CP", "CP"], 0, 0)
    assert [call.number for call in matched.calls] == [0, 1, 2]
    assert all(
        call.client is not None
        and call.producer is not None
        and call.producer.request_in - call.client.request_in == 10
        for call in matched.calls
    )


def test_a_client_that_failed_before_and_tried_again_is_paired_with_the_second_try() -> None:
    failed = seen("Client", xRequestId=None, requestInTs=AT, responseOutTs=AT + 1, succeeded=False)
    again = seen("Client", xRequestId=None, requestInTs=AT + 30_000, responseOutTs=AT + 30_100)
    producer = seen("Producer", xRequestId=None, requestInTs=AT + 30_020, responseOutTs=AT + 30_080)
    matched = match([producer, again, failed])
    assert shape(matched) == (["C-", "CP"], 0, 0)
    assert next(call for call in matched.calls if call.producer).client == again


def test_a_call_that_failed_before_anybody_was_named_is_unidentified() -> None:
    record = {"securityServerType": "Client", "requestInTs": AT, "responseOutTs": AT, "succeeded": False}
    assert shape(match([parse_record(record, "test")])) == ([], 0, 1)


def test_each_side_alone_gives_the_share_the_same_id() -> None:
    for changes in ({}, {"xRequestId": None}, {"messageId": None}, {"serviceVersion": "v2"}):
        ids = {match([one]).calls[0].share_id for one in both(**changes)}
        assert ids == {match(both(**changes)).calls[0].share_id}
        assert len(ids) == 1


STATES = [None, True, False]  # no record, succeeded, failed


@pytest.mark.parametrize(("client", "producer"), [pair for pair in itertools.product(STATES, STATES) if any(
    state is not None for state in pair)])  # fmt: skip
def test_what_a_call_was_follows_from_its_two_sides(client: bool | None, producer: bool | None) -> None:
    records = [
        seen(side, succeeded=state) for side, state in (("Client", client), ("Producer", producer)) if state is not None
    ]
    [call] = match(records).calls
    assert call.data_left is (producer is True)
    assert call.failed is (True not in (client, producer))
    assert call.contradicted is (client is True and producer is False)
    assert call.missing == ("client" if client is None else "producer" if producer is None else None)


# Many records.


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["both", "client", "producer"]), st.integers(0, 2)), max_size=25),
    st.integers(-100_000, 100_000),
    st.randoms(use_true_random=False),
)
def test_whatever_is_lost_doubled_and_shuffled_every_call_is_found_again(
    plan: list[tuple[str, int]], skew: int, chance: random.Random
) -> None:
    records = []
    for number, (sides, copies) in enumerate(plan):
        start = AT + number * 1000
        made = [
            seen("Client", xRequestId=f"r{number}", requestInTs=start, responseOutTs=start + 90),
            seen("Producer", xRequestId=f"r{number}", requestInTs=start + skew, responseOutTs=start + skew + 50),
        ]
        kept = made if sides == "both" else [made[0 if sides == "client" else 1]]
        records += kept * (copies + 1)
    chance.shuffle(records)
    matched = match(records)
    expected = sorted({"both": "CP", "client": "C-", "producer": "-P"}[sides] for sides, _ in plan)
    copies = sum(copies * (2 if sides == "both" else 1) for sides, copies in plan)
    assert shape(matched) == (expected, copies, 0)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(kinds: list[int], chance: random.Random) -> None:
    made = [
        parse_record(
            value(
                side,
                xRequestId=request,
                messageId=message,
                requestInTs=AT + 700_000 * (kind % 2),
                succeeded=kind % 3 > 0,
            ),
            f"record {number}",
        )
        for number, kind in enumerate(kinds)
        for side in ("Client", "Producer")
        for request in ("a", None)
        for message in ("m", f"m{kind}")
    ]
    expected = essence(match(made))
    chance.shuffle(made)
    assert essence(match(made)) == expected


def test_ten_thousand_calls_of_one_message_id_are_matched_in_seconds() -> None:
    """No quadratic time, whatever a file holds."""
    client, producer = both(xRequestId=None)
    records = []
    for number in range(10_000):
        for sighting in (client, producer):
            moved = {"request_in": sighting.request_in + number, "response_out": sighting.response_out + number}
            records.append(Sighting(**({name: getattr(sighting, name) for name in Sighting.__slots__} | moved)))
    calls: list[Call] = match(records).calls
    assert len(calls) == 10_000
    assert all(call.missing is None for call in calls)
