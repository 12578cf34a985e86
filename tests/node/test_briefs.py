"""Batches in brief: the same keys in the store as the events themselves give, and their bytes as they came."""

import pickle
from typing import Any

import pytest
from node_helpers import NOW_MS, parties, receipt, reference, seed, share

from ledger.encoding import canonical_json, encode_base64
from ledger.manifest import make_manifest
from ledger.plain import recognise
from node import briefs, indexing
from node.briefs import Brief, Briefs, brief_batch

A, B, C = parties(3)
LOG = seed("log")[:8]
REF = {"hash": encode_base64(seed("leaf")), "index": 7, "log": B.origin}
MANIFEST = make_manifest([reference("1"), reference("2")]).ref.model_dump()
SIMPLE = [
    share(1, B),
    share(2, C, records=[reference("1"), reference("2"), reference("3")]),
    share(3, B, records=None, purpose="核对住址"),
    share(4, B, records=[]),
    share(5, C, parents=[]),
]
OTHERS = [
    share(6, B, parents=[REF]),
    share(7, B, records=None, manifest=MANIFEST),
    receipt(8, REF),
]


def body_of(*values: dict[str, Any]) -> bytes:
    return canonical_json({"events": list(values)}).encode()


def sent(body: bytes) -> Briefs:
    """What a process gives back."""
    made = pickle.loads(pickle.dumps(brief_batch(body)))
    assert isinstance(made, Briefs)
    return made


@pytest.mark.parametrize("start", [0, 1, 255, NOW_MS])
def test_simple_shares_in_brief_leave_in_the_store_what_they_leave_as_a_whole(start: int) -> None:
    body = body_of(*SIMPLE)
    events = sent(body).cut(body)
    texts = [canonical_json(value).encode() for value in SIMPLE]
    assert [text for _, text in events] == texts
    whole = [event for text in texts if (event := recognise(text)) is not None]
    brief = [event for event, _ in events if isinstance(event, Brief)]
    assert len(whole) == len(brief) == len(SIMPLE)
    assert briefs.index(LOG, start, brief) == indexing.index(LOG, start, whole)
    assert [(event.id, event.consumer) for event in brief] == [(value["id"], value["consumer"]) for value in SIMPLE]


def test_what_the_store_may_speak_against_comes_as_a_whole() -> None:
    body = body_of(SIMPLE[0], *OTHERS, SIMPLE[1])
    events = sent(body).cut(body)
    assert [isinstance(event, Brief) for event, _ in events] == [True, False, False, False, True]
    assert [event for event, _ in events[1:4]] == [recognise(canonical_json(value).encode()) for value in OTHERS]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        body_of(),
        body_of(SIMPLE[0]) + b"\n",
        body_of(SIMPLE[0]).replace(b'{"events"', b'{ "events"'),
        body_of(SIMPLE[0], {**SIMPLE[1], "consumer": "no origin"}),
        body_of(SIMPLE[0], SIMPLE[1]).replace(b"household", b"\\u0068ousehold"),
    ],
)
def test_what_is_not_recognised_as_a_whole_is_left_to_the_exact_way(body: bytes) -> None:
    assert brief_batch(body) is None


def test_lengths_that_do_not_fit_the_batch_are_never_used() -> None:
    body = body_of(*SIMPLE)
    wrong = sent(body)
    wrong.lengths[0] -= 1
    with pytest.raises(AssertionError):
        wrong.cut(body)
