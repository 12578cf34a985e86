"""``suyuan network new-governor``."""

from pathlib import Path

import click

from cli import output
from cli.command import Command, option
from cli.language import _, noted
from cli.options import NEW_FILE


@click.command("new-governor", cls=Command)
@click.argument("name")
@option("--key", "path", type=NEW_FILE, required=True, help=noted("The file for the secret key; it is never replaced."))
@option("--encrypt-keys", "encrypt", is_flag=True, help=noted("Encrypt the keys that are made with a passphrase."))
def command(name: str, path: Path, *, encrypt: bool) -> None:
    r"""Make the key of a governor called NAME, who is to join those of a network.

    The secret half stays in its file, with the governor alone. The public half is printed: give it to the governors.

    \b
    suyuan network new-governor ordos/governor-4 --key governor-4.key > governor-4.pub
    suyuan network revise network.note --add-governor governor-4.pub
    """
    from cli.commands.network_new import make_governor  # noqa: PLC0415 - slow to import

    output.data(make_governor(name, path, encrypt=encrypt).vkey)
    output.note(_("Next: give the line above to the governors: suyuan network revise NETWORK --add-governor FILE"))
