"""``suyuan token list``."""

from pathlib import Path

import click

from cli import output
from cli.command import Command
from cli.language import _
from cli.options import config_option, json_option


@click.command("list", cls=Command)
@config_option
@json_option
def command(config: Path, *, as_json: bool) -> None:
    """List the tokens that a node knows: names, roles and times, never the tokens themselves."""
    from ledger.encoding import JsonObject, format_time  # noqa: PLC0415 - slow to import
    from node.clock import SystemClock  # noqa: PLC0415 - as above
    from node.config import load_home  # noqa: PLC0415 - as above
    from node.tokens import TokenFile  # noqa: PLC0415 - as above

    now = format_time(SystemClock().now_ms())
    tokens: list[JsonObject] = [
        {
            "name": entry.name,
            "roles": list(entry.roles),
            "created": entry.created,
            "expires": entry.expires,
            "expired": entry.expires is not None and entry.expires <= now,
        }
        for entry in TokenFile(load_home(config).tokens).list()
    ]
    if as_json:
        output.emit({"schema": "suyuan.token-list/1", "tokens": tokens})
    elif not tokens:
        output.note(_("There are no tokens; suyuan token new makes one."))
    else:
        rows = [
            (t["name"], ", ".join(t["roles"]), output.moment(t["created"]), _until(t["expires"], expired=t["expired"]))
            for t in tokens
        ]
        output.show(output.table(_("Name"), _("Roles"), _("Made (UTC)"), _("Ends (UTC)"), rows=rows))


def _until(expires: str | None, *, expired: bool) -> str:
    if expires is None:
        return _("never")
    return _("{time}, expired", time=output.moment(expires)) if expired else output.moment(expires)
