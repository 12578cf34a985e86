"""Entries: one event of one log, chained and signed (protocol section 4).

    suyuan/entry/v1
    police.ordos.example/log
    42
    pU8nS2wQv1H6cD0yq0m1iV5m4k3v7mWb1sZ2r9Yx8Ew=
    2026-11-21T08:15:30.123Z
    {"bytes":2048,"consumer":"tax.ordos.example/log", … ,"type":"share"}

    — police.ordos.example/log WlkgMwAB…=

The fourth line is the SHA-256 of the *text* of the entry before (of the network document's text for entry 0): a batch
is chained first and signed afterwards on all cores, and every signature commits to all history before it.
"""

import hashlib
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import starmap
from typing import TYPE_CHECKING, Generic, TypeVar

from ledger.encoding import (
    INTEGER_MAX,
    JsonObject,
    cut,
    decode_utf8,
    encode_base64,
    format_time,
    parse_base64,
    parse_canonical_json,
    parse_decimal,
    parse_hash,
    parse_time,
)
from ledger.errors import (
    ChainError,
    EntryError,
    InvalidSignatureError,
    LedgerError,
    OutOfRangeError,
    TooLongError,
    UnsignedError,
)
from ledger.limits import is_origin
from ledger.merkle import leaf_hash
from ledger.note import ED25519, SigningKey, VerifierKey, verify_detached

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from ledger.event.base import EntryRef

FORMAT = "suyuan/entry/v1"
ENTRY_BYTES_MAX = 65_535  # a bundle gives an entry's length in 16 bits (c2sp.org/tlog-tiles)
SIGNATURE_BYTES = 64
PARALLEL_MIN = 16  # below that, handing work to another thread costs more than it saves

_TIMES_KEPT = 256  # that were read: those of the next entries are mostly the same
_STAMP_CHARACTERS = 25  # the line of the time, its newline included
_SIGNATURE_CHARACTERS = 93  # base64 of key ID and signature, and the newline
_LAST_LETTERS = b"AEIMQUYcgkosw048"  # of base64 of 68 bytes, whose last letter has two bits to spare, which are 0
_LINES = 9  # six of the text, an empty one, the signature line, and what follows its newline: nothing
_T = TypeVar("_T")
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry as it stands in a log: its parsed parts, and the bytes that were signed and hashed."""

    origin: str
    index: int  # leaf index, 0 <= index < 2**53, so that a reference can name it
    previous: bytes  # SHA-256 of the previous entry's text
    time: int  # milliseconds since 1970 (UTC), never less than the previous entry's
    event: JsonObject
    key_id: bytes  # 4 bytes
    signature: bytes  # 64 bytes
    text: bytes  # what is signed and chained
    raw: bytes  # the whole note: what is stored, served and hashed into the tree
    leaf: bytes  # SHA-256(0x00 || raw)

    @property
    def ref(self) -> "EntryRef":
        """Where this entry stands, and which bytes."""
        from ledger.event.base import EntryRef  # noqa: PLC0415 - processes that check entries do without models

        return EntryRef(hash=encode_base64(self.leaf), index=self.index, log=self.origin)

    @property
    def event_text(self) -> bytes:
        """The event's canonical JSON: the last line of the text."""
        return self.text[self.text.rindex(b"\n", 0, -1) + 1 : -1]


@dataclass(frozen=True, slots=True)
class ChainHead:
    """The end of a log's hash chain: what the next entry must follow."""

    origin: str
    size: int  # entries so far, and the next index
    previous: bytes  # SHA-256 of the last entry's text, or of the network document's text before entry 0
    time: int  # milliseconds; of the last entry, 0 before entry 0


def open_chain(origin: str, network_text: bytes) -> ChainHead:
    """Return the head of a log that has no entry yet, bound to the network document under which it opens."""
    return ChainHead(origin, 0, hashlib.sha256(network_text).digest(), 0)


