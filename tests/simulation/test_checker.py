"""The checker of the simulation must see what it is there to see: each promise, broken by hand."""

import base64
import json
from collections.abc import Callable, Sequence
from hashlib import sha256

import oracle
import pytest
from byzantine import Rekeyed, cut
from checker import Checker, History, ViolationError
from node_helpers import Paper, PaperLog, adopts, entry_of, members, paper, parties

from ledger.encoding import encode_base64
from ledger.tile import encode_bundle
from node.layout import origin_hash

A, B, C, D = FOUR = parties(4)
PAPER = paper(FOUR)
LAW = PAPER.network
ALL = frozenset(party.origin for party in FOUR)
HASH = origin_hash(A.origin)


def log_id(log: PaperLog) -> bytes:
    return bytes.fromhex(origin_hash(log.origin))[:8]


def entries(log: PaperLog, start: int = 0) -> list[tuple[bytes, bytes | None]]:
    return [(b"E" + log_id(log) + n.to_bytes(8, "big"), raw) for n, raw in enumerate(log.raws) if n >= start]


def checkpoint(letter: bytes, log: PaperLog, cosigners: int, size: int | None = None) -> tuple[bytes, bytes | None]:
    return letter + log_id(log), log.checkpoint(size, cosigners=cosigners).encode()


def ref(log: PaperLog, index: int) -> dict[str, object]:
    leaf = sha256(b"\x00" + log.raws[index]).digest()
    return {"log": log.origin, "index": index, "hash": base64.b64encode(leaf).decode()}


class Scene:
    """A's log of four entries, which everybody has; all are honest unless it is said otherwise."""

    def __init__(self, *, liars: Sequence[str] = ()) -> None:
        self.checker = Checker(PAPER.document, ALL - set(liars))
        self.log = PaperLog(A, LAW, FOUR)
        self.log.grow(3, B)
        for party in FOUR:
            if party.origin not in liars:
                self.checker.wrote(party.origin, entries(self.log))

    def other(self, keep: int = 1) -> PaperLog:
        """A branch of A's log with other entries from ``keep`` on."""
        branch = PaperLog(A, LAW, FOUR)
        assert branch.raws[0] == self.log.raws[0]
        branch.grow(keep - 1, B)
        branch.grow(3, C)
        return branch

    def confirm(self) -> None:
        self.checker.note(self.log.checkpoint(cosigners=3).encode())
        for party in FOUR:
            self.checker.wrote(party.origin, [checkpoint(b"Q", self.log, 3)])

    def finish(self, **accused: Sequence[str]) -> None:
        for party in FOUR[1:]:
            own = PaperLog(party, LAW, FOUR)
            for batch in (entries(own), [checkpoint(b"Q", own, 4)]):
                for member in FOUR:
                    self.checker.wrote(member.origin, batch)
        self.checker.ended({origin: accused.get(origin[:2], ()) for origin in ALL}, None)


def test_roots_are_those_of_the_oracle() -> None:
    state = History(None, b"")
    for size in range(70):
        assert state.root == oracle.mth([str(number).encode() for number in range(size)])
        state = state.grown(str(size).encode())


def test_an_honest_story_breaks_nothing() -> None:
    scene = Scene()
    scene.confirm()
    scene.checker.answered(A.origin, "one", ref(scene.log, 2), confirmed=True)
    bundle = encode_bundle(scene.log.raws[1:3])
    scene.checker.answer(B.origin, f"/v1/logs/{HASH}/entries?start=1&limit=2", b"", 200, bundle)
    memory = {
        "network_version": 1,
        "logs": [{"log": A.origin, "checkpoint": scene.log.checkpoint().encode().decode()[:-1].split("\n")}],
    }
    scene.checker.answer(D.origin, "/v1/memory", b"", 200, json.dumps(memory).encode())
    scene.finish()


Break = Callable[[Scene], None]
BROKEN: dict[str, tuple[str, Break]] = {}


def broken(words: str) -> Callable[[Break], Break]:
    def keep(act: Break) -> Break:
        BROKEN[act.__name__] = (words, act)
        return act

    return keep


