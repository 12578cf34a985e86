"""``suyuan ref``: identifiers into record references, with the department's own key; no node is asked."""

from collections.abc import Iterable
from pathlib import Path

import click

from cli import output
from cli.command import Command, option
from cli.files import read_file
from cli.language import _, noted
from cli.options import config_option, json_option
from cli.unlocking import home_of

IDENTIFIERS_BYTES_MAX = 256 * 1024 * 1024


@click.command("ref", cls=Command)
@click.argument("identifier", required=False)
@option(
    "--scheme", default="record", show_default=True, help=noted("What the identifier is, as in resident-id or case.")
)
@option(
    "--file", "source", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    help=noted("Read identifiers from a file, one per line; - is standard input."),
)  # fmt: skip
@config_option
@json_option
def command(identifier: str | None, scheme: str, source: Path | None, config: Path, *, as_json: bool) -> None:
    r"""Turn identifiers into record references: keyed pseudonyms that only this department can make.

    An identifier on the command line is seen by others in the list of processes; real ones belong in a file.

    \b
    suyuan ref --file identifiers.txt --scheme resident-id --config police
    """
    from ledger.record import record_ref  # noqa: PLC0415 - with the rest
    from node.keys import read_record_key  # noqa: PLC0415 - slow to import

    if (identifier is None) == (source is None):
        raise click.UsageError(_("give one identifier, or --file"))
    home = home_of(config)
    key = read_record_key(home.keys, home.lock)
    if identifier is not None:
        refs = [record_ref(key, identifier, scheme=scheme)]
    else:
        assert source is not None
        refs = [_of_line(key, scheme, number, line) for number, line in enumerate(_lines(source), 1)]
    if as_json:
        output.emit({"schema": "suyuan.refs/1", "scheme": scheme, "refs": refs})
    else:
        output.lines(refs)


def _of_line(key: bytes, scheme: str, number: int, line: str) -> str:
    from ledger.errors import LedgerError  # noqa: PLC0415 - with the rest
    from ledger.record import record_ref  # noqa: PLC0415 - as above

    try:
        return record_ref(key, line, scheme=scheme)
    except LedgerError as error:
        raise error.at(f"line {number}") from None


def _lines(source: Path) -> Iterable[str]:
    data = read_file(source, IDENTIFIERS_BYTES_MAX)
    try:
        return data.decode("utf-8-sig").removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise click.UsageError(_("{path} is not UTF-8: byte {offset}", path=source, offset=error.start)) from None
