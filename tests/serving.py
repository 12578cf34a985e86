"""A node behind its web server, in a thread of the test's process."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from node_helpers import PATIENCE_SECONDS
from structlog.testing import capture_logs

from node.serve import Server
from node.service import Node


@contextmanager
def running(node: Node) -> Iterator[Server]:
    server = Server(node)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    with capture_logs():
        thread.start()
        try:
            wait_for(lambda: server.started)
            yield server
        finally:
            server.should_exit = True
            thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()


def wait_for(condition: Any) -> None:
    pause = threading.Event()
    for _ in range(int(PATIENCE_SECONDS * 200)):
        if condition():
            return
        pause.wait(0.005)
    raise AssertionError("it never came about")
