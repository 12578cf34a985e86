"""``suyuan network policy``."""

from pathlib import Path

import click

from cli import output
from cli.command import Command
from cli.files import read_file
from cli.language import _
from cli.options import FILE
from cli.session import Session, trusting_options

SMALL_POLICY_MAX = 32  # of logs, of witnesses: what every reader of the format should be able to take


@click.command("policy", cls=Command)
@click.argument("file", required=False, type=FILE)
@trusting_options
def command(*, file: Path | None, session: Session) -> None:
    r"""Print the network as a trust policy (c2sp.org/tlog-policy), for tools that know C2SP and not Suyuan.

    The active members' logs count, and as many of their cosigners as the network's quorum asks for; the owner's own
    cosignature is one of them. The document is verified first: FILE, --network, or the node's own.

    \b
    suyuan network policy network.note --fingerprint 3f1c… > ordos.policy
    suyuan verify entry.proof --policy ordos.policy
    """
    from ledger.policy import network_policy  # noqa: PLC0415 - as above
    from ledger.versions import verify_chain  # noqa: PLC0415 - slow to import

    fingerprint = session.require_fingerprint()
    network = verify_chain(read_file(file), fingerprint) if file is not None else session.trust.network
    policy = network_policy(network)
    origin = f"network {network.name}, version {network.version}, fingerprint {fingerprint}"
    output.raw(policy.encode(comments=(origin,)))
    if len(policy.witnesses) > SMALL_POLICY_MAX:
        output.note(_("Not every tool takes a policy of more than {count} witnesses.", count=SMALL_POLICY_MAX))
