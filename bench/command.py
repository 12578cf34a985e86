"""The command: which rows, at which size, and what becomes of the figures."""

import argparse
import logging
import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog

from bench import (
    reasons,
    rows_append,
    rows_costs,
    rows_honest,
    rows_http,
    rows_members,
    rows_network,
    rows_reading,
    rows_replication,
)
from bench.context import CACHE, ROOT, Bench, DishonestError, NotHereError, remove, scratch_folder, sync_price_us
from bench.report import Row, machine, tables, write_json

SHARE_MIN = 0.95  # of its cores that the yardstick must have had, or others were at work
INTERRUPTED = 130  # exit code
LOAD_MAX = 0.5  # before the run
SCALE_MAX = 1000.0
ROUNDS_TO_SAVE = 5
NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z.-]{0,40}")  # of results that are kept
RESULTS = ROOT / "bench" / "results"


@dataclass(frozen=True, slots=True)
class Part:
    """What is measured in turns, and so together: one command, or one for each of its rows."""

    run: Callable[[Bench], list[Row]]
    what: str
    rows: tuple[str, ...] = ()  # beside those about growth and costs


# In the order in which they run.
PARTS: dict[str, Part] = {
    "append": Part(rows_append.in_process, "append in process, batches of 1,000", ("append",)),
    "http-batch": Part(rows_http.batches, "append over HTTP, batches of 500", ("http-batch",)),
    "http": Part(
        rows_http.singles, "append over HTTP, single events, in turns with PostgreSQL in three forms",
        ("http-single", "http-single-copied", "http-single-chain", "http-single-p99", "http-single-plain"),
    ),
    "copying": Part(
        rows_replication.replication, "a new node takes over a log, in turns with hypercore",
        ("replication", "replication-hypercore", "append-hypercore"),
    ),
    "catching-up": Part(
        rows_replication.backlog, "a backlog of 200,000 entries, in bounded memory", ("backlog", "backlog-memory")
    ),
    "network": Part(
        rows_network.network, "four nodes: time to confirmation, confirmed events under full load",
        ("confirm-p50", "confirm-p99", "full-load"),
    ),
    "reading": Part(
        rows_reading.reading, "reading by size of the ledger, and what grows with it",
        ("trace-p50", "trace-p99", "trace-growth", "proof", "cold-trace", "memory", "memory-resident", "disk"),
    ),
    "members": Part(rows_members.members, "what grows with the number of members: 4, 10, 25, 50"),
    "costs": Part(rows_costs.costs, "where the time goes: processor time of each step"),
    "honest": Part(
        rows_honest.honest, "a killed node loses nothing, flipped bits are found, bad events are refused", ("honest",)
    ),
}  # fmt: skip


