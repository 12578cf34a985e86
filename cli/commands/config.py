"""``suyuan config``: the settings of a node."""

import click

from cli.command import Entry, Group
from cli.language import noted

ENTRIES = (Entry("show", "cli.commands.config_show", noted("show every setting, and where it comes from")),)


@click.command("config", cls=Group, sections=((noted("Commands"), ENTRIES),))
def command() -> None:
    """Show the settings of a node. They are changed in its suyuan.toml, or by SUYUAN_<NAME> in the environment."""
