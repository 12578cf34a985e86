"""``suyuan network sign``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli import output
from cli.command import Command, option
from cli.files import read_file, write_file
from cli.language import _, listed, noted
from cli.options import FILE, NEW_FILE
from cli.unlocking import lock_of

if TYPE_CHECKING:
    from ledger.network import Network


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
    from ledger.network import parse_network  # noqa: PLC0415 - as above
    from ledger.versions import fingerprint_of, split_versions  # noqa: PLC0415 - as above
    from node.signers import read_signer  # noqa: PLC0415 - as above

    text = drafts.read_draft(draft)
    existed = out.exists()
    if not existed and text.version > 1:
        raise click.UsageError(
            _("{path} does not exist: version {version} goes behind the signed versions; give their file with --out",
              path=out, version=text.version)
        )  # fmt: skip
    signers = [read_signer(path, lock_of(path)) for path in key_files]
    chain = read_file(out) if existed else None
    data, document = drafts.sign(text, signers, chain)
    versions = [parse_network(version) for version in split_versions(data)]
    before = versions[-2] if len(versions) > 1 else None
    missing = drafts.missing_signatures(document, before)
    if before is not None:
        network_changes.tell(network_changes.compare(before, document))
    write_file(out, data)
    if document.version == 1:
        output.data(fingerprint_of(document))
    _tell_file(document, chain, out)
    _tell_signatures(document, before)
    if missing > 0:
        output.note(_("Next: another governor signs: suyuan network sign {draft} --key FILE --out {path}",
                      draft=draft, path=out))  # fmt: skip
    elif document.version == 1:
        output.note(
            _(
                "The line above is the network's fingerprint; every member pins it: "
                "suyuan init DIR --network FILE --fingerprint HEX"
            )
        )
    else:
        output.note(_("Next: give it to one running node: suyuan network adopt {path} --config DIR", path=out))


def _tell_file(document: "Network", chain: bytes | None, out: Path) -> None:
    """Say what is in the file now that was not there before."""
    from ledger.network import parse_network  # noqa: PLC0415 - as above
    from ledger.versions import split_versions  # noqa: PLC0415 - as above

    said = {"path": out, "version": document.version, "name": document.name}
    newest = parse_network(split_versions(chain)[-1]) if chain else None
    if newest is None:
        output.note(_("{path} is a new file, with version {version} of network {name}.", **said))
    elif newest.text != document.text:
        output.note(_("Version {version} of network {name} stands in {path}, behind the ones before it.", **said))
    elif len(newest.note.signatures) == len(document.note.signatures):
        output.note(_("Version {version} of network {name} had this signature already; {path} stays as it is.", **said))
    else:
        output.note(_("The signature is added to version {version} of network {name} in {path}.", **said))


def _tell_signatures(document: "Network", before: "Network | None") -> None:
    """Say how many governors have signed by now, and how many must: those of the version before count by themselves."""
    from cli.drafts import signed_by  # noqa: PLC0415 - as above

    for judge in filter(None, (before, document)):
        if judge is before and before.body.governors == document.body.governors:
            continue
        signed = signed_by(document, judge)
        output.note(
            _("Signed by {count} of the governors of version {version}, {needed} are needed: {names}",
              count=len(signed), needed=judge.body.governors.threshold, version=judge.version,
              names=listed(key.name for key in signed) or "–")
        )  # fmt: skip
