"""Networks with liars and mishaps, one per seed: see CONTRIBUTING.md, and ``make simulate``."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from simulate import THEMES, simulate_many
from stories import a_document_during_a_return
from world import Outcome, Plan, simulate

OF_FOUR, OF_SEVEN, OF_TEN = (0, *range(2, 8), *range(9, 14), *range(17, 24)), (24,), (27,)
GOVERNED = (30, 31, 32, 34, 36, 38)
NIGHTLY = range(1_000, 3_000)


def lived(seed: int, folder: Path, count: int, theme: str = "") -> Outcome:
    outcome = simulate(Plan.of(seed, count, theme), folder)
    assert outcome.problem is None, f"make simulate SEED={seed} COUNT={count} THEME={theme}"
    assert outcome.checks > outcome.messages > 100
    return outcome


@pytest.mark.parametrize("seed", OF_FOUR)
def test_four_members_keep_their_promises(seed: int, tmp_path: Path) -> None:
    lived(seed, tmp_path, 4)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", GOVERNED)
def test_members_and_keys_change_while_they_keep_their_promises(seed: int, tmp_path: Path) -> None:
    outcome = lived(seed, tmp_path, 4, "governed")
    assert any(what.startswith("document: ") for what in outcome.saw)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", OF_SEVEN)
def test_seven_members_keep_their_promises(seed: int, tmp_path: Path) -> None:
    lived(seed, tmp_path, 7)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", OF_TEN)
def test_ten_members_keep_their_promises(seed: int, tmp_path: Path) -> None:
    lived(seed, tmp_path, 10)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 4])
def test_a_member_that_is_not_back_yet_keeps_its_promises_when_there_is_a_new_document(
    seed: int, tmp_path: Path
) -> None:
    outcome = simulate(a_document_during_a_return(seed), tmp_path)
    assert outcome.problem is None
    assert outcome.saw["old disk"] == outcome.saw["document: rules"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("theme", THEMES)
def test_a_seed_is_a_run_to_the_last_byte(theme: str, tmp_path: Path) -> None:
    told: dict[str, list[str]] = {"first": [], "second": []}
    first, second = (
        simulate(Plan.of(2, 4, theme), tmp_path / name, tell=lambda words, name=name: told[name].append(words))  # type: ignore[misc]
        for name in told
    )
    assert first == second
    traces = ["\n".join(lines).replace(str(tmp_path / name), "") for name, lines in told.items()]
    assert traces[0] == traces[1]
    assert len(traces[0]) > first.messages


def test_seeds_differ(tmp_path: Path) -> None:
    one, other = (simulate(Plan.of(seed, 4, "silent"), tmp_path / str(seed)) for seed in (2, 7))
    assert one.digest != other.digest


def test_a_seed_is_the_same_run_in_another_process(tmp_path: Path) -> None:
    """Hashes of strings differ from process to process, and with them the order of sets."""
    here = simulate(Plan.of(3, 4, "governed"), tmp_path)
    script = Path(__file__).with_name("simulate.py")
    command = [
        sys.executable,
        str(script),
        "--first",
        "3",
        "--seeds",
        "1",
        "--count",
        "4",
        "--theme",
        "governed",
        "--processes",
        "1",
    ]
    tests = [str(script.parent.parent), str(script.parent)]
    path = os.pathsep.join([*tests, *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": path}
    there = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=50)
    assert f"{here.messages} messages" in there.stdout
    assert here.digest[:16] in there.stdout


@pytest.mark.nightly
@pytest.mark.timeout(0)
def test_thousands_of_networks_keep_their_promises() -> None:
    assert simulate_many([Plan.of(seed) for seed in NIGHTLY], processes=os.cpu_count() or 1).wrong == []
