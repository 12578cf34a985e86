"""``suyuan token revoke``."""

from pathlib import Path

import click

from cli import output
from cli.command import Command
from cli.language import _
from cli.options import config_option


@click.command("revoke", cls=Command)
@click.argument("name")
@config_option
def command(name: str, config: Path) -> None:
    """Make the token NAME worthless; a running node refuses it from then on."""
    from node.config import load_home  # noqa: PLC0415 - slow to import
    from node.tokens import TokenFile  # noqa: PLC0415 - as above

    TokenFile(load_home(config).tokens).revoke(name)
    output.note(_("The token {name} is revoked.", name=name))
