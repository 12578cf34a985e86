"""``suyuan network``: the network document, from its draft to its verification."""

import click

from cli.command import Entry, Group
from cli.language import noted

ENTRIES = (
    Entry("new", "cli.commands.network_new", noted("draft a new network, with keys for its governors")),
    Entry("new-governor", "cli.commands.network_governor", noted("make the key of a governor who is to join")),
    Entry("add-member", "cli.commands.network_add", noted("put members into a draft, or begin the next version")),
    Entry("revise", "cli.commands.network_revise", noted("draft the next version: members, keys, governors, rules")),
    Entry("diff", "cli.commands.network_diff", noted("show what a version changes, before it is signed")),
    Entry("sign", "cli.commands.network_sign", noted("sign a draft as a governor")),
    Entry("show", "cli.commands.network_show", noted("show what a network document says")),
    Entry("policy", "cli.commands.network_policy", noted("print the network as a trust policy of C2SP")),
    Entry("verify", "cli.commands.network_verify", noted("verify all versions back to the fingerprint")),
    Entry("adopt", "cli.commands.network_adopt", noted("have a node act under a new version")),
)


@click.command("network", cls=Group, sections=((noted("Commands"), ENTRIES),))
def command() -> None:
    r"""Make, change, sign and check the network document.

    It says who belongs to the network, with which keys, and how many must agree.

    \b
    suyuan network new ordos --out network.draft --governor-key governor-1.key
    suyuan network add-member network.draft police/member.json tax/member.json
    suyuan network sign network.draft --key governor-1.key --out network.note
    suyuan network revise network.note --suspend tax.ordos.example/log --out next.draft
    suyuan network diff network.note next.draft
    """
