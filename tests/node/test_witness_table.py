"""The whole table of tlog-witness against a node that runs: a real process, real HTTP, members' logs and foreign ones.

Every row has a log of its own, so that no row depends on another.
"""

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import httpx
import pytest
from foreign_logs import ForeignLog
from node_helpers import PATIENCE_SECONDS, PaperLog, Party, entry_of, paper, seed
from processes import paper_by_hash, serving, serving_paper, witness_home

from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.cosignature import parse_cosignatures, verify_cosignature
from ledger.merkle import EMPTY_ROOT, TreeSize
from ledger.note import COSIGNATURE, ED25519, Note, Signer, VerifierKey
from ledger.witness_request import AddCheckpoint
from node.witness import BODY_BYTES_MAX

pytestmark = pytest.mark.slow

A = Party("d0")
LOGS_EACH = 40
TEXT = "text/plain; charset=utf-8"
SIZE = "text/x.tlog.size"
BLANK = b"\n\n"


class Subject(NamedTuple):
    """A log that nobody has asked about yet, and who must cosign it."""

    log: Any  # PaperLog or ForeignLog: size, grow, checkpoint, proof, request
    signer: Signer  # the log's own
    cosigner: VerifierKey


@dataclass
class Running:
    """The node, and logs to ask it about."""

    client: httpx.Client
    port: int
    members: Iterator[PaperLog]
    foreign: Iterator[ForeignLog]
    witness: Signer
    served: dict[str, PaperLog]

    def subject(self, kind: str, size: int) -> Subject:
        if kind == "foreign":
            log = next(self.foreign)
            return Subject(log.grow(size), log.signer, self.witness.verifier)
        paper_log = next(self.members)
        paper_log.grow(size - 1, A)
        signer = paper_log.party.keys.log
        assert isinstance(signer, Signer)
        return Subject(paper_log, signer, A.keys.cosigner.verifier)

    def ask(self, body: bytes | Iterator[bytes]) -> httpx.Response:
        return self.client.post("/witness/add-checkpoint", content=body)

    def raw(self, request: bytes) -> bytes:
        """The status line and all else that the node answers to bytes that no client would send."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_SECONDS) as connection:
            connection.sendall(request)
            answer = b""
            while part := connection.recv(65_536):
                answer += part
        return answer


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    others = [Party(f"m{number}") for number in range(LOGS_EACH)]
    foreign = [ForeignLog(f"foreign-{number}.example/log", leaves=[]) for number in range(LOGS_EACH)]
    served: dict[str, PaperLog] = {}
    with serving_paper(served) as url:
        law = paper([A, *(entry_of(party, url=f"{url}/{party.name}") for party in others)], quorum={"faults": 0})
        logs = [PaperLog(party, law.network) for party in others]
        served |= paper_by_hash(logs)
        home, witness = witness_home(tmp_path_factory.mktemp("table") / "node", A, law, foreign)
        with serving(home, A.token) as (_, client):
            running = Running(client, home.settings.port, iter(logs), iter(foreign), witness, served)
            until_it_cosigns(running)
            yield running


def until_it_cosigns(node: Running) -> None:
    """Wait until the node has found out what it has said before; until then everything is 503."""
    for kind in ("member", "foreign"):
        subject = node.subject(kind, 1)
        deadline = time.monotonic() + PATIENCE_SECONDS  # noqa: TID251 - a real process takes real time
        while (answer := node.ask(subject.log.request(0))).status_code == 503:
            assert answer.headers["retry-after"] == "1"
            assert time.monotonic() < deadline  # noqa: TID251
            time.sleep(0.02)
        cosigned(answer, subject, 1)


def cosigned(answer: httpx.Response, subject: Subject, size: int) -> int:
    """Check a good answer to its last byte; return the time in it."""
    assert (answer.status_code, answer.headers["content-type"]) == (200, TEXT), answer.text
    [signature] = parse_cosignatures(answer.content)
    assert answer.content == signature.line.encode()
    stamp = verify_cosignature(subject.cosigner, subject.log.checkpoint(size).text, signature)
    assert abs(stamp - time.time()) < 60  # noqa: TID251 - the node's own clock is this one
    return stamp


def refused(answer: httpx.Response, status: int, words: str = "") -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == TEXT
    assert answer.text.endswith("\n")
    assert answer.text.strip()
    assert words in answer.text
    assert ("retry-after" in answer.headers) == (status == 503)


def conflict(answer: httpx.Response, size: int) -> None:
    assert (answer.status_code, answer.headers["content-type"]) == (409, SIZE), answer.text
    assert answer.content == b"%d\n" % size


both = pytest.mark.parametrize("kind", ["member", "foreign"])


@both
def test_200_step_by_step_and_again(node: Running, kind: str) -> None:
    subject = node.subject(kind, 1)
    size, stamp = 0, 0
    for more in (0, 1, 6, 300):
        subject.log.grow(more, A) if kind == "member" else subject.log.grow(more)
        for old in (size, subject.log.size):  # the second time from its own size
            now = cosigned(node.ask(subject.log.request(old)), subject, subject.log.size)
            assert now >= stamp
            stamp = now
        size = subject.log.size


@both
def test_200_for_an_empty_tree(node: Running, kind: str) -> None:
    subject = node.subject(kind, 1)
    empty = sign_checkpoint(subject.signer, Checkpoint(subject.log.origin, TreeSize(0), EMPTY_ROOT))
    for _ in range(2):
        assert node.ask(AddCheckpoint(TreeSize(0), (), empty).encode()).status_code == 200
    cosigned(node.ask(subject.log.request(0)), subject, 1)


def test_200_with_extension_lines_of_a_foreign_log(node: Running) -> None:
    subject = node.subject("foreign", 3)
    subject.log.extensions = ("one", "another line")
    cosigned(node.ask(subject.log.request(0)), subject, 3)


@both
def test_200_for_a_chunked_body(node: Running, kind: str) -> None:
    subject = node.subject(kind, 5)
    body = subject.log.request(0)
    cosigned(node.ask(_chunks(body)), subject, 5)


def _chunks(body: bytes, size: int = 7) -> Iterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


@both
def test_200_with_99_signatures_of_strangers(node: Running, kind: str) -> None:
    subject = node.subject(kind, 2)
    note = subject.log.checkpoint()
    strangers = [Signer(f"stranger-{n}", ED25519, seed(str(n))).sign(note.text) for n in range(99)]
    body = AddCheckpoint(TreeSize(0), (), Note(note.text, (*strangers, *note.signatures))).encode()
    cosigned(node.ask(body), subject, 2)


@pytest.mark.parametrize("origin", ["unknown.example/log", A.origin, "x" * 200, "日志"])
def test_404_for_an_origin_that_is_not_witnessed(node: Running, origin: str) -> None:
    refused(node.ask(ForeignLog(origin, leaves=[]).grow(1).request(0)), 404, "no log")


@both
def test_403_without_a_good_signature_of_the_log(node: Running, kind: str) -> None:
    subject = node.subject(kind, 2)
    text = subject.log.checkpoint().text
    name = subject.signer.name
    for signature in (
        Signer("stranger", ED25519, seed("stranger")).sign(text),
        Signer(name, ED25519, seed("another key")).sign(text),
        Signer(name, COSIGNATURE, subject.signer.seed).cosign(text, 1),
        subject.log.checkpoint(root=seed("another root")).signatures[0],
    ):
        refused(node.ask(AddCheckpoint(TreeSize(0), (), Note(text, (signature,))).encode()), 403)
    cosigned(node.ask(subject.log.request(0)), subject, 2)


def good_body(subject: Subject) -> bytes:
    body: bytes = subject.log.request(2)
    return body


BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda _: b"",
    "one newline": lambda _: b"\n",
    "no old line": lambda body: body.partition(b"\n")[2],
    "another word": lambda body: body.replace(b"old ", b"new ", 1),
    "no space": lambda body: body.replace(b"old ", b"old", 1),
    "two spaces": lambda body: body.replace(b"old ", b"old  ", 1),
    "a trailing space": lambda body: body.replace(b"old 2\n", b"old 2 \n", 1),
    "a leading zero": lambda body: body.replace(b"old 2", b"old 02", 1),
    "a sign": lambda body: body.replace(b"old 2", b"old +2", 1),
    "negative": lambda body: body.replace(b"old 2", b"old -2", 1),
    "no digits": lambda body: body.replace(b"old 2", b"old ", 1),
    "other digits": lambda body: body.replace(b"old 2", "old ٢".encode(), 1),
    "too large": lambda body: body.replace(b"old 2", b"old 9223372036854775808", 1),
    "CRLF everywhere": lambda body: body.replace(b"\n", b"\r\n"),
    "CRLF in the old line": lambda body: body.replace(b"\n", b"\r\n", 1),
    "CRLF in the blank line": lambda body: body.replace(BLANK, b"\n\r\n", 1),
    "a space in the blank line": lambda body: body.replace(BLANK, b"\n \n", 1),
    "CRLF in the checkpoint": lambda body: _below(body, lambda note: note.replace(b"\n", b"\r\n", 1)),
    "no blank line": lambda body: body.replace(BLANK, b"\n", 1),
    "two blank lines": lambda body: body.replace(BLANK, b"\n\n\n", 1),
    "no last newline": lambda body: body[:-1],
    "a line too many": lambda body: body + b"\n",
    "trailing bytes": lambda body: body + b"more",
    "a NUL": lambda body: body + b"\x00",
    "no UTF-8": lambda body: _below(body, lambda note: b"\xff" + note),
    "a byte order mark": lambda body: b"\xef\xbb\xbf" + body,
    "base64 of 31 bytes": lambda body: body.replace(b"old 2\n", b"old 2\n" + b"A" * 40 + b"AA==\n", 1),
    "base64 without padding": lambda body: _in_proof(body, lambda line: line.rstrip(b"=")),
    "base64 with a space": lambda body: _in_proof(body, lambda line: b" " + line),
    "base64 for URLs": lambda body: _in_proof(body, lambda _: b"-_" + b"A" * 41 + b"="),
    "base64 not canonical": lambda body: _in_proof(body, lambda _: b"A" * 42 + b"B="),
    "no base64": lambda body: _in_proof(body, lambda _: b"no hash"),
    "64 proof lines": lambda body: body.replace(b"old 2\n", b"old 2\n" + (b"A" * 43 + b"=\n") * 64, 1),
    "no signature": lambda body: body.rpartition("—".encode())[0],
    "101 signatures": lambda body: body + _lines_of_strangers(100),
    "a size with a zero": lambda body: _below(body, lambda note: note.replace(b"\n5\n", b"\n05\n", 1)),
    "no size": lambda body: _below(body, lambda note: note.replace(b"\n5\n", b"\n", 1)),
    "JSON": lambda _: b'{"old": 0}\n\n',
}


def _below(body: bytes, change: Callable[[bytes], bytes]) -> bytes:
    head, blank, note = body.partition(BLANK)
    return head + blank + change(note)


def _in_proof(body: bytes, change: Callable[[bytes], bytes]) -> bytes:
    old, line, rest = body.split(b"\n", 2)
    return b"\n".join((old, change(line), rest))


def _lines_of_strangers(count: int) -> bytes:
    signers = (Signer(f"stranger-{n}", ED25519, seed(str(n))) for n in range(count))
    return b"".join(signer.sign("x\n").line.encode() for signer in signers)


@both
def test_400_for_every_other_spelling(node: Running, kind: str) -> None:
    subject = node.subject(kind, 5)
    cosigned(node.ask(subject.log.request(0, 2)), subject, 2)
    body = good_body(subject)
    for name, change in BROKEN.items():
        broken = change(body)
        assert broken != body, name
        answer = node.ask(broken)
        assert answer.status_code == 400, (name, answer.text)
        refused(answer, 400)
    cosigned(node.ask(body), subject, 5)


@both
def test_63_proof_lines_are_read_and_64_are_not(node: Running, kind: str) -> None:
    subject = node.subject(kind, 5)
    cosigned(node.ask(subject.log.request(0, 2)), subject, 2)
    note = subject.log.checkpoint()
    refused(node.ask(AddCheckpoint(TreeSize(2), (seed(),) * 63, note).encode()), 422)
    refused(node.ask(AddCheckpoint(TreeSize(2), (seed(),) * 64, note).encode()), 400, "63")


@both
def test_400_for_an_old_size_above_the_new_one(node: Running, kind: str) -> None:
    subject = node.subject(kind, 5)
    cosigned(node.ask(subject.log.request(0)), subject, 5)
    for old, size in ((5, 4), (6, 5), (2**63 - 1, 5)):
        body = AddCheckpoint(TreeSize(old), (), subject.log.checkpoint(size)).encode()
        refused(node.ask(body), 400, "above")


@both
def test_409_with_the_size_that_was_cosigned_last(node: Running, kind: str) -> None:
    subject = node.subject(kind, 9)
    conflict(node.ask(subject.log.request(3)), 0)
    cosigned(node.ask(subject.log.request(0, 5)), subject, 5)
    for old in (0, 1, 4, 6, 9):
        conflict(node.ask(subject.log.request(old)), 5)
    conflict(node.ask(subject.log.request(0, 3)), 5)  # smaller than what was cosigned: nothing goes back
    conflict(node.ask(subject.log.request(3, 3)), 5)
    cosigned(node.ask(subject.log.request(5)), subject, 9)


@both
def test_422_for_a_wrong_proof(node: Running, kind: str) -> None:
    subject = node.subject(kind, 10)
    cosigned(node.ask(subject.log.request(0, 5)), subject, 5)
    good = subject.log.proof(5, 10)
    for proof in (good[:-1], [*good, seed()], good[::-1], [seed(), *good[1:]], []):
        refused(node.ask(AddCheckpoint(TreeSize(5), tuple(proof), subject.log.checkpoint()).encode()), 422)
    refused(node.ask(AddCheckpoint(TreeSize(5), (seed(),), subject.log.checkpoint(5)).encode()), 422)
    cosigned(node.ask(subject.log.request(5)), subject, 10)


@both
def test_422_for_a_proof_from_size_0(node: Running, kind: str) -> None:
    subject = node.subject(kind, 2)
    refused(node.ask(AddCheckpoint(TreeSize(0), (seed(),), subject.log.checkpoint()).encode()), 422)


@both
def test_422_for_an_empty_tree_with_a_root(node: Running, kind: str) -> None:
    subject = node.subject(kind, 1)
    full = sign_checkpoint(subject.signer, Checkpoint(subject.log.origin, TreeSize(0), seed("a root")))
    refused(node.ask(AddCheckpoint(TreeSize(0), (), full).encode()), 422)


@both
def test_422_for_the_same_size_with_another_root(node: Running, kind: str) -> None:
    subject = node.subject(kind, 4)
    cosigned(node.ask(subject.log.request(0)), subject, 4)
    refused(node.ask(subject.log.request(4, root=seed("another root"))), 422)


def test_503_while_the_entries_of_a_members_log_cannot_be_had(node: Running) -> None:
    subject = node.subject("member", 4)
    [name] = [name for name, log in node.served.items() if log is subject.log]
    del node.served[name]
    refused(node.ask(subject.log.request(0)), 503)
    node.served[name] = subject.log
    cosigned(node.ask(subject.log.request(0)), subject, 4)


def test_413_beyond_128_kib_told_or_chunked(node: Running) -> None:
    refused(node.ask(b"x" * (BODY_BYTES_MAX + 1)), 413)
    refused(node.ask(_chunks(b"x" * (BODY_BYTES_MAX + 1), 8192)), 413)
    refused(node.ask(b"x" * BODY_BYTES_MAX), 400)
    refused(node.ask(_chunks(b"x" * BODY_BYTES_MAX, 8192)), 400)
    assert BODY_BYTES_MAX == 131_072


def test_413_is_told_before_the_body_has_come(node: Running) -> None:
    head = b"POST /witness/add-checkpoint HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 131073\r\n\r\n"
    assert node.raw(head).startswith(b"HTTP/1.1 413 ")


def test_the_body_ends_where_its_length_says(node: Running) -> None:
    subject = node.subject("foreign", 2)
    body = subject.log.request(0)
    head = b"POST /witness/add-checkpoint HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    assert node.raw(head % (len(body) - 1) + body).startswith(b"HTTP/1.1 400 ")
    answer = node.raw(head % len(body) + body + b"trailing")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert re.search(rb"\r\n\r\n\xe2\x80\x94 d0\.test/witness [A-Za-z0-9+/=]+\n$", answer)


def test_another_method_is_405_and_a_query_changes_nothing(node: Running) -> None:
    assert node.client.get("/witness/add-checkpoint").status_code == 405
    subject = node.subject("foreign", 2)
    answer = node.client.post("/witness/add-checkpoint?x=1", content=subject.log.request(0))
    cosigned(answer, subject, 2)


def test_no_token_and_no_media_type_is_asked_for(node: Running) -> None:
    subject = node.subject("foreign", 2)
    with httpx.Client(base_url=node.client.base_url, trust_env=False) as client:
        for old, headers in ((0, {}), (2, {"Content-Type": "application/json"}), (2, {"Content-Type": "text/plain"})):
            answer = client.post("/witness/add-checkpoint", content=subject.log.request(old), headers=headers)
            cosigned(answer, subject, 2)


# Races.


@both
def test_racing_threads_never_get_two_roots_of_one_size(node: Running, kind: str) -> None:
    subject = node.subject(kind, 3)
    if kind == "member":
        other = PaperLog(subject.log.party, subject.log.network)
        other.grow(2, A)
        subject.log.grow(5, A)
        other.grow(5, Party("m1"))
    else:
        other = subject.log.fork(3, 5)
        subject.log.grow(5)
    cosigned(node.ask(subject.log.request(0, 3)), subject, 3)
    start = threading.Barrier(12)

    def race(number: int) -> list[tuple[int, bytes]]:
        start.wait()
        got, old = [], 3
        with httpx.Client(base_url=node.client.base_url, trust_env=False, timeout=PATIENCE_SECONDS) as client:
            for size in (4, 5, 6, 7, 8):
                log = (subject.log, other)[number % 2]
                answer = client.post("/witness/add-checkpoint", content=log.request(old, size))
                if answer.status_code == 409:
                    old = int(answer.text)
                    if old <= size:
                        answer = client.post("/witness/add-checkpoint", content=log.request(old, size))
                if answer.status_code == 200:
                    [signature] = parse_cosignatures(answer.content)
                    verify_cosignature(subject.cosigner, log.checkpoint(size).text, signature)
                    got.append((size, log.root(size)))
                    old = size
        return got

    with ThreadPoolExecutor(12) as pool:
        results = [one for got in pool.map(race, range(12)) for one in got]
    assert results or kind == "member"  # a member's fork may be noticed, and the log be in doubt, before anything else
    results.append((3, subject.log.root(3)))
    roots: dict[int, set[bytes]] = {}
    for size, root in results:
        roots.setdefault(size, set()).add(root)
    assert all(len(one) == 1 for one in roots.values())
    histories = [{(size, log.root(size)) for size in range(1, 9)} for log in (subject.log, other)]
    assert any(set(results) <= history for history in histories)
