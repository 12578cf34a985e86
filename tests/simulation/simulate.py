"""Run seeds of the simulation from the command line: ``make simulate SEEDS=1000 FIRST=0``, ``make simulate SEED=1234``.

One seed alone is told in full: every message that was delivered, and every word of every node, in virtual time.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from byzantine import BODIES
from world import Outcome, Plan, simulate


def simulate_many(
    seeds: Iterable[int], count: int | None = None, theme: str = "", *, quiet: bool = False
) -> list[tuple[int, str]]:
    """Run the seeds; return those that went wrong, with what was wrong."""
    wrong = []
    for seed in seeds:
        plan = Plan.of(seed, count, theme)
        outcome = _in_a_folder(plan, told=False)
        if outcome.problem is not None:
            wrong.append((seed, outcome.problem))
        if outcome.problem is not None or not quiet:
            _say(_line(plan, outcome))
    return wrong


def _in_a_folder(plan: Plan, *, told: bool) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        return simulate(plan, Path(folder), tell=_say if told else None)


def _line(plan: Plan, outcome: Outcome) -> str:
    return (
        f"seed {plan.seed}: {plan.count} members, {len(plan.liars)} lie, {len(plan.forgetful)} forget; "
        f"{outcome.messages} messages, {outcome.events} shares, {outcome.seconds:.0f} s, "
        f"{outcome.lies} logs with two histories, {outcome.proofs} proofs; {outcome.digest[:16]}; "
        f"{outcome.problem or 'all is well'}"
    )


def _say(words: str) -> None:
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run what the command line asks for; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, help="one seed, told in full")
    parser.add_argument("--first", type=int, default=0, help="the first of several seeds")
    parser.add_argument("--seeds", type=int, default=100, help="how many")
    parser.add_argument("--count", type=int, choices=[4, 7, 10], help="members; else the seed decides")
    parser.add_argument("--theme", choices=["forgetful", *BODIES], default="", help="else the seed decides")
    parser.add_argument("--quiet", action="store_true", help="only what goes wrong")
    asked = parser.parse_args()
    if asked.seed is not None:
        plan = Plan.of(asked.seed, asked.count, asked.theme)
        outcome = _in_a_folder(plan, told=True)
        _say(_line(plan, outcome))
        return int(outcome.problem is not None)
    wrong = simulate_many(range(asked.first, asked.first + asked.seeds), asked.count, asked.theme, quiet=asked.quiet)
    _say(f"{asked.seeds} seeds, {len(wrong)} went wrong{''.join(f' {seed}' for seed, _ in wrong)}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
