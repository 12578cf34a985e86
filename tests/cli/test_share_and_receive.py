"""suyuan share and suyuan receive: both sides of a transfer, recorded by their own nodes."""

import base64
import hashlib
import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from cli.options import PLACE
from ledger.manifest import make_manifest

pytest_plugins = ("departments",)

RECORD = "ab" * 16


def share(network: Any, *more: object, record: str | None = RECORD) -> list[object]:
    """The arguments of a share from police to tax."""
    records = ["--record", record] if record else []
    return [
        "share", "--consumer", network.origin("tax"), "--resource", "household-register", "--purpose", "tax relief",
        "--method", "api", *records, *network.ask("police"), *more,
    ]  # fmt: skip


def event_of(suyuan: Any, network: Any, entry: str) -> dict[str, Any]:
    shown = json.loads(suyuan("show", entry, "--json", *network.ask("police")).out)
    event: dict[str, Any] = shown["event"]
    return event


def test_a_share_prints_its_entry_and_state(suyuan: Any, nodes: Any) -> None:
    ran = suyuan(*share(nodes, "--wait", "confirmed"))
    assert ran.code == 0
    entry, state = ran.out.split()
    assert PLACE.convert(entry, None, None).log == nodes.origin("police")
    assert state == "confirmed"


def test_a_share_for_a_program_is_the_nodes_answer(suyuan: Any, nodes: Any) -> None:
    said = json.loads(suyuan(*share(nodes, "--json")).out)
    assert said["schema"] == "suyuan.recorded/1"
    assert said.keys() == {"schema", "event_id", "entry", "time", "state", "verified"}


def test_everything_that_is_said_stands_in_the_entry(suyuan: Any, nodes: Any, tmp_path: Path) -> None:
    payload = tmp_path / "payload"
    payload.write_bytes(b"x" * 3_000_000)
    ran = suyuan(
        *share(nodes),
        "--legal-basis", "Order 809 art. 23", "--grant", "agreement 7", "--mode", "query", "--fields", "name, address",
        "--rows", "3", "--calls", "2", "--case", "2026-113", "--system", "exchange", "--operator", "op-7",
        "--label", "a=b=c", "--label", "d=", "--resource-version", "4", "--payload", payload,
        "--occurred-at", "2026-11-21T08:15:30.123Z", "--id", "6db2860a-4f83-4bdc-893c-5147c0628dc6",
    )  # fmt: skip
    digest = "sha-256:" + base64.b64encode(hashlib.sha256(payload.read_bytes()).digest()).decode()
    assert event_of(suyuan, nodes, ran.out.split()[0]) == {
        "type": "share",
        "id": "6db2860a-4f83-4bdc-893c-5147c0628dc6",
        "consumer": nodes.origin("tax"),
        "resource": "household-register",
        "resource_version": 4,
        "purpose": "tax relief",
        "legal_basis": "Order 809 art. 23",
        "grant": "agreement 7",
        "method": "api",
        "mode": "query",
        "fields": ["name", "address"],
        "records": [RECORD],
        "rows": 3,
        "calls": 2,
        "bytes": 3_000_000,
        "payload_digest": digest,
        "case": "2026-113",
        "system": "exchange",
        "operator": "op-7",
        "labels": {"a": "b=c", "d": ""},
        "occurred_at": "2026-11-21T08:15:30.123Z",
    }


def test_the_same_id_is_recorded_once(suyuan: Any, nodes: Any) -> None:
    same = share(nodes, "--id", uuid.uuid4(), "--occurred-at", "2026-11-21T08:15:30.123Z")
    first, second = suyuan(*same), suyuan(*same)
    assert first.out.split()[0] == second.out.split()[0]


def test_the_same_id_with_other_content_is_a_conflict(suyuan: Any, nodes: Any) -> None:
    event_id = uuid.uuid4()
    suyuan(*share(nodes, "--id", event_id))
    ran = suyuan(*share(nodes, "--id", event_id, "--rows", "9"))
    assert ran.code == 2
    assert "event_id_conflict" in ran.err


