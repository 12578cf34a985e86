"""``suyuan import``: transfers that another system has logged."""

import click

from cli.command import Entry, Group
from cli.language import noted

ENTRIES = (
    Entry("csv", "cli.commands.import_csv", noted("from a table of transfers")),
    Entry("xroad", "cli.commands.import_xroad", noted("from the monitoring records of X-Road security servers")),
)


@click.command("import", cls=Group, sections=((noted("Commands"), ENTRIES),))
def command() -> None:
    """Record transfers that another system has logged. What was imported before is not recorded again."""
