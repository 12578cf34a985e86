"""Trust policies: which logs count, and whose cosignatures make a checkpoint count (c2sp.org/tlog-policy).

    line    = [item *(space item)] LF                  space: one or more of SP and TAB, also around the items
    log     = "log" vkey [url]                         its key's name is the log's origin
    witness = "witness" name vkey [url]
    group   = "group" name ("any" / "all" / k) 1*name  has witnessed when k of its members have
    quorum  = "quorum" (name / "none")                 exactly one such line
    comment = "#" whatever

    log police.ordos.example/log+c028188a+ARB2MHvhFpOJSrFm5e9WPPwTmmt5V3V8WWi+Os0o7cMN
    witness tax tax.ordos.example/cosigner+… https://tax.ordos.example/witness
    witness health health.ordos.example/cosigner+…
    group members 2 tax health
    quorum members

A name is defined once, above its use, and is a member of one group at most, so that nobody counts twice. Names and URLs
are octets without meaning: those that are no UTF-8 are kept as surrogates, as Python keeps them in file names.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from ledger.checkpoint import Checkpoint, parse_checkpoint_text
from ledger.encoding import cut, parse_decimal
from ledger.errors import (
    LedgerError,
    MalformedError,
    PolicyError,
    QuorumError,
    TooLongError,
    TooManyError,
    UnsignedError,
    VerificationError,
)
from ledger.merkle import leaf_hash, verify_inclusion
from ledger.network import Network
from ledger.note import COSIGNATURE, ED25519, Note, VerifierKey, open_note, parse_note, parse_vkey
from ledger.proof import Proof, parse_proof

POLICY_BYTES_MAX = 4 * 1024 * 1024  # the largest network's policy has 5,000 logs and 148 witnesses, 1.5 MB
LOGS_MAX = 5000
WITNESSES_MAX = 1000
GROUPS_MAX = 1000
NONE: Final = "none"  # as a quorum: no cosignature is asked for
_FOREIGN_OCTET = re.compile(rb"[^\t\n\x20-\x7e\x80-\xff]")
_SPACE = re.compile(r"[ \t]+")
_GROUP_ITEMS_MIN = 3  # name, threshold, one member


@dataclass(frozen=True, slots=True)
class PolicyLog:
    """A log that counts."""

    key: VerifierKey  # of type 0x01; its name is the log's origin
    url: str | None = None


@dataclass(frozen=True, slots=True)
class PolicyWitness:
    """A witness, and what the policy calls it."""

    name: str
    key: VerifierKey  # of type 0x04
    url: str | None = None  # its submission prefix, by custom


@dataclass(frozen=True, slots=True)
class PolicyGroup:
    """A group has witnessed a checkpoint when ``threshold`` of its members have."""

    name: str
    threshold: int  # 1 to the number of members
    members: tuple[str, ...]  # names of witnesses and of groups that stand before this one


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy as a value; what :func:`parse_policy` has returned keeps all rules."""

    logs: tuple[PolicyLog, ...]
    witnesses: tuple[PolicyWitness, ...]
    groups: tuple[PolicyGroup, ...]
    quorum: str  # name of a witness or a group, or NONE

    def encode(self, *, comments: Iterable[str] = ()) -> bytes:
        """Return the policy file, beginning with ``comments`` of one line each."""
        lines = [f"# {comment}" for comment in comments]
        lines += [" ".join(("log", log.key.vkey, *_url(log.url))) for log in self.logs]
        lines += [" ".join(("witness", one.name, one.key.vkey, *_url(one.url))) for one in self.witnesses]
        lines += [" ".join(("group", group.name, str(group.threshold), *group.members)) for group in self.groups]
        return "".join(f"{line}\n" for line in (*lines, f"quorum {self.quorum}")).encode("utf-8", "surrogateescape")

    def log_keys(self, origin: str) -> tuple[VerifierKey, ...]:
        """Return the keys that sign for a log; none where the policy does not name it."""
        return tuple(log.key for log in self.logs if log.key.name == origin)

    def satisfied_by(self, cosigners: Collection[VerifierKey]) -> bool:
        """Tell whether the quorum is reached when these keys have cosigned, each of them verified."""
        witnessed = {NONE, *(one.name for one in self.witnesses if one.key in cosigners)}
        for group in self.groups:  # each refers to those before it only
            if sum(name in witnessed for name in group.members) >= group.threshold:
                witnessed.add(group.name)
        return self.quorum in witnessed


