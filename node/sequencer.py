"""The sequencer: gives every event of this department its place in the log.

1. Take what waits (see node/writer.py). A crash: nobody was answered.
2. Check each submission against the ids and shares that are known; refuse it as a whole or take it as a whole.
3. Chain the new events, sign them on all cores, compute leaf hashes and tiles. A crash: nothing is on the disk.
4. Write entries, tiles, indexes and the chain's head in one synced batch. A crash before it is as if nothing had come;
   after it the events are recorded, and their submitters, asking again with the same ids, get the same answer.
5. Answer. A crash: as after 4.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from ledger.encoding import encode_base64
from ledger.errors import LedgerError, StoreError
from ledger.network import Network
from ledger.store import Store
from node import layout
from node.admission import Admission, Place, Places
from node.appending import Appending
from node.briefs import Brief
from node.clock import Clock
from node.keys import NodeKeys
from node.recent import Recent, look
from node.signatories import Signatories
from node.submission import Outcomes, Prepared, Recorded, Submission
from node.writer import Transaction

LOOK_MIN = 64  # events of a submission; for fewer, a thread that looks for their ids costs more than the round's look

Outcome: TypeAlias = list[Recorded] | Outcomes | LedgerError


class Sequencer:
    """Appends this department's events to its log."""

    def __init__(
        self,
        *,
        origin: str,
        keys: Callable[[], NodeKeys],
        network: Callable[[], Network],
        clock: Clock,
        signatories: Signatories,
    ) -> None:
        self._origin = origin
        self._keys = keys
        self._network = network
        self._clock = clock
        self._signatories = signatories
        self._log = layout.log_id(origin)
        self._recent = Recent()

    def submission(self, store: Store, events: tuple[Prepared, ...], *, apart: bool = False) -> Submission:
        """Return a submission of events, having looked whether their ids are known, all at once; in any thread.

        Where the store cannot be read now, as while it is opened again, it is asked for each of them in the round.
        """
        try:
            return Submission(events, look(store, self._log, map(_name, events)), apart=apart)
        except StoreError:
            return Submission(events, apart=apart)

    def run(self, transaction: Transaction, items: list[Submission]) -> list[Outcome]:
        """Append the events of all submissions; each gets its entries, or the error that refuses it as a whole.

        One whose events are apart gets for each of these its entry, or its error.
        """
        round_ = self._round(transaction)
        store = transaction.store
        looked = (self.submission(store, item.events, apart=True) if _gains(item) else item for item in items)
        return self._append(transaction, round_, list(map(round_.admit, looked)))()

    def may_begin(self, item: Submission) -> bool:
        """Tell whether it is worth trying to begin a submission before the round before it is written."""
        return item.look is not None

    def begin(self, transaction: Transaction, items: list[Submission]) -> Callable[[], list[Outcome]] | None:
        """Begin to append as :meth:`run` does, on top of a round that the store does not have yet.

        What is returned goes on with it, and must be called. None, if the store had to be asked about an event.
        """
        round_ = self._round(transaction)
        places = [places for item in items if (places := round_.admit_unseen(item)) is not None]
        return self._append(transaction, round_, places) if len(places) == len(items) else None

    def _round(self, transaction: Transaction) -> Admission:
        state = transaction.state(self._origin)
        self._recent.follow(state.chain)
        return Admission(
            store=transaction.store,
            own=state,
            recent=self._recent,
            keys=self._keys(),
            network=self._network(),
            states=transaction.committed_states,
        )

    def _append(
        self, transaction: Transaction, round_: Admission, outcomes: Sequence[Places]
    ) -> Callable[[], list[Outcome]]:
        start, time = round_.own.size, max(self._clock.now_ms(), round_.own.chain.time)
        appending = Appending(round_, self._signatories, time=time)

        def answer(place: Place | LedgerError) -> Any:
            if not isinstance(place, int):
                return place
            event_id, leaf = round_.fresh[place].event.id, appending.leaves[place]
            return Recorded(event_id, encode_base64(leaf), start + place, self._origin, time)

        def finish() -> list[Outcome]:
            if round_.fresh:
                state = appending.finish(transaction.batch)
                transaction.put_state(state)
                self._recent.extend(round_.ids.keys(), state.chain)
            return [one if isinstance(one, LedgerError) else list(map(answer, one)) for one in outcomes]

        return finish


def _name(prepared: Prepared) -> tuple[str, bytes]:
    event = prepared.event
    return event.id, event.key if isinstance(event, Brief) else layout.event_prefix(event.id)


def _gains(item: Submission) -> bool:
    """Tell whether it pays to look for the ids of a submission's events together, in the round."""
    return item.apart and len(item.events) > 1
