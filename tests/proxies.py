"""The wires between real nodes: one small HTTP proxy before each, which knows who sends, hears everything, and can be
told that nothing passes from one node to another.

A member's URL in the network document is that of its proxy; its node listens elsewhere. What is sent over a cut wire is
held, as TCP holds it, and delivered when the wire is mended, also when the sender has long given up: a late request is
one more thing that a node must survive. A request from A to B needs the wire A→B, its answer the wire B→A.
"""

import asyncio
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

BODY_BYTES_MAX = 64 * 1024 * 1024
_SIGNED_BY = re.compile(rb'^signature-input:.*;keyid="([^"]+)"', re.IGNORECASE | re.MULTILINE)
_LENGTH = re.compile(rb"^content-length: *(\d+)\r?$", re.IGNORECASE | re.MULTILINE)
_CHUNKED = re.compile(rb"^transfer-encoding:", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Heard:
    """One request that was on a wire, or its answer, whether it arrived or not."""

    path: str  # "POST /witness/add-checkpoint"
    request: bytes
    status: int | None = None  # of the answer; None: there is none yet
    answer: bytes = b""


@dataclass
class Wires:
    """All wires between the nodes."""

    listen: Callable[[Heard], None]
    nodes: dict[str, tuple[int, int]] = field(default_factory=dict)  # by origin: port of the proxy, of the node
    held: int = 0  # requests and answers that had to wait
    _cut: set[tuple[str, str]] = field(default_factory=set)
    _mended: asyncio.Event = field(default_factory=asyncio.Event)
    _servers: list[asyncio.Server] = field(default_factory=list)
    _talks: set["asyncio.Task[None]"] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        for origin, (port, _) in self.nodes.items():
            self._servers.append(await asyncio.start_server(self._taker(origin), "127.0.0.1", port))
        return self

    async def __aexit__(self, *_: object) -> None:
        for server in self._servers:
            server.close()
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    @property
    def parted(self) -> bool:
        """Whether any wire is cut."""
        return bool(self._cut)

    def cut(self, senders: Iterable[str], receivers: Iterable[str]) -> None:
        """Let nothing pass from any of the senders to any of the receivers."""
        receivers = list(receivers)
        self._cut |= {(one, other) for one in senders for other in receivers}

    def part(self, group: Iterable[str], others: Iterable[str]) -> None:
        """Let nothing pass between two groups."""
        group, others = list(group), list(others)
        self.cut(group, others)
        self.cut(others, group)

    def mend(self) -> None:
        """Let everything pass, beginning with what was held."""
        self._cut.clear()
        self._mended.set()
        self._mended = asyncio.Event()

    def _taker(self, target: str) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
        def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            talk = asyncio.get_running_loop().create_task(self._talk(target, reader, writer), name=f"to {target}")
            self._talks.add(talk)
            talk.add_done_callback(self._talks.discard)

        return take

    async def _talk(self, target: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry the requests of one connection, which one node has opened, and their answers."""
        writers = [writer]
        with suppress(OSError, asyncio.IncompleteReadError):
            try:
                there: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
                sender: str | None = None
                while True:
                    head, body = await _message(reader)
                    sender = _sender(head, body) or sender
                    path = b" ".join(head.split(b" ", 2)[:2]).decode()
                    self.listen(Heard(path, body))
                    await self._pass(sender, target)
                    if there is None:
                        there = await asyncio.open_connection("127.0.0.1", self.nodes[target][1])
                        writers.append(there[1])
                    there[1].write(head + body)
                    answer_head, answer = await _message(there[0])
                    self.listen(Heard(path, body, int(answer_head.split(b" ", 2)[1]), answer))
                    await self._pass(target, sender)
                    writer.write(answer_head + answer)
                    await writer.drain()
            finally:
                for one in writers:
                    one.close()

    async def _pass(self, sender: str | None, receiver: str | None) -> None:
        waited = False
        while self._is_cut(sender, receiver):
            self.held += not waited
            waited = True
            await self._mended.wait()

    def _is_cut(self, sender: str | None, receiver: str | None) -> bool:
        """Tell whether something is held; what does not say whose it is, no wire of a cut network carries."""
        if sender is None or receiver is None:
            return bool(self._cut)
        return (sender, receiver) in self._cut


async def _message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Read the head of a request or an answer, up to its empty line, and its body."""
    head = await reader.readuntil(b"\r\n\r\n")
    assert _CHUNKED.search(head) is None, head  # nodes state every length; this is no general proxy
    length = int(found[1]) if (found := _LENGTH.search(head)) else 0
    assert length <= BODY_BYTES_MAX
    return head, await reader.readexactly(length)


def _sender(head: bytes, body: bytes) -> str | None:
    """Return who has signed a request; a checkpoint to be cosigned is signed in its own way."""
    if (found := _SIGNED_BY.search(head)) is not None:
        return found[1].decode()
    if head.startswith(b"POST /witness/add-checkpoint "):
        return body.partition(b"\n\n")[2].partition(b"\n")[0].decode()
    return None
