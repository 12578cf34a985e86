"""What is in the wheel: python tools/check_wheel.py dist/suyuan-0.1.0-py3-none-any.whl.

Exactly the three packages and the metadata, each package marked as typed, and every file of the packages: a page or a
table that was left out would be missed only by whoever installs it.
"""

import sys
from pathlib import Path
from zipfile import ZipFile

PACKAGES = ("cli", "ledger", "node")
ROOT = Path(__file__).resolve().parent.parent


def problems(wheel: Path) -> list[str]:
    """Return what is wrong with the wheel, one sentence each."""
    held = set(ZipFile(wheel).namelist())
    distribution = "-".join(wheel.name.split("-")[:2])
    expected = {*PACKAGES, f"{distribution}.dist-info"}
    found = {name.split("/")[0] for name in held}
    wanted = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    wanted |= {f"{package}/py.typed" for package in PACKAGES}
    return [
        *(f"{name} is at the top level" for name in sorted(found - expected)),
        *(f"{name} is missing at the top level" for name in sorted(expected - found)),
        *(f"{name} is missing" for name in sorted(wanted - held)),
    ]


def main(*wheels: str) -> int:
    """Print what is wrong; 1 when anything is."""
    if len(wheels) != 1:
        raise SystemExit(f"error: one wheel expected in dist/, there are {len(wheels)}")
    wrong = problems(Path(wheels[0]))
    for problem in wrong:
        print(f"{wheels[0]}: {problem}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
