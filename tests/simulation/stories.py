"""Networks of which the main events are written down, where chance alone would hardly ever bring them together."""

from collections.abc import Callable
from dataclasses import replace

from governors import Act
from wires import FINE
from world import Mishap, Plan

Story = Callable[[int], Plan]  # by seed


def a_document_during_a_return(seed: int) -> Plan:
    """One of four comes back with an old copy of its disk and reaches nobody, and its operator gives it a document."""
    alone = Mishap(6.9, "partition", lasts=8.0, what=frozenset({"d0"}))
    restored = Mishap(7.0, "amnesia", "d0", what="old")
    return replace(
        Plan.of(seed, 4, "forgetful"), liars=(), forgetful=("d0",), weather=FINE, mishaps=(alone, restored),
        calm_at=16.0, newcomers=(), acts=(Act(8.0, "rules"),), rulings=False,
    )  # fmt: skip