@broken("not in its own store")
def an_honest_log_signs_another_history(scene: Scene) -> None:
    scene.checker.note(scene.other().checkpoint().encode())


@broken("not in its own store")
def a_lie_is_remembered_by_a_peer(scene: Scene) -> None:
    memory = {
        "network_version": 1,
        "logs": [{"log": A.origin, "checkpoint": scene.other().checkpoint().encode().decode()[:-1].split("\n")}],
    }
    scene.checker.answer(D.origin, "/v1/memory", b"", 200, json.dumps(memory).encode())


@broken("whose entries it does not have")
def a_witness_cosigns_what_it_does_not_have(scene: Scene) -> None:
    scene.log.grow(1, B)
    scene.checker.wrote(A.origin, entries(scene.log, 4))
    scene.checker.note(scene.log.checkpoint(cosigners=2).encode())


@broken("whose entries it does not have")
def a_cosignature_comes_as_an_answer(scene: Scene) -> None:
    scene.log.grow(1, B)
    scene.checker.wrote(A.origin, entries(scene.log, 4))
    lines = scene.log.checkpoint(cosigners=2).encode().decode().splitlines(keepends=True)
    scene.checker.answer(B.origin, "/witness/add-checkpoint", scene.log.request(4), 200, lines[-1].encode())


@broken("changes entry 2")
def a_stored_entry_becomes_another_one(scene: Scene) -> None:
    scene.checker.wrote(B.origin, [entries(scene.other())[2]])


@broken("deletes entry 3")
def a_stored_entry_vanishes(scene: Scene) -> None:
    scene.checker.wrote(B.origin, [(entries(scene.log)[3][0], None)])


@broken("stores entry 5")
def an_entry_is_left_out(scene: Scene) -> None:
    scene.log.grow(2, B)
    scene.checker.wrote(B.origin, entries(scene.log, 5))


@broken("does not follow the entry before it")
def an_entry_of_a_branch_is_stored_behind_the_other(scene: Scene) -> None:
    branch = scene.other()
    branch.grow(1, B)
    scene.checker.wrote(B.origin, entries(branch, 4))


@broken("has not signed")
def an_entry_with_a_wrong_signature_is_stored(scene: Scene) -> None:
    scene.log.grow(1, B)
    key, raw = entries(scene.log)[4]
    assert raw is not None
    scene.checker.wrote(B.origin, [(key, raw[:-8] + b"AAAA" + raw[-4:])])


@broken("with 2 cosignatures")
def two_of_four_are_taken_for_a_quorum(scene: Scene) -> None:
    scene.checker.wrote(B.origin, [checkpoint(b"Q", scene.log, 2)])


@broken("no signed checkpoint")
def a_confirmed_head_is_not_signed_at_all(scene: Scene) -> None:
    scene.checker.wrote(B.origin, [(b"Q" + log_id(scene.log), b"nothing")])


@broken("goes back")
def a_confirmed_head_is_replaced_by_an_older_one(scene: Scene) -> None:
    scene.confirm()
    scene.checker.wrote(B.origin, [checkpoint(b"Q", scene.log, 3, size=2)])


@broken("cosigns")
def a_witness_cosigns_a_smaller_head_than_before(scene: Scene) -> None:
    scene.checker.wrote(B.origin, [checkpoint(b"W", scene.log, 0)])
    scene.checker.wrote(B.origin, [checkpoint(b"W", scene.log, 0, size=3)])


@broken("which is not in its store")
def a_head_is_taken_before_its_entries(scene: Scene) -> None:
    scene.log.grow(1, B)
    scene.checker.wrote(A.origin, entries(scene.log, 4))
    scene.checker.wrote(B.origin, [checkpoint(b"W", scene.log, 0)])


@broken("otherwise than it stores it")
def another_entry_is_served_than_is_stored(scene: Scene) -> None:
    bundle = encode_bundle(scene.other().raws[1:3])
    scene.checker.answer(B.origin, f"/v1/logs/{HASH}/entries?start=1&limit=2", b"", 200, bundle)


@broken("with 500")
def a_fault_of_the_software_comes_to_light(scene: Scene) -> None:
    scene.checker.answer(B.origin, "/v1/logs", b"", 500, b"")


