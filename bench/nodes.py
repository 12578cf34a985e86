"""Networks of departments, their nodes as real processes, and a stand-in for a peer that lives on another machine."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import Any

import httpx

from bench.context import RUN, end, require, running, wait_until
from cli.demo.network import DemoNetwork, Department, Plan, make_network
from ledger.cosignature import cosign
from ledger.note import Signer
from ledger.witness_request import parse_add_checkpoint
from node.clock import SystemClock
from node.config import Home, load_home
from node.layout import origin_hash
from node.setup import ring_of

COMMAND = (sys.executable, "-P", "-m", "cli.main", "run", "--config")
NAMES = ("police", "tax", "health", "court", "housing", "social")
SETTINGS = {"log_level": "warning"}  # everything else as a department gets it from suyuan init
START_SECONDS_MAX = 60.0


def network_of(folder: Path, count: int, **settings: Any) -> DemoNetwork:
    """Make a network of ``count`` departments with a folder for each of their nodes."""
    names = [NAMES[number] if number < len(NAMES) else f"department-{number}" for number in range(count)]
    plans = [Plan(id=name, name_zh=name, name_en=name) for name in names]
    return make_network(folder, plans, settings={**SETTINGS, **settings})


class NodeProcess:
    """A node of its own process, as ``suyuan run`` starts it."""

    def __init__(self, home: Home, token: str, *, port: int | None = None) -> None:
        self.home = home
        self.token = token
        self.port = home.settings.port if port is None else port
        self.origin = home.settings.origin
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {token}"}, timeout=60, trust_env=False
        )
        self._process: Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process is not None
        return self._process.pid

    def start(self, *, ready: bool = True) -> None:
        """Start the process and wait until it answers, and may write unless ``ready`` is false."""
        self.launch()
        self.wait_up(ready=ready)

    def launch(self) -> None:
        """Start the process."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SUYUAN_")}
        environment["SUYUAN_PORT"] = str(self.port)
        with (self.home.folder / "node.log").open("ab") as log:
            self._process = Popen(
                [*COMMAND, str(self.home.config)],
                stdin=DEVNULL, stdout=log, stderr=log, start_new_session=True, env=environment,
            )  # fmt: skip

    def wait_up(self, *, ready: bool = True) -> None:
        """Wait until the node answers, and may write unless ``ready`` is false."""
        wait_until(lambda: self._answers(ready=ready), f"{self.origin} answers", START_SECONDS_MAX)

    def _answers(self, *, ready: bool) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            said = (self.home.folder / "node.log").read_text("utf-8", "replace")[-2000:]
            raise RuntimeError(f"the node of {self.origin} has ended: {said}")
        try:
            health = self.health()
        except (httpx.HTTPError, ValueError):
            return False
        return not ready or (bool(health["recovery"]["done"]) and self.log()["size"] > 0)

    def health(self) -> dict[str, Any]:
        """Return what the node tells of itself."""
        told: dict[str, Any] = self.client.get("/v1/health").json()
        return told

    def log(self, origin: str | None = None) -> dict[str, Any]:
        """Return what the node tells of a log, its own if none is named."""
        listed = self.client.get("/v1/logs").raise_for_status().json()["logs"]
        found: dict[str, Any] = next(one for one in listed if one["log"] == (origin or self.origin))
        require(found["alarm"] is None, f"no alarm about {found['log']} (it is: {found['alarm']})")
        return found

    def has_event(self, event_id: str) -> bool:
        """Tell whether the node knows an event and can verify it."""
        answer = self.client.get(f"/v1/events/{event_id}")
        return answer.status_code == httpx.codes.OK and bool(answer.json()["verified"])

    def kill(self) -> None:
        """Kill it, as a power cut of the process alone would."""
        assert self._process is not None
        end(self._process, signal.SIGKILL)

    def stop(self) -> None:
        """Stop it in good order."""
        self.client.close()
        if self._process is not None:
            end(self._process)


