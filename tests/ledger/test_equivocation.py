"""Equivocation: a log that has told two stories is convicted, and one that has told one story never is."""

import json
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import builders
import oracle
import pytest
from builders import Log, logs_of, make_network, share_event
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import equivocation as module
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.encoding import JsonObject, canonical_json, encode_base64
from ledger.equivocation import (
    EquivocationError,
    NotProvenError,
    Verdict,
    content_proof,
    entries_proof,
    heads_proof,
    judge_equivocation,
    parse_proof_file,
)
from ledger.errors import (
    FingerprintError,
    InvalidSignatureError,
    LedgerError,
    TooLongError,
    UnknownLogError,
    UnsignedError,
    VerificationError,
    WrongTypeError,
)
from ledger.merkle import TreeSize, subtrees
from ledger.network import Network
from ledger.note import Note

NET = make_network(2)
SIZE = 9
FORK = 5  # from here on the two stories differ


@cache
def stories() -> tuple[Log, Log]:
    """Two logs of one owner that agree up to an entry and no further."""
    one = logs_of(NET)[0]
    other = Log(NET, one.owner, list(one.entries))
    for number in range(1, SIZE):
        event = share_event(name=number, purpose="as told to some")
        one.append(event)
        other.append(event if number < FORK else share_event(name=number, purpose="as told to others"))
    return one, other


def head(log: Log, size: int, root: bytes | None = None) -> Note:
    """A checkpoint as the log signs it, without cosignatures."""
    true = log.checkpoint(size)
    return sign_checkpoint(log.owner.log, true if root is None else Checkpoint(log.origin, true.size, root))


def leaves(log: Log) -> list[bytes]:
    return [entry.leaf for entry in log.entries]


def peaks(log: Log, size: int) -> list[bytes]:
    found = leaves(log)
    return [oracle.root(found[node.index << node.level : (node.index + 1) << node.level]) for node in subtrees(0, size)]


def judge(data: bytes, network: Network | None = None) -> Verdict:
    return judge_equivocation(data, fingerprint=NET.fingerprint, network=network)


def two_heads(small: Log, old: int, large: Log, new: int) -> bytes:
    """The proof that two heads contradict each other, made as somebody makes it who has the larger log."""
    if old == new:
        return heads_proof(NET.document, head(small, old), head(large, new))
    tree = leaves(large)[:new]
    return heads_proof(
        NET.document,
        head(small, old),
        head(large, new),
        other=oracle.root(tree[:old]) if old else None,
        proof=oracle.consistency(old, tree) if old else [],
    )


def content(log: Log, old: int, new: int, entries: Sequence[bytes], root: bytes | None = None) -> bytes:
    first = head(log, old) if old else None
    return content_proof(NET.document, log.origin, first, peaks(log, old), entries, head(log, new, root))


def changed(data: bytes, **members: Any) -> bytes:
    """The file with other members; one that is None is left out."""
    value = {name: member for name, member in {**json.loads(data), **members}.items() if member is not None}
    return (canonical_json(value) + "\n").encode()


@pytest.mark.parametrize("old", range(1, SIZE + 1))
@pytest.mark.parametrize("new", range(1, SIZE + 1))
def test_two_heads_convict_exactly_when_both_stories_reach_beyond_the_fork(old: int, new: int) -> None:
    one, other = stories()
    if old > new:
        return
    for small, large in ((one, other), (other, one)):
        data = two_heads(small, old, large, new)
        if old > FORK:
            verdict = judge(data)
            assert (verdict.log, verdict.kind, verdict.size, verdict.until) == (one.origin, "heads", 0, old)
            assert f"size {old}" in verdict.words
        else:
            with pytest.raises(NotProvenError):
                judge(data)


def test_a_head_of_the_empty_log_convicts_only_with_another_root() -> None:
    one, _ = stories()
    with pytest.raises(NotProvenError):
        judge(heads_proof(NET.document, head(one, 0), head(one, 3)))
    assert judge(heads_proof(NET.document, head(one, 0, bytes(32)), head(one, 3))).kind == "heads"


def test_two_entries_of_one_index_convict() -> None:
    one, other = stories()
    verdict = judge(entries_proof(NET.document, one.origin, one.raws[FORK], other.raws[FORK]))
    assert (verdict.log, verdict.kind, verdict.size) == (one.origin, "entries", FORK)


def test_an_entry_that_follows_another_one_than_the_one_before_convicts() -> None:
    one, other = stories()
    verdict = judge(entries_proof(NET.document, one.origin, one.raws[FORK], other.raws[FORK + 1]))
    assert (verdict.kind, verdict.size, verdict.until) == ("entries", 0, FORK + 1)


def test_no_two_entries_of_one_story_convict() -> None:
    for log in stories():
        for first in log.raws:
            for second in log.raws:
                with pytest.raises(NotProvenError):
                    judge(entries_proof(NET.document, log.origin, first, second))


@pytest.mark.parametrize("old", [0, 1, 2, 3, 4, FORK])
def test_entries_that_do_not_hash_to_a_head_convict(old: int) -> None:
    one, other = stories()
    root = other.checkpoint(SIZE).root
    verdict = judge(content(one, old, SIZE, one.raws[old:], root))
    assert (verdict.kind, verdict.size, verdict.until) == ("content", 0, SIZE)


