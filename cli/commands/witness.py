"""``suyuan witness``: cosigning the logs of others."""

import click

from cli.command import Entry, Group
from cli.language import noted

ENTRIES = (
    Entry(
        "key", "cli.commands.witness_key", noted("make the key that cosigns foreign logs, and print its public half")
    ),
    Entry("show", "cli.commands.witness_show", noted("show the foreign logs and the foreign witnesses of a node")),
    Entry("resume", "cli.commands.witness_resume", noted("cosign foreign logs on after the store was lost")),
)


@click.command("witness", cls=Group, sections=((noted("Commands"), ENTRIES),))
def command() -> None:
    r"""Witness logs outside of the network, and see who witnesses the own one.

    Which foreign logs are witnessed is in the settings, as tables [[witnessed]] with origin and vkeys. Who witnesses
    the own log is in a policy file (c2sp.org/tlog-policy) that the setting witness_policy names.

    \b
    suyuan witness key --config police
    suyuan witness show --config police
    """
