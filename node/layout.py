"""The keys of the store: what lies where. Every key begins with a letter for its kind and keeps its parts in order.

    letter  key                                     value
    E       log, index                              entry, as signed
    T       log, tile level, tile index             hash tile, the partial one at the right edge growing
    S       log                                     chain head: size, hash of the last text, its time
    H       log, index                              from this entry on, the hash of the network document's text
    C       log                                     newest checkpoint that the log has signed, verified by this node
    Q       log                                     newest confirmed checkpoint, with its quorum of cosignatures
    W       log                                     the signed checkpoint that this node has cosigned last
    B       log, level, slot                        a confirmed checkpoint of the past; node/logs.py says which
    X       log                                     a checkpoint against the log's own history that makes no proof
    Y       log, SHA-256 of the file                proof that the log has told two stories (ledger/equivocation.py)
    I       event id, log                           index
    R       record, log, index                      – the share names the record
    P       parent's leaf hash, log, index          – the share names the parent
    A       share's leaf hash, log, index           – the receipt answers the share
    M       manifest root                           manifest
    K       record, manifest root                   – the record is in the manifest
    V       manifest root, log, index               – the share has the manifest
    N       log, index                              – the share is to this department, its manifest not here yet
    U       client, manifest root                   – the client has posted it, and no share names it yet
    G       log, index                              – the entry announces the log's next key (key.rotate)
    F       log, index                              code of what is wrong with an event that is history all the same
    D       –                                       under which network version a return was finished last
    O       log                                     own checkpoint that has satisfied the witness policy last
    J       –                                       for which witness key the memory of foreign logs is whole
    L       foreign origin                          the signed checkpoint of a foreign log that was cosigned last
    Z       foreign origin                          two checkpoints of one size that a foreign log has signed

A log is the first 8 bytes of SHA-256 of its origin (distinct within a network document), a foreign origin all 32 of
them, a client the first 16 of that of its name; hashes in index keys are cut to 16 bytes, and whatever is found by them
is compared in full.
"""

import hashlib
from typing import NamedTuple

LOG_BYTES = 8
INDEX_BYTES = 8
CUT_BYTES = 16
BOUND_KEY = b"D"  # under which version of the network document this node has last finished a return (node/recovery.py)


def log_id(origin: str) -> bytes:
    """Return the 8 bytes that stand for a log in keys."""
    return hashlib.sha256(origin.encode()).digest()[:LOG_BYTES]


def origin_hash(origin: str) -> str:
    """Return the name of a log in URLs: lowercase hex SHA-256 of its origin (protocol section 6)."""
    return hashlib.sha256(origin.encode()).hexdigest()


def entry_key(log: bytes, index: int) -> bytes:
    """Key of an entry."""
    return b"E" + log + index.to_bytes(INDEX_BYTES, "big")


def tile_key(log: bytes, level: int, index: int) -> bytes:
    """Key of a hash tile, full or partial."""
    return b"T" + log + bytes((level,)) + index.to_bytes(INDEX_BYTES, "big")


def chain_key(log: bytes) -> bytes:
    """Key of a log's chain head."""
    return b"S" + log


def version_prefix(log: bytes) -> bytes:
    """Prefix of the entries from which a log acts under another version of the network document."""
    return b"H" + log


def version_key(log: bytes, index: int) -> bytes:
    """Key that says under which version of the network document a log acts from an entry on."""
    return b"H" + log + index.to_bytes(INDEX_BYTES, "big")


def checkpoint_key(log: bytes) -> bytes:
    """Key of the newest checkpoint that the log has signed."""
    return b"C" + log


def confirmed_key(log: bytes) -> bytes:
    """Key of the newest confirmed checkpoint."""
    return b"Q" + log


def past_prefix(log: bytes) -> bytes:
    """Prefix of the confirmed checkpoints that are kept of a log's past."""
    return b"B" + log


def past_key(log: bytes, level: int, slot: int) -> bytes:
    """Key of a confirmed checkpoint of the past."""
    return past_prefix(log) + bytes((level,)) + slot.to_bytes(INDEX_BYTES, "big")


