"""The line between this node and a process beside it, which works something out and keeps nothing.

Such a process runs :func:`serve`: it says its version, then answers every value with what its function gives. It opens
nothing, and ends with its line. What stands here, and the version, is all that it imports of the node besides its
function.
"""

import gc
import pickle
import socket
from collections.abc import Callable
from contextlib import suppress
from io import BufferedRWPair

from node.release import release

GARBAGE_MIN = 100_000  # objects between two searches for cycles, of which such work makes none


def build() -> str:
    """Return which version of this software a process runs: an upgrade may have come after the node started."""
    return release()


def send(stream: BufferedRWPair, value: object) -> None:
    """Write a value to the other side of the line."""
    pickle.dump(value, stream, protocol=pickle.HIGHEST_PROTOCOL)
    stream.flush()


def receive(stream: BufferedRWPair) -> object:
    """Read a value from the other side of the line: this node's own process, nobody else can write there.

    Raises:
        EOFError, OSError: the other side has ended.
    """
    return pickle.load(stream)  # noqa: S301 - see above


def serve(line: int, answer: Callable[[object], object]) -> None:
    """Answer the values that come over ``line``, a socket, until it is closed."""
    gc.freeze()
    gc.set_threshold(GARBAGE_MIN)
    with socket.socket(fileno=line) as both, both.makefile("rwb") as stream, suppress(EOFError, OSError):
        send(stream, build())
        while True:
            send(stream, answer(receive(stream)))
