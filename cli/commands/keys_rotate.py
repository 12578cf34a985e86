"""``suyuan keys rotate``: a new key for a role.

1. Make the key file beside the old one, unless there is one already that the network document does not name. A crash:
   asking again finds it.
2. Have the running node append the ``key.rotate`` entry. Its id is made from the key, so that it is never announced
   twice. A crash: asking again finds the entry, and with it where the key begins.
3. Write the member's entry for the governors, with every key that is announced and not named yet.
"""

import json
import secrets
import uuid
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli import output
from cli.command import Command, option
from cli.files import write_file
from cli.language import _, noted
from cli.options import NEW_FILE
from cli.session import Session, node_options
from ledger.errors import LedgerError

if TYPE_CHECKING:
    from ledger.event import KeyRotate
    from ledger.network import Network
    from node.config import Home

ROLES = ("log", "cosigner", "transport", "sealing")
MARGIN_DEFAULT = 1000
MEMBER_NAME = "member.json"
NOT_FOUND = 404
USED_FROM = {
    "cosigner": noted(
        "The node cosigns with the new key as soon as the network document names it; until then with the old one."
    ),
    "transport": noted(
        "The node signs its requests to peers with the new key as soon as the network document names it."
    ),
    "sealing": noted(
        "Others seal to the new key as soon as the network document names it; the old one opens what was sealed before."
    ),
}


@click.command("rotate", cls=Command)
@click.argument("role", type=click.Choice(ROLES))
@option(
    "--margin", type=click.IntRange(min=1), default=MARGIN_DEFAULT, show_default=True,
    help=noted("For the log key: how many entries the old key may still sign; then the log waits for the document."),
)  # fmt: skip
@option("--key", "public", help=noted("The public half of a new key that is no file, but where the settings say."))
@option("--out", type=NEW_FILE, help=noted("The file for the governors; else member.json in the node's folder."))
@node_options
def command(role: str, margin: int, public: str | None, out: Path | None, session: Session) -> None:
    r"""Make a new key for ROLE, announce it in the log, and write what the governors need.

    The node must run; it takes a token with the role admin. The new key is used as soon as the network document names
    it. Asked again, the command goes on where it was.

    For the log key, the margin is the time that the governors have: from the announced entry on, the old key signs
    nothing any more, and the node refuses to write until the network document names the new one.

    \b
    suyuan keys rotate log --margin 5000 --config police --token-file admin-token
    suyuan network revise network.note --replace police/member.json
    """
    from node.foundation import load_network  # noqa: PLC0415 - slow to import
    from node.setup import member_json, rotated_entry  # noqa: PLC0415 - as above

    home = session.home
    if home is None:
        raise click.UsageError(_("whose keys? Give --config with the node's folder"))
    network = load_network(home)[0]
    key = public or _new_key(home, network, role)
    try:
        _announce(session, role, key, margin)
    except LedgerError:
        if public is None:
            _tell_unannounced(session, role, key)
        elif role == "log":
            _tell_frozen(session, key)
        raise
    announced = [event for one in ROLES for event in _announced(session, network, one, key if one == role else None)]
    entry = rotated_entry(network.member(home.settings.origin).entry, announced)
    path = out or home.folder / MEMBER_NAME
    write_file(path, (json.dumps(member_json(entry), ensure_ascii=False, indent=2) + "\n").encode())
    output.data(str(path))
    for event in announced:
        _tell(event, path, asked=event.role == role)
    if role == "log":
        _tell_frozen(session, key)
    if public is None:
        output.note(_("Back up the folder {path} now: it has a new key.", path=home.keys))
    output.note(_("Next: give {path} to the governors (suyuan network revise NETWORK --replace {path}).", path=path))


def _tell(event: "KeyRotate", path: Path, *, asked: bool) -> None:
    """Say from when on a key is used; of one that was announced before this was asked, that it waits."""
    if not asked:
        output.note(_("{path} also names the {role} key that was announced before.", path=path, role=event.role))
    elif event.start is not None:
        output.note(_("The new log key begins with entry {start}; until then the old one signs.", start=event.start))
    else:
        output.note(_(USED_FROM[event.role]))


