"""``suyuan show``: one entry, in words and as it was signed."""

from typing import TYPE_CHECKING, Any

import click

from cli import output
from cli.command import Command
from cli.language import _
from cli.options import PLACE_OR_EVENT, Place, json_option
from cli.session import Session, trusting_options

if TYPE_CHECKING:
    from rich.text import Text

SCHEMA = "suyuan.entry/1"


@click.command("show", cls=Command)
@click.argument("entry", metavar="LOG#INDEX|EVENT_ID", type=PLACE_OR_EVENT)
@trusting_options
@json_option
def command(*, entry: Place | str, session: Session, as_json: bool) -> None:
    r"""Show one entry: what it says, how far it is verified, and the very text that was signed.

    Where the fingerprint is known, the entry is verified here; else the node's word is repeated as what it is.

    \b
    suyuan show police.ordos.example/log#42 --config police
    suyuan show 0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0 --config police
    """
    from cli import entry_view  # noqa: PLC0415 - slow to import
    from node.client import BadAnswerError, parse_ref  # noqa: PLC0415 - as above

    answer = session.client.event(entry) if isinstance(entry, str) else session.client.entry(entry.log, entry.index)
    ref, event, note = parse_ref(answer.get("entry")), answer.get("event"), answer.get("note")
    if not isinstance(event, dict) or not isinstance(note, str):
        raise BadAnswerError("the answer has no event and note", field="body")
    if session.fingerprint is not None:
        answer, words = _verified(session, answer)
        event, note = answer["event"], answer["note"]
    else:
        words = output.words((_("the node says: {words}", words=str(answer.get("verification"))), output.OPEN))
    if as_json:
        output.emit({"schema": SCHEMA, **answer})
        return
    output.show(
        output.heading(str(ref)),
        *entry_view.parts(event, log=ref.log, names=session.names()),
        output.words(""),
        output.pairs([(_("verification"), words)]),
        output.words(""),
        output.words((_("As it was signed"), output.STRONG)),
    )
    output.lines(output.clean(note).removesuffix("\n").split("\n"))


def _verified(session: Session, answer: dict[str, Any]) -> "tuple[dict[str, Any], Text]":
    """Verify the entry of an answer here; return the answer as it was verified, and that in words."""
    from cli import following, trace_view  # noqa: PLC0415 - slow to import
    from node.client import parse_ref  # noqa: PLC0415 - as above

    checked = following.check_entry(session.client, parse_ref(answer.get("entry")), session.trust.network)
    statement = checked.statement
    size = checked.judged.size if checked.judged is not None else None
    words = trace_view.verification_words(
        confirmed=statement.confirmed, verified=True, size=size, words=statement.words
    )
    found = {
        **answer,
        "event": checked.entry.event,
        "note": checked.entry.raw.decode(),
        "state": "confirmed" if statement.confirmed else "recorded",
        "verified": True,
        "verification": statement.words,
    }
    return found, output.words(words)
