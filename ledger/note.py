"""Signed notes and the keys that sign them (c2sp.org/signed-note); the only caller of Ed25519 in this project.

    note       = text LF 1*100(signature)     the text ends in LF; the last empty line divides it from the signatures
    signature  = "— " name " " base64(key ID || blob) LF
    key ID     = SHA-256(name || LF || type || public key)[:4]
    vkey       = name "+" hex(key ID) "+" base64(type || public key)
    skey       = "PRIVATE+KEY+" name "+" hex(key ID) "+" base64(type || seed)       also the form of our key files

    This is an example message.

    — example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=

is signed by ``example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k``. Two types of keys are known. Of
type 0x01 the blob is the Ed25519 signature of the text. Of type 0x04, a cosignature (c2sp.org/tlog-cosignature), it is
the time in seconds as 64-bit big-endian number and then the Ed25519 signature of

    cosignature/v1
    time 1679315147
    …the text

Signatures of unknown keys say nothing and are skipped; a known key whose signature is wrong fails the whole note.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

import nacl
from nacl.bindings import (
    crypto_core_ed25519_is_valid_point,
    crypto_sign,
    crypto_sign_BYTES,
    crypto_sign_open,
    crypto_sign_PUBLICKEYBYTES,
    crypto_sign_SECRETKEYBYTES,
    crypto_sign_seed_keypair,
    crypto_sign_SEEDBYTES,
)
from nacl.exceptions import BadSignatureError

from ledger.encoding import DECIMAL_MAX, encode_base64, parse_base64
from ledger.errors import (
    Base64Error,
    InvalidSignatureError,
    KeyFormatError,
    NoteError,
    TooLongError,
    TooManyError,
    UnsignedError,
)

ED25519: Final = 0x01  # signs the text
COSIGNATURE: Final = 0x04  # signs a time and the text

NOTE_BYTES_MAX = 1_000_000  # as golang.org/x/mod/sumdb/note
SIGNATURES_MAX = 100  # what must be verified at most (protocol section 2)

_KEY_ID_SIZE = 4  # bytes
_TIME_SIZE = 8  # bytes
_SECRET_PREFIX = "PRIVATE+KEY+"  # noqa: S105 - a format's name
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_NOT_IN_NAME = re.compile(r"[\s+\x00-\x1f\ud800-\udfff]")  # \s: whatever Unicode calls a space


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One signature line: who signed (name and key ID together), and the blob that follows the key ID."""

    name: str
    key_id: bytes  # 4 bytes
    blob: bytes  # at least 1 byte; its form depends on the key's type

    @property
    def line(self) -> str:
        """The line as it stands in a note, with its newline."""
        return f"— {self.name} {encode_base64(self.key_id + self.blob)}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A text, which ends in a newline, and its signatures, verified or not."""

    text: str
    signatures: tuple[Signature, ...]  # 1 to SIGNATURES_MAX

    def encode(self) -> bytes:
        """Return the note's bytes."""
        return f"{self.text}\n{''.join(signature.line for signature in self.signatures)}".encode()


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with the name it signs under. Every instance is of a known type and holds a sound point.

    Raises:
        KeyFormatError: a name that no note can hold, an unknown type, or a public key that is not sound.
    """

    name: str
    algorithm: int  # ED25519 or COSIGNATURE
    public_key: bytes  # 32 bytes
    key_id: bytes = field(init=False)  # 4 bytes, SHA-256(name || LF || type || public key)[:4]

    def __post_init__(self) -> None:
        """Check the parts and derive the key ID."""
        check_key_name(self.name)
        if self.algorithm not in (ED25519, COSIGNATURE):
            raise KeyFormatError(f"no key type {self.algorithm:#04x} is known here", field="vkey")
        check_public_key(self.public_key)
        named = self.name.encode() + b"\n" + bytes([self.algorithm]) + self.public_key
        object.__setattr__(self, "key_id", sha256(named).digest()[:_KEY_ID_SIZE])

    @property
    def vkey(self) -> str:
        """The key as text, ``name+hex8+base64``."""
        return f"{self.name}+{self.key_id.hex()}+{encode_base64(bytes([self.algorithm]) + self.public_key)}"

    def verify(self, text: str | bytes, signature: Signature) -> int | None:
        """Check this key's signature of ``text``; return the time of a cosignature in seconds since 1970, else None.

        Raises:
            UnsignedError: the signature is another key's, so that it says nothing.
            InvalidSignatureError: it is in this key's name, and this key did not make it.
        """
        if (signature.name, signature.key_id) != (self.name, self.key_id):
            raise UnsignedError(f"the signature is not by {self.name}+{self.key_id.hex()}", field=signature.name)
        message, blob, time = _encoded(text), signature.blob, None
        if self.algorithm == COSIGNATURE:
            time = int.from_bytes(blob[:_TIME_SIZE], "big")
            message, blob = _cosigned(message, time), blob[_TIME_SIZE:]
        if (time or 0) > DECIMAL_MAX or not verify_detached(self.public_key, message, blob):
            raise InvalidSignatureError("the key did not sign this text", field=signature.name)
        return time


class SigningKey(ABC):
    """Whatever signs in the name of a verifier key: here a seed in memory, elsewhere a device or another process."""

    __slots__ = ()

    name: str
    algorithm: int  # ED25519 or COSIGNATURE
    verifier: VerifierKey

    @abstractmethod
    def sign_bytes(self, message: bytes) -> bytes:
        """Return the bare Ed25519 signature (64 bytes) of ``message``; any thread may ask.

        Raises:
            LedgerError: the device or process does not sign now.
        """

    def sign(self, text: str | bytes) -> Signature:
        """Return the signature of ``text``, which ends in a newline.

        Raises:
            KeyFormatError: this key makes cosignatures.
        """
        if self.algorithm != ED25519:
            raise KeyFormatError("a cosigner's key signs nothing but cosignatures", field=self.name)
        return self._signed(b"", _encoded(text))

    def cosign(self, text: str | bytes, time: int) -> Signature:
        """Return the cosignature of ``text`` (a checkpoint's) at ``time``, in seconds since 1970, below 2^63.

        Raises:
            KeyFormatError: this key does not make cosignatures.
        """
        if self.algorithm != COSIGNATURE:
            raise KeyFormatError("only a cosigner's key makes cosignatures", field=self.name)
        assert 0 <= time <= DECIMAL_MAX
        return self._signed(time.to_bytes(_TIME_SIZE, "big"), _cosigned(_encoded(text), time))

    def _signed(self, head: bytes, message: bytes) -> Signature:
        assert message.endswith(b"\n"), "a note's text ends in a newline"
        return Signature(name=self.name, key_id=self.verifier.key_id, blob=head + self.sign_bytes(message))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Signer(SigningKey):
    """A secret key with the name it signs under. Neither ``repr`` nor any error shows the seed.

    Raises:
        KeyFormatError: a name that no note can hold, an unknown type, or a seed that is not of 32 bytes.
    """

    name: str
    algorithm: int  # ED25519 or COSIGNATURE
    seed: bytes  # 32 bytes
    verifier: VerifierKey = field(init=False)
    secret_key: bytes = field(init=False)  # 64 bytes, for sign_detached

    def __post_init__(self) -> None:
        """Derive the key pair."""
        if len(self.seed) != crypto_sign_SEEDBYTES:
            raise KeyFormatError(f"a seed has {crypto_sign_SEEDBYTES} bytes", field="skey")
        public_key, secret_key = crypto_sign_seed_keypair(self.seed)
        object.__setattr__(self, "verifier", VerifierKey(self.name, self.algorithm, public_key))
        object.__setattr__(self, "secret_key", secret_key)

    def __repr__(self) -> str:
        """Show the public half only."""
        return f"Signer({self.verifier.vkey!r})"

    @property
    def skey(self) -> str:
        """The secret key as text, as it stands in a key file."""
        encoded = encode_base64(bytes([self.algorithm]) + self.seed)
        return f"{_SECRET_PREFIX}{self.name}+{self.verifier.key_id.hex()}+{encoded}"

    def sign_bytes(self, message: bytes) -> bytes:
        """Return the bare signature of ``message``."""
        return sign_detached(self.secret_key, message)


@dataclass(frozen=True, slots=True)
class VerifiedSignature:
    """A signature that its key has made, and for a cosignature the time it states, in seconds since 1970."""

    key: VerifierKey
    signature: Signature
    time: int | None


def parse_note(data: bytes, *, size_max: int = NOTE_BYTES_MAX) -> Note:
    """Return the note of at most ``size_max`` bytes; its signatures are not verified, so its text is not to be trusted.

    Raises:
        NoteError: not a signed note.
        TooLongError, TooManyError: more than ``size_max`` bytes, or than 100 signatures.
    """
    if len(data) > size_max:
        raise TooLongError(f"{len(data)} bytes where a note has at most {size_max}", field="note", limit=size_max)
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NoteError(f"byte {error.start} is not UTF-8", field="note") from None
    if control := _CONTROL.search(whole):
        raise NoteError(f"character {control.start()} is a control character", field="note")
    above, blank, below = whole.rpartition("\n\n")
    if not blank or not below.endswith("\n"):
        raise NoteError("a text, an empty line and signature lines are expected, up to a newline", field="note")
    lines = below[:-1].split("\n")
    if len(lines) > SIGNATURES_MAX:
        raise TooManyError(f"{len(lines)} signatures where at most {SIGNATURES_MAX} are allowed", limit=SIGNATURES_MAX)
    signatures = [parse_signature_line(line, field=f"signatures[{number}]") for number, line in enumerate(lines)]
    return Note(above + "\n", tuple(signatures))


def parse_signature_line(line: str, *, field: str | None = None) -> Signature:
    """Return the signature of a line like ``— example.com/foo Uw2QOkn8…``, given without its newline.

    Raises:
        NoteError: not a signature line.
    """
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    if dash != "—" or not name or _NOT_IN_NAME.search(name):
        raise NoteError("not a signature line: an em dash, a key name and base64 are expected", field=field)
    try:
        data = parse_base64(encoded)
    except Base64Error as error:
        raise NoteError(error.message, field=field) from None
    if len(data) <= _KEY_ID_SIZE:
        raise NoteError(f"{len(data)} bytes where a key ID of {_KEY_ID_SIZE} and a signature are expected", field=field)
    return Signature(name=name, key_id=data[:_KEY_ID_SIZE], blob=data[_KEY_ID_SIZE:])


def open_note(
    note: Note, verifiers: Sequence[VerifierKey], *, before: Sequence[VerifiedSignature] = ()
) -> tuple[VerifiedSignature, ...]:
    """Return the signatures of a note that known keys made, in the order of its lines, the first of each key.

    ``before`` are those of the same text that were verified before: the same line by the same key is not verified anew.

    Raises:
        InvalidSignatureError: a line in the name of a known key is not by that key; all of them are checked.
        UnsignedError: no known key has signed.
        KeyFormatError: two different known keys share name and key ID, so that no line could tell which is meant.
    """
    known: dict[tuple[str, bytes], VerifierKey] = {}
    for key in verifiers:
        if known.setdefault((key.name, key.key_id), key) != key:
            raise KeyFormatError("two known keys share this name and a key ID", field=key.name)
    times = {(one.key, one.signature): one.time for one in before}
    verified: dict[VerifierKey, VerifiedSignature] = {}
    for signature in note.signatures:
        signed_by = known.get((signature.name, signature.key_id))
        if signed_by is not None:
            line = signed_by, signature
            time = times[line] if line in times else signed_by.verify(note.text, signature)
            verified.setdefault(signed_by, VerifiedSignature(signed_by, signature, time))
    if not verified:
        raise UnsignedError(f"none of {len(note.signatures)} signatures is by a key that is known here")
    return tuple(verified.values())


def parse_vkey(text: str) -> VerifierKey:
    """Return the verifier key of ``name+hex8+base64``.

    Raises:
        KeyFormatError: another form, a hash that does not match, an unknown type, or a weak public key.
    """
    name, algorithm, public_key = _parse_key(text, form="name+hash+base64", field="vkey")
    key = VerifierKey(name, algorithm, public_key)
    if key.vkey != text:
        raise KeyFormatError("the hash does not match the key", field="vkey")
    return key


def parse_skey(text: str) -> Signer:
    """Return the signer of ``PRIVATE+KEY+name+hex8+base64``, as golang.org/x/mod/sumdb/note writes it.

    Raises:
        KeyFormatError: another form, a hash that does not match, an unknown type; no part of the key is shown.
    """
    if not text.startswith(_SECRET_PREFIX):
        raise KeyFormatError(f"a secret key begins with {_SECRET_PREFIX}", field="skey")
    form = f"{_SECRET_PREFIX}name+hash+base64"
    name, algorithm, seed = _parse_key(text.removeprefix(_SECRET_PREFIX), form=form, field="skey")
    signer = Signer(name, algorithm, seed)
    if signer.skey != text:
        raise KeyFormatError("the hash does not match the key", field="skey")
    return signer


def check_key_name(name: str) -> None:
    """Check that a note can hold ``name``: not empty, no Unicode space, no plus, no control character.

    Raises:
        KeyFormatError: it cannot.
    """
    if not name or _NOT_IN_NAME.search(name):
        raise KeyFormatError("a key name is not empty and has no space, plus sign or control character", field="name")


def check_public_key(public_key: bytes) -> None:
    """Check an Ed25519 public key before it is enrolled: 32 bytes, canonical, on the main subgroup.

    Raises:
        KeyFormatError: it is not; under a point of small order one signature could fit many texts.
    """
    if len(public_key) != crypto_sign_PUBLICKEYBYTES or not crypto_core_ed25519_is_valid_point(public_key):
        raise KeyFormatError("not a canonical Ed25519 public key of the main subgroup", field="public_key")


def sign_detached(secret_key: bytes, message: bytes) -> bytes:
    """Return the Ed25519 signature (64 bytes) under :attr:`Signer.secret_key` (64 bytes); releases the GIL."""
    assert len(secret_key) == crypto_sign_SECRETKEYBYTES
    return _signs(message, secret_key)


def verify_detached(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether ``signature`` is the key's Ed25519 signature of ``message``. Releases the GIL."""
    if len(signature) != crypto_sign_BYTES or len(public_key) != crypto_sign_PUBLICKEYBYTES:
        return False
    return _opens(signature + message, public_key)


def _opens_by_binding(signed: bytes, public_key: bytes) -> bool:
    """Tell whether a signature with its text behind it holds, by PyNaCl's public way."""
    try:
        crypto_sign_open(signed, public_key)
    except BadSignatureError:
        return False
    return True


def _opener(binding: Any) -> Callable[[bytes, bytes], bool]:
    """Return how to open what is signed: by libsodium's function itself, without PyNaCl's copies, if it can be reached.

    ``binding`` is PyNaCl's own module; its name is private, and another version may not have it.
    """
    try:
        function, null = binding.lib.crypto_sign_open, binding.ffi.NULL
    except AttributeError:
        return _opens_by_binding
    return lambda signed, public_key: bool(function(null, null, signed, len(signed), public_key) == 0)


_opens = _opener(getattr(nacl, "_sodium", None))


def _signs_by_binding(message: bytes, secret_key: bytes) -> bytes:
    """Return a signature, by PyNaCl's public way."""
    return crypto_sign(message, secret_key)[:crypto_sign_BYTES]


def _signing(binding: Any) -> Callable[[bytes, bytes], bytes]:
    """Return how to sign: by libsodium's function itself, without PyNaCl's copy of the text, if it can be reached."""
    try:
        function, new, buffer, null = binding.lib.crypto_sign, binding.ffi.new, binding.ffi.buffer, binding.ffi.NULL
    except AttributeError:
        return _signs_by_binding

    def sign(message: bytes, secret_key: bytes) -> bytes:
        signed = new("unsigned char[]", crypto_sign_BYTES + len(message))
        if function(signed, null, message, len(message), secret_key) != 0:
            raise RuntimeError("libsodium does not sign")
        return bytes(buffer(signed, crypto_sign_BYTES))

    return sign


_signs = _signing(getattr(nacl, "_sodium", None))


def _parse_key(text: str, *, form: str, field: str) -> tuple[str, int, bytes]:
    """Return name, type and key bytes; the caller compares the whole text, and with it the hash."""
    parts = text.split("+", 2)  # a name holds no plus, base64 may
    try:
        data = parse_base64(parts[-1])
    except Base64Error:
        data = b""  # raised below, outside of this block: its message would show a part of a secret key
    if len(parts) != len(("name", "hash", "base64")) or not data:
        raise KeyFormatError(f"not of the form {form}", field=field)
    return parts[0], data[0], data[1:]


def _encoded(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


def _cosigned(text: bytes, time: int) -> bytes:
    return b"cosignature/v1\ntime %d\n%b" % (time, text)  # c2sp.org/tlog-cosignature, "Ed25519 signed message"
