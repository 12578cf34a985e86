"""The passphrase of key files, where neither environment nor settings have it: asked for on the terminal."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.language import _

if TYPE_CHECKING:
    from node.config import Home
    from node.keyfile import Lock


def home_of(config: Path, *, new: bool = False) -> "Home":
    """Return a node's home; ``new``: a passphrase that is asked for closes files, so it is asked for twice."""
    from node.config import load_home  # noqa: PLC0415 - slow to import

    home = load_home(config)
    home.lock.sources.append(lambda: ask_new(home.keys) if new else ask(home.keys))
    return home


def lock_of(path: Path, *, new: bool = False) -> "Lock":
    """Return what opens one key file, a governor's for instance; ``new`` as above."""
    from node.keyfile import Lock, from_environment  # noqa: PLC0415 - nacl is slow to import

    return Lock(from_environment, lambda: ask_new(path) if new else ask(path))


def ask(path: Path) -> str | None:
    """Ask for the passphrase of ``path`` on the terminal, without showing it; None where there is no terminal."""
    return _prompt(_("Passphrase of {path}", path=path), again=False)


def ask_new(path: Path) -> str | None:
    """Ask for a new passphrase, twice; None where there is no terminal."""
    return _prompt(_("New passphrase for {path}", path=path), again=_("The same again"))


def _prompt(words: str, *, again: str | bool) -> str | None:
    if not _has_terminal():
        return None
    said: str = click.prompt(words, hide_input=True, err=True, confirmation_prompt=again)
    return said


def _has_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()