def chain(head: ChainHead, events: Sequence[bytes], *, time: int) -> tuple[list[bytes], ChainHead]:
    """Return the texts of the entries that record ``events`` (canonical JSON) after ``head``, and the new head.

    ``time`` is in milliseconds; where the clock has gone back, the last entry's time is kept.

    Raises:
        TooLongError: an event for which an entry has no room, with its place in ``events``.
    """
    time = max(time, head.time)
    begin = f"{FORMAT}\n{head.origin}\n".encode()
    stamp = format_time(time).encode("ascii")
    previous = head.previous
    texts: list[bytes] = []
    room = ENTRY_BYTES_MAX - signature_line_bytes(head.origin) - 1
    for offset, event in enumerate(events):
        text = b"%b%d\n%b%b\n%b\n" % (begin, head.size + offset, b2a_base64(previous), stamp, event)
        if len(text) > room:
            raise TooLongError(
                f"the entry would have {len(text) - room + ENTRY_BYTES_MAX} bytes",
                field=f"[{offset}]",
                limit=ENTRY_BYTES_MAX,
            )
        texts.append(text)
        previous = hashlib.sha256(text).digest()
    return texts, ChainHead(head.origin, head.size + len(texts), previous, time if texts else head.time)


def signature_line_bytes(origin: str) -> int:
    """Return the length of the signature line of ``origin``'s log key, its newline included."""
    return len(f"— {origin} ".encode()) + len(encode_base64(bytes(4 + SIGNATURE_BYTES))) + 1


def sign_texts(signer: SigningKey, texts: Sequence[bytes], *, pool: "Executor | None" = None) -> list[bytes]:
    """Return the whole entries for ``texts``, in order.

    With a pool of threads it works on two cores: libsodium frees the interpreter lock.
    """
    assert signer.algorithm == ED25519, "an entry is signed by a log's key"
    head = f"\n— {signer.name} "
    key_id = signer.verifier.key_id

    def sign(part: Sequence[bytes]) -> list[bytes]:
        return [text + f"{head}{encode_base64(key_id + signer.sign_bytes(text))}\n".encode() for text in part]

    return in_parallel(sign, texts, pool)


def parse_entry(raw: bytes) -> Entry:
    """Return the entry that ``raw`` spells.

    Its signature and its place in the chain are checked by :func:`verify_entries`.

    Raises:
        TooLongError, EntryError, MalformedError: what is wrong, with the line's number.
    """
    if len(raw) > ENTRY_BYTES_MAX:
        raise TooLongError(f"an entry of {len(raw)} bytes", field="entry", limit=ENTRY_BYTES_MAX)
    lines = decode_utf8(raw, field="entry").split("\n")
    if len(lines) != _LINES or lines[6] or lines[8]:
        raise EntryError("an entry is six lines, an empty one, and one signature line", field="entry")
    if lines[0] != FORMAT:
        raise EntryError(f"the format is not {FORMAT}", field="line 1")
    if not is_origin(lines[1]):
        raise EntryError(f"{cut(lines[1])!r} is no log's origin", field="line 2")
    event = parse_canonical_json(lines[5], field="line 6")
    if not isinstance(event, dict):
        raise EntryError("the event is not a JSON object", field="line 6")
    key_id, signature = _parse_signature(lines[7], lines[1])
    text = raw[: raw.rindex(b"\n", 0, -1)]  # the empty line's newline is not part of it
    return Entry(
        origin=lines[1],
        index=_parse_index(lines[2]),
        previous=parse_hash(lines[3], field="line 4"),
        time=_parse_time(lines[4]),
        event=event,
        key_id=key_id,
        signature=signature,
        text=text,
        raw=raw,
        leaf=leaf_hash(raw),
    )


