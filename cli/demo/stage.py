"""Running a demonstration from beginning to end: network, transfers, proof, tampering, and everything stopped again."""

import asyncio
import json
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from cli.demo.cluster import Cluster
from cli.demo.network import DemoNetwork, Plan, make_network
from cli.demo.replay import Progress, Replay
from cli.demo.scene import PLANS, Played, Scene
from cli.sources.transfers import Transfer, departments_of
from ledger.encoding import canonical_json, encode_base64, parse_base64
from ledger.entry import parse_entry
from ledger.errors import LedgerError
from ledger.evidence import Evidence, verify_evidence
from node.clock import SystemClock
from node.errors import ConfigError

SCHEMA = "suyuan.demo/1"
SETTINGS_SMALL = {"checkpoint_interval_ms": 100, "pull_interval_ms": 500}
SETTINGS_LARGE = {"checkpoint_interval_ms": 300, "pull_interval_ms": 1500}
LARGE = 6  # nodes; from there on they share two cores more politely


class Audience(Protocol):
    """Who watches: every moment of a demonstration, to be shown or not."""

    def starting(self, count: int) -> None:
        """The nodes are about to be started."""

    def started(self, network: DemoNetwork, seconds: float) -> None:
        """All nodes are up."""

    def played(self, played: Played) -> None:
        """A transfer of the scene was made."""

    def confirmed(self, sizes: dict[str, int]) -> None:
        """Every log is confirmed on every node."""

    def traced(self, evidence: Evidence, network: DemoNetwork) -> None:
        """A record's history was fetched and verified."""

    def verified(self, path: Path, evidence: Evidence) -> None:
        """The evidence file was verified offline."""

    def tampered(self, share: str, error: LedgerError) -> None:
        """A tampered copy was found out."""

    def progress(self, progress: Progress) -> None:
        """Further rows were played."""

    def note(self, text: str) -> None:
        """Something happened to a node."""

    def finished(self, summary: dict[str, Any], kept: Path | None) -> None:
        """Everything has been shown."""


@dataclass(slots=True, kw_only=True)
class Options:
    """What was asked for."""

    transfers: list[Transfer] | None = None
    keep: Path | None = None
    serve: bool = False
    on_ready: Callable[[list[dict[str, str]]], None] = field(default=lambda _lines: None)


async def demonstrate(options: Options, audience: Audience) -> dict[str, Any]:
    """Run the demonstration and return its summary (schema suyuan.demo/1).

    Raises:
        ConfigError: the folder to keep is not empty, or the file's departments cannot be shown.
        ReplayError, SceneError, NodeStartError: it could not be played to its end.
        VerificationError: what the nodes tell does not verify.
    """
    started = SystemClock().now_ms()
    with tempfile.TemporaryDirectory(prefix="suyuan-demo-") as temporary:
        folder = _folder(options.keep, Path(temporary))
        plans = PLANS if options.transfers is None else _plans(options.transfers)
        audience.starting(len(plans))
        network = await asyncio.to_thread(make_network, folder, plans, settings=_settings(len(plans)))
        async with _interruptible() as interrupt, Cluster(network, say=audience.note) as cluster:
            audience.started(network, _seconds_since(started))
            if options.transfers is None:
                summary = await _play_scene(network, cluster, audience)
            else:
                summary = await _play_file(network, cluster, options.transfers, audience)
            summary |= {"seconds": round(_seconds_since(started), 2), "nodes": len(network.departments)}
            audience.finished(summary, options.keep)
            if options.serve:
                options.on_ready([_line(network, name) for name in network.departments])
                await interrupt.serve()
    return summary


async def _play_scene(network: DemoNetwork, cluster: Cluster, audience: Audience) -> dict[str, Any]:
    scene = Scene(network, cluster)
    async for played in scene.play():
        audience.played(played)
    audience.confirmed(await scene.confirmed())
    _write_records(network.folder, {"resident": scene.record})
    path, evidence = await fetch_evidence(network, cluster, "civil-affairs", scene.record)
    audience.traced(evidence, network)
    audience.verified(path, evidence)
    audience.tampered(*tamper(path, network.fingerprint))
    rows = len(scene.played)
    return _summary(rows, rows, rows, rows, records=1)


