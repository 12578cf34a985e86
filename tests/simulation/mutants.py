"""Nodes with one bug each, which the simulation must find: the proof that it can.

Not among them is a witness that keeps no memory of what it has cosigned: it takes a liar, one who has lost his disk,
and luck. test_the_cosignature_survives_a_restart (tests/node/test_witness.py) finds that one.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from inspect import iscoroutinefunction
from typing import Any

import pytest
from stories import Story, a_document_during_a_return
from world import Plan

from ledger import versions
from ledger.entry import ChainHead, Entry, parse_entry
from ledger.errors import StoreError
from ledger.logkeys import LogKeys
from ledger.network import Member, Network
from ledger.quorum import Judged
from ledger.store.memory import MemoryStore
from ledger.store.protocol import Batch
from ledger.witness_request import AddCheckpoint
from node import checking, logs, mirror, recovery
from node.admission import Admission
from node.adoption import Adoption
from node.equivocations import Equivocations
from node.gossip import Gossip
from node.hearsay import Hearsay
from node.logs import LogState
from node.mirror import Mirror
from node.readmission import Readmission
from node.recovery import Recovery
from node.witness import Witness
from node.writer import Transaction

Change = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True)
class Mutant:
    """A bug, and what of it comes to light in which networks (the theme of world.Plan)."""

    change: Change
    words: str
    theme: str
    members: int
    first: int  # the first seed that is tried: those before it cost time, and do not find it
    story: Story | None

    def plan(self, seed: int) -> Plan:
        """Return the network that a seed stands for."""
        return self.story(seed) if self.story is not None else Plan.of(seed, self.members, self.theme)


MUTANTS: dict[str, Mutant] = {}


def mutant(
    words: str, theme: str = "", *, members: int = 4, first: int = 0, story: Story | None = None
) -> Callable[[Change], Change]:
    def keep(change: Change) -> Change:
        MUTANTS[change.__name__] = Mutant(change, words, theme, members, first, story)
        return change

    return keep


def swap(patch: pytest.MonkeyPatch, owner: Any, name: str, new: Any) -> None:
    """Put ``new`` in the place of what a part of the software has under that name, and is awaited like it."""
    assert iscoroutinefunction(getattr(owner, name)) == iscoroutinefunction(new), f"{owner}.{name} has changed"
    patch.setattr(owner, name, new)


async def _nothing(*_: Any) -> None:
    return None


@mutant("")  # either a head with too few cosignatures, or two that conflict
def a_quorum_lowered_by_one(patch: pytest.MonkeyPatch) -> None:
    right: Callable[[Network], int] = Network.quorum.fget  # type: ignore[attr-defined]
    swap(patch, Network, "quorum", property(lambda self: right(self) - 1))


@mutant("", "node", first=4)  # the node itself notices when it stores the head, and its service ends
def a_checkpoint_is_taken_without_a_quorum(patch: pytest.MonkeyPatch) -> None:
    swap(patch, mirror, "require_quorum", lambda judged: judged)


@mutant("", "forger", first=1)  # cosigns a smaller head, or what it does not have
def a_witness_that_compares_and_stores_nothing(patch: pytest.MonkeyPatch) -> None:
    async def remember(self: Witness, _: AddCheckpoint, judged: Judged) -> None:
        def store(transaction: Transaction) -> None:
            state = transaction.state(judged.checkpoint.origin)
            transaction.put_state(logs.with_cosigned(state, judged, transaction.batch))

        await asyncio.wrap_future(self._writer.submit(store))

    swap(patch, Witness, "_check_step", _nothing)
    swap(patch, Witness, "_remember", remember)


@mutant("which is not in its store")
def a_witness_without_the_entries(patch: pytest.MonkeyPatch) -> None:
    swap(patch, Witness, "_have_entries", _nothing)


@mutant("which is not in its store", "forger", first=1)
def roots_are_not_compared_with_entries(patch: pytest.MonkeyPatch) -> None:
    swap(patch, Mirror, "check_root", lambda *_: None)


@mutant("", "forger", first=1)  # a wrong signature, a broken chain, or a fault of the software over one of them
def entries_are_not_verified(patch: pytest.MonkeyPatch) -> None:
    def verify(head: ChainHead, raws: list[bytes], **_: Any) -> tuple[list[Entry], ChainHead]:
        entries = [parse_entry(raw) for raw in raws]
        last = entries[-1]
        return entries, ChainHead(head.origin, last.index + 1, sha256(last.text).digest(), last.time)

    swap(patch, checking, "confirm_entries", lambda *_, **__: None)
    swap(patch, checking, "verify_entries", verify)


@mutant("", "forgetful", first=2)  # signs against what was confirmed, or never comes back to one history
def no_safe_return(patch: pytest.MonkeyPatch) -> None:
    async def at_once(self: Recovery) -> None:
        self._remembers.set()
        self._mirror.own_log_restored = True
        self._ready.set()

    swap(patch, Recovery, "run", at_once)


@mutant("", "forgetful", first=1)
def a_return_that_waits_for_nobody(patch: pytest.MonkeyPatch) -> None:
    swap(patch, recovery, "enough", lambda *_: True)
    swap(patch, recovery, "GRACE_SECONDS", 0.0)


@mutant("have not converged", first=2)
def nobody_compares_heads(patch: pytest.MonkeyPatch) -> None:
    async def never(_: Gossip) -> None:
        await asyncio.Event().wait()

    swap(patch, Gossip, "run", never)


@mutant("have no proof of it", "twins", first=4)
def nobody_makes_a_proof(patch: pytest.MonkeyPatch) -> None:
    for name in ("accuse", "accuse_entries", "accuse_growth"):
        swap(patch, Equivocations, name, lambda *_: None)


@mutant("have no proof of it", "twins", first=5)
def proofs_are_not_handed_on(patch: pytest.MonkeyPatch) -> None:
    swap(patch, Hearsay, "hear", _nothing)


@mutant("", first=4)  # an answer for what is not there, or a head that is not
def a_write_that_failed_counts(patch: pytest.MonkeyPatch) -> None:
    right = MemoryStore.write

    def write(self: MemoryStore, batch: Batch) -> None:
        try:
            right(self, batch)
        except StoreError:
            return

    swap(patch, MemoryStore, "write", write)


@mutant("first, then")
def ids_are_not_remembered(patch: pytest.MonkeyPatch) -> None:
    swap(patch, Admission, "_known", lambda *_: None)


@mutant("goes back", first=6)
def an_older_confirmed_head_replaces_a_newer_one(patch: pytest.MonkeyPatch) -> None:
    swap(patch, logs, "is_news", lambda *_: True)


@mutant("for confirmed with", "governed", first=28)
def a_quorum_of_the_version_before_is_enough(patch: pytest.MonkeyPatch) -> None:
    swap(patch, Mirror, "_under_its_version", lambda _, judged: judged)


@mutant("have not issued", "governed")
def the_governors_of_before_need_not_sign(patch: pytest.MonkeyPatch) -> None:
    right = versions._check_governors
    swap(patch, versions, "_check_governors", lambda signed, _: right(signed, signed))


@mutant("signed by a key that is not valid there", "governed", first=87)
def a_log_key_that_has_ended_signs_on(patch: pytest.MonkeyPatch) -> None:
    def keys(self: Member) -> LogKeys:
        spans = self.log_keys if self.readmitted is None else ((0, None, self.log_keys[0][2]),)
        return LogKeys(self.origin, spans)

    swap(patch, Member, "keys", property(keys))


@mutant("", "governed", first=26)  # the history that was ruled is not there, or what is void stays
def a_readmission_that_drops_nothing(patch: pytest.MonkeyPatch) -> None:
    swap(patch, Readmission, "_drop", _nothing)


@mutant("has told others that it is at", "governed", first=1)
def a_log_is_cosigned_under_any_version(patch: pytest.MonkeyPatch) -> None:
    swap(patch, Witness, "_act_alike", _nothing)
    swap(patch, Witness, "_require_alike", lambda *_: None)


@mutant("for confirmed with", "governed", first=141)
def a_version_that_is_not_known_counts_as_none(patch: pytest.MonkeyPatch) -> None:
    right = LogState.version_at
    swap(patch, LogState, "version_at", lambda self, size, network: right(self, size, network) or 0)


@mutant("has forgotten", first=1, story=a_document_during_a_return)
def a_document_that_comes_during_the_return_is_written_down_at_once(patch: pytest.MonkeyPatch) -> None:
    right = Adoption.__init__

    def init(self: Adoption, *arguments: Any, **options: Any) -> None:
        right(self, *arguments, **options | {"wait_ready": _nothing})

    swap(patch, Adoption, "__init__", init)


@mutant("have not converged", "governed", first=5)
def nobody_asks_for_a_newer_document(patch: pytest.MonkeyPatch) -> None:
    swap(patch, Adoption, "hear", _nothing)
