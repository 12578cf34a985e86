"""Networks, logs, events and evidence for tests, the same in every run: every key and id follows from a name.

net = make_network(4)
police, tax, health, court = logs_of(net)
share = police.share(tax, records=[record("liu")])
answer = tax.receipt(share)
police.cosigned()                       the checkpoint with everybody's cosignatures, a Note
police.proof(share.index)               a proof file
evidence(net, record("liu"), [police, tax])
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import oracle

from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.cosignature import add_signatures, cosign
from ledger.encoding import JsonObject, canonical_json, encode_base64, parse_time
from ledger.entry import ChainHead, Entry, chain, open_chain, parse_entry, sign_texts
from ledger.event import EntryRef
from ledger.evidence import encode_evidence
from ledger.merkle import LeafIndex, TreeSize
from ledger.network import Network, network_text, parse_network
from ledger.note import COSIGNATURE, ED25519, Note, Signer
from ledger.proof import Proof

STAMP = "2026-11-21T08:15:30.123Z"
TIME = parse_time(STAMP)  # milliseconds; each entry of a Log is one second later than the one before
NAMES = ("police", "tax", "health", "court", "housing", "social")  # further departments are numbered
EMPTY_HASH = sha256(b"").digest()


def signer(name: str, algorithm: int = ED25519) -> Signer:
    """A key that follows from its name."""
    return Signer(name, algorithm, sha256(f"{algorithm} {name}".encode()).digest())


def event_id(name: object) -> str:
    """A UUID that follows from a name."""
    digits = sha256(str(name).encode()).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:32]}"


def record(name: object) -> str:
    """A record reference that follows from a name."""
    return sha256(f"record {name}".encode()).hexdigest()[:32]


def ref_of(name: object, *, log: str = "police.ordos.example/log", index: int = 0) -> EntryRef:
    """A reference to an entry that is nowhere."""
    return EntryRef(hash=encode_base64(sha256(str(name).encode()).digest()), index=index, log=log)


def share_event(consumer: str = "tax.ordos.example/log", name: object = "share", **members: Any) -> JsonObject:
    """A share with the members that it must have, and ``members``; one that is None is left out."""
    event = {
        "consumer": consumer,
        "id": event_id(name),
        "method": "api",
        "occurred_at": STAMP,
        "purpose": "housing benefit",
        "resource": "household-register",
        "type": "share",
    }
    return _with(event, members)


def receipt_event(share: EntryRef, name: object = "receipt", outcome: str = "accepted", **members: Any) -> JsonObject:
    """A receipt with the members that it must have, and ``members``; one that is None is left out."""
    event = {
        "id": event_id(name),
        "occurred_at": STAMP,
        "outcome": outcome,
        "share": share.model_dump(),
        "type": "receipt",
    }
    if outcome == "rejected":
        event["reason"] = "the file is empty"
    return _with(event, members)


def open_event(network: str = "ordos", version: int = 1) -> JsonObject:
    """The event of entry 0."""
    return {
        "id": event_id("open"),
        "network": network,
        "network_version": version,
        "software": "suyuan 0.1.0",
        "type": "log.open",
    }


@dataclass(frozen=True, slots=True)
class Department:
    """A member and all its secrets."""

    name: str
    log: Signer
    cosigner: Signer
    transport: Signer

    @property
    def origin(self) -> str:
        return self.log.name

    def entry(self, **members: Any) -> JsonObject:
        """The member as a network document writes it, with ``members`` in the place of the usual ones."""
        entry = {
            "origin": self.origin,
            "names": {"zh": f"{self.name}局", "en": self.name.title()},
            "level": "city",
            "region": "150600",
            "roles": ["department"],
            "url": f"https://{self.name}.ordos.example",
            "log_keys": [{"key": self.log.verifier.vkey, "from": 0}],
            "cosigner": self.cosigner.verifier.vkey,
            "transport": self.transport.verifier.vkey,
            "sealing": encode_base64(sha256(f"sealing {self.name}".encode()).digest()),
            "status": "active",
        }
        return _with(entry, members)


def department(number: int) -> Department:
    """The department of that number, always the same."""
    name = NAMES[number] if number < len(NAMES) else f"department-{number}"
    origin = f"{name}.ordos.example"
    return Department(
        name,
        signer(f"{origin}/log"),
        signer(f"{origin}/witness", COSIGNATURE),
        signer(f"{origin}/transport"),
    )


@dataclass(frozen=True, slots=True)
class Net:
    """A network of departments with all their secrets, and its signed document."""

    departments: tuple[Department, ...]
    governors: tuple[Signer, ...]
    document: bytes
    network: Network

    @property
    def fingerprint(self) -> str:
        return self.network.text_hash.hex()

    @property
    def origins(self) -> list[str]:
        return [one.origin for one in self.departments]


def document_body(
    members: Sequence[JsonObject], *, governors: Sequence[Signer], threshold: int = 1, **members_of_body: Any
) -> JsonObject:
    """The fifth line of a network document."""
    body = {
        "access": {"read": "members"},
        "governors": {"keys": [one.verifier.vkey for one in governors], "threshold": threshold},
        "members": list(members),
        "rules": "cn-2025",
    }
    return _with(body, members_of_body)


def sign_document(text: str, governors: Iterable[Signer]) -> bytes:
    """A network document's note."""
    return Note(text, tuple(one.sign(text) for one in governors)).encode()


