"""``suyuan evidence``: the proofs that logs have told two stories, as the node keeps them."""

import click

from cli.command import Entry, Group
from cli.language import noted

ENTRIES = (
    Entry("list", "cli.commands.evidence_list", noted("list the proofs that the node keeps")),
    Entry("show", "cli.commands.evidence_show", noted("verify one here, and tell its two stories")),
    Entry("save", "cli.commands.evidence_save", noted("save one as a file that convinces anybody")),
)


@click.command("evidence", cls=Group, sections=((noted("Commands"), ENTRIES),))
def command() -> None:
    """Look at the proofs that a log has told two stories.

    Nodes make such a proof by themselves when they meet what a log's key has signed twice, judge those that peers have
    made, and take nothing new of a log while one stands. suyuan verify judges a saved one offline.
    """
