"""Measure this machine: make bench, or python bench/run.py with the names of rows.

make bench                       every row at the standard size, in less than 15 minutes
make bench ARGS='append proof'   these rows
BENCH_SCALE=10 make bench        ten times as many events; rows that grow go up to 10 million
make bench ARGS=--list           what there is
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:] = [path for path in sys.path if Path(path or ".").resolve() != ROOT / "bench"]  # no module hides another
sys.path.append(str(ROOT))  # last: what is installed is what is measured

if __name__ == "__main__":
    if sys.argv[1:2] == ["--bare"]:
        from bench.bare import work

        work()
    elif sys.argv[1:2] == ["--generator"]:
        from bench.generator import generate

        generate()
    elif sys.argv[1:2] == ["--stand-in"]:
        from bench.nodes import be_stand_in

        be_stand_in(sys.argv[2:])
    else:
        from bench.command import main

        sys.exit(main(sys.argv[1:]))
