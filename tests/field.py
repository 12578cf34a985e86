"""Real nodes on loopback: made with the commands that people type; started, frozen, killed, wiped, put back.

    async with Field(folder, ("police", "tax"), settings={"pull_interval_ms": 500}) as field:
        await field.start_all()
        await field.clients["police"].get("/v1/logs")

Every process that a field has started is gone when its block ends, however it ends.
"""

import asyncio
import shutil
import signal
import subprocess
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx
from departments import Ran, done, free_ports, spawn

from ledger.network import Network
from ledger.tile import parse_bundle
from ledger.versions import verify_chain
from node.config import Home, load_home
from node.layout import origin_hash

SECONDS_MAX = 120.0  # for what takes two: the machine may be busy with other tests
POLL_SECONDS = 0.05
STOP_SECONDS_MAX = 20.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a department's node lies and answers."""

    name: str
    home: Home
    port: int  # of the node itself
    token: str

    @property
    def origin(self) -> str:
        return self.home.settings.origin


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of a node's data folder and head file."""

    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def head(self) -> Path:
        return self.folder / "head"


class Field:
    """Departments with one governor, their nodes as processes."""

    def __init__(
        self,
        folder: Path,
        names: Iterable[str],
        *,
        settings: Mapping[str, object],
        public_ports: Mapping[str, int] | None = None,
    ) -> None:
        """Make the folders and the network; where ``public_ports`` are given, the others reach a node there."""
        self.folder = folder
        self.document = folder / "network.note"
        self.governor = folder / "governor.key"
        self.settings = {**settings}
        self.own_settings: dict[str, dict[str, object]] = {}  # by name; they win
        self.places: dict[str, Place] = {}
        self.clients: dict[str, httpx.AsyncClient] = {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        names = list(names)
        ports = dict(zip(names, free_ports(len(names)), strict=True))
        members = [self.make(name, ports[name], (public_ports or ports)[name]) for name in names]
        draft = folder / "network.draft"
        done("network", "new", "field", "--out", draft, "--governor-key", self.governor)
        done("network", "add-member", draft, *members)
        self.fingerprint = done("network", "sign", draft, "--key", self.governor, "--out", self.document).out.strip()
        for name in names:
            self.join(name)

    @staticmethod
    def origin_of(name: str) -> str:
        return f"{name}.demo.example/log"

    def make(self, name: str, port: int, public_port: int) -> Path:
        """Make a department's folder; return what its governors put into the network document."""
        home = self.folder / name
        done(
            "init", home, "--origin", self.origin_of(name), "--url", f"http://127.0.0.1:{public_port}",
            "--port", port, "--name-zh", name, "--name-en", name, "--level", "city", "--region", "150600",
        )  # fmt: skip
        return home / "member.json"

    def join(self, name: str) -> None:
        """Join the network, and make the token of a department's own systems."""
        folder = self.folder / name
        done("init", folder, "--network", self.document, "--fingerprint", self.fingerprint)
        self.enroll(name)

    def enroll(self, name: str) -> None:
        """Make the token and the client of a department that has joined."""
        folder = self.folder / name
        token = done("token", "new", "tests", "--role", "admin", "--config", folder).out.strip()
        home = load_home(folder)
        self.places[name] = Place(name, home, home.settings.port, token)
        (folder / "tests.token").touch(mode=0o600)
        (folder / "tests.token").write_text(token, "ascii")
        self.clients[name] = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{home.settings.port}",
            headers={"Authorization": f"Bearer {token}"},
            timeout=30,
            trust_env=False,
        )

    def ask(self, name: str) -> tuple[object, ...]:
        """The options with which a command asks a node."""
        return "--config", self.folder / name, "--token-file", self.folder / name / "tests.token"

    def network(self) -> Network:
        """The newest version of the network document."""
        return verify_chain(self.document.read_bytes(), self.fingerprint)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for process in self._processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
        for client in self.clients.values():
            await client.aclose()
        await asyncio.gather(*(asyncio.to_thread(_end, process) for process in self._processes.values()))

    # Processes.

    def start(self, name: str) -> None:
        """Start a node; :meth:`wait_ready` and :meth:`wait_answering` tell how far it is."""
        assert name not in self._processes or self._processes[name].poll() is not None
        settings = {**self.settings, **self.own_settings.get(name, {})}
        with (self.folder / f"{name}.node.log").open("ab") as log:
            self._processes[name] = spawn(
                "run", "--config", self.folder / name, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, env={f"SUYUAN_{key.upper()}": str(value) for key, value in settings.items()},
            )  # fmt: skip

    async def start_all(self) -> None:
        """Start all nodes, and wait until they write."""
        for name in self.places:
            self.start(name)
        await asyncio.gather(*map(self.wait_ready, self.places))

    async def wait_ready(self, name: str) -> float:
        """Wait until a node has come back to where it was, and writes; return the seconds that it took."""
        return await self._wait(name, lambda health: bool(health["recovery"]["done"]))

    async def wait_answering(self, name: str) -> None:
        """Wait until a node answers at all."""
        await self._wait(name, lambda _: True)

    async def _wait(self, name: str, holds: Any) -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            assert self._processes[name].poll() is None, f"the node of {name} has ended: {self.said(name)}"
            try:
                if holds((await self.clients[name].get("/v1/health")).json()):
                    return loop.time() - began
            except httpx.TransportError:
                pass
            assert loop.time() < began + SECONDS_MAX, f"the node of {name} is not ready: {self.said(name)}"
            await asyncio.sleep(POLL_SECONDS)

    def freeze(self, name: str) -> None:
        """Stop a node's process where it is; it has no word in it."""
        self._processes[name].send_signal(signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """Let a frozen process go on."""
        self._processes[name].send_signal(signal.SIGCONT)

    async def kill(self, name: str) -> None:
        """End a node at once (kill -9), frozen or not."""
        self._processes[name].kill()
        await asyncio.to_thread(self._processes[name].wait)

    async def stop(self, name: str) -> None:
        """End a node in good order: when it has tidied up, it dies of the signal that it was given."""
        self._processes[name].terminate()
        code = await asyncio.to_thread(self._processes[name].wait, STOP_SECONDS_MAX)
        assert code in (0, -signal.SIGTERM), (code, self.said(name))

    def said(self, name: str) -> str:
        """The end of a node's log."""
        return (self.folder / f"{name}.node.log").read_bytes()[-2000:].decode("utf-8", "replace")

    # Disks, while the node does not run.

    async def copy(self, name: str) -> Copy:
        """Copy a node's data folder and head file."""
        home = self.places[name].home
        made = Copy(self.folder / "copies" / f"{name}-{len(list((self.folder / 'copies').glob('*')))}")
        await asyncio.to_thread(shutil.copytree, home.data, made.data)
        if home.head.exists():
            shutil.copyfile(home.head, made.head)
        return made

    async def wipe(self, name: str, *, head_too: bool) -> None:
        """Lose a node's data folder and, with it, its head file perhaps; then do what operations.md says."""
        home = self.places[name].home
        await asyncio.to_thread(shutil.rmtree, home.data)
        if head_too:
            home.head.unlink()
        await self.suyuan("init", home.folder, "--rebuild")

    async def restore(self, name: str, copy: Copy, *, head: str) -> None:
        """Put an older copy in the place of a data folder; the head file is the one that was there, older, or gone."""
        home = self.places[name].home
        await asyncio.to_thread(shutil.rmtree, home.data)
        await asyncio.to_thread(shutil.copytree, copy.data, home.data)
        if head == "old":
            shutil.copyfile(copy.head, home.head)
        elif head == "gone":
            home.head.unlink()

    # Commands and questions.

    async def suyuan(self, *arguments: object) -> Ran:
        """Run a command as a process of its own; it must succeed."""
        process = spawn(*arguments)
        try:
            out, err = await asyncio.to_thread(process.communicate)
        finally:
            process.kill()
        ran = Ran(process.returncode, out.decode(), err.decode())
        assert ran.code == 0, (arguments, ran)
        return ran

    async def logs(self, name: str) -> dict[str, dict[str, Any]]:
        """What a node tells of each log."""
        answer = await self.clients[name].get("/v1/logs")
        assert answer.status_code == httpx.codes.OK, answer.text
        return {one["log"]: one for one in answer.json()["logs"]}

    async def entries(self, name: str, origin: str) -> list[bytes]:
        """All entries of a log as a node has them, byte for byte."""
        raws: list[bytes] = []
        size = (await self.logs(name))[origin]["size"]
        while len(raws) < size:
            answer = await self.clients[name].get(
                f"/v1/logs/{origin_hash(origin)}/entries",
                params={"start": len(raws), "limit": 1000},
                headers={"Accept": "application/octet-stream"},
            )
            assert answer.status_code == httpx.codes.OK, answer.text
            raws += parse_bundle(answer.content, count=int(answer.headers["Entry-Count"]))
        return raws


def _end(process: "subprocess.Popen[bytes]") -> None:
    try:
        process.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Return when something holds."""
    async with asyncio.timeout(SECONDS_MAX):
        while True:
            if await holds():
                return
            await asyncio.sleep(POLL_SECONDS)
