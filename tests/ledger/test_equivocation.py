"""Equivocation: a log that has told two stories is convicted, and one that has told one story never is."""

import json
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import builders
import oracle
import pytest
from builders import Log, Net, logs_of, make_network, share_event, signer
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import equivocation as module
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.encoding import JsonObject, canonical_json, encode_base64, parse_base64, text_to_lines
from ledger.entry import parse_entry, sign_texts
from ledger.equivocation import (
    EquivocationError,
    NotProvenError,
    Story,
    Verdict,
    content_proof,
    entries_proof,
    heads_proof,
    judge_equivocation,
    parse_proof_file,
)
from ledger.errors import (
    CheckpointError,
    FingerprintError,
    InvalidSignatureError,
    JsonError,
    LedgerError,
    TooLongError,
    UnknownLogError,
    UnsignedError,
    VerificationError,
    WrongTypeError,
)
from ledger.merkle import TreeSize, subtrees
from ledger.network import Network, parse_network
from ledger.note import Note, Signature, Signer
from ledger.quorum import judge_checkpoint

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


@pytest.mark.slow
@pytest.mark.parametrize("kind", MAKERS)
def test_no_byte_of_a_proof_can_be_changed(kind: str) -> None:
    data = MAKERS[kind]()
    assert judge(data).kind == kind
    for at in range(len(data)):
        with pytest.raises(LedgerError):
            judge(data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :])


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


# Every pair of sizes, with trees of a naive oracle.

TREE = 12


def tree(size: int, fork: int) -> list[bytes]:
    """Leaf hashes of the story that has forked off at an index; of the first story, where it is the size."""
    leaf_hashes = oracle.leaves_of(size)
    return leaf_hashes[:fork] + [leaf[::-1] for leaf in leaf_hashes[fork:]]


def tree_head(leaf_hashes: Sequence[bytes]) -> Note:
    owner = NET.departments[0].log
    return sign_checkpoint(owner, Checkpoint(owner.name, TreeSize(len(leaf_hashes)), oracle.root(leaf_hashes)))


def tree_heads(small: Sequence[bytes], large: Sequence[bytes]) -> bytes:
    old = len(small)
    if not 0 < old < len(large):
        return heads_proof(NET.document, tree_head(small), tree_head(large))
    proof = oracle.consistency(old, large)
    return heads_proof(NET.document, tree_head(small), tree_head(large), other=oracle.root(large[:old]), proof=proof)


@pytest.mark.parametrize("new", range(TREE + 1))
def test_of_all_sizes_and_forks_those_that_both_heads_cover_are_proven_and_no_others(new: int) -> None:
    for old in range(new + 1):
        for fork in range(new + 1):
            data = tree_heads(oracle.leaves_of(old), tree(new, fork))
            if fork < old:
                verdict = judge(data)
                assert (verdict.size, verdict.until) == (0, old)
                assert verdict.first == Story("checkpoint", old, oracle.root(oracle.leaves_of(old)))
                assert verdict.second == Story("checkpoint", new, oracle.root(tree(new, fork)))
            else:
                with pytest.raises(NotProvenError):
                    judge(data)


@pytest.mark.parametrize("new", range(2, 10))
def test_no_hash_of_an_honest_tree_passes_for_another_root_of_it(new: int) -> None:
    honest = oracle.leaves_of(new)
    hashes = {oracle.root(honest[start:end]) for end in range(new + 1) for start in range(end)} | {bytes(32)}
    for old in range(1, new):
        good = json.loads(tree_heads(honest[:old], honest))
        for other in sorted(hashes - {oracle.root(honest[:old])}):
            value = {**good, "other": encode_base64(other)}
            with pytest.raises(NotProvenError) as caught:
                judge((canonical_json(value) + "\n").encode())
            assert caught.value.field == "proof"