def test_a_few_records_are_written_out_and_many_go_into_a_manifest(suyuan: Any, nodes: Any, tmp_path: Path) -> None:
    records = [hashlib.sha256(str(number).encode()).hexdigest()[:32] for number in range(1200)]
    source = tmp_path / "records"
    source.write_text("\n".join([*records[:1000], records[0], ""]))
    few = suyuan(*share(nodes, "--records-file", source, record=None))
    assert event_of(suyuan, nodes, few.out.split()[0])["records"] == records[:1000]
    for count in (1001, 1200):
        source.write_text("\r\n".join(records[:count]))
        many = suyuan(*share(nodes, "--records-file", source, record=None))
        event = event_of(suyuan, nodes, many.out.split()[0])
        assert "records" not in event
        assert event["manifest"] == make_manifest(records[:count]).ref.model_dump()


def test_sources_and_grants_are_resolved_to_full_references(suyuan: Any, nodes: Any) -> None:
    source = json.loads(suyuan("show", new_share(suyuan, nodes), "--json", *nodes.ask("tax")).out)["entry"]
    place = f"{source['log']}#{source['index']}"
    ran = suyuan(
        "share", "--consumer", nodes.origin("court"), "--record", RECORD, "--resource", "r", "--purpose", "p",
        "--method", "file", "--parent", place, "--grant", place, *nodes.ask("tax"),
    )  # fmt: skip
    assert ran.code == 0
    event = json.loads(suyuan("show", ran.out.split()[0], "--json", *nodes.ask("tax")).out)["event"]
    assert event["parents"] == [event["grant"]] == [source]


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        (["--consumer", "nobody.example/log"], 2, "unknown_consumer"),
        (["--consumer", "police.ordos.example/log"], 2, "does not share with itself"),
        (["--consumer", "Tax"], 2, "consumer"),
        (["--digest", "md5:x"], 2, "payload_digest"),
        (["--occurred-at", "yesterday"], 2, "occurred_at"),
        (["--parent", "police.ordos.example/log#999999"], 3, "not_found"),
        (["--parent", "police.ordos.example/log#0"], 2, "unknown_parent"),
        (["--label", "x"], 2, "name=value"),
        (["--label", "x=1", "--label", "x=2"], 2, "twice"),
        (["--purpose", " padded "], 2, "purpose"),
        (["--id", "7"], 2, "--id"),
    ],
)
def test_a_share_that_cannot_be_is_refused_with_the_place_of_the_fault(
    suyuan: Any, nodes: Any, more: list[str], code: int, words: str
) -> None:
    ran = suyuan(*share(nodes, *more))
    assert (ran.code, ran.out) == (code, "")
    assert words in ran.err


def test_what_a_share_needs_is_named(suyuan: Any, nodes: Any) -> None:
    ran = suyuan("share", "--purpose", "p", *nodes.ask("police"))
    assert ran.code == 2
    assert "--consumer, --resource, --method is missing" in ran.err


def test_a_payload_must_be_what_is_said_of_it(suyuan: Any, nodes: Any, tmp_path: Path) -> None:
    payload = tmp_path / "payload"
    payload.write_bytes(b"x")
    assert "1 bytes, not 2" in suyuan(*share(nodes, "--payload", payload, "--bytes", "2")).err
    assert suyuan(*share(nodes, "--payload", payload, "--digest", "sha-256:x")).code == 2


def test_raw_json_is_sent_as_it_is(suyuan: Any, nodes: Any) -> None:
    event = {
        "type": "share", "id": str(uuid.uuid4()), "consumer": nodes.origin("tax"), "resource": "r", "purpose": "p",
        "method": "message", "occurred_at": "2026-11-21T08:15:30.123Z",
    }  # fmt: skip
    ran = suyuan("share", "--from-json", "-", *nodes.ask("police"), stdin=json.dumps(event, indent=1).encode())
    assert event_of(suyuan, nodes, ran.out.split()[0]) == event


