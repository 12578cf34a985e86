"""``suyuan init``: a department's node, made once; its joining of a network; a new store in the place of a lost one.

DIR/suyuan.toml   settings             DIR/keys/      secret keys, which never leave this folder
DIR/member.json   the public half: what the governors of the network put into the network document
"""

import json
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from cli import output
from cli.command import Command, option
from cli.files import read_file, write_file
from cli.language import _, noted
from cli.options import FILE, FINGERPRINT
from cli.unlocking import ask_new, home_of

LEVELS = ("national", "province", "city", "county", "town")
ROLES = ("department", "authority", "auditor", "external")
STORES = ("leveldb", "sqlite")
MEMBER_NAME = "member.json"
PORT_DEFAULT = 8300
_NEEDED = ("origin", "url", "name_zh", "name_en", "level", "region")


@click.command("init", cls=Command)
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@option("--origin", help=noted("Name of the department's log, as in police.ordos.example/log."))
@option("--url", help=noted("Where the other members reach the node."))
@option("--name-zh", help=noted("The department's name in Chinese."))
@option("--name-en", help=noted("The department's name in English."))
@option("--level", type=click.Choice(LEVELS), help=noted("Level of administration."))
@option("--region", help=noted("Code of the administrative division, as in 150600."))
@option(
    "--role",
    "roles",
    type=click.Choice(ROLES),
    multiple=True,
    help=noted("Role in the network; repeat it for several."),
)
@option("--code", help=noted("Unified social credit code or another code of the organisation."))
@option("--port", type=click.IntRange(0, 65535), help=noted("Port to listen on; else that of the address, else 8300."))
@option("--store", type=click.Choice(STORES), help=noted("Kind of database; else LevelDB where it is installed."))
@option("--network", type=FILE, help=noted("Join this network: its signed document."))
@option("--fingerprint", type=FINGERPRINT, help=noted("The network's fingerprint, as it was given to you out of band."))
@option("--encrypt-keys", is_flag=True, help=noted("Encrypt the secret keys with a passphrase."))
@option("--rebuild", is_flag=True, help=noted("Make an empty store where it is lost; the peers fill it."))
def command(folder: Path, network: Path | None, fingerprint: str | None, *, rebuild: bool, **profile: Any) -> None:
    r"""Make a department's node in the folder DIR; or, with --network, join a network with the node that is there.

    A node has one folder, with its settings, its secret keys and its data. Its public keys go into DIR/member.json,
    for the governors of the network; with the network document that they sign, the node joins.

    With --rebuild, a node whose data folder is lost gets an empty one. When it starts, it fetches its own log and all
    others from its peers, and writes nothing before its own is whole.

    \b
    suyuan init police --origin police.ordos.example/log --url http://127.0.0.1:8301 \
        --name-zh 公安局 --name-en Police --level city --region 150600 --role department
    suyuan init police --network network.note --fingerprint 3f1c…
    suyuan init police --rebuild
    """
    if rebuild:
        store = profile.pop("store")
        if network is not None or fingerprint is not None or any(profile.values()):
            raise click.UsageError(_("--rebuild goes with --store alone: keys and settings stay as they are"))
        _rebuild(folder, store)
    elif network is None and fingerprint is None:
        _make(folder, profile)
    elif network is None or fingerprint is None:
        raise click.UsageError(_("--network and --fingerprint belong together"))
    elif any(profile.values()):
        raise click.UsageError(_("make the node first, then join the network: --network goes with --fingerprint alone"))
    else:
        _join(folder, network, fingerprint)


def _make(folder: Path, said: dict[str, Any]) -> None:
    from node.setup import Profile, create_home, member_entry, member_json, ring_of  # noqa: PLC0415 - slow to import

    missing = [f"--{name.replace('_', '-')}" for name in _NEEDED if not said[name]]
    if missing:
        raise click.UsageError(_("{name} is missing", name=", ".join(missing)))
    profile = Profile(**{name: said[name] for name in (*_NEEDED, "code")}, roles=said["roles"] or ("department",))
    member_entry(_throwaway_keys(profile.origin), profile)  # a value that does not fit is told before anything is made
    values = {"origin": profile.origin, "port": _port(said["port"], profile.url)}
    passphrase = (lambda: ask_new(folder / "keys")) if said["encrypt_keys"] else None
    home = create_home(folder, values, random=secrets.token_bytes, store=said["store"], passphrase=passphrase)
    member = member_json(member_entry(ring_of(home).newest, profile))
    path = folder / MEMBER_NAME
    write_file(path, (json.dumps(member, ensure_ascii=False, indent=2) + "\n").encode())
    output.data(str(path))
    output.note(
        _(
            "The node of {origin} is made in {folder}; its keys never leave that folder: back them up.",
            origin=profile.origin,
            folder=folder,
        )
    )
    output.note(_("Next: give {path} to the governors of the network (suyuan network add-member),", path=path))
    output.note(
        _(
            "then join with the document that they sign: suyuan init {folder} --network FILE --fingerprint HEX",
            folder=folder,
        )
    )


def _join(folder: Path, document: Path, fingerprint: str) -> None:
    from node.setup import join_network  # noqa: PLC0415 - slow to import

    home = join_network(home_of(folder), read_file(document), fingerprint)
    output.note(
        _(
            "{origin} has joined the network with fingerprint {fingerprint}.",
            origin=home.settings.origin,
            fingerprint=fingerprint,
        )
    )
    output.note(_("Next: start the node with suyuan run --config {folder}", folder=folder))
    output.note(_("and let a program use it: suyuan token new NAME --role submit --config {folder}", folder=folder))


def _rebuild(folder: Path, store: str | None) -> None:
    from node.setup import rebuild_store  # noqa: PLC0415 - slow to import

    home = home_of(folder)
    rebuild_store(home, store=store)
    output.note(_("{origin} has an empty store; its keys and settings are as they were.", origin=home.settings.origin))
    output.note(
        _(
            "Next: suyuan run --config {folder}; the node writes again when its peers have given back its log",
            folder=folder,
        )
    )


def _port(port: int | None, url: str) -> int:
    if port is not None:
        return port
    try:
        return urlsplit(url).port or PORT_DEFAULT
    except ValueError:
        return PORT_DEFAULT


def _throwaway_keys(origin: str) -> Any:
    """Return keys that are used for nothing but trying whether a profile fits."""
    from ledger.note import COSIGNATURE, ED25519, Signer  # noqa: PLC0415 - slow to import
    from node.keys import SEED_BYTES, NodeKeys, key_name  # noqa: PLC0415 - as above

    kinds = {"log": ED25519, "cosigner": COSIGNATURE, "transport": ED25519}
    signers = {
        role: Signer(key_name(origin, role), kind, secrets.token_bytes(SEED_BYTES)) for role, kind in kinds.items()
    }
    return NodeKeys(
        log=signers["log"],
        cosigner=signers["cosigner"],
        transport=signers["transport"],
        sealing=secrets.token_bytes(SEED_BYTES),
        record=secrets.token_bytes(SEED_BYTES),
    )
