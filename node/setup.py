"""Making a node's folder, and joining it to a network (the only places where a store is created)."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ledger.encoding import encode_base64
from ledger.event import KeyRotate
from ledger.event.base import parse_model
from ledger.network import MemberEntry, parse_network
from ledger.store import create_store, sync_directory
from ledger.versions import split_versions, verify_chain
from node.config import Home, load_home, make_settings, settings_toml
from node.errors import ConfigError
from node.keyfile import Source
from node.keys import ROLES, KeyRing, NodeKeys, generate_keys, key_files, load_elsewhere, load_ring


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a department says of itself when it asks to be a member."""

    origin: str
    name_zh: str
    name_en: str
    level: str
    region: str
    roles: tuple[str, ...]
    url: str
    code: str | None = None


def create_home(
    folder: Path,
    values: dict[str, Any],
    *,
    random: Callable[[int], bytes],
    store: str | None = None,
    passphrase: Source | None = None,
) -> Home:
    """Make a node's folder: settings, keys, an empty store; ``random`` gives that many secret bytes.

    With ``passphrase``, the keys are closed with one: with that of the environment or the settings, or else with it.

    Raises:
        ConfigError: a value cannot be used, or there is a node in that folder already.
        StoreError: the store cannot be made.
    """
    settings = make_settings(values, "settings")
    home = Home(folder.resolve(), settings)
    if home.config.exists():
        raise ConfigError("there is a node in this folder already", field=str(folder), hint="choose another folder")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if passphrase is not None:
            home.lock.sources.append(passphrase)
        generate_keys(home.keys, settings.origin, random, home.lock if passphrase is not None else None)
        create_store(home.data, kind=store).close()
        _write_settings(home)
    except OSError as error:
        raise ConfigError(f"cannot be made: {error.strerror}", field=str(folder)) from None
    return home


def rebuild_store(home: Home, *, store: str | None = None) -> None:
    """Make an empty store in a folder that has lost its own, for the peers to fill; keys and settings stay.

    Raises:
        ConfigError: there is something where the store would be, no network to fill it from, or other keys.
        StoreError: the store cannot be made.
    """
    if home.data.exists():
        raise ConfigError(
            "there is a store already; nothing was changed", field=str(home.data),
            hint="stop the node, and move the damaged folder aside, but keep it",
        )  # fmt: skip
    if home.settings.fingerprint is None:
        raise ConfigError(
            "no network is joined yet: nobody could fill the store", field="fingerprint",
            hint="suyuan init DIR --network FILE --fingerprint HEX",
        )  # fmt: skip
    ring_of(home)
    create_store(home.data, kind=store).close()


def join_network(home: Home, document: bytes, fingerprint: str) -> Home:
    """Put a network document into a node's folder, pinned by its fingerprint, and return the home as it is then.

    Raises:
        VerificationError, MalformedError: the document does not lead back to the fingerprint.
        ConfigError: it does not have this department with these keys, or another network is joined already.
    """
    network = verify_chain(document, fingerprint)
    pinned = home.settings.fingerprint
    if pinned is not None and pinned != fingerprint:
        raise ConfigError(
            "this node has joined another network already",
            field="fingerprint",
            hint="make a new folder with suyuan init",
        )
    member = network.members.get(home.settings.origin)
    if member is None:
        raise ConfigError(f"network {network.name} has no member {home.settings.origin}", field="origin")
    ring_of(home).select(member)
    if home.network.exists():
        _refuse_older(home.network.read_bytes(), document)
    settings = home.settings.model_copy(update={"fingerprint": fingerprint})
    joined = Home(home.folder, settings)
    replace_file(joined.network, document)
    _write_settings(joined)
    return load_home(joined.config)


def _refuse_older(present: bytes, document: bytes) -> None:
    """Refuse a document that does not begin with every version that this node has acted under.

    Raises:
        ConfigError: it is older, or another one: going back would undo what governors have decided.
    """
    have = [parse_network(one).text_hash for one in split_versions(present)]
    given = [parse_network(one).text_hash for one in split_versions(document)]
    if given[: len(have)] != have:
        raise ConfigError(
            f"the document ends at version {len(given)} and does not continue this node's version {len(have)}",
            field="network",
            hint="get the newest network document from a governor or a peer: GET /v1/network",
        )


def ring_of(home: Home) -> KeyRing:
    """Return all keys of a node.

    Raises:
        ConfigError, SignerError: as :func:`node.keys.load_ring`.
    """
    return load_ring(home.keys, home.settings.origin, lock=home.lock, uris=home.key_uris)


def member_entry(keys: NodeKeys, profile: Profile) -> MemberEntry:
    """Return a department's entry in the network document, made of its public keys.

    Raises:
        EventError, LimitError: a value that the document cannot have, with its name.
    """
    value: dict[str, Any] = {
        "origin": profile.origin,
        "names": {"zh": profile.name_zh, "en": profile.name_en},
        "level": profile.level,
        "region": profile.region,
        "roles": list(profile.roles),
        "url": profile.url,
        "log_keys": [{"key": keys.log.verifier.vkey, "from": 0}],
        "cosigner": keys.cosigner.verifier.vkey,
        "transport": keys.transport.verifier.vkey,
        "sealing": encode_base64(keys.sealing_public),
        "status": "active",
    }
    if profile.code is not None:
        value["code"] = profile.code
    return parse_model(MemberEntry, value)


def rotated_entry(entry: MemberEntry, announced: Sequence[KeyRotate]) -> MemberEntry:
    """Return a department's entry for the next version of the network document, with the keys that it has announced.

    Raises:
        EventError, LimitError: a value that the document cannot have, with its name.
    """
    value = member_json(entry)
    for event in announced:
        if event.role == "log":
            assert event.start is not None
            *former, last = value["log_keys"]
            value["log_keys"] = [*former, {**last, "until": event.start}, {"key": event.key, "from": event.start}]
        else:
            value[event.role] = event.key
    return parse_model(MemberEntry, value)


def public_keys(home: Home) -> dict[str, tuple[str, ...]]:
    """Return the public halves of all keys of a node by role, oldest first; no key file is opened for it.

    Raises:
        ConfigError, SignerError: as :func:`node.keys.load_ring`.
    """
    uris = home.key_uris
    files = key_files(home.keys, home.settings.origin, [role for role in ROLES if role not in uris])
    publics = {role: tuple(file.public for file in files if file.role == role) for role in ROLES}
    elsewhere = {
        role: load_elsewhere(role, uri, home.keys, home.settings.origin, home.lock) for role, uri in uris.items()
    }
    return {**publics, **{role: tuple(key.verifier.vkey for key in keys) for role, keys in elsewhere.items()}}


def member_json(entry: MemberEntry) -> dict[str, Any]:
    """Return a member's entry as the network document writes it."""
    return entry.model_dump(by_alias=True, exclude_none=True)


def _write_settings(home: Home) -> None:
    replace_file(home.config, settings_toml(home.settings).encode())


def replace_file(path: Path, data: bytes) -> None:
    """Write a file so that a crash leaves the old one or the new one, each of them whole."""
    fresh = path.with_name(f"{path.name}.new")
    with fresh.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    sync_directory(path.parent)
