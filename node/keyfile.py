"""Secret files: only their owner may read them, and a passphrase may close them besides.

An open one holds its secret on one line. A closed one has four lines:

    suyuan/key/v1
    police.ordos.example/log+c028188a+ARB2MHvhFpOJSrFm5e9WPPwTmmt5V3V8WWi+Os0o7cMN
    argon2id 3 268435456 3q2+796tvu/erb7v3q2+7w==
    <base64(nonce || box)>

The second line is what everybody may know of the key: it tells the key without the passphrase, and must be the public
half of what the box holds (``-`` where there is none). The third gives passes, bytes of memory and salt of Argon2id
(RFC 9106), which makes the key of the box from the passphrase, UTF-8 in NFC; the box is libsodium's secretbox
(XSalsa20-Poly1305) with its nonce of 24 bytes before it. The cost is bounded when it is read, so that a file from
elsewhere takes neither all memory nor all day.

    ConfigError
    ├── PassphraseNeededError   passphrase_needed: the file is closed, and nobody gives the passphrase
    └── WrongPassphraseError    wrong_passphrase
"""

import os
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock as Mutex
from typing import Final

from nacl.exceptions import CryptoError
from nacl.pwhash import argon2id
from nacl.secret import SecretBox

from ledger.encoding import encode_base64, parse_base64, parse_decimal
from ledger.errors import LedgerError
from ledger.store.headfile import sync_directory
from node.errors import ConfigError, PassphraseNeededError, WrongPassphraseError

FORMAT: Final = "suyuan/key/v1"
KEY_FILE_BYTES_MAX = 4096
PASSPHRASE_VARIABLE: Final = "SUYUAN_PASSPHRASE"  # noqa: S105 - a variable's name
PASSPHRASE_BYTES_MAX = 1024
SALT_BYTES: Final = argon2id.SALTBYTES  # 16
PUBLIC_NONE: Final = "-"

_LINES = 4
_KDF = "argon2id"

Random = Callable[[int], bytes]  # that many secret bytes
Source = Callable[[], str | None]  # of a passphrase; None: it has none


@dataclass(frozen=True, slots=True)
class Cost:
    """What one guess at a passphrase costs, and one start of the node as well."""

    passes: int
    memory: int  # bytes


COST = Cost(passes=3, memory=256 << 20)  # libsodium's "moderate": 0.7 s on the cores of 2020
COST_MIN = Cost(argon2id.OPSLIMIT_MIN, argon2id.MEMLIMIT_MIN)
COST_MAX = Cost(passes=10, memory=1 << 30)  # what a file may ask for


@dataclass(frozen=True, slots=True)
class Closed:
    """A closed file, not opened yet."""

    public: str  # the public half, as text without white space
    cost: Cost
    salt: bytes  # 16 bytes
    box: bytes  # nonce and box

    def encode(self) -> str:
        """Return the file's text, without its last newline."""
        kdf = f"{_KDF} {self.cost.passes} {self.cost.memory} {encode_base64(self.salt)}"
        return f"{FORMAT}\n{self.public}\n{kdf}\n{encode_base64(self.box)}"


def parse_closed(text: str) -> Closed | None:
    """Return the closed file that ``text`` is; None where it is an open one.

    Raises:
        ConfigError: it is closed in a way that nobody here opens.
    """
    lines = text.split("\n")
    if lines[0] != FORMAT:
        return None
    try:
        public, kdf, box = lines[1:]
        name, passes, memory, salt = kdf.split(" ")
        cost = Cost(parse_decimal(passes), parse_decimal(memory))
        closed = Closed(public, cost, parse_base64(salt), parse_base64(box))
    except (ValueError, LedgerError):
        raise ConfigError(f"damaged: a closed key file has {_LINES} lines, the first of them {FORMAT}") from None
    if name != _KDF:
        raise ConfigError(f"closed with {name[:40]!r}, and only {_KDF} is known here")
    _check_cost(closed.cost)
    if len(closed.salt) != SALT_BYTES or len(closed.box) <= SecretBox.NONCE_SIZE + SecretBox.MACBYTES:
        raise ConfigError("damaged: salt or box are too short")
    return closed


def _check_cost(cost: Cost) -> None:
    if not COST_MIN.passes <= cost.passes <= COST_MAX.passes:
        raise ConfigError(f"the file asks for {cost.passes} passes to open it", limit=COST_MAX.passes)
    if not COST_MIN.memory <= cost.memory <= COST_MAX.memory:
        raise ConfigError(f"the file asks for {cost.memory} bytes of memory to open it", limit=COST_MAX.memory)


