"""The network document as the checker reads it: who may say what under each version (no code of the product).

A document is all its versions, a blank line between two of them; a version is a text of five lines (format, name,
version, hash of the text before, JSON), a blank line, and the governors' signatures. These are not verified here: the
simulation has made them. What is not among the versions that it has issued, nobody may act under.
"""

import base64
import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

Key = tuple[str, bytes]  # name and ID
_BETWEEN = re.compile(r"(?<=\n)\n(?=suyuan/network/v1\n)")


@dataclass(frozen=True)
class Law:
    """One version: the members that count and their cosigner keys, the log keys with their spans, the rulings."""

    version: int
    text_hash: bytes
    voters: dict[str, Key]
    faults: int
    log_keys: dict[str, tuple[tuple[Key, int, int | None], ...]]  # of every member: key, from, until
    log_publics: dict[Key, tuple[str, bytes]]  # whose it is, and the public key
    cosigners: dict[Key, tuple[str, bytes]]
    ruled: dict[str, tuple[int, bytes]]

    @property
    def quorum(self) -> int:
        """How many of the n voters, of whom f may lie, must cosign."""
        return (len(self.voters) + self.faults) // 2 + 1

    def is_quorum(self, votes: Collection[Key]) -> bool:
        return sum(key in votes for key in self.voters.values()) >= self.quorum

    def allows(self, key: Key | None, log: str, index: int) -> bool:
        """Whether a key signs a log's entry at an index."""
        spans = self.log_keys.get(log, ())
        ends = [start for _, start, _ in spans[1:]]
        for (own, start, until), following in zip(spans, [*ends, None], strict=False):
            end = until if until is not None else following
            if own == key and start <= index and (end is None or index < end):
                return True
        return False


def key_of(vkey: str) -> tuple[Key, bytes]:
    """Name, ID and public key of ``name+hex+base64``."""
    name, number, public = vkey.split("+", 2)
    return (name, bytes.fromhex(number)), base64.b64decode(public)[1:]


def read_laws(document: bytes) -> list[Law]:
    return [_law(part) for part in _BETWEEN.split(document.decode())]


def _law(note: str) -> Law:
    text = note.partition("\n\n")[0] + "\n"
    _, _, version, _, body, _ = text.split("\n")
    members: list[dict[str, Any]] = json.loads(body)["members"]
    rule = json.loads(body).get("quorum")
    voters = {one["origin"]: key_of(one["cosigner"])[0] for one in members if one["status"] == "active"}
    spans = {
        one["origin"]: tuple((key_of(span["key"])[0], span["from"], span.get("until")) for span in one["log_keys"])
        for one in members
    }
    publics = {}
    for one in members:
        for span in one["log_keys"]:
            key, public = key_of(span["key"])
            publics[key] = (one["origin"], public)
    cosigners = {}
    for one in members:
        key, public = key_of(one["cosigner"])
        cosigners[key] = (one["origin"], public)
    rulings = {one["origin"]: one["readmitted"] for one in members if "readmitted" in one}
    return Law(
        int(version),
        sha256(text.encode()).digest(),
        voters,
        rule["faults"] if rule else (len(voters) - 1) // 3 if voters else 0,
        spans,
        publics,
        cosigners,
        {origin: (ruling["size"], base64.b64decode(ruling["root"])) for origin, ruling in rulings.items()},
    )
