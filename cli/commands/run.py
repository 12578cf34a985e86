"""``suyuan run``: the node in the foreground, until it is told to stop."""

from pathlib import Path

import click

from cli.command import Command
from cli.options import config_option
from cli.unlocking import home_of


@click.command("run", cls=Command)
@config_option
def command(config: Path) -> int:
    r"""Run the node of a folder in the foreground. Its log goes to standard error; Ctrl-C or SIGTERM stops it.

    Where the keys are encrypted, the passphrase comes from SUYUAN_PASSPHRASE, from the file that the setting
    passphrase_file names, or from the terminal.

    \b
    suyuan run --config police
    """
    from node.serve import run  # noqa: PLC0415 - the web server is loaded to run, not to show help

    return run(home_of(config))
