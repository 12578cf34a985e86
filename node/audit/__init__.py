"""The audit: read a stopped node's store completely, and verify again all that it says (``suyuan doctor --deep``).

1. Every stored byte is read, and its checksum verified by the engine.
2. Every log is walked from its first entry: format, signature, chain, time order. A damaged entry is named, and the
   walk goes on.
3. The tree is computed anew from the entries and compared with every stored tile.
4. Checkpoints must be signed by their log, promise the roots that were computed, and have their quorum; so must the
   head
   file.
5. Every index key that the entries call for must be there, and no other one.
6. Manifests must be what their roots say, and be found by each of their records.

Nothing is changed, and nothing is repaired. What a damage causes elsewhere is not reported again where it can be told
apart: in the place of a damaged entry the tree takes the hash that its tile has.
"""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from ledger.network import Network
from ledger.store import Store
from node.audit.findings import DAMAGES_MAX, Damage, Findings, Progress, TooMuchError, silent
from node.audit.indexes import IndexAudit
from node.audit.walk import LogWalk, judge

__all__ = ["DAMAGES_MAX", "Audit", "Damage", "LogAudit", "Progress", "audit_store"]


@dataclass(frozen=True, slots=True)
class LogAudit:
    """What was found of one log."""

    origin: str
    size: int  # entries
    confirmed_size: int


@dataclass(frozen=True, slots=True)
class Audit:
    """What was found of a store."""

    logs: tuple[LogAudit, ...]
    pairs: int  # stored keys that were read
    damages: tuple[Damage, ...]
    truncated: bool  # there is more damage than is named

    @property
    def sound(self) -> bool:
        """Whether everything is what it must be."""
        return not self.damages


def audit_store(
    store: Store,
    networks: Sequence[Network],
    *,
    own: str,
    head: bytes | None,
    pool: Executor | None = None,
    progress: Progress = silent,
) -> Audit:
    """Return what is wrong in a store that nobody writes to.

    ``networks`` are all versions of the network document, oldest first: a log was opened under one of them, and a
    quorum was one of its time. ``own`` is the log that this node writes, ``head`` its head file. ``pool`` verifies
    signatures on several cores.
    """
    findings = Findings()
    walks: list[LogWalk] = []
    pairs = 0

    def told(count: int) -> None:
        nonlocal pairs
        pairs = count
        progress("store", count, None)

    try:
        with findings.readable("store"):
            store.check(told)
        indexes = IndexAudit(store, findings, own=own)
        signed = judge(head, networks, "head file", findings) if head is not None else None
        walks += [LogWalk(store, networks, origin, findings, pool) for origin in networks[-1].members]
        total, done = sum(walk.size for walk in walks), 0
        for walk in walks:
            if walk.origin == own:
                walk.take_head(head, signed)
            for entries in walk.entries():
                indexes.look_up(walk, entries)
                done += len(entries)
                progress("entries", done, total)
        indexes.find_strays({walk.log: walk for walk in walks}, progress)
        indexes.check_manifests()
    except TooMuchError:
        return Audit(_summaries(walks), pairs, findings.damages, truncated=True)
    return Audit(_summaries(walks), pairs, findings.damages, truncated=False)


def _summaries(walks: Sequence[LogWalk]) -> tuple[LogAudit, ...]:
    return tuple(LogAudit(walk.origin, walk.size, walk.confirmed_size) for walk in walks)