def cosigned_key(log: bytes) -> bytes:
    """Key of the checkpoint that this node has cosigned last."""
    return b"W" + log


def contradiction_key(log: bytes) -> bytes:
    """Key of a signed checkpoint that contradicts what is stored here, where that could not be proven to others."""
    return b"X" + log


def equivocation_key(log: bytes, name: str) -> bytes:
    """Key of a proof that the log has told two stories; its id is the hex SHA-256 of the file."""
    return b"Y" + log + bytes.fromhex(name)


def event_prefix(event_id: str) -> bytes:
    """Prefix of the keys of an event id, whichever logs use it."""
    return b"I" + bytes.fromhex(event_id.replace("-", ""))


def event_key(event_id: str, log: bytes) -> bytes:
    """Key of an event id in one log."""
    return b"I" + bytes.fromhex(event_id.replace("-", "")) + log  # event_prefix, inlined: one for every entry


def record_prefix(record: str) -> bytes:
    """Prefix of the shares that name a record."""
    return b"R" + bytes.fromhex(record)[:CUT_BYTES]


def child_prefix(parent_leaf: bytes) -> bytes:
    """Prefix of the shares that name a parent."""
    return b"P" + parent_leaf[:CUT_BYTES]


def answer_prefix(share_leaf: bytes) -> bytes:
    """Prefix of the receipts that answer a share."""
    return b"A" + share_leaf[:CUT_BYTES]


def manifest_key(root: bytes) -> bytes:
    """Key of a manifest."""
    return b"M" + root


def membership_prefix(record: str) -> bytes:
    """Prefix of the manifests that have a record."""
    return b"K" + bytes.fromhex(record)[:CUT_BYTES]


def membership_key(record: str, root: bytes) -> bytes:
    """Key that says that a manifest has a record."""
    return membership_prefix(record) + root


def manifest_share_prefix(root: bytes) -> bytes:
    """Prefix of the shares that have a manifest."""
    return b"V" + root


def wanted_prefix(log: bytes) -> bytes:
    """Prefix of the shares of a log to this department whose manifests are not here yet."""
    return b"N" + log


def wanted_key(place: bytes) -> bytes:
    """Key that says that the manifest of the share at ``place``, as index keys end, is not here yet."""
    return b"N" + place


def unnamed_prefix(client: str) -> bytes:
    """Prefix of the manifests that a client has posted and no share names yet."""
    return b"U" + hashlib.sha256(client.encode()).digest()[:CUT_BYTES]


def unnamed_key(client: str, root: bytes) -> bytes:
    """Key that says that no share names a client's manifest yet."""
    return unnamed_prefix(client) + root


def rotation_prefix() -> bytes:
    """Prefix of the entries that announce a log's next key."""
    return b"G"


def finding_key(log: bytes, index: int) -> bytes:
    """Key of what is wrong with an event."""
    return b"F" + log + index.to_bytes(INDEX_BYTES, "big")


def finding_prefix(log: bytes) -> bytes:
    """Prefix of the events of a log with which something is wrong."""
    return b"F" + log


def witnessed_key(log: bytes) -> bytes:
    """Key of the own checkpoint that has satisfied the witness policy last."""
    return b"O" + log


def memory_key() -> bytes:
    """Key that says for which witness key the memory of foreign logs is whole."""
    return b"J"


def foreign_key(origin: str) -> bytes:
    """Key of the signed checkpoint of a foreign log that was cosigned last."""
    return b"L" + hashlib.sha256(origin.encode()).digest()


def foreign_contradiction_key(origin: str) -> bytes:
    """Key of two checkpoints of one size that a foreign log has signed."""
    return b"Z" + hashlib.sha256(origin.encode()).digest()


class Place(NamedTuple):
    """Where an entry stands, as index keys end."""

    log: bytes
    number: int  # leaf index

    def encode(self) -> bytes:
        """Return the end of an index key."""
        return self.log + self.number.to_bytes(INDEX_BYTES, "big")


def place_of(key: bytes) -> Place:
    """Return the place at the end of an index key."""
    return Place(key[-LOG_BYTES - INDEX_BYTES : -INDEX_BYTES], int.from_bytes(key[-INDEX_BYTES:], "big"))
