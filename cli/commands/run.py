"""``suyuan run``: the node in the foreground, until it is told to stop."""

from pathlib import Path

import click

from cli.command import Command
from cli.options import config_option


@click.command("run", cls=Command)
@config_option
def command(config: Path) -> int:
    r"""Run the node of a folder in the foreground. Its log goes to standard error; Ctrl-C or SIGTERM stops it.

    \b
    suyuan run --config police
    """
    from node.config import load_home  # noqa: PLC0415 - the web server is loaded to run, not to show help
    from node.serve import run  # noqa: PLC0415 - as above

    return run(load_home(config))
