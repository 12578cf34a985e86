"""What must hold, checked after every message and every durable write, by code that shares nothing with the product.

It imports hashlib and NaCl, reads the bytes on the wires and on the disks, keeps its own tree of all histories, and
does its own arithmetic on every version of the network document that the governors have issued (laws.py).
What the protocol promises, and what is therefore demanded, in the order of the methods below:

Signed by an honest member (one that has kept its disk: who has lost it counts among the f, protocol section 7)
  * A head that its log has signed, wherever it turns up, is one of its own store's; so its log has one history.
  * A cosignature of its own, wherever it turns up, is of a head whose entries lie in its store at that moment, every
    one of them signed by the log and chained to the one before. As a store only ever grows, no two can conflict.
  * What it has answered as recorded stays where it is.
  * Once it has told a peer that it acts under a version, it cosigns no more that it has not told of, of a log that acts
    under an older one: who joins counts on that.
Stored by any member that runs the real software, also by one that has lost its disk and come back
  * An entry once written stays as it is; what stands below it is there. The confirmed head that it holds has a quorum
    and is one of its store's; the head that it has cosigned last is one of its store's, and never shrinks. Only where
    the governors have readmitted a log, entries go that are not in the history that they have ruled, none of them
    confirmed there.
  * The quorum is one of the version under which the log acts at that size, or of a later one. No log acts under a
    version that the governors have not issued, and no member takes what a key has signed after its end, once its own
    log says that it acts under the version which has ended that key.
  * It signs and cosigns nothing that contradicts what it had cosigned, and was confirmed, when it lost its disk.
  * So its copy of a log is a prefix of one history; of *the* one history for every log whose owner is honest, and for
    the confirmed part of every other. Above its confirmed size the copy of a log that lies may be a branch that will
    never be confirmed: that is what an equivocation looks like, and no replica alone can know it.
Confirmed, that is, cosigned by k members by any version's count, whoever puts the signatures together
  * All confirmed heads of a log lie on one history, which some honest store had in full when the quorum was reached.
  * What was answered as confirmed is in that history, whoever has answered it and whatever he has lost since.
After the faults have ended (``settled`` and ``ended``)
  * All honest members have every honest log whole and confirmed; of every other log they have the highest head that
    any of them knows as confirmed, except where the log has shown them two histories that cannot both be kept: then
    each stays at its confirmed size, and says so. Where the governors have ruled, all go on with that history.
  * A log whose two histories have reached honest stores is proven to have lied on every honest node, and no log of
    an honest member is proven, or suspected, anywhere.
  * All honest members that are active act under the newest version, and their logs say so.
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

from laws import Key, Law, read_laws
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey


class ViolationError(AssertionError):
    """The system has broken a promise."""


@dataclass(frozen=True)
class Head:
    """A log's promise: how many entries, and their tree."""

    log: str
    size: int
    root: bytes

    def __str__(self) -> str:
        return f"{self.log} {self.size} {self.root.hex()[:8]}"


def _acting(before: frozenset[bytes], entry: bytes) -> frozenset[bytes]:
    """Return the hashes of the documents under which a log acts, or has acted, with one more entry."""
    lines = entry.split(b"\n", 6)
    if lines[0] != b"suyuan/entry/v1":
        return before
    if lines[2] == b"0":
        return before | {base64.b64decode(lines[3])}
    if b'"type":"network.adopt"' not in lines[5]:
        return before
    return before | {base64.b64decode(json.loads(lines[5])["hash"])}


class History:
    """One state that a log was in at some place: an entry behind another state. Equal histories are one object."""

    def __init__(self, before: "History | None", entry: bytes) -> None:
        self.before: History | None = before
        self.size: int = before.size + 1 if before is not None else 0
        self.entry = entry
        self.acting: frozenset[bytes] = _acting(before.acting if before is not None else frozenset(), entry)
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
    doubted: set[bytes] = field(default_factory=set)  # keys of the proofs and contradictions that are kept against it


