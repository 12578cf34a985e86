"""Stock verifiers agree: what a running node serves is C2SP byte for byte, judged by code that is not ours.

Twice: by OpenSSL's Ed25519 and a naive reading of the specifications, and, where Go and golang.org/x/mod are installed
(Debian's golang-go and golang-golang-x-mod-dev), by Go's own note and tlog packages.
"""

import asyncio
import base64
import hashlib
import json
import os
import shutil
import subprocess
import threading
import time
import uuid
from collections.abc import AsyncIterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import pytest_asyncio
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from cli.demo.cluster import Cluster
from cli.demo.network import DemoNetwork, Plan, make_network
from ledger.errors import VerificationError
from ledger.network import parse_network
from ledger.policy import judge_by_policy, network_policy, parse_policy

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="module")]

EVENTS = 300  # more than a full tile, so that tiles of two levels and a partial one are served
GOPATH = Path("/usr/share/gocode")


class Served(NamedTuple):
    """What a mirror serves of another department's log."""

    origin: str
    old: bytes  # checkpoint
    new: bytes
    leaves: list[bytes]
    entries: list[bytes]
    upper: bytes  # the tile above the first one
    proofs: list[str]
    members: list[dict[str, Any]]
    witnessed: bytes  # checkpoint, from the owner, with the cosignature of a foreign witness
    foreign: str  # vkey of that witness
    policy: str  # the network's, as suyuan prints it


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    plans = [Plan(id=name, name_zh=name, name_en=name) for name in ("police", "tax", "health", "civil")]
    settings = {"checkpoint_interval_ms": 50, "pull_interval_ms": 500, "witness_policy": "../../witness.policy"}
    folder = tmp_path_factory.mktemp("stock")
    network = make_network(folder, plans, settings=settings)
    witness = NaiveWitness(network.document)
    try:
        (folder / "witness.policy").write_text(f"witness w {witness.vkey} {witness.url}\nquorum w\n")
        async with Cluster(network, say=print) as cluster:
            yield await fill_and_read(network, cluster, witness)
    finally:
        witness.stop()


