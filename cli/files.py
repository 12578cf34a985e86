"""Files that a command reads and writes."""

import sys
from pathlib import Path

import click

from cli.language import _

FILE_BYTES_MAX = 256 * 1024 * 1024  # the largest evidence file
STDIN = Path("-")


def read_file(path: Path, bytes_max: int = FILE_BYTES_MAX) -> bytes:
    """Return a file's bytes; ``-`` is standard input.

    Raises:
        click.UsageError: it cannot be read, or is too large to be what it should be.
    """
    try:
        if path == STDIN:
            data = sys.stdin.buffer.read(bytes_max + 1)
        else:
            with path.open("rb") as file:
                data = file.read(bytes_max + 1)
    except OSError as error:
        raise click.UsageError(_("{path} cannot be read: {problem}", path=path, problem=error.strerror)) from None
    if len(data) > bytes_max:
        raise click.UsageError(_("{path} is larger than {limit} bytes", path=path, limit=bytes_max))
    return data


def write_file(path: Path, data: bytes) -> None:
    """Replace a file, so that an interruption leaves the old one or the new one whole.

    Raises:
        click.UsageError: it cannot be written.
    """
    fresh = path.with_name(f"{path.name}.new")
    try:
        fresh.write_bytes(data)
        fresh.replace(path)
    except OSError as error:
        raise click.UsageError(_("{path} cannot be written: {problem}", path=path, problem=error.strerror)) from None
