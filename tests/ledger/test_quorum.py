"""Quorums: whose cosignatures count, whose are only checked, and what nobody can pass off as a signature."""

from collections.abc import Iterable
from dataclasses import replace

import builders
import pytest
from builders import (
    EMPTY_HASH,
    Department,
    Log,
    Net,
    document_body,
    make_network,
    next_version,
    sign_document,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import note as notes
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.cosignature import cosign
from ledger.encoding import JsonObject
from ledger.errors import (
    CheckpointError,
    InvalidSignatureError,
    KeyEndedError,
    LedgerError,
    NoteError,
    QuorumError,
    UnknownLogError,
    UnsignedError,
)
from ledger.merkle import TreeSize
from ledger.network import Network, network_text, parse_network
from ledger.note import COSIGNATURE, ED25519, Note, Signature, Signer
from ledger.quorum import Judged, judge_checkpoint, require_quorum, without_strangers
from ledger.versions import verify_chain

NET = make_network(7)
POLICE, TAX, HEALTH, COURT, HOUSING, SOCIAL, LAST = NET.departments
LOG = Log(NET, POLICE)
LOG.open()
CHECKPOINT = LOG.checkpoint()


def judged(note: Note, network: Network = NET.network) -> Judged:
    """What a note is judged to be, from its bytes and from its value alike."""
    found = judge_checkpoint(note.encode(), network)
    assert judge_checkpoint(note, network) == found
    return found


def with_lines(*signatures: Signature) -> Note:
    """The checkpoint with these signature lines alone."""
    return Note(CHECKPOINT.text, signatures)


def votes(departments: Iterable[Department], *, time: int = 7) -> list[Signature]:
    return [cosign(one.cosigner, CHECKPOINT, time=time) for one in departments]


def test_a_checkpoint_with_a_quorum_is_confirmed_and_one_below_it_is_not() -> None:
    assert NET.network.quorum == 5
    for count in range(8):
        found = judged(LOG.cosigned(NET.departments[:count]))
        assert len(found.cosigners) == count
        assert found.confirmed == (count >= 5)
        if found.confirmed:
            assert require_quorum(found) is found
        else:
            with pytest.raises(QuorumError) as caught:
                require_quorum(found)
            assert (caught.value.limit, caught.value.code, caught.value.field) == (5, "no_quorum", "checkpoint")
            assert f"has {count} of the 5 cosignatures" in str(caught.value)


def test_a_quorum_vouches_at_the_time_of_its_oldest_member() -> None:
    times = [70, 10, 50, 60, 30, 40, 20]
    signed = [cosign(one.cosigner, CHECKPOINT, time=time) for one, time in zip(NET.departments, times, strict=True)]
    bare = judged(LOG.cosigned([])).bare.signatures
    assert judged(with_lines(*bare, *signed)).vouched == 30  # five of seven have signed at 30 or after it
    assert judged(with_lines(*bare, *signed[:5])).vouched == 10
    assert judged(with_lines(*bare, *signed[:4])).vouched is None


def test_a_judged_checkpoint_says_who_has_cosigned_it_and_when() -> None:
    found = judged(LOG.cosigned([TAX, POLICE]))
    assert (found.checkpoint, found.size, found.owner.origin, found.needed) == (CHECKPOINT, 1, POLICE.origin, 5)
    assert found.cosigners == ((POLICE.origin, 1763712930), (TAX.origin, 1763712930))
    assert found.note == LOG.cosigned([TAX, POLICE])


def test_the_owners_own_cosignature_counts_like_any_other() -> None:
    assert judged(LOG.cosigned([POLICE])).cosigners == ((POLICE.origin, 1763712930),)
    assert judged(LOG.cosigned([])).cosigners == ()


def test_a_cosigner_counts_once_however_often_it_has_signed() -> None:
    log_line = POLICE.log.sign(CHECKPOINT.text)
    found = judged(with_lines(log_line, *votes([TAX], time=5), *votes([TAX], time=9), *votes([TAX], time=9), log_line))
    assert found.cosigners == ((TAX.origin, 5),)


@pytest.mark.parametrize("status", ["suspended", "ended"])
def test_the_suspended_and_the_ended_do_not_count_and_their_lines_are_checked_all_the_same(status: str) -> None:
    net = make_network(7, entries={1: {"status": status}}).network
    found = judged(LOG.cosigned(NET.departments), net)
    assert TAX.origin not in dict(found.cosigners)
    assert len(found.cosigners) == 6
    assert found.needed == net.quorum == 4
    false = Signature(name=TAX.cosigner.name, key_id=TAX.cosigner.verifier.key_id, blob=bytes(72))
    note = LOG.cosigned([POLICE])
    with pytest.raises(InvalidSignatureError):
        judged(Note(note.text, (*note.signatures, false)), net)


def test_a_suspended_members_log_is_judged_like_any_other() -> None:
    net = make_network(7, suspended=[0]).network
    found = judged(LOG.cosigned(NET.departments), net)
    assert found.owner.origin == POLICE.origin
    assert POLICE.origin not in dict(found.cosigners)
    assert found.confirmed


def test_strangers_count_for_nothing_and_do_no_harm() -> None:
    strangers = [builders.department(number) for number in range(7, 20)]
    found = judged(LOG.cosigned([TAX, *strangers]))
    assert [origin for origin, _ in found.cosigners] == [TAX.origin]


def test_the_lines_of_strangers_and_repetitions_can_be_left_out() -> None:
    log_line = POLICE.log.sign(CHECKPOINT.text)
    stranger = builders.department(9)
    tax, again = votes([TAX], time=5)[0], votes([TAX], time=9)[0]
    found = judged(with_lines(*votes([stranger]), log_line, tax, again, log_line))
    clean = without_strangers(found, NET.network)
    assert clean.note.signatures == (log_line, tax)
    assert judged(clean.note) == clean


def test_a_members_other_keys_do_not_cosign() -> None:
    lines = [one.transport.sign(CHECKPOINT.text) for one in NET.departments] + [TAX.log.sign(CHECKPOINT.text)]
    assert judged(with_lines(POLICE.log.sign(CHECKPOINT.text), *lines)).cosigners == ()


@pytest.mark.parametrize("signer", [POLICE.log, TAX.cosigner, POLICE.cosigner])
def test_one_false_signature_in_a_known_name_spoils_the_note(signer: Signer) -> None:
    note = LOG.cosigned([one for one in NET.departments if one.cosigner is not signer])
    other = Checkpoint(POLICE.origin, TreeSize(1), bytes(32))
    false = cosign(signer, other, time=7) if signer.algorithm == COSIGNATURE else signer.sign(other.text)
    for lines in ((*note.signatures, false), (false, *note.signatures)):
        with pytest.raises(InvalidSignatureError):
            judged(Note(note.text, lines))


@pytest.mark.parametrize(
    "other",
    [
        Checkpoint(POLICE.origin, TreeSize(2), CHECKPOINT.root),
        Checkpoint(POLICE.origin, TreeSize(1), bytes(32)),
        Checkpoint(TAX.origin, TreeSize(1), CHECKPOINT.root),
    ],
)
def test_signatures_of_another_checkpoint_do_not_fit(other: Checkpoint) -> None:
    with pytest.raises(InvalidSignatureError):
        judged(with_lines(POLICE.log.sign(CHECKPOINT.text), cosign(TAX.cosigner, other, time=7)))
    with pytest.raises(InvalidSignatureError):
        judged(with_lines(POLICE.log.sign(other.text), *votes([TAX])))


def test_a_quorum_without_the_log_is_no_checkpoint_of_the_log() -> None:
    with pytest.raises(UnsignedError) as caught:
        judged(with_lines(*votes(NET.departments)))
    assert caught.value.field == "checkpoint"
    with pytest.raises(UnsignedError):
        judged(with_lines(*votes(NET.departments), TAX.log.sign(CHECKPOINT.text)))
    with pytest.raises(UnsignedError):
        judged(with_lines(builders.signer("nobody").sign(CHECKPOINT.text)))


def test_a_cosigner_whose_key_id_is_the_logs_does_not_stand_in_for_the_log() -> None:
    # Four bytes are found by trial in an hour: a cosigner's name for which its key has the ID of the victim's log key.
    twin = Signer(TAX.cosigner.name, COSIGNATURE, TAX.cosigner.seed)
    object.__setattr__(twin.verifier, "key_id", POLICE.log.verifier.key_id)
    network = make_network(7).network
    network.members[TAX.origin] = replace(network.members[TAX.origin], cosigner=twin.verifier)
    vote = cosign(twin, CHECKPOINT, time=7)
    assert vote.key_id == POLICE.log.verifier.key_id
    with pytest.raises(UnsignedError):
        judge_checkpoint(with_lines(vote), network)
    found = judge_checkpoint(with_lines(vote, POLICE.log.sign(CHECKPOINT.text)), network)
    assert found.cosigners == ((TAX.origin, 7),)


def test_the_logs_key_of_the_checkpoints_size_must_have_signed() -> None:
    later = Signer(POLICE.origin, ED25519, bytes(range(32)))
    keys = [{"key": POLICE.log.verifier.vkey, "from": 0}, {"key": later.verifier.vkey, "from": 10, "until": 20}]
    net = make_network(7, entries={0: {"log_keys": keys}}).network
    for size, signer, error in (
        (0, POLICE.log, None),
        (10, POLICE.log, None),
        (11, later, None),
        (20, later, None),
        (10, later, UnsignedError),
        (11, POLICE.log, UnsignedError),
        (21, later, UnsignedError),
    ):
        note = sign_checkpoint(signer, Checkpoint(POLICE.origin, TreeSize(size), bytes(32)))
        if error is None:
            assert judged(note, net).size == size
        else:
            with pytest.raises(error):
                judged(note, net)


@pytest.mark.parametrize("origin", ["nobody.example/log", "police", "x" * 5000])
def test_a_checkpoint_of_an_unknown_log_is_named_as_such(origin: str) -> None:
    note = sign_checkpoint(POLICE.log, Checkpoint(origin, TreeSize(1), bytes(32)))
    with pytest.raises(UnknownLogError) as caught:
        judged(note)
    assert len(str(caught.value)) < 200


def test_what_was_verified_before_is_not_verified_again_and_everything_else_is(monkeypatch: pytest.MonkeyPatch) -> None:
    own = sign_checkpoint(POLICE.log, CHECKPOINT).signatures[0]
    lines = votes(NET.departments)
    first = judged(with_lines(own, *lines[:5]))
    counted: list[bytes] = []
    real = notes.verify_detached

    def counting(public_key: bytes, message: bytes, signature: bytes) -> bool:
        counted.append(public_key)
        return real(public_key, message, signature)

    monkeypatch.setattr(notes, "verify_detached", counting)
    second = judge_checkpoint(with_lines(own, *lines), NET.network, before=first)
    assert counted == [one.cosigner.verifier.public_key for one in NET.departments[5:]]
    assert second == judged(with_lines(own, *lines))
    false = replace(lines[0], blob=lines[1].blob)
    for spoilt in ([false, *lines[1:]], [*lines, false], [*lines[:6], false]):
        with pytest.raises(InvalidSignatureError):
            judge_checkpoint(with_lines(own, *spoilt), NET.network, before=second)
    elsewhere = Log(NET, TAX)
    elsewhere.open()
    other = elsewhere.checkpoint()
    strange = sign_checkpoint(TAX.log, other)
    with pytest.raises(InvalidSignatureError):  # the same lines below another text
        judge_checkpoint(Note(strange.text, (*strange.signatures, *lines)), NET.network, before=second)


def test_what_is_no_checkpoint_is_refused() -> None:
    with pytest.raises(NoteError):
        judge_checkpoint(b"hello\n", NET.network)
    with pytest.raises(CheckpointError):
        judge_checkpoint(Note("hello\n", (POLICE.log.sign("hello\n"),)).encode(), NET.network)


LINES = [POLICE.log.sign(CHECKPOINT.text), *votes([TAX, HEALTH, *(builders.department(number) for number in (7, 8))])]


@settings(deadline=None)
@given(st.permutations(LINES))
def test_the_order_of_the_lines_does_not_matter(lines: list[Signature]) -> None:
    assert judged(with_lines(*lines)).cosigners == ((HEALTH.origin, 7), (TAX.origin, 7))


@settings(deadline=None)
@given(st.binary(max_size=100) | st.text(max_size=40).map(str.encode), st.integers(0, 900), st.integers(0, 200))
def test_hostile_checkpoints_raise_nothing_but_ledger_errors(data: bytes, start: int, length: int) -> None:
    note = LOG.cosigned(NET.departments[:5]).encode()
    for candidate in (data, note[:start] + data + note[start + length :]):
        try:
            found = judge_checkpoint(candidate, NET.network)
        except LedgerError:
            continue
        assert found.checkpoint == CHECKPOINT
        assert set(dict(found.cosigners)) <= set(NET.origins[:5])


# Several versions of the network document.


def chain_of(*members: list[JsonObject]) -> Network:
    """The newest of some versions of the network, each with these members."""
    newest = NET
    documents: list[bytes] = []
    for entries in members:
        body = document_body(entries, governors=NET.governors)
        if documents:
            documents.append(next_version(newest, body))
        else:
            documents.append(sign_document(network_text("ordos", 1, EMPTY_HASH, body), NET.governors))
        newest = Net(NET.departments, NET.governors, documents[-1], parse_network(documents[-1]))
    return verify_chain(b"\n".join(documents), parse_network(documents[0]).text_hash.hex())


ENTRIES = [one.entry() for one in NET.departments]
GROWN = chain_of(ENTRIES[:4], ENTRIES)  # 3 of 4, then 5 of 7
NEW_KEY = builders.signer("tax.ordos.example/witness-2", COSIGNATURE)


def test_what_an_earlier_version_has_confirmed_stays_confirmed() -> None:
    counted = [
        (found.version, found.confirmed, len(found.cosigners), found.needed)
        for count in range(8)
        for found in [judged(LOG.cosigned(NET.departments[:count]), GROWN)]
    ]
    assert counted == [
        *[(2, False, count, 5) for count in range(3)],
        *[(1, True, count, 3) for count in (3, 4)],
        *[(2, True, count, 5) for count in (5, 6, 7)],
    ]


def test_a_newer_version_can_be_asked_for() -> None:
    note = LOG.cosigned(NET.departments[:3])
    assert judge_checkpoint(note, GROWN, at_least=1).confirmed
    for floor in (2, 3):
        found = judge_checkpoint(note, GROWN, at_least=floor)
        assert (found.version, found.confirmed, found.needed) == (2, False, 5)


def test_new_members_do_not_make_up_an_old_quorum() -> None:
    found = judged(LOG.cosigned([POLICE, TAX, HOUSING, SOCIAL]), GROWN)
    assert (found.version, found.confirmed, len(found.cosigners)) == (2, False, 4)


def test_a_former_cosigner_key_counts_where_it_was_valid_and_nowhere_else() -> None:
    renewed = chain_of(ENTRIES[:4], [ENTRIES[0], TAX.entry(cosigner=NEW_KEY.verifier.vkey), *ENTRIES[2:4]])
    old = LOG.cosigned([POLICE, TAX, HEALTH])
    assert (judged(old, renewed).version, judged(old, renewed).confirmed) == (1, True)
    assert not judge_checkpoint(old, renewed, at_least=2).confirmed
    line = cosign(NEW_KEY, CHECKPOINT, time=7)
    log_line = POLICE.log.sign(CHECKPOINT.text)
    new = judged(with_lines(log_line, line, *votes([POLICE, HEALTH])), renewed)
    assert (new.version, new.confirmed) == (2, True)
    both = judged(with_lines(log_line, line, *votes([TAX, HEALTH])), renewed)
    assert (both.version, both.confirmed, len(both.cosigners)) == (2, False, 2)  # one member, however many keys
    false = Signature(name=TAX.cosigner.name, key_id=TAX.cosigner.verifier.key_id, blob=bytes(72))
    with pytest.raises(InvalidSignatureError):
        judged(with_lines(log_line, false, line), renewed)


def test_who_has_left_counts_where_he_was_a_member() -> None:
    left = chain_of(ENTRIES[:4], [*ENTRIES[:2], *(one.entry(status="ended") for one in NET.departments[2:4])])
    found = judged(LOG.cosigned([TAX, HEALTH, COURT]), left)
    assert (found.version, found.confirmed, set(dict(found.cosigners))) == (
        1, True, {TAX.origin, HEALTH.origin, COURT.origin},
    )  # fmt: skip


# A log key that has ended.

NEXT = builders.signer(POLICE.origin + "-next")
FOLLOWING = Signer(POLICE.origin, ED25519, NEXT.seed)


def ended_at(size: int, *, until: int | None = None) -> Network:
    """A network in which the log's key ended at a size, and the next one too, if that is said."""
    last = {"key": FOLLOWING.verifier.vkey, "from": size} | ({} if until is None else {"until": until})
    keys = [{"key": POLICE.log.verifier.vkey, "from": 0, "until": size}, last]
    return make_network(7, entries={0: {"log_keys": keys}}).network


def checkpoint_of(size: int) -> Checkpoint:
    return Checkpoint(POLICE.origin, TreeSize(size), EMPTY_HASH)


def test_what_a_key_signs_from_its_end_on_is_told_from_what_nobody_has_signed() -> None:
    network = ended_at(3)
    assert judge_checkpoint(sign_checkpoint(POLICE.log, checkpoint_of(3)), network).size == 3
    assert judge_checkpoint(sign_checkpoint(FOLLOWING, checkpoint_of(4)), network).size == 4
    with pytest.raises(KeyEndedError, match=POLICE.log.verifier.key_id.hex()) as caught:
        judge_checkpoint(sign_checkpoint(POLICE.log, checkpoint_of(4)), network)
    assert caught.value.field == "checkpoint"
    for note in (
        sign_checkpoint(FOLLOWING, checkpoint_of(3)),  # not valid yet, but not ended either
        Note(checkpoint_of(4).text, (TAX.log.sign(checkpoint_of(4).text),)),
        Note(checkpoint_of(4).text, sign_checkpoint(POLICE.log, checkpoint_of(5)).signatures),  # only says so
    ):
        with pytest.raises(UnsignedError) as refused:
            judge_checkpoint(note, network)
        assert type(refused.value) is UnsignedError


def test_behind_the_end_of_the_last_key_each_is_told_as_what_it_is() -> None:
    network = ended_at(3, until=5)
    for key in (POLICE.log, FOLLOWING):
        with pytest.raises(KeyEndedError, match=key.verifier.key_id.hex()):
            judge_checkpoint(sign_checkpoint(key, checkpoint_of(6)), network)
    with pytest.raises(UnsignedError) as refused:
        judge_checkpoint(Note(checkpoint_of(6).text, (TAX.log.sign(checkpoint_of(6).text),)), network)
    assert type(refused.value) is UnsignedError
