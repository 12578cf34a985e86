"""What must hold, checked after every message and every durable write, by code that shares nothing with the product.

It imports hashlib and NaCl, reads the bytes on the wires and on the disks, and keeps its own tree of all histories.
What the protocol promises, and what is therefore demanded, in the order of the methods below:

Signed by an honest member (one that has kept its disk: who has lost it counts among the f, protocol section 7)
  * A head that its log has signed, wherever it turns up, is one of its own store's; so its log has one history.
  * A cosignature of its own, wherever it turns up, is of a head whose entries lie in its store at that moment, every
    one of them signed by the log and chained to the one before. As a store only ever grows, no two can conflict.
  * What it has answered as recorded stays where it is.
Stored by any member that runs the real software, also by one that has lost its disk and come back
  * An entry once written stays as it is; what stands below it is there. The confirmed head that it holds has a quorum
    and is one of its store's; the head that it has cosigned last is one of its store's, and never shrinks.
  * It signs and cosigns nothing that contradicts what it had cosigned, and was confirmed, when it lost its disk.
  * So its copy of a log is a prefix of one history; of *the* one history for every log whose owner is honest, and for
    the confirmed part of every other. Above its confirmed size the copy of a log that lies may be a branch that will
    never be confirmed: that is what an equivocation looks like, and no replica alone can know it.
Confirmed, that is, cosigned by k members, whoever puts the signatures together
  * All confirmed heads of a log lie on one history, which some honest store had in full when the quorum was reached.
  * What was answered as confirmed is in that history, whoever has answered it and whatever he has lost since.
After the faults have ended (``settled`` and ``ended``)
  * All honest members have every honest log whole and confirmed; of every other log they have the highest head that
    any of them knows as confirmed, except where the log has shown them two histories that cannot both be kept: then
    each stays at its confirmed size, and says so.
  * A log whose two histories have reached honest stores is proven to have lied on every honest node, and no log of
    an honest member is proven, or suspected, anywhere.
  * A member that has lost its disk may find that its log has signed what nobody can give back: it says nothing more.
"""

import base64
import binascii
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, NoReturn

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey


class ViolationError(AssertionError):
    """The system has broken a promise."""


@dataclass(frozen=True)
class Who:
    """A member as the network document has it: its log, and the keys (``name+id+base64``) that sign and cosign."""

    origin: str
    log_key: str
    cosigner: str


@dataclass(frozen=True)
class Head:
    """A log's promise: how many entries, and their tree."""

    log: str
    size: int
    root: bytes

    def __str__(self) -> str:
        return f"{self.log} {self.size} {self.root.hex()[:8]}"


class History:
    """One state that a log was in at some place: an entry behind another state. Equal histories are one object."""

    def __init__(self, before: "History | None", entry: bytes) -> None:
        self.before: History | None = before
        self.size: int = before.size + 1 if before is not None else 0
        self.entry = entry
        peaks: list[bytes] = list(before.peaks) if before is not None else []
        if before is not None:  # RFC 6962 section 2.1: complete subtrees of equal size are joined, from the right
            peak = sha256(b"\x00" + entry).digest()
            for level in range(self.size.bit_length()):
                if before.size >> level & 1 == 0:
                    break
                peak = sha256(b"\x01" + peaks.pop() + peak).digest()
            peaks.append(peak)
        self.peaks: tuple[bytes, ...] = tuple(peaks)  # the larger one first
        self.next: dict[bytes, History] = {}

    @property
    def root(self) -> bytes:
        if not self.peaks:
            return sha256(b"").digest()
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = sha256(b"\x01" + peak + root).digest()
        return root

    def grown(self, entry: bytes) -> "History":
        if entry not in self.next:
            self.next[entry] = History(self, entry)
        return self.next[entry]

    def at(self, size: int) -> "History":
        """The state that this one had at an earlier size."""
        state = self
        while state.size > size:
            assert state.before is not None
            state = state.before
        return state

    def follows(self, other: "History") -> bool:
        return self.size >= other.size and self.at(other.size) is other


_NOTHING = History(None, b"")


@dataclass
class Copy:
    """What one disk holds of one log."""

    history: History
    confirmed: Head | None = None
    cosigned: Head | None = None
    suspected: bool = False


