"""``suyuan network diff``."""

from pathlib import Path

import click

from cli import output
from cli.command import Command
from cli.files import read_file
from cli.language import _
from cli.options import FILE, json_option

PAIR = 2  # the version before, and the one that follows it


@click.command("diff", cls=Command)
@click.argument("old", type=FILE)
@click.argument("new", required=False, type=FILE)
@json_option
def command(old: Path, new: Path | None, *, as_json: bool) -> None:
    r"""Show what the newest version in the file NEW, a draft or signed, changes against the newest one in OLD.

    With one file: against the version before it. Read it before you sign. No signature back to the fingerprint is
    judged here; suyuan network verify does that.

    \b
    suyuan network diff network.note network.draft
    suyuan network diff network.note
    """
    from cli import drafts, network_changes  # noqa: PLC0415 - slow to import

    before = drafts.read_networks(read_file(old))
    after = drafts.read_networks(read_file(new)) if new is not None else before
    if new is None:
        if len(before) < PAIR:
            raise click.UsageError(_("{path} holds one version only: give a second file", path=old))
        before = before[:-1]
    if before[-1].name != after[-1].name:
        raise click.UsageError(_("network {new} is not network {old}", new=after[-1].name, old=before[-1].name))
    found = network_changes.compare(before[-1], after[-1])
    if as_json:
        output.emit(network_changes.to_json(found))
    else:
        output.show(*network_changes.parts(found))