def test_two_roots_of_the_empty_log_convict() -> None:
    one, _ = stories()
    for first, second in ((None, bytes(32)), (bytes(32), None)):
        verdict = judge(heads_proof(NET.document, head(one, 0, first), head(one, 0, second)))
        assert (verdict.size, verdict.until) == (0, 0)
    with pytest.raises(NotProvenError):
        judge(heads_proof(NET.document, head(one, 0), head(one, 0)))


# What an entry shows of the entries below it.


@pytest.mark.parametrize("index", range(FORK, SIZE))
def test_two_entries_show_how_far_the_stories_agree_only_where_they_follow_the_same_entry(index: int) -> None:
    one, other = stories()
    verdict = judge(entries_proof(NET.document, one.origin, one.raws[index], other.raws[index]))
    assert (verdict.size, verdict.until) == ((FORK, FORK + 1) if index == FORK else (0, index))
    assert verdict.first == Story("entry", index, one.entries[index].leaf)
    assert verdict.second == Story("entry", index, other.entries[index].leaf)
    assert verdict.words == f"{one.origin} has signed two entries with index {index}"


@pytest.mark.parametrize("index", range(FORK, SIZE - 1))
def test_an_entry_convicts_with_any_other_one_before_it_and_not_with_one_further_away(index: int) -> None:
    one, other = stories()
    verdict = judge(entries_proof(NET.document, one.origin, one.raws[index], other.raws[index + 1]))
    assert (verdict.size, verdict.until) == (0, index + 1)
    for before in range(index):
        with pytest.raises(NotProvenError):
            judge(entries_proof(NET.document, one.origin, one.raws[before], other.raws[index + 1]))
    with pytest.raises(NotProvenError):  # the order says which one must follow which
        judge(entries_proof(NET.document, one.origin, one.raws[index + 1], other.raws[index]))


def test_two_openings_of_a_log_part_at_entry_0() -> None:
    one, _ = stories()
    again = Log(NET, one.owner)
    again.append(share_event())
    verdict = judge(entries_proof(NET.document, one.origin, one.raws[0], again.raws[0]))
    assert (verdict.size, verdict.until) == (0, 1)


def test_an_event_of_any_letters_can_be_held_against_its_log() -> None:
    one, _ = stories()
    fork = Log(NET, one.owner, one.entries[:FORK])
    fork.append(share_event(purpose='\u0338\u0301\u00e9 "\\ 溯源\u2028\U0001f512'))
    assert judge(entries_proof(NET.document, one.origin, one.raws[FORK], fork.raws[FORK])).size == FORK


# Content.


def test_a_content_proof_tells_both_roots_and_not_where_they_part() -> None:
    one, other = stories()
    verdict = judge(content(one, 7, SIZE, one.raws[7:], other.checkpoint(SIZE).root))  # they have parted before 7
    assert verdict.first == Story("entries", SIZE, one.checkpoint(SIZE).root)
    assert verdict.second == Story("checkpoint", SIZE, other.checkpoint(SIZE).root)
    assert (verdict.size, verdict.until) == (0, SIZE)


def test_the_entries_of_a_content_proof_stand_in_order() -> None:
    one, _ = stories()
    for order, place in (([4, 3, 5], 0), ([3, 3, 4], 1), ([3, 4, 4], 2), ([3, 5, 6], 1)):
        data = content(one, 3, 6, [one.raws[index] for index in order], bytes(32))
        with pytest.raises(VerificationError) as caught:
            judge(data)
        assert (caught.value.field, caught.value.message) == (f"entries[{place}]", "not the entry that follows")


def test_a_content_proof_may_begin_at_a_signed_empty_log() -> None:
    one, _ = stories()
    assert judge(content_proof(NET.document, one.origin, head(one, 0), [], one.raws, head(one, SIZE, bytes(32))))
    with pytest.raises(VerificationError):
        judge(content_proof(NET.document, one.origin, head(one, 0, bytes(32)), [], one.raws, head(one, SIZE)))


