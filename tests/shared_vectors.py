"""Vectors of other implementations; they lie beside the project, not in it, and tests skip where they do not."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

_DATA = Path(os.environ.get("SUYUAN_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))


def load(name: str) -> Any:
    """The parsed JSON of ``vectors/<name>``."""
    file = _DATA / "vectors" / name
    if not file.is_file():
        pytest.skip(f"{file} is not here: set SUYUAN_SHARED_DATA")
    return json.loads(file.read_text(encoding="utf-8"))
