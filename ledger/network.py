"""The network document: who belongs to the network, with which keys, and how many must agree (protocol section 8).

    suyuan/network/v1
    ordos
    1
    47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=
    {"access":{"read":"members"},"governors":{"keys":["…"],"threshold":1},"members":[…],"rules":"cn-2025"}

    — ordos/governor-1 …

The fourth line is the SHA-256 of the previous version's text (of nothing for version 1); who must have signed a version
is judged in ledger/versions.py.

What was said under an earlier version stays verifiable: no member and no log key is ever taken out of the document, a
member ends and a key gets the size at which it ended; and a :class:`Network` knows the versions before it.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from ledger.encoding import (
    INTEGER_MAX,
    canonical_json,
    check_json,
    cut,
    encode_base64,
    parse_canonical_json,
    parse_decimal,
    parse_hash,
)
from ledger.errors import (
    KeyFormatError,
    LedgerError,
    NetworkError,
    TooLongError,
    UnknownLogError,
)
from ledger.event.base import Frozen, Hash, Maybe, Name, Origin, parse_model
from ledger.logkeys import LogKeys
from ledger.merkle import TreeHead, TreeSize
from ledger.note import COSIGNATURE, ED25519, SIGNATURES_MAX, Note, VerifierKey, parse_note, parse_vkey

FORMAT = "suyuan/network/v1"
DRAFT_HINT = "the governors sign it: suyuan network sign DRAFT --key FILE --out NETWORK"
MEMBERS_MAX = 5000  # a country has thousands of departments, of which the active ones must fit onto a checkpoint
GOVERNORS_MAX = 25
LOG_KEYS_MAX = 100  # one a year for a century
DOCUMENT_BYTES_MAX = 16 * 1024 * 1024  # 5,000 members of about 2 KB, with room
URL_CHARACTERS_MAX = 500

# To check a key's point takes a tenth of a millisecond, and versions of a document have most of their keys in common.
_key = lru_cache(maxsize=4 * MEMBERS_MAX)(parse_vkey)
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,62}[a-z0-9])?")
_TEXT_LINES = 6


def _log_key(text: str) -> str:
    return _vkey(text, ED25519)


def _cosigner_key(text: str) -> str:
    return _vkey(text, COSIGNATURE)


def _vkey(text: str, algorithm: int) -> str:
    try:
        key = _key(text)
    except LedgerError as error:
        raise PydanticCustomError("bad_value", "{problem}", {"problem": error.message}) from None
    if key.algorithm != algorithm:
        raise PydanticCustomError("bad_value", "a key of another kind belongs here")
    return text


LogKey = Annotated[str, AfterValidator(_log_key)]
CosignerKey = Annotated[str, AfterValidator(_cosigner_key)]
Url = Annotated[
    str, StringConstraints(max_length=URL_CHARACTERS_MAX, pattern=r"^https?://[^\s/?#]+(/[^\s?#]*[^\s/?#])?$")
]
Role = Literal["department", "authority", "auditor", "external"]


class Names(Frozen):
    """A member's name in Chinese and in English."""

    zh: Name
    en: Name


class KeySpan(Frozen):
    """A log key with the indexes that it may sign: ``from`` the first, ``until`` the size at which it ended."""

    key: LogKey
    start: Annotated[int, Field(ge=0, le=INTEGER_MAX, alias="from")]
    until: Maybe[Annotated[int, Field(ge=1, le=INTEGER_MAX)]] = None


class Readmission(Frozen):
    """The governors' ruling after a log has told two stories: up to ``size`` its history is the one with ``root``.

    A new log key begins at that size, so that whatever the old one has signed above it is void.
    """

    size: Annotated[int, Field(ge=1, le=INTEGER_MAX)]
    root: Hash


