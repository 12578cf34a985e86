"""``suyuan network sign``."""

from pathlib import Path

import click

from cli import output
from cli.command import Command, option
from cli.files import read_file, write_file
from cli.language import _, noted, plural
from cli.options import FILE, NEW_FILE
from cli.unlocking import lock_of


@click.command("sign", cls=Command)
@click.argument("draft", type=FILE)
@option(
    "--key",
    "key_files",
    type=FILE,
    multiple=True,
    required=True,
    help=noted("A governor's secret key; repeat it for several."),
)
@option(
    "--out", type=NEW_FILE, default="network.note", show_default=True,
    help=noted("The file of signed versions; what it holds already is kept, and the signature added."),
)  # fmt: skip
def command(draft: Path, key_files: tuple[Path, ...], out: Path) -> None:
    """Sign a draft as a governor: read it first, suyuan network diff NETWORK DRAFT.

    What the version changes is told, and what is risky about it.

    Several governors sign one after the other, each with the file that the one before has made. The next version of a
    network needs enough governors of the version before as well, and goes behind it into the same file.

    For version 1 the fingerprint is printed on standard output. Give it to every member by another way than the
    document itself.
    """
    from cli import drafts, network_changes  # noqa: PLC0415 - slow to import
    from ledger.network import fingerprint_of, parse_network, split_versions  # noqa: PLC0415 - as above
    from node.signers import read_signer  # noqa: PLC0415 - as above

    text = drafts.read_draft(draft)
    signers = [read_signer(path, lock_of(path)) for path in key_files]
    data, document = drafts.sign(text, signers, read_file(out) if out.exists() else None)
    versions = [parse_network(version) for version in split_versions(data)]
    before = versions[-2] if len(versions) > 1 else None
    missing = drafts.missing_signatures(document, before)
    if before is not None:
        network_changes.tell(network_changes.compare(before, document))
    write_file(out, data)
    if document.version == 1:
        output.data(fingerprint_of(document))
    output.note(
        _(
            "Version {version} of network {name} is signed in {path}.",
            version=document.version,
            name=document.name,
            path=out,
        )
    )
    if missing > 0:
        output.note(
            plural(
                missing,
                "It counts when {count} more governor has signed.",
                "It counts when {count} more governors have signed.",
            )
        )
    elif document.version == 1:
        output.note(
            _(
                "The line above is the network's fingerprint; every member pins it: "
                "suyuan init DIR --network FILE --fingerprint HEX"
            )
        )
    else:
        output.note(_("Next: give it to one running node: suyuan network adopt {path} --config DIR", path=out))
