"""Transfers from a CSV file: who handed which record to whom, and when.

    record,provider,consumer,occurred_at,activity,channel,operator
    case-891,group-1,group-4,2010-10-02T07:21:26.588Z,T02 Check confirmation of receipt,Internet,Resource26

The first four columns must be there. Further ones are carried along: those that a share has a member for (``purpose``,
``legal_basis``, ``case``, ``resource``, …) become that member, the others labels. A file without ``purpose`` says in
``activity`` what the transfer was for, where it has that column.
"""

import csv
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ledger.encoding import parse_time
from ledger.errors import LedgerError, MalformedError
from node.errors import ConfigError

COLUMNS = ("record", "provider", "consumer", "occurred_at")
FILE_BYTES_MAX = 512 * 1024 * 1024  # a million rows of 500 bytes
ROWS_MAX = 1_000_000
ILLEGIBLE_SHOWN_MAX = 10  # rows that cannot be read; who mends them one by one need not see all at once
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
    hint = "the first line names the columns: record,provider,consumer,occurred_at and whatever is to be carried along"


@dataclass(frozen=True, slots=True)
class Transfer:
    """One row. Its first four columns can be read; ``problem`` says what is wrong with the further ones."""

    line: int
    record: str
    provider: str
    consumer: str
    members: dict[str, Any]  # what the share says beside consumer, records and parents
    problem: TransferFileError | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A file: its rows in their order, and the label that each further column becomes."""

    transfers: list[Transfer]
    labels: dict[str, str]


def read_transfers(path: Path) -> list[Transfer]:
    """Return the rows of a file in their order.

    Raises:
        TransferFileError: a column is missing, a row cannot be read; the field names the line.
        ConfigError: the file cannot be opened.
    """
    transfers = read_table(path).transfers
    problem = next((one.problem for one in transfers if one.problem is not None), None)
    if problem is not None:
        raise problem
    return transfers


def read_table(path: Path) -> Table:
    """Return the rows of a file in their order, those too whose further columns cannot be read.

    Raises:
        TransferFileError: the file is not usable: no CSV, too large, a column is missing, no row, or a row whose
            first four columns cannot be read. What rests on what hangs on those, so then no row is to be trusted.
        ConfigError: it cannot be opened.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if os.fstat(file.fileno()).st_size > FILE_BYTES_MAX:
                raise TransferFileError("the file is too large: split it", field=str(path), limit=FILE_BYTES_MAX)
            table = _read(csv.DictReader(file, strict=True))
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", field=str(path)) from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise TransferFileError(f"not CSV in UTF-8: {error}", field=str(path)) from None
    if not table.transfers:
        raise TransferFileError("there is no row", field=str(path))
    return table


def by_record(transfers: list[Transfer]) -> dict[str, list[Transfer]]:
    """Return the rows of each record in their order."""
    records: dict[str, list[Transfer]] = defaultdict(list)
    for transfer in transfers:
        records[transfer.record].append(transfer)
    return dict(records)


def departments_of(transfers: list[Transfer]) -> list[str]:
    """Return the departments that a file names, in the order in which they appear."""
    return list(dict.fromkeys(name for one in transfers for name in (one.provider, one.consumer)))


def _read(reader: "csv.DictReader[str]") -> Table:
    table = Table([], _labels(reader.fieldnames or []))
    illegible: list[TransferFileError] = []
    for number, row in enumerate(reader):
        if number >= ROWS_MAX:
            raise TransferFileError("too many rows: split the file", field=f"line {reader.line_num}", limit=ROWS_MAX)
        try:
            table.transfers.append(_transfer(reader.line_num, row, table.labels))
        except TransferFileError as error:
            illegible.append(error)
            if len(illegible) == ILLEGIBLE_SHOWN_MAX:
                break
    if illegible:
        first, *others = illegible
        if others:
            first.message += f" (and so at {', '.join(str(error.field) for error in others)})"
        raise first
    return table


def _labels(columns: Sequence[str]) -> dict[str, str]:
    """Return the label of each column that no member takes; what is left out or there twice is refused."""
    missing = [name for name in COLUMNS if name not in columns]
    if missing:
        raise TransferFileError(f"the column {missing[0]} is missing", field="line 1")
    labels: dict[str, str] = {}
    for position, name in enumerate(columns, 1):
        if columns.index(name) != position - 1:
            raise TransferFileError(f"the column {name[:40]!r} is there twice", field="line 1")
        if name in (*COLUMNS, *TEXT_MEMBERS, *NUMBER_MEMBERS):
            continue
        label = _label(name, position)
        if label in labels.values():
            raise TransferFileError(
                f"the column {name[:40]!r} and one before it would be the same label {label}", field="line 1"
            )
        labels[name] = label
    return labels


def _transfer(line: int, row: dict[str, str], labels: dict[str, str]) -> Transfer:
    """Return a row.

    Raises:
        TransferFileError: one of its first four columns cannot be read.
    """
    place = f"line {line}"
    if None in row or None in row.values():
        raise TransferFileError("more or fewer values than columns", field=place)
    values = {name: unicodedata.normalize("NFC", value.strip()) for name, value in row.items()}
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
    problem = _add_numbers(members, values, place)
    carried = {label: values[name] for name, label in labels.items() if values.get(name)}
    if carried:
        members["labels"] = carried
    return Transfer(line, values["record"], values["provider"], values["consumer"], members, problem)


def _add_numbers(members: dict[str, Any], values: dict[str, str], place: str) -> TransferFileError | None:
    """Add the members that are numbers; return what is wrong with one of them."""
    for name in NUMBER_MEMBERS:
        text = values.get(name)
        if not text:
            continue
        if re.fullmatch(r"0|[1-9][0-9]{0,15}", text) is None:
            return TransferFileError(f"{name} is not a whole number", field=place)
        members[name] = int(text)
    return None


def _label(column: str, position: int) -> str:
    """Return a column's name as a label: ``Channel`` is ``channel``; what no label can spell goes by its position."""
    name = re.sub(r"[^a-z0-9_.-]+", "_", column.strip().lower())
    if re.fullmatch(r"[a-z][a-z0-9_.-]{0,63}", name):
        return name
    return f"column_{name.strip('_')[:50] or position}"