def _tell_unannounced(session: Session, role: str, key: str) -> None:
    """Say what there is by now, and how to go on: the key was there before the node was asked to announce it."""
    assert session.home is not None
    output.note(_("The new {role} key is made but not announced; nothing uses it yet.", role=role))
    output.note(_("It is in {place}, and its public half is", place=_place(session.home, role, key)))
    output.note(f"    {key}")
    output.note(_("Asked again, the same command announces this key and makes no other."))
    if role == "log":
        _tell_frozen(session, key)


def _tell_frozen(session: Session, key: str) -> None:
    """Say how a log goes on against which an alarm stands: its announcement, if there is one, does not do it."""
    assert session.home is not None
    log = session.home.settings.origin
    if session.tell_alarms([log]):
        output.note(
            _("It goes on when the governors readmit it with this key: suyuan network revise NETWORK --readmit {log} "
              "--at SIZE --root BASE64 --key {key}", log=log, key=key)
        )  # fmt: skip


def _place(home: "Home", role: str, key: str) -> str:
    from node.keys import key_files  # noqa: PLC0415 - as above

    if role in home.key_uris:
        return home.key_uris[role]
    files = key_files(home.keys, home.settings.origin, [role])
    return next((str(file.path) for file in files if file.public == key), str(home.keys))


def _new_key(home: "Home", network: "Network", role: str) -> str:
    """Return the public half of the key that the network document does not name yet; it is made if there is none."""
    from node.keys import add_key  # noqa: PLC0415 - nacl is slow to import

    waiting = _waiting(home, network, role)
    if waiting is not None:
        return waiting
    if role in home.key_uris:
        raise click.UsageError(
            _("the {role} key is no file of the folder: make the new one where it lives, and give --key", role=role)
        )
    file = add_key(home.keys, role, home.settings.origin, secrets.token_bytes, home.lock)
    output.note(_("{path}: a new secret key", path=file.path))
    return file.public


def _waiting(home: "Home", network: "Network", role: str) -> str | None:
    """Return the newest key of a role that no version of the network document has named; None where there is none."""
    from node.setup import public_keys  # noqa: PLC0415 - as above

    newest = public_keys(home)[role][-1]
    return None if newest in _ever_named(network, home.settings.origin, role) else newest


def _ever_named(network: "Network", origin: str, role: str) -> set[str]:
    from node.keys import named_keys  # noqa: PLC0415 - as above

    members = [version.members[origin] for version in network.versions if origin in version.members]
    return {named_keys(member)[role] for member in members} | {
        key.vkey for member in members for _start, _until, key in member.log_keys
    }


def _announce(session: Session, role: str, key: str, margin: int) -> None:
    """Have the node append the entry, unless it is there already."""
    assert session.home is not None
    if _recorded(session, role, key) is not None:
        return
    event: dict[str, Any] = {"id": rotation_id(role, key), "key": key, "role": role, "type": "key.rotate"}
    if role == "log":
        health = session.client.health()
        promised = health.get("next_log_key")  # of another key: this one begins there, too
        event["from"] = promised["from"] if promised else int(health["size"]) + 1 + margin
    recorded = session.client.announce_key(event)
    output.note(_("Announced in {entry}.", entry=recorded.entry))


def _announced(session: Session, network: "Network", role: str, key: str | None) -> "list[KeyRotate]":
    """Return the announcement of a role's key that the network document does not name yet, if there is one."""
    assert session.home is not None
    key = key or _waiting(session.home, network, role)
    event = _recorded(session, role, key) if key is not None else None
    return [event] if event is not None else []


def _recorded(session: Session, role: str, key: str) -> "KeyRotate | None":
    """Return the announcement of a key that stands in this department's log."""
    from ledger.event import KeyRotate  # noqa: PLC0415 - slow to import
    from ledger.event.base import parse_model  # noqa: PLC0415 - as above
    from node.client import NodeProblem  # noqa: PLC0415 - as above

    assert session.home is not None
    try:
        answer = session.client.event(rotation_id(role, key), session.home.settings.origin)
    except NodeProblem as problem:
        if problem.status == NOT_FOUND:
            return None
        raise
    return parse_model(KeyRotate, answer["event"])


def rotation_id(role: str, key: str) -> str:
    """Return the id of the event that announces a key: always the same, so that it is announced once."""
    return str(uuid.UUID(bytes=sha256(f"key.rotate {role} {key}".encode()).digest()[:16], version=4))
