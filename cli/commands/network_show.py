"""``suyuan network show``."""

from pathlib import Path

import click

from cli import output
from cli.command import Command
from cli.files import read_file
from cli.language import _
from cli.options import FILE, json_option


@click.command("show", cls=Command)
@click.argument("file", type=FILE)
@json_option
def command(file: Path, *, as_json: bool) -> None:
    """Show what the newest version in a file says, signed or draft. To verify it: suyuan network verify."""
    from cli import drafts, network_view  # noqa: PLC0415 - slow to import

    data = read_file(file)
    versions = drafts.read_networks(data)
    if as_json:
        output.emit(network_view.to_json(versions, signed=drafts.is_signed(data)))
        return
    output.show(*network_view.parts(versions))
    output.note(_("This is what the file says; suyuan network verify FILE --fingerprint HEX checks who has signed it."))
