"""Run seeds of the simulation from the command line: ``make simulate SEEDS=1000 FIRST=0``, ``make simulate SEED=1234``.

Several seeds are run by as many processes as there are cores. One seed alone is told in full: every message that was
delivered, and every word of every node, in virtual time.
"""

import argparse
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from byzantine import BODIES
from world import COUNTS, Outcome, Plan, simulate

THEMES = ("forgetful", "governed", "patient", *BODIES)
PROGRESS = 50  # seeds between two words about how far it is
AT_ONCE = 4  # seeds that a process takes at a time


def simulate_many(plans: list[Plan], *, processes: int = 1, quiet: bool = True) -> "Tally":
    """Run some plans, and say what went wrong as soon as it has; of the others too, where it is not to be ``quiet``."""
    tally = Tally()
    for number, (plan, outcome) in enumerate(_outcomes(plans, processes), 1):
        tally.add(plan, outcome)
        if outcome.problem is not None or not quiet:
            _say(line_of(plan, outcome))
        elif number % PROGRESS == 0:
            _say(f"{number} of {len(plans)} networks, {len(tally.wrong)} went wrong")
    return tally


def _outcomes(plans: list[Plan], processes: int) -> Iterator[tuple[Plan, Outcome]]:
    """Yield what the plans come to, in their order."""
    if processes == 1:
        yield from zip(plans, map(in_a_folder, plans), strict=True)
        return
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        yield from zip(plans, pool.map(in_a_folder, plans, chunksize=AT_ONCE), strict=True)


class Tally:
    """What many networks have seen, and which of them have broken a promise."""

    def __init__(self) -> None:
        self.wrong: list[tuple[int, str]] = []
        self.networks: Counter[str] = Counter()  # by what they have seen at least once
        self.sizes: Counter[int] = Counter()
        self.messages = 0
        self.checks = 0

    def add(self, plan: Plan, outcome: Outcome) -> None:
        if outcome.problem is not None:
            self.wrong.append((plan.seed, outcome.problem))
        self.sizes[plan.count] += 1
        self.messages += outcome.messages
        self.checks += outcome.checks
        self.networks.update(outcome.saw.keys())
        self.networks["a log with two histories"] += outcome.lies > 0
        self.networks["a proof of it everywhere"] += outcome.proofs > 0
        self.networks[f"answers needed: {plan.answers}"] += 1

    def lines(self) -> Iterator[str]:
        """Yield a summary: of how many networks each thing can be said."""
        count = sum(self.sizes.values())
        yield f"{count} networks ({', '.join(f'{of} of {size}' for size, of in sorted(self.sizes.items()))} members)"
        yield f"{self.messages} messages, {self.checks} checks"
        for what, number in sorted(self.networks.items()):
            yield f"{number:8}  {what}"
        yield f"{len(self.wrong)} went wrong{''.join(f' {seed}' for seed, _ in self.wrong)}"


def in_a_folder(plan: Plan, *, told: bool = False) -> Outcome:
    """Run one plan, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        return simulate(plan, Path(folder), tell=_say if told else None)


def line_of(plan: Plan, outcome: Outcome) -> str:
    """Return what there is to say of one run."""
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
    parser.add_argument("--count", type=int, choices=COUNTS, help="members; else the seed decides")
    parser.add_argument("--theme", choices=THEMES, default="", help="else the seed decides")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="that share the work")
    parser.add_argument("--quiet", action="store_true", help="no line for a seed with which all is well")
    asked = parser.parse_args()
    if asked.seed is not None:
        plan = Plan.of(asked.seed, asked.count, asked.theme)
        outcome = in_a_folder(plan, told=True)
        _say(line_of(plan, outcome))
        return int(outcome.problem is not None)
    plans = [Plan.of(seed, asked.count, asked.theme) for seed in range(asked.first, asked.first + asked.seeds)]
    tally = simulate_many(plans, processes=asked.processes, quiet=asked.quiet)
    for line in tally.lines():
        _say(line)
    return int(bool(tally.wrong))


if __name__ == "__main__":
    sys.exit(main())
