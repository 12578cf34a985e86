"""What ``suyuan doctor`` looks at: each check says how something is, and never raises for what it looks for.

Here are those that need nobody but this machine; what the running node and its peers tell is judged in cli/vitals.py.

A check is ``ok``; a ``warning``, which the node lives with; a ``problem``, which somebody must mend; or ``damage``:
stored or signed data is not what it must be.
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from cli.certificates import RefusedError, valid_until
from cli.language import Words, noted
from ledger.encoding import parse_time
from ledger.errors import LedgerError, StoreCorruptError, StoreLockedError
from ledger.network import Network, parse_network
from ledger.store import Store, open_store, prefix_end
from ledger.versions import split_versions
from node import logs
from node.answers import MEMBERSHIP_HINT
from node.clock import Clock
from node.config import CONFIG_NAME, Home, Settings, load_home
from node.equivocations import judge
from node.errors import ConfigError, IntegrityAlarm, PassphraseNeededError
from node.foundation import check_head, load_network, load_policy, load_witness
from node.keys import check_named
from node.setup import public_keys, ring_of
from node.tokens import TokenFile
from node.wary import tls_context

Status = Literal["ok", "warning", "problem", "damage"]

PACKAGES = ("cli", "ledger", "node")
DISTRIBUTION = "suyuan"
DISK_BYTES_LOW = 5 << 30  # days of a busy node
DISK_BYTES_MIN = 500 << 20  # below that a compaction of the store may not find room
CLOCK_MS_MIN = parse_time("2025-01-01T00:00:00.000Z")  # no clock that is right is before this software
EVIDENCE_HINT = noted(
    "suyuan evidence list shows the proofs; show them to the governors, who decide how the log goes on"
)
MEMBERSHIPS = {
    "suspended": noted(
        "the membership of {origin} is suspended: its log does not go on, its cosignatures do not count"
    ),
    "ended": noted("the membership of {origin} has ended for good: its log does not go on, and stays verifiable"),
}
DAY_MS = 86_400_000
CERTIFICATE_DAYS_LOW = 21
OTHERS = 0o077
OTHERS_WRITE = 0o022


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    status: Status
    words: Words
    hint: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the check for a program."""
        return {"name": self.name, "status": self.status, "words": self.words.english, "hint": self.hint or None}


@dataclass(slots=True)
class Patient:
    """A node's folder, and what is known of it so far."""

    home: Home
    clock: Clock
    fault: ConfigError | None = None  # why its settings cannot be read; only the folder of ``home`` is then known
    versions: list[Network] = field(
        default_factory=list
    )  # of the network document, oldest first; empty where it cannot be used
    store: Store | None = None  # open, where it could be opened
    locked: StoreLockedError | None = None  # somebody else has it open
    newest_ms: int | None = None  # time of the newest entry of its own log

    @property
    def network(self) -> Network | None:
        """The network document that is in force."""
        return self.versions[-1] if self.versions else None

    @property
    def origin(self) -> str:
        """The node's own log; empty where its settings cannot be read."""
        return self.home.settings.origin


def admit(config: Path, clock: Clock) -> Patient:
    """Return the node whose settings file, or whose folder, is ``config``, to be examined.

    Raises:
        ConfigError: there is no such node: it has no settings file.
    """
    try:
        return Patient(load_home(config), clock)
    except ConfigError as error:
        path = config / CONFIG_NAME if config.is_dir() else config
        if not path.is_file():
            raise
        return Patient(Home(path.parent.resolve(), Settings.model_construct(origin="")), clock, fault=error)


def examine(patient: Patient) -> Iterator[Check]:
    """Yield all checks that need nobody but this machine; the store is open afterwards, if nobody else has it."""
    if patient.fault is not None:
        yield failed("config", patient.fault)
    else:
        yield Check("config", "ok", Words("{file}: the settings can be read", file=str(patient.home.config)))
    yield check_packages(packages_distributions())
    yield from check_files(patient.home)
    yield check_tokens(patient.home)
    if patient.fault is None:
        yield check_keys(patient.home)
        yield from check_witness(patient.home)
        yield from check_network(patient)
        yield from check_certificates(patient)
    yield from check_store(patient)
    yield check_disk(patient.home, shutil.disk_usage(patient.home.folder).free)
    yield check_clock(patient.clock.now_ms(), patient.newest_ms)


def check_packages(owners: "dict[str, list[str]] | Any") -> Check:
    """Look for other distributions that own the names of our packages: either could be imported for the other."""
    foreign = sorted(
        {f"{name} ({owner})" for name in PACKAGES for owner in owners.get(name, ()) if owner != DISTRIBUTION}
    )
    if foreign:
        words = Words("other distributions own our packages: {names}", names=", ".join(foreign))
        return Check("packages", "problem", words, noted("install suyuan into an environment of its own"))
    return Check("packages", "ok", Words("no other distribution owns the packages cli, ledger and node"))


