"""A network of three departments, made with the command itself, two nodes running; and ways to call the command."""

import contextlib
import io
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

import httpx
import pytest

import cli
from cli import language
from cli.main import main

IMPORTABLE = Path(cli.__file__).parent.parent
START_SECONDS_MAX = 40.0  # two nodes on a machine that is busy with other tests
MEMBERS = {"police": ("公安局", "Police"), "tax": ("税务局", "Tax Service"), "court": ("法院", "Court")}
RUNNING = ("police", "tax")
IDENTIFIER = "150602199001011234"


class Ran(NamedTuple):
    """What came of one call of the command."""

    code: int
    out: str
    err: str


@contextlib.contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """An environment that says nothing to the command but what ``variables`` say."""
    before = dict(os.environ)
    for name in before:
        if name.startswith(("SUYUAN_", "LC_")) or name in {"LANG", "LANGUAGE", "NO_COLOR", "COLUMNS"}:
            del os.environ[name]
    os.environ.update({"LC_ALL": "C.UTF-8", **variables})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def invoke(*arguments: object, env: Mapping[str, str] | None = None, stdin: bytes = b"") -> Ran:
    """Call the command within this process."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    before = sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8")
    try:
        with environment(env or {}), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main([str(argument) for argument in arguments])
    finally:
        sys.stdin = before
        language.speak("en")
    return Ran(code, *(stream.buffer.getvalue().decode() for stream in (out, err)))


def spawn(*arguments: object, **options: Any) -> "subprocess.Popen[bytes]":
    """Start the command as a process of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SUYUAN_", "LC_"))}
    env = {**kept, "LC_ALL": "C.UTF-8", "PYTHONPATH": str(IMPORTABLE), **options.pop("env", {})}
    command = [sys.executable, "-m", "cli.main", *map(str, arguments)]
    return subprocess.Popen(command, env=env, **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options})


@dataclass
class Network:
    """Three departments: their folders, the network document, tokens, and the nodes that run."""

    folder: Path
    fingerprint: str = ""
    urls: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def document(self) -> Path:
        return self.folder / "network.note"

    def home(self, name: str) -> Path:
        return self.folder / name

    def origin(self, name: str) -> str:
        return f"{name}.ordos.example/log"

    def ask(self, name: str) -> tuple[str, ...]:
        """The options that ask a department's node."""
        return ("--config", str(self.home(name)), "--token", self.tokens[name])


@pytest.fixture(scope="session")
def suyuan() -> Callable[..., Ran]:
    """Call the command: ``suyuan("trace", record).code``."""
    return invoke


@pytest.fixture(scope="session")
def start() -> Callable[..., "subprocess.Popen[bytes]"]:
    """Start the command as a process."""
    return spawn


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Network:
    """The three departments, all of them joined; none of their nodes runs yet."""
    made = Network(tmp_path_factory.mktemp("network"))
    ports = free_ports(len(MEMBERS))
    for (name, (zh, en)), port in zip(MEMBERS.items(), ports, strict=True):
        made.urls[name] = f"http://127.0.0.1:{port}"
        done(
            "init", made.home(name), "--origin", made.origin(name), "--url", made.urls[name], "--name-zh", zh,
            "--name-en", en, "--level", "city", "--region", "150600", "--role", "department", "--store", "sqlite",
        )  # fmt: skip
    draft, key = made.folder / "network.draft", made.folder / "governor.key"
    done("network", "new", "ordos", "--out", draft, "--governor-key", key)
    done("network", "add-member", draft, *(made.home(name) / "member.json" for name in MEMBERS))
    made.fingerprint = done("network", "sign", draft, "--key", key, "--out", made.document).out.strip()
    for name in MEMBERS:
        done("init", made.home(name), "--network", made.document, "--fingerprint", made.fingerprint)
        made.tokens[name] = done("token", "new", "tests", "--role", "submit", "--config", made.home(name)).out.strip()
    return made


