"""Faults: what peers do wrong.

What goes wrong is told apart, and counted for each peer; a kind is the error's code without its beginning:

    PeerError                     peer_failed
    ├── PeerUnreachableError      peer_unreachable: no connection, or one that broke off
    │   └── PeerSlowError         peer_slow: no answer in time, or one that drips
    ├── PeerBusyError             peer_busy: it asks to come again later
    ├── PeerRefusedError          peer_refused: an error of its own in the place of an answer
    │   ├── PeerTooLongError      peer_too_long: an answer without end
    │   ├── PeerCompressedError   peer_compressed: a short answer that may become a long one
    │   └── PeerMalformedError    peer_malformed: an answer of another form
    ├── PeerFalseError            peer_false: what it gave does not verify
    │   └── PeerKeyEndedError     peer_key_ended: it gave what a log's key has signed above its end
    ├── PeerWithholdsError        peer_withholds: it does not give the entries that it says it has
    ├── PeerStaleError            peer_stale: it shows an older head than is proven already
    └── StaleSizeError            peer_has_other_size: where to begin; no fault, and not counted
"""

from dataclasses import dataclass

from ledger.errors import KeyEndedError, LedgerError
from node.errors import NodeError


class PeerError(NodeError):
    """A peer did not answer, or not as it should."""

    code = "peer_failed"
    hint = "suyuan peers shows which peers answer"


class PeerUnreachableError(PeerError):
    """No answer: refused, timed out, broken off."""

    code = "peer_unreachable"


class PeerSlowError(PeerUnreachableError):
    """No answer in time: nothing came, or a little now and then."""

    code = "peer_slow"


class PeerBusyError(PeerError):
    """The peer asks to come again later (503)."""

    code = "peer_busy"


class PeerRefusedError(PeerError):
    """The peer answered, but not with what it was asked for."""

    code = "peer_refused"


class PeerTooLongError(PeerRefusedError):
    """An answer that is longer than any that the question has; it was not read to its end."""

    code = "peer_too_long"


class PeerCompressedError(PeerRefusedError):
    """An answer that is compressed although none may be; nothing of it was read."""

    code = "peer_compressed"


class PeerMalformedError(PeerRefusedError):
    """An answer of another form than the question has."""

    code = "peer_malformed"


class PeerFalseError(PeerError):
    """What the peer gave does not verify: a wrong signature, or not the continuation of what is here."""

    code = "peer_false"


class PeerKeyEndedError(PeerFalseError):
    """The peer gave what a log's key has signed where that key had ended: somebody uses a key that was given up."""

    code = "peer_key_ended"


class PeerWithholdsError(PeerError):
    """The peer does not give the entries that it says it has, or that it has signed for."""

    code = "peer_withholds"


class PeerStaleError(PeerError):
    """The peer shows an older head than it, or others, have proven already: it is frozen, or freezes us."""

    code = "peer_stale"


class StaleSizeError(PeerError):
    """The peer has cosigned another size than we thought (409)."""

    code = "peer_has_other_size"

    def __init__(self, size: int) -> None:
        super().__init__(f"the peer has cosigned size {size}")
        self.size = size


def not_verified(what: str, error: LedgerError) -> PeerFalseError:
    """Return what a peer has done wrong who gave something that does not verify."""
    kind = PeerKeyEndedError if isinstance(error, KeyEndedError) else PeerFalseError
    return kind(f"{what}: {error}")


@dataclass(frozen=True, slots=True)
class Fault:
    """What a peer did wrong, of one kind: how often, and the last time."""

    count: int
    last_ms: int
    words: str