class MemberEntry(Frozen):
    """One member as the document writes it."""

    origin: Origin
    names: Names
    code: Maybe[Annotated[str, StringConstraints(pattern=r"^[0-9A-Z]{1,32}$")]] = None
    level: Literal["national", "province", "city", "county", "town"]
    region: Annotated[str, StringConstraints(pattern=r"^[0-9]{2,12}$")]
    roles: Annotated[list[Role], Field(min_length=1, max_length=4)]
    url: Url
    log_keys: Annotated[list[KeySpan], Field(min_length=1, max_length=LOG_KEYS_MAX)]
    cosigner: CosignerKey
    transport: LogKey
    sealing: Hash
    status: Literal["active", "suspended", "ended"]
    readmitted: Maybe[Readmission] = None


class Governors(Frozen):
    """Who may sign the next version, and how many of them must."""

    keys: Annotated[list[LogKey], Field(min_length=1, max_length=GOVERNORS_MAX)]
    threshold: Annotated[int, Field(ge=1, le=GOVERNORS_MAX)]


class QuorumRule(Frozen):
    """How many members may fail or lie in any way; absent, it is one less than a third of them."""

    faults: Annotated[int, Field(ge=0, le=MEMBERS_MAX)]


class Access(Frozen):
    """Who may read the logs: the members only, or anyone (as stock C2SP clients need)."""

    read: Literal["members", "open"]


class DocumentBody(Frozen):
    """The fifth line of the text."""

    governors: Governors
    members: Annotated[list[MemberEntry], Field(max_length=MEMBERS_MAX)]
    quorum: Maybe[QuorumRule] = None
    rules: Name
    access: Access


@dataclass(frozen=True)
class Member:
    """One member with its keys parsed."""

    entry: MemberEntry
    log_keys: tuple[tuple[int, int | None, VerifierKey], ...]  # (from, until, key) in order of from
    cosigner: VerifierKey
    transport: VerifierKey

    @property
    def origin(self) -> str:
        """The name of its log, and its own."""
        return self.entry.origin

    @property
    def url(self) -> str:
        """Where its node answers."""
        return self.entry.url

    @property
    def active(self) -> bool:
        """Whether it takes part: its log goes on, and its cosignatures count."""
        return self.entry.status == "active"

    @property
    def readmitted(self) -> TreeHead | None:
        """The history with which the governors let the log go on after an equivocation, if they had to."""
        ruling = self.entry.readmitted
        return None if ruling is None else TreeHead(TreeSize(ruling.size), parse_hash(ruling.root))

    @cached_property
    def keys(self) -> LogKeys:
        """The keys of its log, without the rest of the member."""
        return LogKeys(self.origin, self.log_keys)

    def log_key_at(self, index: int) -> VerifierKey:
        """Return the key that signs the entry at ``index``.

        Raises:
            UnsignedError: no key of the member is valid there.
        """
        return self.keys.at(index)

    def ended_keys(self, index: int) -> tuple[VerifierKey, ...]:
        """Return the keys of the log that had ended before the entry at ``index``: what they sign there is void."""
        starts = [start for start, _, _ in self.log_keys[1:]]
        return tuple(
            key
            for (_, until, key), following in zip(self.log_keys, (*starts, None), strict=True)
            if (end := following if until is None else until) is not None and end <= index
        )

    def checkpoint_key(self, size: int) -> VerifierKey:
        """Return the key that signs a checkpoint of ``size`` entries: that of its last entry.

        Raises:
            UnsignedError: no key of the member is valid there.
        """
        return self.log_key_at(max(size - 1, 0))


