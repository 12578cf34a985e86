"""What one version of a network document changes against another, in words and as JSON (suyuan.network-changes/1).

Governors read it before they sign. It says what is changed of each member, of the governors and of the rules, what
becomes of the quorum, who must sign, and what is risky about it.

    police.ordos.example/log (Police)
        address: http://10.0.0.5:8300 → https://police.ordos.example
    The network
        active members: 3 → 4
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cli import output
from cli.drafts import signed_by
from cli.language import Words, _, listed, names_of, noted, plural
from cli.network_risks import Risk, risks
from ledger.network import Member, Network
from ledger.note import VerifierKey

if TYPE_CHECKING:
    from rich.console import RenderableType

SCHEMA = "suyuan.network-changes/1"
_STATUS_WORDS = {
    ("active", "suspended"): noted("suspended: its cosignatures do not count, its log does not go on"),
    ("suspended", "active"): noted("active again"),
    ("active", "ended"): noted("ended for good: its log does not go on; what it has signed stays verifiable"),
    ("suspended", "ended"): noted("ended for good: its log does not go on; what it has signed stays verifiable"),
    ("ended", "active"): noted("active again, though it had ended"),
    ("ended", "suspended"): noted("suspended, though it had ended"),
}
_FIELD_WORDS = {
    "url": noted("address: {before} → {after}"),
    "names.zh": noted("name in Chinese: {before} → {after}"),
    "names.en": noted("name in English: {before} → {after}"),
    "code": noted("code of the organisation: {before} → {after}"),
    "level": noted("level of administration: {before} → {after}"),
    "region": noted("region: {before} → {after}"),
    "roles": noted("roles: {before} → {after}"),
    "cosigner": noted("cosigner key: {before} → {after}"),
    "transport": noted("transport key: {before} → {after}"),
    "sealing": noted("sealing key: {before} → {after}"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that is not what it was."""

    what: str  # member.added, member.url, governor.removed, access …: docs/cli-json.md lists them
    of: str | None  # the member's origin, or the governor's key
    before: Any
    after: Any
    words: Words


@dataclass(frozen=True, slots=True)
class Comparison:
    """All differences between two versions."""

    before: Network
    after: Network
    changes: tuple[Change, ...]
    risks: tuple[Risk, ...]


def compare(before: Network, after: Network) -> Comparison:
    """Return what ``after`` changes against ``before``."""
    changes = (*_members(before, after), *_governors(before, after), *_rules(before, after))
    return Comparison(before, after, changes, tuple(risks(before, after)))


def to_json(found: Comparison) -> dict[str, Any]:
    """Return the differences as a program reads them."""
    before, after = found.before, found.after
    return {
        "schema": SCHEMA,
        "name": after.name,
        "before": _sums(before),
        "after": _sums(after),
        "changes": [
            {"what": one.what, "of": one.of, "before": one.before, "after": one.after, "words": one.words.english}
            for one in found.changes
        ],
        "signatures": [
            {
                "version": judge.version,
                "threshold": judge.body.governors.threshold,
                "governors": [key.vkey for key in judge.governors],
                "signed": [key.vkey for key in signed_by(after, judge)],
            }
            for judge in _judges(before, after)
        ],
        "warnings": [{"code": one.code, "words": one.words.english} for one in found.risks],
    }


def lines(found: Comparison) -> Iterator[tuple[str, str]]:
    """Yield the differences as people read them, each line with its style."""
    before, after = found.before, found.after
    names = names_of(before) | names_of(after)
    yield (
        _("Network {name}, version {before} → {after}", name=after.name, before=before.version, after=after.version),
        output.STRONG,
    )
    of: object = ()
    for change in found.changes:
        subject = change.of if change.what.startswith("member.") else None
        if subject != of:
            yield (f"{subject} ({names[subject]})" if subject is not None else _("The network")), output.STRONG
            of = subject
        yield f"    {change.words}", ""
    if not found.changes:
        yield _("nothing is changed"), ""
    yield from _quorum_lines(_sums(before), _sums(after))
    yield _("Who must sign"), output.STRONG
    for judge in _judges(before, after):
        yield f"    {_signing(after, judge)}", ""
    if found.risks:
        yield _("Think of this before you sign"), output.OPEN
        for risk in found.risks:
            yield f"    {risk.words}", output.OPEN