@pytest.mark.parametrize("old", range(SIZE))
def test_the_entries_of_one_story_hash_to_its_heads_and_convict_nobody(old: int) -> None:
    for log in stories():
        for new in range(old + 1, SIZE + 1):
            with pytest.raises(NotProvenError):
                judge(content(log, old, new, log.raws[old:new]))


def test_the_first_head_and_its_subtrees_must_fit() -> None:
    one, _ = stories()
    root = bytes(32)
    good = content(one, 3, SIZE, one.raws[3:], root)
    assert judge(good)
    hashes: list[str] = json.loads(good)["proof"]
    for proof in (hashes[:0], hashes[:1], hashes[::-1]):
        with pytest.raises(VerificationError) as caught:
            judge(changed(good, proof=proof))
        assert caught.value.field == "proof"


@pytest.mark.parametrize("entries", [slice(4, None), slice(3, -1), slice(2, None), slice(None, None, -1)])
def test_the_entries_must_lead_from_head_to_head(entries: slice) -> None:
    one, _ = stories()
    with pytest.raises(VerificationError) as caught:
        judge(content(one, 3, SIZE, one.raws[entries], bytes(32)))
    assert str(caught.value.field).startswith("entries")


def forged(raw: bytes) -> bytes:
    return raw.replace(b"as told to some", b"never told at all")


def test_what_the_log_has_not_signed_convicts_nobody() -> None:
    one, other = stories()
    stranger = builders.department(1)
    false_head = Note(head(one, 7).text, head(other, 7).signatures)
    cases: list[tuple[bytes, type[LedgerError]]] = [
        (entries_proof(NET.document, one.origin, one.raws[FORK], forged(one.raws[FORK])), InvalidSignatureError),
        (content(one, 0, SIZE, [*one.raws[:-1], forged(one.raws[-1])]), InvalidSignatureError),
        (heads_proof(NET.document, head(one, 7), false_head), InvalidSignatureError),
        (heads_proof(NET.document, head(one, 7), sign_checkpoint(stranger.log, one.checkpoint(7))), UnsignedError),
    ]
    for data, error in cases:
        with pytest.raises(error):
            judge(data)


def test_only_the_logs_own_signature_stands_under_a_head() -> None:
    one, other = stories()
    for note in (other.cosigned(size=7), Note(head(other, 7).text, head(other, 7).signatures * 2)):
        with pytest.raises(EquivocationError) as caught:
            judge(heads_proof(NET.document, head(one, 7), note))
        assert caught.value.field == "second"


def test_the_parts_speak_of_the_log_that_is_accused() -> None:
    one, other = stories()
    tax = logs_of(NET)[1]
    heads = heads_proof(NET.document, head(one, 7), head(other, 7))
    entries = entries_proof(NET.document, tax.origin, one.raws[FORK], other.raws[FORK])
    for data, field in ((changed(heads, log=tax.origin), "first"), (entries, "first.line 2")):
        with pytest.raises(VerificationError) as caught:
            judge(data)
        assert caught.value.field == field
    with pytest.raises(UnknownLogError):
        judge(heads, make_network(0).network)


def test_the_fingerprint_is_the_callers() -> None:
    one, other = stories()
    data = two_heads(one, 7, other, 7)
    assert judge(data, NET.network) == judge(data)
    with pytest.raises(FingerprintError):
        judge_equivocation(data, fingerprint="0" * 64)


def test_the_larger_head_stands_second() -> None:
    one, other = stories()
    with pytest.raises(EquivocationError) as caught:
        judge(heads_proof(NET.document, head(one, 8), head(other, 7)))
    assert caught.value.field == "first"


def test_another_root_must_be_shown_and_not_only_said() -> None:
    one, other = stories()
    good = two_heads(one, 7, other, 9)
    assert judge(good)
    for members, error, field in (
        ({"other": None, "proof": None}, EquivocationError, "other"),
        ({"proof": []}, NotProvenError, "proof"),
        ({"proof": None}, EquivocationError, "proof"),
        ({"other": None}, EquivocationError, "other"),
        ({"other": encode_base64(bytes(32))}, NotProvenError, "proof"),
    ):
        with pytest.raises(LedgerError) as caught:
            judge(changed(good, **members))
        assert (type(caught.value), caught.value.field) == (error, field)


