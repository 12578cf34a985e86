"""Which version of this software runs: that of the installed package, else that of the source tree it runs from."""

import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

NAME: Final = "suyuan"
SOURCE: Final = "source"  # behind a +, as PEP 440 marks what is no release
_PROJECT: Final = Path(__file__).parent.parent / "pyproject.toml"


def release(project: Path = _PROJECT) -> str:
    """Return the version (``0.1.0``); of a source tree without an installed package ``0.1.0+source``.

    ``project`` is the file that names the version of a source tree.
    """
    try:
        return version(NAME)
    except PackageNotFoundError:
        pass
    try:
        told = tomllib.loads(project.read_text("utf-8"))["project"]
        return f"{told['version']}+{SOURCE}" if told["name"] == NAME else SOURCE
    except (OSError, ValueError, KeyError, TypeError):
        return SOURCE
