"""A history on the screen: what is good, what is open, and what is wrong can be told apart without colours."""

import uuid
from typing import Any

import pytest

from cli import trace_view
from cli.output import show
from ledger.encoding import encode_base64, parse_time
from ledger.event import EntryRef, Receipt, Share, Violation
from ledger.provenance import Gap, Statement, Trace, fold

NOW = "2026-11-21T08:15:30.123Z"
RECORD = "9f" * 16
NAMES = {"police.example/log": "Police", "tax.example/log": "Tax"}


def statement(index: int, log: str, event: Any, **more: Any) -> Statement:
    ref = EntryRef(hash=encode_base64(bytes([index]) * 32), index=index, log=log)
    known = {"confirmed": True, "verified": True, "words": "signed", **more}
    return Statement(ref=ref, time=parse_time(NOW), event=event, **known)


def share(**more: Any) -> Share:
    members = {
        "type": "share", "id": str(uuid.uuid4()), "consumer": "tax.example/log", "resource": "register",
        "purpose": "relief", "method": "api", "occurred_at": NOW, "records": [RECORD], **more,
    }  # fmt: skip
    return Share.model_validate({name: value for name, value in members.items() if value is not None})


def receipt(of: Statement, **more: Any) -> Receipt:
    members = {"type": "receipt", "id": str(uuid.uuid4()), "share": of.ref.model_dump(), "occurred_at": NOW, **more}
    return Receipt.model_validate(members)


def history(*statements: Statement, **more: Any) -> Trace:
    named = frozenset(one.ref.hash for one in statements if isinstance(one.event, Share) and one.event.records)
    return fold(RECORD, statements, named_by=named, **more)


def drawn(trace: Trace, capsys: pytest.CaptureFixture[str]) -> str:
    show(*trace_view.parts(trace, NAMES))
    return " ".join(capsys.readouterr().out.split())


def test_a_rejected_share_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    sent = statement(1, "police.example/log", share())
    answer = statement(2, "tax.example/log", receipt(sent, outcome="rejected", reason="wrong period"))
    assert "tax.example/log#2 rejected: wrong period" in drawn(history(sent, answer), capsys)


def test_everything_that_a_share_says_about_its_ground_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    event = share(
        legal_basis="Order 809", case="2026-113", grant="agreement 7", mode="query", rows=2, fields=["a", "b"]
    )
    out = drawn(history(statement(1, "police.example/log", event)), capsys)
    assert "register · query · 2 rows · a, b" in out
    assert "Order 809 · 2026-113 · grant agreement 7" in out


def test_a_derived_share_and_its_sources_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    first = statement(1, "police.example/log", share())
    made = share(consumer="police.example/log", records=None, parents=[first.ref.model_dump()])
    out = drawn(history(first, statement(2, "tax.example/log", made)), capsys)
    assert "made from this record" in out
    assert "sources police.example/log#1" in out


def test_what_is_not_verified_is_told_with_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    trace = history(statement(1, "police.example/log", share(), verified=False, words="damaged: false signature"))
    assert "NOT verified: damaged: false signature" in drawn(trace, capsys)
    assert trace_view.is_damaged(trace)


def test_what_is_not_confirmed_is_open_and_no_damage(capsys: pytest.CaptureFixture[str]) -> None:
    trace = history(statement(1, "police.example/log", share(), confirmed=False))
    out = drawn(trace, capsys)
    assert "signed; not confirmed yet by a quorum" in out
    assert "no confirmed checkpoint yet" in out
    assert not trace_view.is_damaged(trace)


def test_an_entry_that_cannot_be_read_is_damage(capsys: pytest.CaptureFixture[str]) -> None:
    sent = statement(1, "police.example/log", share())
    trace = history(sent, statement(2, "tax.example/log", Violation("bad_value", "nonsense")))
    assert "unreadable" in drawn(trace, capsys)
    assert trace_view.is_damaged(trace)


def test_a_history_that_was_cut_off_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    trace = history(statement(1, "police.example/log", share()), truncated=True)
    assert "longer than what is shown" in drawn(trace, capsys)


def test_a_history_without_gaps_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    sent = statement(1, "police.example/log", share())
    trace = history(sent, statement(2, "tax.example/log", receipt(sent, outcome="accepted")))
    out = drawn(trace, capsys)
    assert "1 transfer, 2 holders, no gaps" in out
    assert "Gaps" not in out


def test_damage_told_by_a_node_is_damage() -> None:
    sent = statement(1, "police.example/log", share())
    assert trace_view.is_damaged(history(sent, gaps=[Gap("damaged", "gone", None)]))


def test_a_member_without_name_is_shown_by_its_log(capsys: pytest.CaptureFixture[str]) -> None:
    out = drawn(history(statement(1, "unknown.example/log", share())), capsys)
    assert "unknown.example/log → Tax" in out
