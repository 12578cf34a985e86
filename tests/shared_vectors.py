"""Real input and vectors of other implementations; they lie beside the project, not in it, and tests skip where they do
not.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

_DATA = Path(os.environ.get("SUYUAN_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))


def shared_file(name: str) -> Path:
    """Return the path of a shared file."""
    file = _DATA / name
    if not file.is_file():
        pytest.skip(f"{file} is not here: set SUYUAN_SHARED_DATA")
    return file


def load(name: str) -> Any:
    """The parsed JSON of ``vectors/<name>``."""
    return json.loads(shared_file(f"vectors/{name}").read_text(encoding="utf-8"))
