"""Signing entries: chained texts become whole entries, each with its leaf hash.

A process beside the node (see node/signatories.py) runs :func:`serve`. The secret key reaches it with each request,
over a line that no other process has, and is kept nowhere.
"""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from ledger.entry import sign_texts
from ledger.merkle import leaf_hash
from ledger.note import Signer, SigningKey
from node import line


@dataclass(frozen=True, slots=True)
class Signed:
    """Entries in order, and the leaf hash of each."""

    raws: list[bytes]
    leaves: list[bytes]


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """What a process is to sign, and with which key of the log."""

    signer: Signer
    texts: Sequence[bytes]


def sign(signer: SigningKey, texts: Sequence[bytes], *, pool: Executor | None = None) -> Signed:
    """Sign chained texts; on two threads where a pool is given and there are many.

    Raises:
        LedgerError: the device or process that has the key does not sign now.
    """
    raws = sign_texts(signer, texts, pool=pool)
    return Signed(raws, list(map(leaf_hash, raws)))


def serve(descriptor: int) -> None:
    """Sign what comes over a line, until it is closed."""
    line.serve(descriptor, _answer)


def _answer(request: object) -> Signed:
    assert isinstance(request, Request)
    return sign(request.signer, request.texts)
