"""A process that records events without end, and says what it was answered; its parent kills it.

    writing_child.py FOLDER FIRST_ID

Each answered submission is one line of JSON on standard output.
"""

import json
import os
import sys
from pathlib import Path

from node_helpers import Desk, paper, parties, reference, seed, share

from ledger.store import open_store

A, B = parties(2)


def batch(first: int) -> list[dict[str, object]]:
    """The same batch for the same number, also in another process."""
    size = 1 + seed(str(first))[0] % 40
    return [share(first + n, B, records=[reference(str(first + n))]) for n in range(size)]


def main(folder: Path, first: int) -> None:
    with Desk(A, paper([A, B]).network, store=open_store(folder)) as desk:
        while True:
            values = batch(first)
            recorded = desk.record(*values)
            line = json.dumps({"first": first, "entries": [json.loads(one.to_text("recorded")) for one in recorded]})
            os.write(1, f"{line}\n".encode())
            first += len(values)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
