"""``suyuan import xroad``: calls that X-Road's security servers have logged."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli import exits, output
from cli.command import Command, option
from cli.commands import import_common as common
from cli.language import _, noted
from cli.options import FILE
from cli.sources.recording import Recorder
from cli.sources.xroad import Matched, match
from cli.sources.xroad_files import XRoadFiles, read_files
from cli.sources.xroad_plans import Planner, Purposes, Sided, XRoadPlans
from ledger.encoding import format_time
from node.client import ClientError

if TYPE_CHECKING:
    from ledger.encoding import JsonObject

LISTED_MAX = 10_000  # orphans in the report; further ones are only counted


@click.command("xroad", cls=Command)
@click.argument("files", type=FILE, nargs=-1, required=True)
@option("--purpose", help=noted("What the calls were for: X-Road logs none. [purposes] in --map says it by service."))
@common.import_options
def command(*, files: tuple[Path, ...], purpose: str | None, settings: common.Settings) -> int:
    r"""Record calls from the operational monitoring records of X-Road's security servers.

    The service's member is the provider of the data, the client's member the consumer. The two records of a call, one
    of each side's security server, are put together; a succeeded call becomes a share and a receipt, one whose client
    failed after the data had left a share and a rejection. Calls of which one side is missing are listed.

    Addresses, represented parties and paths are not read; messageUserId only becomes a keyed pseudonym.

    \b
    suyuan import xroad monday.json --config tax --token-file tax.token --map members.toml --dry-run
    suyuan import xroad monday.json --config tax --token-file tax.token --map members.toml --purpose "tax relief"
    """
    with output.progress(_("reading")):
        source = read_files(list(files))
        matched = match(source.sightings)
    with common.Departments.opened(settings) as departments:
        purposes = Purposes(departments.map.purposes, purpose)
        planned = Planner(departments.members(), departments.keys, purposes).plan(matched)
        report = common.Report(
            source="xroad", files=files, departments=list(departments.keys),
            dry_run=settings.dry_run or bool(source.damaged),
            read=source.read, others=planned.others, unmapped=planned.unmapped,
        )  # fmt: skip
        common.refused(report, [(error.field or "", error) for error in source.problems])
        common.refused(report, planned.refused)
        recorder = common.record(departments, settings, report, planned.plans, planned.lost)
        orphans = _orphans(planned, report, recorder, departments)
        report.extra = _extra(source, matched, planned, report, orphans)
        report.remains = bool(orphans or source.damaged)
        code = common.finish(report, settings, _rows(matched, report), *_lists(source, orphans))
    return exits.USAGE if source.damaged else code


def _orphans(
    planned: XRoadPlans, report: common.Report, recorder: Recorder, departments: common.Departments
) -> list[Sided]:
    """Return the calls whose missing side has not told its half in the ledger either."""
    if report.dry_run:
        return planned.one_sided
    orphans: list[Sided] = []
    for sided in planned.one_sided:
        asked = sided.provider if sided.provider in departments.keys else sided.consumer
        try:
            told = report.aborted is None and recorder.has(asked, sided.other_half, sided.origin_missing)
        except ClientError as error:
            report.aborted = error
            told = False
        if not told:
            orphans.append(sided)
    return orphans


def _extra(
    source: XRoadFiles, matched: Matched, planned: XRoadPlans, report: common.Report, orphans: list[Sided]
) -> "JsonObject":
    by_department: dict[str, int] = {}
    for sided in orphans:
        by_department[sided.origin_missing] = by_department.get(sided.origin_missing, 0) + 1
    return {
        "calls": len(matched.calls),
        "duplicates": len(matched.duplicates),
        "unidentified": len(matched.unidentified),
        "failed": planned.failed + len(report.outcome.dropped & planned.doubtful),
        "internal": planned.internal,
        "orphans": {
            "count": len(orphans),
            "by_department": by_department,
            "listed": [_orphan_json(sided) for sided in orphans[:LISTED_MAX]],
        },
        "damaged": [{"code": error.code, "reason": str(error)} for error in source.damaged],
    }


def _orphan_json(sided: Sided) -> "JsonObject":
    key = sided.call.key
    return {
        "time": format_time(sided.call.seen.response_out),
        "message_id": key.message_id,
        "request_id": key.request_id,
        "client": str(key.client),
        "service": str(key.service),
        "missing": sided.call.missing,
        "department": sided.origin_missing,
        "place": sided.call.seen.place,
    }


def _rows(matched: Matched, report: common.Report) -> list[tuple[str, str]]:
    extra = report.extra
    return [
        (_("records"), str(report.read)),
        (_("duplicates"), str(extra["duplicates"])),
        (_("failed before they were identified"), str(extra["unidentified"])),
        (_("calls"), str(len(matched.calls))),
        (_("of other departments"), str(report.others)),
        (_("within a department"), str(extra["internal"])),
        (_("failed, no data left"), str(extra["failed"])),
        (_("one side missing"), str(extra["orphans"]["count"])),
    ]


def _lists(source: XRoadFiles, orphans: list[Sided]) -> list[tuple[str, list[str], int]]:
    damaged = [str(error) for error in source.damaged]
    missing = [_orphan_line(sided) for sided in orphans[: common.SHOWN_MAX]]
    return [
        (_("Files that cannot be used: nothing was recorded"), damaged, len(damaged)),
        (_("Calls of which one side is missing"), missing, len(orphans)),
    ]


def _orphan_line(sided: Sided) -> str:
    key = sided.call.key
    name = key.message_id or key.request_id
    side = _("the client's side") if sided.call.missing == "client" else _("the provider's side")
    time = format_time(sided.call.seen.response_out)
    return f"{time} {name} {key.client} → {key.service}: {side}, {sided.origin_missing}"
