"""``suyuan logs``: every member's log, as the node has it."""

import click

from cli import exits, output
from cli.command import Command
from cli.language import _
from cli.options import json_option
from cli.session import Session, trusting_options


@click.command("logs", cls=Command)
@trusting_options
@json_option
def command(*, session: Session, as_json: bool) -> int:
    """Show the members' logs as the node has them: how long, how far confirmed, by how many cosigned.

    Exit code 6 when an integrity alarm is raised about one of them.
    """
    answer = session.client.logs()
    logs = answer["logs"]
    if as_json:
        output.emit(answer)
    else:
        names = session.names()
        rows = [
            (
                output.member(log["log"], names),
                str(log["size"]),
                str(log["confirmed_size"]),
                _("{count} of {needed}", count=len(log["cosigned_by"]), needed=log["needed"]),
                output.words((log["alarm"], output.BAD)) if log["alarm"] else output.words(output.moment(log["time"])),
            )
            for log in logs
        ]
        headings = (_("Member"), _("Entries"), _("Confirmed"), _("Cosigned"), _("Newest (UTC)"))
        output.show(output.table(*headings, rows=rows, right=(1, 2)))
    return exits.INTEGRITY if any(log["alarm"] for log in logs) else exits.OK
