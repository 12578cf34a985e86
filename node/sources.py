"""Sources: whom to ask for the entries of a log, and who gives way to others.

What a peer says that it holds is only its word. It counts up to what is wanted, so that a larger word earns nothing;
and where nothing but peers' words speak for what is wanted, up to the next entry, so that all who say that they have
it are alike.

A source that gives fewer entries than it was asked for, or takes long for them, gives way to the others that can be
asked; each has its turn again. One that lags, which has no such excuse as to have no more of them, comes behind the
others for a while, whatever it says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ledger.errors import LedgerError
from node.faults import PeerBusyError, PeerSlowError, PeerUnreachableError, PeerWithholdsError
from node.peers import Peer

FULL_BYTES_MIN = 1 << 20  # an honest answer that has fewer entries than were asked for is four times as long
REASONS_CHARACTERS_MAX = 500
LAG_MS = 60_000  # for so long whoever lags comes behind the others


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """What is to be fetched of a log."""

    origin: str
    here: int  # entries that are here already
    size: int  # entries that are to be here
    claimed: bool = False  # nothing but a peer's word speaks for the size
    hint: str | None = None  # a peer that should have them


def reasons(problems: Mapping[Peer, LedgerError]) -> str:
    """Return why peers have not given what was wanted: each reason once, behind all who gave it."""
    if not problems:
        return "there is no other member to ask"
    givers: dict[str, list[str]] = {}
    for peer, error in problems.items():
        givers.setdefault(str(error), []).append(peer.origin)
    return "; ".join(f"{', '.join(origins)}: {reason}" for reason, origins in givers.items())[:REASONS_CHARACTERS_MAX]


def order(peers: Mapping[str, Peer], want: Want, now_ms: int) -> list[Peer]:
    """Return all peers: the owner, the hint, who says to have more; then who lags, lacks them, or was silent."""
    first = [name for name in (want.origin, want.hint) if name is not None and name in peers]
    counted = want.here + 1 if want.claimed else want.size

    def place(name: str) -> tuple[bool, bool, bool, int]:
        status = peers[name].status
        told = status.sizes.get(want.origin)
        lacks = told is not None and told <= want.here and name not in first
        lags = status.lagged_ms is not None and 0 <= now_ms - status.lagged_ms < LAG_MS
        return status.failures > 0, lacks, lags, -counted - 1 if name in first else -min(told or 0, counted)

    return [peers[name] for name in sorted(dict.fromkeys((*first, *peers)), key=place)]


def is_promised(peer: Peer, origin: str, index: int) -> bool:
    """Tell whether a peer says that it has an entry, or is the log's owner, who has signed for it."""
    return peer.origin == origin or peer.status.sizes.get(origin, 0) > index


def note_piece(peer: Peer, origin: str, start: int, limit: int, raws: Sequence[bytes], times: tuple[int, int]) -> bool:
    """Tell whether a source, for what it gave of ``limit`` entries from ``start`` on, gives way to the others.

    ``times`` are those of question and answer, in milliseconds. It comes behind the others besides, unless by its own
    word it has no more. Few entries of those that it has promised are its fault; time is not.
    """
    asked_ms, now_ms = times
    slow = now_ms - asked_ms > peer.slow_ms
    short = len(raws) < limit and sum(map(len, raws)) < FULL_BYTES_MIN
    end = start + len(raws)
    if short and is_promised(peer, origin, end):
        peer.blame(PeerWithholdsError(f"{len(raws)} of {limit} entries of {origin} from {start} on, which it has"))
    if slow or (short and (is_promised(peer, origin, end) or origin not in peer.status.sizes)):
        peer.status.lagged_ms = now_ms
    return slow or short


def note_failure(peer: Peer, error: Exception, *, now_ms: int) -> None:
    """Put a source behind the others that has given nothing: not one that is busy, nor one that is away."""
    away = isinstance(error, PeerUnreachableError) and not isinstance(error, PeerSlowError)
    if not away and not isinstance(error, PeerBusyError):
        peer.status.lagged_ms = now_ms
