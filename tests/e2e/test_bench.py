"""The bench itself, at a size at which its figures say nothing: it runs, it judges, and it tells what it lacks."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

RUN = Path(__file__).resolve().parents[2] / "bench" / "run.py"
SECONDS_MAX = 120

pytestmark = pytest.mark.slow


def run(cache: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(RUN), *arguments],
        env={**os.environ, "BENCH_SCALE": "0.001", "BENCH_CACHE": str(cache), **environment},
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )


def rows_of(cache: Path) -> dict[str, dict[str, Any]]:
    content = json.loads((cache / "last.json").read_text("utf-8"))
    assert content["schema"] == "suyuan.bench/1"
    return {row["id"]: row for row in content["rows"]}


@pytest.mark.timeout(SECONDS_MAX)
def test_a_row_has_its_ratio_its_yardstick_and_its_verdict(tmp_path: Path) -> None:
    said = run(tmp_path, "append", "--rounds", "1")
    assert said.returncode == 0, said.stderr
    row = rows_of(tmp_path)["append"]
    [pair] = row["runs"]
    assert row["figure"] == pytest.approx(pair["measured"] / pair["yardstick"])
    assert row["status"] == ("met" if row["figure"] >= row["target"]["limit"] else "missed")
    assert "every entry reads back, verifies and hashes to the tree's root" in said.stdout
    assert "| append |" in said.stdout


@pytest.mark.timeout(SECONDS_MAX)
def test_what_is_not_installed_is_named_and_the_rest_is_measured(tmp_path: Path) -> None:
    said = run(tmp_path, "replication", "--rounds", "1", PATH=str(tmp_path))
    assert said.returncode == 0, said.stderr
    rows = rows_of(tmp_path)
    assert rows["replication"]["figure"] > 0
    assert rows["replication-hypercore"]["status"] == "not run"
    assert "there is no Node.js" in rows["replication-hypercore"]["note"]


def test_a_row_that_does_not_exist_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    said = run(tmp_path, "apend")
    assert said.returncode == 2
    assert "there is no row apend" in said.stderr


@pytest.mark.timeout(SECONDS_MAX)
def test_a_row_that_misses_says_why_and_what_it_would_need(tmp_path: Path) -> None:
    said = run(tmp_path, "append", "--rounds", "1")
    assert said.returncode == 0, said.stderr
    missed = rows_of(tmp_path)["append"]["status"] == "missed"
    assert ("what it would need" in said.stdout) == missed


def test_every_target_has_its_reason_and_every_reason_its_section(tmp_path: Path) -> None:
    root = RUN.parents[1]
    code = (
        "import json, sys; sys.path.append(sys.argv[1]); from bench import reasons; print(json.dumps(reasons.REASONS))"
    )
    said = subprocess.run(
        [sys.executable, "-c", code, str(root)], capture_output=True, text=True, timeout=SECONDS_MAX, check=True,
        cwd=tmp_path,
    )  # fmt: skip
    reasons = json.loads(said.stdout)
    text = (root / "docs" / "performance.md").read_text("utf-8")
    headings = {line.lstrip("# ") for line in text.splitlines() if line.startswith("##")}
    saved = json.loads(next((root / "bench" / "results").glob("*.*.?.json")).read_text("utf-8"))
    assert {row["id"] for row in saved["rows"] if row["target"] is not None} == reasons.keys()
    for why, needed, section in reasons.values():
        assert why
        assert needed
        assert section in headings