@pytest.mark.slow
def test_a_content_proof_reaches_across_tiles() -> None:
    log = Log(NET, NET.departments[0])
    log.append(*(share_event(name=number) for number in range(270)))
    for old in (1, 255, 256, 257):
        with pytest.raises(NotProvenError):
            judge(content(log, old, 270, log.raws[old:]))
        assert judge(content(log, old, 270, log.raws[old:], bytes(32))).until == 270


# Signatures and keys.


def test_a_note_is_bared_of_all_signatures_but_the_logs_own() -> None:
    one, other = stories()
    stranger = builders.department(9).log
    for size in (0, 7):
        note = one.cosigned(size=size)
        note = Note(note.text, (stranger.sign(note.text), *note.signatures, *note.signatures))
        assert judge_checkpoint(note, NET.network).bare == head(one, size)
    data = heads_proof(NET.document, judge_checkpoint(one.cosigned(size=7), NET.network).bare, head(other, 7))
    assert judge(data).kind == "heads"


L = 2**252 + 27742317777372353535851937790883648493  # the order of Ed25519's group, RFC 8032 section 5.1


def stretched(blob: bytes) -> bytes:
    """An Ed25519 signature with S + L for S, which verifiers of old accept as well."""
    return blob[:-32] + (int.from_bytes(blob[-32:], "little") + L).to_bytes(32, "little")


def test_a_signature_that_others_can_reshape_makes_no_second_entry() -> None:
    one, _ = stories()
    raw = one.raws[FORK]
    line = raw.decode().split("\n")[7]
    blob = line.rpartition(" ")[2]
    again = raw.replace(blob.encode(), encode_base64(stretched(parse_base64(blob))).encode())
    assert parse_entry(again).text == parse_entry(raw).text
    for data, field in (
        (entries_proof(NET.document, one.origin, raw, again), "second.line 8"),
        (content(one, FORK, FORK + 1, [again]), "entries[0].line 8"),
    ):
        with pytest.raises(InvalidSignatureError) as caught:
            judge(data)
        assert caught.value.field == field
    (own,) = head(one, 7).signatures
    reshaped = Note(head(one, 7).text, (Signature(name=own.name, key_id=own.key_id, blob=stretched(own.blob)),))
    with pytest.raises(InvalidSignatureError):
        judge(heads_proof(NET.document, head(one, 7), reshaped))


OLD, NEW = (signer(NET.origins[0]), Signer(NET.origins[0], 1, bytes(range(32))))
ROTATED_AT = 4  # the first entry, and one less than the first size, of the new key


def rotated(until: int | None = ROTATED_AT) -> Net:
    keys: list[JsonObject] = [
        {"key": OLD.verifier.vkey, "from": 0, **({} if until is None else {"until": until})},
        {"key": NEW.verifier.vkey, "from": ROTATED_AT},
    ]
    return make_network(2, entries={0: {"log_keys": keys}})


def resigned(raw: bytes, key: Signer) -> bytes:
    return sign_texts(key, [parse_entry(raw).text])[0]


@pytest.mark.parametrize("until", [ROTATED_AT, None])
def test_a_key_speaks_for_its_own_sizes_alone(until: int | None) -> None:
    net = rotated(until)
    log = stories()[0]

    def verdict_on(data: bytes) -> Verdict:
        return judge_equivocation(data, fingerprint=net.fingerprint)

    def signed(size: int, key: Signer, root: bytes | None) -> Note:
        true = log.checkpoint(size)
        return sign_checkpoint(key, true if root is None else Checkpoint(log.origin, true.size, root))

    for size in range(SIZE + 1):
        right, wrong = (OLD, NEW) if size <= ROTATED_AT else (NEW, OLD)
        assert verdict_on(heads_proof(net.document, signed(size, right, None), signed(size, right, bytes(32))))
        for pair in ((right, wrong), (wrong, right), (wrong, wrong)):
            notes = signed(size, pair[0], None), signed(size, pair[1], bytes(32))
            with pytest.raises(UnsignedError) as caught:
                verdict_on(heads_proof(net.document, *notes))
            assert caught.value.field == f"{'first' if pair[0] is wrong else 'second'}.checkpoint"
    one, other = stories()
    for index in range(FORK, SIZE):
        pair_of = one.raws[index], other.raws[index]
        assert verdict_on(entries_proof(net.document, log.origin, *(resigned(raw, NEW) for raw in pair_of)))
        with pytest.raises(UnsignedError):
            verdict_on(entries_proof(net.document, log.origin, *pair_of))


