"""The only module that prints. Data goes to standard output, everything else to standard error.

What comes from elsewhere (a member's name, a purpose, a node's answer) is shown without characters that could steer
the terminal or turn the direction of writing. JSON is data, and shows every character or its escape.

rich, which draws tables and progress, is imported when something is drawn.
"""

import io
import json
import os
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import click

from cli.language import _

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.style import Style
    from rich.table import Table
    from rich.text import Text

WIDTH_DEFAULT = 80  # columns, where nothing tells the terminal's
GOOD, BAD, OPEN, FAINT, STRONG = "green", "bold red", "yellow", "dim", "bold"

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


class Advance(Protocol):
    """Tells how much of a long work is done."""

    def __call__(self, done: int, total: int | None = None, what: str | None = None) -> None:
        """Say it; ``what`` names the step where there are several."""


def prepare_streams() -> None:
    """Let no character that a terminal's encoding lacks end the program."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


class ReaderGoneError(Exception):
    """Whoever read standard output has gone."""


def emit(value: Any) -> None:
    """Print a JSON value for a program, whatever the language."""
    data(json.dumps(value, ensure_ascii=not _writes_unicode(), indent=2))


def data(text: str) -> None:
    """Print one line of data, as it is."""
    lines((text,))


def lines(texts: Iterable[str]) -> None:
    """Print lines of data."""
    with _for_a_reader():
        sys.stdout.writelines(f"{text}\n" for text in texts)
        sys.stdout.flush()


def raw(data: bytes) -> None:
    """Print bytes, as they are."""
    with _for_a_reader():
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def note(text: str) -> None:
    """Tell a person something that is not the data asked for."""
    sys.stderr.write(f"{clean(text)}\n")


def error(text: str) -> None:
    """Print what went wrong."""
    _labelled(_("error:"), text, "red")


def hint(text: str) -> None:
    """Print what to do next."""
    _labelled(_("hint:"), text, "cyan")


def show(*parts: "RenderableType") -> None:
    """Draw on standard output what a person asked for."""
    screen = console()
    with _for_a_reader():
        for part in parts:
            screen.print(part)


def console(*, stderr: bool = False) -> "Console":
    """Return where rich draws: 80 columns wide where nobody looks, without colour where NO_COLOR asks for that."""
    from rich.console import Console  # noqa: PLC0415 - costs more than the rest of the command together

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or os.environ.get("COLUMNS") else WIDTH_DEFAULT
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False, soft_wrap=False)


def words(*parts: "str | tuple[str, str] | Text") -> "Text":
    """Return text made of pieces, each with its style or without; hostile characters are replaced."""
    from rich.text import Text  # noqa: PLC0415 - as above

    text = Text()
    for part in parts:
        if isinstance(part, tuple):
            text.append(clean(part[0]), style=part[1])
        elif isinstance(part, str):
            text.append(clean(part))
        else:
            text.append_text(part)
    return text


def table(*headings: str, rows: Sequence[Sequence["str | Text"]], right: Sequence[int] = ()) -> "Table":
    """Return a table; ``right`` has the numbers of the columns that hold numbers."""
    from rich import box  # noqa: PLC0415 - as above
    from rich.table import Table  # noqa: PLC0415 - as above

    drawn = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style=STRONG)
    for number, heading in enumerate(headings):
        drawn.add_column(words(heading), justify="right" if number in right else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(words(cell) if isinstance(cell, str) else cell for cell in row))
    return drawn


def member(log: str, names: Mapping[str, str]) -> "Text":
    """Return a member in two lines: its name, where it is known, and its log."""
    return words(f"{names[log]}\n", (log, FAINT)) if log in names else words(log)


def pairs(rows: Sequence[tuple[str, "str | Text"]], *, indent: int = 0, first: int | None = None) -> "Table":
    """Return names and values in two columns; ``first`` is the width of the names where tables must align."""
    from rich.table import Table  # noqa: PLC0415 - as above

    drawn = Table.grid(padding=(0, 2, 0, 0))
    if indent:
        drawn.add_column(width=indent - 2)
    drawn.add_column(style=FAINT, no_wrap=first is None, width=first)
    drawn.add_column(overflow="fold")
    for name, value in rows:
        cells = [words(name), words(value) if isinstance(value, str) else value]
        drawn.add_row(*([words(), *cells] if indent else cells))
    return drawn


def heading(text: str, *, style: "str | Style" = STRONG) -> "RenderableType":
    """Return a heading with a line through the rest of its row."""
    from rich.rule import Rule  # noqa: PLC0415 - as above

    return Rule(words((clean(text), str(style))), align="left", style=FAINT)


@contextmanager
def progress(what: str) -> Iterator[Advance]:
    """Show how far a long work is, on standard error, where that is a terminal."""
    if not sys.stderr.isatty():
        yield _unseen
        return
    from rich.progress import Progress  # noqa: PLC0415 - as above

    with Progress(console=console(stderr=True), transient=True) as bar:
        task = bar.add_task(clean(what), total=None)

        def advance(done: int, total: int | None = None, what: str | None = None) -> None:
            bar.update(task, completed=done, total=total, description=what)

        yield advance


def moment(time: str | None) -> str:
    """Return a time of the protocol as people read it, to the second; empty for none."""
    return f"{time[:10]} {time[11:19]}" if time else ""


def clean(text: str) -> str:
    """Return a text without characters that steer a terminal, hide, or turn the direction of writing."""
    if text.isascii() and text.isprintable():
        return text
    return "".join("�" if unicodedata.category(one) in _HIDDEN and one != "\n" else one for one in text)


def _unseen(done: int, total: int | None = None, what: str | None = None) -> None:
    del done, total, what


def _labelled(label: str, text: str, colour: str) -> None:
    coloured = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    head = click.style(label, fg=colour, bold=True) if coloured else label
    sys.stderr.write(f"{head} {clean(text)}\n")


@contextmanager
def _for_a_reader() -> Iterator[None]:
    """Tell a reader who has gone from other errors: click would take it for its own affair."""
    try:
        yield
    except BrokenPipeError:
        raise ReaderGoneError from None


def _writes_unicode() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") in {"utf8", "utf16", "utf32"}
