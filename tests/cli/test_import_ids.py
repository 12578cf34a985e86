"""The ids of imported events: the same source gives the same ids, and no identifier can be tried out by them."""

import uuid

from hypothesis import given
from hypothesis import strategies as st

from cli.sources.ids import TransferIds, as_reference, receipt_id, xroad_id

AT = "2026-11-21T08:15:30.123Z"
POLICE, TAX = "police.test/log", "tax.test/log"
REFERENCE = "9f" * 16


def given_ids(*records: str) -> list[str]:
    ids = TransferIds()
    return [ids.next(provider=POLICE, consumer=TAX, record=record, occurred_at=AT) for record in records]


def test_the_ids_are_those_of_ever() -> None:
    """A changed id would record every file anew: these three are a promise."""
    [transfer] = given_ids("case-1")
    assert transfer == "d2e9475c-fc1d-5765-b933-fed4142b6acd"
    assert receipt_id(transfer) == "1184ca81-856a-52b9-a78b-8cafbf8d1727"
    assert xroad_id("m", None, "A/B/C", "A/B/D/s", number=0) == "dde87b73-3b7b-5be6-afb5-333cf2c29bd3"


@given(st.lists(st.sampled_from(["case-1", "case-2", REFERENCE, REFERENCE.upper()]), max_size=12))
def test_equal_rows_have_different_ids_and_equal_files_equal_ones(records: list[str]) -> None:
    first, second = given_ids(*records), given_ids(*records)
    assert first == second
    assert len(set(first)) == len(records)
    assert all(uuid.UUID(one).version == 5 for one in first)


def test_a_local_identifier_leaves_no_trace_in_the_id() -> None:
    assert given_ids("110105199003078516") == given_ids("110105199003078524")


def test_a_reference_is_part_of_the_id() -> None:
    assert given_ids(REFERENCE) != given_ids("8e" * 16)
    assert given_ids("case-1", REFERENCE)[1] == given_ids(REFERENCE)[0]


def test_each_part_of_a_row_is_part_of_the_id() -> None:
    rows = [(POLICE, TAX, AT), (TAX, POLICE, AT), (POLICE, TAX, AT.replace("123", "124")), (POLICE, "d1.test/log", AT)]
    found = {TransferIds().next(provider=p, consumer=c, record="case-1", occurred_at=at) for p, c, at in rows}
    assert len(found) == len(rows)


def test_beyond_is_the_id_that_one_more_row_would_have() -> None:
    ids = TransferIds()
    row = {"provider": POLICE, "consumer": TAX, "occurred_at": AT}
    ids.next(record="case-1", **row)
    beyond = ids.beyond(record="case-2", **row)
    assert ids.beyond(record="case-2", **row) == beyond
    assert ids.next(record="case-3", **row) == beyond


def test_a_reference_has_one_spelling() -> None:
    assert as_reference(REFERENCE.upper()) == REFERENCE
    assert as_reference(REFERENCE + "\n") is None
    assert as_reference(REFERENCE[:-1]) is None
    assert as_reference("case-1") is None


def test_parts_of_an_xroad_call_do_not_run_into_each_other() -> None:
    calls = [("a", None, "b", "c"), ("a", "b", "c", None), (None, "a", "b", "c"), ("a,b", None, "c", "")]
    assert len({xroad_id(*parts, number=number) for parts in calls for number in (0, 1)}) == 2 * len(calls)