@broken("which its store does not have like that")
def an_answer_names_an_entry_that_is_not_there(scene: Scene) -> None:
    scene.checker.answered(A.origin, "one", ref(scene.other(), 2), confirmed=False)


@broken("as confirmed, and it is not")
def an_answer_says_confirmed_too_early(scene: Scene) -> None:
    scene.checker.answered(A.origin, "one", ref(scene.log, 2), confirmed=True)


@broken("has forgotten")
def who_has_lost_his_disk_signs_against_what_was_confirmed(scene: Scene) -> None:
    scene.confirm()
    scene.checker.replaced(A.origin, [])
    scene.checker.wrote(A.origin, entries(scene.other()))


@broken("has forgotten")
def who_has_lost_his_disk_cosigns_against_what_he_helped_to_confirm(scene: Scene) -> None:
    scene.confirm()
    scene.checker.disks[A.origin].forgetful = True
    scene.checker.replaced(B.origin, [])
    branch = scene.other()
    scene.checker.wrote(B.origin, [*entries(branch), checkpoint(b"W", branch, 0)])


@broken("has forgotten")
def who_has_lost_his_disk_gives_away_a_cosignature_against_what_he_helped_to_confirm(scene: Scene) -> None:
    scene.confirm()
    scene.checker.disks[A.origin].forgetful = True
    scene.checker.replaced(B.origin, [])
    branch = scene.other()
    scene.checker.wrote(B.origin, entries(branch))
    scene.checker.note(branch.checkpoint(cosigners=2).encode())


@broken("have not converged")
def one_lacks_what_the_others_have(scene: Scene) -> None:
    scene.confirm()
    scene.log.grow(1, B)
    for batch in (entries(scene.log, 4), [checkpoint(b"Q", scene.log, 3)]):
        for party in (A, B, C):
            scene.checker.wrote(party.origin, batch)
    scene.finish()


@broken("have not converged")
def an_event_is_never_confirmed(scene: Scene) -> None:
    scene.confirm()
    scene.log.grow(1, B)
    for party in FOUR:
        scene.checker.wrote(party.origin, entries(scene.log, 4))
    scene.finish()


@broken("suspects")
def an_honest_log_is_suspected(scene: Scene) -> None:
    scene.confirm()
    scene.finish(d2=[A.origin])


# What changes with the network document.


def grown(scene: Scene, *events: dict[str, object]) -> list[tuple[bytes, bytes | None]]:
    """More of A's log, as it is written."""
    size = scene.log.size
    scene.log.append(*events)
    return entries(scene.log, size)


def joined() -> Paper:
    """From three of four to five of seven."""
    return PAPER.next(members(*parties(7)))


def ended(size: int, ruling: PaperLog | None = None) -> Paper:
    """A's log key ends at a size, perhaps because the governors have ruled."""
    keys: list[dict[str, object]] = [{"key": A.keys.log.verifier.vkey, "from": 0, "until": size}]
    keys.append({"key": A.other_keys("log").log.verifier.vkey, "from": size})
    entry = entry_of(A, log_keys=keys)
    if ruling is not None:
        entry["readmitted"] = {"size": size, "root": encode_base64(ruling.root(size))}
    return PAPER.next([entry, *map(entry_of, (B, C, D))])


@broken("with 4 cosignatures under 2")
def a_quorum_of_before_is_taken_where_the_log_acts_under_the_new_version(scene: Scene) -> None:
    law = joined()
    scene.checker.issued(law.document)
    new = grown(scene, adopts(law.network))
    for party in FOUR:
        scene.checker.wrote(party.origin, new)
    scene.checker.wrote(B.origin, [checkpoint(b"Q", scene.log, 4)])


@broken("have not issued")
def a_member_acts_under_a_document_of_somebody_else(scene: Scene) -> None:
    scene.checker.wrote(A.origin, grown(scene, adopts(joined().network)))


@broken("signed by a key that is not valid there")
def an_entry_is_taken_that_is_signed_with_a_key_that_has_ended(scene: Scene) -> None:
    law = ended(4)
    scene.checker.issued(law.document)
    own = PaperLog(B, LAW)
    own.append(adopts(law.network))
    scene.checker.wrote(B.origin, entries(own))
    scene.log.grow(1, B)
    scene.checker.wrote(B.origin, entries(scene.log, 4))


