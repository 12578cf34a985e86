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
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from cli.demo.cluster import Cluster
from cli.demo.network import DemoNetwork, Plan, make_network

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


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    plans = [Plan(id=name, name_zh=name, name_en=name) for name in ("police", "tax", "health", "civil")]
    settings = {"checkpoint_interval_ms": 50, "pull_interval_ms": 500}
    network = make_network(tmp_path_factory.mktemp("stock"), plans, settings=settings)
    async with Cluster(network, say=print) as cluster:
        yield await fill_and_read(network, cluster)


async def fill_and_read(network: DemoNetwork, cluster: Cluster) -> Served:
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
    )  # fmt: skip


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
    }
    source = Path(__file__).with_name("verify.go")
    ran = subprocess.run(  # noqa: ASYNC221 - nothing else runs in this loop; a fixed command
        ["go", "run", str(source)], input=json.dumps(question), capture_output=True, text=True, check=False,
        env={**os.environ, "GO111MODULE": "off", "GOPATH": str(GOPATH), "GOFLAGS": ""},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert f"sizes {old_size} to {new_size}" in ran.stdout


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
