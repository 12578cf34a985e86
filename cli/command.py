r"""Commands and options as click has them, with two additions: they speak the reader's language, and groups are lazy.

A lazy group knows the name, the module and one line of each command; the module is imported when the command runs or
shows its own help. So ``suyuan --help`` costs the import of click alone.

A command's help is its docstring. Each of its paragraphs is one message of the catalogue; a paragraph that begins
with ``\b`` holds examples and is shown as it stands.
"""

import importlib
import inspect
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import click
from click.shell_completion import CompletionItem

from cli.exits import ReaderGoneError
from cli.language import LANGUAGES, _, noted

VERBATIM = ("\b", r"\b")  # as click marks it, in a docstring or in a raw one

# White space; one wide character with the punctuation that must not begin a line; a run of anything else.
_WIDE = r"[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\uffe0-\uffe6]"
_CLOSING = "[，。；：！？、）》」』]*"
_PIECES = re.compile(rf"\s+|{_WIDE}{_CLOSING}|(?:(?!{_WIDE})\S)+{_CLOSING}")
_WIDE_CLASSES = frozenset("WF")


class Entry(NamedTuple):
    """A command that a lazy group has: where it is, and its line in the list."""

    name: str
    module: str  # its attribute ``command`` is the command
    line: str


class Formatter(click.HelpFormatter):
    """Help in the reader's language, wrapped by the width of characters: a Chinese one takes two columns."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """Write the usage line."""
        super().write_usage(prog, args, prefix or _("Usage:") + " ")

    def write_heading(self, heading: str) -> None:
        """Write a section's heading."""
        self.write(f"{'':>{self.current_indent}}{_(heading)}{_(':')}\n")

    def write_text(self, text: str) -> None:
        """Write one paragraph."""
        indent = " " * self.current_indent
        self.write("".join(f"{indent}{line}\n" for line in wrap(text, self.width - self.current_indent)))

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Write terms and what they mean in two columns."""
        rows = list(rows)
        first = min(max((columns(term) for term, _ in rows), default=0), col_max) + col_spacing
        indent = " " * self.current_indent
        for term, meaning in rows:
            lines = wrap(meaning, max(self.width - first - self.current_indent, 20))
            head = indent + term
            if lines and columns(term) <= first - col_spacing:
                head += " " * (first - columns(term)) + lines.pop(0)
            self.write(head + "\n")
            self.write("".join(f"{indent}{'':{first}}{line}\n" for line in lines))


class Context(click.Context):
    """A context whose help is ours."""

    formatter_class = Formatter


class Option(click.Option):
    """An option whose help is translated when it is shown."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return the option as it is written, and what it means."""
        record = super().get_help_record(ctx)
        if record is None:
            return None
        extras = []
        if self.required:
            extras.append(_("required"))
        if isinstance(self.envvar, str):
            extras.append(self.envvar)
        if self.show_default and self.default is not None:
            extras.append(_("default {value}", value=self.default))
        said = _(self.help or "")
        return record[0], f"{said} [{', '.join(extras)}]" if extras else said


