"""Sending events to the department's own node, and telling what came of it."""

from pathlib import Path
from typing import TYPE_CHECKING

from cli import exits, output
from cli.events import UNREACHABLE_HINT
from cli.files import read_file
from cli.language import _
from cli.options import RECORD, Place
from cli.session import Session
from ledger.encoding import JsonObject, canonical_json
from ledger.errors import VerificationError
from ledger.event import EntryRef, parse_event

if TYPE_CHECKING:
    from node.client import Recorded

SCHEMA = "suyuan.recorded/1"
RECORDS_BYTES_MAX = 16 * 1024 * 1024  # of references, one per line: more than twice the largest manifest


def submit(session: Session, event: JsonObject, *, wait: str, as_json: bool) -> int:
    """Check an event, send it, and tell where it stands; return the exit code.

    Raises:
        EventError, LimitError, MalformedError: the event breaks its schema; nothing was sent.
        ClientError: the node has refused it, or did not answer.
    """
    from node.client import UnreachableError  # noqa: PLC0415 - httpx is slow to import

    parse_event(event)
    try:
        recorded = session.client.post_event(event, wait=wait)
    except UnreachableError as error:
        error.hint = _(UNREACHABLE_HINT, id=event["id"])
        raise
    verified = check_confirmed(session, recorded, event)
    if as_json:
        output.emit({"schema": SCHEMA, **recorded.to_json(), "verified": verified})
    else:
        output.data(f"{recorded.entry} {_(recorded.state)}")
    return told_state([recorded], wait=wait)


def check_confirmed(session: Session, recorded: "Recorded", event: JsonObject) -> bool:
    """Count the quorum of an event that the node calls confirmed here, where the fingerprint is known; tell whether.

    Raises:
        VerificationError, MalformedError: the node has no such proof, or of another event than was sent.
        ClientError: it did not answer.
    """
    if recorded.state != "confirmed" or session.fingerprint is None:
        return False
    from cli import following  # noqa: PLC0415 - slow to import

    checked = following.check_entry(session.client, recorded.entry, session.trust.network)
    if checked.judged is None:
        raise VerificationError(f"the node calls {recorded.entry} confirmed, and cannot prove it", field="state")
    if canonical_json(checked.entry.event) != canonical_json(event):
        raise VerificationError(f"{recorded.entry} is another event than was sent", field="event")
    return True


def told_state(recorded: "list[Recorded]", *, wait: str) -> int:
    """Say where events stand that were to be confirmed and are not; return the exit code."""
    if wait == "confirmed" and any(one.state != "confirmed" for one in recorded):
        output.note(
            _("Recorded and durable here; a quorum of members has not answered yet. It will be confirmed by itself.")
        )
        return exits.UNREACHABLE
    return exits.OK


def read_records(source: Path) -> list[str]:
    """Return the record references in a file, one per line, in its order; ``-`` is standard input.

    Raises:
        click.UsageError: it cannot be read, is too large, or a line is no reference.
    """
    text = read_file(source, RECORDS_BYTES_MAX).decode("ascii", "replace")
    return [RECORD.convert(line, None, None) for line in text.split("\n") if line.strip()]


def resolve(session: Session, place: Place) -> EntryRef:
    """Return the full reference of an entry, with the hash that the node has for it."""
    from node.client import parse_ref  # noqa: PLC0415 - httpx is slow to import

    return parse_ref(session.client.entry(place.log, place.index).get("entry"))