@contextmanager
def nodes_running(departments: Sequence[Department]) -> Iterator[list[NodeProcess]]:
    """Run the nodes of these departments; all of them may write."""
    nodes = [NodeProcess(one.home, one.token) for one in departments]
    with ExitStack() as stack:
        for node in nodes:
            stack.callback(node.stop)
            node.launch()
        for node in nodes:
            node.wait_up()
        yield nodes


@contextmanager
def one_node(folder: Path) -> Iterator[tuple[NodeProcess, str]]:
    """Run one node whose only peer is a stand-in; give it, and the peer's origin."""
    network = network_of(folder, 2)
    own, peer = network.departments["police"], network.departments["tax"]
    with stand_in(peer.home), nodes_running([own]) as [node]:
        yield node, peer.origin


# A peer that answers as one on another machine would, and costs next to nothing here: it cosigns without looking.


def peer_answer(home: Home, method: str, path: str, body: bytes) -> tuple[int, bytes]:
    """Return status and body of what the stand-in for a peer answers."""
    if method == "POST" and path == "/witness/add-checkpoint":
        request = parse_add_checkpoint(body)
        signature = cosign(_cosigner(home), request.checkpoint, time=SystemClock().now_ms() // 1000)
        return 200, signature.line.encode()
    if method == "GET" and path in ("/v1/logs", "/v1/memory"):
        return 200, b'{"network_version":1,"logs":[]}'
    if method == "POST" and path.startswith("/logs/"):
        return 204, b""
    return 404, b""


_signers: dict[Path, Any] = {}


def _cosigner(home: Home) -> Any:
    if home.keys not in _signers:
        _signers[home.keys] = ring_of(home).newest.cosigner
    return _signers[home.keys]


def peer_transport(home: Home) -> httpx.AsyncBaseTransport:
    """Return the stand-in as the transport of a node in this process."""

    def answer(request: httpx.Request) -> httpx.Response:
        status, body = peer_answer(home, request.method, request.url.path, request.content)
        return httpx.Response(status, stream=httpx.ByteStream(body))  # as from a socket, to be read once

    return httpx.MockTransport(answer)


@contextmanager
def stand_in(*homes: Home) -> Iterator[None]:
    """Run stand-ins for the nodes of these homes, all in one process."""
    command = [sys.executable, "-P", str(RUN), "--stand-in", *(str(home.config) for home in homes)]
    with running(command):
        for home in homes:
            url = f"http://127.0.0.1:{home.settings.port}/v1/logs"
            wait_until(lambda url=url: _is_up(url), f"the stand-in of {home.settings.origin} answers")  # type: ignore[misc]
        yield


def _is_up(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def be_stand_in(configs: Sequence[str]) -> None:
    """Serve the stand-ins of these homes until ended."""
    asyncio.run(_serve([load_home(Path(config)) for config in configs]))


async def _serve(homes: Sequence[Home]) -> None:
    for home in homes:

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, home: Home = home) -> None:
            with ExitStack() as stack:
                stack.callback(writer.close)
                while head := await reader.readuntil(b"\r\n\r\n"):
                    method, path, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
                    lengths = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
                    body = await reader.readexactly(int(lengths[0].split(b":")[1])) if lengths else b""
                    status, answer = peer_answer(home, method, path.partition("?")[0], body)
                    length = b"" if status == 204 else b"Content-Length: %d\r\n" % len(answer)
                    writer.write(b"HTTP/1.1 %d X\r\n%b\r\n%b" % (status, length, answer))
                    await writer.drain()

        await asyncio.start_server(_quietly(serve), "127.0.0.1", home.settings.port)
    await asyncio.Event().wait()


def _quietly(serve: Any) -> Any:
    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            return

    return served


def entries_path(origin: str) -> str:
    """Return the path of a log's entries."""
    return f"/v1/logs/{origin_hash(origin)}/entries"


def log_signer(home: Home) -> Signer:
    """Return the key that signs a department's log: a seed in a file, as ``suyuan init`` makes it."""
    key = ring_of(home).newest.log
    assert isinstance(key, Signer)
    return key


def as_json(value: object) -> str:
    """Return a value as JSON, with the fewest bytes."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