def parts(found: Comparison) -> "list[RenderableType]":
    """Return what is drawn of the differences."""
    return [output.words((text, style)) for text, style in lines(found)]


def tell(found: Comparison) -> None:
    """Tell a person the differences beside the data that was asked for."""
    for text, _style in lines(found):
        output.note(text)


def _sums(network: Network) -> dict[str, int]:
    return {
        "version": network.version,
        "members": len(network.members),
        "voters": len(network.voters),
        "needed": network.quorum,
        "faults": network.faults,
    }


def _judges(before: Network, after: Network) -> Sequence[Network]:
    """Return the versions whose governors must sign ``after``."""
    return (before, after) if after.version == before.version + 1 else (after,)


def _quorum_lines(before: dict[str, int], after: dict[str, int]) -> Iterator[tuple[str, str]]:
    rows = (
        (_("members"), "members"),
        (_("active members"), "voters"),
        (_("must cosign"), "needed"),
        (_("may fail or lie"), "faults"),
    )
    yield _("Quorum"), output.STRONG
    for name, key in rows:
        same = before[key] == after[key]
        yield f"    {name}{_(':')} {after[key] if same else f'{before[key]} → {after[key]}'}", ""


def _signing(after: Network, judge: Network) -> str:
    signed = signed_by(after, judge)
    needed = judge.body.governors.threshold
    text = _(
        "{threshold} of {count} governors of version {version}: {names}",
        threshold=needed,
        count=len(judge.governors),
        version=judge.version,
        names=listed(key.name for key in judge.governors),
    )
    if not signed:
        return text
    said = _("signed by {names}", names=listed(key.name for key in signed))
    missing = needed - len(signed)
    if missing > 0:
        said += _(", ") + plural(missing, "{count} is missing", "{count} are missing")
    return f"{text}{_('; ')}{said}"


def _members(before: Network, after: Network) -> Iterator[Change]:
    for origin, member in after.members.items():
        old = before.members.get(origin)
        yield from (_added(member) if old is None else _changed(old, member))
    for origin in before.members:
        if origin not in after.members:
            yield Change(
                what="member.removed", of=origin, before=_written(before.members[origin]), after=None,
                words=Words("TAKEN OUT: a member is ended, never taken out"),
            )  # fmt: skip


def _added(member: Member) -> Iterator[Change]:
    yield Change(
        what="member.added",
        of=member.origin,
        before=None,
        after=_written(member),
        words=Words("new member at {url}, log key {key}", url=member.url, key=_short(member.log_keys[-1][2])),
    )


def _changed(old: Member, new: Member) -> Iterator[Change]:
    if old.entry.status != new.entry.status:
        words = Words(_STATUS_WORDS[old.entry.status, new.entry.status])
        yield Change(what="member.status", of=new.origin, before=old.entry.status, after=new.entry.status, words=words)
    yield from _key_changes(old, new)
    if old.readmitted != new.readmitted and new.readmitted is not None:
        ruling, former = new.entry.readmitted, old.entry.readmitted
        assert ruling is not None
        yield Change(
            what="member.readmitted",
            of=new.origin,
            before=former.model_dump() if former is not None else None,
            after=ruling.model_dump(),
            words=Words(
                "readmitted: its history up to entry {last} is the one with root {root}; what the old key signed "
                "from {size} on is void",
                last=ruling.size - 1, root=ruling.root, size=ruling.size,
            ),
        )  # fmt: skip
    before, after = _facts(old), _facts(new)
    for name, text in _FIELD_WORDS.items():
        if before[name] != after[name]:
            shown = {"before": _shown(before[name]), "after": _shown(after[name])}
            yield Change(
                what=f"member.{name}", of=new.origin, before=before[name], after=after[name],
                words=Words(text, **shown),
            )  # fmt: skip


