"""Manifests: the record references of a share that has too many to write out.

    suyuan/manifest/v1
    2
    07a1…
    9f2c…

References in ascending order, each once. The share carries the count and the Merkle root (RFC 6962; a leaf is the 16
bytes of a reference); both parties keep the manifest, and either can prove that a record was in it without showing the
others.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ledger.encoding import encode_base64, parse_decimal
from ledger.errors import InclusionError, ManifestError, TooLongError, TooManyError
from ledger.event.transfer import ManifestRef
from ledger.limits import MANIFEST_RECORDS_MAX
from ledger.merkle import LeafIndex, Node, TreeSize, leaf_hash, prove_inclusion, root_of, verify_inclusion

FORMAT = "suyuan/manifest/v1"
MANIFEST_BYTES_MAX = len(f"{FORMAT}\n{MANIFEST_RECORDS_MAX}\n") + 33 * MANIFEST_RECORDS_MAX

_REF = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Manifest:
    """The references of one large share, sorted."""

    records: tuple[str, ...]
    leaves: tuple[bytes, ...]
    root: bytes

    @property
    def ref(self) -> ManifestRef:
        """What the share carries."""
        return ManifestRef(count=len(self.records), root=encode_base64(self.root))

    def encode(self) -> bytes:
        """Return the manifest's one spelling."""
        return "\n".join((FORMAT, str(len(self.records)), *self.records, "")).encode()

    def prove(self, record: str) -> tuple[int, list[bytes]]:
        """Return the place of ``record`` and the inclusion proof for it.

        Raises:
            InclusionError: the manifest does not have it.
        """
        index = bisect_left(self.records, record)
        if index == len(self.records) or self.records[index] != record:
            raise InclusionError("the record is not in the manifest", field="record")
        reader = _Leaves(self.leaves)
        return index, prove_inclusion(reader, index=LeafIndex(index), size=TreeSize(len(self.leaves)))


def make_manifest(records: Iterable[str]) -> Manifest:
    """Return the manifest of the given references, in any order, repeated or not.

    Raises:
        ManifestError: none at all, or something that is no reference.
        TooManyError: more than 100,000.
    """
    return _manifest(tuple(sorted(set(records))))


def parse_manifest(data: bytes) -> Manifest:
    """Return the manifest that ``data`` spells.

    Raises:
        TooLongError, ManifestError, DecimalError: what is wrong, and where.
    """
    if len(data) > MANIFEST_BYTES_MAX:
        raise TooLongError(f"a manifest of {len(data)} bytes", field="manifest", limit=MANIFEST_BYTES_MAX)
    try:
        lines = data.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise ManifestError("a manifest is ASCII", field="manifest") from None
    if len(lines) < 3 or lines[0] != FORMAT or lines[-1]:  # noqa: PLR2004 - format, count, end
        raise ManifestError(f"a manifest begins with {FORMAT} and ends in a newline", field="line 1")
    records = tuple(lines[2:-1])
    if parse_decimal(lines[1], field="line 2") != len(records):
        raise ManifestError(f"{len(records)} references where the count says {lines[1]}", field="line 2")
    for number, (earlier, later) in enumerate(pairwise(records), 4):
        if earlier >= later:
            raise ManifestError("references stand in ascending order, each once", field=f"line {number}")
    return _manifest(records)


def verify_membership(record: str, *, ref: ManifestRef, index: int, proof: Sequence[bytes]) -> None:
    """Check that ``record`` was among those of a share, knowing only what the share carries.

    Raises:
        ManifestError: ``record`` is no reference.
        InclusionError: the proof does not show it.
    """
    verify_inclusion(
        leaf=_leaf(record, "record"),
        index=LeafIndex(index),
        size=TreeSize(ref.count),
        root=ref.root_bytes,
        proof=proof,
    )


class _Leaves:
    """A hash reader over leaf hashes in memory."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self._leaves = leaves

    def read_hashes(self, nodes: Sequence[Node]) -> list[bytes]:
        """Return the hash of each node."""
        return [root_of(self._leaves[node.index << node.level : (node.index + 1) << node.level]) for node in nodes]


def _manifest(records: tuple[str, ...]) -> Manifest:
    if not records:
        raise ManifestError("a manifest names at least one record", field="records")
    if len(records) > MANIFEST_RECORDS_MAX:
        raise TooManyError(f"{len(records)} references", field="records", limit=MANIFEST_RECORDS_MAX)
    leaves = tuple(_leaf(record, f"records[{number}]") for number, record in enumerate(records))
    return Manifest(records, leaves, root_of(leaves))


def _leaf(record: str, field: str) -> bytes:
    if _REF.fullmatch(record) is None:
        raise ManifestError("a reference has 32 lowercase hexadecimal digits", field=field)
    return leaf_hash(bytes.fromhex(record))