class Lock:
    """Opens and closes secret files with one passphrase, which is asked for when it is first needed.

    Files that were closed together share their salt, so that a node derives one key at its start, not five.
    """

    def __init__(self, *sources: Source, cost: Cost | None = None) -> None:
        """Ask ``sources`` in their order; the first that has a passphrase is believed. Closing takes ``cost``."""
        self.sources = list(sources)
        self._cost = cost
        self._passphrase: bytes | None = None
        self._keys: dict[tuple[Cost, bytes], bytes] = {}  # by cost and salt
        self._mutex = Mutex()

    def open(self, closed: Closed) -> str:
        """Return the secret of a closed file.

        Raises:
            PassphraseNeededError: nobody gives a passphrase.
            WrongPassphraseError: it does not open this file.
        """
        box = SecretBox(self._key(closed.cost, closed.salt))
        try:
            return box.decrypt(closed.box).decode("ascii")
        except (CryptoError, UnicodeDecodeError):
            raise WrongPassphraseError("the passphrase does not open this file, or it is damaged") from None

    def close(self, secret: str, *, public: str, random: Random) -> Closed:
        """Return a secret as a closed file that tells ``public`` of it.

        Raises:
            PassphraseNeededError: nobody gives a passphrase.
        """
        cost = self._cost or COST
        salt = next((salt for known, salt in self._keys if known == cost), None) or random(SALT_BYTES)
        box = SecretBox(self._key(cost, salt))
        return Closed(public, cost, salt, bytes(box.encrypt(secret.encode("ascii"), random(SecretBox.NONCE_SIZE))))

    def _key(self, cost: Cost, salt: bytes) -> bytes:
        with self._mutex:
            if (cost, salt) not in self._keys:
                self._keys[cost, salt] = argon2id.kdf(
                    SecretBox.KEY_SIZE, self._secret(), salt, opslimit=cost.passes, memlimit=cost.memory
                )
            return self._keys[cost, salt]

    def _secret(self) -> bytes:
        if self._passphrase is None:
            found = next(filter(None, (source() for source in self.sources)), None)
            if found is None:
                raise PassphraseNeededError("the key file is closed with a passphrase")
            self._passphrase = _encoded(found)
        return self._passphrase


def _encoded(passphrase: str) -> bytes:
    """Return a passphrase as bytes; what two keyboards compose differently is the same."""
    data = unicodedata.normalize("NFC", passphrase).encode("utf-8", "surrogateescape")
    if len(data) > PASSPHRASE_BYTES_MAX:
        raise ConfigError("the passphrase is too long", field="passphrase", limit=PASSPHRASE_BYTES_MAX)
    return data


def from_environment() -> str | None:
    """Return the passphrase in the environment, if there is one."""
    return os.environ.get(PASSPHRASE_VARIABLE)


def from_file(path: Path) -> str:
    """Return the passphrase in a file, its first line.

    Raises:
        ConfigError: the file is missing, readable by others, empty, or no text.
    """
    try:
        line = _read(path).decode("utf-8").split("\n")[0].removesuffix("\r")
    except UnicodeDecodeError:
        raise ConfigError("this is no passphrase: not UTF-8", field=str(path)) from None
    if not line:
        raise ConfigError("there is no passphrase in this file", field=str(path))
    return line


def read_secret(path: Path, lock: Lock | None = None) -> str:
    """Return what a secret file holds, opened with ``lock`` where it is closed.

    Raises:
        ConfigError: it is missing, too large, others may read it, or it does not open.
    """
    text = read_text(path)
    try:
        closed = parse_closed(text)
        return text if closed is None else (lock or Lock()).open(closed)
    except ConfigError as error:
        raise (error.at(str(path)) if error.field is None else error) from None  # of the passphrase file, say


def read_text(path: Path) -> str:
    """Return the text of a secret file as it stands there, open or closed.

    Raises:
        ConfigError: it is missing, too large, or others may read it.
    """
    try:
        return _read(path).decode("ascii").strip()
    except UnicodeDecodeError:
        raise ConfigError("this is no key file", field=str(path)) from None


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            if os.name == "posix" and os.fstat(file.fileno()).st_mode & 0o077:
                raise ConfigError("others may read this file", field=str(path), hint=f"chmod 600 {path}")
            data = file.read(KEY_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", field=str(path)) from None
    if len(data) > KEY_FILE_BYTES_MAX:
        raise ConfigError("this is no key file", field=str(path), limit=KEY_FILE_BYTES_MAX)
    return data


def write_secret(path: Path, text: str) -> None:
    """Write a secret file that only the owner may read, durably: (1) beside its place, (2) into it, never over another.

    A crash before (2) leaves a file that nobody reads, one after it the whole secret.

    Raises:
        ConfigError: the file is there already, or cannot be written.
    """
    fresh = _write_beside(path, text)
    try:
        os.link(fresh, path)
        fresh.unlink()
        sync_directory(path.parent)
    except FileExistsError:
        fresh.unlink(missing_ok=True)
        raise ConfigError("there is a key already; it is never overwritten", field=str(path)) from None
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}", field=str(path)) from None


def replace_secret(path: Path, text: str) -> None:
    """Write a secret file in the place of the one that is there; a crash leaves either of them, whole.

    Raises:
        ConfigError: it cannot be written.
    """
    fresh = _write_beside(path, text)
    try:
        fresh.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}", field=str(path)) from None


def _write_beside(path: Path, text: str) -> Path:
    fresh = path.with_name(f"{path.name}.new")
    try:
        fresh.unlink(missing_ok=True)  # a crash has left it
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}", field=str(path)) from None
    return fresh
