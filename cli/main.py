"""The command ``suyuan``: its table of contents, and the way in.

Commands are modules of ``cli.commands``, each with an attribute ``command``; they are imported when they run.
"""

import os
import sys
from collections.abc import Sequence

import click

from cli import boundary, language, output
from cli.command import Entry, Group, option
from cli.language import _, noted

NAME = "suyuan"

FIRST = (
    Entry("demo", "cli.commands.demo", noted("watch departments share data, in this terminal")),
    Entry("init", "cli.commands.init", noted("make a department's node, and join it to a network")),
    Entry("run", "cli.commands.run", noted("run the node")),
    Entry("trace", "cli.commands.trace", noted("show who passed a record to whom, verified here")),
    Entry("verify", "cli.commands.verify", noted("verify evidence, proofs and network documents offline")),
)
SECTIONS = (
    (noted("The five to know"), FIRST),
    (
        noted("Transfers"),
        (
            Entry("share", "cli.commands.share", noted("record that data left this department")),
            Entry("receive", "cli.commands.receive", noted("answer a share: received, or rejected")),
            Entry("import", "cli.commands.imports", noted("record transfers that another system has logged")),
            Entry("ref", "cli.commands.ref", noted("turn identifiers into record references")),
        ),
    ),
    (
        noted("Questions"),
        (
            Entry("show", "cli.commands.show", noted("show one entry, in words and as it was signed")),
            Entry("proof", "cli.commands.proof", noted("save the proof of one entry")),
            Entry("log", "cli.commands.log", noted("look at one log: how it has grown")),
            Entry("logs", "cli.commands.logs", noted("show the members' logs as the node has them")),
            Entry("peers", "cli.commands.peers", noted("show which peers answer, and how far they are")),
            Entry(
                "evidence", "cli.commands.evidence", noted("show and save the proofs that a log has told two stories")
            ),
        ),
    ),
    (
        noted("Operation"),
        (
            Entry("network", "cli.commands.network", noted("make, change, sign and check the network document")),
            Entry("keys", "cli.commands.keys", noted("list, replace and encrypt the node's secret keys")),
            Entry("witness", "cli.commands.witness", noted("witness foreign logs, and see who witnesses the own one")),
            Entry("token", "cli.commands.token", noted("manage who may use the node's interface")),
            Entry("doctor", "cli.commands.doctor", noted("examine a node, down to every stored byte")),
            Entry("config", "cli.commands.config", noted("show the settings in force, and where each comes from")),
            Entry("completion", "cli.commands.completion", noted("print the completion script for a shell")),
        ),
    ),
)


def _version(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's callback
    del parameter
    if value and not ctx.resilient_parsing:
        from node.release import release  # noqa: PLC0415 - only here

        output.data(f"{NAME} {release()}")
        ctx.exit()


@click.command(NAME, cls=Group, sections=SECTIONS, top=True, invoke_without_command=True)
@option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_version,
    help=noted("Show the version and exit."),
)
@click.pass_context
def app(ctx: click.Context) -> None:
    """Suyuan (溯源): a ledger for traceable data sharing between departments.

    Data is printed on standard output, everything else on standard error. Exit codes: 0 it is so; 1 verification
    failed or findings; 2 wrong use or configuration; 3 not found; 4 not authorised; 5 no answer; 6 integrity alarm;
    70 a fault of this software; 130 interrupted.
    """
    if ctx.invoked_subcommand is None:
        _show_first()


def _show_first() -> None:
    """Show what one needs to know, and how to see the rest."""
    output.data(_("Suyuan (溯源): who passed which record to whom, provably."))
    output.data("")
    for entry in FIRST:
        output.data(f"  {NAME} {entry.name:<8} {_(entry.line)}")
    output.data("")
    output.data(_("All commands: {all}   One command: {one}", all=f"{NAME} --help", one=f"{NAME} trace --help"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; return the exit code."""
    argv = list(sys.argv[1:] if arguments is None else arguments)
    language.speak(language.choose(argv, os.environ))
    output.prepare_streams()
    debug = boundary.wants_debug(argv, os.environ)
    return boundary.guarded(lambda: app.main(argv, prog_name=NAME, standalone_mode=False), debug=debug)


if __name__ == "__main__":
    sys.exit(main())
