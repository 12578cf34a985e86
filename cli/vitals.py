"""What ``suyuan doctor`` asks for: each check says how the running node and its peers are, by what they tell."""

from typing import Any

from cli.diagnosis import EVIDENCE_HINT, MEMBERSHIPS, Check
from cli.language import Words, noted
from ledger.network import Network
from node.adoption import NetworkForkError
from node.answers import MEMBERSHIP_HINT, RESTORING_HINT
from node.keys import ROTATE_HINT

SKEW_MS_LOW = 5_000
SKEW_MS_MAX = 60_000  # requests between peers that are older or younger are refused (node/gate.py)


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
    if health is None:
        return _silent(runs=runs, problem=problem)
    if health.get("alarms"):
        alarms = "; ".join(f"{one.get('log')}: {one.get('alarm')}" for one in health["alarms"])
        return Check("node", "damage", Words("integrity alarm: {alarms}", alarms=alarms), _alarm_hint(health))
    if health.get("status") in MEMBERSHIPS:
        return Check("node", "warning", Words("it runs, and records nothing: it takes no part"), MEMBERSHIP_HINT)
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


def _silent(*, runs: bool, problem: str) -> Check:
    if not runs:
        hint = noted("suyuan run starts it; until then it records nothing, and its cosignatures are missing")
        return Check("node", "warning", Words("it does not run"), hint)
    words = Words("a process has the store open, but the node does not answer: {problem}", problem=problem)
    hint = noted("is it starting, hanging, or listening elsewhere? suyuan config show names its address")
    return Check("node", "problem", words, hint)


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


def check_memory(health: dict[str, Any]) -> Check | None:
    """Say that foreign logs are not cosigned, since it is not known what was; None where it is, or none are."""
    told = health.get("witness")
    memory = told.get("memory") if isinstance(told, dict) else None
    if memory not in ("lost", "unreadable"):
        return None
    words = Words("foreign logs are not cosigned: what this node has cosigned of them is not known any more")
    hint = noted("see docs/operations.md, Witnessing foreign logs: suyuan witness resume, or a new witness key")
    return Check("memory", "problem", words, hint)


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


def check_address(url: str, why: str) -> Check:
    """Judge whether the running node answers where the peers look for it; ``why`` it does not, empty where it does."""
    if not why:
        return Check("address", "ok", Words("it answers at {url}, where the peers look for it", url=url))
    words = Words("from here it does not answer at {url}, where the peers look for it: {problem}", url=url, problem=why)
    hint = noted(
        "see its port, the certificate and what stands before it; the governors change the address: suyuan network "
        "revise --url"
    )
    return Check("address", "warning", words, hint)


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