def test_an_entry_in_the_content_is_signed_by_the_key_of_its_index() -> None:
    net, log = rotated(), stories()[0]
    claim = sign_checkpoint(NEW, Checkpoint(log.origin, TreeSize(6), bytes(32)))
    raws = [raw if index < ROTATED_AT else resigned(raw, NEW) for index, raw in enumerate(log.raws[:6])]
    assert judge_equivocation(
        content_proof(net.document, log.origin, None, [], raws, claim), fingerprint=net.fingerprint
    )
    with pytest.raises(UnsignedError) as caught:
        judge_equivocation(
            content_proof(net.document, log.origin, None, [], log.raws[:6], claim), fingerprint=net.fingerprint
        )
    assert caught.value.field == f"entries[{ROTATED_AT}].line 8"


def test_keys_are_judged_by_the_newer_network_document() -> None:
    one, other = stories()
    data = two_heads(one, 7, other, 7)
    keys = [{"key": OLD.verifier.vkey, "from": 0, "until": 4}, {"key": NEW.verifier.vkey, "from": 4}]
    members = [NET.departments[0].entry(log_keys=keys), NET.departments[1].entry()]
    later = builders.next_version(NET, builders.document_body(members, governors=NET.governors))
    assert judge(data).until == 7
    with pytest.raises(UnsignedError):  # the key had ended
        judge(data, parse_network(later))
    enclosed = changed(data, network=text_to_lines(NET.document + b"\n" + later))
    for given_network in (None, NET.network):
        with pytest.raises(UnsignedError):
            judge(enclosed, given_network)


def test_a_proof_of_another_network_is_refused() -> None:
    one, other = stories()
    elsewhere = make_network(3)
    for make in MAKERS.values():
        data = changed(make(), network=text_to_lines(elsewhere.document))
        with pytest.raises(FingerprintError):
            judge(data)
    with pytest.raises(FingerprintError):
        judge_equivocation(two_heads(one, 7, other, 7), fingerprint=elsewhere.fingerprint)


def test_a_part_that_is_wrong_is_named() -> None:
    heads, entries = (json.loads(MAKERS[kind]()) for kind in ("heads", "entries"))
    for value, name, field in (
        (heads, "second", "second.size"),
        (heads, "first", "first.size"),
        (entries, "first", "first.line 3"),
        (entries, "second", "second.line 3"),
    ):
        lines = list(value[name])
        lines[1 if value is heads else 2] = "07"
        with pytest.raises(LedgerError) as caught:
            judge(changed((canonical_json(value) + "\n").encode(), **{name: lines}))
        assert caught.value.field == field


# Extension lines, which no log of a network writes.


@pytest.mark.parametrize("line", ["an extension", "e\u0301"])
def test_a_head_with_an_extension_line_is_no_head_of_a_members_log(line: str) -> None:
    one, other = stories()
    true = one.checkpoint(7)
    extended = sign_checkpoint(OLD, Checkpoint(one.origin, true.size, bytes(32), (line,)))
    with pytest.raises(CheckpointError) as refused:
        judge_checkpoint(extended, NET.network)
    assert refused.value.field == "extensions"
    if line.isascii():
        with pytest.raises(CheckpointError):
            judge(heads_proof(NET.document, extended, head(other, 7)))
    else:  # JSON cannot even hold it
        with pytest.raises(JsonError) as caught:
            heads_proof(NET.document, head(one, 7), extended)
        assert caught.value.field == "second[3]"


