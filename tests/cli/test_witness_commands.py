"""suyuan witness, suyuan network policy, and verifying by a policy."""

import json
import shutil
import stat
from pathlib import Path
from typing import Any

import builders
import pytest
from foreign_logs import ForeignLog

from ledger.note import COSIGNATURE, ED25519, Note, Signer, parse_vkey
from ledger.policy import parse_policy
from ledger.store import create_store
from node.config import load_home, settings_toml
from node.keys import load_witness_key

pytest_plugins = ("departments",)

LOG = ForeignLog("foreign.example/log").grow(9)


@pytest.fixture(scope="module")
def made(suyuan: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A node that has never run."""
    folder = tmp_path_factory.mktemp("witness") / "civil"
    ran = suyuan(
        "init", folder, "--origin", "civil.example/log", "--url", "https://civil.example", "--name-zh", "民政局",
        "--name-en", "Civil Affairs", "--level", "city", "--region", "150600", "--store", "sqlite",
    )  # fmt: skip
    assert ran.code == 0, ran
    return Path(folder)


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "civil"))


@pytest.fixture
def witnessing(home: Path) -> Path:
    """The same, with a foreign log in its settings."""
    before = load_home(home).settings
    changed = type(before).model_validate({**before.model_dump(), "witnessed": [LOG.setting]})
    (home / "suyuan.toml").write_text(settings_toml(changed))
    return home


def cosigned(home: Path, size: int, **changes: Any) -> bytes:
    note = LOG.checkpoint(size, **changes)
    signer = load_witness_key(home / "keys", "civil.example/witness")
    return Note(note.text, (*note.signatures, signer.cosign(note.text, 1))).encode()


# The key.


def test_the_witness_key_is_made_once_for_its_owner_alone(suyuan: Any, home: Path) -> None:
    ran = suyuan("witness", "key", "--config", home)
    assert ran.code == 0, ran
    key = parse_vkey(ran.out.strip())
    assert (key.name, key.algorithm) == ("civil.example/witness", COSIGNATURE)
    assert stat.S_IMODE((home / "keys" / "witness.key").stat().st_mode) == 0o600
    assert "back it up" in ran.err
    again = suyuan("witness", "key", "--config", home)
    assert (again.code, again.out, again.err) == (0, ran.out, "")


def test_the_witness_key_has_the_name_of_the_settings(suyuan: Any, home: Path) -> None:
    ran = suyuan("witness", "key", "--config", home, env={"SUYUAN_WITNESS_NAME": "witness.civil.example"})
    assert parse_vkey(ran.out.strip()).name == "witness.civil.example"
    other = suyuan("witness", "key", "--config", home)
    assert other.code == 2
    assert "is not the witness key civil.example/witness" in other.err


def test_without_a_store_no_key_is_made(suyuan: Any, home: Path) -> None:
    shutil.rmtree(home / "data")
    assert suyuan("witness", "key", "--config", home).code == 2
    assert not (home / "keys" / "witness.key").exists()


# Going on after a loss.


def test_a_new_key_remembers_everything(suyuan: Any, witnessing: Path) -> None:
    suyuan("witness", "key", "--config", witnessing)
    ran = suyuan("witness", "resume", "--reason", "no need", "--config", witnessing)
    assert ran.code == 0
    assert "nothing was changed" in ran.err


def test_after_a_loss_somebody_decides_and_gives_what_is_known(suyuan: Any, witnessing: Path, tmp_path: Path) -> None:
    suyuan("witness", "key", "--config", witnessing)
    shutil.move(witnessing / "data", witnessing / "lost")
    create_store(witnessing / "data", kind="sqlite").close()
    known, fork = tmp_path / "known", tmp_path / "fork"
    known.write_bytes(cosigned(witnessing, 7))
    fork.write_bytes(cosigned(witnessing, 7, root=bytes(32)))
    two = suyuan("witness", "resume", known, fork, "--reason", "disk lost", "--config", witnessing)
    assert two.code == 6
    assert "two roots for size 7" in two.err
    assert suyuan("witness", "resume", known, "--config", witnessing).code == 2
    (tmp_path / "none").write_bytes(b"no checkpoint")
    ran = suyuan("witness", "resume", known, tmp_path / "none", "--reason", "disk lost", "--config", witnessing)
    assert ran.code == 2
    assert f"{tmp_path / 'none'}: " in ran.err
    for reason in ("", " ", "x" * 201):
        assert suyuan("witness", "resume", known, "--reason", reason, "--config", witnessing).code == 2
    ran = suyuan("witness", "resume", known, "--reason", "disk\nlost", "--config", witnessing)
    assert ran.code == 0, ran
    assert "1 of them goes on" in ran.err
    again = suyuan("witness", "resume", known, "--reason", "disk lost", "--config", witnessing)
    assert "nothing was changed" in again.err


# Doctor.


def test_doctor_looks_at_the_key_and_the_policy(suyuan: Any, witnessing: Path) -> None:
    def checks() -> dict[str, str]:
        said = json.loads(suyuan("doctor", "--config", witnessing, "--offline", "--json", env=policy).out)
        return {one["name"]: one["status"] for one in said["checks"] if one["name"] in ("witness", "policy")}

    policy = {"SUYUAN_WITNESS_POLICY": "witness.policy"}
    assert checks() == {"witness": "problem", "policy": "problem"}
    suyuan("witness", "key", "--config", witnessing)
    (witnessing / "witness.policy").write_text("quorum none\n")
    assert checks() == {"witness": "ok", "policy": "ok"}


# What a node tells.


def test_a_node_without_foreign_logs_says_so(suyuan: Any, nodes: Any) -> None:
    ran = suyuan("witness", "show", *nodes.ask("police"))
    assert ran.code == 0, ran
    assert "witnesses no foreign log" in ran.out
    assert "No foreign witness" in ran.out


def test_foreign_logs_and_witnesses_are_shown(suyuan: Any, liar: Any) -> None:
    told = {
        "schema": "suyuan.witness/1",
        "log": "police.ordos.example/log",
        "key": "police.ordos.example/witness+00000000+BA==",
        "memory": {"whole": False, "since": None, "why": None},
        "logs": [
            {"log": "sum.example", "size": 7, "root": "r", "checkpoint": [], "contradiction": None},
            {"log": "bad.example", "size": None, "root": None, "checkpoint": None, "contradiction": {}},
        ],
        "policy": {"quorum": "g"},
        "witnesses": [
            {"name": name, "key": "k", "url": f"https://{name}", "reachable": reachable, "last_seen": None,
             "last_error": "refused", "size": size}
            for name, reachable, size in (("w1", True, 42), ("w2", False, None), ("w3", None, None))
        ],
        "witnessed_size": 42,
        "checkpoint": [],
    }  # fmt: skip
    liar.lies["/v1/witness"] = lambda _: (200, "application/json", json.dumps(told).encode())
    asked = ("witness", "show", "--url", liar.url, "--token", liar.token)
    ran = suyuan(*asked)
    assert ran.code == 0, ran
    for words in ("sum.example", "two roots for one size", "lost: nothing is cosigned", "w1", "answers", "refused"):
        assert words in ran.out
    assert json.loads(suyuan(*asked, "--json").out) == told
    told["memory"] = {"whole": True, "since": "2026-11-21T08:15:30.123Z", "why": "the key is new"}
    told["witnessed_size"] = None
    ran = suyuan(*asked)
    assert "whole" in ran.out
    assert "never yet" in ran.out
    del told["policy"]
    assert suyuan(*asked).code == 5


# Policies.


@pytest.fixture(scope="module")
def policy(suyuan: Any, network: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    ran = suyuan("network", "policy", network.document, "--fingerprint", network.fingerprint)
    assert ran.code == 0, ran
    path = tmp_path_factory.mktemp("policy") / "ordos.policy"
    path.write_text(ran.out)
    return Path(path)


def test_the_network_is_printed_as_a_policy(suyuan: Any, nodes: Any, policy: Path) -> None:
    text = policy.read_text()
    assert text.startswith(
        f"# network ordos, version 1, fingerprint {nodes.fingerprint}\nlog police.ordos.example/log+"
    )
    parsed = parse_policy(text.encode())
    assert [(len(parsed.logs), len(parsed.witnesses))] == [(3, 3)]
    assert parsed.groups[0].threshold == 2
    assert suyuan("network", "policy", *nodes.ask("police")).out == text
    assert suyuan("network", "policy", nodes.document).code == 2
    assert suyuan("network", "policy", nodes.document, "--fingerprint", "0" * 64).code == 1


def test_earlier_keys_of_a_log_are_comments_unless_they_are_asked_for(suyuan: Any, tmp_path: Path) -> None:
    net = builders.make_network(4)
    log = builders.logs_of(net)[0]
    log.append(builders.share_event())
    (tmp_path / "old.proof").write_bytes(log.proof(1))
    old, coming = log.owner.log.verifier.vkey, Signer(log.origin, ED25519, bytes(32)).verifier.vkey
    keys = [{"key": old, "from": 0, "until": 2}, {"key": coming, "from": 2}]
    entries = [log.owner.entry(log_keys=keys), *(one.entry() for one in net.departments[1:])]
    document = tmp_path / "network.note"
    later = builders.next_version(net, builders.document_body(entries, governors=net.governors))
    document.write_bytes(net.document + b"\n" + later)

    def judged(*options: str) -> tuple[Any, int]:
        printed = suyuan("network", "policy", document, "--fingerprint", net.fingerprint, *options)
        (tmp_path / "printed.policy").write_text(printed.out)
        return printed, suyuan("verify", tmp_path / "old.proof", "--policy", tmp_path / "printed.policy").code

    printed, code = judged()
    assert code == 1
    assert f"\n# earlier key, for entries 0 to 1: {old}\nlog {coming} " in printed.out
    assert "Earlier keys of the logs do not count under this policy" in printed.err
    printed, code = judged("--earlier-keys")
    assert code == 0
    assert "# earlier key" not in printed.out
    assert "also where they had ended" in printed.err


def test_a_proof_is_verified_by_a_policy_alone(suyuan: Any, story: Any, policy: Path, tmp_path: Path) -> None:
    path = tmp_path / "entry.proof"
    ran = suyuan("proof", story.share, "--policy", policy, "--out", path, *story.network.ask("police"))
    assert ran.code == 0, ran
    assert "Verified here by the policy: 2 of its witnesses" in ran.err
    ran = suyuan("verify", path, "--policy", policy)
    assert ran.code == 0, ran
    assert "2 witnesses of the policy have cosigned" in " ".join(ran.out.split())
    told = json.loads(suyuan("verify", path, "--policy", policy, "--json").out)
    assert (told["verified"], told["fingerprint"]) == (True, None)
    log, _, index = story.share.partition("#")
    proof = told["files"][0]["proof"]
    assert (proof["log"], proof["index"]) == (log, int(index))
    assert proof["witnesses"] == ["police.ordos.example/log", "tax.ordos.example/log"]


def test_a_policy_that_is_not_satisfied_verifies_nothing(suyuan: Any, story: Any, policy: Path, tmp_path: Path) -> None:
    path = tmp_path / "entry.proof"
    suyuan("proof", story.share, "--out", path, *story.network.ask("tax"))
    stricter = tmp_path / "strict.policy"
    stricter.write_text(policy.read_text().replace("group members 2", "group members 3"))
    ran = suyuan("verify", path, "--policy", stricter, "--json")
    assert ran.code == 1
    assert json.loads(ran.out)["files"][0]["error"]["code"] == "no_quorum"
    saved = suyuan("proof", story.share, "--policy", stricter, *story.network.ask("tax"))
    assert (saved.code, saved.out) == (1, "")


def test_a_policy_judges_proofs_only_and_must_be_one(suyuan: Any, story: Any, policy: Path, tmp_path: Path) -> None:
    other = suyuan("verify", story.network.document, "--policy", policy, "--json")
    assert other.code == 1
    assert json.loads(other.out)["files"][0]["error"]["code"] == "unknown_kind"
    broken = tmp_path / "broken.policy"
    broken.write_text("quorum none\nquorum none\n")
    ran = suyuan("verify", story.network.document, "--policy", broken)
    assert "line 2" in ran.err
    assert ran.code != 0
    assert suyuan("verify", story.network.document).code == 2
