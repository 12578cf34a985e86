"""Real processes on the loopback address: what a test starts, it stops."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from foreign_logs import ForeignLog
from node_helpers import PATIENCE_SECONDS, Paper, PaperLog, Party, make_home, seed

from cli.demo.network import free_ports
from ledger.note import Signer
from ledger.store import open_store
from ledger.tile import encode_bundle
from node.config import Home
from node.foreign import NEW_KEY, begin_memory, witness_name
from node.keys import make_witness_key
from node.layout import origin_hash


def unmeasured() -> dict[str, str]:
    """The environment of a process that finds what this one finds, and whose coverage is not measured."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    return {**env, "PYTHONPATH": os.pathsep.join(one for one in sys.path if one)}


@contextmanager
def child(*arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A Python process that finds what this one finds; killed at the end at the latest."""
    path = os.pathsep.join(one for one in sys.path if one)
    process = subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def serving(home: Home, token: str) -> Iterator[tuple["subprocess.Popen[bytes]", httpx.Client]]:
    """A node as a process of its own that answers, and a client of it."""
    code = "import sys; from pathlib import Path; from node.config import load_home; from node.serve import run; "
    with (
        child("-c", f"{code} sys.exit(run(load_home(Path(sys.argv[1]))))", str(home.folder)) as process,
        httpx.Client(
            base_url=f"http://127.0.0.1:{home.settings.port}",
            headers={"Authorization": f"Bearer {token}"},
            trust_env=False,
            timeout=PATIENCE_SECONDS,
        ) as client,
    ):
        deadline = time.monotonic() + 2 * PATIENCE_SECONDS  # noqa: TID251 - a real process takes real time
        while True:
            assert process.poll() is None, process.stderr.read() if process.stderr else ""
            try:
                client.get("/v1/health")
            except httpx.TransportError:
                assert time.monotonic() < deadline  # noqa: TID251
                time.sleep(0.02)
                continue
            break
        yield process, client


@contextmanager
def serving_paper(logs: Mapping[str, PaperLog]) -> Iterator[str]:
    """A server of the entries of some logs, by the hash of their origins; its address. Others are 404."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            where = urlsplit(self.path)
            log = next((log for name, log in logs.items() if f"/v1/logs/{name}/entries" in where.path), None)
            if log is None:
                self.send_error(404)
                return
            asked = parse_qs(where.query)
            start, limit = int(asked["start"][0]), int(asked["limit"][0])
            raws = log.raws[start : start + limit]
            body = encode_bundle(raws)
            self.send_response(200)
            self.send_header("Entry-Count", str(len(raws)))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the base has it
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def paper_by_hash(logs: Sequence[PaperLog]) -> dict[str, PaperLog]:
    return {origin_hash(log.origin): log for log in logs}


def witness_home(folder: Path, party: Party, law: Paper, logs: Sequence[ForeignLog]) -> tuple[Home, Signer]:
    """A node's folder that witnesses foreign logs, and the key by which it does."""
    [port] = free_ports(1)
    witnessed = [log.setting for log in logs]
    home = make_home(folder, party, law, port=port, log_level="error", witnessed=witnessed)
    store = open_store(home.data)
    signer = make_witness_key(home.keys, witness_name(home.settings), lambda _: seed(party.name, "witness"))
    begin_memory(store, signer, since="2026-11-21T08:00:00.000Z", why=NEW_KEY)
    store.close()
    return home, signer
