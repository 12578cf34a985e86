"""What tests/hearing.py must not overhear."""

import pytest
from hearing import Cosigned, Hearing, check_cosigner, roots_of
from node_helpers import PaperLog, paper, parties, share
from oracle import mth
from proxies import Heard

from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.merkle import TreeSize

A, B = parties(2)
LAW = paper([A, B])
ENTRIES = [bytes([number]) for number in range(20)]


def test_roots_are_those_of_the_formula() -> None:
    assert roots_of(ENTRIES) == [mth(ENTRIES[:size]) for size in range(21)]


def heard(size: int, root: bytes) -> Hearing:
    note = sign_checkpoint(A.keys.log, Checkpoint(A.origin, TreeSize(size), root)).encode()
    hearing = Hearing()
    hearing(Heard("POST /witness/add-checkpoint", b"old 0\n\n" + note))
    return hearing


def test_a_head_of_the_history_is_no_fork() -> None:
    log = PaperLog(A, LAW.network)
    log.append(share(1, B), share(2, B))
    assert heard(2, mth(log.raws[:2])).judge(LAW.network, {A.origin: log.raws}) == (1, 0)


@pytest.mark.parametrize(("size", "words"), [(2, "another root"), (9, "of which 3 are left")])
def test_a_head_of_another_history_is_heard(size: int, words: str) -> None:
    log = PaperLog(A, LAW.network)
    log.append(share(1, B), share(2, B))
    assert len(log.raws) == 3
    with pytest.raises(AssertionError, match=words):
        heard(size, bytes(32)).judge(LAW.network, {A.origin: log.raws})


def test_two_roots_of_one_size_are_a_fork() -> None:
    with pytest.raises(AssertionError, match="a has cosigned a fork of b"):
        check_cosigner("a", "b", [Cosigned(1, 5, b"1"), Cosigned(1, 5, b"2")])


def test_a_cosigner_who_goes_back_is_heard() -> None:
    check_cosigner("a", "b", [Cosigned(1, 5, b"5"), Cosigned(1, 6, b"6"), Cosigned(2, 6, b"6"), Cosigned(3, 9, b"9")])
    with pytest.raises(AssertionError, match="a has cosigned less of b than before"):
        check_cosigner("a", "b", [Cosigned(1, 5, b"5"), Cosigned(1, 6, b"6"), Cosigned(2, 5, b"5")])
