"""``suyuan evidence list``."""

import click

from cli import exits, output
from cli.command import Command
from cli.language import _, noted
from cli.options import json_option
from cli.session import Session, trusting_options

KIND_WORDS = {
    "heads": noted("two signed heads that cannot both be true"),
    "entries": noted("two signed entries that cannot both be true"),
    "content": noted("a signed head to which its own entries do not hash"),
}
ID_DIGITS = 16


@click.command("list", cls=Command)
@trusting_options
@json_option
def command(*, session: Session, as_json: bool) -> int:
    """List the proofs that the node keeps; it has judged every one of them.

    Exit code 6 when one stands: the log is frozen until the governors have readmitted it.
    """
    answer = session.client.equivocations()
    listed = answer["equivocations"]
    if as_json:
        output.emit(answer)
    elif not listed:
        output.note(_("No log is known to have told two stories."))
    else:
        names = session.names()
        rows = [
            (
                output.member(one["log"], names),
                _(KIND_WORDS.get(one["kind"], one["kind"])),
                str(one["until"]),
                output.words((_("stands"), output.BAD) if one["standing"] else (_("settled"), output.FAINT)),
                one["id"][:ID_DIGITS],
            )
            for one in listed
        ]
        headings = (_("Member"), _("What its key has signed"), _("Differs before"), _("State"), _("Proof"))
        output.show(output.table(*headings, rows=rows, right=(2,)))
    return exits.INTEGRITY if any(one["standing"] for one in listed) else exits.OK
