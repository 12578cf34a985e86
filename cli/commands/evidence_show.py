"""``suyuan evidence show``."""

import click

from cli import output
from cli.command import Command
from cli.commands.evidence_common import PROOF_ID, fetch
from cli.options import json_option
from cli.session import Session, trusting_options


@click.command("show", cls=Command)
@click.argument("digits", metavar="ID", type=PROOF_ID)
@trusting_options
@json_option
def command(*, digits: str, session: Session, as_json: bool) -> int:
    """Verify a proof here, and tell the two stories that the log has signed.

    Exit code 6 when the proof holds, 1 when it does not: as suyuan verify says of its file, also when the governors
    have ruled since.
    """
    from cli import verification  # noqa: PLC0415 - slow to import

    name, data = fetch(session, digits)
    trust = session.trust
    verdict = verification.verify_equivocation(name, data, trust.fingerprint, trust.network)
    if as_json:
        output.emit(verification.to_json([verdict], trust.fingerprint))
    else:
        output.show(*verification.parts(verdict))
    return verification.exit_code([verdict])
