"""The bench itself, at a size at which its figures say nothing: it runs, it judges, and it tells what it lacks."""

import json
import os
import signal
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
def test_what_is_read_is_measured_at_each_size_in_turns_and_every_run_is_kept(tmp_path: Path) -> None:
    said = run(tmp_path, "reading", "--rounds", "1")
    assert said.returncode == 0, said.stdout + said.stderr
    rows = rows_of(tmp_path)
    assert [one["size"] for one in rows["growth-trace_p50_ms"]["runs"]] == [1000, 2000, 4000]
    assert len(rows["growth-cli_trace_ms"]["runs"][-1]["runs"]) == 2
    for name in ("trace-growth", "memory", "memory-resident"):
        [pair] = rows[name]["runs"]
        assert rows[name]["figure"] == pytest.approx(pair["measured"] / pair["yardstick"])
    assert rows["memory"]["runs"][0]["measured"] < rows["memory-resident"]["runs"][0]["measured"]


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


MISTAKES = {
    "no number": ({"BENCH_SCALE": "abc"}, ("append",), "BENCH_SCALE is a number above 0"),
    "nothing": ({"BENCH_SCALE": "0"}, ("append",), "BENCH_SCALE is a number above 0"),
    "not a number": ({"BENCH_SCALE": "nan"}, ("append",), "BENCH_SCALE is a number above 0"),
    "no round": ({}, ("append", "--rounds", "0"), "--rounds is 1 at least"),
    "a way out": ({"BENCH_SCALE": "1"}, ("--save", "../../x"), "--save takes a name"),
    "a small run": ({}, ("--save", "9.9.9"), "--save takes runs of the standard size or more"),
    "few rounds": ({"BENCH_SCALE": "1"}, ("--save", "9.9.9", "--rounds", "4"), "of 5 rounds or more"),
    "some rows": ({"BENCH_SCALE": "1"}, ("--save", "9.9.9", "append"), "--save takes all rows"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_before_anything_is_measured_or_written(tmp_path: Path, mistake: str) -> None:
    environment, arguments, words = MISTAKES[mistake]
    said = run(tmp_path, *arguments, **environment)
    assert said.returncode == 2
    assert words in said.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.timeout(SECONDS_MAX)
def test_nothing_is_traded_away_and_a_flipped_bit_is_refused_by_what_copies(tmp_path: Path) -> None:
    said = run(tmp_path, "honest", "--rounds", "1")
    assert said.returncode == 0, said.stdout + said.stderr
    assert rows_of(tmp_path)["honest"]["figure"] == 5
    assert "stops at the one of which a bit of the signature is flipped" in said.stdout


@pytest.mark.timeout(SECONDS_MAX)
def test_who_interrupts_it_has_what_was_measured_by_then_and_nothing_is_left(tmp_path: Path) -> None:
    command = [sys.executable, str(RUN), "append", "http-batch", "--rounds", "1"]
    with subprocess.Popen(
        command, env={**os.environ, "BENCH_SCALE": "0.001", "BENCH_CACHE": str(tmp_path)}, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        for line in process.stderr:
            if "→ http-batch" in line:
                break
        os.killpg(process.pid, signal.SIGINT)
        said, told = process.communicate(timeout=SECONDS_MAX)
    assert process.returncode == 130
    assert "interrupted; http-batch and what follows was not measured" in told
    assert "Traceback" not in told
    assert "| append |" in said
    assert rows_of(tmp_path).keys() == {"append"}
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith("scratch")] == []


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
