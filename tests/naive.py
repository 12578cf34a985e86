"""What a trace must say, computed from the file alone: no line of this is shared with the product."""

import csv
from collections import defaultdict
from pathlib import Path

Hop = tuple[str, str, str]  # from, to, occurred_at


def histories(path: Path, rows_max: int | None = None) -> dict[str, list[Hop]]:
    """Return each record's handovers in the order of the file."""
    found: dict[str, list[Hop]] = defaultdict(list)
    with path.open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file)):
            if rows_max is None or number < rows_max:
                found[row["record"]].append((row["provider"], row["consumer"], row["occurred_at"]))
    return dict(found)


def holders(hops: list[Hop]) -> set[str]:
    """Return who has seen the record."""
    return {name for hop in hops for name in hop[:2]}


def parents(hops: list[Hop]) -> list[int | None]:
    """Return for each handover the number of the one by which its provider had received the record last."""
    found: list[int | None] = []
    for number, (provider, _, _) in enumerate(hops):
        earlier = [n for n in range(number) if hops[n][1] == provider]
        found.append(earlier[-1] if earlier else None)
    return found
