"""A node's keys: one key per role at a time, and the former and coming ones beside it (protocol section 3).

    keys/log.key         signs entries and checkpoints of this department's log; then log.2.key, log.3.key, …
    keys/cosigner.key    cosigns the checkpoints of all logs
    keys/transport.key   signs requests to peers
    keys/sealing.key     opens sealed fields (X25519); the former ones are kept, for what was sealed to them
    keys/record.key      makes record references; never leaves the department, and is never replaced
    keys/witness.key     cosigns foreign logs; only where the settings name some (suyuan witness key makes it)

The first three and the last are signer keys as Go's note package writes them, the others 32 bytes in base64; each may
be closed with a passphrase (node/keyfile.py), and signer keys may live elsewhere (node/signers.py). A :class:`KeyRing`
has all of them but the last; the network document says which one is used: :meth:`KeyRing.select`.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nacl.bindings import crypto_scalarmult_base

from ledger.encoding import encode_base64, parse_base64
from ledger.errors import LedgerError
from ledger.network import Member
from ledger.note import COSIGNATURE, ED25519, Signer, SigningKey, VerifierKey, parse_skey, parse_vkey
from node.errors import ConfigError
from node.keyfile import PUBLIC_NONE, Closed, Lock, parse_closed, read_secret, read_text, replace_secret, write_secret
from node.signers import KEY_SUFFIX, load_signers, next_file, numbered_files, read_signer

SEED_BYTES = 32
SIGNING: Final[Mapping[str, int]] = {"log": ED25519, "cosigner": COSIGNATURE, "transport": ED25519}
ROTATED: Final = (*SIGNING, "sealing")  # roles whose key the network document names, so that it can be another one
ROLES: Final = (*ROTATED, "record")
GOVERNOR: Final = "governor"  # signs network documents; its file lies elsewhere, and no node has it
WITNESS_KEY = "witness.key"

ROTATE_HINT = "give member.json to the governors; it goes on when the network document names the new key"
MISSING_HINT: Final = "put the file of that key back into the folder keys, beside the others"

Random = Callable[[int], bytes]  # that many secret bytes


@dataclass(frozen=True, slots=True, repr=False)
class NodeKeys:
    """The keys that a node uses under one version of the network document."""

    log: SigningKey  # the newest that the document names
    cosigner: SigningKey
    transport: SigningKey
    sealing: bytes  # X25519 secret key, 32 bytes
    record: bytes  # HMAC key, 32 bytes
    logs: tuple[SigningKey, ...] = ()  # all log keys that are here

    @property
    def sealing_public(self) -> bytes:
        """The X25519 public key that others seal to."""
        return public_of(self.sealing)

    def log_signer(self, key: VerifierKey) -> SigningKey | None:
        """Return the log key whose public half is ``key``; None where it is not here."""
        return next((signer for signer in (self.log, *self.logs) if signer.verifier == key), None)


@dataclass(frozen=True, slots=True, repr=False)
class KeyRing:
    """All keys of a department that are here, by role and oldest first."""

    signers: Mapping[str, tuple[SigningKey, ...]]
    sealing_keys: tuple[bytes, ...]  # X25519 secret keys, 32 bytes each
    record: bytes  # HMAC key, 32 bytes

    @classmethod
    def of(cls, *keys: NodeKeys) -> "KeyRing":
        """Return the ring of some sets of keys, oldest first."""
        distinct = {
            role: {key.verifier: key for one in keys for key in (getattr(one, role),)}.values() for role in SIGNING
        }
        sealing = dict.fromkeys(one.sealing for one in keys)
        return cls({role: tuple(found) for role, found in distinct.items()}, tuple(sealing), keys[-1].record)

    @property
    def newest(self) -> NodeKeys:
        """The newest key of each role: those of a department that no network document names yet."""
        newest = {role: keys[-1] for role, keys in self.signers.items()}
        return NodeKeys(**newest, sealing=self.sealing_keys[-1], record=self.record, logs=self.signers["log"])

    @property
    def publics(self) -> dict[str, tuple[str, ...]]:
        """The public halves by role, as the network document writes them."""
        publics = {role: tuple(key.verifier.vkey for key in keys) for role, keys in self.signers.items()}
        return {**publics, "sealing": tuple(encode_base64(public_of(key)) for key in self.sealing_keys)}

    def select(self, member: Member) -> NodeKeys:
        """Return for each role the key that the network document names.

        Raises:
            ConfigError: one of them is not here.
        """
        check_named(self.publics, member)
        keys = {
            role: next(key for key in self.signers[role] if key.verifier.vkey == public)
            for role, public in named_keys(member).items()
            if role in SIGNING
        }
        sealing = next(key for key in self.sealing_keys if encode_base64(public_of(key)) == member.entry.sealing)
        return NodeKeys(**keys, sealing=sealing, record=self.record, logs=self.signers["log"])


def named_keys(member: Member) -> dict[str, str]:
    """Return the keys that the network document names for a member, by role; of its log keys the newest."""
    return {
        "log": member.log_keys[-1][2].vkey,
        "cosigner": member.cosigner.vkey,
        "transport": member.transport.vkey,
        "sealing": member.entry.sealing,
    }


def missing_keys(publics: Mapping[str, Collection[str]], member: Member) -> dict[str, str]:
    """Return the keys that the network document names and that are not here, by role; ``publics`` are those that are.

    A node that has joined with all its keys may miss one later: the governors have named another, or a ruling has.
    """
    return {role: public for role, public in named_keys(member).items() if public not in publics[role]}


def check_named(publics: Mapping[str, Collection[str]], member: Member) -> None:
    """Check that the keys that the network document names are here; ``publics`` are those that are, by role.

    Raises:
        ConfigError: it names another one.
    """
    for role in missing_keys(publics, member):
        raise ConfigError(
            f"the network document names another {role} key for {member.origin}",
            field=f"keys/{role}.key",
            hint=MISSING_HINT,
        )


def key_name(origin: str, role: str) -> str:
    """Return the name of a department's key: the origin itself for the log, else the role in the place of ``log``."""
    return origin if role == "log" else f"{origin.rpartition('/')[0]}/{role}"


