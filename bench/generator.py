"""The load generator: as many connections as asked for, each sending its next request when the last one is answered.

A process of its own, on the same machine as the node, as pgbench is for PostgreSQL. All requests are made before the
clock starts; then one loop writes and reads sockets, and looks at nothing of an answer but its status and length. It
takes about 15 µs of a core for each request, which the measured side pays for as well.

It reads its orders as one line of JSON, answers ``ready``, starts at the next line, and ends with its report.
"""

import json
import select
import socket
import sys
import time
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

from bench import load
from bench.context import RUN, end, require

SOCKET_SECONDS_MAX = 60.0


class Load:
    """A generator's process, from the side of the bench."""

    def __init__(
        self, *, port: int, token: str, consumer: str, connections: int, requests: int, batch: int = 0,
        first: int = 0, answered_file: Path | None = None,
    ) -> None:  # fmt: skip
        """Prepare ``requests`` requests of one event each, or of ``batch`` events, numbered from ``first`` on."""
        self._process = Popen(
            [sys.executable, "-P", str(RUN), "--generator"], stdin=PIPE, stdout=PIPE, text=True, start_new_session=True
        )
        orders = {
            "port": port, "token": token, "consumer": consumer, "connections": connections, "requests": requests,
            "batch": batch, "first": first,
            "answered_file": None if answered_file is None else str(answered_file),
        }  # fmt: skip
        self._tell(json.dumps(orders))
        self._heard = self._hear()
        require(self._heard == "ready", "the load generator is ready")

    def run(self) -> dict[str, Any]:
        """Send everything; return the report: answered, refused, seconds, latencies."""
        self.begin()
        return self.report()

    def begin(self) -> None:
        """Start sending."""
        self._tell("go")

    def report(self) -> dict[str, Any]:
        """Wait for the end and return the report."""
        report: dict[str, Any] = json.loads(self._hear())
        self.close()
        return report

    def close(self) -> None:
        """End the process."""
        end(self._process)  # type: ignore[arg-type]
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _hear(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


# From here on: the generator's own side.


def generate() -> None:
    """Be the generator."""
    orders = json.loads(sys.stdin.readline())
    requests = [_request(orders, number) for number in range(orders["requests"])]
    connections = [_connect(orders["port"]) for _ in range(orders["connections"])]
    print("ready", flush=True)
    sys.stdin.readline()
    report = _drive(connections, requests)
    if orders["answered_file"] is not None:
        each = max(orders["batch"], 1)
        numbers = [orders["first"] + one * each + offset for one in report["done"] for offset in range(each)]
        Path(orders["answered_file"]).write_text(" ".join(map(str, numbers)), "ascii")
    del report["done"]
    report["events"] = report["answered"] * max(orders["batch"], 1)
    print(json.dumps(report), flush=True)


def _request(orders: dict[str, Any], number: int) -> bytes:
    each = orders["batch"]
    first = orders["first"] + number * max(each, 1)
    events = [load.share(first + offset, orders["consumer"]) for offset in range(max(each, 1))]
    path = "/v1/events/batch" if each else "/v1/events"
    body = json.dumps({"events": events} if each else events[0], ensure_ascii=False, separators=(",", ":")).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{orders['port']}\r\n"
        f"Authorization: Bearer {orders['token']}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _connect(port: int) -> socket.socket:
    one = socket.create_connection(("127.0.0.1", port), SOCKET_SECONDS_MAX)
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    one.settimeout(SOCKET_SECONDS_MAX)
    return one


def _drive(connections: list[socket.socket], requests: list[bytes]) -> dict[str, Any]:
    """Send each request on the next free connection; a connection that breaks is not used again."""
    poll = select.epoll()
    by_number = {one.fileno(): one for one in connections}
    waiting: dict[int, tuple[int, float]] = {}  # request and when it was sent, by connection
    received: dict[int, bytes] = {}
    latencies: list[float] = []
    done: list[int] = []
    refused, broken, position = 0, 0, 0
    clock = time.perf_counter
    for place, one in by_number.items():
        poll.register(place, select.EPOLLIN)
        received[place] = b""
        if position < len(requests):
            waiting[place] = (position, clock())
            one.sendall(requests[position])
            position += 1
    start = min((when for _, when in waiting.values()), default=clock())
    while waiting:
        for place, _ in poll.poll(SOCKET_SECONDS_MAX):
            one = by_number[place]
            try:
                part = one.recv(1 << 20)
            except OSError:
                part = b""
            if not part:
                poll.unregister(place)
                broken += waiting.pop(place, None) is not None
                continue
            data = received[place] + part
            status = _status(data)
            if status is None:
                received[place] = data
                continue
            now = clock()
            received[place] = b""
            number, sent = waiting.pop(place)
            latencies.append(now - sent)
            if status == b"201":
                done.append(number)
            else:
                refused += 1
            if position < len(requests):
                waiting[place] = (position, clock())
                try:
                    one.sendall(requests[position])
                except OSError:
                    continue  # its end is reported by the next poll
                position += 1
    seconds = clock() - start
    for one in connections:
        one.close()
    latencies.sort()
    return {
        "answered": len(done), "refused": refused, "broken": broken, "seconds": seconds, "done": done,
        "p50_ms": _at(latencies, 0.50), "p99_ms": _at(latencies, 0.99), "max_ms": _at(latencies, 1.0),
    }  # fmt: skip


def _status(data: bytes) -> bytes | None:
    """Return the status of an answer that is there as a whole."""
    head, found, body = data.partition(b"\r\n\r\n")
    if not found:
        return None
    lower = head.lower()
    place = lower.find(b"content-length:")
    length = int(lower[place + 15 :].split(b"\r\n", 1)[0])
    return head[9:12] if len(body) >= length else None


def _at(ordered: list[float], share: float) -> float:
    return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
