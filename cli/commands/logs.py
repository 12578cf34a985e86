"""``suyuan logs``: every member's log, as the node has it; what it calls confirmed is checked here."""

from typing import TYPE_CHECKING, Any

import click

from cli import exits, output
from cli.boundary import told
from cli.command import Command
from cli.language import _, detail
from cli.options import json_option
from cli.session import Session, trusting_options

if TYPE_CHECKING:
    from rich.text import Text

    from cli.heads import Checked


@click.command("logs", cls=Command)
@trusting_options
@json_option
def command(*, session: Session, as_json: bool) -> int:
    """Show the members' logs as the node has them: how long, how far confirmed, and when the quorum last vouched.

    Where the fingerprint is known, every quorum is counted here, from the network document; else the node's word is
    repeated as what it is.

    Exit code 1 when what the node calls confirmed is not, 6 when an integrity alarm is raised about a log.
    """
    answer = session.client.logs()
    logs: list[dict[str, Any]] = answer["logs"]
    checked = _check(session, logs) if session.fingerprint is not None else None
    logs = [{**log, **_verified(log, checked)} for log in logs]
    if as_json:
        output.emit({**answer, "logs": logs})
    else:
        _show(session, logs, checked)
        session.tell_absent()
    if any(log["alarm"] for log in logs):
        return exits.INTEGRITY
    return exits.FINDINGS if any(log["verified"] is False for log in logs) else exits.OK


def _check(session: Session, logs: list[dict[str, Any]]) -> "dict[str, Checked]":
    from cli import heads  # noqa: PLC0415 - slow to import

    with output.progress(_("verifying")) as advance:
        return heads.check_logs(session.client, logs, session.trust.network, advance)


def _verified(log: dict[str, Any], checked: "dict[str, Checked] | None") -> dict[str, Any]:
    """Return what was counted here, in the place of what the node says."""
    if checked is None or (found := checked.get(log["log"])) is None:
        return {"verified": None, "problem": None}
    if found.judged is None:
        return {"verified": False, "problem": str(found.problem)}
    from cli.heads import judged_json  # noqa: PLC0415 - slow to import

    return {**judged_json(found.judged), "verified": True, "problem": None}


def _show(session: Session, logs: list[dict[str, Any]], checked: "dict[str, Checked] | None") -> None:
    names = session.names()
    rows = [
        (
            output.member(log["log"], names),
            str(log["size"]),
            str(log["confirmed_size"]),
            _("{count} ({needed} needed)", count=len(log["cosigned_by"]), needed=log["needed"]),
            _times(log, checked),
        )
        for log in logs
    ]
    headings = (_("Member"), _("Entries"), _("Confirmed"), _("Cosigned"), _("Newest; vouched for (UTC)"))
    output.show(output.table(*headings, rows=rows, right=(1, 2)))
    if checked is None:
        output.note(_("Not verified here: without --fingerprint or --config nobody can say what it is worth."))
    else:
        output.note(
            _("Every quorum is counted here; sizes beyond it, and that there is nothing newer, are the node's word.")
        )


def _times(log: dict[str, Any], checked: "dict[str, Checked] | None") -> "Text":
    """Return the time of the newest entry and, below it, when the quorum last vouched; or what is wrong."""
    if log["alarm"]:
        return output.words((detail(log["alarm"]), output.BAD))
    problem = checked[log["log"]].problem if checked is not None and log["log"] in checked else None
    if problem is not None:
        return output.words((_("NOT verified: {problem}", problem=told(problem)), output.BAD))
    return output.words(f"{output.moment(log['time'])}\n", (output.moment(log["vouched"]), output.GOOD))
