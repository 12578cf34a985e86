"""``suyuan network add-member``."""

from pathlib import Path

import click

from cli import output
from cli.command import Command, option
from cli.files import read_file, write_file
from cli.language import _, noted, plural
from cli.options import FILE, NEW_FILE


@click.command("add-member", cls=Command)
@click.argument("draft", type=FILE)
@click.argument("members", metavar="MEMBER.json…", nargs=-1, required=True, type=FILE)
@option(
    "--out", type=NEW_FILE, help=noted("The new draft; else the draft itself, or beside a signed document FILE.draft.")
)
def command(draft: Path, members: tuple[Path, ...], out: Path | None) -> None:
    """Put members into a draft. From a signed network document, begin the draft of its next version.

    Other changes of a signed document: suyuan network revise.

    MEMBER.json is what suyuan init has written for each of them: public keys and what the department says of itself.
    Check with the department that it is really theirs.
    """
    from cli import drafts, revision  # noqa: PLC0415 - slow to import

    data = read_file(draft)
    signed = drafts.is_signed(data)
    entries = [drafts.read_member(path) for path in members]
    if signed:
        versions = revision.newest_signed(data)
        target = revision.draft_path(draft, out, versions)
        revised = revision.Revision(versions[-1])
        for entry in entries:
            revised.add(entry)
        after = revised.draft()
    else:
        target = out or draft
        after = drafts.parse_draft(data).with_members(entries)
    text = after.text  # before anything is written
    write_file(target, text.encode())
    output.data(str(target))
    output.note(
        plural(
            len(after.body["members"]),
            "Version {version} has {count} member.",
            "Version {version} has {count} members.",
            version=after.version,
        )
    )
    output.note(_("Next: the governors sign it: suyuan network sign {draft} --key FILE --out NETWORK", draft=target))
