"""``suyuan log history``: how a log has grown, as a node remembers it; every quorum is counted here."""

from typing import TYPE_CHECKING, Any

import click

from cli import exits, output
from cli.boundary import told
from cli.command import Command, option
from cli.language import _, noted
from cli.options import json_option
from cli.session import Session, trusting_options

if TYPE_CHECKING:
    from rich.text import Text

    from cli.heads import Checked
    from ledger.network import Member

SCHEMA = "suyuan.log-history/1"
SHOWN_DEFAULT = 20


@click.command("history", cls=Command)
@click.argument("log", metavar="ORIGIN")
@option("--all", "everything", is_flag=True, help=noted("Show all checkpoints that the node keeps, not the newest 20."))
@trusting_options
@json_option
def command(*, log: str, everything: bool, session: Session, as_json: bool) -> int:
    r"""Show how a log has grown: its confirmed checkpoints, when and by whom they were cosigned, and its keys.

    A node keeps the first confirmed checkpoint of each minute for an hour, of each hour for two days, of each day for
    a month, and of each month for ever. Where the fingerprint is known, every quorum is counted here.

    Exit code 1 when one of them does not verify, 6 when an integrity alarm is raised about the log.

    \b
    suyuan log history police.ordos.example/log --config tax
    """
    answer = session.client.checkpoints(log)
    rows, versions = (
        answer["checkpoints"],
        [{name: one[name] for name in ("version", "from")} for one in answer["versions"]],
    )
    checked = _check(session, log, rows) if session.fingerprint is not None else None
    member = session.trust.network.member(log) if session.fingerprint is not None else None
    found = [_row(row, checked[number] if checked is not None else None) for number, row in enumerate(rows)]
    if as_json:
        said = {"schema": SCHEMA, "log": log, "keys": _keys(member), "versions": versions, "checkpoints": found}
        output.emit(said)
    else:
        _head(session, log, member, versions)
        _show(found if everything else found[-SHOWN_DEFAULT:], len(found), verified=member is not None)
    if session.tell_alarms([log]):
        return exits.INTEGRITY
    return exits.FINDINGS if any(row["verified"] is False for row in found) else exits.OK


def _check(session: Session, log: str, rows: list[dict[str, Any]]) -> "list[Checked]":
    from cli import heads  # noqa: PLC0415 - slow to import

    return heads.check_past(log, rows, session.trust.network)


def _row(row: dict[str, Any], checked: "Checked | None") -> dict[str, Any]:
    """Return a checkpoint as it was judged here; without a fingerprint as the node tells it."""
    shown = {
        "size": row.get("size"),
        "root": row.get("root"),
        "vouched": row.get("vouched"),
        "cosigned_by": row.get("cosigned_by"),
        "needed": row.get("needed"),
        "network_version": None,
        "verified": None,
        "problem": None,
    }
    if checked is None:
        return shown
    if checked.judged is None:
        return {**shown, "verified": False, "problem": told(checked.problem) if checked.problem is not None else None}
    from cli.heads import judged_json  # noqa: PLC0415 - slow to import

    counted = judged_json(checked.judged)
    counted["size"] = counted.pop("confirmed_size")
    return {**shown, **counted, "network_version": checked.judged.version, "verified": True}


def _keys(member: "Member | None") -> list[dict[str, Any]]:
    if member is None:
        return []
    return [{"key": key.vkey, "from": start, "until": until} for start, until, key in member.log_keys]


def _head(session: Session, log: str, member: "Member | None", versions: list[dict[str, Any]]) -> None:
    names = session.names()
    output.show(output.heading(f"{names[log]}, {log}" if log in names else log))
    facts = [(_("Key"), _span(key)) for key in _keys(member)]
    facts += [
        (_("Acts under"), _("version {version} of the network document, from entry {first} on, as the node says",
                            version=one["version"] or "?", first=one["from"]))
        for one in versions
    ]  # fmt: skip
    output.show(output.pairs(facts), output.words(""))


def _show(rows: list[dict[str, Any]], count: int, *, verified: bool) -> None:
    if not rows:
        output.show(output.words((_("no confirmed checkpoint yet"), output.OPEN)))
        return
    grown = [None, *(row["size"] for row in rows)]
    drawn = [
        (
            f"{row['size']}\n{_growth(row['size'], before)}",
            _proven(row),
            _("{count} ({needed} needed)", count=len(row["cosigned_by"] or ()), needed=row["needed"]),
            _version(row),
        )
        for before, row in zip(grown, rows, strict=False)
    ]
    two_lines = (f"{_('Entries')}\n{_('Grown by')}", f"{_('Vouched for (UTC)')}\n{_('Root')}")
    output.show(output.table(*two_lines, _("Cosigned"), _("Version"), rows=drawn, right=(0,)))
    _tell(rows, count, verified=verified)


def _tell(rows: list[dict[str, Any]], count: int, *, verified: bool) -> None:
    if len(rows) < count:
        output.note(_("{count} earlier checkpoints are kept; --all shows them.", count=count - len(rows)))
    if verified:
        output.note(_("Every quorum is counted here. No two of them can be of different histories."))
    else:
        output.note(_("Not verified here: without --fingerprint or --config nobody can say what it is worth."))


def _span(key: dict[str, Any]) -> str:
    name = "+".join(key["key"].split("+")[:2])  # the name and the ID; the public half may have a + of its own
    if key["until"] is not None:
        return _("{key}, entries {first} to {last}", key=name, first=key["from"], last=key["until"] - 1)
    return _("{key}, from entry {first} on", key=name, first=key["from"])


def _version(row: dict[str, Any]) -> str:
    return str(row["network_version"]) if row["network_version"] is not None else ""


def _growth(size: object, before: object) -> str:
    return f"+{size - before}" if isinstance(before, int) and isinstance(size, int) else ""


def _proven(row: dict[str, Any]) -> "Text":
    """Return when the quorum vouched and, below it, the whole root: what two histories are compared by."""
    if row["problem"] is not None:
        problem = _("NOT verified: {problem}", problem=row["problem"])
        return output.words(f"{output.moment(row['vouched'])}\n", (problem, output.BAD), f"\n{row['root']}")
    return output.words(f"{output.moment(row['vouched'])}\n{row['root']}")