def verify_signature(entry: Entry, key: VerifierKey) -> None:
    """Check that ``key`` signed ``entry``.

    Raises:
        UnsignedError: the signature line names another key.
        InvalidSignatureError: it names this key, which did not make it.
    """
    assert key.algorithm == ED25519, "an entry is signed by a log's key"
    if entry.key_id != key.key_id or entry.origin != key.name:
        raise UnsignedError(
            f"{entry.origin}#{entry.index} is signed by key {entry.key_id.hex()}, not by {key.key_id.hex()}",
            field="line 8",
        )
    if not verify_detached(key.public_key, entry.text, entry.signature):
        raise InvalidSignatureError(f"the signature of {entry.origin}#{entry.index} is false", field="line 8")


class SignatureMemory:
    """Remembers which entries' signatures were verified, so that each takes the time once. Any thread.

    What is remembered is the leaf hash, made of the bytes that have just been read, and the whole key: where a byte or
    the key is another one, nothing is remembered. It is true for ever, whatever becomes of the log.
    """

    def __init__(self, entries_max: int) -> None:
        """Remember so many at most, those that were asked for last; each takes about 200 bytes."""
        self._max = entries_max
        self._verified: dict[tuple[bytes, VerifierKey], bool] = {}

    def __len__(self) -> int:
        return len(self._verified)

    def verify(self, entry: Entry, key: VerifierKey) -> None:
        """Check that ``key`` signed ``entry``, as :func:`verify_signature` does.

        Raises:
            UnsignedError, InvalidSignatureError: it did not.
        """
        name = entry.leaf, key
        if not self._verified.pop(name, False):
            verify_signature(entry, key)
            while len(self._verified) >= self._max:
                with suppress(KeyError, StopIteration, RuntimeError):  # another thread was faster
                    del self._verified[next(iter(self._verified))]
        self._verified[name] = True


def verify_entries(
    head: ChainHead,
    raws: Sequence[bytes],
    *,
    key_at: Callable[[int], VerifierKey],
    pool: "Executor | None" = None,
) -> tuple[list[Entry], ChainHead]:
    """Check that ``raws`` continue the log behind ``head``: format, origin, index, chain, time order and signatures.

    ``key_at`` gives the log key that is valid at an index. Nothing is returned unless everything holds.

    Raises:
        MalformedError, TooLongError: bytes that are no entry.
        ChainError: an entry that does not follow the one before.
        UnsignedError, InvalidSignatureError: see :func:`verify_signature`.
    """

    def check(part: Sequence[tuple[int, bytes]]) -> list[Entry]:
        return [_signed_entry(raw, key_at, index) for index, raw in part]

    entries = in_parallel(check, list(enumerate(raws, head.size)), pool)
    for entry in entries:
        head = follow(head, entry)
    return entries, head


@dataclass(frozen=True, slots=True)
class Confirmed(Generic[_T]):
    """Entries that :func:`confirm_entries` has found to hold, column by column."""

    events: list[_T]
    leaves: list[bytes]
    head: ChainHead  # behind the last of them


