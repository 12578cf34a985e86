"""What nodes tell of a record, against what it must be."""

from collections.abc import Callable, Sequence
from typing import Any

import naive


def told(trace: dict[str, Any]) -> list[Any]:
    """What all nodes must agree on: everything but the size of the checkpoint that each happens to rest on."""
    without = {"verification", "receipt"}
    return [
        [{name: value for name, value in hop.items() if name not in without} for hop in trace["hops"]],
        [{**(hop["receipt"] or {}), "verification": None} for hop in trace["hops"]],
        trace["holders"],
        trace["gaps"],
    ]


def check_trace(trace: dict[str, Any], hops: Sequence[naive.Hop], origin_of: Callable[[str], str]) -> None:
    """Check a trace, all of it confirmed and received, against the handovers as they were."""
    origins = [(origin_of(a), origin_of(b), at) for a, b, at in hops]
    assert [(hop["from"], hop["to"], hop["occurred_at"]) for hop in trace["hops"]] == origins
    assert all(hop["verified"] and hop["state"] == "confirmed" and hop["receipt"] for hop in trace["hops"])
    assert trace["gaps"] == []
    assert {one["log"] for one in trace["holders"]} == {origin_of(name) for name in naive.holders(list(hops))}
    shares = [hop["share"] for hop in trace["hops"]]
    sources = [[] if number is None else [shares[number]] for number in naive.parents(list(hops))]
    assert [hop["parents"] for hop in trace["hops"]] == sources