@dataclass(frozen=True)
class Network:
    """One version of the network document; by itself its signatures are not judged yet (ledger/versions.py)."""

    name: str
    version: int
    previous: bytes  # SHA-256 of the previous version's text
    body: DocumentBody
    note: Note
    before: "Network | None" = field(default=None, repr=False, compare=False)  # the version before, where it is known

    @property
    def text(self) -> str:
        """What is signed and hashed."""
        return self.note.text

    @cached_property
    def text_hash(self) -> bytes:
        """SHA-256 of the text, which the next version names."""
        return hashlib.sha256(self.text.encode()).digest()

    @cached_property
    def versions(self) -> tuple["Network", ...]:
        """All versions that are known, oldest first, this one last."""
        found = [self]
        while (earlier := found[-1].before) is not None:
            found.append(earlier)
        return tuple(reversed(found))

    @cached_property
    def openings(self) -> frozenset[bytes]:
        """What a log may begin with: the hash of the text of any version, for a log stays as it was opened."""
        return frozenset(version.text_hash for version in self.versions)

    @cached_property
    def members(self) -> dict[str, Member]:
        """All members by origin, the suspended and ended ones too: their history stays verifiable."""
        return {entry.origin: _member(entry) for entry in self.body.members}

    @cached_property
    def governors(self) -> tuple[VerifierKey, ...]:
        """The keys of those who may sign the next version."""
        return tuple(_key(key) for key in self.body.governors.keys)

    @cached_property
    def cosigners(self) -> dict[tuple[str, bytes], Member]:
        """All members by name and ID of their cosigner keys."""
        return {(member.cosigner.name, member.cosigner.key_id): member for member in self.members.values()}

    @cached_property
    def cosigners_ever(self) -> dict[tuple[str, bytes], VerifierKey]:
        """The cosigner keys of all versions by name and ID: what was cosigned with a former key stays evidence."""
        return {name: member.cosigner for version in self.versions for name, member in version.cosigners.items()}

    @cached_property
    def voters(self) -> dict[tuple[str, bytes], Member]:
        """The members whose cosignatures count, by name and ID of their cosigner keys."""
        return {key: member for key, member in self.cosigners.items() if member.active}

    @property
    def faults(self) -> int:
        """How many members may fail or lie in any way: f, by default ⌊(n−1)/3⌋."""
        return _faults(len(self.voters)) if self.body.quorum is None else self.body.quorum.faults

    @property
    def quorum(self) -> int:
        """How many must cosign: any two sets of that size share an honest member (protocol section 1)."""
        return _quorum(len(self.voters), self.faults)

    def member(self, origin: str) -> Member:
        """Return the member whose log is ``origin``.

        Raises:
            UnknownLogError: there is none.
        """
        member = self.members.get(origin)
        if member is None:
            raise UnknownLogError(
                f"{cut(origin)!r} is no log of network {self.name} version {self.version}", field="log"
            )
        return member


def network_text(name: str, version: int, previous: bytes, body: dict[str, Any]) -> str:
    """Return the text of a network document, ready to be signed; ``body`` as :class:`DocumentBody` reads it.

    Raises:
        NetworkError, EventError, LimitError, MalformedError: a part that cannot be.
    """
    check_json(body, field="body")
    text = f"{FORMAT}\n{name}\n{version}\n{encode_base64(previous)}\n{canonical_json(body)}\n"
    _parse_text(text)
    return text


def parse_network(data: bytes) -> Network:
    """Return one network document; its signatures are judged by :func:`ledger.versions.verify_chain`.

    Raises:
        NetworkError, NoteError, EventError, LimitError, MalformedError: what is wrong, and where.
    """
    if len(data) > DOCUMENT_BYTES_MAX:
        raise TooLongError(f"a network document of {len(data)} bytes", field="network", limit=DOCUMENT_BYTES_MAX)
    if data.startswith(f"{FORMAT}\n".encode()) and b"\n\n" not in data and data.count(b"\n") == _TEXT_LINES - 1:
        raise NetworkError("it is a draft that nobody has signed", field="network", hint=DRAFT_HINT)
    note = parse_note(data, size_max=DOCUMENT_BYTES_MAX)
    name, version, previous, body = _parse_text(note.text)
    return Network(name, version, previous, body, note)


def _parse_text(text: str) -> tuple[str, int, bytes, DocumentBody]:
    lines = text.split("\n")
    if len(lines) != _TEXT_LINES or lines[0] != FORMAT or lines[5]:
        raise NetworkError(f"a network document has five lines, the first of them {FORMAT}", field="line 1")
    if _NAME.fullmatch(lines[1]) is None:
        raise NetworkError("a name has 1 to 64 of a-z, 0-9, dot and hyphen", field="line 2")
    version = parse_decimal(lines[2], field="line 3")
    previous = parse_hash(lines[3], field="line 4")
    if version == 0 or (version == 1) != (previous == hashlib.sha256(b"").digest()):
        raise NetworkError("version 1, and only it, names the hash of nothing as its previous version", field="line 4")
    body = parse_model(DocumentBody, parse_canonical_json(lines[4], field="line 5"), whole="line 5")
    _check_body(body)
    return lines[1], version, previous, body