def confirm_entries(
    head: ChainHead,
    raws: Sequence[bytes],
    *,
    key_at: Callable[[int], VerifierKey],
    read: Callable[[bytes], _T | None],
) -> Confirmed[_T] | None:
    """Check what :func:`verify_entries` checks, for entries that are as nearly all are, in two thirds of the time.

    Nearly all of an entry is known before it is read: only the time, the event and the signature are parsed, the rest
    is compared with the bytes that must stand there. ``read`` gives the event that a text is in canonical JSON, or None
    where it takes the exact way to tell (see ledger/plain.py). None: that, or something does not hold.
    """
    if not is_origin(head.origin) or head.size + len(raws) > INTEGER_MAX + 1:
        return None
    begin = f"{FORMAT}\n{head.origin}\n".encode()
    middle = f"\n\n— {head.origin} ".encode()
    tail = len(middle) + _SIGNATURE_CHARACTERS
    previous, time, stamp = head.previous, head.time, b""
    signer: VerifierKey | None = None
    public_key = key_id = b""
    events: list[_T] = []
    leaves: list[bytes] = []
    signed: list[tuple[bytes, bytes, bytes]] = []
    try:
        for index, raw in enumerate(raws, head.size):
            known = b"%b%d\n%b" % (begin, index, b2a_base64(previous))
            start, end = len(known) + _STAMP_CHARACTERS, len(raw) - tail
            if not (
                start < end
                and raw.startswith(known)
                and raw.startswith(middle, end)
                and raw.endswith(b"=\n")
                and raw[-3] in _LAST_LETTERS
                and len(raw) <= ENTRY_BYTES_MAX
            ):
                return None
            if not stamp or not raw.startswith(stamp, start - _STAMP_CHARACTERS):
                stamp = raw[start - _STAMP_CHARACTERS : start]
                before, time = time, parse_time(stamp[:-1].decode("ascii"))
                if time < before or not stamp.endswith(b"\n"):
                    return None
            if (key := key_at(index)) is not signer:
                signer, public_key = key, key.public_key
                key_id = key.key_id if (key.name, key.algorithm) == (head.origin, ED25519) else b""
            blob = a2b_base64(raw[-_SIGNATURE_CHARACTERS:-1], strict_mode=True)
            text = raw[: end + 1]
            event = read(raw[start:end])
            if event is None or blob[:4] != key_id:
                return None
            signed.append((public_key, text, blob[4:]))
            events.append(event)
            leaves.append(leaf_hash(raw))
            previous = hashlib.sha256(text).digest()
    except (LedgerError, ValueError):
        return None
    if not all(starmap(verify_detached, signed)):
        return None
    return Confirmed(events, leaves, ChainHead(head.origin, head.size + len(raws), previous, time))


def follow(head: ChainHead, entry: Entry) -> ChainHead:
    """Return the chain's head with ``entry`` behind it.

    Raises:
        ChainError: the entry is of another log or index, names another predecessor, or is older than it.
    """
    place = f"{head.origin}#{head.size}"
    if entry.origin != head.origin:
        raise ChainError(f"an entry of {entry.origin} stands at {place}", field="line 2")
    if entry.index != head.size:
        raise ChainError(f"an entry with index {entry.index} stands at {place}", field="line 3")
    if entry.previous != head.previous:
        raise ChainError(f"{place} does not follow the entry before it: another hash", field="line 4")
    if entry.time < head.time:
        raise ChainError(f"{place} is older than the entry before it", field="line 5")
    return ChainHead(head.origin, head.size + 1, hashlib.sha256(entry.text).digest(), entry.time)


def in_parallel(work: Callable[[Sequence[_T]], list[_R]], items: Sequence[_T], pool: "Executor | None") -> list[_R]:
    """Return ``work(items)``, done in two halves at once where a pool is given and there is enough to do."""
    if pool is None or len(items) < 2 * PARALLEL_MIN:
        return work(items)
    middle = len(items) // 2
    second = pool.submit(work, items[middle:])
    try:
        first = work(items[:middle])
    except BaseException:
        second.cancel()
        raise
    return first + second.result()


def _signed_entry(raw: bytes, key_at: Callable[[int], VerifierKey], index: int) -> Entry:
    try:
        entry = parse_entry(raw)
        verify_signature(entry, key_at(entry.index))
    except LedgerError as error:
        raise error.at(f"entry {index}") from None
    return entry


@lru_cache(_TIMES_KEPT)
def _parse_time(line: str) -> int:
    return parse_time(line, field="line 5")


def _parse_index(line: str) -> int:
    index = parse_decimal(line, field="line 3")
    if index > INTEGER_MAX:
        raise OutOfRangeError("an index lies below 2^53", field="line 3", limit=INTEGER_MAX)
    return index


def _parse_signature(line: str, origin: str) -> tuple[bytes, bytes]:
    """Return key ID and signature of the one signature line, which must be in the name of the origin."""
    prefix = f"— {origin} "
    if not line.startswith(prefix):
        raise EntryError("the signature is not in the name of the entry's origin", field="line 8")
    blob = parse_base64(line[len(prefix) :], size=4 + SIGNATURE_BYTES, field="line 8")
    return blob[:4], blob[4:]