@pytest.fixture(scope="session")
def nodes(network: Network) -> Iterator[Network]:
    """The network with the nodes of police and tax running: two of three, which is a quorum."""
    with contextlib.ExitStack() as stack:
        for name in RUNNING:
            log = stack.enter_context((network.folder / f"{name}.log").open("wb"))
            process = spawn("run", "--config", network.home(name), stdout=log, stderr=log)
            stack.callback(stop, process)
        for name in RUNNING:
            wait_until_up(network.urls[name])
        yield network


@dataclass
class Story:
    """A record that went from police to tax, was received there, and went on to the court, which has not answered."""

    network: Network
    record: str
    share: str
    receipt: str
    onward: str
    payload: Path


@pytest.fixture(scope="session")
def story(nodes: Network) -> Story:
    """The story, confirmed."""
    payload = nodes.folder / "answer.json"
    payload.write_bytes(b'{"relief":"granted"}')
    record = done("ref", IDENTIFIER, "--config", nodes.home("police")).out.strip()
    share = done(
        "share", "--consumer", nodes.origin("tax"), "--record", record, "--resource", "household-register",
        "--purpose", "property tax relief", "--legal-basis", "Order 809 art. 23", "--method", "api", "--mode", "query",
        "--fields", "name, address", "--rows", "1", "--payload", payload, "--wait", "confirmed", *nodes.ask("police"),
    ).out.split()[0]  # fmt: skip
    wait_until_has(nodes, "tax", share)
    receipt = done(
        "receive", share, "--payload", payload, "--wait", "confirmed", *nodes.ask("tax"),
    ).out.split()[0]  # fmt: skip
    onward = done(
        "share", "--consumer", nodes.origin("court"), "--record", record, "--resource", "household-register",
        "--purpose", "estate case", "--method", "file", "--parent", share, "--wait", "confirmed", *nodes.ask("tax"),
    ).out.split()[0]  # fmt: skip
    wait_until_has(nodes, "police", onward)
    return Story(nodes, record, share, receipt, onward, payload)


class Liar:
    """A node that answers as another one does, but for some paths."""

    def __init__(self, honest: str, token: str) -> None:
        self.honest = honest
        self.token = token
        self.lies: dict[str, Callable[[httpx.Response], tuple[int, str, bytes]]] = {}  # by the beginning of the path
        liar = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, kind, body = liar.answer(self.path)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def answer(self, path: str) -> tuple[int, str, bytes]:
        response = httpx.get(
            self.honest + path, headers={"Authorization": f"Bearer {self.token}"}, trust_env=False, verify=False
        )
        for beginning, lie in self.lies.items():
            if path.startswith(beginning):
                return lie(response)
        return response.status_code, response.headers["content-type"], response.content


@pytest.fixture
def liar(story: Story) -> Iterator[Liar]:
    """A node that lies; it tells the truth of police's node until the test says otherwise."""
    made = Liar(story.network.urls["police"], story.network.tokens["police"])
    thread = Thread(target=made.server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def done(*arguments: object) -> Ran:
    """Call the command, which must succeed."""
    ran = invoke(*arguments)
    assert ran.code == 0, (arguments, ran)
    return ran


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def wait_until_up(url: str) -> None:
    wait_until(lambda: httpx.get(f"{url}/v1/health", trust_env=False).status_code == httpx.codes.OK)


def wait_until_has(network: Network, name: str, entry: str) -> None:
    """Wait until a node has an entry, and knows that it is confirmed."""
    wait_until(lambda: invoke("proof", entry, *network.ask(name)).code == 0)


def wait_until(holds: Callable[[], bool]) -> None:
    for _ in range(int(START_SECONDS_MAX / 0.1)):
        with contextlib.suppress(httpx.HTTPError):
            if holds():
                return
        time.sleep(0.1)
    raise AssertionError("it did not happen in time")


def stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    process.wait(30)