class NaiveWitness:
    """A stock witness, none of whose code is ours: OpenSSL signs and verifies, the rest is tlog-witness literally."""

    def __init__(self, document: Path) -> None:
        secret = Ed25519PrivateKey.generate()
        data = b"\x04" + secret.public_key().public_bytes_raw()
        name = "witness.example/naive"
        key_id = hashlib.sha256(name.encode() + b"\n" + data).digest()[:4]
        self.vkey = f"{name}+{key_id.hex()}+{base64.b64encode(data).decode()}"
        members = json.loads(document.read_text("utf-8").split("\n")[4])["members"]
        vkeys = {one["origin"]: one["log_keys"][0]["key"] for one in members}
        heads: dict[str, tuple[int, bytes]] = {}
        lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                head, _, checkpoint = self.rfile.read(int(self.headers["Content-Length"])).partition(b"\n\n")
                old, *proof = head.decode().split("\n")
                origin, size, root = checkpoint.decode().split("\n")[:3]
                assert openssl_verified(checkpoint, [vkeys[origin]]) == {origin}
                with lock:
                    known = heads.get(origin, (0, b""))
                    if old != f"old {known[0]}":
                        self.answer(409, "text/x.tlog.size", f"{known[0]}\n".encode())
                        return
                    new = (int(size), base64.b64decode(root))
                    naive_consistent(known, new, [base64.b64decode(line) for line in proof])
                    heads[origin] = new
                text = checkpoint.rpartition(b"\n\n")[0] + b"\n"
                moment = int(time.time())  # noqa: TID251 - a witness has a clock of its own
                signature = secret.sign(f"cosignature/v1\ntime {moment}\n".encode() + text)
                blob = base64.b64encode(key_id + moment.to_bytes(8, "big") + signature).decode()
                self.answer(200, "text/plain", f"— {name} {blob}\n".encode())

            def answer(self, status: int, media: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", media)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/w"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def naive_consistent(old: tuple[int, bytes], new: tuple[int, bytes], proof: list[bytes]) -> None:
    """RFC 9162 section 2.1.4.2, word for word; fails an assertion unless the new tree extends the old one."""
    (first, first_root), (second, second_root) = old, new
    assert first <= second
    if first in (0, second):
        assert not proof
        assert first == 0 or first_root == second_root
        return
    path = [first_root, *proof] if first & (first - 1) == 0 else proof
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for c in path[1:]:
        assert sn
        if fn & 1 or fn == sn:
            fr = hashlib.sha256(b"\x01" + c + fr).digest()
            sr = hashlib.sha256(b"\x01" + c + sr).digest()
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = hashlib.sha256(b"\x01" + sr + c).digest()
        fn, sn = fn >> 1, sn >> 1
    assert (fr, sr, sn) == (first_root, second_root, 0)


async def fill_and_read(network: DemoNetwork, cluster: Cluster, witness: NaiveWitness) -> Served:
    owner, mirror = cluster.clients["police"], cluster.clients["health"]
    origin = network.departments["police"].origin
    prefix = f"/logs/{hashlib.sha256(origin.encode()).hexdigest()}"
    share = {
        "type": "share", "consumer": network.departments["tax"].origin, "resource": "register", "purpose": "税收优惠",
        "method": "api", "occurred_at": "2026-11-21T08:15:30.123Z", "records": ["ab" * 16],
    }  # fmt: skip
    await posted(owner, [{**share, "id": str(uuid.uuid4())} for _ in range(EVENTS // 3)])
    old = await confirmed_checkpoint(mirror, prefix, EVENTS // 3 + 1)
    await posted(owner, [{**share, "id": str(uuid.uuid4())} for _ in range(EVENTS - EVENTS // 3)])
    await confirmed_checkpoint(mirror, prefix, EVENTS + 1)
    tile = await get(mirror, f"{prefix}/tile/0/000") + await get(mirror, f"{prefix}/tile/0/001.p/{EVENTS + 1 - 256}")
    bundles = [await get(mirror, f"{prefix}/tile/entries/{name}") for name in ("000", f"001.p/{EVENTS + 1 - 256}")]
    new, proofs = await settled_proofs(mirror, prefix, origin)
    document = network.document.read_text("utf-8").split("\n")[4]
    return Served(
        origin=origin, old=old, new=new, leaves=[tile[at : at + 32] for at in range(0, len(tile), 32)],
        entries=[entry for bundle in bundles for entry in bundle_entries(bundle)],
        upper=await get(mirror, f"{prefix}/tile/1/000.p/1"), proofs=proofs, members=json.loads(document)["members"],
        witnessed=await witnessed_checkpoint(owner, prefix, EVENTS + 1), foreign=witness.vkey,
        policy=network_policy(parse_network(network.document.read_bytes())).encode().decode(),
    )  # fmt: skip


async def witnessed_checkpoint(client: httpx.AsyncClient, prefix: str, size: int) -> bytes:
    """Return a checkpoint of the owner with a foreign cosignature and all members' ones."""
    while True:
        data = await confirmed_checkpoint(client, prefix, size)
        if b"witness.example/naive" in data and data.count("—".encode()) >= 1 + 4 + 1:
            return data
        await asyncio.sleep(0.05)


async def posted(client: httpx.AsyncClient, events: list[dict[str, Any]]) -> None:
    answer = await client.post("/v1/events/batch", params={"wait": "confirmed"}, json={"events": events})
    assert answer.status_code == httpx.codes.CREATED, answer.text
    assert {one["state"] for one in answer.json()["events"]} == {"confirmed"}


async def confirmed_checkpoint(client: httpx.AsyncClient, prefix: str, size: int) -> bytes:
    while True:
        data = await get(client, f"{prefix}/checkpoint")
        if int(data.split(b"\n")[1]) >= size:
            return data
        await asyncio.sleep(0.05)


async def settled_proofs(client: httpx.AsyncClient, prefix: str, origin: str) -> tuple[bytes, list[str]]:
    """Return a checkpoint and proofs that rest on it: late cosignatures may still have been added between two
    requests.
    """
    while True:
        new = await get(client, f"{prefix}/checkpoint")
        asked = [{"log": origin, "index": str(index)} for index in (0, 1, 42, 255, 256, EVENTS)]
        proofs = [(await client.get("/v1/proof", params=one)).text for one in asked]
        if {proof.split("\n\n", 1)[1] for proof in proofs} == {new.decode()}:
            return new, proofs


async def get(client: httpx.AsyncClient, path: str) -> bytes:
    answer = await client.get(path)
    assert answer.status_code == httpx.codes.OK, answer.text
    return answer.content


def bundle_entries(bundle: bytes) -> list[bytes]:
    found = []
    while bundle:
        end = 2 + int.from_bytes(bundle[:2], "big")
        found.append(bundle[2:end])
        bundle = bundle[end:]
    return found


def naive_root(leaves: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, word for word."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + naive_root(leaves[:split]) + naive_root(leaves[split:])).digest()


def key_of(vkey: str) -> tuple[str, bytes, int, Ed25519PublicKey]:
    name, _, encoded = vkey.split("+", 2)
    data = base64.b64decode(encoded)
    return (
        name,
        hashlib.sha256(name.encode() + b"\n" + data).digest()[:4],
        data[0],
        Ed25519PublicKey.from_public_bytes(data[1:]),
    )


def openssl_verified(note: bytes, vkeys: list[str]) -> set[str]:
    """Return the names of the keys whose signature on a note OpenSSL finds good; a bad one raises."""
    text, _, below = note.rpartition(b"\n\n")
    text += b"\n"
    found = set()
    for line in below.decode().splitlines():
        _, name, encoded = line.split(" ")
        blob = base64.b64decode(encoded)
        for vkey in vkeys:
            key_name, key_id, kind, key = key_of(vkey)
            if (key_name, key_id) == (name, blob[:4]):
                message, signature = text, blob[4:]
                if kind == 4:
                    time, signature = int.from_bytes(blob[4:12], "big"), blob[12:]
                    message = f"cosignature/v1\ntime {time}\n".encode() + text
                key.verify(signature, message)
                found.add(name)
    return found


async def test_openssl_verifies_the_checkpoint_and_a_quorum_of_cosignatures(served: Served) -> None:
    log_key = next(one["log_keys"][0]["key"] for one in served.members if one["origin"] == served.origin)
    names = openssl_verified(served.new, [log_key, *(one["cosigner"] for one in served.members)])
    assert served.origin in names
    assert len(names - {served.origin}) >= 3  # of four members one may lie: ⌊(4+1)/2⌋+1


async def test_the_tiles_hash_to_the_signed_root(served: Served) -> None:
    assert len(served.leaves) == EVENTS + 1
    assert base64.b64encode(naive_root(served.leaves)).decode() == served.new.decode().split("\n")[2]
    assert naive_root(served.leaves[:256]) == served.upper


async def test_openssl_verifies_every_entry_and_every_entry_is_a_leaf_that_follows_the_one_before(
    served: Served,
) -> None:
    log_key = next(one["log_keys"][0]["key"] for one in served.members if one["origin"] == served.origin)
    assert [hashlib.sha256(b"\x00" + entry).digest() for entry in served.entries] == served.leaves
    for index, entry in enumerate(served.entries):
        assert openssl_verified(entry, [log_key]) == {served.origin}
        lines = entry.decode().split("\n")
        assert (lines[1], lines[2]) == (served.origin, str(index))
        if index:
            before = served.entries[index - 1].rpartition(b"\n\n")[0] + b"\n"
            assert lines[3] == base64.b64encode(hashlib.sha256(before).digest()).decode()


def policies(served: Served) -> list[tuple[str, bytes, bool]]:
    """Policies, a checkpoint that is judged by each, and whether it satisfies it."""
    log_key = next(one["log_keys"][0]["key"] for one in served.members if one["origin"] == served.origin)
    inside = "".join(f"witness m{n} {one['cosigner']}\n" for n, one in enumerate(served.members))
    outside = f"log {log_key}\nwitness w {served.foreign} http://w.example\n"
    both = f"{outside}{inside}group members 3 m0 m1 m2 m3\ngroup everybody all members w\nquorum everybody\n"
    names = [one["origin"] for one in served.members]
    return [
        (served.policy, served.new, True),
        (served.policy, served.witnessed, True),
        (served.policy.replace("group members 3 ", "group members 4 "), served.witnessed, True),
        (
            served.policy.replace(f"group members 3 {' '.join(names)}", f"group members all {names[0]}"),
            served.new,
            True,
        ),
        (f"{outside}quorum w\n", served.witnessed, True),
        (f"{outside}quorum w\n", served.new, False),
        (both, served.witnessed, True),
        (both, served.new, False),
        (served.policy.replace(f"log {log_key}", f"# {log_key}"), served.new, False),
        (served.policy, served.new.replace(f"\n{EVENTS + 1}\n".encode(), f"\n{EVENTS}\n".encode(), 1), False),
    ]


def naive_policy(policy: str, checkpoint: bytes) -> bool:
    """c2sp.org/tlog-policy as a reader would understand it at first sight, with OpenSSL for the signatures."""
    rows = [line.split() for line in policy.splitlines() if line.strip() and not line.startswith("#")]
    logs = [row[1] for row in rows if row[0] == "log"]
    witnesses = {row[1]: row[2] for row in rows if row[0] == "witness"}
    try:
        signed = openssl_verified(checkpoint, [*logs, *witnesses.values()])
    except InvalidSignature:
        return False
    done = {name for name, vkey in witnesses.items() if vkey.split("+")[0] in signed} | {"none"}
    for row in rows:
        if row[0] == "group":
            least = {"any": 1, "all": len(row) - 3}.get(row[2]) or int(row[2])
            if sum(member in done for member in row[3:]) >= least:
                done.add(row[1])
    [quorum] = [row[1] for row in rows if row[0] == "quorum"]
    origin = checkpoint.decode().split("\n")[0]
    return origin in signed and origin in {log.split("+")[0] for log in logs} and quorum in done


async def test_who_knows_the_policy_alone_can_judge_our_checkpoints(served: Served) -> None:
    for policy, checkpoint, good in policies(served):
        assert naive_policy(policy, checkpoint) is good
        if good:
            assert judge_by_policy(checkpoint, parse_policy(policy.encode())).checkpoint.origin == served.origin
            continue
        with pytest.raises(VerificationError):
            judge_by_policy(checkpoint, parse_policy(policy.encode()))


@pytest.mark.skipif(
    shutil.which("go") is None or not (GOPATH / "src/golang.org/x/mod/sumdb").is_dir(),
    reason="Go and golang.org/x/mod are not installed",
)
async def test_gos_own_packages_agree(served: Served) -> None:
    log_key = next(one["log_keys"][0]["key"] for one in served.members if one["origin"] == served.origin)
    old_size, new_size = (int(one.split(b"\n")[1]) for one in (served.old, served.new))
    question = {
        "log_key": log_key,
        "cosigners": [one["cosigner"] for one in served.members],
        "old": served.old.decode(),
        "new": served.new.decode(),
        "consistency": [base64.b64encode(one).decode() for one in naive_consistency(served.leaves, old_size)],
        "proofs": [go_proof(proof) for proof in served.proofs],
        "entries": [base64.b64encode(entry).decode() for entry in served.entries],
        "policies": [
            {"policy": policy, "checkpoint": checkpoint.decode(), "good": good}
            for policy, checkpoint, good in policies(served)
        ],
    }
    source = Path(__file__).with_name("verify.go")
    ran = subprocess.run(  # noqa: ASYNC221 - nothing else runs in this loop; a fixed command
        ["go", "run", str(source)], input=json.dumps(question), capture_output=True, text=True, check=False,
        env={**os.environ, "GO111MODULE": "off", "GOPATH": str(GOPATH), "GOFLAGS": ""},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert f"sizes {old_size} to {new_size}" in ran.stdout
    assert ran.stdout.endswith(f"{len(policies(served))} policies\n")


def go_proof(proof: str) -> dict[str, Any]:
    lines = proof.split("\n\n", 1)[0].split("\n")
    return {
        "index": int(lines[2].removeprefix("index ")),
        "entry": lines[1].removeprefix("extra "),
        "hashes": lines[3:],
    }


def naive_consistency(leaves: list[bytes], old: int, *, whole: bool = True) -> list[bytes]:
    """RFC 6962 section 2.1.2, word for word: PROOF(m, D[n]) = SUBPROOF(m, D[n], true)."""
    if old == len(leaves):
        return [] if whole else [naive_root(leaves)]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if old <= split:
        return [*naive_consistency(leaves[:split], old, whole=whole), naive_root(leaves[split:])]
    return [*naive_consistency(leaves[split:], old - split, whole=False), naive_root(leaves[:split])]
