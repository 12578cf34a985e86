"""A network document on the screen, and as JSON (suyuan.network/1)."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cli import output
from cli.language import _, listed, names_of, plural
from ledger.encoding import encode_base64
from ledger.network import Network
from ledger.versions import fingerprint_of

if TYPE_CHECKING:
    from rich.console import RenderableType

SCHEMA = "suyuan.network/1"


def to_json(versions: Sequence[Network], *, signed: bool) -> dict[str, Any]:
    """Return what the newest version says; ``signed`` tells a signed document from a draft."""
    newest = versions[-1]
    body = newest.body.model_dump(by_alias=True, exclude_none=True)
    return {
        "schema": SCHEMA,
        "name": newest.name,
        "version": newest.version,
        "signed": signed,
        "fingerprint": fingerprint_of(versions[0]) if versions[0].version == 1 else None,
        "previous": encode_base64(newest.previous),
        "signatures": _signatures(newest),
        "quorum": {"voters": len(newest.voters), "faults": newest.faults, "needed": newest.quorum},
        "access": body["access"],
        "governors": body["governors"],
        "rules": body["rules"],
        "members": body["members"],
        "versions": [
            {
                "version": one.version,
                "hash": encode_base64(one.text_hash),
                "members": len(one.members),
                "voters": len(one.voters),
                "needed": one.quorum,
                "governors": len(one.governors),
                "threshold": one.body.governors.threshold,
                "signatures": _signatures(one),
            }
            for one in versions
        ],
    }


def parts(versions: Sequence[Network]) -> "list[RenderableType]":
    """Return what is drawn for the newest of some versions."""
    newest = versions[-1]
    governors = newest.body.governors
    rows = [(_("Version"), str(newest.version))]
    if versions[0].version == 1:
        rows.append((_("Fingerprint"), fingerprint_of(versions[0])))
    rows += [
        (_("Rules"), newest.body.rules),
        (_("Readers"), _("anyone") if newest.body.access.read == "open" else _("members only")),
        (
            _("Quorum"),
            _("{needed} of {voters} members must cosign; {faults} may fail or lie",
              needed=newest.quorum, voters=len(newest.voters), faults=newest.faults),
        ),
        (
            _("Governors"),
            _("{threshold} of {count} must sign a version: {names}",
              threshold=governors.threshold, count=len(newest.governors),
              names=listed(key.name for key in newest.governors)),
        ),
        (_("Signed by"), listed(one.name for one in newest.note.signatures) or _("nobody yet: a draft")),
    ]  # fmt: skip
    names = names_of(newest)
    members = [
        (output.member(origin, names), listed(_(role) for role in m.entry.roles), _(m.entry.status), m.url)
        for origin, m in newest.members.items()
    ]
    count = plural(len(members), "{count} member", "{count} members")
    drawn: list[RenderableType] = [
        output.heading(_("Network {name}", name=newest.name)),
        output.pairs(rows),
        output.words(""),
        output.words((count, output.STRONG)),
        output.table(_("Member"), _("Roles"), _("Status"), _("Address"), rows=members) if members else output.words(),
    ]
    return [*drawn, *_key_parts(newest, names), *_version_parts(versions)]


def _key_parts(network: Network, names: Mapping[str, str]) -> "list[RenderableType]":
    """Return the log keys with the entries that each may sign, and the rulings about logs that told two stories."""
    if not network.members:
        return []
    rows = [
        (
            output.member(origin, names) if number == 0 else "",
            f"{key.name}+{key.key_id.hex()}",
            str(start),
            _("on") if until is None else str(until - 1),
        )
        for origin, member in network.members.items()
        for number, (start, until, key) in enumerate(member.log_keys)
    ]
    drawn: list[RenderableType] = [
        output.words(""),
        output.words((_("Log keys, and the entries that each may sign"), output.STRONG)),
        output.table(_("Member"), _("Key"), _("First entry"), _("Last entry"), rows=rows, right=(2, 3)),
    ]
    for origin, member in network.members.items():
        ruling = member.entry.readmitted
        if ruling is not None:
            text = _(
                "{log} was readmitted: its history up to size {size} is the one with root {root}",
                log=origin, size=ruling.size, root=ruling.root,
            )  # fmt: skip
            drawn.append(output.words((text, output.OPEN)))
    return drawn


def _version_parts(versions: Sequence[Network]) -> "list[RenderableType]":
    """Return the versions of the file, one in a row."""
    if len(versions) == 1:
        return []
    rows = [
        (
            str(one.version),
            _("{count} of {all}", count=len(one.voters), all=len(one.members)),
            str(one.quorum),
            _("{count} of {all}", count=one.body.governors.threshold, all=len(one.governors)),
            listed(signature.name for signature in one.note.signatures),
        )
        for one in versions
    ]
    headings = (_("Version"), _("Active members"), _("Quorum"), _("Governors"), _("Signed by"))
    return [
        output.words(""),
        output.words((_("All versions"), output.STRONG)),
        output.table(*headings, rows=rows, right=(0, 2)),
    ]


def _signatures(network: Network) -> list[dict[str, str]]:
    return [{"name": one.name, "key_id": one.key_id.hex()} for one in network.note.signatures]
