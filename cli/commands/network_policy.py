"""``suyuan network policy``."""

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli import output
from cli.command import Command, option
from cli.files import read_file
from cli.language import _, noted
from cli.options import FILE
from cli.session import Session, trusting_options

if TYPE_CHECKING:
    from ledger.network import Network

SMALL_POLICY_MAX = 32  # of logs, of witnesses: what every reader of the format should be able to take


@click.command("policy", cls=Command)
@click.argument("file", required=False, type=FILE)
@option(
    "--earlier-keys",
    is_flag=True,
    help=noted("Name the logs' earlier keys too; whatever they sign counts then, at any size."),
)
@trusting_options
def command(*, file: Path | None, earlier_keys: bool, session: Session) -> None:
    r"""Print the network as a trust policy (c2sp.org/tlog-policy), for tools that know C2SP and not Suyuan.

    The active members' logs count, and as many of their cosigners as the network's quorum asks for; the owner's own
    cosignature is one of them. The document is verified first: FILE, --network, or the node's own.

    A policy cannot say where a key begins or ends. So of each log the newest key alone is named, and the earlier ones
    in comments: checkpoints that they have signed do not count. Ask for a newer proof of such an entry, or verify by
    the network document.

    \b
    suyuan network policy network.note --fingerprint 3f1c… > ordos.policy
    suyuan verify entry.proof --policy ordos.policy
    """
    from ledger.policy import network_policy  # noqa: PLC0415 - as above
    from ledger.versions import verify_chain  # noqa: PLC0415 - slow to import

    fingerprint = session.require_fingerprint()
    network = verify_chain(read_file(file), fingerprint) if file is not None else session.trust.network
    policy = network_policy(network, earlier_keys=earlier_keys)
    origin = f"network {network.name}, version {network.version}, fingerprint {fingerprint}"
    earlier = _earlier(network)
    output.raw(policy.encode(comments=(origin,) if earlier_keys else (origin, *earlier)))
    if earlier and earlier_keys:
        output.note(_("What the logs' earlier keys sign counts under this policy, also where they had ended."))
    elif earlier:
        output.note(
            _(
                "Earlier keys of the logs do not count under this policy: checkpoints that they have signed take a "
                "newer proof, the network document, or --earlier-keys."
            )
        )
    if len(policy.witnesses) > SMALL_POLICY_MAX:
        output.note(_("Not every tool takes a policy of more than {count} witnesses.", count=SMALL_POLICY_MAX))


def _earlier(network: "Network") -> list[str]:
    """Return a line for each key that a log had, or still has, before its newest one."""
    return [
        f"earlier key, for entries {start} to {following - 1}: {key.vkey}"
        for member in network.members.values()
        if member.active
        for (start, _until, key), (following, *_rest) in pairwise(member.log_keys)
    ]