# Honest logs.


@cache
def honest() -> dict[str, list[Any]]:
    """All that an honest log has ever signed, and all hashes and proofs that follow from it, for each member."""
    log = stories()[0]
    heads = [text_to_lines(head(log, size).encode()) for size in range(SIZE + 1)]
    entries = [text_to_lines(raw) for raw in log.raws]
    roots = [encode_base64(oracle.root(leaves(log)[:size])) for size in range(SIZE + 1)]
    return {
        "parts": [*heads, *entries],
        "heads": heads,
        "entries": entries,
        "hashes": [*roots, *(encode_base64(leaf) for leaf in leaves(log)), encode_base64(bytes(32))],
        "proofs": [
            *(
                [encode_base64(one) for one in oracle.consistency(old, leaves(log)[:new])]
                for new in range(1, SIZE + 1)
                for old in range(1, new)
            ),
            *([encode_base64(one) for one in peaks(log, size)] for size in range(SIZE + 1)),
        ],
    }


@st.composite
def accusations(draw: st.DrawFn) -> bytes:
    """A file of any kind, its members drawn from what an honest log has said, some of them bent."""
    pool = honest()
    kind = draw(st.sampled_from(["heads", "entries", "content"]))
    part = st.sampled_from(pool["entries" if kind == "entries" else "heads"]) | st.sampled_from(pool["parts"])
    hash_ = st.sampled_from(pool["hashes"])
    proof = st.sampled_from(pool["proofs"]) | st.lists(hash_, max_size=5)
    start, end = sorted(draw(st.lists(st.integers(0, SIZE), min_size=2, max_size=2)))
    run: list[list[str]] = pool["entries"][start:end]
    bent = st.permutations(run) | st.lists(st.sampled_from(pool["entries"]), min_size=1, max_size=SIZE)
    value: JsonObject = {
        "kind": kind,
        "log": NET.origins[0],
        "network": text_to_lines(NET.document),
        "schema": module.SCHEMA,
        "first": draw(part),
        "second": draw(part),
    }
    if kind == "heads" and draw(st.booleans()):
        value |= {"other": draw(hash_), "proof": draw(proof)}
    if kind == "content":
        value["entries"] = draw(st.just(run) | bent) or run
        if draw(st.booleans()):
            value |= {
                "first": pool["heads"][start],
                "proof": [encode_base64(peak) for peak in peaks(stories()[0], start)],
                "second": pool["heads"][end],
            }
        elif draw(st.booleans()):
            value |= {"proof": draw(proof)}
        else:
            del value["first"]
    for name in draw(st.lists(st.sampled_from(["first", "second"]), max_size=1)):
        lines = list(value.get(name) or value["second"])
        at = draw(st.integers(0, len(lines) - 1))
        lines[at] = draw(st.sampled_from(draw(st.sampled_from(pool["parts"]))) | st.integers(0, 9).map(str))
        if lines not in pool["parts"]:
            value[name] = lines
    return (canonical_json(value) + "\n").encode()


@settings(deadline=None, max_examples=400)
@given(accusations())
def test_nothing_that_an_honest_log_has_said_can_be_put_together_against_it(data: bytes) -> None:
    with pytest.raises(LedgerError):
        judge(data)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(sorted(MAKERS)), st.sampled_from(sorted(MAKERS)), st.data())
def test_members_of_two_true_proofs_never_make_a_third_about_another_log(
    kind: str, other: str, data: st.DataObject
) -> None:
    one, another = (json.loads(MAKERS[name]()) for name in (kind, other))
    names = data.draw(st.sets(st.sampled_from(sorted(one | another)), min_size=1))
    value = {**one, **{name: another[name] for name in names if name in another}, "log": NET.origins[1]}
    with pytest.raises(LedgerError):
        judge((canonical_json(value) + "\n").encode())
