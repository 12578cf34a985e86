"""``suyuan token new``."""

import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from cli import output
from cli.command import Command, option
from cli.language import _, noted
from cli.options import config_option

if TYPE_CHECKING:
    from node.tokens import Role

ROLES = ("read", "submit", "admin")
_DAYS = re.compile(r"([1-9][0-9]{0,4})d")
EXPIRY_HINT = "write it as 90d, 2027-01-01 or 2027-01-01T00:00:00.000Z; 1d is the least"
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MILLISECONDS_PER_DAY = 86_400_000


@click.command("new", cls=Command)
@click.argument("name")
@option("--role", "roles", type=click.Choice(ROLES), multiple=True, required=True, help=noted("What the token allows."))
@option("--expires", help=noted("When it ends: 90d, 2027-01-01, or 2027-01-01T00:00:00.000Z. Else never."))
@config_option
def command(name: str, roles: tuple[str, ...], expires: str | None, config: Path) -> None:
    r"""Make the token NAME, and print it on standard output, this once: it is stored nowhere.

    \b
    suyuan token new exchange-platform --role submit --expires 365d --config police > token
    """
    from ledger.encoding import format_time  # noqa: PLC0415 - with the rest
    from node.clock import SystemClock  # noqa: PLC0415 - slow to import
    from node.config import load_home  # noqa: PLC0415 - as above
    from node.tokens import TOKEN_BYTES, TokenFile, new_token  # noqa: PLC0415 - as above

    home = load_home(config)
    now_ms = SystemClock().now_ms()
    token = new_token(secrets.token_bytes(TOKEN_BYTES))
    until = expiry(expires, now_ms) if expires is not None else None
    TokenFile(home.tokens).add(name, cast("tuple[Role, ...]", roles), token, format_time(now_ms), until)
    output.data(token)
    output.note(
        _(
            "This is the only time that the token {name} is shown; give it to the program with SUYUAN_TOKEN or a file.",
            name=name,
        )
    )


def expiry(text: str, now_ms: int) -> str:
    """Return the moment that ``text`` names, as the protocol writes times.

    Raises:
        TimeError: it names none.
    """
    from ledger.encoding import format_time, parse_time  # noqa: PLC0415 - with the rest
    from ledger.errors import TimeError  # noqa: PLC0415 - as above

    if days := _DAYS.fullmatch(text):
        return format_time(now_ms + int(days[1]) * _MILLISECONDS_PER_DAY)
    moment = f"{text}T00:00:00.000Z" if _DAY.fullmatch(text) else text
    try:
        return format_time(parse_time(moment, field="expires"))
    except TimeError as error:
        error.hint = EXPIRY_HINT
        raise
