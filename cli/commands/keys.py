"""``suyuan keys``: the secret keys of a node, from their making to their replacement."""

import click

from cli.command import Entry, Group
from cli.language import noted

ENTRIES = (
    Entry("list", "cli.commands.keys_list", noted("show which keys there are, and which the network names")),
    Entry("rotate", "cli.commands.keys_rotate", noted("make a new key for a role, and announce it")),
    Entry("encrypt", "cli.commands.keys_encrypt", noted("encrypt the key files with a passphrase")),
    Entry("decrypt", "cli.commands.keys_decrypt", noted("write the key files as they are without a passphrase")),
)


@click.command("keys", cls=Group, sections=((noted("Commands"), ENTRIES),))
def command() -> None:
    r"""Look after the secret keys of a node: list, replace, encrypt them.

    A key is replaced in three steps: the node announces a new one in its log, the governors put it into the network
    document, and the node, which has both, goes over to it by itself. What the old key has signed stays valid.

    \b
    suyuan keys list --config police
    suyuan keys rotate log --config police --token-file admin-token
    suyuan keys encrypt --config police
    """
