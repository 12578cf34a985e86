"""What rows mean for a department: whose shares, whose receipts, of which reference, resting on which share."""

from collections.abc import Sequence
from typing import Any

import pytest
from node_helpers import Party, paper

from cli.sources.ids import receipt_id
from cli.sources.names import Members, NameMap
from cli.sources.plans import Planned
from cli.sources.transfer_plans import Planner, TransferPlans
from cli.sources.transfers import Transfer, TransferFileError
from ledger.record import record_ref

POLICE, TAX, COURT = (Party(name) for name in ("police", "tax", "court"))
NAMES = NameMap({party.name: party.origin for party in (POLICE, TAX, COURT)} | {"tax office": TAX.origin})
MEMBERS = Members(paper([POLICE, TAX, COURT]).network, NAMES)
AT = "2026-11-21T08:15:30.123Z"
REFERENCE = "9f" * 16

Row = tuple[str, str, str] | tuple[str, str, str, dict[str, Any]]


def rows(*said: Row) -> list[Transfer]:
    """Rows of (record, provider, consumer[, more members]), a second apart."""
    found = []
    for number, (record, provider, consumer, *more) in enumerate(said):
        members = {
            "occurred_at": f"2026-11-21T08:15:{number:02}.000Z", "method": "manual", "resource": "r", "purpose": "p",
            **(more[0] if more else {}),
        }  # fmt: skip
        problem = members.pop("problem", None)
        found.append(Transfer(number + 2, record, provider, consumer, members, problem))
    return found


def plan(transfers: Sequence[Transfer], *ours: Party) -> TransferPlans:
    return Planner(MEMBERS, {party.origin: party.keys.record for party in ours}).plan(transfers)


def brief(plans: Sequence[Planned]) -> list[str]:
    return [f"{one.place} {one.kind} {one.department.partition('.')[0]}" for one in plans]


CHAIN = rows(
    ("case-1", "police", "tax"), ("case-1", "tax", "court"), ("case-1", "court", "police"), ("case-1", "police", "tax")
)


def test_a_department_tells_its_own_side_alone() -> None:
    found = plan(CHAIN, TAX)
    assert brief(found.plans) == ["line 2 receipt tax", "line 3 share tax", "line 5 receipt tax"]
    assert found.others == 1


def test_departments_operated_together_tell_what_each_would_tell_alone() -> None:
    together = plan(CHAIN, POLICE, TAX, COURT)
    alone = [one for party in (POLICE, TAX, COURT) for one in plan(CHAIN, party).plans]
    assert {one.id: one.event for one in together.plans} == {one.id: one.event for one in alone}
    assert len(together.plans) == 8
    assert together.others == 0


def test_the_first_provider_makes_the_reference_with_its_own_key() -> None:
    share = plan(CHAIN, POLICE).plans[0]
    assert share.event["records"] == [record_ref(POLICE.keys.record, "case-1")]
    assert share.need is None
    assert share.event["consumer"] == TAX.origin


def test_who_passes_a_record_on_takes_reference_and_parent_from_the_share_by_which_it_came() -> None:
    first, second, third, fourth = (one for one in plan(CHAIN, POLICE, TAX, COURT).plans if one.kind == "share")
    assert [one.need and one.need.share_id for one in (second, third, fourth)] == [first.id, second.id, third.id]
    assert all("records" not in one.event for one in (second, third, fourth))


def test_what_was_received_last_is_passed_on() -> None:
    found = plan(rows(("c", "police", "tax"), ("c", "court", "tax"), ("c", "tax", "police")), TAX)
    second, share = found.plans[1], found.plans[2]
    assert second.need is not None
    assert share.need is not None
    assert share.need.share_id == second.need.share_id


def test_another_record_is_another_matter() -> None:
    found = plan(rows(("case-1", "police", "tax"), ("case-2", "tax", "court")), TAX)
    assert found.plans[1].need is None
    assert found.plans[1].event["records"] == [record_ref(TAX.keys.record, "case-2")]


def test_what_is_received_later_in_the_file_is_not_passed_on_before() -> None:
    found = plan(rows(("c", "tax", "court"), ("c", "police", "tax")), TAX)
    assert found.plans[0].need is None


