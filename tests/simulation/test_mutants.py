"""The simulation finds bugs: nodes with one bug each, and how many seeds it takes at most."""

from pathlib import Path

import pytest
from mutants import MUTANTS
from world import simulate

SEEDS_MAX = 40


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", MUTANTS)
def test_a_bug_is_found(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant = MUTANTS[name]
    mutant.change(monkeypatch)
    for seed in range(mutant.first, mutant.first + SEEDS_MAX):
        problem = simulate(mutant.plan(seed), tmp_path / str(seed)).problem
        if problem is not None:
            assert mutant.words in problem
            return
    pytest.fail(f"none of {SEEDS_MAX} seeds from {mutant.first} on has found it")
