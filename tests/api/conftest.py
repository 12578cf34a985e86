"""The office that the tests of the interface visit: one node, its clients, and what they may do."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from node_helpers import (
    NOW_MS,
    Paper,
    PaperLog,
    Party,
    Town,
    open_log,
    paper,
    parties,
    seed,
    tokens_json,
)
from structlog.testing import capture_logs

from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.cosignature import add_signatures, cosign
from ledger.merkle import TreeSize
from node.clock import ManualClock
from node.service import Node
from node.tokens import Role, new_token
from node.transport import PeerAuth

FOUR = parties(4)
ROLES: tuple[Role, ...] = ("read", "submit", "admin")


@dataclass
class Office:
    """A's node with its log open, and B's log on paper, mirrored from there."""

    town: Town
    node: Node
    b: PaperLog
    client: httpx.AsyncClient  # with the role admin
    nobody: httpx.AsyncClient  # without a token

    @property
    def here(self) -> Party:
        return FOUR[0]

    def with_role(self, role: Role) -> httpx.AsyncClient:
        return self.town.client(self.here, token=token_of(role))

    def as_peer(self, party: Party, *, clock: ManualClock | None = None) -> httpx.AsyncClient:
        """A client that signs as a peer does."""
        numbers = iter(range(10**6))
        auth = PeerAuth(
            lambda: party.keys.transport,
            origin=party.origin,
            clock=(clock or self.town.clock).now_ms,
            nonce=lambda: f"{next(numbers):022d}",
        )
        route = self.town.wire.routes[f"{self.here.name}.test"]
        return httpx.AsyncClient(transport=route, base_url=self.here.url, auth=auth, trust_env=False)

    async def take(self) -> None:
        """Mirror B's log."""
        await self.node.mirror.catch_up(self.b.origin, self.b.size)

    async def confirm(self) -> None:
        """Take confirmed checkpoints of B's log and of the own one."""
        await self.node.mirror.take_confirmed(self.b.checkpoint(cosigners=3).encode(), origin=self.b.origin)
        state = self.node.state
        promise = Checkpoint(self.here.origin, TreeSize(state.size), state.edge.root())
        signed = [cosign(party.keys.cosigner, promise, time=NOW_MS // 1000) for party in FOUR[:3]]
        note = add_signatures(sign_checkpoint(self.here.keys.log, promise), signed)
        await self.node.mirror.take_confirmed(note.encode(), origin=self.here.origin)


def token_of(role: Role) -> str:
    return new_token(seed("token", role))


@pytest.fixture
def law() -> Paper:
    return paper(FOUR, quorum={"faults": 0})  # the same quorum as with one fault, and nobody's memory is needed


@pytest.fixture
async def office(tmp_path: Path, law: Paper) -> AsyncIterator[Office]:
    async with Town(tmp_path, FOUR, law=law) as town:
        here, there = FOUR[0], FOUR[1]
        home = town.home(here)
        tokens: dict[str, tuple[str, Role]] = {role: (token_of(role), role) for role in ROLES}
        home.tokens.write_text(tokens_json(tokens))
        with capture_logs():
            node = town.open(here)
            open_log(node)
            b_log = PaperLog(there, law.network, FOUR)
            town.wire.answer(there, b_log.answer)
            await node.recovery.once()
            async with town.client(here, token=token_of("admin")) as client, town.client(here, token=None) as nobody:
                yield Office(town, node, b_log, client, nobody)
