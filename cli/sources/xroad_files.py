"""Files of X-Road's operational monitoring records: a JSON list, what a security server answers, or JSON lines.

    [{"securityServerType": "Client", …}, …]
    {"records": [{"securityServerType": "Client", …}, …]}
    {"securityServerType": "Client", …}
    {"securityServerType": "Producer", …}

Records are decoded one by one, so that what stands before a damaged place is still read, and in JSON lines also what
stands behind it. A file with a damaged place is not usable all the same: it may lack the other side of a call.
"""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cli.sources.xroad import Sighting, XRoadRecordError, parse_record
from ledger.errors import MalformedError

FILE_BYTES_MAX = 256 * 1024 * 1024  # a security server's day: some 280,000 records of 900 bytes
RECORDS_MAX = 500_000  # of all files of one import: about 1 GB of memory
RECORD_PROBLEMS_MAX = 10_000  # records that cannot be used: so many are no accident, it is another kind of file

_SPACE: Final = re.compile(r"[ \t\r\n]*")
_DECODER: Final = json.JSONDecoder()


class XRoadFileError(MalformedError):
    """A file that cannot be read to its end."""

    code = "bad_xroad_file"
    hint = "export the records anew: a JSON list, or one JSON object per line"


@dataclass(slots=True)
class XRoadFiles:
    """What several files hold."""

    read: int = 0  # records, whatever became of them
    sightings: list[Sighting] = field(default_factory=list)
    problems: list[XRoadRecordError] = field(default_factory=list)  # single records that cannot be used
    damaged: list[XRoadFileError] = field(default_factory=list)  # files that cannot be used


def read_files(paths: list[Path]) -> XRoadFiles:
    """Return the records of all files, and everything that is wrong with them; the fields name file and record."""
    result = XRoadFiles()
    unique = len({path.name for path in paths}) == len(paths)
    for path in paths:
        try:
            _read_file(path, path.name if unique else str(path), result)
        except XRoadFileError as error:
            result.damaged.append(error)
    return result


def _read_file(path: Path, name: str, result: XRoadFiles) -> None:
    for number, value in _records(name, _load(path), result.damaged):
        result.read += 1
        if result.read > RECORDS_MAX:
            raise XRoadFileError("too many records: import fewer files at once", field=name, limit=RECORDS_MAX)
        try:
            result.sightings.append(parse_record(value, f"{name} record {number}"))
        except XRoadRecordError as error:
            result.problems.append(error)
            if len(result.problems) > RECORD_PROBLEMS_MAX:
                raise XRoadFileError(
                    "too many records cannot be used", field=str(path), limit=RECORD_PROBLEMS_MAX
                ) from None


def _load(path: Path) -> str:
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size > FILE_BYTES_MAX:
                raise XRoadFileError("the file is too large: split it", field=str(path), limit=FILE_BYTES_MAX)
            data = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise XRoadFileError(f"cannot be read: {error.strerror}", field=str(path)) from None
    if len(data) > FILE_BYTES_MAX:
        raise XRoadFileError("the file is too large: split it", field=str(path), limit=FILE_BYTES_MAX)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise XRoadFileError(f"not UTF-8 at byte {error.start}", field=str(path)) from None


def _records(name: str, text: str, damaged: list[XRoadFileError]) -> Iterator[tuple[int, Any]]:
    """Give the records of a file with their numbers, from 1 on."""
    start = _skip(text, 0)
    if start == len(text):
        raise XRoadFileError("the file is empty", field=name)
    if text[start] == "[":
        yield from _list(name, text, start)
        return
    answer = re.compile(r'\{[ \t\r\n]*"records"[ \t\r\n]*:[ \t\r\n]*(?=\[)').match(text, start)
    if answer is not None:
        yield from _list(name, text, answer.end(), closing="}")
        return
    yield from _lines(name, text, damaged)


def _list(name: str, text: str, start: int, closing: str = "") -> Iterator[tuple[int, Any]]:
    """Give the items of the list that begins at ``start``."""
    number = 0
    place = _skip(text, start + 1)
    while text[place : place + 1] != "]":
        number += 1
        value, place = _decode(name, text, place, number)
        yield number, value
        place = _skip(text, place)
        separator = text[place : place + 1]
        if separator == ",":
            place = _skip(text, place + 1)
            if text[place : place + 1] == "]":
                raise _damage(name, number + 1, place, "a value is expected")
        elif separator != "]":
            raise _damage(name, number + 1, place, "the list does not end")
    place = _skip(text, place + 1)
    if text[place:].rstrip(" \t\r\n") != closing:
        raise _damage(name, number + 1, place, "something stands behind the list")


def _lines(name: str, text: str, damaged: list[XRoadFileError]) -> Iterator[tuple[int, Any]]:
    """Give the values of the lines, numbered without the empty ones; a damaged line does not lose the others."""
    number = 0
    start = 0
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        place = _skip(text, start)
        if place < end:
            number += 1
            try:
                yield number, _line(name, text[place:end], place, number)
            except XRoadFileError as error:
                damaged.append(error)
                if len(damaged) > RECORD_PROBLEMS_MAX:
                    raise XRoadFileError(
                        "too many records cannot be read", field=name, limit=RECORD_PROBLEMS_MAX
                    ) from None
        start = end + 1


def _line(name: str, line: str, place: int, number: int) -> Any:
    value, end = _decode(name, line, 0, number, offset=place)
    if _skip(line, end) != len(line):
        raise _damage(name, number, place + end, "something stands behind the value")
    return value


def _decode(name: str, text: str, place: int, number: int, *, offset: int = 0) -> tuple[Any, int]:
    """Return the value that begins at ``place``, and where it ends; ``offset`` is the text's own place in the file."""
    try:
        return _DECODER.raw_decode(text, place)
    except json.JSONDecodeError as error:
        raise _damage(name, number, offset + error.pos, error.msg) from None
    except RecursionError:
        raise _damage(name, number, offset + place, "nested too deeply") from None
    except ValueError:  # int() refuses numbers of more than 4,300 digits
        raise _damage(name, number, offset + place, "a number is too long") from None


def _damage(name: str, number: int, place: int, problem: str) -> XRoadFileError:
    return XRoadFileError(f"not JSON at character {place}: {problem}", field=f"{name} record {number}")


def _skip(text: str, place: int) -> int:
    match = _SPACE.match(text, place)
    assert match is not None
    return match.end()