def check_files(home: Home) -> Iterator[Check]:
    """Look at who may read the keys and write the tokens."""
    loose = [path for path in sorted(home.keys.glob("*.key")) if path.stat().st_mode & OTHERS]
    if home.tokens.exists() and home.tokens.stat().st_mode & OTHERS_WRITE:
        loose.append(home.tokens)
    if loose:
        words = Words("others may read or write {files}", files=", ".join(str(path) for path in loose))
        yield Check(
            "permissions",
            "problem",
            words,
            noted("chmod 600 these files; a secret key that others have read must be replaced"),
        )
    else:
        yield Check("permissions", "ok", Words("nobody else can read the keys"))


def check_keys(home: Home) -> Check:
    """Look whether the keys are whole, and this department's; closed ones are opened where a passphrase is given."""
    origin = home.settings.origin
    try:
        public_keys(home)
        ring_of(home)
    except PassphraseNeededError:
        words = Words("all five keys are there, and encrypted; no passphrase is given, so they were not opened")
        return Check("keys", "ok", words)
    except LedgerError as error:
        return failed("keys", error)
    return Check("keys", "ok", Words("all five keys are there, and those of {origin}", origin=origin))


def check_witness(home: Home) -> Iterator[Check]:
    """Look whether foreign logs can be witnessed, and foreign witnesses asked, where the settings say so."""
    if home.settings.witnessed:
        yield _tried("witness", lambda: load_witness(home), Words("the key for foreign logs is there"))
    if home.settings.witness_policy is not None:
        yield _tried("policy", lambda: load_policy(home), Words("the policy of the foreign witnesses can be read"))


def check_tokens(home: Home) -> Check:
    """Look whether the file of tokens can be used: with a damaged one, the node lets nobody in."""
    try:
        count = len(TokenFile(home.tokens).list())
    except LedgerError as error:
        return failed("tokens", error)
    return Check("tokens", "ok", Words("{count} tokens", one="{count} token", count=count))


def check_network(patient: Patient) -> Iterator[Check]:
    """Verify the network document, and compare it with the keys."""
    try:
        network, document = load_network(patient.home)
    except LedgerError as error:
        yield failed("network", error)
        return
    patient.versions = [parse_network(part) for part in split_versions(document)]
    words = Words(
        "network {name}, version {version}, {count} members: verified back to the fingerprint",
        one="network {name}, version {version}, {count} member: verified back to the fingerprint",
        name=network.name, version=network.version, count=len(network.members),
    )  # fmt: skip
    yield Check("network", "ok", words)
    member = network.members.get(patient.origin)
    if member is None:
        words = Words("the network document does not name {origin}", origin=patient.origin)
        yield Check("member", "problem", words, noted("the governors add a member with suyuan network add-member"))
    elif not member.active:
        yield Check(
            "member", "warning", Words(MEMBERSHIPS[member.entry.status], origin=patient.origin), MEMBERSHIP_HINT
        )
    else:
        yield _tried(
            "member",
            lambda: check_named(public_keys(patient.home), member),
            Words("the network document names the keys of this node"),
        )


def check_certificates(patient: Patient) -> Iterator[Check]:
    """Look at the certificate as peers do who trust what this node trusts, and at what it trusts."""
    settings = patient.home.settings
    authority = patient.home.path(settings.peer_ca) if settings.peer_ca is not None else None
    if settings.tls_certificate is None and authority is None:
        return
    try:
        trusted = tls_context(authority)
        if settings.tls_certificate is not None:
            member = patient.network.members.get(patient.origin) if patient.network is not None else None
            host = urlsplit(member.url).hostname if member is not None else None
            yield _until(valid_until(patient.home, host, trusted), host, patient.clock.now_ms())
    except RefusedError as error:
        yield _refused(error)
    except LedgerError as error:
        yield failed("certificate", error)


def _until(ends_ms: int, host: str | None, now_ms: int) -> Check:
    left = (ends_ms - now_ms) // DAY_MS
    words = Words("the certificate is valid for {host}; days left: {left}", host=host or "?", left=left)
    hint = noted("renew it; a renewed certificate is read at the next start")
    return Check("certificate", "ok" if left >= CERTIFICATE_DAYS_LOW else "warning", words, hint)


def _refused(error: RefusedError) -> Check:
    if error.itself:
        words = Words("the peers refuse the certificate: {problem}", problem=error.message)
        hint = noted(
            "it must be valid now, and for the host name in the department's URL; a new one is read at the next start"
        )
        return Check("certificate", "problem", words, hint)
    words = Words("what this node trusts does not vouch for its own certificate: {problem}", problem=error.message)
    hint = noted("see that the file has the whole chain, and that the peers trust its authority (peer_ca)")
    return Check("certificate", "warning", words, hint)


def check_store(patient: Patient) -> Iterator[Check]:
    """Open the store, and compare it with the head file, as a node does when it starts."""
    try:
        patient.store = open_store(patient.home.data)
    except StoreLockedError as error:
        patient.locked = error
        yield Check("store", "ok", Words("in use: {holder}", holder=error.message))
        return
    except LedgerError as error:
        yield failed("store", error)
        return
    yield _opened(patient.store)
    if patient.network is not None:
        yield _check_ended(patient.store, patient.network)
    if patient.network is not None and patient.origin in patient.network.members:
        yield _check_head(patient, patient.store, patient.network)
        try:
            yield check_evidence(patient.store, patient.network, patient.home.settings.fingerprint or "")
        except LedgerError as error:
            yield failed("evidence", error)


