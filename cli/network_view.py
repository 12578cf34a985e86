"""A network document on the screen, and as JSON (suyuan.network/1)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cli import output
from cli.language import _, listed, names_of, plural
from ledger.encoding import encode_base64
from ledger.network import Network, fingerprint_of

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
        "signatures": [{"name": one.name, "key_id": one.key_id.hex()} for one in newest.note.signatures],
        "quorum": {"voters": len(newest.voters), "faults": newest.faults, "needed": newest.quorum},
        "access": body["access"],
        "governors": body["governors"],
        "rules": body["rules"],
        "members": body["members"],
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
    return [
        output.heading(_("Network {name}", name=newest.name)),
        output.pairs(rows),
        output.words(""),
        output.words((count, output.STRONG)),
        output.table(_("Member"), _("Roles"), _("Status"), _("Address"), rows=members) if members else output.words(),
    ]
