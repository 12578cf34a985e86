"""``suyuan import csv``: a department's side of the transfers in a table."""

from pathlib import Path

import click

from cli import output
from cli.command import Command
from cli.commands import import_common as common
from cli.language import _
from cli.options import FILE
from cli.sources.transfer_plans import Planner
from cli.sources.transfers import read_table


@click.command("csv", cls=Command)
@click.argument("file", type=FILE)
@common.import_options
def command(*, file: Path, settings: common.Settings) -> int:
    r"""Record a department's side of the transfers in a table.

    The columns record, provider, consumer and occurred_at must be there; further ones become members of the share or
    labels, and with them part of the ledger, which every member reads: leave out what identifies a person.

    Rows whose provider is this department become shares, rows whose consumer it is receipts. A receipt needs the
    provider's share; where that has not arrived, run the same import again later. Importing a file again records
    nothing twice.

    \b
    suyuan import csv transfers.csv --config police --token-file police.token --dry-run
    suyuan import csv transfers.csv --config police --token-file police.token --map names.toml
    """
    with output.progress(_("reading")):
        table = read_table(file)
    with common.Departments.opened(settings) as departments:
        planned = Planner(departments.members(), departments.keys).plan(table.transfers)
        report = common.Report(
            source="csv", files=[file], departments=list(departments.keys), dry_run=settings.dry_run,
            read=len(table.transfers), others=planned.others, unmapped=planned.unmapped, extra={"labels": table.labels},
        )  # fmt: skip
        common.refused(report, planned.refused)
        common.record(departments, settings, report, planned.plans, planned.lost)
        rows = [
            (_("rows"), str(report.read)),
            (_("of other departments"), str(report.others)),
            (_("columns kept as labels"), ", ".join(table.labels.values()) or _("none")),
        ]
        return common.finish(report, settings, rows)
