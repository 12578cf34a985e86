"""What ``suyuan doctor`` looks at: each check says how something is, and never raises for what it looks for.

A check is ``ok``; a ``warning``, which the node lives with; a ``problem``, which somebody must mend; or ``damage``:
stored or signed data is not what it must be.
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any, Literal

from cli.language import Words, noted
from ledger.encoding import parse_time
from ledger.errors import LedgerError, StoreCorruptError, StoreLockedError
from ledger.network import Network, parse_network, split_versions
from ledger.store import Store, open_store, prefix_end
from node import logs
from node.adoption import NetworkForkError
from node.answers import RESTORING_HINT
from node.clock import Clock
from node.config import CONFIG_NAME, Home, Settings, load_home
from node.equivocations import judge
from node.errors import ConfigError, IntegrityAlarm, PassphraseNeededError
from node.foundation import check_head, load_network, load_policy, load_witness
from node.keys import ROTATE_HINT, check_named
from node.setup import public_keys, ring_of
from node.tokens import TokenFile

Status = Literal["ok", "warning", "problem", "damage"]

PACKAGES = ("cli", "ledger", "node")
DISTRIBUTION = "suyuan"
DISK_BYTES_LOW = 5 << 30  # days of a busy node
DISK_BYTES_MIN = 500 << 20  # below that a compaction of the store may not find room
CLOCK_MS_MIN = parse_time("2025-01-01T00:00:00.000Z")  # no clock that is right is before this software
SKEW_MS_LOW = 5_000
SKEW_MS_MAX = 60_000  # requests between peers that are older or younger are refused (node/transport.py)
EVIDENCE_HINT = noted(
    "suyuan evidence list shows the proofs; show them to the governors, who decide how the log goes on"
)
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
        words = Words("the membership of {origin} is {status}", origin=patient.origin, status=member.entry.status)
        yield Check("member", "warning", words)
    else:
        yield _tried(
            "member",
            lambda: check_named(public_keys(patient.home), member),
            Words("the network document names the keys of this node"),
        )


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


def check_skew(skew_ms: dict[str, int]) -> Check | None:
    """Hold the clock against those of the peers; None where none has told its time."""
    if not skew_ms:
        return None
    origin, most = max(skew_ms.items(), key=lambda item: abs(item[1]))
    words = Words(
        "against the peers' clocks it differs by {seconds} s at most ({origin})",
        seconds=round(most / 1000, 1),
        origin=origin,
    )
    if abs(most) > SKEW_MS_MAX:
        return Check(
            "skew", "problem", words, noted("set the clock, here or there: requests between the two are refused")
        )
    return Check("skew", "warning" if abs(most) > SKEW_MS_LOW else "ok", words)


def check_health(health: dict[str, Any] | None, *, runs: bool, problem: str = "") -> Check:
    """Judge what the running node says of itself; ``runs`` tells whether a process has its store open."""
    if health is None and not runs:
        return Check("node", "ok", Words("it does not run"))
    if health is None:
        words = Words("a process has the store open, but the node does not answer: {problem}", problem=problem)
        return Check(
            "node",
            "problem",
            words,
            noted("is it starting, hanging, or listening elsewhere? suyuan config show names its address"),
        )
    if health.get("alarms"):
        alarms = "; ".join(f"{one.get('log')}: {one.get('alarm')}" for one in health["alarms"])
        return Check("node", "damage", Words("integrity alarm: {alarms}", alarms=alarms), _alarm_hint(health))
    if (missing := _missing_keys(health)) is not None:
        return missing
    if health.get("status") == "key_awaited":
        return _awaiting(health.get("next_log_key"))
    if health.get("status") == "recovering":
        return _recovering(health.get("recovery"))
    if health.get("status") != "ok":
        words = Words("it runs, and cannot write: {problem}", problem=str(health.get("failure")))
        return Check(
            "node",
            "problem",
            words,
            noted("see the node's log; free some disk space or mend the disk, then start it again"),
        )
    words = Words(
        "it runs: {count} entries, {confirmed} confirmed",
        one="it runs: {count} entry, {confirmed} confirmed",
        count=health.get("size"),
        confirmed=health.get("confirmed_size"),
    )
    return Check("node", "ok", words)


def _alarm_hint(health: dict[str, Any]) -> str:
    """Return what to do about alarms: first about this node, then about its network, then about others' logs."""
    names = [str(one.get("log")) for one in health["alarms"]]
    if health.get("log") in names:
        return noted("stop the node and keep its folder as it is")
    if any(name.startswith("service ") for name in names):
        return noted("restart the node; if it happens again, report it with the lines of its log")
    return NetworkForkError.hint if any(name.startswith("network ") for name in names) else EVIDENCE_HINT


