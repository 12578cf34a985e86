"""``suyuan peers``: which peers answer, how far they are with every log, and whether they hold the same history."""

from typing import Any

import click

from cli import exits, output
from cli.command import Command, option
from cli.language import _, noted
from cli.options import json_option
from cli.session import Session, trusting_options


@click.command("peers", cls=Command)
@option("--log", "log", metavar="ORIGIN", help=noted("Show how every peer holds this log."))
@option("--peer", "peer", metavar="ORIGIN", help=noted("Show this peer: every log there, and what it did wrong."))
@option("--all", "everything", is_flag=True, help=noted("Show every log at every peer, one character each."))
@trusting_options
@json_option
def command(*, log: str | None, peer: str | None, everything: bool, session: Session, as_json: bool) -> int:
    r"""Show what the node sees of its peers: who answers, how far each is with every log, and whether histories agree.

    Lag is how many entries the node has and the peer has not; a peer agrees when its root at the smaller of both
    sizes is the node's. All of it is what peers say of themselves, and what the node makes of it.

    Exit code 1 when a peer shows another history than the node.

    \b
    suyuan peers --config police
    suyuan peers --log tax.ordos.example/log --config police
    """
    from cli import peers_view  # noqa: PLC0415 - slow to import

    if sum((log is not None, peer is not None, everything)) > 1:
        raise click.UsageError(_("give one of --log, --peer and --all"))
    answer = session.client.peers()
    if as_json:
        output.emit(answer)
    elif log is not None:
        _expect(log, answer["logs"])
        output.show(*peers_view.of_log(answer, log, session.names()))
    elif peer is not None:
        output.show(*peers_view.of_peer(answer, _expect(peer, answer["peers"]), session.names()))
    else:
        view = peers_view.matrix if everything else peers_view.summary
        output.show(*view(answer, session.names()))
        session.tell_absent()
    differ = any(one["agreement"] == "differs" for each in answer["peers"] for one in each["logs"])
    return exits.FINDINGS if differ else exits.OK


def _expect(origin: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    found = next((row for row in rows if row["log"] == origin), None)
    if found is None:
        raise click.UsageError(_("the node knows no {log}; suyuan network show lists the members", log=origin))
    return found
