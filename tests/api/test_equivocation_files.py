"""The proofs that logs have told two stories, as peers and clients read them."""

from typing import TYPE_CHECKING

import pytest
from node_helpers import PaperLog, parties, share

from ledger.equivocation import heads_proof, judge_equivocation
from node.equivocations import Kept

if TYPE_CHECKING:
    from conftest import Office

A, B, C, D = parties(4)


@pytest.fixture
def kept(office: "Office") -> Kept:
    """A proof against B's log."""
    one, other = (PaperLog(B, office.town.law.network) for _ in range(2))
    one.append(share(1, A), share(2, A))
    other.append(share(1, A), share(3, A))
    return office.node.equivocations.take(heads_proof(office.town.law.document, one.checkpoint(), other.checkpoint()))


async def test_without_lies_the_list_is_empty(office: "Office") -> None:
    answer = await office.client.get("/v1/equivocations")
    assert answer.json() == {"schema": "suyuan.equivocations/1", "equivocations": []}
    assert (await office.client.get("/v1/logs")).json()["equivocations"] == []


async def test_a_kept_proof_is_listed_in_words(office: "Office", kept: Kept) -> None:
    [listed] = (await office.client.get("/v1/equivocations")).json()["equivocations"]
    assert listed == {
        "id": kept.id,
        "log": B.origin,
        "kind": "heads",
        "words": f"{B.origin} has signed two roots for size 3",
        "size": 0,
        "until": 3,
        "bytes": kept.size,
        "standing": True,
    }
    answer = (await office.client.get("/v1/logs")).json()
    assert answer["equivocations"] == [kept.id]
    alarms = {one["log"]: one["alarm"] for one in answer["logs"]}
    assert alarms[B.origin] == kept.verdict.words
    assert alarms[A.origin] is None


async def test_the_file_convinces_whoever_knows_the_fingerprint(office: "Office", kept: Kept) -> None:
    async with office.as_peer(C) as peer:
        answer = await peer.get(f"/v1/equivocations/{kept.id}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert len(answer.content) == kept.size
    assert judge_equivocation(answer.content, fingerprint=office.town.law.fingerprint) == kept.verdict


async def test_who_may_not_read_the_logs_may_not_read_the_proofs(office: "Office", kept: Kept) -> None:
    for path in ("/v1/equivocations", f"/v1/equivocations/{kept.id}"):
        assert (await office.nobody.get(path)).status_code == 401
        async with office.with_role("read") as client:
            assert (await client.get(path)).status_code == 200


@pytest.mark.parametrize(("name", "status"), [("0" * 64, 404), ("0" * 63, 422), ("G" * 64, 422), ("x", 422)])
async def test_what_is_not_kept_is_not_found(office: "Office", kept: Kept, name: str, status: int) -> None:
    assert (await office.client.get(f"/v1/equivocations/{name}")).status_code == status


async def test_metrics_count_the_proofs_that_stand(office: "Office", kept: Kept) -> None:
    text = (await office.client.get("/metrics")).text
    assert f'suyuan_equivocations{{log="{B.origin}"}} 1.0' in text
    assert f'suyuan_equivocations{{log="{A.origin}"}} 0.0' in text
