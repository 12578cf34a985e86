"""The gate: who waits for whom."""

from collections.abc import Callable
from threading import Event, Thread

import pytest

from ledger.errors import StoreClosedError, StoreFailedError
from ledger.store.gate import Gate, State


class Guest:
    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self.closed = 0
        gate.admit(self)

    def close(self) -> None:
        self.closed += 1
        self._gate.dismiss(self)


def close(gate: Gate) -> None:
    with gate.closing():
        pass


def reopen(gate: Gate) -> None:
    with gate.reopening():
        pass


def state_of(gate: Gate) -> State:
    return gate.state


def begin(gate: Gate, change: Callable[[Gate], None]) -> Thread:
    """Start ``change`` on a thread of its own, and return when it waits for those inside."""
    thread = Thread(target=change, args=(gate,))
    thread.start()
    while not gate._shutting:
        Event().wait(0.001)
    return thread


def test_closing_waits_for_those_inside_and_for_each_of_them() -> None:
    gate = Gate("g")
    with gate:
        with gate:
            closer = begin(gate, close)
            closer.join(0.02)
            assert closer.is_alive()
        closer.join(0.02)
        assert closer.is_alive()
        assert state_of(gate) is State.OPEN
    closer.join()
    assert state_of(gate) is State.CLOSED


def test_who_comes_while_the_gate_is_shutting_waits_and_enters_when_it_is_open_again() -> None:
    gate = Gate("g")
    entered = Event()

    def enter() -> None:
        with gate:
            entered.set()

    with gate:
        opener = begin(gate, reopen)
        reader = Thread(target=enter)
        reader.start()
        assert not entered.wait(0.02)
    assert entered.wait(10)
    opener.join()
    reader.join()


def test_two_who_want_to_be_alone_are_so_one_after_the_other() -> None:
    gate = Gate("g")
    guest = Guest(gate)
    with gate:
        first = begin(gate, reopen)
        second = Thread(target=close, args=(gate,))
        second.start()
        second.join(0.02)
        assert second.is_alive()
        assert guest.closed == 0
    first.join()
    second.join()
    assert state_of(gate) is State.CLOSED
    assert guest.closed == 1


def test_a_state_follows_from_how_writing_and_reopening_went() -> None:
    gate = Gate("g")
    with gate.writing():
        pass
    with pytest.raises(KeyboardInterrupt), gate.writing():
        raise KeyboardInterrupt
    assert state_of(gate) is State.FAILED
    with gate:
        pass
    with pytest.raises(StoreFailedError), gate.writing():
        pass
    with pytest.raises(OSError, match="gone"), gate.reopening():
        raise OSError("gone")
    assert state_of(gate) is State.DOWN
    for refused in (gate, gate.writing()):
        with pytest.raises(StoreFailedError), refused:
            pass
    reopen(gate)
    assert state_of(gate) is State.OPEN
    with gate.closing() as before:
        assert before is State.OPEN
    with gate.closing() as before:
        assert before is State.CLOSED
    for closed in (gate, gate.writing(), gate.reopening()):
        with pytest.raises(StoreClosedError), closed:
            pass