@broken("signed by a key that is not valid there")
def a_head_is_taken_that_is_signed_with_a_key_that_has_ended(scene: Scene) -> None:
    law = ended(3)
    scene.checker.issued(law.document)
    own = PaperLog(B, LAW)
    own.append(adopts(law.network))
    scene.checker.wrote(B.origin, entries(own))
    scene.checker.wrote(B.origin, [checkpoint(b"W", scene.log, 0)])


@broken("deletes entry 2")
def a_ruling_takes_away_what_it_keeps(scene: Scene) -> None:
    scene.checker.issued(ended(3, scene.log).document)
    scene.checker.wrote(B.origin, [(key, None) for key, _ in entries(scene.log, 2)])


@broken("deletes entry 2")
def entries_go_from_the_middle(scene: Scene) -> None:
    scene.checker.issued(ended(2, scene.log).document)
    scene.checker.wrote(B.origin, [(entries(scene.log)[2][0], None)])


@broken("two confirmed heads conflict")
def a_ruling_contradicts_what_is_confirmed(scene: Scene) -> None:
    scene.confirm()
    branch = scene.other(2)
    scene.checker.replaced(D.origin, [])
    scene.checker.wrote(D.origin, entries(branch))
    scene.checker.issued(ended(4, branch).document)


@broken("has told others that it is at 2")
def a_member_cosigns_under_the_version_before_after_it_has_told_that_it_left_it(scene: Scene) -> None:
    scene.checker.issued(joined().document)
    told = {"network_version": 2, "since": 1, "logs": [{"log": A.origin, "size": 4}]}
    scene.checker.answer(B.origin, "/v1/memory", b"", 200, json.dumps(told).encode())
    lines = scene.log.checkpoint(cosigners=2).encode().decode().splitlines(keepends=True)
    scene.checker.answer(B.origin, "/witness/add-checkpoint", scene.log.request(0), 200, lines[-1].encode())


@broken("acts under version 1, not 2")
def a_member_never_acts_under_the_newest_version(scene: Scene) -> None:
    scene.confirm()
    scene.checker.issued(PAPER.next(members(*FOUR), rules="cn-2026").document)
    scene.finish()


def test_what_a_ruling_voids_may_go_and_the_log_goes_on_with_its_new_key() -> None:
    scene = Scene(liars=[A.origin])
    branch = scene.other()
    scene.checker.replaced(D.origin, [])
    scene.checker.wrote(D.origin, entries(branch))
    assert scene.checker.lied(A.origin)
    law = ended(2, scene.log)
    scene.checker.issued(law.document)
    assert scene.checker.settled().endswith("does not have the history of d0.test/log that the governors have ruled")
    for party in (B, C):
        scene.checker.wrote(party.origin, [(key, None) for key, _ in entries(scene.log, 2)])
    scene.checker.wrote(D.origin, [(key, None) for key, _ in entries(branch, 1)])
    goes_on = cut(scene.log, 2)
    goes_on.party = Rekeyed(A.name, 1)
    goes_on.append(adopts(law.network))
    for party in (B, C, D):
        scene.checker.wrote(party.origin, entries(goes_on, 1))
    assert not scene.checker.lied(A.origin)
    assert not scene.checker.settled().endswith("have ruled")


def test_votes_count_with_the_keys_and_the_members_of_one_version() -> None:
    """Four cosign under version 1, of which one changes his key and one is suspended in version 2."""
    scene = Scene()
    changed = entry_of(B, cosigner=B.other_keys("cosigner").cosigner.verifier.vkey)
    scene.checker.issued(PAPER.next([entry_of(A), changed, entry_of(C), entry_of(D, status="suspended")]).document)
    assert {version: law.quorum for version, law in scene.checker.laws.items()} == {1: 3, 2: 2}
    voted = {scene.checker.laws[1].voters[party.origin] for party in (B, D)}
    assert not any(law.is_quorum(voted) for law in scene.checker.laws.values())
    voted |= {scene.checker.laws[2].voters[B.origin]}
    assert not any(law.is_quorum(voted) for law in scene.checker.laws.values())
    voted |= {scene.checker.laws[1].voters[C.origin]}
    assert [version for version, law in scene.checker.laws.items() if law.is_quorum(voted)] == [1, 2]


