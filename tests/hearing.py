"""What nodes were heard to sign: every checkpoint and every cosignature that was on a wire, judged at the end against
the one history that each log has then.

A fork needs two signed heads that cannot both be true. When every head that was ever signed, confirmed or not, has the
root of the final history at its size, there is none.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from proxies import Heard

from ledger.checkpoint import Checkpoint, parse_checkpoint_text
from ledger.cosignature import parse_cosignatures, verify_cosignature
from ledger.network import Network
from ledger.note import parse_note
from ledger.quorum import judge_checkpoint


class Cosigned(NamedTuple):
    """A member's cosignature of a head."""

    time: int  # POSIX seconds, as it is signed
    size: int
    root: bytes


class Hearing:
    """Takes everything; :meth:`judge` makes sense of it."""

    def __init__(self) -> None:
        self._notes: dict[bytes, None] = {}
        self._answers: dict[tuple[bytes, bytes], None] = {}  # checkpoint, what the witness has answered

    def __call__(self, heard: Heard) -> None:
        """Keep what is signed in a request or an answer."""
        if heard.path == "POST /witness/add-checkpoint":
            note = heard.request.partition(b"\n\n")[2]
            self.note(note)
            if heard.status == 200:
                self._answers[note, heard.answer] = None
        elif heard.path.startswith("POST /logs/"):
            self.note(heard.request)
        elif heard.path.startswith("GET /logs/") and heard.path.endswith("/checkpoint") and heard.status == 200:
            self.note(heard.answer)
        elif heard.path == "GET /v1/memory" and heard.status == 200:
            for one in json.loads(heard.answer)["logs"]:
                if "checkpoint" in one:
                    self.note("\n".join([*one["checkpoint"], ""]).encode())

    def note(self, data: bytes) -> None:
        """Keep a signed checkpoint, wherever it comes from."""
        self._notes[data] = None

    def judge(self, network: Network, histories: Mapping[str, Sequence[bytes]]) -> tuple[int, int]:
        """Check every head against the final entries of its log; return how many heads and cosignatures there were."""
        roots = {origin: roots_of(raws) for origin, raws in histories.items()}
        heads: set[tuple[str, int]] = set()
        cosigned: dict[tuple[str, str], set[Cosigned]] = defaultdict(set)
        for data in self._notes:
            judged = judge_checkpoint(data, network)  # whose signatures are those that they say they are
            check_head(judged.checkpoint, roots)
            heads.add((judged.checkpoint.origin, judged.size))
            for cosigner, time in judged.cosigners:
                said = Cosigned(time, judged.size, judged.checkpoint.root)
                cosigned[cosigner, judged.checkpoint.origin].add(said)
        for data, answer in self._answers:
            text = parse_note(data).text
            checkpoint = parse_checkpoint_text(text)
            for signature in parse_cosignatures(answer):
                member = network.cosigners[signature.name, signature.key_id]
                time = verify_cosignature(member.cosigner, text, signature)
                cosigned[member.origin, checkpoint.origin].add(Cosigned(time, checkpoint.size, checkpoint.root))
        for (cosigner, origin), said_of_one in cosigned.items():
            check_cosigner(cosigner, origin, sorted(said_of_one))
        return len(heads), sum(map(len, cosigned.values()))


def check_head(checkpoint: Checkpoint, roots: dict[str, list[bytes]]) -> None:
    """Check that a head is one of the final history's."""
    known = roots[checkpoint.origin]
    what = f"{checkpoint.origin} has signed size {checkpoint.size}"
    assert checkpoint.size < len(known), f"{what}, of which {len(known) - 1} are left"
    assert checkpoint.root == known[checkpoint.size], f"{what} with another root than the history has"


def check_cosigner(cosigner: str, origin: str, said: Sequence[Cosigned]) -> None:
    """Check that a member has never said two things of one size, nor gone back."""
    by_size: dict[int, bytes] = {}
    for one in said:
        assert by_size.setdefault(one.size, one.root) == one.root, f"{cosigner} has cosigned a fork of {origin}"
    highest: dict[int, int] = {}
    lowest: dict[int, int] = {}
    for one in said:
        highest[one.time] = max(highest.get(one.time, 0), one.size)
        lowest[one.time] = min(lowest.get(one.time, one.size), one.size)
    for before, after in pairwise(sorted(highest)):
        assert highest[before] <= lowest[after], f"{cosigner} has cosigned less of {origin} than before"


def roots_of(raws: Sequence[bytes]) -> list[bytes]:
    """The roots of a log's tree at size 0, 1, 2 …, by RFC 6962 section 2.1 as a stack of complete subtrees."""
    roots = [hashlib.sha256(b"").digest()]
    stack: list[tuple[int, bytes]] = []  # (leaves, hash), larger ones below
    for raw in raws:
        stack.append((1, hashlib.sha256(b"\x00" + raw).digest()))
        while len(stack) > 1 and stack[-2][0] == stack[-1][0]:
            size, right = stack.pop()
            _, left = stack.pop()
            stack.append((2 * size, hashlib.sha256(b"\x01" + left + right).digest()))
        root = stack[-1][1]
        for _, left in reversed(stack[:-1]):
            root = hashlib.sha256(b"\x01" + left + root).digest()
        roots.append(root)
    return roots
