"""A process beside this node, which shares no interpreter lock with it: it works out what it is sent (node/line.py).

It is never forked from this one, whose store and threads a fork would break: it is a new interpreter, which imports
what it needs, and opens no store and no network. It ends when its line is closed, at the latest with the node.
"""

import socket
import subprocess
import sys
from contextlib import suppress

from node import line
from node.errors import NodeError

START_SECONDS_MAX = 60.0  # it takes half a second; it is started when the machine has much to do
_COMMAND = "from node.{module} import serve; serve({line})"


class WorkerLostError(NodeError):
    """A process beside the node has died, does not answer, or cannot be started; the node does the work itself."""

    code = "worker_lost"
    hint = "look into the system's log for what ended it (memory?); verify_processes = 0, sign_processes = 0 do without"


class Worker:
    """One process, which works for one caller at a time."""

    def __init__(self, module: str, *, seconds_max: float) -> None:
        """Start it with the ``serve`` of a module of the node, and wait until it is ready.

        ``seconds_max``: how long it may take over one answer; then it is given up.

        Raises:
            WorkerLostError: it does not start, or runs other software, for that was changed since the node started.
        """
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._process = subprocess.Popen(  # noqa: S603 - this interpreter, with our own module
                    [sys.executable, "-P", "-c", _COMMAND.format(module=module, line=theirs.fileno())],
                    pass_fds=(theirs.fileno(),),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    start_new_session=True,  # a Ctrl-C in the terminal is the node's to answer
                )
        except OSError as error:
            ours.close()
            raise WorkerLostError(f"a process cannot be started: {error.strerror}") from None
        ours.settimeout(START_SECONDS_MAX)
        self._line = ours
        self._stream = line.stream_of(ours)
        if self.hear() != line.BUILD:
            self.end()
            raise WorkerLostError("a process runs other software: it was changed under the node, so restart that")
        ours.settimeout(seconds_max)

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def ask(self, value: object) -> object:
        """Return what a value comes to.

        Raises:
            WorkerLostError: the process has died, or does not answer.
        """
        self.tell(value)
        return self.hear()

    def tell(self, value: object) -> None:
        """Send a value, also while others are worked out; :meth:`hear` must follow, and says what became of it."""
        with suppress(OSError, ValueError):  # why not, is heard
            line.send(self._stream, value)

    def hear(self) -> object:
        """Wait for what the value comes to that was sent first of those whose answer was not heard.

        Raises:
            WorkerLostError: the process has died, or does not answer.
        """
        try:
            return line.receive(self._stream)
        except Exception as error:  # noqa: BLE001 - it broke off at any byte, or is silent
            self.end()
            why = f"it ended with {self._process.returncode}: {error!r}"
            raise WorkerLostError(f"the process {self.pid} gives no answer; {why}") from None

    def end(self) -> None:
        """End the process at once, whatever it does: it has nothing that could be lost."""
        self._process.kill()
        self._process.wait()
        with suppress(OSError):  # what could not be sent any more
            self._stream.close()
        self._line.close()
