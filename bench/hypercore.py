"""hypercore 11 as people would pick it instead: an append-only log with a Merkle tree, replicated between peers.

Installed by npm below ``build/bench`` from the versions that ``bench/npm/package-lock.json`` names, run by Node.js. Its
own appends do not wait for the disk; the programs in ``bench/npm`` sync its journal, so that what is compared is as
durable. It signs the head of each batch and not each event, and nobody else's signature stands beside it.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import load
from bench.context import CACHE, ROOT, Bench, NotHereError, require, running
from bench.nodes import as_json

SOURCES = ROOT / "bench" / "npm"
NODE_MIN = 20
INSTALL_SECONDS_MAX = 300
HELP = f"apt-get install nodejs npm, or any Node.js from version {NODE_MIN} on"


class Hypercore:
    """hypercore, installed."""

    def __init__(self) -> None:
        self._folder = _install()

    def append(self, folder: Path, lines: Path, batch: int) -> float:
        """Append the lines of a file in batches, each synced; return blocks per second."""
        told = self._run("append.js", str(folder), str(lines), str(batch))
        require(told["syncs"] >= told["blocks"] / batch, "hypercore's journal was synced after every batch")
        return float(told["blocks"] / told["seconds"])

    @contextmanager
    def serving(self, folder: Path) -> Iterator[dict[str, Any]]:
        """Serve what was appended; give port, key and number of blocks."""
        command = [_node(), str(self._folder / "serve.js"), str(folder)]
        with running(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=self._folder) as process:
            assert process.stdout is not None
            assert process.stdin is not None
            yield json.loads(process.stdout.readline())
            process.stdin.close()
            process.stdout.close()

    def fetch(self, folder: Path, served: dict[str, Any], batch: int) -> float:
        """Copy what is served over TCP into a new core, synced after each batch; return blocks per second."""
        told = self._run("fetch.js", str(folder), served["key"], str(served["port"]), str(served["blocks"]), str(batch))
        require(told["blocks"] == served["blocks"], "hypercore has every block")
        return float(told["blocks"] / told["seconds"])

    def version(self) -> str:
        """Return the installed version."""
        about = json.loads((self._folder / "node_modules" / "hypercore" / "package.json").read_text("utf-8"))
        return str(about["version"])

    def _run(self, program: str, *arguments: str) -> dict[str, Any]:
        said = subprocess.run(
            [_node(), str(self._folder / program), *arguments],
            cwd=self._folder, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        if said.returncode != 0:
            raise RuntimeError(f"{program} failed: {said.stderr[-1000:]}")
        told: dict[str, Any] = json.loads(said.stdout)
        return told


def write_lines(bench: Bench, count: int) -> Path:
    """Write events like ours, one on each line, for hypercore to append."""
    path = bench.folder("lines") / "events"
    with path.open("w", encoding="utf-8") as file:
        file.writelines(as_json(load.share(number, "tax.demo.example/log")) + "\n" for number in range(count))
    return path


def _node() -> str:
    node = shutil.which("node")
    if node is None:
        raise NotHereError(f"there is no Node.js: {HELP}")
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    if not said.startswith("v") or int(said[1:].split(".")[0]) < NODE_MIN:
        raise NotHereError(f"Node.js is {said or 'broken'}, hypercore 11 needs version {NODE_MIN}: {HELP}")
    return node


def _install() -> Path:
    """Install hypercore, unless that is done; return the folder.

    Raises:
        NotHereError: no Node.js, no npm, or no package.
    """
    _node()
    folder = CACHE / "npm"
    folder.mkdir(parents=True, exist_ok=True)
    fresh = not (folder / "package-lock.json").exists() or (
        (folder / "package-lock.json").read_bytes() != (SOURCES / "package-lock.json").read_bytes()
    )
    for source in SOURCES.iterdir():
        if source.suffix == ".js" or fresh:
            shutil.copy2(source, folder / source.name)
    if fresh or not (folder / "node_modules" / "hypercore").exists():
        npm = shutil.which("npm")
        if npm is None:
            raise NotHereError(f"there is no npm: {HELP}")
        said = subprocess.run(
            [npm, "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
            cwd=folder, capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS_MAX, env=dict(os.environ),
        )  # fmt: skip
        if said.returncode != 0:
            (folder / "package-lock.json").unlink(missing_ok=True)
            words = " ".join(said.stderr.split())[:200]
            raise NotHereError(f"npm could not install hypercore: {words}")
    return folder