@pytest.mark.parametrize("spelling", [REFERENCE, REFERENCE.upper()], ids=["lower", "upper"])
def test_a_reference_is_taken_as_it_is(spelling: str) -> None:
    found = plan(rows((spelling, "police", "tax"), (spelling, "tax", "court")), POLICE, TAX)
    shares = [one for one in found.plans if one.kind == "share"]
    assert [one.event["records"] for one in shares] == [[REFERENCE], [REFERENCE]]
    assert shares[1].need is not None


def test_a_receipt_accepts_the_share_at_the_time_of_the_row() -> None:
    [share, receipt] = plan(CHAIN[:1], POLICE, TAX).plans
    assert receipt.event == {
        "type": "receipt", "id": receipt_id(share.id), "outcome": "accepted",
        "occurred_at": CHAIN[0].members["occurred_at"],
    }  # fmt: skip
    assert receipt.need is not None
    assert (receipt.need.share_id, receipt.need.provider, receipt.need.unlike) == (share.id, POLICE.origin, None)


def test_only_a_stranger_s_share_could_be_taken_for_another() -> None:
    [receipt] = plan(CHAIN[:1], TAX).plans
    assert receipt.need is not None
    assert receipt.need.unlike not in (None, receipt.need.share_id)


def test_an_operator_enters_the_ledger_as_a_pseudonym_only() -> None:
    [share] = plan(rows(("c", "police", "tax", {"operator": "Officer Zhang"})), POLICE).plans
    assert share.event["operator"] == record_ref(POLICE.keys.record, "Officer Zhang", scheme="operator")
    [share] = plan(rows(("c", "police", "tax", {"operator": REFERENCE})), POLICE).plans
    assert share.event["operator"] == REFERENCE


def test_members_of_the_row_are_members_of_the_share() -> None:
    [share] = plan(rows(("c", "police", "tax", {"purpose": "x", "rows": 3, "labels": {"channel": "y"}})), POLICE).plans
    assert {name: share.event[name] for name in ("purpose", "rows", "labels")} == {
        "purpose": "x", "rows": 3, "labels": {"channel": "y"},
    }  # fmt: skip
    share.check()


# What cannot be.


def test_a_name_that_leads_nowhere_is_refused_where_this_department_is_the_other_side() -> None:
    found = plan(rows(("c", "police", "nobody"), ("c", "tax", "nobody"), ("c", "nobody", "tax")), TAX)
    assert [(place, error.code) for place, error in found.refused] == [
        ("line 3", "unknown_name"),
        ("line 4", "unknown_name"),
    ]
    assert found.others == 1
    assert found.unmapped == {"nobody": 3}
    assert found.plans == []


def test_what_rests_on_a_row_without_a_known_provider_is_lost_with_it() -> None:
    found = plan(rows(("c", "nobody", "tax"), ("c", "tax", "court")), TAX)
    [share] = found.plans
    assert share.need is not None
    assert found.lost[share.need.share_id] == "line 2"
    share.check()


def test_two_names_of_one_department_are_no_transfer() -> None:
    found = plan(rows(("c", "tax", "tax office"), ("d", "police", "police.test/log")), TAX)
    assert [(place, error.code) for place, error in found.refused] == [("line 2", "unknown_consumer")]
    assert found.others == 1


def test_a_row_with_a_problem_is_refused_and_still_counts_for_the_ids_of_the_others() -> None:
    problem = TransferFileError("rows is not a whole number", field="line 2")
    moment = {"occurred_at": AT}
    whole = plan(rows(("a", "police", "tax", moment), ("b", "police", "tax", moment)), POLICE)
    broken = plan(rows(("a", "police", "tax", {**moment, "problem": problem}), ("b", "police", "tax", moment)), POLICE)
    assert [error for _, error in broken.refused] == [problem]
    assert [one.id for one in broken.plans] == [one.id for one in whole.plans[1:]]
    assert broken.lost == {whole.plans[0].id: "line 2"}


def test_an_identifier_that_no_reference_can_be_made_of_is_refused() -> None:
    found = plan(rows(("a\nb", "police", "tax")), POLICE, TAX)
    assert [(place, error.code) for place, error in found.refused] == [("line 2", "bad_value")]
    [receipt] = found.plans
    assert receipt.need is not None
    assert receipt.need.share_id in found.lost