def check_evidence(store: Store, network: Network, fingerprint: str) -> Check:
    """Look for proofs that a log has told two stories; each of them is judged again."""
    kept = []
    for _key, data in store.scan(b"Y", prefix_end(b"Y")):
        try:
            kept.append(judge(data, fingerprint, network))
        except LedgerError as error:
            return Check(
                "evidence", "damage", Words("a kept proof is no proof any more: {problem}", problem=str(error))
            )
    standing = [one.verdict.words for one in kept if one.standing]
    if standing:
        words = Words(
            "{count} proofs of two stories: {stories}",
            one="{count} proof of two stories: {stories}",
            count=len(standing),
            stories="; ".join(standing),
        )
        return Check("evidence", "damage", words, EVIDENCE_HINT)
    return Check("evidence", "ok", Words("no log is convicted of two stories"))


def check_bytes(patient: Patient, progress: Callable[[int], None]) -> Check:
    """Say why not every entry was verified; read at least every byte, where the store opens.

    Raises:
        StoreLockedError: somebody else has the store open.
    """
    if patient.locked is not None:
        raise patient.locked
    if patient.store is None:
        return Check("audit", "problem", Words("nothing was verified: the store does not open"))
    try:
        patient.store.check(progress)
    except LedgerError as error:
        return failed("audit", error)
    words = Words("every byte can be read; without the network document no entry can be verified")
    return Check("audit", "problem", words)


def check_disk(home: Home, free: int) -> Check:
    """Look at the room that is left."""
    words = Words("{free} MB free at {folder}", free=free >> 20, folder=str(home.folder))
    if free < DISK_BYTES_MIN:
        return Check("disk", "problem", words, noted("free some disk space: a node that cannot write stops recording"))
    return Check("disk", "warning" if free < DISK_BYTES_LOW else "ok", words)


def check_clock(now_ms: int, newest_ms: int | None) -> Check:
    """Hold the clock against this software's age and the node's own log."""
    if now_ms < CLOCK_MS_MIN:
        return Check(
            "clock", "problem", Words("the clock is years behind"), noted("set the clock, and keep it set by NTP")
        )
    if newest_ms is not None and newest_ms > now_ms:
        words = Words(
            "the clock is {seconds} s behind the newest entry of this log", seconds=(newest_ms - now_ms) // 1000
        )
        return Check(
            "clock", "problem", words, noted("set the clock; until then new entries carry the time of the newest one")
        )
    return Check("clock", "ok", Words("it is not behind this node's log"))


def failed(name: str, error: LedgerError) -> Check:
    """Return the check that an error is."""
    status: Status = "damage" if isinstance(error, StoreCorruptError) else "problem"
    return Check(name, status, Words("{problem}", problem=str(error)), error.hint)


def exit_status(checks: list[Check]) -> Status:
    """Return the worst of all checks."""
    order: tuple[Status, ...] = ("ok", "warning", "problem", "damage")
    return max((check.status for check in checks), key=order.index, default="ok")


def _check_head(patient: Patient, store: Store, network: Network) -> Check:
    try:
        state = logs.load_log(store, patient.origin, network)
        patient.newest_ms = state.chain.time if state.size else None
        signed = check_head(patient.home, store, state, network)
    except IntegrityAlarm as alarm:
        return Check("head", "damage", Words("{problem}", problem=str(alarm)), alarm.hint)
    except LedgerError as error:
        return failed("head", error)
    if signed is not None and signed.size > state.size:
        words = Words(
            "the store has {size} entries of this log, and {signed} have been signed",
            size=state.size,
            signed=signed.size,
        )
        hint = "start the node: it fetches what is missing from its peers before it writes again"
        return Check("head", "problem", words, hint)
    words = Words(
        "the store has {count} entries of this log, as the head file says",
        one="the store has {count} entry of this log, as the head file says",
        count=state.size,
    )
    return Check("head", "ok", words)


def _check_ended(store: Store, network: Network) -> Check:
    """Look for entries that are void: signed by a key which had ended there, as the network document says now."""
    void = []
    for origin, member in network.members.items():
        try:
            state = logs.load_log(store, origin, network)
            found = logs.find_ended(store, state, member)
        except LedgerError as error:
            return failed("log_keys", error)
        if found is not None:
            void.append(logs.ended_words(origin, *found))
    if void:
        hint = noted("those entries are void; ask the governors how the log goes on, and keep the folder as it is")
        return Check("log_keys", "damage", Words("{problem}", problem="; ".join(void)), hint)
    return Check("log_keys", "ok", Words("no entry is signed by a key that had ended"))


def _opened(store: Store) -> Check:
    try:
        return Check("store", "ok", Words("it opens, {size} MB", size=store.approximate_bytes() >> 20))
    except LedgerError as error:
        return failed("store", error)


def _tried(name: str, attempt: Callable[[], object], words: Words) -> Check:
    try:
        attempt()
    except LedgerError as error:
        return failed(name, error)
    return Check(name, "ok", words)
