"""What an audit finds, and how it tells how far it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, Protocol

from ledger.errors import StoreCorruptError

DAMAGES_MAX = 1000  # named one by one; a store that has more is lost, and a longer list says nothing new


class Damage(NamedTuple):
    """Something that is not what it must be: a stable code, where, and what."""

    code: str
    place: str
    message: str


class Progress(Protocol):
    """Told how far the audit is."""

    def __call__(self, step: str, done: int, total: int | None) -> None:
        """``step`` is ``store``, ``entries`` or ``indexes``; ``total`` is None where nobody knows."""


class TooMuchError(Exception):
    """More damage than is named."""


class Findings:
    """The damages so far."""

    def __init__(self) -> None:
        self._damages: list[Damage] = []

    @property
    def damages(self) -> tuple[Damage, ...]:
        """All of them, in the order in which they were found."""
        return tuple(self._damages)

    def add(self, code: str, place: str, message: str) -> None:
        """Name one more.

        Raises:
            TooMuchError: there are too many already.
        """
        if len(self._damages) >= DAMAGES_MAX:
            raise TooMuchError
        self._damages.append(Damage(code, place, message))

    @contextmanager
    def readable(self, place: str) -> Iterator[None]:
        """Name what cannot be read, and go on behind it."""
        try:
            yield
        except StoreCorruptError as error:
            self.add(error.code, place, error.message)


def silent(step: str, done: int, total: int | None) -> None:
    """Tell nobody how far the audit is."""
    del step, done, total