class Command(click.Command):
    """A command that speaks the reader's language and has the options that every command has."""

    context_class = Context

    def __init__(self, *args: Any, top: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += common_options(hidden=not top)

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """Return ``--help``, its own help in the reader's language."""
        found = super().get_help_option(ctx)
        if found is not None:
            found.help = _("Show this page and exit.")
            found.callback = _print_help
        return found

    def get_short_help_str(self, limit: int = 45) -> str:
        """Return the first sentence of the help."""
        del limit
        return next(iter(paragraphs(self.help)), "")

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the whole page: usage, what the command does, its options."""
        self.format_usage(ctx, formatter)
        self.format_help_text(ctx, formatter)
        self.format_options(ctx, formatter)

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the paragraphs, each in the reader's language, and the examples as they are."""
        del ctx
        for paragraph in paragraphs(self.help):
            formatter.write_paragraph()
            with formatter.indentation():
                if paragraph.startswith(VERBATIM):
                    formatter.write("".join(f"  {line}\n" for line in paragraph.splitlines()[1:]))
                else:
                    formatter.write_text(_(paragraph))


def _print_help(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's callback
    """Print the page; say so where it cannot be printed, instead of failing or saying nothing."""
    del parameter
    if not value or ctx.resilient_parsing:
        return
    if sys.stdout is None:
        raise click.ClickException(_("standard output is closed"))
    try:
        click.echo(ctx.get_help(), color=ctx.color)
    except BrokenPipeError:
        raise ReaderGoneError from None  # click would exit with 1, which here means: not verified
    except OSError as error:
        raise click.ClickException(_("standard output cannot be written: {problem}", problem=error.strerror)) from None
    ctx.exit()


class Group(Command, click.Group):
    """A group of commands that are imported when they are needed."""

    def __init__(self, *args: Any, sections: Sequence[tuple[str, Sequence[Entry]]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sections = sections
        self.entries = {entry.name: entry for _, entries in sections for entry in entries}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the sections."""
        del ctx
        return list(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        del ctx
        entry = self.entries.get(cmd_name)
        if entry is None:
            return None
        command: click.Command = importlib.import_module(entry.module).command
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take the arguments; without any, ask for the help of a group that can do nothing by itself."""
        if not args and not self.invoke_without_command and not ctx.resilient_parsing:
            raise HelpWantedError(ctx)
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command of the arguments; an unknown name has the names that it may have meant."""
        name = args[0]
        if name not in self.entries and not name.startswith("-") and not ctx.resilient_parsing:
            raise UnknownCommandError(name, self.list_commands(ctx), ctx)
        return super().resolve_command(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, then the options."""
        self.format_commands(ctx, formatter)
        super(click.Group, self).format_options(ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands by section, without importing any."""
        del ctx
        for heading, entries in self.sections:
            with formatter.section(heading):
                formatter.write_dl([(entry.name, _(entry.line)) for entry in entries])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the name of a command, without importing any."""
        names = [CompletionItem(e.name, help=_(e.line)) for e in self.entries.values() if e.name.startswith(incomplete)]
        return names + super(click.Group, self).shell_complete(ctx, incomplete)


class HelpWantedError(click.UsageError):
    """A group was called without a command: its help says which there are."""

    def __init__(self, ctx: click.Context) -> None:
        super().__init__(ctx.get_help(), ctx)


class UnknownCommandError(click.UsageError):
    """There is no command of that name."""

    def __init__(self, name: str, known: Sequence[str], ctx: click.Context) -> None:
        super().__init__(_("there is no command {name}", name=name), ctx)
        self.name = name
        self.known = known


class UnknownNameError(click.UsageError):
    """There is nothing of that name among the things that the arguments speak of."""

    def __init__(self, message: str, near: Sequence[str]) -> None:
        super().__init__(message, click.get_current_context(silent=True))
        self.near = near


def option(*names: str, **attributes: Any) -> Callable[[Any], Any]:
    """Return the decorator that gives a command an option."""
    attributes.setdefault("cls", Option)
    return click.option(*names, **attributes)


def common_options(*, hidden: bool) -> list[click.Parameter]:
    """Return the options that every command takes; cli/main.py reads them before anything else."""
    return [
        Option(
            ["--lang"], type=click.Choice(LANGUAGES), hidden=hidden, expose_value=False,
            help=noted("Language for people, as with SUYUAN_LANG; what programs read stays the same."),
        ),
        Option(
            ["--debug"], is_flag=True, hidden=hidden, expose_value=False,
            help=noted("Show where in the software an error comes from, as with SUYUAN_DEBUG=1."),
        ),
    ]  # fmt: skip


def paragraphs(text: str | None) -> list[str]:
    r"""Return the paragraphs of a docstring, each as one line; those that begin with ``\b`` as they are."""
    parts = inspect.cleandoc(text or "").split("\f")[0].split("\n\n")
    return [part if part.startswith(VERBATIM) else " ".join(part.split()) for part in parts if part.strip()]


def columns(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    return sum(2 if unicodedata.east_asian_width(character) in _WIDE_CLASSES else 1 for character in text)


def wrap(text: str, width: int) -> list[str]:
    """Return a text in lines of at most ``width`` columns; between Chinese characters a line may end anywhere."""
    lines: list[str] = []
    line = ""
    for piece in _PIECES.findall(text):
        if line and columns(line + piece.rstrip()) > width:
            lines.append(line.rstrip())
            line = ""
        if line or not piece.isspace():
            line += " " if piece.isspace() else piece
    return [*lines, line.rstrip()] if line else lines
