"""What is kept of confirmed checkpoints: the best one, the past thinned out, and nothing that can be churned."""

from itertools import pairwise

import pytest
from node_helpers import NOW_MS, PaperLog, paper, parties

from ledger.cosignature import add_signatures, cosign
from ledger.quorum import Judged, judge_checkpoint
from ledger.store import Batch, Store
from ledger.store.memory import MemoryDisk
from node import logs
from node.logs import FRESH_SECONDS, PAST_SLOTS, LogState

A, B, C, D = FOUR = parties(4)
NETWORK = paper(FOUR).network
NOW = NOW_MS // 1000
MINUTE, HOUR, DAY = 60, 3600, 86_400


class Keeper:
    """A store that is given one confirmed checkpoint of A's log after the other."""

    def __init__(self) -> None:
        self.log = PaperLog(A, NETWORK)
        self.store: Store = MemoryDisk().create()
        self.state: LogState = logs.load_log(self.store, A.origin, NETWORK)

    def note(self, size: int, *times: int) -> Judged:
        """A checkpoint that members have cosigned at these times."""
        bare = self.log.checkpoint(size, root=bytes([size % 256]) * 32)
        promise = judge_checkpoint(bare, NETWORK).checkpoint
        signed = [cosign(party.keys.cosigner, promise, time=time) for party, time in zip(FOUR, times, strict=False)]
        return judge_checkpoint(add_signatures(bare, signed) if signed else bare, NETWORK)

    def take(self, judged: Judged) -> bool:
        """Give it one; tell whether it was stored."""
        batch = Batch()
        before, self.state = self.state, logs.with_confirmed(self.state, judged, batch)
        if len(batch):
            self.store.write(batch)
        return self.state is not before

    def grow(self, times: list[int]) -> None:
        for size, time in enumerate(times, 1):
            assert self.take(self.note(size, time, time, time))

    def past(self) -> list[tuple[int, int]]:
        """Size and time of what is kept."""
        kept = [judge_checkpoint(data, NETWORK) for data in logs.past(self.store, self.state)]
        return sorted({(judged.size, judged.vouched or 0) for judged in kept})


@pytest.fixture
def keeper() -> Keeper:
    return Keeper()


def test_the_first_checkpoint_of_every_minute_is_kept(keeper: Keeper) -> None:
    start = NOW - NOW % MINUTE
    keeper.grow([start + 15 * step for step in range(40)])
    assert [time for _, time in keeper.past()] == [start + MINUTE * step for step in range(10)]


def test_a_log_that_grows_for_ever_keeps_a_bounded_past_that_reaches_back_to_its_beginning(keeper: Keeper) -> None:
    start = NOW - NOW % (30 * DAY)
    times = [start + step * 7 * HOUR for step in range(400)]  # four months
    last_hour = times[-1] - times[-1] % HOUR + HOUR
    times += [last_hour + step * 30 for step in range(240)]  # and two hours in which it is busy
    keeper.grow(times)
    kept = [time for _, time in keeper.past()]
    assert len(kept) <= sum(slots for _, slots in PAST_SLOTS[:-1]) + 5
    assert kept[0] == start
    now = times[-1]
    assert max(later - earlier for earlier, later in pairwise(kept) if earlier > now - HOUR) == MINUTE
    assert max(later - earlier for earlier, later in pairwise(kept)) <= 30 * DAY + 7 * HOUR


def test_a_quiet_log_remembers_every_checkpoint_of_a_long_time(keeper: Keeper) -> None:
    times = [NOW + step * (DAY + HOUR + MINUTE) for step in range(31)]
    keeper.grow(times)
    assert [time for _, time in keeper.past()] == times


def test_after_a_restart_the_past_goes_on(keeper: Keeper) -> None:
    keeper.grow([NOW, NOW + MINUTE])
    assert keeper.take(keeper.note(3, *[NOW + MINUTE + 1] * 3))
    assert [size for size, _ in keeper.past()] == [1, 2]
    keeper.state = keeper.state.__class__(A.origin, keeper.state.log, keeper.state.chain, keeper.state.edge)
    assert keeper.take(keeper.note(4, *[NOW + 2 * MINUTE] * 3))
    assert 4 in [size for size, _ in keeper.past()]


def test_the_same_size_does_not_fill_the_past(keeper: Keeper) -> None:
    keeper.grow([NOW])
    for step in range(1, 10):
        assert keeper.take(keeper.note(1, *[NOW + step * HOUR] * 3))
    assert keeper.past() == [(1, NOW)]


# What is news.


def test_a_larger_size_is_news_whatever_its_times(keeper: Keeper) -> None:
    keeper.grow([NOW])
    assert keeper.take(keeper.note(2, 1, 1, 1))
    assert not keeper.take(keeper.note(1, NOW + DAY, NOW + DAY, NOW + DAY, NOW + DAY))


def test_fresher_cosignatures_are_news_when_a_quorum_has_given_them(keeper: Keeper) -> None:
    start = NOW - NOW % FRESH_SECONDS
    assert keeper.take(keeper.note(1, start, start, start, start))
    later = start + FRESH_SECONDS
    assert not keeper.take(keeper.note(1, later, later, start, start))  # two of four prove nothing
    assert not keeper.take(keeper.note(1, *[later - 1] * 4))  # hardly fresher
    assert keeper.take(keeper.note(1, later, later, later))
    assert not keeper.take(keeper.note(1, start, start, start, start))  # more of them, but older


def test_more_cosigners_are_news(keeper: Keeper) -> None:
    assert keeper.take(keeper.note(1, NOW, NOW, NOW))
    assert keeper.take(keeper.note(1, NOW, NOW, NOW, NOW))
    assert not keeper.take(keeper.note(1, NOW, NOW, NOW))


def test_no_set_of_old_notes_can_be_stored_in_turn_for_ever(keeper: Keeper) -> None:
    """Whatever order they come in, each is stored at most once: news is one total order."""
    times = [NOW + step * 29 for step in range(6)]
    notes = [keeper.note(1, *[time] * count) for time in times for count in (3, 4)]
    stored = sum(keeper.take(note) for _ in range(3) for note in [*notes, *reversed(notes)])
    assert stored <= len(notes)
    before = keeper.state
    assert not any(keeper.take(note) for note in notes)
    assert keeper.state is before
