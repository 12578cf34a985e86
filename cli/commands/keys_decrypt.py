"""``suyuan keys decrypt``."""

from pathlib import Path

import click

from cli import output
from cli.command import Command
from cli.commands.keys_encrypt import chosen, files_options
from cli.language import plural


@click.command("decrypt", cls=Command)
@files_options
def command(files: tuple[Path, ...], config: Path | None) -> None:
    r"""Write encrypted key files as they are without a passphrase, readable by their owner alone.

    To change the passphrase, decrypt with the old one and encrypt with the new one.

    \b
    suyuan keys decrypt --config police
    """
    from node.keys import open_files  # noqa: PLC0415 - nacl is slow to import

    done = sum(len(open_files(group, lock)) for group, lock in chosen(files, config, new=False))
    output.note(plural(done, "{count} key file is decrypted.", "{count} key files are decrypted."))
