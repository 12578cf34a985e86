"""``suyuan token``: who may use the node's interface. A running node sees every change at once."""

import click

from cli.command import Entry, Group
from cli.language import noted

ENTRIES = (
    Entry("new", "cli.commands.token_new", noted("make a token, and print it this once")),
    Entry("list", "cli.commands.token_list", noted("list the tokens, not their secrets")),
    Entry("revoke", "cli.commands.token_revoke", noted("make a token worthless")),
)


@click.command("token", cls=Group, sections=((noted("Commands"), ENTRIES),))
def command() -> None:
    """Manage the tokens by which a department's programs use its node.

    The node keeps only a digest of each token. Roles: read, for all that the node serves; submit, to record events as
    well; admin, for all of that and to operate.
    """
