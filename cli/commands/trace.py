"""``suyuan trace``: a record's transfer history, verified here."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli import exits, output
from cli.command import Command, option
from cli.files import write_file
from cli.language import _, names_of, noted, plural
from cli.options import NEW_FILE, RECORD, json_option
from cli.session import Session, trusting_options

if TYPE_CHECKING:
    from cli.following import Followed


LATER = noted("try again later: the members confirm by themselves")


@click.command("trace", cls=Command)
@click.argument("record", required=False, type=RECORD)
@option(
    "--id", "identifier", help=noted("The record's identifier instead; its reference is made with the key of --config.")
)
@option("--scheme", default="record", show_default=True, help=noted("What the identifier is."))
@option("--save", type=NEW_FILE, help=noted("Write the evidence, which suyuan verify judges offline, years later."))
@option("--strict", is_flag=True, help=noted("Exit with 1 for gaps as well, and for what is not confirmed yet."))
@trusting_options
@json_option
def command(
    *,
    record: str | None,
    identifier: str | None,
    scheme: str,
    save: Path | None,
    strict: bool,
    session: Session,
    as_json: bool,
) -> int:
    r"""Show a record's transfer history: who passed it to whom, when, why, and who holds it now.

    The node that is asked is not believed: its evidence is verified here against the network's fingerprint. Exit code
    1 when a step does not verify, or damage is reported.

    \b
    suyuan trace 9f2c… --config police
    suyuan trace --id 2026-113 --scheme case --config police
    """
    from cli import following, trace_view  # noqa: PLC0415 - slow to import

    wanted = _record(session, record, identifier, scheme)
    trust = session.trust
    with output.progress(_("verifying")) as advance:
        followed = following.follow(session.client, wanted, trust, advance)
    if as_json:
        output.emit(followed.trace.to_json())
    else:
        output.show(*trace_view.parts(followed.trace, names_of(trust.network)))
    _tell(followed, save)
    session.tell_alarms(log for hop in followed.trace.hops for log in (hop.share.ref.log, hop.event.consumer))
    if trace_view.is_damaged(followed.trace):
        return exits.FINDINGS
    return exits.FINDINGS if strict and (followed.trace.gaps or followed.on_word) else exits.OK


def _record(session: Session, record: str | None, identifier: str | None, scheme: str) -> str:
    if (record is None) == (identifier is None):
        raise click.UsageError(_("give the record's reference, or --id with its identifier"))
    if record is not None:
        return record
    assert identifier is not None
    if session.home is None:
        raise click.UsageError(_("--id takes the department's own key: give --config"))
    from ledger.record import record_ref  # noqa: PLC0415 - only here
    from node.keys import read_record_key  # noqa: PLC0415 - slow to import

    return record_ref(read_record_key(session.home.keys, session.home.lock), identifier, scheme=scheme)


def _tell(followed: "Followed", save: Path | None) -> None:
    """Say what the history rests on, and save the evidence."""
    if followed.evidence is None:
        count = len(followed.on_word)
        output.note(
            plural(
                count,
                "{count} entry is signed, but not confirmed yet by a quorum: that it stays is the node's word.",
                "{count} entries are signed, but not confirmed yet by a quorum: that they stay is the node's word.",
            )
        )
        for ref in followed.on_word:
            output.note(f"  {ref}")
        output.note(_("That nothing else belongs to the history is the node's word too."))
    else:
        output.note(
            _(
                "Verified here against the network's fingerprint. "
                "Only that the node has left nothing out rests on its word."
            )
        )
    if save is not None and followed.evidence is not None:
        write_file(save, followed.evidence)
        output.note(_("The evidence is in {path}; suyuan verify judges it offline.", path=save))
    elif save is not None:
        from node.errors import NotConfirmedError  # noqa: PLC0415 - with the rest

        raise NotConfirmedError("there is no evidence file before everything is confirmed", field=str(save), hint=LATER)
