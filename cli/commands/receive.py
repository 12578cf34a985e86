"""``suyuan receive``: the consumer's signed answer to a share."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.command import Command, option
from cli.events import common_members, event_options
from cli.language import _, noted
from cli.options import PLACE_OR_EVENT, SOURCE, Place, json_option
from cli.session import Session, node_options

if TYPE_CHECKING:
    from ledger.encoding import JsonObject


@click.command("receive", cls=Command)
@click.argument("share", metavar="LOG#INDEX|EVENT_ID", type=PLACE_OR_EVENT)
@option("--reject", "reason", help=noted("Reject the share, for this reason. Else it is accepted."))
@option(
    "--records-file",
    type=SOURCE,
    help=noted("References of the share's records, one per line; needed only where the provider no longer gives them."),
)
@event_options
@node_options
@json_option
def command(
    *,
    share: Place | str,
    reason: str | None,
    records_file: Path | None,
    session: Session,
    wait: str,
    as_json: bool,
    **said: Any,
) -> int:
    r"""Answer a share that was sent to this department: received, or rejected.

    With --payload, what has arrived is compared with the digest that the share states; where they differ, nothing is
    recorded, and the share should be rejected.

    A share with many records names a manifest, which the node fetches from the provider. If the provider is gone for
    good, give the references with --records-file: the file must be what the share names.

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
    if records_file is not None:
        _post_manifest(session, records_file, found, entry=str(share))
    event = {
        **common_members(said, now_ms=SystemClock().now_ms()),
        "type": "receipt",
        "share": parse_ref(answer.get("entry")).model_dump(),
        "outcome": "accepted" if reason is None else "rejected",
    }
    if reason is not None:
        event["reason"] = reason
    return submission.submit(session, event, wait=wait, as_json=as_json)


def _post_manifest(session: Session, source: Path, event: "JsonObject", *, entry: str) -> None:
    """Have the node keep the manifest that a share names, made from the references in a file.

    Raises:
        VerificationError: they are not those that the share names; nothing was sent.
    """
    from cli import submission  # noqa: PLC0415 - slow to import
    from ledger.errors import VerificationError  # noqa: PLC0415 - as above
    from ledger.manifest import make_manifest  # noqa: PLC0415 - as above

    named = event.get("manifest")
    if named is None:
        raise click.UsageError(_("{entry} names no manifest: leave --records-file out", entry=entry))
    manifest = make_manifest(submission.read_records(source))
    if manifest.ref.model_dump() != named:
        raise VerificationError(
            f"the file's {len(manifest.records)} references are not those of the manifest that {entry} names",
            field="records-file",
            hint="reject the share, with the reason, if other data has arrived",
        )
    session.client.post_manifest(manifest)
