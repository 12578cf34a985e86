"""Which key of a log signs which entry: validity is by log size, not by clock (protocol section 8)."""

from collections.abc import Callable
from dataclasses import dataclass

from ledger.errors import UnsignedError
from ledger.note import VerifierKey


@dataclass(frozen=True, slots=True)
class LogKeys:
    """The keys of one log, in the order in which they came."""

    origin: str
    spans: tuple[tuple[int, int | None, VerifierKey], ...]  # (from, until, key), leaf indexes

    def within(self, start: int, end: int) -> Callable[[int], VerifierKey]:
        """Return :meth:`at` for indexes from ``start`` to below ``end``, which costs less where it is one key."""
        for first, until, key in reversed(self.spans):
            if first <= start and (until is None or end <= until):
                return lambda _: key
            if first < end:
                break
        return self.at

    def at(self, index: int) -> VerifierKey:
        """Return the key that signs the entry at ``index``.

        Raises:
            UnsignedError: no key of the log is valid there.
        """
        for start, until, key in reversed(self.spans):
            if start <= index and (until is None or index < until):
                return key
        raise UnsignedError(f"no key of {self.origin} is valid at index {index}", field="log_keys")
