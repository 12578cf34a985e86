"""``suyuan peers``: which peers answer, and how far they are."""

from typing import Any

import click

from cli import output
from cli.command import Command
from cli.language import _
from cli.options import json_option
from cli.session import Session, trusting_options


@click.command("peers", cls=Command)
@trusting_options
@json_option
def command(*, session: Session, as_json: bool) -> None:
    """Show what the node sees of its peers: whether they answer, and how far behind they are with its own log."""
    answer = session.client.peers()
    if as_json:
        output.emit(answer)
        return
    names = session.names()
    rows = [
        (
            output.member(peer["log"], names),
            _state(peer),
            output.moment(peer["last_seen"]) or _("never"),
            _behind(peer, answer["own"]),
        )
        for peer in answer["peers"]
    ]
    headings = (_("Member"), _("State"), _("Last answer (UTC)"), _("Behind"))
    output.show(output.table(*headings, rows=rows, right=(3,)))


def _state(peer: dict[str, Any]) -> Any:
    if peer["reachable"] is None:
        return output.words((_("not asked yet"), output.FAINT))
    if peer["reachable"]:
        return output.words((_("answers"), output.GOOD))
    return output.words((_("does not answer"), output.BAD), f"\n{peer['last_error'] or ''}")


def _behind(peer: dict[str, Any], own: str) -> str:
    return next((str(log["behind"]) for log in peer["logs"] if log["log"] == own), "?")
