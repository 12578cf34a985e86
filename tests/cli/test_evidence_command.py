"""suyuan evidence: the proofs that a node keeps, listed, told and saved; what they say is verified here."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.equivocation import heads_proof
from ledger.merkle import TreeSize
from ledger.versions import verify_chain
from node.config import load_home
from node.equivocations import Kept, judge
from node.keys import load_ring

pytest_plugins = ("departments",)


def proof_against(network: Any, name: str, *, size: int = 4) -> tuple[bytes, Kept]:
    """Two heads of one size, signed by a department's own key."""
    document, origin = network.document.read_bytes(), network.origin(name)
    signer = load_ring(load_home(network.home(name)).keys, origin).newest.log
    notes = [sign_checkpoint(signer, Checkpoint(origin, TreeSize(size), bytes([n]) * 32)) for n in (1, 2)]
    data = heads_proof(document, *notes)
    return data, judge(data, network.fingerprint, verify_chain(document, network.fingerprint))


@pytest.fixture
def node(story: Any, liar: Any) -> Any:
    """A node that keeps a proof against the court, one that is settled, and one that is no proof."""
    files = [proof_against(story.network, "court", size=size) for size in (4, 5)]
    listed = [kept.to_json() | {"standing": number == 0} for number, (_, kept) in enumerate(files)]

    def tell(_: Any) -> tuple[int, str, bytes]:
        body = {"schema": "suyuan.equivocations/1", "equivocations": listed}
        return 200, "application/json", json.dumps(body).encode()

    for data, kept in files:
        liar.lies[f"/v1/equivocations/{kept.id}"] = lambda _, data=data: (200, "application/json", data)
    liar.lies["/v1/equivocations"] = tell
    liar.listed = listed
    return liar


def ask(node: Any, story: Any, *options: str) -> tuple[str, ...]:
    return (
        "--url", node.url, "--token", node.token, "--network", str(story.network.document),
        "--fingerprint", story.network.fingerprint, *options,
    )  # fmt: skip


def test_without_lies_there_is_nothing_to_list(suyuan: Any, story: Any) -> None:
    ran = suyuan("evidence", "list", *story.network.ask("police"))
    assert (ran.code, ran.out) == (0, "")
    assert "No log is known to have told two stories." in ran.err


def test_a_standing_proof_is_listed_with_exit_code_6(suyuan: Any, story: Any, node: Any) -> None:
    ran = suyuan("evidence", "list", *ask(node, story), env={"COLUMNS": "200"})
    assert ran.code == 6
    assert "two signed heads that cannot both be true" in ran.out
    assert node.listed[0]["id"][:16] in ran.out
    assert "stands" in ran.out
    assert "settled" in ran.out
    told = json.loads(suyuan("evidence", "list", *ask(node, story), "--json").out)
    assert told["equivocations"] == node.listed
    node.listed.pop(0)
    assert suyuan("evidence", "list", *ask(node, story)).code == 0


def test_a_list_in_chinese(suyuan: Any, story: Any, node: Any) -> None:
    ran = suyuan("evidence", "list", *ask(node, story), "--lang", "zh", env={"COLUMNS": "200"})
    assert "两个不能同时为真的签名检查点" in ran.out


def test_both_stories_are_told_after_they_were_verified_here(suyuan: Any, story: Any, node: Any) -> None:
    name = node.listed[0]["id"]
    ran = suyuan("evidence", "show", name[:8], *ask(node, story), env={"COLUMNS": "200"})
    assert ran.code == 6
    assert "PROVEN: court.ordos.example/log has told two stories" in ran.out
    assert ran.out.count("its checkpoint of size 4 with root") == 2
    told = json.loads(suyuan("evidence", "show", name, *ask(node, story), "--json").out)
    assert told["schema"] == "suyuan.verification/1"
    assert told["files"][0]["equivocation"]["log"] == "court.ordos.example/log"


def test_a_proof_that_proves_nothing_is_shown_as_such(suyuan: Any, story: Any, node: Any) -> None:
    data, kept = proof_against(story.network, "court", size=6)
    bent = data.replace(b'"kind":"heads"', b'"kind":"heabs"')
    node.lies = {
        "/v1/equivocations/": lambda _: (200, "application/json", bent),
        "/v1/equivocations": node.lies["/v1/equivocations"],
    }
    node.listed[0]["id"] = sha256(bent).hexdigest()
    ran = suyuan("evidence", "show", node.listed[0]["id"], *ask(node, story))
    assert ran.code == 1
    assert "NOT VERIFIED" in ran.out
    assert suyuan("evidence", "save", node.listed[0]["id"], *ask(node, story)).code != 0
    node.listed[0]["id"] = kept.id  # other bytes than those of that id
    assert suyuan("evidence", "show", kept.id, *ask(node, story)).code == 5


def test_a_saved_proof_verifies_offline(suyuan: Any, story: Any, node: Any, tmp_path: Path) -> None:
    path = tmp_path / "two-stories.json"
    ran = suyuan("evidence", "save", node.listed[0]["id"], "--out", path, *ask(node, story))
    assert ran.code == 0
    assert "Verified here: court.ordos.example/log has signed two roots for size 4." in ran.err
    checked = suyuan("verify", path, "--fingerprint", story.network.fingerprint)
    assert checked.code == 6
    assert "PROVEN" in checked.out
    unpinned = suyuan("evidence", "save", node.listed[0]["id"], "--url", node.url, "--token", node.token)
    assert unpinned.out.encode() == path.read_bytes()
    assert "Not verified here" in unpinned.err


@pytest.mark.parametrize(("name", "code"), [("0" * 64, 3), ("0" * 7, 2), ("no id at all", 2), ("0" * 65, 2)])
def test_a_proof_that_is_not_there_is_told_from_no_id(suyuan: Any, story: Any, node: Any, name: str, code: int) -> None:
    assert suyuan("evidence", "show", name, *ask(node, story)).code == code


def test_a_beginning_that_fits_several_is_refused(suyuan: Any, story: Any, node: Any) -> None:
    for number, one in enumerate(node.listed):
        one["id"] = f"{'a' * 63}{number}"
    ran = suyuan("evidence", "save", "a" * 8, *ask(node, story))
    assert ran.code == 2
    assert "begins the ids of 2 proofs" in ran.err