def governors_of(count: int) -> tuple[Signer, ...]:
    return tuple(signer(f"ordos/governor-{number}") for number in range(1, count + 1))


def make_network(
    size: int = 4,
    *,
    governors: int = 1,
    threshold: int = 1,
    faults: int | None = None,
    suspended: Iterable[int] = (),
    entries: Mapping[int, JsonObject] | None = None,
) -> Net:
    """A network's version 1: ``size`` departments, some of them suspended, some with other members in their entries."""
    departments = tuple(department(number) for number in range(size))
    signers = governors_of(governors)
    changes = {number: {"status": "suspended"} for number in suspended} | dict(entries or {})
    members = [one.entry(**changes.get(number, {})) for number, one in enumerate(departments)]
    quorum = None if faults is None else {"faults": faults}
    body = document_body(members, governors=signers, threshold=threshold, quorum=quorum)
    document = sign_document(network_text("ordos", 1, EMPTY_HASH, body), signers)
    return Net(departments, signers, document, parse_network(document))


def next_version(net: Net, body: JsonObject, *, signed_by: Sequence[Signer] | None = None) -> bytes:
    """The version after a network's, signed by its governors, or by others."""
    text = network_text(net.network.name, net.network.version + 1, net.network.text_hash, body)
    return sign_document(text, net.governors if signed_by is None else signed_by)


@dataclass(slots=True)
class Log:
    """A department's log while it is being written."""

    net: Net
    owner: Department
    entries: list[Entry] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return self.owner.origin

    @property
    def size(self) -> int:
        return len(self.entries)

    @property
    def raws(self) -> list[bytes]:
        return [entry.raw for entry in self.entries]

    @property
    def head(self) -> ChainHead:
        """What the next entry must follow."""
        if not self.entries:
            return open_chain(self.origin, self.net.network.text.encode())
        last = self.entries[-1]
        return ChainHead(self.origin, self.size, sha256(last.text).digest(), last.time)

    def append(self, *events: JsonObject, time: int | None = None, pool: Executor | None = None) -> EntryRef:
        """Record events; the last one's place."""
        at = TIME + 1000 * self.size if time is None else time
        texts, _ = chain(self.head, [canonical_json(event).encode() for event in events], time=at)
        self.entries += [parse_entry(raw) for raw in sign_texts(self.owner.log, texts, pool=pool)]
        return self.entries[-1].ref

    def open(self) -> EntryRef:
        """Record entry 0 as a node does."""
        return self.append(open_event(self.net.network.name, self.net.network.version))

    def share(self, consumer: "Log | str", *, time: int | None = None, **members: Any) -> EntryRef:
        """Record a share; ``parents`` may be references."""
        if members.get("parents") is not None:
            members["parents"] = [parent.model_dump() for parent in members["parents"]]
        to = consumer if isinstance(consumer, str) else consumer.origin
        return self.append(share_event(to, (self.origin, self.size), **members), time=time)

    def receipt(self, share: EntryRef, *, time: int | None = None, **members: Any) -> EntryRef:
        """Record the answer to a share, an accepting one unless ``outcome`` says otherwise."""
        return self.append(receipt_event(share, (self.origin, self.size), **members), time=time)

    def checkpoint(self, size: int | None = None) -> Checkpoint:
        """The checkpoint of the log, or of its first entries."""
        count = self.size if size is None else size
        return Checkpoint(self.origin, TreeSize(count), oracle.root([entry.leaf for entry in self.entries[:count]]))

    def cosigned(self, by: Iterable[Department] | None = None, *, size: int | None = None) -> Note:
        """The signed checkpoint with the cosignatures of ``by``, of all departments where nothing is said."""
        return cosigned(self.owner, self.checkpoint(size), self.net.departments if by is None else by)

    def proof(self, index: int, by: Iterable[Department] | None = None, *, size: int | None = None) -> bytes:
        """The proof file of an entry, the entry in its extra line."""
        leaves = [entry.leaf for entry in self.entries[:size]]
        note = self.cosigned(by, size=size)
        return Proof(LeafIndex(index), tuple(oracle.path(index, leaves)), note, self.entries[index].raw).encode()


def cosigned(owner: Department, checkpoint: Checkpoint, by: Iterable[Department], *, time: int = 1763712930) -> Note:
    """A checkpoint signed by its owner's log key and cosigned by others; ``time`` in seconds."""
    return add_signatures(
        sign_checkpoint(owner.log, checkpoint), [cosign(one.cosigner, checkpoint, time=time) for one in by]
    )


def logs_of(net: Net) -> list[Log]:
    """The opened logs of all departments."""
    logs = [Log(net, one) for one in net.departments]
    for log in logs:
        log.open()
    return logs


def evidence(
    net: Net,
    about: str,
    logs: Iterable[Log],
    *,
    only: Iterable[EntryRef] | None = None,
    memberships: Sequence[JsonObject] = (),
) -> bytes:
    """The evidence file of a record: proofs of all shares and receipts of the logs, or of ``only`` some entries."""
    wanted = None if only is None else set(only)
    proofs = [
        log.proof(entry.index)
        for log in logs
        for entry in log.entries
        if (entry.event["type"] != "log.open" if wanted is None else entry.ref in wanted)
    ]
    return encode_evidence(about, proofs, memberships, net.document)


def _with(value: JsonObject, changes: Mapping[str, Any]) -> JsonObject:
    merged = {**value, **changes}
    return {name: member for name, member in merged.items() if member is not None}
