"""``suyuan share``: the provider's statement that data left, signed and recorded by its own node."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli import output
from cli.command import Command, option
from cli.events import common_members, event_options
from cli.files import read_file
from cli.language import _, noted
from cli.options import PLACE, RECORD, SOURCE, Place, json_option
from cli.session import Session, node_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from ledger.encoding import JsonObject

METHODS = ("api", "database", "file", "message", "manual")
MODES = ("copy", "query", "verify", "compute")
JSON_BYTES_MAX = 16 * 1024 * 1024  # what a node takes as one batch
EVENT_BYTES_MAX = 64_000  # an entry has at most 65,535 bytes, its frame and the longest origins included
_NEEDED = ("consumer", "resource", "purpose", "method")


@click.command("share", cls=Command)
@option("--consumer", help=noted("The log of the department that gets the data."))
@option(
    "--record",
    "records",
    type=RECORD,
    multiple=True,
    help=noted("Reference of a record that was in it; repeat it for several."),
)
@option(
    "--records-file", type=SOURCE, help=noted("References, one per line; too many for one entry go into a manifest.")
)
@option("--resource", help=noted("What was shared, as the catalogue names it."))
@option("--resource-version", type=click.IntRange(min=1), help=noted("Version of the resource."))
@option("--purpose", help=noted("What the consumer needs it for."))
@option("--legal-basis", help=noted("Law, article, agreement."))
@option("--grant", help=noted("What it stays within: a name, or an entry as LOG#INDEX."))
@option("--method", type=click.Choice(METHODS), help=noted("By which way."))
@option(
    "--mode",
    type=click.Choice(MODES),
    help=noted("What left: a copy, the answer to a query, a yes or no, a computed result."),
)
@option("--fields", help=noted("Names of the fields, with commas between."))
@option("--calls", type=click.IntRange(min=0), help=noted("How many calls of an interface it sums up."))
@option(
    "--parent",
    "parents",
    type=PLACE,
    multiple=True,
    help=noted("The share that the data came from, as LOG#INDEX; repeat it for several."),
)
@event_options
@option("--from-json", type=SOURCE, help=noted('Send this event as it is, or {"events": […]}; - is standard input.'))
@node_options
@json_option
def command(*, session: Session, from_json: Path | None, wait: str, as_json: bool, **said: Any) -> int:
    r"""Record that data left this department for another one.

    The ledger gets no personal data: records are references that suyuan ref makes, the payload is only a digest.

    \b
    suyuan share --consumer tax.ordos.example/log --record 9f2c… \
        --resource household-register --purpose "property tax relief" \
        --legal-basis "Order 809 art. 23" --method api --payload answer.json
    """
    if from_json is not None:
        if any(value not in (None, ()) for value in said.values()):
            raise click.UsageError(_("--from-json says everything itself: leave the other options out"))
        return _send_json(session, from_json, wait=wait, as_json=as_json)
    missing = [f"--{name}" for name in _NEEDED if not said[name]]
    if missing:
        raise click.UsageError(_("{name} is missing", name=", ".join(missing)))
    return _send(session, said, wait=wait, as_json=as_json)


def _send(session: Session, said: dict[str, Any], *, wait: str, as_json: bool) -> int:
    from cli import submission  # noqa: PLC0415 - slow to import
    from node.clock import SystemClock  # noqa: PLC0415 - as above

    event = {
        **common_members(said, now_ms=SystemClock().now_ms()),
        "type": "share",
        "consumer": said["consumer"],
        "resource": said["resource"],
        "purpose": said["purpose"],
        "method": said["method"],
    }
    for name in ("resource_version", "legal_basis", "mode", "calls"):
        if said[name] is not None:
            event[name] = said[name]
    if said["fields"] is not None:
        event["fields"] = [name.strip() for name in said["fields"].split(",")]
    if said["grant"] is not None:
        event["grant"] = _grant(said["grant"], lambda place: submission.resolve(session, place).model_dump())
    if said["parents"]:
        event["parents"] = [submission.resolve(session, place).model_dump() for place in said["parents"]]
    _put_records(session, event, said)
    return submission.submit(session, event, wait=wait, as_json=as_json)


def _grant(text: str, resolve: "Callable[[Place], JsonObject]") -> "str | JsonObject":
    """Return a grant's name as it is, or the full reference of the entry that it names."""
    try:
        place = PLACE.convert(text, None, None)
    except click.BadParameter:
        return text
    return resolve(place)


def _put_records(session: Session, event: "JsonObject", said: dict[str, Any]) -> None:
    """Write the references into the event; where they are too many for one entry, post a manifest and name that."""
    from cli import submission  # noqa: PLC0415 - slow to import
    from ledger.encoding import canonical_json  # noqa: PLC0415 - as above
    from ledger.limits import RECORDS_MAX  # noqa: PLC0415 - as above
    from ledger.manifest import make_manifest  # noqa: PLC0415 - as above

    listed = submission.read_records(said["records_file"]) if said["records_file"] is not None else []
    records = list(dict.fromkeys((*said["records"], *listed)))
    if not records:
        return
    event["records"] = records
    if len(records) > RECORDS_MAX or len(canonical_json(event).encode()) > EVENT_BYTES_MAX:
        del event["records"]
        manifest = make_manifest(records)
        session.client.post_manifest(manifest)
        event["manifest"] = manifest.ref.model_dump()


def _send_json(session: Session, source: Path, *, wait: str, as_json: bool) -> int:
    from cli import submission  # noqa: PLC0415 - slow to import
    from ledger.encoding import parse_json  # noqa: PLC0415 - as above
    from ledger.errors import WrongTypeError  # noqa: PLC0415 - as above

    value = parse_json(read_file(source, JSON_BYTES_MAX))
    if not isinstance(value, dict):
        raise WrongTypeError("an event is a JSON object", field="event")
    if "events" not in value:
        return submission.submit(session, value, wait=wait, as_json=as_json)
    listed = value["events"]
    events = [event for event in listed if isinstance(event, dict)] if isinstance(listed, list) else []
    if not isinstance(listed, list) or len(events) != len(listed):
        raise WrongTypeError("expected a list of objects", field="events")
    recorded = session.client.post_events(events, wait=wait)
    verified = [submission.check_confirmed(session, *pair) for pair in zip(recorded, events, strict=True)]
    if as_json:
        told = [{**one.to_json(), "verified": proven} for one, proven in zip(recorded, verified, strict=True)]
        output.emit({"schema": submission.SCHEMA, "events": told})
    else:
        output.lines(f"{one.entry} {_(one.state)}" for one in recorded)
    return submission.told_state(recorded, wait=wait)
