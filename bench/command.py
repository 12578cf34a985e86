"""The command: which rows, at which size, and what becomes of the figures."""

import argparse
import logging
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from bench import (
    rows_append,
    rows_costs,
    rows_honest,
    rows_http,
    rows_members,
    rows_network,
    rows_reading,
    rows_replication,
)
from bench.context import CACHE, ROOT, Bench, DishonestError, NotHereError, remove, sync_price_us
from bench.report import Row, machine, tables, write_json

Rows = Callable[[Bench], list[Row]]

# In the order in which they run. What is asked for together is measured together, in turns.
ROWS: dict[str, tuple[Rows, str]] = {
    "append": (rows_append.in_process, "append in process, batches of 1,000"),
    "http-batch": (rows_http.batches, "append over HTTP, batches of 500"),
    "http-single": (rows_http.singles, "append over HTTP, single events, beside PostgreSQL"),
    "replication": (rows_replication.replication, "a new node takes over a log, beside hypercore"),
    "backlog": (rows_replication.backlog, "a backlog of 200,000 entries is caught up, in bounded memory"),
    "network": (rows_network.network, "four nodes: time to confirmation, and confirmed events under full load"),
    "reading": (rows_reading.reading, "traces, proofs, the cold command, memory and disk, by size of the ledger"),
    "members": (rows_members.members, "what grows with the number of members: 4, 10, 25, 50"),
    "costs": (rows_costs.costs, "where the time goes: processor time of each step"),
    "honest": (rows_honest.honest, "a killed node loses nothing, a flipped bit is refused, bad events are refused"),
}


def main(arguments: list[str]) -> int:
    """Run the bench; return the exit code: 0, or 1 where a promise was broken under load."""
    options = _options(arguments)
    if options.list:
        for name, (_, what) in ROWS.items():
            print(f"{name:14} {what}")
        return 0
    names = options.rows or list(ROWS)
    if unknown := [name for name in names if name not in ROWS]:
        print(f"error: there is no row {unknown[0]}; --list shows them", file=sys.stderr)
        return 2
    scale = float(os.environ.get("BENCH_SCALE", "1"))
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    started = time.monotonic()
    scratch = Path(tempfile.mkdtemp(prefix="suyuan-bench-"))
    bench = Bench(scale, scratch, rounds=options.rounds)
    try:
        about = {**machine(), "scale": scale}
        price, counted = sync_price_us(scratch)
        about["synced_write_us"] = round(price, 1)
        about["syncs_are_counted"] = counted
        _print_machine(about)
        found, sound = _measure(bench, names)
    finally:
        bench.close()
        remove(scratch)
    about["seconds"] = round(time.monotonic() - started)
    content: dict[str, Any] = {
        "schema": "suyuan.bench/1",
        "machine": {**about, "beside": bench.beside},
        "rows": [row.to_json() for row in found],
        "asserted": bench.checks,
    }
    _report(content, found, bench, options.save)
    return 0 if sound else 1


def _measure(bench: Bench, names: list[str]) -> tuple[list[Row], bool]:
    found: list[Row] = []
    sound = True
    for name in names:
        run, what = ROWS[name]
        print(f"→ {name}: {what}", file=sys.stderr, flush=True)
        started = time.monotonic()
        try:
            rows = run(bench)
        except NotHereError as missing:
            rows = [Row(name, what, note=str(missing))]
        except DishonestError as broken:
            sound = False
            rows = [Row(name, what, note=f"A PROMISE WAS BROKEN: {broken}")]
        except Exception as error:  # noqa: BLE001 - the other rows are worth having, and the exit code tells
            traceback.print_exc()
            sound = False
            rows = [Row(name, what, note=f"failed: {error!r}")]
        found += rows
        for row in rows:
            bench.say(f"{row.id}: {row.figure if row.figure is None else round(row.figure, 3)} {row.unit} {row.status}")
        bench.say(f"{time.monotonic() - started:.0f} s")
    return found, sound


def _report(content: dict[str, Any], found: list[Row], bench: Bench, save: str | None) -> None:
    text = tables(found)
    print(f"\n{text}\n")
    for words in bench.checks:
        print(f"asserted: {words}")
    aimed = [row for row in found if row.target is not None]
    missed = [row.id for row in aimed if row.status == "missed"]
    idle = [row.id for row in found if row.status == "not run"]
    print(f"\n{len(missed)} of {len(aimed)} targets are missed{': ' + ', '.join(missed) if missed else ''}")
    if idle:
        print(f"not run: {', '.join(idle)}")
    write_json(CACHE / "last.json", content)
    print(f"in full: {CACHE / 'last.json'}")
    if save is not None:
        folder = ROOT / "bench" / "results"
        write_json(folder / f"{save}.json", content)
        lines = [f"# {save}", "", _machine_words(content["machine"]), "", text, ""]
        lines += ["Asserted in this run:", "", *(f"- {one}" for one in bench.checks)]
        (folder / f"{save}.md").write_text("\n".join(lines) + "\n", "utf-8")


def _print_machine(about: dict[str, Any]) -> None:
    print(_machine_words(about), file=sys.stderr, flush=True)
    if about["load_before"] > 0.5:
        print(
            f"  this machine is busy (load {about['load_before']}): take no figure of this run for true",
            file=sys.stderr,
        )


def _machine_words(about: dict[str, Any]) -> str:
    versions = {**about["packages"], **about["beside"]}
    packages = ", ".join(f"{name} {number}" for name, number in versions.items())
    return (
        f"{about['processor']}, {about['cores']} cores, {about['memory_gb']} GB, {about['system']}, Python "
        f"{about['python']}; a synced write of 4 KB takes {about['synced_write_us']} µs; Suyuan {about['suyuan']} at "
        f"{about['commit']}; {packages}; scale {about['scale']}"
    )


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("rows", nargs="*", help="rows to measure; all of them if none is named")
    parser.add_argument("--list", action="store_true", help="show the rows")
    parser.add_argument("--rounds", type=int, default=5, help="repetitions of what is compared (5; fewer only to try)")
    parser.add_argument("--save", metavar="NAME", help="write bench/results/NAME.json and .md as well")
    return parser.parse_args(arguments)
