"""The two gates of coverage: python tools/check_coverage.py coverage.json.

What is proved about the ledger rests on every branch of it having been taken, so it has a gate of its own.
"""

import json
import sys
from pathlib import Path
from typing import Any

PACKAGES = {"cli", "ledger", "node"}
LEDGER_PERCENT_MIN = 98.0  # of the branches below ledger/
WHOLE_PERCENT_MIN = 92.0  # of the lines and branches of all three packages


def gates(report: dict[str, Any]) -> list[tuple[str, float, float]]:
    """Return name, percentage and gate of each gate, from the report that ``coverage json`` writes."""
    unmeasured = PACKAGES - {Path(name).parts[0] for name in report["files"]}
    if unmeasured:
        raise SystemExit(f"error: coverage saw nothing of {', '.join(sorted(unmeasured))}")
    ledger = [file["summary"] for name, file in report["files"].items() if Path(name).parts[0] == "ledger"]
    branches = sum(summary["num_branches"] for summary in ledger)
    taken = sum(summary["covered_branches"] for summary in ledger)
    return [
        ("branches of ledger", 100 * taken / branches, LEDGER_PERCENT_MIN),
        ("lines and branches of everything", report["totals"]["percent_covered"], WHOLE_PERCENT_MIN),
    ]


def main(path: str) -> int:
    """Print both percentages; 1 when one of them is below its gate."""
    results = gates(json.loads(Path(path).read_text("utf-8")))
    for name, percent, least in results:
        verdict = "" if percent >= least else ": TOO LITTLE"
        print(f"→ coverage: {percent:.2f} % of the {name}, at least {least:g} %{verdict}")
    return int(any(percent < least for _, percent, least in results))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
