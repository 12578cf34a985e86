"""suyuan network adopt: a running node is told, a stopped one finds the document in its folder."""

import contextlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from ledger.store import open_store
from ledger.versions import split_versions

pytest_plugins = ("departments",)


@dataclass
class Next:
    """A copy of court's folder, its node not running, and the signed second version of the network."""

    home: Path
    document: Path
    first: bytes
    fingerprint: str


@pytest.fixture
def coming(network: Any, suyuan: Any, tmp_path: Path) -> Next:
    home, document, draft = tmp_path / "court", tmp_path / "network.note", tmp_path / "network.draft"
    shutil.copytree(network.home("court"), home)
    shutil.copy(network.document, document)
    assert suyuan("network", "revise", document, "--suspend", network.origin("tax")).code == 0
    signed = suyuan("network", "sign", draft, "--key", network.folder / "governor.key", "--out", document)
    assert signed.code == 0, signed
    return Next(home, document, network.document.read_bytes(), network.fingerprint)


@dataclass
class Node:
    """What stands in for a running node: it answers once and remembers what it was sent."""

    url: str
    answer: tuple[int, dict[str, Any]] = (200, {"schema": "suyuan.adopted/1", "version": 2, "was": 1})
    asked: list[tuple[str, str | None, bytes]] = field(default_factory=list)


@pytest.fixture
def node() -> Iterator[Node]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            made.asked.append((self.path, self.headers["Authorization"], body))
            status, value = made.answer
            kind = "application/json" if status == 200 else "application/problem+json"
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = Node(f"http://127.0.0.1:{server.server_address[1]}")
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_running_node_is_sent_the_whole_file_with_the_token(coming: Next, node: Node, suyuan: Any) -> None:
    token = "sy_" + "A" * 43
    ran = suyuan("network", "adopt", coming.document, "--url", node.url, "--token", token)
    assert ran.code == 0
    assert "acts under version 2; before it was version 1" in ran.err
    assert "One node is enough" in ran.err
    assert node.asked == [("/v1/network", f"Bearer {token}", coming.document.read_bytes())]


def test_a_draft_is_told_from_a_document(coming: Next, node: Node, suyuan: Any) -> None:
    draft = coming.document.with_name("network.draft")
    for command in (
        ("network", "adopt", draft, "--config", coming.home, "--url", node.url),
        ("network", "verify", draft, "--fingerprint", coming.fingerprint),
        ("init", coming.home, "--network", draft, "--fingerprint", coming.fingerprint),
    ):
        ran = suyuan(*command)
        assert ran.code in {1, 2}
        assert "it is a draft that nobody has signed" in ran.err + ran.out
        assert "suyuan network sign DRAFT" in ran.err + ran.out
    assert node.asked == []


def test_the_answer_of_a_running_node_is_repeated_to_programs(coming: Next, node: Node, suyuan: Any) -> None:
    ran = suyuan("network", "adopt", coming.document, "--config", coming.home, "--url", node.url, "--json")
    assert json.loads(ran.out) == {"schema": "suyuan.adopted/1", "version": 2, "was": 1, "running": True}
    assert (coming.home / "network.note").read_bytes() == coming.first  # the node writes it, nobody else


def test_a_node_that_acts_under_it_already_says_so(coming: Next, node: Node, suyuan: Any) -> None:
    node.answer = (200, {"schema": "suyuan.adopted/1", "version": 2, "was": 2})
    said = suyuan("network", "adopt", coming.document, "--url", node.url).err
    assert said.startswith("The node acts under version 2 already.\n")


def test_a_document_that_is_older_than_the_nodes_is_named_as_such(coming: Next, node: Node, suyuan: Any) -> None:
    node.answer = (200, {"schema": "suyuan.adopted/1", "version": 3, "was": 3})
    said = suyuan("network", "adopt", coming.document, "--url", node.url).err
    assert said.startswith("The node acts under version 3 already; the file has no newer one than 2.\n")


def test_what_a_running_node_refuses_is_told_and_the_folder_stays(coming: Next, node: Node, suyuan: Any) -> None:
    node.answer = (403, {"title": "t", "status": 403, "detail": "an admin's token is needed", "code": "forbidden"})
    ran = suyuan("network", "adopt", coming.document, "--config", coming.home, "--url", node.url)
    assert ran.code == 4
    assert "an admin's token is needed" in ran.err
    assert (coming.home / "network.note").read_bytes() == coming.first


def test_a_document_that_does_not_lead_to_the_fingerprint_is_not_even_sent(
    coming: Next, node: Node, suyuan: Any
) -> None:
    coming.document.write_bytes(split_versions(coming.document.read_bytes())[1])
    ran = suyuan("network", "adopt", coming.document, "--config", coming.home, "--url", node.url)
    assert ran.code == 1
    assert node.asked == []


def test_a_node_that_does_not_run_finds_it_in_its_folder(coming: Next, suyuan: Any) -> None:
    ran = suyuan("network", "adopt", coming.document, "--config", coming.home)
    assert ran.code == 0
    assert "does not run" in ran.err
    assert (coming.home / "network.note").read_bytes() == coming.document.read_bytes()


def test_a_node_whose_store_is_lost_finds_it_too(coming: Next, suyuan: Any) -> None:
    shutil.rmtree(coming.home / "data")
    assert suyuan("network", "adopt", coming.document, "--config", coming.home).code == 0


def test_an_older_document_does_not_take_the_place_of_a_newer_one(coming: Next, suyuan: Any, tmp_path: Path) -> None:
    suyuan("network", "adopt", coming.document, "--config", coming.home)
    old = tmp_path / "old.note"
    old.write_bytes(coming.first)
    ran = suyuan("network", "adopt", old, "--config", coming.home)
    assert ran.code == 2
    assert "does not continue" in ran.err
    assert (coming.home / "network.note").read_bytes() == coming.document.read_bytes()


def test_a_node_that_runs_and_does_not_answer_is_left_alone(coming: Next, suyuan: Any) -> None:
    with contextlib.closing(open_store(coming.home / "data")):
        ran = suyuan("network", "adopt", coming.document, "--config", coming.home)
    assert ran.code == 5
    assert (coming.home / "network.note").read_bytes() == coming.first


def test_an_address_that_does_not_answer_stands_for_no_folder(coming: Next, suyuan: Any) -> None:
    ran = suyuan("network", "adopt", coming.document, "--config", coming.home, "--url", "http://127.0.0.1:1")
    assert ran.code == 5
    assert (coming.home / "network.note").read_bytes() == coming.first
    assert suyuan("network", "adopt", coming.document, "--url", "http://127.0.0.1:1").code == 5


def test_a_node_that_has_joined_no_network_adopts_none(coming: Next, suyuan: Any, tmp_path: Path) -> None:
    home = tmp_path / "new"
    made = suyuan(
        "init", home, "--origin", "new.example/log", "--url", "http://127.0.0.1:1", "--port", 1, "--name-zh", "新",
        "--name-en", "New", "--level", "city", "--region", "150600", "--store", "sqlite",
    )  # fmt: skip
    assert made.code == 0
    assert suyuan("network", "adopt", coming.document, "--config", home).code == 5
    assert not (home / "network.note").exists()