@dataclass
class Disk:
    """One member's disk."""

    copies: dict[str, Copy]
    forgetful: bool = False  # it was restored or wiped at some time
    owed: dict[str, History] = field(default_factory=dict)  # what it had signed and was confirmed when that happened
    told: dict[str, int] = field(default_factory=dict)  # of each log, the size that it has told a member who asked
    told_under: int = 0  # under the version of the network document that it has named with that


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
    """Watches a network, beginning with that of a ``document``, of which those in ``honest`` run the real software."""

    document: bytes
    honest: frozenset[str]
    laws: dict[int, Law] = field(default_factory=dict)  # by version
    disks: dict[str, Disk] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)
    confirmed: dict[str, History] = field(default_factory=dict)  # the largest confirmed state of each log
    ruled: dict[str, History] = field(default_factory=dict)  # the state with which a log was readmitted
    relapsed: set[str] = field(default_factory=set)  # logs that may lie again after they were readmitted
    checks: int = 0

    def __post_init__(self) -> None:
        self._roots: dict[str, History] = {}
        self._heads: dict[Head, History] = {}
        self._log_ids: dict[bytes, str] = {}
        self._log_keys: dict[Key, str] = {}
        self._cosigners: dict[Key, str] = {}
        self._publics: dict[Key, bytes] = {}
        self._valid: dict[tuple[str, str], bool] = {}  # by text and signature line
        self._entries: dict[bytes, tuple[str, int, bytes, bytes, Key]] = {}
        self._votes: dict[Head, set[Key]] = defaultdict(set)
        self._reached: set[Head] = set()  # whose votes are a quorum of some version
        self._signed: dict[str, set[Head]] = defaultdict(set)  # by log
        self.issued(self.document)

    @property
    def members(self) -> list[str]:
        """All members that there ever were."""
        return list(self.law.log_keys)

    @property
    def law(self) -> Law:
        """The newest version that the governors have issued."""
        return self.laws[max(self.laws)]

    @property
    def active(self) -> list[str]:
        """The honest members that take part under the newest version."""
        return sorted(member for member in self.honest if member in self.law.voters)

    def issued(self, document: bytes) -> None:
        """The governors have signed a document with a newer version, which nobody has yet."""
        self.laws = {law.version: law for law in read_laws(document)}
        for origin in self.members:
            if origin not in self._roots:
                root = self._roots[origin] = History(None, b"")
                self._heads[Head(origin, 0, root.root)] = root
                self._log_ids[sha256(origin.encode()).digest()[:8]] = origin
        for key, (origin, public) in self.law.log_publics.items():
            self._log_keys[key], self._publics[key] = origin, public
        for key, (origin, public) in self.law.cosigners.items():
            self._cosigners[key], self._publics[key] = origin, public
        for origin in self._roots:
            disk = self.disks.setdefault(origin, Disk({}))
            for log, root in self._roots.items():
                disk.copies.setdefault(log, Copy(root))
        self._take_rulings()
        for head in list(self._votes):
            self._count(head)

    def _take_rulings(self) -> None:
        for log, (size, root) in self.law.ruled.items():
            state = self._heads.get(Head(log, size, root))
            if state is None:
                _violated(f"the governors have readmitted {log} with a history that nobody has")
            if self.ruled.get(log) is state:
                continue
            self._confirm(Head(log, size, root), state)
            self.ruled[log] = state
            self._signed[log] = {head for head in self._signed[log] if head.size <= size}

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
            if server in self.honest:
                self._keeps_its_word(server, note + body)
        elif path.endswith("/checkpoint"):
            self.note(body)
        elif path == "/v1/memory":
            for note in _remembered(body):
                self.note(note)
            if server in self.honest:
                self._told(server, body)
        elif "/entries?" in path and server in self.honest:
            self._served(server, path, body)

    def note(self, data: bytes) -> None:
        """Some bytes that may be a signed checkpoint were sent, or found."""
        opened = self._open(data)
        if opened is None:
            return
        head, signers = opened
        if signers.log is not None:
            if self.law.allows(signers.log, head.log, max(head.size - 1, 0)):  # else it is void
                self._log_signed(head)
            for cosigner in sorted(signers.cosigners):  # they count for a head that the log has signed
                self._cosigned(cosigner, head)

    def _log_signed(self, head: Head) -> None:
        if head in self._signed[head.log]:
            return
        self._signed[head.log].add(head)
        if self.trusted(head.log):
            state = self._heads.get(head)
            if state is None or not self.disks[head.log].copies[head.log].history.follows(state):
                _violated(f"{head.log} has signed {head}, which is not in its own store")

    def _cosigned(self, key: Key, head: Head) -> None:
        votes = self._votes[head]
        if key in votes:
            return
        votes.add(key)
        cosigner = self._cosigners[key]
        if self.trusted(cosigner) and not self._is_on(self.disks[cosigner].copies[head.log].history, head):
            _violated(f"{cosigner} has cosigned {head}, whose entries it does not have")
        owed, state = self.disks[cosigner].owed.get(head.log), self._heads.get(head)
        if cosigner in self.honest and owed is not None and (state is None or not self._agrees(state, owed)):
            _violated(f"{cosigner} has forgotten that {_head(head.log, owed)} is confirmed, and cosigns {head}")
        self._count(head)

    def _count(self, head: Head) -> None:
        if head not in self._reached and self._counting(self._votes[head]):
            self._reached.add(head)
            self._confirm(head, self._heads.get(head))

    def _counting(self, votes: Iterable[Key], at_least: int = 1) -> list[int]:
        """Return the versions whose quorum these cosigners reach."""
        voted = set(votes)
        return [number for number, law in self.laws.items() if number >= at_least and law.is_quorum(voted)]

    def lagging(self) -> list[str]:
        """Honest members whose logs do not say yet that they act under the newest version."""
        return [one for one in self.active if self._acts(one) != self.law.version and not self.excused(one)]

    def confirmable(self, log: str) -> History:
        """Return the largest state of a log that is confirmed, or can be with what those add who may say anything."""
        found = self.confirmed.get(log, self._roots[log])
        for head, votes in self._votes.items():
            state = self._heads.get(head)
            liars = {key for key, member in self._cosigners.items() if not self.trusted(member)}
            if head.log == log and state is not None and state.size > found.size and self._counting(votes | liars):
                found = state
        return found

    def acting_under(self, state: History) -> int | None:
        """Return the version under which a log acts in a state; None where nobody has issued it."""
        numbers = {law.text_hash: law.version for law in self.laws.values()}
        found = [numbers.get(one) for one in state.acting]
        return None if None in found else max((one for one in found if one is not None), default=0)

    def _acts(self, member: str) -> int:
        """Return the version under which a member acts, as its own log says; 0 where it has none."""
        return self.acting_under(self.disks[member].copies[member].history) or 0

    def _told(self, member: str, body: bytes) -> None:
        told = json.loads(body)
        disk = self.disks[member]
        if told["network_version"] >= disk.told_under:
            disk.told_under = told["network_version"]
            disk.told = {one["log"]: int(one["checkpoint"][1]) for one in told["logs"] if "checkpoint" in one}

    def _keeps_its_word(self, member: str, note: bytes) -> None:
        opened, disk = self._open(note), self.disks[member]
        if opened is None or not any(self._cosigners[key] == member for key in opened[1].cosigners):
            return
        head = opened[0]
        state = self._heads.get(head)
        acting = self.acting_under(state) if state is not None else None
        if head.size > disk.told.get(head.log, 0) and acting is not None and acting < disk.told_under:
            _violated(
                f"{member} cosigns {head} under version {acting}, and has told others that it is at {disk.told_under}"
            )

    def _confirm(self, head: Head, state: History | None) -> None:
        if state is None:
            _violated(f"{head} is confirmed by {self._names(head)}, and no honest store has seen its entries")
        tip = self.confirmed.get(head.log, self._roots[head.log])
        if not self._agrees(state, tip):
            _violated(
                f"two confirmed heads conflict: {head}, by {self._names(head)}, and "
                f"{Head(head.log, tip.size, tip.root)}"
            )
        if state.size > tip.size:
            self.confirmed[head.log] = state

    def _names(self, head: Head) -> list[str]:
        return sorted(self._cosigners[key] for key in self._votes[head])

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
        touched: dict[str, dict[int, bytes | None]] = {}
        others = []
        for key, value in pairs:
            if key[:1] in (b"E", b"Q", b"W", b"X", b"Y") and (log := self._log_ids.get(key[1:9])) is not None:
                entries = touched.setdefault(log, {})
                if key[:1] == b"E":
                    entries[int.from_bytes(key[9:], "big")] = value
                else:
                    others.append((key, log, value))
        for log, entries in sorted(touched.items(), key=lambda one: one[0] == member):  # its own last: it says more
            self._put_entries(member, disk.copies[log], log, entries)
        for key, log, value in sorted(others):
            self._put(member, disk.copies[log], log, key, value)
        for log in touched:
            copy = disk.copies[log]
            signed = copy.history if log == member else self._heads.get(copy.cosigned) if copy.cosigned else None
            owed = disk.owed.get(log)
            if signed is not None and owed is not None and not self._agrees(signed, owed):
                _violated(
                    f"{member} has forgotten that {_head(log, owed)} is confirmed, and signs {_head(log, signed)}"
                )
            for head in (copy.confirmed, copy.cosigned):
                if head is not None and not self._is_on(copy.history, head):
                    _violated(f"{member} holds {head} as confirmed or cosigned, which is not in its store")

    def replaced(self, member: str, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        """A member's disk was replaced by an old copy, or an empty one."""
        owed = dict(self.disks[member].owed)
        for head, votes in self._votes.items():
            names = {self._cosigners[key] for key in votes}
            if head in self._reached and member in names and head.size > owed.get(head.log, _NOTHING).size:
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
        if key[:1] in (b"X", b"Y"):
            (copy.doubted.discard if value is None else copy.doubted.add)(key)
        elif key[:1] == b"W" and value is None and log in self.ruled:
            copy.cosigned = None
        elif value is None or (opened := self._open(value)) is None or log != opened[0].log or opened[1].log is None:
            _violated(f"{member} holds no signed checkpoint of {log} where one should be: {value!r}")
        else:
            self.note(value)
            self._put_head(member, copy, key, *opened)

    def _put_head(self, member: str, copy: Copy, key: bytes, head: Head, signers: "_Signers") -> None:
        self._check_key(member, head.log, signers.log, max(head.size - 1, 0), str(head))
        if key[:1] == b"Q":
            state = self._heads.get(head)
            acting = self.acting_under(state) if state is not None else 1
            if acting is None or not self._counting(signers.cosigners, acting):
                _violated(
                    f"{member} takes {head} for confirmed with {len(signers.cosigners)} cosignatures under {acting}"
                )
            if copy.confirmed is not None and copy.confirmed.size > head.size:
                _violated(f"{member} goes back from {copy.confirmed} to {head}")
            copy.confirmed = head
        else:
            if copy.cosigned is not None and copy.cosigned.size > head.size:
                _violated(f"{member} cosigns {head} after {copy.cosigned}")
            copy.cosigned = head

    def _put_entries(self, member: str, copy: Copy, log: str, entries: dict[int, bytes | None]) -> None:
        """Take what a batch has done to the entries of a log: some may be gone from the end, and others follow."""
        history = copy.history
        gone = [
            index for index, value in entries.items() if index < history.size and history.at(index + 1).entry != value
        ]
        if gone:
            self._drop(member, copy, log, entries, min(gone))
        for index, value in sorted(entries.items()):
            if value is not None and index >= copy.history.size:
                self._put_entry(member, copy, log, index, value)

    def _drop(self, member: str, copy: Copy, log: str, entries: dict[int, bytes | None], size: int) -> None:
        what = "deletes" if entries[size] is None else "changes"
        ruled = self.ruled.get(log)
        stays = copy.confirmed.size if copy.confirmed is not None else 0
        if ruled is not None and copy.history.size >= ruled.size and copy.history.follows(ruled):
            stays = max(stays, ruled.size)
        if ruled is None or size < stays or set(range(size, copy.history.size)) - entries.keys():
            _violated(f"{member} {what} entry {size} of {log}")
        copy.history = copy.history.at(size)

    def _put_entry(self, member: str, copy: Copy, log: str, index: int, value: bytes) -> None:
        if index > copy.history.size:
            _violated(f"{member} stores entry {index} of {log} behind {copy.history.size}")
        origin, number, previous, _, key = self._entry(value, log)
        if (origin, number) != (log, index):
            _violated(f"{member} stores {origin}#{number} as {log}#{index}")
        if index and previous != self._entry(copy.history.entry, log)[3]:
            _violated(f"{member} stores {log}#{index}, which does not follow the entry before it")
        self._check_key(member, log, key, index, f"{log}#{index}")
        copy.history = copy.history.grown(value)
        self._heads[Head(log, copy.history.size, copy.history.root)] = copy.history
        if log == member and self.acting_under(copy.history) is None:
            _violated(f"{member} acts under a document that the governors have not issued")

    def _check_key(self, member: str, log: str, key: Key | None, index: int, what: str) -> None:
        """Check that a key of a log may sign at an index, by what the member must know of the network document."""
        known = [law for number, law in self.laws.items() if number >= self._acts(member)]
        if not any(law.allows(key, log, index) for law in known):
            _violated(f"{member} takes {what}, signed by a key that is not valid there")

    def _entry(self, raw: bytes, log: str) -> tuple[str, int, bytes, bytes, Key]:
        """Origin, index, hash of the text before, hash of its own text, key; after checking the signature."""
        if raw not in self._entries:
            text, _, signature = raw.decode().partition("\n\n")
            text += "\n"
            lines = text.split("\n")
            key = self._signer(signature)
            if self._log_keys.get(key) != log or not self._verified(text, signature, text.encode()):
                _violated(f"an entry is stored that {log} has not signed: {raw[:200]!r}")
            digest = sha256(text.encode()).digest()
            self._entries[raw] = (lines[1], int(lines[2]), base64.b64decode(lines[3]), digest, key)
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
        copies = {member: self.disks[member].copies[log] for member in self.active}
        top = max((copy.confirmed.size for copy in copies.values() if copy.confirmed is not None), default=0)
        for member, copy in copies.items():
            size = copy.confirmed.size if copy.confirmed is not None else 0
            if member == log and self.excused(log):
                continue
            if size < top and not self._may_stay_behind(log, copy):
                return f"{member} has confirmed {size} entries of {log}, where others have {top}"
            if (ruled := self.ruled.get(log)) is not None and not copy.history.follows(ruled):
                return f"{member} does not have the history of {log} that the governors have ruled"
        if log in copies and not self.excused(log):
            return self._unsettled_own(log, copies, top)
        return ""

    def _may_stay_behind(self, log: str, copy: Copy) -> bool:
        if log in self.ruled and log not in self.relapsed:
            return False
        return bool(copy.doubted) or not self._agrees(copy.history, self.confirmed[log])

    def _unsettled_own(self, log: str, copies: Mapping[str, Copy], top: int) -> str:
        own = copies[log].history
        for member, copy in copies.items():
            if copy.history is not own or top != own.size:
                return f"{member} has {copy.history.size} of {own.size} entries of {log}, confirmed {top}"
        if not own.size:
            return f"{log} is not open"
        if self._acts(log) != self.law.version:
            return f"{log} acts under version {self._acts(log)}, not {self.law.version}"
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
            if log in self.ruled and log not in self.relapsed and member in self.active and not self.lied(log):
                _violated(f"{member} suspects {log}, which was readmitted")
        for log in self.members:
            self._ended(log)
        if proven is None:
            return
        for member, log in ((member, log) for member, logs in proven.items() for log in logs):
            if self.trusted(log):
                _violated(f"{member} has a proof against {log}, which is honest")
        if problem := self.unproven(proven):
            _violated(problem)

    def _ended(self, log: str) -> None:
        """Check that all copies of an honest log are one history, and that none has what is void."""
        for member in sorted(self.honest & set(self.members)):
            history = self.disks[member].copies[log].history
            if self.trusted(log) and not self.disks[log].copies[log].history.follows(history):
                _violated(f"{member} has another history of {log} than {log} itself")
            if member in self.active and log not in self.relapsed and history.size:
                key = self._entry(history.entry, log)[4]
                if not self.law.allows(key, log, history.size - 1):
                    _violated(f"{member} still has entries of {log} that are void")

    def _lasts(self, answer: Answer) -> None:
        if self.trusted(answer.log):
            self._stands(answer.log, answer)
        elif answer.confirmed and _leaf(self.confirmed[answer.log].at(answer.index + 1)) != answer.leaf:
            _violated(f"{answer.log}#{answer.index} was answered as confirmed, and is another entry now")

    def unproven(self, proven: Mapping[str, Iterable[str]]) -> str:
        """Say which log has lied to honest members without every one of them having a proof; nothing if none has."""
        for log in sorted(self.members):
            lacking = sorted(member for member in self.active if log not in set(proven.get(member, ())))
            if lacking and self.lied(log):
                return f"{log} has lied to honest members, and {lacking} have no proof of it"
        return ""

    def lied(self, log: str) -> bool:
        """Whether honest members hold, at this moment, two statements of a log that cannot both be true.

        A proof of what the governors have ruled about counts no more.
        """
        copies = [self.disks[member].copies[log] for member in self.active]
        longest = max((copy.history for copy in copies), key=lambda history: history.size)
        if any(not longest.follows(copy.history) for copy in copies):
            return True
        return log not in self.ruled and any(copy.doubted for copy in copies)

    def excused(self, log: str) -> bool:
        """Whether the log of a member that has lost its disk has come to an end that nobody could have avoided."""
        return self.disks[log].forgetful and (self.lied(log) or self._is_lost(log))

    def _is_lost(self, log: str) -> bool:
        """Whether a log of a member that has lost its disk has signed what no honest store has."""
        return self.disks[log].forgetful and any(
            not any(self._is_on(self.disks[member].copies[log].history, head) for member in self.active)
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
        if origin not in self._roots or text != f"{origin}\n{head.size}\n{base64.b64encode(head.root).decode()}":
            return None
        log: Key | None = None
        cosigners: set[Key] = set()
        text += "\n"
        for line in signatures.splitlines(keepends=True):
            key = self._signer(line)
            if self._log_keys.get(key) == origin and self._verified(text, line, text.encode()):
                log = key
            if key in self._cosigners:
                blob = base64.b64decode(line.split(" ")[2])
                message = f"cosignature/v1\ntime {int.from_bytes(blob[4:12], 'big')}\n{text}".encode()
                if self._verified(text, line, message):
                    cosigners.add(key)
        return head, _Signers(log, cosigners)

    @staticmethod
    def _signer(line: str) -> tuple[str, bytes]:
        try:
            dash, name, blob = line.rstrip("\n").split(" ")
            return (name, base64.b64decode(blob, validate=True)[:4]) if dash == "—" else ("", b"")
        except (ValueError, binascii.Error):
            return "", b""

    def _verified(self, text: str, line: str, message: bytes) -> bool:
        if (text, line) not in self._valid:
            public = self._publics[self._signer(line)]
            try:
                VerifyKey(public).verify(message, base64.b64decode(line.split(" ")[2])[-64:])
                self._valid[text, line] = True
            except (BadSignatureError, ValueError):
                self._valid[text, line] = False
        return self._valid[text, line]


@dataclass
class _Signers:
    log: Key | None  # of the log whose checkpoint it is
    cosigners: set[Key]


def _head(log: str, state: History) -> Head:
    return Head(log, state.size, state.root)


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