def test_a_raw_batch_is_recorded_as_one(suyuan: Any, nodes: Any, tmp_path: Path) -> None:
    frame = {
        "type": "share", "consumer": nodes.origin("tax"), "resource": "r", "purpose": "p", "method": "message",
        "occurred_at": "2026-11-21T08:15:30.123Z",
    }  # fmt: skip
    events = [{**frame, "id": str(uuid.uuid4())} for _ in range(3)]
    source = tmp_path / "events.json"
    source.write_text(json.dumps({"events": events}))
    ran = suyuan("share", "--from-json", source, "--json", *nodes.ask("police"))
    said = json.loads(ran.out)
    assert said["schema"] == "suyuan.recorded/1"
    assert [one["event_id"] for one in said["events"]] == [event["id"] for event in events]
    assert len(suyuan("share", "--from-json", source, *nodes.ask("police")).out.splitlines()) == 3


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[]", "wrong_type"),
        (b"{", "bad_json"),
        (b'{"type":"share","type":"share"}', "duplicate_member"),
        (b'{"events":7}', "wrong_type"),
        (b'{"type":"log.open"}', "missing_member"),
        (b'{"type":"share","rows":1.5}', "float_not_allowed"),
    ],
)
def test_raw_json_with_a_fault_is_not_sent(suyuan: Any, nodes: Any, content: bytes, words: str) -> None:
    ran = suyuan("share", "--from-json", "-", *nodes.ask("police"), stdin=content)
    assert ran.code == 2
    assert words in ran.err


def test_raw_json_says_everything_itself(suyuan: Any, nodes: Any) -> None:
    ran = suyuan("share", "--from-json", "-", "--purpose", "p", *nodes.ask("police"), stdin=b"{}")
    assert ran.code == 2
    assert "leave the other options out" in ran.err


def test_a_share_that_nobody_answered_says_how_to_find_out(suyuan: Any, network: Any) -> None:
    ran = suyuan(*share(network, "--url", "http://127.0.0.1:9", "--id", "6db2860a-4f83-4bdc-893c-5147c0628dc6"))
    assert ran.code == 5
    assert "--id 6db2860a-4f83-4bdc-893c-5147c0628dc6" in ran.err


def test_a_token_is_not_sent_unencrypted_to_another_machine(suyuan: Any, network: Any) -> None:
    ran = suyuan(*share(network, "--url", "http://police.ordos.example"))
    assert ran.code == 2
    assert "https" in ran.err


