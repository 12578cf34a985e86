"""Key files: one key per role, each in a file of its own that only the owner may read (protocol section 3).

    keys/log.key         signs entries and checkpoints of this department's log
    keys/cosigner.key    cosigns the checkpoints of all logs
    keys/transport.key   signs requests to peers
    keys/sealing.key     opens sealed fields (X25519)
    keys/record.key      makes record references; never leaves the department
    keys/witness.key     cosigns foreign logs; only where the settings name some (suyuan witness key makes it)

The first three and the last are signer keys as Go's note package writes them, the others 32 bytes in base64.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nacl.bindings import crypto_scalarmult_base

from ledger.encoding import encode_base64, parse_base64
from ledger.errors import LedgerError
from ledger.note import COSIGNATURE, ED25519, Signer, parse_skey
from node.errors import ConfigError

SEED_BYTES = 32
KEY_FILE_BYTES_MAX = 4096
WITNESS_KEY = "witness.key"

_SIGNERS = {"log": ED25519, "cosigner": COSIGNATURE, "transport": ED25519}


@dataclass(frozen=True, slots=True, repr=False)
class NodeKeys:
    """A node's secret keys."""

    log: Signer
    cosigner: Signer
    transport: Signer
    sealing: bytes  # X25519 secret key, 32 bytes
    record: bytes  # HMAC key, 32 bytes

    @property
    def sealing_public(self) -> bytes:
        """The X25519 public key that others seal to."""
        public: bytes = crypto_scalarmult_base(self.sealing)
        return public


def key_name(origin: str, role: str) -> str:
    """Return the name of a department's key: the origin itself for the log, else the role in the place of ``log``."""
    return origin if role == "log" else f"{origin.rpartition('/')[0]}/{role}"


def generate_keys(folder: Path, origin: str, random: Callable[[int], bytes]) -> NodeKeys:
    """Make a node's keys and write each to its file; ``random`` gives that many secret bytes.

    Raises:
        ConfigError: a key file is there already.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for role, algorithm in _SIGNERS.items():
        write_secret(folder / f"{role}.key", Signer(key_name(origin, role), algorithm, random(SEED_BYTES)).skey)
    for role in ("sealing", "record"):
        write_secret(folder / f"{role}.key", encode_base64(random(SEED_BYTES)))
    return load_keys(folder, origin)


def load_keys(folder: Path, origin: str) -> NodeKeys:
    """Return a node's keys.

    Raises:
        ConfigError: a file is missing, readable by others, damaged, or of another department.
    """
    signers = {}
    for role, algorithm in _SIGNERS.items():
        path = folder / f"{role}.key"
        signers[role] = read_signer(path)
        if signers[role].name != key_name(origin, role) or signers[role].algorithm != algorithm:
            raise ConfigError(f"{path.name} is not the {role} key of {origin}", field=str(path))
    return NodeKeys(
        log=signers["log"],
        cosigner=signers["cosigner"],
        transport=signers["transport"],
        sealing=_read_bytes(folder / "sealing.key"),
        record=read_record_key(folder),
    )


def make_witness_key(folder: Path, name: str, random: Callable[[int], bytes]) -> Signer:
    """Make the key that cosigns foreign logs, and write it to its file.

    Raises:
        ConfigError: there is one already, or it cannot be written.
    """
    signer = Signer(name, COSIGNATURE, random(SEED_BYTES))
    write_secret(folder / WITNESS_KEY, signer.skey)
    return signer


def load_witness_key(folder: Path, name: str) -> Signer:
    """Return the key that cosigns foreign logs.

    Raises:
        ConfigError: the file is missing, readable by others, damaged, or of another name or kind.
    """
    path = folder / WITNESS_KEY
    if not path.exists():
        raise ConfigError(
            "foreign logs are witnessed with a key of its own, which is not there", field=str(path),
            hint="suyuan witness key makes it",
        )  # fmt: skip
    signer = read_signer(path)
    if signer.algorithm != COSIGNATURE or signer.name != name:
        raise ConfigError(f"{path.name} is not the witness key {name}", field=str(path))
    return signer


def read_record_key(folder: Path) -> bytes:
    """Return the key that makes record references.

    Raises:
        ConfigError: as :func:`load_keys`.
    """
    return _read_bytes(folder / "record.key")


def read_signer(path: Path) -> Signer:
    """Return the signer key in a file.

    Raises:
        ConfigError: the file is missing, readable by others, or holds no signer key.
    """
    try:
        return parse_skey(read_secret(path))
    except ConfigError:
        raise
    except LedgerError as error:
        raise ConfigError(f"{path.name} holds no signer key: {error}", field=str(path)) from None


def read_secret(path: Path) -> str:
    """Return the one line of a secret file.

    Raises:
        ConfigError: it is missing, too large, or others may read it.
    """
    try:
        with path.open("rb") as file:
            if os.name == "posix" and os.fstat(file.fileno()).st_mode & 0o077:
                raise ConfigError("others may read this key", field=str(path), hint=f"chmod 600 {path}")
            data = file.read(KEY_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", field=str(path)) from None
    if len(data) > KEY_FILE_BYTES_MAX:
        raise ConfigError("this is no key file", field=str(path), limit=KEY_FILE_BYTES_MAX)
    try:
        return data.decode("ascii").strip()
    except UnicodeDecodeError:
        raise ConfigError("this is no key file", field=str(path)) from None


def write_secret(path: Path, text: str) -> None:
    """Write a secret file that only the owner may read, durably.

    Raises:
        ConfigError: the file is there already, or cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigError("there is a key already; it is never overwritten", field=str(path)) from None
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}", field=str(path)) from None
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())


def _read_bytes(path: Path) -> bytes:
    try:
        return parse_base64(read_secret(path), size=SEED_BYTES)
    except ConfigError:
        raise
    except LedgerError as error:
        raise ConfigError(f"{path.name} is damaged: {error}", field=str(path)) from None