async def _play_file(
    network: DemoNetwork, cluster: Cluster, transfers: list[Transfer], audience: Audience
) -> dict[str, Any]:
    replay = Replay(network, cluster, transfers, on_progress=audience.progress)
    await replay.run()
    _write_records(network.folder, replay.records)
    longest = max(replay.records, key=lambda record: sum(one.record == record for one in transfers))
    _, evidence = await fetch_evidence(network, cluster, transfers[0].provider, replay.records[longest])
    audience.traced(evidence, network)
    done = replay.progress
    return _summary(done.rows, done.shares, done.receipts, done.confirmed, records=len(replay.records))


async def fetch_evidence(network: DemoNetwork, cluster: Cluster, name: str, record: str) -> tuple[Path, Evidence]:
    """Ask one node for a record's evidence, keep the file, and verify it here, without believing the node.

    Raises:
        VerificationError, MalformedError: the file does not hold.
    """
    answer = await cluster.clients[name].get(f"/v1/records/{record}/evidence")
    answer.raise_for_status()
    path = network.folder / "evidence.json"
    path.write_bytes(answer.content)
    return path, await asyncio.to_thread(verify_evidence, answer.content, fingerprint=network.fingerprint)


def tamper(path: Path, fingerprint: str) -> tuple[str, LedgerError]:
    """Change one byte of a share's purpose in a copy of an evidence file; return which, and what the verifier says.

    Everything around it stays well formed, so that only the cryptography can find it.
    """
    body = json.loads(path.read_bytes())
    number, line, entry = next(_shares(body["proofs"]))
    place = entry.index(b'"purpose":"') + len(b'"purpose":"')
    changed = entry[:place] + bytes((entry[place] ^ 1,)) + entry[place + 1 :]
    body["proofs"][number][line] = f"extra {encode_base64(changed)}"
    data = (canonical_json(body) + "\n").encode()
    path.with_name("evidence-tampered.json").write_bytes(data)
    try:
        verify_evidence(data, fingerprint=fingerprint)
    except LedgerError as error:
        return str(parse_entry(entry).ref), error
    raise AssertionError("a tampered file has passed: this must never happen")


def _shares(proofs: list[list[str]]) -> Iterator[tuple[int, int, bytes]]:
    """Yield where in an evidence file the shares stand, and their entries."""
    for number, lines in enumerate(proofs):
        for line, text in enumerate(lines):
            if text.startswith("extra "):
                entry = parse_base64(text.removeprefix("extra "))
                if b'"purpose":"' in entry:
                    yield number, line, entry


class Interrupt:
    """An interrupt from outside: it ends the play, or, when everything is shown and only served, the serving."""

    def __init__(self, task: "asyncio.Task[Any]") -> None:
        self._task = task
        self._asked = asyncio.Event()
        self._serving = False

    def ask(self) -> None:
        """Stop, in good order."""
        if not self._asked.is_set() and not self._serving:
            self._task.cancel()
        self._asked.set()

    async def serve(self) -> None:
        """Return when the interrupt comes."""
        self._serving = True
        await self._asked.wait()


@asynccontextmanager
async def _interruptible() -> AsyncIterator[Interrupt]:
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None
    interrupt = Interrupt(task)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt.ask)
    try:
        yield interrupt
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def _seconds_since(start_ms: int) -> float:
    return (SystemClock().now_ms() - start_ms) / 1000


def _folder(keep: Path | None, temporary: Path) -> Path:
    if keep is None:
        return temporary
    if keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
        raise ConfigError(
            "the folder is not empty", field=str(keep), hint="give --keep a new folder: nothing is overwritten"
        )
    keep.mkdir(parents=True, exist_ok=True)
    return keep.resolve()


def _plans(transfers: list[Transfer]) -> list[Plan]:
    return [Plan(id=name, name_zh=name, name_en=name) for name in departments_of(transfers)]


def _settings(count: int) -> dict[str, Any]:
    return SETTINGS_LARGE if count >= LARGE else SETTINGS_SMALL


def _write_records(folder: Path, records: dict[str, str]) -> None:
    text = json.dumps(records, ensure_ascii=False, indent=1, sort_keys=True)
    (folder / "records.json").write_text(text + "\n", "utf-8")


def _line(network: DemoNetwork, name: str) -> dict[str, str]:
    one = network.departments[name]
    return {"id": one.id, "url": one.url, "token_file": str(one.token_file), "config": str(one.home.config)}


def _summary(rows: int, shares: int, receipts: int, confirmed: int, *, records: int) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "rows": rows,
        "shares": shares,
        "receipts": receipts,
        "confirmed": confirmed,
        "records": records,
    }
