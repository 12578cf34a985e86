"""``suyuan config show``: every setting in force, and where it comes from. Settings hold no secrets."""

import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli import output
from cli.command import Command
from cli.language import _, noted
from cli.options import config_option, json_option
from cli.session import url_of

if TYPE_CHECKING:
    from node.config import Home

SOURCES = {"environment": noted("environment"), "file": noted("file"), "default": noted("default")}
PREFIX = "SUYUAN_"


@click.command("show", cls=Command)
@config_option
@json_option
def command(config: Path, *, as_json: bool) -> None:
    """Show every setting of a node, its value in force, and where it is set: file, environment, or nowhere."""
    from node.config import load_home  # noqa: PLC0415 - slow to import

    home = load_home(config)
    found = settings_of(home)
    if as_json:
        output.emit(
            {"schema": "suyuan.config/1", "file": str(home.config), "url": url_of(home.settings), "settings": found}
        )
        return
    rows = [(one["name"], _words(one["value"]), _(SOURCES[one["source"]])) for one in found]
    output.show(
        output.pairs([(_("Settings file"), str(home.config)), (_("Address"), url_of(home.settings))]),
        output.table(_("Setting"), _("Value"), _("From"), rows=rows),
    )


def settings_of(home: "Home") -> list[dict[str, Any]]:
    """Return name, value and source of every setting, in the order of the settings file."""
    written = tomllib.loads(home.config.read_text("utf-8"))
    environment = {name.upper() for name in os.environ}
    return [
        {"name": name, "value": _plain(getattr(home.settings, name)), "source": _source(name, written, environment)}
        for name in type(home.settings).model_fields
    ]


def _words(value: Any) -> str:
    if isinstance(value, list):
        return "\n".join(one["origin"] for one in value) or "–"
    return "–" if value is None else str(value)


def _source(name: str, written: dict[str, Any], environment: set[str]) -> str:
    if f"{PREFIX}{name.upper()}" in environment:
        return "environment"
    return "file" if name in written else "default"


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [one.model_dump(mode="json") for one in value]
    return str(value) if isinstance(value, Path) else value
