"""``suyuan log``: one log."""

import click

from cli.command import Entry, Group
from cli.language import noted

ENTRIES = (Entry("history", "cli.commands.log_history", noted("show how a log has grown, and under which keys")),)


@click.command("log", cls=Group, sections=((noted("Commands"), ENTRIES),))
def command() -> None:
    """Look at one log; suyuan logs shows them all."""