def _key_changes(old: Member, new: Member) -> Iterator[Change]:
    """Yield what becomes of the log keys, which are a list that only grows."""
    earlier, later = (
        [span.model_dump(by_alias=True, exclude_none=True) for span in m.entry.log_keys] for m in (old, new)
    )
    keys = [_short(key) for _start, _until, key in new.log_keys]
    for number, span in enumerate(later):
        former = earlier[number] if number < len(earlier) else None
        if former == span:
            continue
        if former is None:
            words = Words("new log key {key}, for entries from {start} on", key=keys[number], start=span["from"])
        elif {**former, "until": span.get("until")} == span:
            words = Words("log key {key} ends: not for entries from {until} on", key=keys[number], until=span["until"])
        else:
            words = Words("ANOTHER log key {key} for entries from {start} on", key=keys[number], start=span["from"])
        yield Change(what="member.log_key", of=new.origin, before=former, after=span, words=words)
    for span in earlier[len(later) :]:
        words = Words("the log key for entries from {start} on is TAKEN OUT", start=span["from"])
        yield Change(what="member.log_key", of=new.origin, before=span, after=None, words=words)


def _governors(before: Network, after: Network) -> Iterator[Change]:
    for key in after.governors:
        if key not in before.governors:
            words = Words("new governor {name}, key {key}", name=key.name, key=key.vkey)
            yield Change(what="governor.added", of=key.vkey, before=None, after=key.vkey, words=words)
    for key in before.governors:
        if key not in after.governors:
            words = Words("{name} governs no longer, key {key}", name=key.name, key=key.vkey)
            yield Change(what="governor.removed", of=key.vkey, before=key.vkey, after=None, words=words)
    old, new = before.body.governors, after.body.governors
    if (old.threshold, len(old.keys)) != (new.threshold, len(new.keys)):
        yield Change(
            what="governors.threshold",
            of=None,
            before=old.threshold,
            after=new.threshold,
            words=Words(
                "governors who must sign: {before} of {all_before} → {after} of {all_after}",
                before=old.threshold, all_before=len(old.keys), after=new.threshold, all_after=len(new.keys),
            ),
        )  # fmt: skip


def _rules(before: Network, after: Network) -> Iterator[Change]:
    old, new = before.body, after.body
    if old.quorum != new.quorum:
        said = new.quorum.faults if new.quorum is not None else None
        yield Change(
            what="faults",
            of=None,
            before=old.quorum.faults if old.quorum is not None else None,
            after=said,
            words=(
                Words("how many may fail or lie: less than a third of the active members")
                if said is None
                else Words("how many may fail or lie: {count}, as the governors say", count=said)
            ),
        )
    if old.access != new.access:
        is_open = new.access.read == "open"
        words = Words(noted("anyone may read the logs") if is_open else noted("only members may read the logs"))
        yield Change(what="access", of=None, before=old.access.read, after=new.access.read, words=words)
    if old.rules != new.rules:
        words = Words("table of rules: {before} → {after}", before=old.rules, after=new.rules)
        yield Change(what="rules", of=None, before=old.rules, after=new.rules, words=words)


def _written(member: Member) -> dict[str, Any]:
    return member.entry.model_dump(by_alias=True, exclude_none=True)


def _facts(member: Member) -> dict[str, Any]:
    entry = member.entry
    names = {"names.zh": entry.names.zh, "names.en": entry.names.en}
    return names | {name: getattr(entry, name) for name in _FIELD_WORDS if not name.startswith("names.")}


def _shown(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else "–" if value is None else str(value)


def _short(key: VerifierKey) -> str:
    """Return what tells a key from the others of its member; the whole key is in the document."""
    return f"{key.name}+{key.key_id.hex()}"
