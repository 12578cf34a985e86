"""``suyuan network new``."""

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli import output
from cli.command import Command, option
from cli.files import write_file
from cli.language import _, noted
from cli.options import NEW_FILE
from cli.unlocking import lock_of

if TYPE_CHECKING:
    from ledger.note import VerifierKey

RULES_DEFAULT = "cn-2025"
SEED_BYTES = 32


@click.command("new", cls=Command)
@click.argument("name")
@option("--out", type=NEW_FILE, default="network.draft", show_default=True, help=noted("The draft."))
@option(
    "--governor-key", "key_files", type=NEW_FILE, multiple=True,
    help=noted("A governor's secret key; made where there is none. Repeat it for several."),
)  # fmt: skip
@option("--encrypt-keys", is_flag=True, help=noted("Encrypt the keys that are made with a passphrase."))
@option(
    "--governor", "vkeys", multiple=True, help=noted("Public key of a governor who keeps the secret one elsewhere.")
)
@option(
    "--threshold", type=click.IntRange(min=1), help=noted("How many governors must sign; else more than half of them.")
)
@option("--rules", default=RULES_DEFAULT, show_default=True, help=noted("Table of rules and time limits."))
@option(
    "--access", type=click.Choice(("members", "open")), default="members", show_default=True,
    help=noted("Who may read the logs: the members, or anyone."),
)  # fmt: skip
@option("--faults", type=click.IntRange(min=0), help=noted("How many members may fail or lie; else less than a third."))
def command(
    name: str, out: Path, key_files: tuple[Path, ...], vkeys: tuple[str, ...], *, encrypt_keys: bool, **said: Any
) -> None:
    r"""Draft the first version of the network NAME, without members yet.

    Each governor's key is a file of its own; keep them apart from each other and from the nodes.

    \b
    suyuan network new ordos --governor-key governor-1.key --governor-key governor-2.key
    """
    from cli.drafts import FIRST_PREVIOUS, Draft  # noqa: PLC0415 - slow to import
    from ledger.note import parse_vkey  # noqa: PLC0415 - as above

    if not key_files and not vkeys:
        raise click.UsageError(_("a network has at least one governor: --governor-key or --governor"))
    if out.exists():
        raise click.UsageError(_("{path} is there already; it is not replaced", path=out))
    keys = [_governor(name, number, path, encrypt=encrypt_keys) for number, path in enumerate(key_files, 1)] + [
        parse_vkey(text) for text in vkeys
    ]
    body: dict[str, Any] = {
        "access": {"read": said["access"]},
        "governors": {"keys": [key.vkey for key in keys], "threshold": said["threshold"] or len(keys) // 2 + 1},
        "members": [],
        "rules": said["rules"],
    }
    if said["faults"] is not None:
        body["quorum"] = {"faults": said["faults"]}
    draft = Draft(name, 1, FIRST_PREVIOUS, body)
    write_file(out, draft.text.encode())
    output.data(str(out))
    output.note(
        _(
            "Next: suyuan network add-member {draft} MEMBER.json…, then suyuan network sign {draft} --key FILE",
            draft=out,
        )
    )


def _governor(network: str, number: int, path: Path, *, encrypt: bool) -> "VerifierKey":
    """Return a governor's public key; its secret one is made where the file is not there."""
    from node.signers import read_signer  # noqa: PLC0415 - slow to import

    if path.exists():
        return read_signer(path, lock_of(path)).verifier
    return make_governor(f"{network}/governor-{number}", path, encrypt=encrypt)


def make_governor(name: str, path: Path, *, encrypt: bool) -> "VerifierKey":
    """Make a governor's key, write the secret half to its file, and return the public one.

    Raises:
        LedgerError: the name cannot be a key's, the file is there already, or no passphrase is given.
    """
    from ledger.note import ED25519, Signer  # noqa: PLC0415 - as above
    from node.keyfile import write_secret  # noqa: PLC0415 - as above
    from node.keys import GOVERNOR, closed_text  # noqa: PLC0415 - as above

    signer = Signer(name, ED25519, secrets.token_bytes(SEED_BYTES))
    lock = lock_of(path, new=True)
    write_secret(path, closed_text(GOVERNOR, signer.skey, secrets.token_bytes, lock) if encrypt else signer.skey)
    output.note(_("{path}: a new secret key of {name}", path=path, name=signer.name))
    return signer.verifier
