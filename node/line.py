"""The line between this node and a process beside it, which works something out and keeps nothing.

Such a process runs :func:`serve`: it says which software it runs, then answers every value with what its function
gives. It opens nothing, and ends with its line. What stands here, and its function, is all that it imports of the node.
"""

import gc
import hashlib
import pickle
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from io import BufferedRWPair
from pathlib import Path
from queue import SimpleQueue
from typing import Final, cast

BUFFER_BYTES = 256 * 1024  # of the line, each way: a piece of a backlog is a megabyte
SENT_BYTES = 1024 * 1024  # and not yet read by the other side
GARBAGE_MIN = 100_000  # objects between two searches for cycles, of which such work makes none


def files_of(folder: Path) -> str:
    """Return what changes when files of the ledger or the node in ``folder`` change: hex SHA-256 of sizes and times."""
    digest = hashlib.sha256()
    for file in sorted(file for package in ("ledger", "node") for file in (folder / package).rglob("*.py")):
        status = file.stat()
        digest.update(f"{file.relative_to(folder)} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


_END: Final = object()  # of the line

BUILD: Final = files_of(Path(__file__).parent.parent)  # as of now: an upgrade may come while the node runs


def stream_of(line: socket.socket) -> BufferedRWPair:
    """Return the line as values are sent and received over it."""
    line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SENT_BYTES)  # or as much as the system allows
    return cast("BufferedRWPair", line.makefile("rwb", BUFFER_BYTES))


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
    """Answer the values that come over ``line``, a socket, until it is closed, each after the one before.

    They are read while earlier ones are worked out: whoever sends several never waits for one who waits for him.
    """
    gc.freeze()
    gc.set_threshold(GARBAGE_MIN)
    values: SimpleQueue[object] = SimpleQueue()  # as many as the other side has sent and not heard of
    with socket.socket(fileno=line) as both, stream_of(both) as stream, suppress(EOFError, OSError):
        send(stream, BUILD)
        threading.Thread(target=_read, args=(stream, values), daemon=True).start()
        try:
            while (value := values.get()) is not _END:
                send(stream, answer(value))
        finally:  # also where there is no answer: who reads holds the stream, and the other side waits for its end
            with suppress(OSError):
                both.shutdown(socket.SHUT_RDWR)


def _read(stream: BufferedRWPair, values: "SimpleQueue[object]") -> None:
    try:
        while True:
            values.put(receive(stream))
    except (EOFError, OSError, pickle.UnpicklingError):  # the last one where it ends within a value
        pass
    finally:
        values.put(_END)
