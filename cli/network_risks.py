"""What is risky about a new version of the network document: said to the governors before they sign."""

from collections.abc import Iterator
from dataclasses import dataclass

from cli.language import Words
from ledger.network import Network


@dataclass(frozen=True, slots=True)
class Risk:
    """Something that a governor should have thought of; ``code`` is for programs."""

    code: str
    words: Words


def risks(before: Network, after: Network) -> Iterator[Risk]:
    """Yield what is risky about ``after`` in the place of ``before``."""
    if (after.name, after.version, after.previous) != (before.name, before.version + 1, before.text_hash):
        words = Words(
            "version {after} does not name this version {before} as the one before it",
            after=after.version,
            before=before.version,
        )
        yield Risk("not_next", words)
    yield from _of_the_quorum(before, after)
    yield from _of_members(before, after)
    yield from _of_governors(before, after)
    if after.body.access.read == "open" != before.body.access.read:
        yield Risk("open", Words("whoever has read the logs cannot be made to forget them"))


def _of_the_quorum(before: Network, after: Network) -> Iterator[Risk]:
    old, new = len(before.voters), len(after.voters)
    if new == 0:
        yield Risk("no_voters", Words("no member is active: nothing can be confirmed any more"))
        return
    if new < old:
        words = Words("fewer members are active: {before} → {after}", before=old, after=new)
        yield Risk("fewer_voters", words)
    if new == after.quorum > 1 and (new, after.quorum) != (old, before.quorum):
        yield Risk("all_needed", Words("all {count} must cosign: while one is down, nothing is confirmed", count=new))
    if after.faults < before.faults:
        words = Words(
            "fewer members may fail or lie than before: {before} → {after}", before=before.faults, after=after.faults
        )
        yield Risk("fewer_faults", words)
    if after.faults > max(new - 1, 0) // 3:
        words = Words("when {faults} of {count} members are down, nothing is confirmed",
                      faults=after.faults, count=new)  # fmt: skip
        yield Risk("faults_too_many", words)
    # Any quorum of the one and any of the other share at least so many members (protocol section 1).
    shared = before.quorum + after.quorum - len(_voters(before) | _voters(after))
    if old and shared <= min(before.faults, after.faults):
        words = Words("a quorum of version {before} and one of version {after} need not share an honest member: "
                      "change fewer members at a time", before=before.version, after=after.version)  # fmt: skip
        yield Risk("quorums_apart", words)


def _of_members(before: Network, after: Network) -> Iterator[Risk]:
    for origin, old in before.members.items():
        new = after.members.get(origin)
        if new is None:
            yield Risk("member_removed", Words("{log} is not there any more: no node will take this", log=origin))
            continue
        if old.entry.status != "ended" == new.entry.status:
            yield Risk("member_ended", Words("{log} ends for good: it cannot be made active again", log=origin))
        ends = {start: until for start, until, _key in old.log_keys}
        for start, until, _key in new.log_keys:
            if until is not None and start in ends and ends[start] is None:
                words = Words("{log}: what its old log key signs from entry {until} on counts nowhere",
                              log=origin, until=until)  # fmt: skip
                yield Risk("log_key_ended", words)
        if new.entry.readmitted != old.entry.readmitted:
            words = Words("{log}: check size and root of the ruling with what the members hold", log=origin)
            yield Risk("ruling", words)
        if new.active and new.cosigner != old.cosigner:
            words = Words("{log}: its cosignatures count again when its node has the new key", log=origin)
            yield Risk("cosigner_key", words)


def _of_governors(before: Network, after: Network) -> Iterator[Risk]:
    old, new = before.body.governors, after.body.governors
    if new == old:
        return
    if new.threshold == len(new.keys) > 1:
        words = Words("all {count} governors must sign: with one key lost, the document can never be changed again",
                      count=len(new.keys))  # fmt: skip
        yield Risk("all_governors", words)
    if new.threshold == 1 < len(new.keys):
        yield Risk("one_governor", Words("each governor alone can change the network"))
    if not set(old.keys) & set(new.keys):
        yield Risk("governors_replaced", Words("all governors are replaced at once"))


def _voters(network: Network) -> set[str]:
    return {member.origin for member in network.voters.values()}
