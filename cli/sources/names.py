"""Whose log a name means: from a map that the operator wrote, else from the network document.

    [members]
    "front-desk" = "police.ordos.example/log"
    "LTT/TEST/TEST2" = "tax.ordos.example/log"

    [purposes]
    "LTT/TEST/TEST2/SUB3" = "payroll check under the agreement of 2026"

A map is TOML as above, or CSV with the columns ``name,origin`` (a file whose name ends in ``.csv``). What no map says
means the member whose origin it is, or who alone is called so, in Chinese or in English. The map wins.
"""

import csv
import io
import tomllib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ledger.errors import MalformedError
from ledger.limits import TEXT_CHARACTERS_MAX
from ledger.network import Network
from node.errors import ConfigError

MAP_BYTES_MAX = 4 * 1024 * 1024  # 5,000 members with a dozen names each
NAME_CHARACTERS_MAX = 2000  # an X-Road identifier has five parts of up to 255 characters
_COLUMNS = ["name", "origin"]
_TABLES = ("members", "purposes")


class MapError(MalformedError):
    """The map cannot be used."""

    code = "bad_map"
    hint = 'a map is TOML, [members] with "name" = "origin" and [purposes] with "name" = "purpose"; or CSV, name,origin'


@dataclass(frozen=True, slots=True)
class NameMap:
    """What the operator wrote."""

    members: Mapping[str, str] = field(default_factory=dict)  # origin by name
    purposes: Mapping[str, str] = field(
        default_factory=dict
    )  # purpose by the name of a service, or the beginning of one


class Members:
    """Finds the log that a name means."""

    def __init__(self, network: Network, names: NameMap) -> None:
        """Join a map and a network document.

        Raises:
            MapError: the map leads to an origin that is no member.
        """
        for name, origin in names.members.items():
            if origin not in network.members:
                raise MapError(f"{origin[:80]!r} is no member of network {network.name}", field=f"members.{name[:80]}")
        self._origins = {**_told_by(network), **names.members}

    def origin(self, name: str) -> str | None:
        """Return the origin of the log that a name means, if that is known."""
        return self._origins.get(name)


def read_map(path: Path) -> NameMap:
    """Return the map in a file.

    Raises:
        MapError: it is no map, or says something twice.
        ConfigError: it cannot be opened.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAP_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", field=str(path)) from None
    if len(data) > MAP_BYTES_MAX:
        raise MapError("the file is too large", field=str(path), limit=MAP_BYTES_MAX)
    try:
        text = data.decode("utf-8-sig")
        tables = {"members": _csv(text)} if path.suffix.lower() == ".csv" else _toml(text)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, csv.Error) as error:
        raise MapError(f"cannot be read: {error}", field=str(path)) from None
    return NameMap(tables.get("members", {}), tables.get("purposes", {}))


def _toml(text: str) -> dict[str, dict[str, str]]:
    document = tomllib.loads(text)
    unknown = next((name for name in document if name not in _TABLES), None)
    if unknown is not None:
        raise MapError(f"there is no table of this name: {' and '.join(_TABLES)} may be there", field=unknown[:80])
    return {name: _checked(name, table) for name, table in document.items()}


def _checked(name: str, table: Any) -> dict[str, str]:
    if not isinstance(table, dict):
        raise MapError("expected a table", field=name)
    pairs: dict[str, str] = {}
    for key, value in table.items():
        place = f"{name}.{key[:80]}"
        limit = TEXT_CHARACTERS_MAX if name == "purposes" else NAME_CHARACTERS_MAX
        if not isinstance(value, str) or not value.strip():
            raise MapError("expected text", field=place)
        _put(pairs, key, value.strip(), place, limit)
    return pairs


def _csv(text: str) -> dict[str, str]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    pairs: dict[str, str] = {}
    if [column.strip() for column in next(reader, [])] != _COLUMNS:
        raise MapError("the first line is name,origin", field="line 1")
    for row in reader:
        place = f"line {reader.line_num}"
        if not row:
            continue
        if len(row) != len(_COLUMNS) or not all(cell.strip() for cell in row):
            raise MapError("expected a name and an origin", field=place)
        _put(pairs, row[0], row[1].strip(), place, NAME_CHARACTERS_MAX)
    return pairs


def _put(pairs: dict[str, str], name: str, value: str, place: str, limit: int) -> None:
    key = unicodedata.normalize("NFC", name.strip())
    if len(key) > NAME_CHARACTERS_MAX or len(value) > limit:
        raise MapError("too long", field=place, limit=NAME_CHARACTERS_MAX if len(key) > NAME_CHARACTERS_MAX else limit)
    if key in pairs:
        raise MapError("this name is there twice", field=place)
    pairs[key] = unicodedata.normalize("NFC", value)


def _told_by(network: Network) -> dict[str, str]:
    """Return the origins by what the network document calls its members; a name of two members means neither."""
    known: dict[str, str | None] = {}
    for origin, member in network.members.items():
        names = {unicodedata.normalize("NFC", name) for name in (member.entry.names.zh, member.entry.names.en)}
        for name in names:
            known[name] = None if name in known else origin
    known |= {origin: origin for origin in network.members}
    return {name: origin for name, origin in known.items() if origin is not None}