def _missing_keys(health: dict[str, Any]) -> Check | None:
    told = [one for one in health.get("missing_keys") or () if isinstance(one, dict)]
    if not told:
        return None
    keys = ", ".join(f"{one.get('role')} {one.get('key')}" for one in told)
    words = Words("it runs, and cannot sign with keys that the network document names: {keys}", keys=keys)
    return Check("node", "problem", words, noted("put the files of these keys into the folder keys, and restart it"))


def _awaiting(told: object) -> Check:
    words = Words(
        "it runs, and records nothing: the network document does not name the log key that was announced from entry "
        "{start} on",
        start=told.get("from") if isinstance(told, dict) else None,
    )
    return Check("node", "problem", words, ROTATE_HINT)


def check_next_key(health: dict[str, Any]) -> Check | None:
    """Say how many entries are left before the governors must have named the next log key; None where none waits."""
    told, size = health.get("next_log_key"), health.get("size")
    if health.get("status") == "key_awaited" or not isinstance(told, dict) or not isinstance(size, int):
        return None
    start = told.get("from")
    left = start - size if isinstance(start, int) else 0
    words = Words(
        "the next log key begins with entry {start}, and the network document does not name it yet; entries left: "
        "{left}",
        start=start,
        left=left,
    )
    return Check("next_key", "warning", words, ROTATE_HINT)


def _recovering(told: object) -> Check:
    recovery = told if isinstance(told, dict) else {}
    if recovery.get("problem"):
        words = Words("it restores its own log, and does not write yet: {problem}", problem=str(recovery["problem"]))
        return Check("node", "problem", words, RESTORING_HINT)
    words = Words(
        "it asks its peers what it has said before, and does not write yet; answers: {answered} of the {needed} needed",
        answered=recovery.get("answered"),
        needed=recovery.get("needed"),
    )
    return Check("node", "problem", words, noted("it goes on by itself when enough of the others answer"))


def check_freshness(health: dict[str, Any]) -> Check | None:
    """Judge how long ago the quorums vouched for the logs; None where the node does not tell."""
    told = health.get("freshness")
    if not isinstance(told, dict):
        return None
    stale = [one for one in told.get("stale") or () if isinstance(one, dict)]
    if stale:
        logs = ", ".join(f"{one.get('log')} ({str(one.get('vouched'))[:19]})" for one in stale)
        words = Words("no quorum has vouched for long for {logs}", logs=logs)
        return Check(
            "freshness", "warning", words, noted("is the owner's node down, or kept from its peers? Ask the member")
        )
    if told.get("vouched") is None:
        return Check("freshness", "ok", Words("no quorum has vouched for this log yet"))
    return Check(
        "freshness", "ok", Words("quorums vouch for every log, for this one at {time}", time=told.get("vouched"))
    )


def check_peers(network: Network, own: str, unreachable: dict[str, str]) -> Check:
    """Judge which peers answer: with fewer than the quorum nothing is confirmed."""
    peers = sorted(origin for origin, member in network.members.items() if member.active and origin != own)
    answering = [origin for origin in peers if origin not in unreachable]
    words = Words("{count} of {all} peers answer", count=len(answering), all=len(peers))
    if not unreachable:
        return Check("peers", "ok", words)
    silent = "; ".join(f"{origin}: {why}" for origin, why in sorted(unreachable.items()))
    words = Words("{count} of {all} peers answer; not: {silent}", count=len(answering), all=len(peers), silent=silent)
    if len(answering) + 1 < network.quorum:
        return Check(
            "peers",
            "problem",
            words,
            noted("without a quorum nothing is confirmed; ask the members whose nodes do not answer"),
        )
    return Check("peers", "warning", words)


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
