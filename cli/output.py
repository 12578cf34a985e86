"""The only module that prints. Data goes to standard output, everything else to standard error.

What comes from elsewhere (a member's name, a purpose, a node's answer) is shown without characters that could steer
the terminal or turn the direction of writing. JSON is data, and shows every character or its escape.

Where no terminal shows it, what is drawn is neither wrapped nor padded, so that a value stays one piece of one line.

rich, which draws tables and progress, is imported when something is drawn.
"""

import io
import json
import os
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, Protocol, TextIO

import click

from cli.exits import ReaderGoneError
from cli.language import _

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.style import Style
    from rich.table import Table
    from rich.text import Text

WIDTH_DEFAULT = 80  # columns, where nothing tells the terminal's
WIDTH_UNWRAPPED = 1_000_000  # wider than any value
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


def settle() -> None:
    """Give up what can no longer be written, so that the interpreter does not try again and change the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if stream is None:
            continue
        try:
            stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, stream.fileno())
                os.close(null)


class UnwritableError(click.ClickException):
    """Standard output takes nothing: it is closed, or the disk under it is full."""


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


def flush() -> None:
    """Hand on what is still in memory; nothing where there is no standard output."""
    if sys.stdout is not None:
        with _for_a_reader():
            sys.stdout.flush()


def raw(data: bytes) -> None:
    """Print bytes, as they are."""
    with _for_a_reader():
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def note(text: str) -> None:
    """Tell a person something that is not the data asked for."""
    _tell(clean(text))


def error(text: str) -> None:
    """Print what went wrong."""
    _labelled(_("error:"), text, "red")


def hint(text: str) -> None:
    """Print what to do next."""
    _labelled(_("hint:"), text, "cyan")


def show(*parts: "RenderableType") -> None:
    """Draw on standard output what a person asked for."""
    with _for_a_reader():
        if sys.stdout.isatty():
            screen = console()
            for part in parts:
                screen.print(part)
            return
        screen = console(width=None if os.environ.get("COLUMNS") else WIDTH_UNWRAPPED)
        with screen.capture() as drawn:
            for part in parts:
                screen.print(part)
        sys.stdout.writelines(f"{line.rstrip()}\n" for line in drawn.get().removesuffix("\n").split("\n"))
        sys.stdout.flush()


def console(*, stderr: bool = False, width: int | None = None) -> "Console":
    """Return where rich draws: 80 columns wide where nobody looks, without colour where NO_COLOR asks for that."""
    from rich.console import Console  # noqa: PLC0415 - costs more than the rest of the command together

    class Drawing(Console):
        """A console that leaves it to the boundary what becomes of output that nobody takes."""

        def print(self, *objects: Any, **options: Any) -> None:
            with nullcontext() if stderr else _for_a_reader():
                super().print(*objects, **options)

        def on_broken_pipe(self) -> None:
            raise ReaderGoneError

    stream = sys.stderr if stderr else sys.stdout
    if width is None and not (_is_terminal(stream) or os.environ.get("COLUMNS")):
        width = WIDTH_DEFAULT
    return Drawing(file=stream, width=width, highlight=False, markup=False, emoji=False, soft_wrap=False)


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
    from rich.constrain import Constrain  # noqa: PLC0415 - as above
    from rich.rule import Rule  # noqa: PLC0415 - as above

    rule = Rule(words((clean(text), str(style))), align="left", style=FAINT)
    return rule if _is_terminal(sys.stdout) else Constrain(rule, WIDTH_DEFAULT)


@contextmanager
def progress(what: str) -> Iterator[Advance]:
    """Show how far a long work is, on standard error, where that is a terminal."""
    if not _is_terminal(sys.stderr):
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
    coloured = _is_terminal(sys.stderr) and not os.environ.get("NO_COLOR")
    head = click.style(label, fg=colour, bold=True) if coloured else label
    _tell(f"{head} {clean(text)}")


def _tell(text: str) -> None:
    """Write to standard error; where nobody takes it, the exit code still says what there is to say."""
    if sys.stderr is not None:
        with suppress(OSError):
            sys.stderr.write(f"{text}\n")


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()


@contextmanager
def _for_a_reader() -> Iterator[None]:
    """Tell what can be wrong with standard output from other errors: click would take it for its own affair.

    Raises:
        ReaderGoneError: whoever read it has gone.
        UnwritableError: it is closed, or cannot be written.
    """
    if sys.stdout is None:
        raise UnwritableError(_("standard output is closed"))
    try:
        yield
    except BrokenPipeError:
        raise ReaderGoneError from None
    except OSError as error:
        raise UnwritableError(_("standard output cannot be written: {problem}", problem=error.strerror)) from None


def _writes_unicode() -> bool:
    return (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") in {"utf8", "utf16", "utf32"}
