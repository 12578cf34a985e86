"""``suyuan network verify``."""

from pathlib import Path

import click

from cli import output
from cli.command import Command, option
from cli.files import read_file
from cli.language import noted
from cli.options import FILE, FINGERPRINT, json_option


@click.command("verify", cls=Command)
@click.argument("file", type=FILE)
@option(
    "--fingerprint", type=FINGERPRINT, required=True, envvar="SUYUAN_FINGERPRINT",
    help=noted("The network's fingerprint, as it was given to you out of band."),
)  # fmt: skip
@json_option
@click.pass_context
def command(ctx: click.Context, file: Path, fingerprint: str, *, as_json: bool) -> int:
    """Verify all versions of a network document, from the one that the fingerprint pins to the newest."""
    from cli import network_view, verification  # noqa: PLC0415 - slow to import

    del ctx
    verdict = verification.verify_network(str(file), read_file(file), fingerprint)
    if as_json:
        output.emit(verification.to_json([verdict], fingerprint))
    else:
        output.show(*verification.parts(verdict))
        if verdict.network is not None:
            output.show(*network_view.parts(verdict.network.versions))
    return verification.exit_code([verdict])
