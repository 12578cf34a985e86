"""Transfers from a CSV file: who handed which record to whom, and when.

    record,provider,consumer,occurred_at,activity,channel,operator
    case-891,group-1,group-4,2010-10-02T07:21:26.588Z,T02 Check confirmation of receipt,Internet,Resource26

The first four columns must be there. Further ones are carried along: those that a share has a member for (``purpose``,
``legal_basis``, ``case``, ``resource``, …) become that member, the others labels. A file without ``purpose`` says in
``activity`` what the transfer was for, where it has that column.
"""

import csv
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ledger.encoding import parse_time
from ledger.errors import LedgerError, MalformedError
from node.errors import ConfigError

COLUMNS = ("record", "provider", "consumer", "occurred_at")
ROWS_MAX = 1_000_000
TEXT_MEMBERS = (
    "purpose",
    "legal_basis",
    "case",
    "resource",
    "system",
    "operator",
    "method",
    "mode",
    "grant",
    "payload_digest",
)
NUMBER_MEMBERS = ("rows", "bytes", "calls", "resource_version")
PURPOSE_DEFAULT = "record handed over"
RESOURCE_DEFAULT = "record"


class TransferFileError(MalformedError):
    """The file is not a list of transfers."""

    code = "bad_transfers"
    hint = "the first line names the columns: record,provider,consumer,occurred_at and whatever else there is"


@dataclass(frozen=True, slots=True)
class Transfer:
    """One row."""

    line: int
    record: str
    provider: str
    consumer: str
    members: dict[str, Any]  # what the share says beside consumer, records and parents


def read_transfers(path: Path) -> list[Transfer]:
    """Return the rows of a file in their order.

    Raises:
        TransferFileError: a column is missing, a row cannot be read; the field names the line.
        ConfigError: the file cannot be opened.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            transfers = list(_rows(csv.DictReader(file, strict=True)))
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", field=str(path)) from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise TransferFileError(f"not CSV in UTF-8: {error}", field=str(path)) from None
    if not transfers:
        raise TransferFileError("there is no row", field=str(path))
    return transfers


def by_record(transfers: list[Transfer]) -> dict[str, list[Transfer]]:
    """Return the rows of each record in their order."""
    records: dict[str, list[Transfer]] = defaultdict(list)
    for transfer in transfers:
        records[transfer.record].append(transfer)
    return dict(records)


def departments_of(transfers: list[Transfer]) -> list[str]:
    """Return the departments that a file names, in the order in which they appear."""
    return list(dict.fromkeys(name for one in transfers for name in (one.provider, one.consumer)))


def _rows(reader: "csv.DictReader[str]") -> Iterator[Transfer]:
    columns = reader.fieldnames or []
    missing = [name for name in COLUMNS if name not in columns]
    if missing:
        raise TransferFileError(f"the column {missing[0]} is missing", field="line 1")
    labels = {name: _label(name) for name in columns if name not in (*COLUMNS, *TEXT_MEMBERS, *NUMBER_MEMBERS)}
    for number, row in enumerate(reader):
        if number >= ROWS_MAX:
            raise TransferFileError("too many rows", field=f"line {reader.line_num}", limit=ROWS_MAX)
        if None in row or None in row.values():
            raise TransferFileError("more or fewer values than columns", field=f"line {reader.line_num}")
        yield _transfer(reader.line_num, row, labels)


def _transfer(line: int, row: dict[str, str], labels: dict[str, str]) -> Transfer:
    place = f"line {line}"
    values = {name: value.strip() for name, value in row.items()}
    for name in COLUMNS:
        if not values[name]:
            raise TransferFileError(f"{name} is empty", field=place)
    if values["provider"] == values["consumer"]:
        raise TransferFileError("provider and consumer are the same", field=place)
    try:
        parse_time(values["occurred_at"])
    except LedgerError as error:
        raise TransferFileError(f"occurred_at: {error.message}", field=place) from None
    members: dict[str, Any] = {"occurred_at": values["occurred_at"], "method": "manual", "resource": RESOURCE_DEFAULT}
    members["purpose"] = values.get("activity") or PURPOSE_DEFAULT
    members |= {name: values[name] for name in TEXT_MEMBERS if values.get(name)}
    for name in NUMBER_MEMBERS:
        if values.get(name):
            members[name] = _number(values[name], name, place)
    carried = {label: values[name] for name, label in labels.items() if values.get(name)}
    if carried:
        members["labels"] = carried
    return Transfer(line, values["record"], values["provider"], values["consumer"], members)


def _number(text: str, name: str, place: str) -> int:
    if re.fullmatch(r"0|[1-9][0-9]{0,15}", text) is None:
        raise TransferFileError(f"{name} is not a whole number", field=place)
    return int(text)


def _label(column: str) -> str:
    name = re.sub(r"[^a-z0-9_.-]+", "_", column.strip().lower())
    return name if re.fullmatch(r"[a-z][a-z0-9_.-]{0,63}", name) else f"column_{name.strip('_')[:50]}"
