"""Lineage: what belongs to a record's history, what is only its context, and what is another record's."""

from dataclasses import dataclass

import histories
import pytest
from histories import RECORD, RECORDS, ROOTS, World, read, same_lineage, worlds
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import lineage as module
from ledger.event import EntryRef, Share, Violation
from ledger.lineage import collect
from ledger.provenance import Statement

A, B, C, D = histories.LOGS
OTHER, THIRD, FOURTH = RECORDS[1:]


def taken(world: World, record: str = RECORD) -> list[str]:
    """The entries of a record's history, by their places."""
    found = collect(record, world)
    assert same_lineage(found, read(world, record))
    return sorted(str(one.ref) for one in found.statements.values())


def context(world: World, record: str = RECORD) -> list[str]:
    return sorted(str(one.ref) for one in collect(record, world).context.values())


def test_a_record_that_nobody_names_has_no_history() -> None:
    world = World()
    world.share(A, B, OTHER)
    found = collect(RECORD, world)
    assert (found.statements, found.context, found.named_by) == ({}, {}, set())


def test_a_chain_is_told_from_its_first_share_to_its_last() -> None:
    world = World()
    first = world.share(A, B, RECORD)
    world.receipt(B, first)
    second = world.share(B, C, RECORD, parents=[first])
    world.receipt(C, second)
    assert taken(world) == ["a/log#0", "b/log#0", "b/log#1", "c/log#0"]
    assert collect(RECORD, world).named_by == {first.hash, second.hash}


def test_shares_that_name_the_record_belong_to_it_without_any_link() -> None:
    world = World()
    world.share(A, B, RECORD)
    world.share(C, D, OTHER, RECORD)
    world.share(C, D, OTHER)
    assert taken(world) == ["a/log#0", "c/log#0"]


def test_a_link_about_another_record_ends_the_history_and_a_parent_behind_it_is_context() -> None:
    world = World()
    source = world.share(A, B, OTHER)
    both = world.share(B, C, RECORD, OTHER, parents=[source])
    world.share(C, D, OTHER, parents=[both])
    assert taken(world) == ["b/log#0"]
    assert context(world) == ["a/log#0"]


def test_data_that_goes_on_under_another_name_stays_in_the_history_however_far_it_goes() -> None:
    world = World()
    first = world.share(A, B, RECORD)
    product = world.share(B, C, THIRD, parents=[first])
    again = world.share(C, D, THIRD, parents=[product])
    world.share(D, A, FOURTH, parents=[again])
    assert taken(world) == ["a/log#0", "b/log#0", "c/log#0", "d/log#0"]
    assert collect(RECORD, world).named_by == {first.hash}


def test_the_sources_of_a_rekeyed_record_are_its_history_however_far_back() -> None:
    world = World()
    raw = world.share(A, B, OTHER)
    cleaned = world.share(B, C, OTHER, parents=[raw])
    world.share(C, D, RECORD, parents=[cleaned])
    assert taken(world) == ["a/log#0", "b/log#0", "c/log#0"]


def test_what_else_went_into_a_product_is_context_and_its_other_uses_are_not_told() -> None:
    world = World()
    mine = world.share(A, C, RECORD)
    other = world.share(B, C, OTHER)
    world.share(C, D, THIRD, parents=[mine, other])
    world.share(C, A, FOURTH, parents=[other])
    assert taken(world) == ["a/log#0", "c/log#0"]
    assert context(world) == ["b/log#0"]


def test_what_else_became_of_a_source_is_another_records_history() -> None:
    world = World()
    source = world.share(A, B, OTHER)
    world.share(B, C, RECORD, parents=[source])
    world.share(B, D, THIRD, parents=[source])
    assert taken(world) == ["a/log#0", "b/log#0"]


def test_a_product_of_several_sources_leads_back_to_all_of_them() -> None:
    world = World()
    sources = [world.share(log, D, record) for log, record in ((A, OTHER), (B, THIRD), (C, FOURTH))]
    world.share(D, A, RECORD, parents=sources)
    assert taken(world) == ["a/log#0", "b/log#0", "c/log#0", "d/log#0"]


def test_a_share_without_any_reference_is_a_link_under_another_name() -> None:
    world = World()
    first = world.share(A, B, RECORD)
    statistics = world.share(B, C, parents=[first])
    world.share(C, D, parents=[statistics])
    assert taken(world) == ["a/log#0", "b/log#0", "c/log#0"]


