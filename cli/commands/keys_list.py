"""``suyuan keys list``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli import output
from cli.command import Command
from cli.language import _
from cli.options import config_option, json_option
from cli.unlocking import home_of

if TYPE_CHECKING:
    from ledger.network import Network
    from node.config import Home

SCHEMA = "suyuan.keys/1"


@click.command("list", cls=Command)
@config_option
@json_option
def command(config: Path, *, as_json: bool) -> None:
    """List the keys of a node: role, key ID, from which entry on the network document names it, and where it is.

    Only public halves are shown, and no passphrase is needed. A key that the document names and that is not here has
    no place. "not yet" is a new key that the governors still have to name; "replaced" an older one that they named
    once: it signs nothing any more.
    """
    home = home_of(config)
    found = listed(home)
    if as_json:
        output.emit({"schema": SCHEMA, "log": home.settings.origin, "keys": found})
        return
    rows = [
        (
            one["role"],
            one["key_id"] or "–",
            one["algorithm"],
            _named(one, [later for later in found[number + 1 :] if later["role"] == one["role"]]),
            _encrypted(one),
            one["place"] or _("NOT HERE"),
        )
        for number, one in enumerate(found)
    ]
    output.show(
        output.table(
            _("Role"), _("Key ID"), _("Algorithm"), _("In the network document"), _("Encrypted"), _("Place"), rows=rows
        )
    )


def listed(home: "Home") -> list[dict[str, Any]]:
    """Return what is known of every key, by role and oldest first.

    Raises:
        LedgerError: a key file, or the network document, cannot be used.
    """
    from node.foundation import load_network  # noqa: PLC0415 - as above
    from node.keys import ROLES, key_files, load_elsewhere  # noqa: PLC0415 - nacl is slow to import

    network = load_network(home)[0] if home.settings.fingerprint is not None else None
    uris = home.key_uris
    here: dict[str, list[dict[str, Any]]] = {role: [] for role in ROLES}
    for file in key_files(home.keys, home.settings.origin, [role for role in ROLES if role not in uris]):
        place = str(file.path.relative_to(home.folder))
        here[file.role].append(_key(file.role, file.public, place, encrypted=file.closed is not None))
    for role, uri in uris.items():
        for key in load_elsewhere(role, uri, home.keys, home.settings.origin, home.lock):
            here[role].append(_key(role, key.verifier.vkey, uri, encrypted=None))
    for role, keys in here.items():
        for public, span in _named_by(network, home.settings.origin, role).items():
            known = next((one for one in keys if one["key"] == public), None)
            if known is None:
                known = _key(role, public, None, encrypted=None)
                keys.append(known)
            known.update(span)
    return [one for keys in here.values() for one in keys]


def _key(role: str, public: str, place: str | None, *, encrypted: bool | None) -> dict[str, Any]:
    from node.keys import SIGNING  # noqa: PLC0415 - as above

    algorithms = {"sealing": "x25519", "record": "hmac-sha-256"}
    return {
        "role": role,
        "key": public if role != "record" else None,
        "key_id": public.split("+")[1] if role in SIGNING else None,
        "algorithm": algorithms.get(role, "ed25519"),
        "named": False,
        "from": None,
        "until": None,
        "encrypted": encrypted,
        "place": place,
    }


def _named_by(network: "Network | None", origin: str, role: str) -> dict[str, dict[str, Any]]:
    """Return the keys that the network document names for a role, and from which entry to which."""
    from node.keys import named_keys  # noqa: PLC0415 - as above

    member = network.members.get(origin) if network is not None else None
    if member is None or role == "record":
        return {}
    if role != "log":
        return {named_keys(member)[role]: {"named": True}}
    starts = [start for start, _, _ in member.log_keys[1:]]
    return {
        key.vkey: {"named": True, "from": start, "until": following if until is None else until}
        for (start, until, key), following in zip(member.log_keys, [*starts, None], strict=True)
    }


def _named(one: dict[str, Any], later: list[dict[str, Any]]) -> str:
    """Say how the network document names a key; ``later`` are those of its role that came after it."""
    if one["role"] == "record":
        return "–"
    if not one["named"]:
        named = [key["place"] for key in later if key["named"]]
        return _("replaced") if any(named) else _("not named") if named else _("not yet")
    if one["from"] is None:
        return _("named")
    if one["until"] is None:
        return _("from entry {start} on", start=one["from"])
    return _("entries {start} to {last}", start=one["from"], last=one["until"] - 1)


def _encrypted(one: dict[str, Any]) -> str:
    return "–" if one["encrypted"] is None else _("yes") if one["encrypted"] else _("no")
