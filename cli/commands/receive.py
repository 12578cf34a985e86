"""``suyuan receive``: the consumer's signed answer to a share."""

from typing import Any

import click

from cli.command import Command, option
from cli.events import common_members, event_options
from cli.language import _, noted
from cli.options import PLACE_OR_EVENT, Place, json_option
from cli.session import Session, node_options


@click.command("receive", cls=Command)
@click.argument("share", metavar="LOG#INDEX|EVENT_ID", type=PLACE_OR_EVENT)
@option("--reject", "reason", help=noted("Reject the share, for this reason. Else it is accepted."))
@event_options
@node_options
@json_option
def command(*, share: Place | str, reason: str | None, session: Session, wait: str, as_json: bool, **said: Any) -> int:
    r"""Answer a share that was sent to this department: received, or rejected.

    With --payload, what has arrived is compared with the digest that the share states; where they differ, nothing is
    recorded, and the share should be rejected.

    \b
    suyuan receive police.ordos.example/log#42 --payload answer.json
    suyuan receive police.ordos.example/log#42 --reject "wrong period"
    """
    from cli import submission  # noqa: PLC0415 - slow to import
    from node.client import parse_ref  # noqa: PLC0415 - as above
    from node.clock import SystemClock  # noqa: PLC0415 - as above

    answer = session.client.event(share) if isinstance(share, str) else session.client.entry(share.log, share.index)
    found = answer.get("event")
    if not isinstance(found, dict) or found.get("type") != "share":
        raise click.UsageError(_("{entry} is no share: only shares are answered", entry=str(share)))
    event = {
        **common_members(said, now_ms=SystemClock().now_ms()),
        "type": "receipt",
        "share": parse_ref(answer.get("entry")).model_dump(),
        "outcome": "accepted" if reason is None else "rejected",
    }
    if reason is not None:
        event["reason"] = reason
    return submission.submit(session, event, wait=wait, as_json=as_json)