@dataclass
class Disk:
    """One member's disk."""

    copies: dict[str, Copy]
    forgetful: bool = False  # it was restored or wiped at some time
    owed: dict[str, History] = field(default_factory=dict)  # what it had signed and was confirmed when that happened


@dataclass
class Answer:
    """What a node has told its client."""

    event: str
    log: str
    index: int
    leaf: bytes
    confirmed: bool


@dataclass
class Checker:
    """Watches a network of ``members``, of which those in ``honest`` run the real software."""

    members: Mapping[str, Who]
    honest: frozenset[str]
    faults: int = field(init=False)
    quorum: int = field(init=False)
    disks: dict[str, Disk] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)
    confirmed: dict[str, History] = field(default_factory=dict)  # the largest confirmed state of each log
    checks: int = 0

    def __post_init__(self) -> None:
        count = len(self.members)
        self.faults = (count - 1) // 3
        self.quorum = (count + self.faults) // 2 + 1
        self._roots = {origin: History(None, b"") for origin in self.members}
        self._heads: dict[Head, History] = {Head(origin, 0, root.root): root for origin, root in self._roots.items()}
        self._log_ids = {sha256(origin.encode()).digest()[:8]: origin for origin in self.members}
        self._log_keys = {_key(who.log_key): origin for origin, who in self.members.items()}
        self._cosigners = {_key(who.cosigner): origin for origin, who in self.members.items()}
        self._valid: dict[tuple[str, str], bool] = {}  # by text and signature line
        self._entries: dict[bytes, tuple[str, int, bytes, bytes]] = {}
        self._votes: dict[Head, set[str]] = defaultdict(set)
        self._signed: dict[str, set[Head]] = defaultdict(set)  # by log
        self.disks = {origin: Disk(self._empty()) for origin in self.members}

    def trusted(self, origin: str) -> bool:
        """Whether a member is honest and has never lost what it knew."""
        return origin in self.honest and not self.disks[origin].forgetful

    # What is on the wires.

    def request(self, path: str, body: bytes) -> None:
        """A request was sent."""
        self.checks += 1
        if path.endswith(("/checkpoint", "/add-checkpoint")):
            self.note(body.partition(b"\n\n")[2] if path.endswith("/add-checkpoint") else body)

    def answer(self, server: str, path: str, asked: bytes, status: int, body: bytes) -> None:
        """A request was answered by the node of ``server``."""
        self.checks += 1
        if status >= 500 and status != 503 and server in self.honest:
            _violated(f"{server} answers {path} with {status}: {body[:300]!r}")
        if status != 200:
            return
        if path.endswith("/add-checkpoint"):
            note = asked.partition(b"\n\n")[2]
            self.note(note + body)
        elif path.endswith("/checkpoint"):
            self.note(body)
        elif path == "/v1/memory":
            for note in _remembered(body):
                self.note(note)
        elif "/entries?" in path and server in self.honest:
            self._served(server, path, body)

    def note(self, data: bytes) -> None:
        """Some bytes that may be a signed checkpoint were sent, or found."""
        opened = self._open(data)
        if opened is None:
            return
        head, signers = opened
        if head.log in signers.logs:
            self._log_signed(head)
            for cosigner in signers.cosigners:  # they count for a head that the log has signed
                self._cosigned(cosigner, head)

    def _log_signed(self, head: Head) -> None:
        if head in self._signed[head.log]:
            return
        self._signed[head.log].add(head)
        if self.trusted(head.log):
            state = self._heads.get(head)
            if state is None or not self.disks[head.log].copies[head.log].history.follows(state):
                _violated(f"{head.log} has signed {head}, which is not in its own store")

    def _cosigned(self, cosigner: str, head: Head) -> None:
        votes = self._votes[head]
        if cosigner in votes:
            return
        votes.add(cosigner)
        state = self._heads.get(head)
        if self.trusted(cosigner) and not self._is_on(self.disks[cosigner].copies[head.log].history, head):
            _violated(f"{cosigner} has cosigned {head}, whose entries it does not have")
        if len(votes) == self.quorum:
            self._confirm(head, state)

    def _confirm(self, head: Head, state: History | None) -> None:
        if state is None:
            _violated(f"{head} is confirmed by {sorted(self._votes[head])}, and no honest store has seen its entries")
        tip = self.confirmed.get(head.log, self._roots[head.log])
        if not self._agrees(state, tip):
            _violated(
                f"two confirmed heads conflict: {head}, by {sorted(self._votes[head])}, and "
                f"{Head(head.log, tip.size, tip.root)}"
            )
        if state.size > tip.size:
            self.confirmed[head.log] = state

    def _served(self, server: str, path: str, bundle: bytes) -> None:
        name = path.split("/")[-2]
        log = next((origin for origin in self.members if sha256(origin.encode()).hexdigest() == name), None)
        if log is None:
            return
        at = int(path.partition("start=")[2].partition("&")[0])
        for entry in _bundled(bundle):
            at += 1
            history = self.disks[server].copies[log].history
            if history.size < at or history.at(at).entry != entry:
                _violated(f"{server} serves entry {at - 1} of {log} otherwise than it stores it")

    # What is on the disks.

    def wrote(self, member: str, pairs: Iterable[tuple[bytes, bytes | None]]) -> None:
        """A batch has become durable on the disk of an honest member."""
        self.checks += 1
        disk = self.disks[member]
        touched = set()
        ordered = sorted(pairs)  # E before Q and W
        for key, value in ordered:
            if key[:1] in (b"E", b"Q", b"W", b"X", b"Y") and (log := self._log_ids.get(key[1:9])) is not None:
                self._put(member, disk.copies[log], log, key, value)
                touched.add(log)
        for log in touched:
            copy = disk.copies[log]
            signed = copy.history if log == member else self._heads.get(copy.cosigned) if copy.cosigned else None
            owed = disk.owed.get(log)
            if signed is not None and owed is not None and not self._agrees(signed, owed):
                _violated(
                    f"{member} has forgotten that {Head(log, owed.size, owed.root)} is confirmed, and signs "
                    f"{Head(log, signed.size, signed.root)}"
                )
            for head in (copy.confirmed, copy.cosigned):
                if head is not None and not self._is_on(copy.history, head):
                    _violated(f"{member} holds {head} as confirmed or cosigned, which is not in its store")

    def replaced(self, member: str, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        """A member's disk was replaced by an old copy, or an empty one."""
        owed = dict(self.disks[member].owed)
        for head, votes in self._votes.items():
            if len(votes) >= self.quorum and member in votes and head.size > owed.get(head.log, _NOTHING).size:
                owed[head.log] = self._heads[head]
        self.disks[member] = Disk(self._empty(), forgetful=True, owed=owed)
        self.wrote(member, pairs)

    def answered(self, member: str, event: str, entry: Mapping[str, Any], *, confirmed: bool) -> None:
        """A node has told its client where an event stands."""
        self.checks += 1
        answer = Answer(event, entry["log"], entry["index"], base64.b64decode(entry["hash"]), confirmed)
        self.answers.append(answer)
        self._stands(member, answer)

    def _put(self, member: str, copy: Copy, log: str, key: bytes, value: bytes | None) -> None:
        match key[:1]:
            case b"E":
                self._put_entry(member, copy, log, int.from_bytes(key[9:], "big"), value)
            case b"X" | b"Y":
                copy.suspected = value is not None
            case b"Q" | b"W":
                if value is None or (opened := self._open(value)) is None or log not in opened[1].logs:
                    _violated(f"{member} holds no signed checkpoint of {log} where one should be: {value!r}")
                head, signers = opened
                self.note(value)
                if key[:1] == b"Q":
                    if len(signers.cosigners) < self.quorum:
                        _violated(f"{member} takes {head} for confirmed with {len(signers.cosigners)} cosignatures")
                    if copy.confirmed is not None and copy.confirmed.size > head.size:
                        _violated(f"{member} goes back from {copy.confirmed} to {head}")
                    copy.confirmed = head
                else:
                    if copy.cosigned is not None and copy.cosigned.size > head.size:
                        _violated(f"{member} cosigns {head} after {copy.cosigned}")
                    copy.cosigned = head

    def _put_entry(self, member: str, copy: Copy, log: str, index: int, value: bytes | None) -> None:
        if value is None:
            _violated(f"{member} deletes entry {index} of {log}")
        if index < copy.history.size:
            if copy.history.at(index + 1).entry != value:
                _violated(f"{member} changes entry {index} of {log}")
            return
        if index > copy.history.size:
            _violated(f"{member} stores entry {index} of {log} behind {copy.history.size}")
        origin, number, previous, _ = self._entry(value, log)
        if (origin, number) != (log, index):
            _violated(f"{member} stores {origin}#{number} as {log}#{index}")
        if index and previous != self._entry(copy.history.entry, log)[3]:
            _violated(f"{member} stores {log}#{index}, which does not follow the entry before it")
        copy.history = copy.history.grown(value)
        self._heads[Head(log, copy.history.size, copy.history.root)] = copy.history

    def _entry(self, raw: bytes, log: str) -> tuple[str, int, bytes, bytes]:
        """Origin, index, hash of the text before, hash of its own text; after checking the signature."""
        if raw not in self._entries:
            text, _, signature = raw.decode().partition("\n\n")
            text += "\n"
            lines = text.split("\n")
            who = self._log_keys.get(self._signer(signature))
            if who != log or not self._verified(text, signature, text.encode()):
                _violated(f"an entry is stored that {log} has not signed: {raw[:200]!r}")
            digest = sha256(text.encode()).digest()
            self._entries[raw] = (lines[1], int(lines[2]), base64.b64decode(lines[3]), digest)
        return self._entries[raw]

    def _is_on(self, history: History, head: Head) -> bool:
        state = self._heads.get(head)
        return state is not None and history.follows(state)

    @staticmethod
    def _agrees(one: History, other: History) -> bool:
        return one.follows(other) or other.follows(one)

    def _stands(self, member: str, answer: Answer) -> None:
        history = self.disks[member].copies[answer.log].history
        if history.size <= answer.index or _leaf(history.at(answer.index + 1)) != answer.leaf:
            _violated(f"{member} has answered {answer.log}#{answer.index}, which its store does not have like that")
        if answer.confirmed:
            confirmed = self.confirmed.get(answer.log)
            if confirmed is None or not confirmed.follows(history.at(answer.index + 1)):
                _violated(f"{member} has answered {answer.log}#{answer.index} as confirmed, and it is not")

    # The end.

    def settled(self) -> str:
        """Say what still differs between the honest members; nothing when all is as it should be in the end."""
        for log in sorted(self.members):
            if problem := self._unsettled(log):
                return problem
        return ""

    def _unsettled(self, log: str) -> str:
        copies = {member: self.disks[member].copies[log] for member in sorted(self.honest)}
        top = max((copy.confirmed.size for copy in copies.values() if copy.confirmed is not None), default=0)
        for member, copy in copies.items():
            size = copy.confirmed.size if copy.confirmed is not None else 0
            if member == log and self.excused(log):
                continue
            if size < top and not (copy.suspected or not self._agrees(copy.history, self.confirmed[log])):
                return f"{member} has confirmed {size} entries of {log}, where others have {top}"
        if log in self.honest and not self.excused(log):
            own = copies[log].history
            for member, copy in copies.items():
                if copy.history is not own or top != own.size:
                    return f"{member} has {copy.history.size} of {own.size} entries of {log}, confirmed {top}"
            if not own.size:
                return f"{log} is not open"
        return ""

    def ended(self, accused: Mapping[str, Iterable[str]], proven: Mapping[str, Iterable[str]] | None) -> None:
        """Check what must hold in the end.

        ``accused`` are the logs against which each honest node raises an alarm, ``proven`` those against which it has a
        proof of equivocation; None where nodes do not have such proofs.
        """
        if problem := self.settled():
            _violated(f"the honest members have not converged: {problem}")
        for answer in self.answers:
            self._lasts(answer)
        for member, log in ((member, log) for member, logs in accused.items() for log in logs):
            if self.trusted(log):
                _violated(f"{member} suspects {log}, which is honest")
        if proven is None:
            return
        for member, log in ((member, log) for member, logs in proven.items() for log in logs):
            if self.trusted(log):
                _violated(f"{member} has a proof against {log}, which is honest")
        if problem := self.unproven(proven):
            _violated(problem)

    def _lasts(self, answer: Answer) -> None:
        if self.trusted(answer.log):
            self._stands(answer.log, answer)
        elif answer.confirmed and _leaf(self.confirmed[answer.log].at(answer.index + 1)) != answer.leaf:
            _violated(f"{answer.log}#{answer.index} was answered as confirmed, and is another entry now")

    def unproven(self, proven: Mapping[str, Iterable[str]]) -> str:
        """Say which log has lied to honest members without every one of them having a proof; nothing if none has."""
        for log in sorted(self.members):
            lacking = sorted(member for member in self.honest if log not in set(proven[member]))
            if lacking and self.lied(log):
                return f"{log} has lied to honest members, and {lacking} have no proof of it"
        return ""

    def lied(self, log: str) -> bool:
        """Whether honest members hold, at this moment, two statements of a log that cannot both be true."""
        copies = [self.disks[member].copies[log] for member in sorted(self.honest)]
        longest = max((copy.history for copy in copies), key=lambda history: history.size)
        if any(not longest.follows(copy.history) for copy in copies):
            return True
        return any(copy.suspected for copy in copies)

    def excused(self, log: str) -> bool:
        """Whether the log of a member that has lost its disk has come to an end that nobody could have avoided."""
        return self.disks[log].forgetful and (self.lied(log) or self._is_lost(log))

    def _is_lost(self, log: str) -> bool:
        """Whether a log of a member that has lost its disk has signed what no honest store has."""
        return self.disks[log].forgetful and any(
            not any(self._is_on(self.disks[member].copies[log].history, head) for member in self.honest)
            for head in self._signed[log]
        )

    # Notes.

    def _empty(self) -> dict[str, Copy]:
        return {origin: Copy(root) for origin, root in self._roots.items()}

    def _open(self, data: bytes) -> "tuple[Head, _Signers] | None":
        """Return a checkpoint and those whose signature it bears; None for anything else."""
        try:
            text, _, signatures = data.decode().partition("\n\n")
            origin, size, root = text.split("\n")
            head = Head(origin, int(size), base64.b64decode(root, validate=True))
        except (ValueError, binascii.Error):
            return None
        if origin not in self.members or text != f"{origin}\n{head.size}\n{base64.b64encode(head.root).decode()}":
            return None
        signers = _Signers(set(), set())
        text += "\n"
        for line in signatures.splitlines(keepends=True):
            key = self._signer(line)
            if (log := self._log_keys.get(key)) is not None and self._verified(text, line, text.encode()):
                signers.logs.add(log)
            if (member := self._cosigners.get(key)) is not None:
                blob = base64.b64decode(line.split(" ")[2])
                message = f"cosignature/v1\ntime {int.from_bytes(blob[4:12], 'big')}\n{text}".encode()
                if self._verified(text, line, message):
                    signers.cosigners.add(member)
        return head, signers

    @staticmethod
    def _signer(line: str) -> tuple[str, bytes]:
        try:
            dash, name, blob = line.rstrip("\n").split(" ")
            return (name, base64.b64decode(blob, validate=True)[:4]) if dash == "—" else ("", b"")
        except (ValueError, binascii.Error):
            return "", b""

    def _verified(self, text: str, line: str, message: bytes) -> bool:
        if (text, line) not in self._valid:
            key = self._signer(line)
            who = self._log_keys.get(key)
            vkey = self.members[self._cosigners[key]].cosigner if who is None else self.members[who].log_key
            public = base64.b64decode(vkey.split("+", 2)[2])[1:]
            try:
                VerifyKey(public).verify(message, base64.b64decode(line.split(" ")[2])[-64:])
                self._valid[text, line] = True
            except (BadSignatureError, ValueError):
                self._valid[text, line] = False
        return self._valid[text, line]


@dataclass
class _Signers:
    logs: set[str]
    cosigners: set[str]


def _key(vkey: str) -> tuple[str, bytes]:
    name, number, _ = vkey.split("+", 2)
    return name, bytes.fromhex(number)


def _leaf(history: History) -> bytes:
    return sha256(b"\x00" + history.entry).digest()


def _bundled(data: bytes) -> Iterable[bytes]:
    while data:
        length = int.from_bytes(data[:2], "big")
        yield data[2 : 2 + length]
        data = data[2 + length :]


def _remembered(body: bytes) -> Iterable[bytes]:
    try:
        told = json.loads(body)["logs"]
        return [("\n".join(one["checkpoint"]) + "\n").encode() for one in told if "checkpoint" in one]
    except (ValueError, TypeError, KeyError, RecursionError):
        return []


def _violated(what: str) -> NoReturn:
    raise ViolationError(what)
