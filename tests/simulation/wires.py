"""The network of a simulation: every request and every answer travels on its own, and may not arrive.

A seeded :class:`random.Random` gives each its delay (which is also what puts messages into another order), loses some,
and delivers some requests twice. Partitions and one-way cuts block what crosses them, from the moment on in which they
begin: what is under way is lost as well. A caller who gets no answer waits out his own patience, as one does who sits
behind a connection that has gone silent; a machine that is down refuses at once.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random

import httpx

Serve = Callable[[str, httpx.Request], Awaitable[httpx.Response]]  # by whom it is asked, and what
Watch = Callable[[str, str, str, bytes, int | None, bytes], None]  # from, to, path, asked, status or None, answer


@dataclass(frozen=True)
class Weather:
    """How bad the network is."""

    delay_s: float = 0.01  # on average
    loss: float = 0.0  # of each message, there or back
    twice: float = 0.0  # requests that arrive two times
    late: float = 0.0  # messages that are overtaken by others
    late_s: float = 2.0  # by how much, at most


FINE = Weather()


@dataclass
class Wires:
    """All wires between the members; ``random`` decides what becomes of a message."""

    random: Random
    watch: Watch
    patience_s: float
    weather: Weather = FINE
    slow: dict[str, float] = field(default_factory=dict)  # members whose messages take that much longer
    groups: list[frozenset[str]] = field(default_factory=list)  # a partition: only within a group messages arrive
    cuts: set[tuple[str, str]] = field(default_factory=set)  # (from, to): one way
    servers: dict[str, Serve] = field(default_factory=dict)  # by host; who is not there is down
    tell: Callable[[str], None] | None = None
    messages: int = 0

    def __post_init__(self) -> None:
        self._digest = hashlib.sha256()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def digest(self) -> str:
        """What tells two runs apart: a hash of all that was delivered, to whom and when."""
        return self._digest.hexdigest()

    def to(self, source: str, host: str) -> httpx.AsyncBaseTransport:
        """What a client of ``source`` sends its requests to ``host`` with."""
        return _Line(self, source, host)

    def heal(self) -> None:
        """From now on everything arrives, and soon."""
        self.weather = FINE
        self.groups, self.slow = [], {}
        self.cuts.clear()

    async def carry(self, source: str, host: str, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        path = request.url.raw_path.decode()
        self.watch(source, host, path, body, None, b"")
        if self.random.random() < self.weather.twice:
            copy = asyncio.create_task(self._again(source, host, request))
            self._tasks.add(copy)
            copy.add_done_callback(self._tasks.discard)
        response = await self._there(source, host, request)
        self.watch(source, host, path, body, response.status_code, response.content)
        await self._travel(host, source, request)
        self._deliver(host, source, f"{response.status_code} {path}", response.content)
        return httpx.Response(
            response.status_code, headers=response.headers, stream=httpx.ByteStream(response.content), request=request
        )

    async def _again(self, source: str, host: str, request: httpx.Request) -> None:
        try:
            response = await self._there(source, host, request)
        except httpx.TransportError:
            return
        path, body = request.url.raw_path.decode(), request.content
        self.watch(source, host, path, body, response.status_code, response.content)  # and then it is lost

    async def _there(self, source: str, host: str, request: httpx.Request) -> httpx.Response:
        await self._travel(source, host, request)
        self._deliver(source, host, f"{request.method} {request.url.raw_path.decode()}", request.content)
        server = self.servers.get(host)
        if server is None:
            raise httpx.ConnectError("nobody listens", request=request)
        return await server(source, request)

    async def _travel(self, source: str, target: str, request: httpx.Request) -> None:
        weather, chance = self.weather, self.random
        delay = chance.expovariate(1 / weather.delay_s) * max(self.slow.get(source, 1), self.slow.get(target, 1))
        if chance.random() < weather.late:
            delay += chance.random() * weather.late_s
        lost = chance.random() < weather.loss or self._is_blocked(source, target)
        await asyncio.sleep(delay)
        if lost or self._is_blocked(source, target):
            await asyncio.sleep(self.patience_s)
            raise httpx.ReadTimeout("no answer", request=request)

    def _is_blocked(self, source: str, target: str) -> bool:
        if (source, target) in self.cuts:
            return True
        return any((source in group) != (target in group) for group in self.groups)

    def _deliver(self, source: str, target: str, what: str, body: bytes) -> None:
        self.messages += 1
        now = asyncio.get_running_loop().time()
        self._digest.update(f"{now!r} {source} {target} {what} {len(body)}\n".encode() + body)
        if self.tell is not None:
            self.tell(f"{source} → {target}  {what}  ({len(body)} bytes)")


class _Line(httpx.AsyncBaseTransport):
    def __init__(self, wires: Wires, source: str, host: str) -> None:
        self._wires = wires
        self._source = source
        self._host = host

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._wires.carry(self._source, self._host, request)