def test_each_kind_has_its_own_members() -> None:
    one, other = stories()
    heads = two_heads(one, 7, other, 9)
    entries = entries_proof(NET.document, one.origin, one.raws[FORK], other.raws[FORK])
    body = content(one, 0, SIZE, one.raws, bytes(32))
    for data, members, field in (
        (heads, {"first": None}, "first"),
        (heads, {"entries": json.loads(body)["entries"]}, "entries"),
        (entries, {"first": None}, "first"),
        (entries, {"proof": []}, "proof"),
        (entries, {"other": json.loads(heads)["other"]}, "other"),
        (body, {"entries": None}, "entries"),
        (body, {"other": json.loads(heads)["other"]}, "other"),
        (body, {"proof": []}, "first"),
        (body, {"first": json.loads(heads)["first"]}, "proof"),
        (two_heads(one, 7, other, 7), {"other": json.loads(heads)["other"]}, "proof"),
        (two_heads(one, 7, other, 7), {"other": json.loads(heads)["other"], "proof": []}, "other"),
        (two_heads(one, 7, other, 7), {"proof": []}, "other"),
        (two_heads(one, 0, one, 3), {"proof": []}, "other"),
        (two_heads(one, 0, one, 3), {"other": json.loads(heads)["other"], "proof": []}, "other"),
    ):
        with pytest.raises(LedgerError) as caught:
            judge(changed(data, **members))
        assert caught.value.field == field


@pytest.mark.parametrize("data", [b"", b"{}", b"\n", b"[]\n", b"null\n", b"{}\n\n", b"\xff\n", b'{"a": 1}\n'])
def test_what_is_no_proof_file_is_refused(data: bytes) -> None:
    with pytest.raises(LedgerError) as caught:
        parse_proof_file(data)
    assert str(caught.value.field).startswith("equivocation") or caught.value.field == "schema"


def test_a_proof_file_that_is_no_object_is_said_to_be_none() -> None:
    with pytest.raises(WrongTypeError) as caught:
        parse_proof_file(b"[]\n")
    assert caught.value.field == "equivocation"


def test_a_proof_file_has_a_size_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    data = two_heads(*stories()[:1], 7, stories()[1], 7)
    monkeypatch.setattr(module, "PROOF_FILE_BYTES_MAX", len(data))
    assert parse_proof_file(data)
    with pytest.raises(TooLongError):
        parse_proof_file(data + b"\n")


MAKERS: dict[str, Callable[[], bytes]] = {
    "heads": lambda: two_heads(stories()[0], 7, stories()[1], 9),
    "entries": lambda: entries_proof(
        NET.document, stories()[0].origin, stories()[0].raws[FORK], stories()[1].raws[FORK]
    ),
    "content": lambda: content(stories()[0], 7, SIZE, stories()[0].raws[7:], bytes(32)),
}


@pytest.mark.parametrize("kind", MAKERS)
def test_no_byte_of_a_proof_can_be_changed(kind: str) -> None:
    data = MAKERS[kind]()
    assert judge(data).kind == kind
    for at in range(0, len(data), 2):
        with pytest.raises(LedgerError):
            judge(data[:at] + bytes([data[at] ^ 1 << at // 2 % 8]) + data[at + 1 :])


@settings(deadline=None)
@given(st.sampled_from(sorted(MAKERS)), st.binary(max_size=40), st.integers(0, 6000), st.integers(0, 2000))
def test_hostile_proofs_raise_nothing_but_ledger_errors(kind: str, data: bytes, start: int, length: int) -> None:
    good = MAKERS[kind]()
    for candidate in (data, good[:start] + data + good[start + length :]):
        if candidate != good:
            with pytest.raises(LedgerError):
                judge(candidate)


@settings(deadline=None)
@given(st.sampled_from([0, 1]), st.integers(1, SIZE), st.integers(1, SIZE), st.data())
def test_an_honest_log_is_never_convicted_by_any_mixture_of_its_own_words(
    story: int, old: int, new: int, data: st.DataObject
) -> None:
    log = stories()[story]
    roots = [oracle.root(leaves(log)[:size]) for size in range(SIZE + 1)]
    hashes = st.lists(st.sampled_from([*roots, *leaves(log), *peaks(log, 7), bytes(32)]), max_size=5)
    files = [
        heads_proof(
            NET.document,
            head(log, old),
            head(log, new),
            other=data.draw(st.sampled_from(roots)),
            proof=data.draw(hashes),
        ),
        content_proof(
            NET.document, log.origin, head(log, old), data.draw(hashes), log.raws[old:new] or log.raws, head(log, new)
        ),
    ]
    for file in files:
        with pytest.raises(LedgerError):
            judge(file)


def test_a_size_above_all_entries_is_no_size_of_an_honest_log() -> None:
    one, _ = stories()
    claim = sign_checkpoint(one.owner.log, Checkpoint(one.origin, TreeSize(2**62), bytes(32)))
    with pytest.raises(NotProvenError):
        judge(heads_proof(NET.document, head(one, 3), claim, other=bytes(32), proof=[bytes(32)]))


json_members = st.dictionaries(
    st.sampled_from(["first", "second", "other", "proof", "entries", "log", "kind", "network"]),
    st.none() | st.integers() | st.text(max_size=5) | st.lists(st.text(max_size=5) | st.lists(st.text(max_size=5))),
    min_size=1,
)


@settings(deadline=None)
@given(st.sampled_from(sorted(MAKERS)), json_members)
def test_hostile_members_raise_nothing_but_ledger_errors(kind: str, members: JsonObject) -> None:
    data = (canonical_json({**json.loads(MAKERS[kind]()), **members}) + "\n").encode()
    with pytest.raises(LedgerError):
        judge(data)