def _check_body(body: DocumentBody) -> None:
    """Refuse what the models cannot see: two members that share what must be their own, thresholds out of reach."""
    members = body.members
    _check_unique([entry.origin for entry in members], "origin")
    _check_unique([hashlib.sha256(entry.origin.encode()).hexdigest()[:16] for entry in members], "origin hash")
    keys = [_key(text) for entry in members for text in _keys_of(entry)]
    keys += [_key(text) for text in body.governors.keys]
    _check_unique([key.public_key.hex() for key in keys], "key")
    _check_unique([f"{key.name}+{key.key_id.hex()}" for key in keys], "key name and ID")  # all that a note's line tells
    governors = len(body.governors.keys)
    if body.governors.threshold > governors:
        raise NetworkError("more governors must sign than there are", field="governors.threshold", limit=governors)
    for number, entry in enumerate(members):
        _check_unique(entry.roles, "role", field=f"members[{number}].roles")
        _check_spans(entry, f"members[{number}].log_keys")
        _check_ruling(entry, f"members[{number}].readmitted")
    voters = sum(entry.status == "active" for entry in members)
    if voters:
        _check_quorum(voters, body.quorum)


def _check_quorum(voters: int, rule: QuorumRule | None) -> None:
    faults = _faults(voters) if rule is None else rule.faults
    if faults >= voters:
        raise NetworkError("more members must cosign than there are", field="quorum.faults", limit=voters - 1)
    if _quorum(voters, faults) >= SIGNATURES_MAX:  # the log's own signature needs a line as well
        raise NetworkError(
            f"{_quorum(voters, faults)} members must cosign, and a checkpoint has {SIGNATURES_MAX} signatures at most",
            field="members",
            limit=SIGNATURES_MAX - 1,
        )


def _keys_of(entry: MemberEntry) -> tuple[str, ...]:
    return *(span.key for span in entry.log_keys), entry.cosigner, entry.transport


def _faults(members: int) -> int:
    return max((members - 1) // 3, 0)  # f = ⌊(n−1)/3⌋, protocol section 1


def _quorum(members: int, faults: int) -> int:
    return (members + faults) // 2 + 1  # k = ⌊(n+f)/2⌋+1, protocol section 1


def _check_spans(entry: MemberEntry, field: str) -> None:
    """Refuse keys under which an index would have two signers, or none before the last key's end."""
    names = {_key(span.key).name for span in entry.log_keys}
    if names != {entry.origin}:
        raise KeyFormatError("a log key's name must be the log's origin", field=field)
    if entry.log_keys[0].start != 0:
        raise NetworkError("the first log key begins at 0", field=f"{field}[0].from")
    for number, (earlier, later) in enumerate(pairwise(entry.log_keys)):
        if later.start <= earlier.start:
            raise NetworkError("a log key begins later than the one before", field=f"{field}[{number + 1}].from")
        if earlier.until not in (None, later.start):
            raise NetworkError("a log key ends where the next one begins", field=f"{field}[{number}].until")
    last = entry.log_keys[-1]
    if last.until is not None and last.until <= last.start:
        raise NetworkError("a log key ends after it has begun", field=f"{field}[{len(entry.log_keys) - 1}].until")


def _check_ruling(entry: MemberEntry, field: str) -> None:
    ruling = entry.readmitted
    if ruling is not None and all(span.start != ruling.size for span in entry.log_keys):
        raise NetworkError("a new log key begins where the log was readmitted", field=field)


def _check_unique(values: Sequence[str], what: str, *, field: str = "members") -> None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise NetworkError(f"the {what} {value} is there twice", field=field)
        seen.add(value)


def _member(entry: MemberEntry) -> Member:
    spans = tuple((span.start, span.until, _key(span.key)) for span in entry.log_keys)
    return Member(entry, spans, _key(entry.cosigner), _key(entry.transport))
