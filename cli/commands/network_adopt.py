"""``suyuan network adopt``: give a running node the next version of its network document."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli import output
from cli.command import Command
from cli.files import read_file
from cli.language import _
from cli.options import FILE, json_option
from cli.session import Session, node_options

if TYPE_CHECKING:
    from node.client import Adopted, UnreachableError
    from node.config import Home

SCHEMA = "suyuan.adopted/1"


@click.command("adopt", cls=Command)
@click.argument("file", type=FILE)
@node_options
@json_option
def command(file: Path, *, session: Session, as_json: bool) -> None:
    r"""Have a node act under the newest version in FILE, which its governors have signed.

    A running node is told with a token of the role admin. One node is enough: it tells the others, each of which
    verifies every version itself. Where the node of --config does not run, the document is put into its folder.

    \b
    suyuan network adopt network.note --config police --token-file police.admin.token
    """
    from ledger.versions import split_versions, verify_chain  # noqa: PLC0415 - slow to import
    from node.client import UnreachableError  # noqa: PLC0415 - as above

    data = read_file(file)
    if session.fingerprint is not None:
        verify_chain(data, session.fingerprint)  # what the node would refuse is not even sent
    running = True
    try:
        adopted = session.client.adopt(data)
    except UnreachableError as error:
        adopted = _put_into_folder(session, data, error)
        running = False
    if as_json:
        output.emit({"schema": SCHEMA, "version": adopted.version, "was": adopted.was, "running": running})
        return
    _tell(adopted, len(split_versions(data)), running=running)


def _put_into_folder(session: Session, data: bytes, unreachable: "UnreachableError") -> "Adopted":
    """Join with the document while the node is stopped; one that runs and does not answer is left alone.

    Raises:
        UnreachableError: the node runs, or nobody says where its folder is.
        LedgerError: the document does not continue the node's own.
    """
    from ledger.versions import split_versions  # noqa: PLC0415 - slow to import
    from node.client import Adopted  # noqa: PLC0415 - as above
    from node.setup import join_network  # noqa: PLC0415 - as above

    home = session.home
    if home is None or session.names_url or home.settings.fingerprint is None or _is_in_use(home):
        raise unreachable
    was = len(split_versions(home.network.read_bytes()))
    join_network(home, data, home.settings.fingerprint)
    return Adopted(len(split_versions(data)), was)


def _is_in_use(home: "Home") -> bool:
    from ledger.errors import StoreError, StoreLockedError  # noqa: PLC0415 - slow to import
    from ledger.store import open_store  # noqa: PLC0415 - as above

    try:
        open_store(home.data).close()
    except StoreError as error:
        return isinstance(error, StoreLockedError)  # a lost store is no reason to keep an old document
    return False


def _tell(adopted: "Adopted", given: int, *, running: bool) -> None:
    if given < adopted.version:
        output.note(
            _("The node acts under version {version} already; the file has no newer one than {given}.",
              version=adopted.version, given=given)
        )  # fmt: skip
    elif adopted.version == adopted.was:
        output.note(_("The node acts under version {version} already.", version=adopted.version))
    elif running:
        output.note(
            _("The node acts under version {version}; before it was version {was}.",
              version=adopted.version, was=adopted.was)
        )  # fmt: skip
        output.note(_("One node is enough: it hands the document on, and suyuan peers shows who has it."))
    else:
        output.note(
            _("The node does not run: version {version} is in its folder, in the place of version {was}, and "
              "counts from its next start on.", version=adopted.version, was=adopted.was)
        )  # fmt: skip
        output.note(_("It hands the document on to the others when it runs."))