@dataclass(frozen=True, slots=True)
class Accepted:
    """A checkpoint that counts under a policy."""

    checkpoint: Checkpoint
    note: Note
    witnesses: tuple[tuple[str, int], ...]  # (name in the policy, POSIX seconds), in the policy's order


def parse_policy(data: bytes) -> Policy:
    """Return the policy of a file.

    Raises:
        PolicyError: what is wrong, and in which line.
        TooLongError, TooManyError: more than 4 MiB, 5,000 logs, 1,000 witnesses or 1,000 groups.
    """
    if len(data) > POLICY_BYTES_MAX:
        raise TooLongError(f"a policy of {len(data)} bytes", field="policy", limit=POLICY_BYTES_MAX)
    reader = _Reader()
    lines = data.split(b"\n")
    if lines[-1]:
        raise PolicyError("the last line does not end in a newline", field=f"line {len(lines)}")
    for number, raw in enumerate(lines[:-1], 1):
        try:
            reader.read(raw)
        except LedgerError as error:
            error.field = f"line {number}"
            raise
    if reader.quorum is None:
        raise PolicyError("no line says what the quorum is", field="quorum")
    return Policy(tuple(reader.logs), tuple(reader.witnesses), tuple(reader.groups), reader.quorum)


def judge_by_policy(data: bytes | Note, policy: Policy) -> Accepted:
    """Return the checkpoint in ``data`` when it counts: a log of the policy has signed it, and the quorum cosigned it.

    Raises:
        UnsignedError: it is of no log of the policy, or that log has not signed it.
        InvalidSignatureError: a signature in the name of a key of the policy is false.
        QuorumError: too few witnesses have cosigned.
        CheckpointError, NoteError, LimitError: bytes that are no checkpoint.
    """
    note = data if isinstance(data, Note) else parse_note(data)
    checkpoint = parse_checkpoint_text(note.text)
    log_keys = policy.log_keys(checkpoint.origin)
    if not log_keys:
        raise UnsignedError(f"the policy has no log {cut(checkpoint.origin)!r}", field="checkpoint")
    verified = open_note(note, (*log_keys, *(one.key for one in policy.witnesses)))
    times = {one.key: one.time for one in verified if one.time is not None}
    if len(times) == len(verified):
        raise UnsignedError(f"{checkpoint.origin} has not signed this checkpoint", field="checkpoint")
    if not policy.satisfied_by(times):
        raise QuorumError(
            f"{len(times)} witnesses of the policy have cosigned, which is no quorum {shown(policy.quorum)}",
            field="checkpoint",
            hint="wait until more of the policy's witnesses have cosigned",
        )
    return Accepted(checkpoint, note, tuple((one.name, times[one.key]) for one in policy.witnesses if one.key in times))


def verify_proof_by_policy(data: bytes, policy: Policy, *, entry: bytes | None = None) -> tuple[Proof, Accepted]:
    """Return the proof in ``data`` and its checkpoint when the entry is in the log and the checkpoint counts.

    ``entry`` gives the entry's bytes where the file does not carry them in its extra line.

    Raises:
        VerificationError: a signature, the inclusion or the quorum does not hold.
        MalformedError, LimitError: bytes that are no proof.
    """
    proof = parse_proof(data)
    raw = entry if entry is not None else proof.extra
    if raw is None:
        raise VerificationError("the proof does not carry its entry", field="extra", hint="give the entry's file too")
    accepted = judge_by_policy(proof.checkpoint_note, policy)
    head = accepted.checkpoint.head
    verify_inclusion(leaf=leaf_hash(raw), index=proof.index, size=head.size, root=head.root, proof=proof.hashes)
    return proof, accepted


def network_policy(network: Network, *, earlier_keys: bool = False) -> Policy:
    """Return a network as a policy: the active members' logs, and a quorum of their cosigners.

    A policy knows no sizes from which on, or up to which, a key is valid. So a log's newest key alone is named, unless
    ``earlier_keys`` takes the others too, each of them for all sizes.

    Raises:
        QuorumError: nobody can cosign.
    """
    if not network.voters:
        raise QuorumError(f"network {network.name} has no active member", field="members")
    active = [member for member in network.members.values() if member.active]
    logs = [
        PolicyLog(key, f"{member.url}/logs/{sha256(member.origin.encode()).hexdigest()}")
        for member in active
        for _start, _until, key in (member.log_keys if earlier_keys else member.log_keys[-1:])
    ]
    witnesses = [PolicyWitness(member.origin, member.cosigner, f"{member.url}/witness") for member in active]
    group = PolicyGroup("members", network.quorum, tuple(member.origin for member in active))
    return parse_policy(Policy(tuple(logs), tuple(witnesses), (group,), group.name).encode())