def test_a_token_may_stand_in_a_file_that_nobody_else_reads(suyuan: Any, nodes: Any, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(nodes.tokens["police"] + "\n")
    path.chmod(0o644)
    options = ("--url", nodes.urls["police"], "--token-file", path)
    assert suyuan("logs", *options).code == 2
    path.chmod(0o600)
    assert suyuan("logs", *options).code == 0


@pytest.mark.parametrize(
    ("token", "code"), [(None, 4), ("sy_" + "A" * 43, 4), ("nonsense", 4)], ids=["none", "unknown", "malformed"]
)
def test_who_has_no_good_token_is_not_authorised(suyuan: Any, nodes: Any, token: str | None, code: int) -> None:
    options = [] if token is None else ["--token", token]
    ran = suyuan("logs", "--url", nodes.urls["police"], *options)
    assert ran.code == code


def test_a_token_without_the_role_is_not_authorised(suyuan: Any, nodes: Any) -> None:
    made = suyuan("token", "new", "reader", "--role", "read", "--config", nodes.home("police"))
    asked = ("--config", nodes.home("police"), "--token", made.out.strip())
    suyuan("token", "revoke", "reader", "--config", nodes.home("police"))
    refused = suyuan("logs", *asked)
    assert refused.code == 4
    made = suyuan("token", "new", "reader", "--role", "read", "--config", nodes.home("police"))
    asked = ("--config", nodes.home("police"), "--token", made.out.strip())
    ran = suyuan(*share(nodes)[:-4], "--record", RECORD, *asked)
    suyuan("token", "revoke", "reader", "--config", nodes.home("police"))
    assert ran.code == 4
    assert "forbidden" in ran.err


# Receiving.


def test_a_receipt_was_recorded_for_the_share(suyuan: Any, story: Any) -> None:
    shown = json.loads(suyuan("show", story.receipt, "--json", *story.network.ask("tax")).out)
    assert shown["event"]["outcome"] == "accepted"
    assert shown["event"]["bytes"] == story.payload.stat().st_size
    reference = shown["event"]["share"]
    assert f"{reference['log']}#{reference['index']}" == story.share


def test_a_share_is_answered_once(suyuan: Any, story: Any) -> None:
    ran = suyuan("receive", story.share, *story.network.ask("tax"))
    assert ran.code == 2
    assert "already_answered" in ran.err


def new_share(suyuan: Any, network: Any, payload: Path | None = None) -> str:
    """Share something, wait until tax has it, and return the event's id."""
    event_id = str(uuid.uuid4())
    more = ["--payload", payload] if payload else []
    ran = suyuan(*share(network, "--id", event_id, "--wait", "confirmed", *more))
    for _ in range(100):
        if suyuan("show", ran.out.split()[0], *network.ask("tax")).code == 0:
            break
    return event_id


def test_a_share_can_be_rejected_with_a_reason_by_its_events_id(suyuan: Any, nodes: Any) -> None:
    event_id = new_share(suyuan, nodes)
    ran = suyuan("receive", event_id, "--reject", "wrong period", *nodes.ask("tax"))
    assert ran.code == 0
    event = json.loads(suyuan("show", ran.out.split()[0], "--json", *nodes.ask("tax")).out)["event"]
    assert (event["outcome"], event["reason"]) == ("rejected", "wrong period")


def test_other_data_than_the_share_states_is_not_accepted(suyuan: Any, nodes: Any, tmp_path: Path) -> None:
    sent, arrived = tmp_path / "sent", tmp_path / "arrived"
    sent.write_bytes(b"a")
    arrived.write_bytes(b"b")
    event_id = new_share(suyuan, nodes, sent)
    ran = suyuan("receive", event_id, "--payload", arrived, *nodes.ask("tax"))
    assert ran.code == 1
    assert "digest_mismatch" in ran.err


def test_only_the_consumer_can_answer(suyuan: Any, story: Any) -> None:
    ran = suyuan("receive", story.onward, *story.network.ask("police"))
    assert ran.code == 2
    assert "not_yours" in ran.err


def test_only_shares_are_answered(suyuan: Any, story: Any) -> None:
    ran = suyuan("receive", story.receipt, *story.network.ask("tax"))
    assert ran.code == 2
    assert "no share" in ran.err


def test_a_share_that_the_node_does_not_know_is_not_found(suyuan: Any, nodes: Any) -> None:
    assert suyuan("receive", "police.ordos.example/log#999999", *nodes.ask("tax")).code == 3
    assert suyuan("receive", str(uuid.uuid4()), *nodes.ask("tax")).code == 3


def test_the_references_of_a_large_share_can_be_given_by_hand(suyuan: Any, nodes: Any, tmp_path: Path) -> None:
    records = [hashlib.sha256(f"by hand {number}".encode()).hexdigest()[:32] for number in range(1200)]
    source = tmp_path / "records"
    source.write_text("\n".join(records))
    event_id = str(uuid.uuid4())
    suyuan(*share(nodes, "--records-file", source, "--id", event_id, "--wait", "confirmed", record=None))
    for _ in range(100):
        if suyuan("show", event_id, *nodes.ask("tax")).code == 0:
            break
    source.write_text("\n".join(records[1:]))
    refused = suyuan("receive", event_id, "--records-file", source, *nodes.ask("tax"))
    assert (refused.code, refused.out) == (1, "")
    assert "1199 references" in refused.err
    source.write_text("\n".join(reversed(records)))
    assert suyuan("receive", event_id, "--records-file", source, *nodes.ask("tax")).code == 0
    traced = json.loads(suyuan("trace", records[7], "--json", *nodes.ask("tax")).out)
    assert [hop["share"]["log"] for hop in traced["hops"]] == [nodes.origin("police")]


def test_references_are_given_only_where_the_share_names_a_manifest(suyuan: Any, nodes: Any, tmp_path: Path) -> None:
    source = tmp_path / "records"
    source.write_text(RECORD)
    ran = suyuan("receive", new_share(suyuan, nodes), "--records-file", source, *nodes.ask("tax"))
    assert ran.code == 2
    assert "names no manifest" in ran.err
