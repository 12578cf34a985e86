"""``suyuan demo``: a network of departments on this machine, and transfers through it."""

import asyncio
import json
from pathlib import Path

import click

from cli import output
from cli.command import Command, option
from cli.language import noted


@click.command(cls=Command, name="demo")
@option(
    "--from", "source", type=click.Path(path_type=Path, dir_okay=False), help=noted("Play the transfers of a CSV file.")
)
@option(
    "--keep",
    type=click.Path(path_type=Path, file_okay=False),
    help=noted("Keep network, keys and data in this new folder."),
)
@option(
    "--serve", is_flag=True, help=noted("Keep the network running until interrupted, and print one JSON line per node.")
)
@option("--json", "as_json", is_flag=True, help=noted("Print the summary as JSON (schema suyuan.demo/1)."))
def command(*, source: Path | None, keep: Path | None, serve: bool, as_json: bool) -> None:
    r"""Show what Suyuan does: four departments share a record, on this machine, with real nodes.

    Makes a network, starts its nodes, plays transfers, waits until they are confirmed, traces a record, verifies it
    offline, shows that a tampered copy is found out, and stops everything.

    With --from it plays the transfers of a file instead, one node for each department that the file names. The file has
    the columns record, provider, consumer, occurred_at; further ones are carried along.

    \b
    suyuan demo
    suyuan demo --from handovers.csv --keep demo-data
    """
    from cli.demo.audience import Screen  # noqa: PLC0415 - starting a demonstration may take longer than showing its help
    from cli.demo.stage import Options, demonstrate  # noqa: PLC0415 - as above
    from cli.sources.transfers import read_transfers  # noqa: PLC0415 - as above

    transfers = read_transfers(source) if source is not None else None
    options = Options(transfers=transfers, keep=keep, serve=serve, on_ready=_print_lines)
    with Screen(output.console(stderr=serve or as_json), file=source) as screen:
        try:
            summary = asyncio.run(demonstrate(options, screen))
        except (asyncio.CancelledError, ExceptionGroup) as error:
            raise _cause(error) from None
    if as_json:
        output.emit(summary)


def _cause(error: BaseException) -> BaseException:
    """The one error that ended several tasks at once; an interrupt is an interrupt."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return KeyboardInterrupt() if isinstance(error, asyncio.CancelledError) else error


def _print_lines(lines: list[dict[str, str]]) -> None:
    for line in lines:
        output.data(json.dumps(line, ensure_ascii=False))
