"""Rows of the table: what was measured, against what, whether the target is met; and the machine it was measured on."""

import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("fastapi", "httptools", "httpx", "plyvel", "pydantic", "pynacl", "starlette", "uvicorn", "uvloop")

Kind = Literal["at least", "at most"]
Status = Literal["met", "missed", "not run", "measured", "broken"]


@dataclass(frozen=True, slots=True)
class Target:
    """What a row's figure must be."""

    kind: Kind
    limit: float
    unit: str = "×"  # × for a ratio, else ms and the like

    def met_by(self, figure: float) -> bool:
        """Tell whether a figure is good enough."""
        return figure >= self.limit if self.kind == "at least" else figure <= self.limit

    def __str__(self) -> str:
        return f"{'≥' if self.kind == 'at least' else '≤'} {shown(self.limit)} {self.unit}"


@dataclass(slots=True)
class Row:
    """One line of the table."""

    id: str
    what: str
    against: str = "–"
    target: Target | None = None
    figure: float | None = None  # the ratio, or the absolute figure where nothing is compared
    unit: str = "×"
    measured: str = ""  # absolute, with its unit
    yardstick: str = ""
    runs: list[dict[str, Any]] = field(default_factory=list)  # one per repetition, or per size with all of its own
    note: str = ""  # why it did not run, or how it grows
    grows_by: str = ""  # of a line about growth: entries, members
    is_broken: bool = False  # a promise was not kept while it was measured
    step_of: str = ""  # of a line about where the time goes: append, replicate, trace

    @property
    def status(self) -> Status:
        """Whether the target is met."""
        if self.is_broken:
            return "broken"
        if self.figure is None:
            return "not run"
        if self.target is None:
            return "measured"
        return "met" if self.target.met_by(self.figure) else "missed"

    def to_json(self) -> dict[str, Any]:
        """Return the row for the file of results."""
        return {**asdict(self), "status": self.status}


def ratio_row(row: Row, pairs: Sequence[tuple[float, float]], *, unit: str) -> Row:
    """Fill a row from interleaved pairs of measured and yardstick: its figure is the median of their ratios."""
    row.runs = [{"measured": measured, "yardstick": yardstick} for measured, yardstick in pairs]
    row.figure = statistics.median(measured / yardstick for measured, yardstick in pairs)
    row.measured = f"{shown(statistics.median(measured for measured, _ in pairs))} {unit}"
    row.yardstick = f"{shown(statistics.median(yardstick for _, yardstick in pairs))} {unit}"
    return row


def shown(value: float) -> str:
    """Return a number with three figures that count."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that ``share`` (0 to 1) of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def tables(rows: Sequence[Row]) -> str:
    """Return the rows as Markdown: those with a target or a yardstick, then what grows, and how."""
    heads = ("row", "what", "measured against", "measured", "yardstick", "figure", "target", "")
    lines = [_line(row) for row in rows if not row.grows_by and not row.step_of]
    parts = [markdown([heads, *lines])] if lines else []
    growing = [
        (row.what, row.against, row.measured, f"{shown(row.figure or 0)} ×", row.note) for row in rows if row.grows_by
    ]
    if growing:
        parts.append(markdown([("what grows", "with", "measured", "per ten times as many", "is"), *growing]))
    steps = [(row.step_of, row.what.replace("  ", "· "), f"{row.measured} {row.unit}") for row in rows if row.step_of]
    if steps:
        parts.append(markdown([("path", "step", "processor time"), *steps]))
    return "\n\n".join(parts)


def _line(row: Row) -> tuple[str, ...]:
    figure = "–" if row.figure is None else f"{shown(row.figure)} {row.unit}{_spread(row)}"
    mark = row.status.upper() if row.status in ("missed", "broken") else row.status
    told = f"{mark}: {row.note}" if row.note else mark
    return (
        row.id, row.what, row.against, row.measured or "–", row.yardstick or "–", figure,
        str(row.target) if row.target else "–", told,
    )  # fmt: skip


def _spread(row: Row) -> str:
    """Return between which the ratios of the single runs lie, or what was measured where nothing is compared."""
    measured = [run for run in row.runs if "measured" in run]
    if len(measured) < 2:
        return ""
    found = [run["measured"] / run["yardstick"] if "yardstick" in run else run["measured"] for run in measured]
    return f" ({shown(min(found))} to {shown(max(found))})"


def markdown(lines: Sequence[Sequence[str]]) -> str:
    """Return lines as a table, the first of them as its head."""
    ruled = [lines[0], ["---"] * len(lines[0]), *lines[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in ruled)


def machine() -> dict[str, Any]:
    """Return what the figures depend on: processor, memory, disk's price of a sync, versions, commit."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}, {_distribution()}",
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "beside": {},  # versions of what was measured in turns with it
        "suyuan": _version("suyuan"),
        "commit": _commit(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write results so that a difference between two files can be read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.platform()


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError:
        return "unknown"
    return said.stdout.strip() or "unknown"