def test_a_manifest_stands_for_itself_and_names_the_record_when_the_record_is_in_it() -> None:
    root = next(root for root, records in ROOTS.items() if RECORD in records)
    other = next(root for root, records in ROOTS.items() if RECORD not in records)
    world = World()
    first = world.share(A, B, manifest={"count": 2, "root": root})
    world.share(B, C, manifest={"count": 2, "root": root}, parents=[first])
    world.share(C, D, manifest={"count": 2, "root": other})
    assert taken(world) == ["a/log#0", "b/log#0"]
    assert len(collect(RECORD, world).named_by) == 2


@pytest.mark.parametrize("event", ["receipt", "violation"])
def test_a_parent_that_is_no_share_is_no_context_and_so_a_gap(event: str) -> None:
    world = World()
    first = world.share(A, B, OTHER)
    other = world.receipt(B, first) if event == "receipt" else world.write(B, Violation("bad_value", "no purpose"))
    world.share(B, C, RECORD, OTHER, parents=[other, first])
    found = collect(RECORD, world)
    assert [str(one.ref) for one in found.context.values()] == ["a/log#0"]
    assert [str(one.ref) for one in found.statements.values()] == ["b/log#1"]


def test_a_parent_that_is_not_here_or_stands_elsewhere_is_left_to_the_fold() -> None:
    world = World()
    first = world.share(A, B, OTHER)
    moved = EntryRef(hash=first.hash, index=7, log=first.log)
    world.share(B, C, RECORD, parents=[moved])
    assert not collect(RECORD, world).context


def test_receipts_of_context_are_not_told() -> None:
    world = World()
    source = world.share(A, B, OTHER)
    world.receipt(B, source)
    world.share(B, C, RECORD, OTHER, parents=[source])
    assert taken(world) == ["b/log#1"]


def test_a_history_that_is_cut_off_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    last = world.share(A, B, RECORD)
    for number in range(5):
        last = world.share(histories.LOGS[(number + 1) % 4], histories.LOGS[(number + 2) % 4], THIRD, parents=[last])
    assert len(taken(world)) == 6
    monkeypatch.setattr(module, "SHARES_MAX", 4)
    found = collect(RECORD, world)
    assert found.truncated
    assert [str(one.ref) for one in found.statements.values()] == ["a/log#0", "b/log#0", "c/log#0", "d/log#0"]


def test_receipts_beyond_the_limit_are_cut_off_too(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    share = world.share(A, B, RECORD)
    for _ in range(5):
        world.receipt(B, share)
    assert not collect(RECORD, world).truncated
    monkeypatch.setattr(module, "STATEMENTS_MAX", 4)
    found = collect(RECORD, world)
    assert found.truncated
    assert len(found.statements) == 4


def test_a_history_with_as_many_shares_as_fit_is_not_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    first = world.share(A, B, RECORD)
    world.share(B, C, RECORD, parents=[first])
    monkeypatch.setattr(module, "SHARES_MAX", 2)
    assert not collect(RECORD, world).truncated


@dataclass
class Shuffled(World):
    """The same world, its answers in another order."""

    seed: int = 0

    @property
    def visible(self) -> list[Statement]:
        return sorted(super().visible, key=lambda one: hash((one.ref.hash, self.seed)))


@settings(deadline=None)
@given(worlds(), st.integers())
def test_the_collected_history_is_the_naive_readers_whatever_the_order_of_the_answers(world: World, seed: int) -> None:
    expected = read(world)
    for one in (world, Shuffled(world.written, world.missing, seed)):
        assert same_lineage(collect(RECORD, one), expected)


@settings(deadline=None)
@given(worlds())
def test_what_was_collected_collects_itself(world: World) -> None:
    found = collect(RECORD, world)
    kept = {one.ref for one in (*found.statements.values(), *found.context.values())}
    alone = World(world.written, {one.ref for one in world.written if one.ref not in kept})
    again = collect(RECORD, alone)
    assert (again.statements, again.context, again.named_by) == (found.statements, found.context, found.named_by)


@settings(deadline=None)
@given(worlds())
def test_every_statement_of_a_history_is_a_share_or_a_receipt_of_one_of_its_shares(world: World) -> None:
    found = collect(RECORD, world)
    shares = {one.ref for one in found.statements.values() if isinstance(one.event, Share)}
    for one in found.statements.values():
        assert isinstance(one.event, Share) or one.event.share in shares  # type: ignore[union-attr]
    assert {ref.hash for ref in shares} >= found.named_by
    assert not found.context.keys() & found.statements.keys()