def test_what_can_be_confirmed_counts_those_who_may_say_anything() -> None:
    scene = Scene(liars=[A.origin])
    scene.checker.note(scene.log.checkpoint(2, cosigners=2).encode())
    assert scene.checker.confirmable(A.origin).size == 0
    lines = scene.log.checkpoint(2, cosigners=3).encode().decode().splitlines(keepends=True)
    scene.checker.note("".join([*lines[:5], *lines[6:]]).encode())  # those of B and C
    assert scene.checker.confirmable(A.origin).size == 2


@pytest.mark.parametrize("name", BROKEN)
def test_it_shouts_when(name: str) -> None:
    words, act = BROKEN[name]
    scene = Scene()
    with pytest.raises(ViolationError, match=words):
        act(scene)


# What only liars can do: A's log is theirs.


def branched() -> tuple[Scene, PaperLog]:
    """A lies: B and C have one branch of its log, D the other."""
    scene = Scene(liars=[A.origin])
    branch = scene.other()
    scene.checker.replaced(D.origin, [])
    scene.checker.disks[D.origin].forgetful = False
    scene.checker.wrote(D.origin, entries(branch))
    return scene, branch


def test_two_quorums_for_two_branches_are_a_conflict() -> None:
    scene, branch = branched()
    scene.checker.disks[B.origin].forgetful = scene.checker.disks[C.origin].forgetful = (
        True  # so that it is no surprise
    )
    scene.checker.note(scene.log.checkpoint(cosigners=3).encode())
    with pytest.raises(ViolationError, match="two confirmed heads conflict"):
        scene.checker.note(branch.checkpoint(cosigners=3).encode())


def test_cosignatures_count_together_wherever_they_were_seen() -> None:
    scene, branch = branched()
    scene.checker.disks[B.origin].forgetful = scene.checker.disks[C.origin].forgetful = True
    scene.checker.note(scene.log.checkpoint(cosigners=3).encode())
    lines = branch.checkpoint(cosigners=4).encode().decode().splitlines(keepends=True)
    note = "".join(lines[:5])
    for line in lines[5:7]:
        scene.checker.note((note + line).encode())
    with pytest.raises(ViolationError, match="two confirmed heads conflict"):
        scene.checker.note((note + lines[7]).encode())


def test_a_quorum_for_what_no_honest_store_has_seen_is_a_violation() -> None:
    scene = Scene(liars=[A.origin])
    for party in (B, C):
        scene.checker.disks[party.origin].forgetful = True
    with pytest.raises(ViolationError, match="no honest store has seen"):
        scene.checker.note(scene.other().checkpoint(cosigners=3).encode())


def test_a_proof_must_be_everywhere() -> None:
    scene, _ = branched()
    assert scene.checker.lied(A.origin)
    proven = {party.origin: [A.origin] for party in (B, C, D)}
    assert scene.checker.unproven(proven) == ""
    assert D.origin in scene.checker.unproven(proven | {D.origin: []})


def test_who_lies_to_nobody_honest_needs_no_proof() -> None:
    scene = Scene(liars=[A.origin])
    scene.checker.note(scene.other().checkpoint(cosigners=1).encode())
    assert not scene.checker.lied(A.origin)
    assert scene.checker.unproven({party.origin: [] for party in (B, C, D)}) == ""


def test_a_branch_may_stay_behind_where_it_was_shown_and_nowhere_else() -> None:
    scene, _ = branched()
    scene.checker.note(scene.log.checkpoint(cosigners=3).encode())
    scene.checker.wrote(B.origin, [checkpoint(b"Q", scene.log, 3)])
    assert scene.checker.settled().startswith(f"{C.origin} has confirmed 0")
    scene.checker.wrote(C.origin, [checkpoint(b"Q", scene.log, 3)])
    assert A.origin not in scene.checker.settled()