def shown(name: str) -> str:
    """Return a name of a policy as messages show it: cut, and without anything that a terminal would obey."""
    return repr(cut(name))


@dataclass(slots=True)
class _Reader:
    """What the lines have said so far."""

    logs: list[PolicyLog] = field(default_factory=list)
    witnesses: list[PolicyWitness] = field(default_factory=list)
    groups: list[PolicyGroup] = field(default_factory=list)
    quorum: str | None = None
    _names: set[str] = field(default_factory=set)
    _grouped: set[str] = field(default_factory=set)  # names that are a member of some group
    _keys: set[tuple[int, bytes]] = field(default_factory=set)  # type and public key

    def read(self, raw: bytes) -> None:
        if foreign := _FOREIGN_OCTET.search(raw):
            raise PolicyError(f"octet {foreign.start() + 1} is a control character")
        line = raw.decode("utf-8", "surrogateescape").strip(" \t")
        if not line or line.startswith("#"):
            return
        keyword, *items = _SPACE.split(line)
        match keyword:
            case "log":
                self._read_log(items)
            case "witness":
                self._read_witness(items)
            case "group":
                self._read_group(items)
            case "quorum":
                self._read_quorum(items)
            case _:
                raise PolicyError(f"{shown(keyword)} begins no line of a policy")

    def _read_log(self, items: list[str]) -> None:
        if len(items) not in (1, 2):
            raise PolicyError("a log has a key, and perhaps a URL")
        _check_room(self.logs, LOGS_MAX, "logs")
        self.logs.append(PolicyLog(self._key(items[0], ED25519), *items[1:]))

    def _read_witness(self, items: list[str]) -> None:
        if len(items) not in (2, 3):
            raise PolicyError("a witness has a name, a key, and perhaps a URL")
        _check_room(self.witnesses, WITNESSES_MAX, "witnesses")
        key = self._key(items[1], COSIGNATURE)
        self._define(items[0])
        self.witnesses.append(PolicyWitness(items[0], key, *items[2:]))

    def _read_group(self, items: list[str]) -> None:
        if len(items) < _GROUP_ITEMS_MIN:
            raise PolicyError("a group has a name, a threshold, and one member or more")
        _check_room(self.groups, GROUPS_MAX, "groups")
        name, threshold, *members = items
        for member in members:
            self._check_defined(member)
            if member in self._grouped:
                raise PolicyError(f"{shown(member)} is a member of a group already, and counts once")
            self._grouped.add(member)
        self._define(name)
        self.groups.append(PolicyGroup(name, _threshold(threshold, len(members)), tuple(members)))

    def _read_quorum(self, items: list[str]) -> None:
        if len(items) != 1:
            raise PolicyError("a quorum is one name")
        if self.quorum is not None:
            raise PolicyError("there is a quorum already")
        if items[0] != NONE:
            self._check_defined(items[0])
        self.quorum = items[0]

    def _key(self, vkey: str, algorithm: int) -> VerifierKey:
        try:
            key = parse_vkey(vkey)
        except MalformedError as error:
            raise PolicyError(error.message) from None
        if key.algorithm != algorithm:
            raise PolicyError(f"a key of type {algorithm:#04x} belongs here, not of {key.algorithm:#04x}")
        if (algorithm, key.public_key) in self._keys:
            raise PolicyError("this public key is there already")
        self._keys.add((algorithm, key.public_key))
        return key

    def _define(self, name: str) -> None:
        if name == NONE or name in self._names:
            raise PolicyError(f"the name {shown(name)} is taken already")
        self._names.add(name)

    def _check_defined(self, name: str) -> None:
        if name not in self._names:
            raise PolicyError(f"no line above defines {shown(name)}")


def _threshold(text: str, members: int) -> int:
    if text in ("any", "all"):
        return 1 if text == "any" else members
    try:
        threshold = parse_decimal(text)
    except MalformedError:
        raise PolicyError(f"{shown(text)} is no threshold: any, all, or a number") from None
    if not 1 <= threshold <= members:
        raise PolicyError(f"{threshold} of {members} members cannot be", limit=members)
    return threshold


def _check_room(items: Sequence[object], limit: int, what: str) -> None:
    if len(items) >= limit:
        raise TooManyError(f"more than {limit} {what}", limit=limit)


def _url(url: str | None) -> tuple[str, ...]:
    return () if url is None else (url,)
