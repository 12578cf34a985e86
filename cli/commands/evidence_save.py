"""``suyuan evidence save``."""

from pathlib import Path

import click

from cli import output
from cli.command import Command, option
from cli.commands.evidence_common import PROOF_ID, fetch
from cli.files import write_file
from cli.language import _, noted
from cli.options import NEW_FILE
from cli.session import Session, trusting_options


@click.command("save", cls=Command)
@click.argument("digits", metavar="ID", type=PROOF_ID)
@option("--out", type=NEW_FILE, help=noted("The file to write; else the proof goes to standard output."))
@trusting_options
def command(*, digits: str, out: Path | None, session: Session) -> None:
    r"""Save a proof as a file that needs nothing but the network's fingerprint to be judged.

    Where the fingerprint is known, the proof is verified before it is saved.

    \b
    suyuan evidence save 5d1c3a9e --out two-stories.json --config tax
    suyuan verify two-stories.json --fingerprint 3f1c…
    """
    from ledger.equivocation import judge_equivocation  # noqa: PLC0415 - slow to import

    _name, data = fetch(session, digits)
    if session.fingerprint is not None:
        verdict = judge_equivocation(data, fingerprint=session.fingerprint, network=session.trust.network)
        output.note(_("Verified here: {words}.", words=verdict.words))
    else:
        output.note(_("Not verified here: without --fingerprint or --config nobody can say what it is worth."))
    if out is None:
        output.raw(data)
    else:
        write_file(out, data)
        output.note(_("The proof is in {path}; suyuan verify judges it offline.", path=out))