def public_of(sealing: bytes) -> bytes:
    """Return the X25519 public key of a sealing key."""
    public: bytes = crypto_scalarmult_base(sealing)
    return public


# Files.


@dataclass(frozen=True, slots=True, repr=False)
class KeyFile:
    """One file of the keys folder as it stands there, open or closed."""

    role: str
    path: Path
    text: str
    closed: Closed | None

    @property
    def public(self) -> str:
        """The public half as the network document writes it; ``-`` for the record key.

        A closed file only says so; opening it tells whether it is true.
        """
        return self.closed.public if self.closed is not None else public_text(self.role, self.text)


def public_text(role: str, secret: str) -> str:
    """Return the public half of a key file's secret, as the network document writes it.

    Raises:
        LedgerError: the secret is no key of that kind.
    """
    if role in SIGNING or role == GOVERNOR:
        return parse_skey(secret).verifier.vkey
    data = parse_base64(secret, size=SEED_BYTES)
    return encode_base64(public_of(data)) if role == "sealing" else PUBLIC_NONE


def generate_keys(folder: Path, origin: str, random: Random, lock: Lock | None = None) -> KeyRing:
    """Make a node's keys and write each to its file, closed where there is a ``lock``.

    Raises:
        ConfigError: a key file is there already, or no passphrase is given.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for role in ROLES:
        _write(folder / f"{role}{KEY_SUFFIX}", role, _made(role, origin, random), random, lock)
    return load_ring(folder, origin, lock=lock)


def add_key(folder: Path, role: str, origin: str, random: Random, lock: Lock | None = None) -> KeyFile:
    """Make a further key for a role beside those that are there, closed where the newest of them is.

    Raises:
        ConfigError: it cannot be written, or no passphrase is given.
    """
    first = folder / f"{role}{KEY_SUFFIX}"
    newest = _key_file(role, numbered_files(first)[-1][1], origin)
    if newest.closed is not None:
        open_file(newest, lock)  # so that all files stay closed with one passphrase
    path = next_file(first)
    _write(path, role, _made(role, origin, random), random, lock if newest.closed is not None else None)
    return _key_file(role, path, origin)


def key_files(folder: Path, origin: str, roles: Collection[str] = ROLES) -> list[KeyFile]:
    """Return the files of a keys folder, by role and oldest first.

    Raises:
        ConfigError: one is missing, readable by others, damaged, or of another department or role.
    """
    return [
        _key_file(role, path, origin) for role in roles for _, path in numbered_files(folder / f"{role}{KEY_SUFFIX}")
    ]


def open_file(file: KeyFile, lock: Lock | None) -> str:
    """Return the secret of a key file.

    Raises:
        ConfigError: it does not open, or is another key than it says.
    """
    secret = read_secret(file.path, lock)
    try:
        public = public_text(file.role, secret)
    except LedgerError as error:
        raise ConfigError(f"{file.path.name} is damaged: {error.message}", field=str(file.path)) from None
    if public != file.public:
        raise ConfigError(f"{file.path.name} is closed as another key than it holds", field=str(file.path))
    return secret


def close_files(files: Collection[KeyFile], lock: Lock, random: Random) -> list[KeyFile]:
    """Close every open file of ``files`` with the passphrase of ``lock``; return those that were open.

    (1) Open those that are closed: one that does not open has another passphrase, and nothing is changed then.
    (2) Replace the others one by one. A crash leaves each of them open or closed, whole; asking again does the rest.

    Raises:
        ConfigError: one does not open, or cannot be written.
    """
    for file in files:
        open_file(file, lock)
    left = [file for file in files if file.closed is None]
    for file in left:
        replace_secret(file.path, closed_text(file.role, file.text, random, lock))
    return left


def open_files(files: Collection[KeyFile], lock: Lock) -> list[KeyFile]:
    """Write every closed file of ``files`` open; return those that were closed. Steps and crashes as when closing.

    Raises:
        ConfigError: one does not open, or cannot be written.
    """
    left = [(file, open_file(file, lock)) for file in files if file.closed is not None]
    for file, secret in left:
        replace_secret(file.path, secret)
    return [file for file, _ in left]


def governor_file(path: Path) -> KeyFile:
    """Return a governor's key file.

    Raises:
        ConfigError: it is missing, readable by others, or damaged.
    """
    file = _file(GOVERNOR, path)
    try:
        parse_vkey(file.public)
    except LedgerError as error:
        raise ConfigError(f"{path.name} holds no signer key: {error.message}", field=str(path)) from None
    return file


def load_ring(folder: Path, origin: str, *, lock: Lock | None = None, uris: Mapping[str, str] | None = None) -> KeyRing:
    """Return a node's keys; ``uris`` say of some roles that their keys live elsewhere than in ``folder``.

    Raises:
        ConfigError: a key is missing, readable by others, does not open, is damaged, or of another department or role.
        SignerError: a process that has a key does not answer.
    """
    uris = uris or {}
    found: dict[str, list[str]] = {role: [] for role in ROLES}
    for file in key_files(folder, origin, [role for role in ROLES if role not in uris]):
        found[file.role].append(open_file(file, lock))
    signers: dict[str, tuple[SigningKey, ...]] = {
        role: load_elsewhere(role, uris[role], folder, origin, lock)
        if role in uris
        else tuple(map(parse_skey, found[role]))
        for role in SIGNING
    }
    sealing = tuple(parse_base64(text) for text in found["sealing"])
    return KeyRing(signers, sealing, parse_base64(found["record"][-1]))


def make_witness_key(folder: Path, name: str, random: Callable[[int], bytes]) -> Signer:
    """Make the key that cosigns foreign logs, and write it to its file.

    Raises:
        ConfigError: there is one already, or it cannot be written.
    """
    signer = Signer(name, COSIGNATURE, random(SEED_BYTES))
    write_secret(folder / WITNESS_KEY, signer.skey)
    return signer


def load_witness_key(folder: Path, name: str, lock: Lock | None = None) -> Signer:
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
    signer = read_signer(path, lock)
    if signer.algorithm != COSIGNATURE or signer.name != name:
        raise ConfigError(f"{path.name} is not the witness key {name}", field=str(path))
    return signer


def read_record_key(folder: Path, lock: Lock | None = None) -> bytes:
    """Return the key that makes record references.

    Raises:
        ConfigError: as :func:`load_ring`.
    """
    path = folder / f"record{KEY_SUFFIX}"
    return parse_base64(open_file(_file("record", path), lock))


def load_elsewhere(role: str, uri: str, folder: Path, origin: str, lock: Lock | None = None) -> tuple[SigningKey, ...]:
    """Return the keys of a role that live where ``uri`` says, oldest first; ``folder`` is that of the key files.

    Raises:
        ConfigError, SignerError: they cannot be had, or are of another department or role.
    """
    try:
        keys = load_signers(uri, folder.parent, lock)
        for key in keys:
            _check_key(role, key.verifier, origin, "what is there")
    except ConfigError as error:
        raise error if error.field is not None else error.at(f"{role}_key") from None
    return keys


def _made(role: str, origin: str, random: Random) -> str:
    if role in SIGNING:
        return Signer(key_name(origin, role), SIGNING[role], random(SEED_BYTES)).skey
    return encode_base64(random(SEED_BYTES))


def _write(path: Path, role: str, secret: str, random: Random, lock: Lock | None) -> None:
    write_secret(path, closed_text(role, secret, random, lock) if lock is not None else secret)


def closed_text(role: str, secret: str, random: Random, lock: Lock) -> str:
    """Return the text of a key file closed with ``lock``.

    Raises:
        PassphraseNeededError: nobody gives a passphrase.
    """
    return lock.close(secret, public=public_text(role, secret), random=random).encode()


def _key_file(role: str, path: Path, origin: str) -> KeyFile:
    file = _file(role, path)
    try:
        public = file.public
        if role in SIGNING:
            _check_key(role, parse_vkey(public), origin, path.name)
        elif role == "sealing":
            parse_base64(public, size=SEED_BYTES)
    except ConfigError as error:
        raise error.at(str(path)) from None
    except LedgerError as error:
        raise ConfigError(f"{path.name} is damaged: {error.message}", field=str(path)) from None
    return file


def _file(role: str, path: Path) -> KeyFile:
    text = read_text(path)
    try:
        return KeyFile(role, path, text, parse_closed(text))
    except ConfigError as error:
        raise error.at(str(path)) from None


def _check_key(role: str, key: VerifierKey, origin: str, what: str) -> None:
    if key.name != key_name(origin, role) or key.algorithm != SIGNING[role]:
        raise ConfigError(f"{what} is not the {role} key of {origin}")
