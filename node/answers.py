"""How many members must tell what they remember before a node that returns may speak again (protocol section 7.5).

What is confirmed, k of the n voters of one version of the network document have cosigned, its owner perhaps among them.
Whoever comes back without his memory, or joins, must hear of it from at least one honest member that is **bound** to
it: one that has cosigned it, or that has itself heard of it when it returned.

Under the version in force, n − k voters may never have cosigned it, and f may lie, or f − 1 others where the node's own
amnesia counts among the faults: one more than both together must answer (:func:`answers_needed`).

The same holds for every earlier version, with its own n, k and f, among those who were its voters. Members who joined
since are bound to what was confirmed under it only when they have finished a return of their own, and tell so
(``since``, the version under which they did): with them, it takes as many with the f of now. Either is enough
(:func:`enough`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ledger.network import Network

MEMBERSHIP_HINT = "the governors decide who takes part: suyuan network show"
RESTORING_HINT = (
    "it goes on when somebody gives the missing entries; if nobody has them, see docs/operations.md, A lost store"
)

Mode = Literal["2f", "2f+1", "all"]


@dataclass(frozen=True, slots=True)
class Answer:
    """Who has told what he remembers: under which version, and since which one he has been bound (0: not yet)."""

    version: int
    since: int


def enough(network: Network, own: str, mode: Mode, answers: Mapping[str, Answer]) -> bool:
    """Tell whether these answers are enough to speak again; those of members under an older version do not count."""
    now = {member.origin for member in network.voters.values()} - {own}
    told = {origin: one for origin, one in answers.items() if origin in now and one.version >= network.version}
    if len(told) < answers_needed(network, mode):
        return False
    return mode == "all" or all(_enough_of(earlier, network, own, mode, told) for earlier in network.versions[:-1])


def answers_needed(network: Network, mode: Mode) -> int:
    """Return how many other members must have answered, under the version in force.

    For n = 3f + 1 these are 2f others when the node's own amnesia counts among the f faults (``2f``), and 2f + 1 when
    it does not. ``all`` asks for every other member, and so finds what was never confirmed too.
    """
    others = max(len(network.voters) - 1, 0)
    if mode == "all":
        return others
    if mode == "2f" and network.faults == 0:
        return 0  # no fault is to be survived, so no amnesia either
    return min(_needed(network, _liars(network.faults, own_counts=mode == "2f")), others)


def _enough_of(earlier: Network, network: Network, own: str, mode: Mode, told: Mapping[str, Answer]) -> bool:
    """Tell whether somebody honest who is bound to what was confirmed under an earlier version must have answered."""
    then = {member.origin for member in earlier.voters.values()}
    if not then:
        return True  # nothing was confirmed
    forgets = mode == "2f" and own in then  # else it has said nothing under that version that it could forget
    if forgets and earlier.faults == network.faults == 0:
        return True
    bound = {origin for origin, one in told.items() if one.since and (origin in then or one.since > earlier.version)}
    others = max(len(network.voters) - 1, 0)
    of_then = _needed(earlier, _liars(earlier.faults, own_counts=forgets))
    of_all = _needed(earlier, _liars(network.faults, own_counts=forgets))
    return len(told.keys() & then) >= of_then or len(bound) >= min(of_all, others)


def _needed(network: Network, liars: int) -> int:
    return len(network.voters) - network.quorum + liars + 1


def _liars(faults: int, *, own_counts: bool) -> int:
    return max(faults - own_counts, 0)
