"""``suyuan keys encrypt``, and what it has in common with ``suyuan keys decrypt``."""

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli import output
from cli.command import Command, option
from cli.language import _, noted, plural
from cli.options import CONFIG, FILE
from cli.unlocking import home_of, lock_of

if TYPE_CHECKING:
    from node.keyfile import Lock
    from node.keys import KeyFile


def files_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say which key files it changes."""
    folder = option(
        "--config", type=CONFIG, envvar="SUYUAN_CONFIG", help=noted("The node's folder, or its settings file.")
    )
    with_files: Callable[..., Any] = click.argument("files", metavar="[FILE]…", nargs=-1, type=FILE)(folder(function))
    return with_files


@click.command("encrypt", cls=Command)
@files_options
def command(files: tuple[Path, ...], config: Path | None) -> None:
    r"""Encrypt key files with a passphrase: all of a node's, or the governors' keys that are named.

    The passphrase comes from SUYUAN_PASSPHRASE, from the file that the setting passphrase_file names, or from the
    terminal. Without it the keys are lost: keep it apart from them, and not in one head alone.

    Files that are encrypted already must open with the same passphrase. What was stored unencrypted before may still be
    on the disk and in backups.

    \b
    suyuan keys encrypt --config police
    suyuan keys encrypt governor-1.key
    """
    from node.keys import close_files  # noqa: PLC0415 - nacl is slow to import

    done = 0
    for group, lock in chosen(files, config, new=True):
        done += len(close_files(group, lock, secrets.token_bytes))
    output.note(plural(done, "{count} key file is encrypted.", "{count} key files are encrypted."))


def chosen(files: tuple[Path, ...], config: Path | None, *, new: bool) -> "list[tuple[list[KeyFile], Lock]]":
    """Return the key files that a command is about, together with what opens and closes them.

    Raises:
        click.UsageError: it is said neither which files nor which node's, or both.
        ConfigError: a file cannot be used.
    """
    from node.keys import ROLES, governor_file, key_files  # noqa: PLC0415 - nacl is slow to import

    if files:
        return [([governor_file(path)], lock_of(path, new=new and _is_open(path))) for path in files]
    if config is None:
        raise click.UsageError(_("which keys? Give --config with the node's folder, or key files"))
    home = home_of(config)
    here = [role for role in ROLES if role not in home.key_uris]
    found = key_files(home.keys, home.settings.origin, here)
    if new and all(file.closed is None for file in found):
        home = home_of(config, new=True)
    return [(found, home.lock)]


def _is_open(path: Path) -> bool:
    from node.keys import governor_file  # noqa: PLC0415 - as above

    return governor_file(path).closed is None
