"""Command lines in documents: find those of `suyuan` in a piece of shell, and hold them against the command itself.

    $ suyuan share --help | less      → ["share", "--help"]
    PORT=8001 .venv/bin/suyuan run &  → ["run"]

Only names are held against it, not values: a document may name files that are not there.
"""

import functools
import importlib
import re
import shlex
from collections.abc import Iterator

import click

COMMAND = "suyuan"
BEFORE = frozenset({"!", "$", "do", "exec", "nohup", "sudo", "then", "time", "uvx"})  # a command follows these
ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
PLACEHOLDER = re.compile(r"[<\[{…]|\.\.\.|[A-Z]+$")  # `<file>`, `[options]`, `…`, `FILE`


def command_lines(shell: str, *, prompted: bool) -> Iterator[tuple[int, list[str]]]:
    """Yield the line, counted from 0, and the arguments of each call of `suyuan`.

    ``prompted`` shell shows output too: only its lines that begin with a prompt `$` are commands.
    """
    lines = shell.splitlines()
    number = 0
    while number < len(lines):
        start, text = number, lines[number].strip()
        number += 1
        if prompted and not text.startswith("$ "):
            continue
        while (words := _split(text)) is None and number < len(lines):
            text = text.removesuffix("\\") + "\n" + lines[number]
            number += 1
        for command in _commands(words or text.split()):
            yield start, command


def _split(text: str) -> list[str] | None:
    """Return the words of a command line, or None when it goes on in the next one."""
    if text.endswith("\\"):
        return None
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        return list(lexer)
    except ValueError:
        return None


def _commands(words: list[str]) -> Iterator[list[str]]:
    command: list[str] = []
    for word in [*words, ";"]:
        if not set(word) <= set("();<>|&"):
            command.append(word)
            continue
        while command and (command[0] in BEFORE or ASSIGNMENT.match(command[0])):
            del command[0]
        if command and command[0].rpartition("/")[2] == COMMAND:
            yield command[1:]
        command = []


def problem_of(arguments: list[str]) -> str | None:
    """Return what `suyuan` does not have of a call with these arguments, or None."""
    command: click.Command = _app()
    context = click.Context(command, info_name=COMMAND)
    positional = 0
    remaining = iter(arguments)
    for word in remaining:
        if word == "--":
            break
        if word.startswith("-") and word != "-":
            if (missing := _option_problem(context, word, remaining)) is not None:
                return missing
        elif isinstance(command, click.Group):
            if PLACEHOLDER.match(word):
                return None
            subcommand = command.get_command(context, word)
            if subcommand is None:
                return f"there is no command {context.command_path} {word}"
            command = subcommand
            context = click.Context(command, info_name=word, parent=context)
        else:
            positional += 1
    most = [parameter.nargs for parameter in command.params if isinstance(parameter, click.Argument)]
    if not isinstance(command, click.Group) and -1 not in most and positional > sum(most):
        return f"{context.command_path} takes {sum(most)} arguments, not {positional}"
    return None


def _option_problem(context: click.Context, word: str, remaining: Iterator[str]) -> str | None:
    """Return why ``word`` is no option here, or None; take the option's values from ``remaining``."""
    options = {
        name: parameter
        for parameter in context.command.get_params(context)
        if isinstance(parameter, click.Option)
        for name in (*parameter.opts, *parameter.secondary_opts)
    }
    name, _, given = word.partition("=") if word.startswith("--") else (word[:2], "", word[2:])
    option = options.get(name)
    if option is None:
        return f"{context.command_path} has no option {name}"
    if option.is_flag or option.count:
        return _option_problem(context, f"-{given}", remaining) if given and not word.startswith("--") else None
    for _ in range(option.nargs - bool(given)):
        next(remaining, None)
    return None


@functools.cache
def _app() -> click.Group:
    """Return the command, as documented: the click group `app` of cli.main.

    Raises:
        SystemExit: there is none, so no document can be right about it.
    """
    try:
        app = importlib.import_module("cli.main").app
    except (ImportError, AttributeError) as error:
        raise SystemExit(f"error: the documents speak of {COMMAND}, and cli.main has no `app`: {error}") from error
    if not isinstance(app, click.Group):
        raise SystemExit(f"error: cli.main.app is {type(app).__name__}, not a click Group")
    return app