def main(arguments: list[str]) -> int:
    """Run the bench; return the exit code: 0, 1 where a promise was broken or a row failed, 2, 130."""
    options = _options(arguments)
    scale, problem = _scale(), ""
    if not 0 < scale <= SCALE_MAX:
        problem = f"BENCH_SCALE is a number above 0, and {SCALE_MAX:g} at most"
    elif options.rounds < 1:
        problem = "--rounds is 1 at least"
    elif options.save is not None:
        problem = _why_not_saved(options, scale)
    if problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    if options.list:
        for name, part in PARTS.items():
            print(f"{name:12} {part.what}{': ' if part.rows else ''}{', '.join(part.rows)}")
        return 0
    wanted = options.rows or list(PARTS)
    names, only = _chosen(wanted)
    if not names:
        known = {*PARTS, *(row for part in PARTS.values() for row in part.rows)}
        unknown = next(name for name in wanted if name not in known)
        print(f"error: there is no row {unknown}; --list shows them", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    started = time.monotonic()
    scratch = scratch_folder()
    bench = Bench(scale, scratch, rounds=options.rounds)
    try:
        about = {**machine(), "scale": scale}
        price, bench.flushes_count = sync_price_us(scratch)
        about["synced_write_us"] = round(price, 1)
        about["syncs_are_counted"] = bench.flushes_count
        print("\n".join((_machine_words(about), *_warnings(about, bench))), file=sys.stderr, flush=True)
        found, ended = _measure(bench, names)
        found = [row for row in found if not only or row.id in only or row.status in ("not run", "broken")]
    finally:
        bench.close()
        remove(scratch)
    about["seconds"] = round(time.monotonic() - started)
    about["seconds_of_parts"] = bench.took
    about["share_of_cores"] = bench.share
    content: dict[str, Any] = {
        "schema": "suyuan.bench/1",
        "machine": {**about, "beside": bench.beside},
        "rows": [row.to_json() for row in found],
        "asserted": bench.checks,
    }
    _report(content, found, bench, options.save if ended != INTERRUPTED else None)
    return ended


def _chosen(wanted: list[str]) -> tuple[list[str], set[str]]:
    """Return the parts to run, and the rows to show if not all of theirs; no parts where a name is unknown."""
    names: list[str] = []
    only: set[str] = set()
    whole: set[str] = set()
    for one in wanted:
        found = one if one in PARTS else next((name for name, part in PARTS.items() if one in part.rows), None)
        if found is None:
            return [], set()
        names.append(found)
        (whole if one in PARTS else only).add(one)
    only |= {row for name in whole for row in PARTS[name].rows} if only else set()
    return list(dict.fromkeys(names)), only


def _scale() -> float:
    try:
        return float(os.environ.get("BENCH_SCALE", "1"))
    except ValueError:
        return 0.0


def _why_not_saved(options: argparse.Namespace, scale: float) -> str:
    """Return why results are not to be kept as those of a release; empty if they may be."""
    if NAME.fullmatch(options.save) is None:
        return "--save takes a name such as 0.2.0: letters, digits, dots and hyphens"
    if scale < 1 or options.rounds < ROUNDS_TO_SAVE:
        return f"--save takes runs of the standard size or more, of {ROUNDS_TO_SAVE} rounds or more"
    if options.rows and not options.part:
        return "--save takes all rows; some of them only with --part, since what is kept does not tell what is missing"
    return ""


def _measure(bench: Bench, names: list[str]) -> tuple[list[Row], int]:
    """Return the rows, and the exit code; who is interrupted has those that were measured by then."""
    found: list[Row] = []
    ended = 0
    for name in names:
        part = PARTS[name]
        started = time.monotonic()
        try:
            print(f"→ {name}: {part.what}", file=sys.stderr, flush=True)
            rows = part.run(bench)
        except KeyboardInterrupt:
            print(f"interrupted; {name} and what follows was not measured", file=sys.stderr)
            return found, INTERRUPTED
        except NotHereError as missing:
            rows = [Row(name, part.what, note=str(missing))]
        except DishonestError as broken:
            ended = 1
            rows = [Row(name, part.what, note=f"this does not hold: {broken}", is_broken=True)]
        except Exception as error:  # noqa: BLE001 - the other rows are worth having, and the exit code tells
            traceback.print_exc()
            ended = 1
            rows = [Row(name, part.what, note=f"failed: {error!r}")]
        found += rows
        for row in rows:
            bench.say(f"{row.id}: {row.figure if row.figure is None else round(row.figure, 3)} {row.unit} {row.status}")
        bench.took[name] = round(time.monotonic() - started)
        bench.say(f"{bench.took[name]} s")
    return found, ended


def _report(content: dict[str, Any], found: list[Row], bench: Bench, save: str | None) -> None:
    about = content["machine"]
    warnings = _warnings(about, bench)
    text = "\n\n".join(part for part in (_machine_words(about), *warnings, tables(found), reasons.table(found)) if part)
    print(f"\n{text}\n")
    for words in bench.checks:
        print(f"asserted: {words}")
    aimed = [row for row in found if row.target is not None]
    missed = [row.id for row in aimed if row.status == "missed"]
    idle = [row.id for row in found if row.status == "not run"]
    print(f"\n{len(missed)} of {len(aimed)} targets are missed{': ' + ', '.join(missed) if missed else ''}")
    if idle:
        print(f"not run: {', '.join(idle)}")
    if broken := [row.id for row in found if row.is_broken]:
        print(f"A PROMISE WAS BROKEN: {', '.join(broken)}")
    write_json(CACHE / "last.json", content)
    print(f"in full: {CACHE / 'last.json'}")
    if save is not None:
        write_json(RESULTS / f"{save}.json", content)
        lines = [f"# {save}", "", text, ""]
        lines += ["Asserted in this run:", "", *(f"- {one}" for one in bench.checks or ["nothing"])]
        (RESULTS / f"{save}.md").write_text("\n".join(lines) + "\n", "utf-8")


def _warnings(about: dict[str, Any], bench: Bench) -> list[str]:
    """Return why the figures may not be true, as far as the bench can tell."""
    found = []
    if about["scale"] < 1:
        found.append("SMALLER THAN THE STANDARD SIZE: such figures say nothing about targets.")
    if about["load_before"] > LOAD_MAX:
        found.append(f"THE MACHINE WAS BUSY BEFORE: its load was {about['load_before']}.")
    if bench.share is not None and bench.share < SHARE_MIN:
        found.append(
            f"THE MACHINE WAS BUSY: the yardstick had {bench.share:.0%} of its cores. Take no figure for true."
        )
    return found


def _machine_words(about: dict[str, Any]) -> str:
    versions = {**about["packages"], **about["beside"]}
    packages = ", ".join(f"{name} {number}" for name, number in versions.items())
    share = about.get("share_of_cores")
    undisturbed = "" if share is None else f"; the yardstick had {share:.0%} of its cores"
    return (
        f"{about['processor']}, {about['cores']} cores, {about['memory_gb']} GB, {about['system']}, Python "
        f"{about['python']}; a synced write of 4 KB takes {about['synced_write_us']} µs; Suyuan {about['suyuan']} at "
        f"{about['commit']}; {packages}; scale {about['scale']}{undisturbed}"
    )


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("rows", nargs="*", help="rows to measure; all of them if none is named")
    parser.add_argument("--list", action="store_true", help="show the rows")
    parser.add_argument("--rounds", type=int, default=5, help="repetitions of what is compared (5; fewer only to try)")
    parser.add_argument("--save", metavar="NAME", help="write bench/results/NAME.json and .md as well")
    parser.add_argument("--part", action="store_true", help="with --save: of some rows only")
    return parser.parse_args(arguments)
