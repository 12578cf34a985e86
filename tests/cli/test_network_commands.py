"""suyuan network: from the first draft to the next version."""

import json
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ledger.network import parse_network
from ledger.note import parse_skey
from ledger.versions import split_versions, verify_chain

pytest_plugins = ("departments",)


@dataclass
class Desk:
    """A folder in which governors draft and sign."""

    folder: Path
    suyuan: Any

    def __call__(self, *arguments: object) -> Any:
        return self.suyuan("network", *arguments)

    def path(self, name: str) -> Path:
        return self.folder / name

    def new(self, governors: int = 1, *options: object) -> Any:
        keys = [option for n in range(1, governors + 1) for option in ("--governor-key", self.path(f"g{n}.key"))]
        return self("new", "ordos", "--out", self.path("network.draft"), *keys, *options)

    def sign(self, *numbers: int) -> Any:
        keys = [option for n in numbers for option in ("--key", self.path(f"g{n}.key"))]
        return self("sign", self.path("network.draft"), *keys, "--out", self.path("network.note"))

    def member(self, name: str) -> Path:
        folder = self.path(name)
        if not folder.exists():
            made = self.suyuan(
                "init", folder, "--origin", f"{name}.example/log", "--url", f"https://{name}.example",
                "--name-zh", "甲", "--name-en", name, "--level", "city", "--region", "150600", "--store", "sqlite",
            )  # fmt: skip
            assert made.code == 0, made
        return folder / "member.json"


@pytest.fixture
def desk(tmp_path: Path, suyuan: Any) -> Desk:
    return Desk(tmp_path, suyuan)


def test_a_governors_key_is_made_in_gos_form_for_its_owner_alone(desk: Desk) -> None:
    assert desk.new().code == 0
    path = desk.path("g1.key")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert parse_skey(path.read_text().strip()).name == "ordos/governor-1"


def test_a_key_that_is_there_is_kept(desk: Desk) -> None:
    desk.new()
    before = desk.path("g1.key").read_bytes()
    desk.path("network.draft").unlink()
    assert desk.new(2).code == 0
    assert desk.path("g1.key").read_bytes() == before


def test_a_new_network_is_for_members_under_the_regulation_and_a_majority(desk: Desk) -> None:
    desk.new(3)
    said = json.loads(desk("show", desk.path("network.draft"), "--json").out)
    assert said["schema"] == "suyuan.network/1"
    assert (said["version"], said["signed"], said["signatures"]) == (1, False, [])
    assert said["access"] == {"read": "members"}
    assert said["rules"] == "cn-2025"
    assert said["governors"]["threshold"] == 2
    assert len(said["governors"]["keys"]) == 3


def test_everything_about_a_new_network_can_be_said(desk: Desk) -> None:
    desk.new(1, "--threshold", 1, "--rules", "qingdao", "--access", "open", "--faults", 0)
    said = json.loads(desk("show", desk.path("network.draft"), "--json").out)
    assert (said["access"]["read"], said["rules"], said["quorum"]["faults"]) == ("open", "qingdao", 0)


def test_a_governor_may_keep_the_secret_key_elsewhere(desk: Desk) -> None:
    desk.new()
    vkey = json.loads(desk("show", desk.path("network.draft"), "--json").out)["governors"]["keys"][0]
    ran = desk("new", "ordos", "--out", desk.path("other.draft"), "--governor", vkey)
    assert ran.code == 0
    assert vkey in desk.path("other.draft").read_text()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["ordos"], "at least one governor"),
        (["Ordos", "--governor-key", "g.key"], "a name has"),
        (["ordos", "--governor-key", "g.key", "--threshold", "2"], "more governors must sign than there are"),
        (["ordos", "--governor", "nonsense"], "name+hash+base64"),
    ],
    ids=["no governor", "a name in upper case", "a threshold out of reach", "no key"],
)  # fmt: skip
def test_a_network_that_cannot_be_is_refused(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, options: list[str], words: str
) -> None:
    monkeypatch.chdir(desk.folder)
    ran = desk("new", *options)
    assert ran.code == 2
    assert words in ran.err
    assert not desk.path("network.draft").exists()


def test_a_draft_is_never_replaced_by_a_new_network(desk: Desk) -> None:
    desk.new()
    before = desk.path("network.draft").read_bytes()
    assert desk.new().code == 2
    assert desk.path("network.draft").read_bytes() == before


def test_members_go_into_the_draft(desk: Desk) -> None:
    desk.new()
    assert desk("add-member", desk.path("network.draft"), desk.member("a"), desk.member("b")).code == 0
    said = json.loads(desk("show", desk.path("network.draft"), "--json").out)
    assert [member["origin"] for member in said["members"]] == ["a.example/log", "b.example/log"]
    assert said["quorum"] == {"voters": 2, "faults": 0, "needed": 2}


def test_a_member_twice_is_refused_and_the_draft_stays(desk: Desk) -> None:
    desk.new()
    desk("add-member", desk.path("network.draft"), desk.member("a"))
    before = desk.path("network.draft").read_bytes()
    ran = desk("add-member", desk.path("network.draft"), desk.member("a"))
    assert ran.code == 2
    assert "there twice" in ran.err
    assert desk.path("network.draft").read_bytes() == before


def test_a_member_file_with_a_fault_is_named_with_the_place_of_the_fault(desk: Desk) -> None:
    desk.new()
    value = json.loads(desk.member("a").read_text())
    desk.path("bad.json").write_text(json.dumps({**value, "level": "moon"}))
    ran = desk("add-member", desk.path("network.draft"), desk.path("bad.json"))
    assert ran.code == 2
    assert f"{desk.path('bad.json')}.level" in ran.err


def test_signing_the_first_version_prints_its_fingerprint_alone(desk: Desk) -> None:
    desk.new()
    desk("add-member", desk.path("network.draft"), desk.member("a"))
    ran = desk.sign(1)
    assert ran.code == 0
    (fingerprint,) = ran.out.splitlines()
    network = verify_chain(desk.path("network.note").read_bytes(), fingerprint)
    assert list(network.members) == ["a.example/log"]


def test_several_governors_sign_one_after_the_other(desk: Desk) -> None:
    desk.new(2, "--threshold", 2)
    first = desk.sign(1)
    fingerprint = first.out.strip()
    assert f"{desk.path('network.note')} is a new file, with version 1 of network ordos." in first.err
    assert "Signed by 1 of the governors of version 1, 2 are needed: ordos/governor-1\n" in first.err
    assert "Next: another governor signs" in first.err
    unfinished = desk("verify", desk.path("network.note"), "--fingerprint", fingerprint)
    assert unfinished.code == 1
    assert "no_quorum" in unfinished.out
    again = desk.sign(1)
    assert "had this signature already" in again.err
    assert "Signed by 1 of the governors of version 1, 2 are needed: " in again.err
    second = desk.sign(2)
    assert second.out.strip() == fingerprint
    assert "The signature is added to version 1 of network ordos" in second.err
    assert "Signed by 2 of the governors of version 1, 2 are needed: ordos/governor-1, ordos/governor" in second.err
    assert "another governor" not in second.err
    assert desk("verify", desk.path("network.note"), "--fingerprint", fingerprint).code == 0


def test_signing_twice_adds_nothing(desk: Desk) -> None:
    desk.new()
    desk.sign(1)
    before = desk.path("network.note").read_bytes()
    desk.sign(1)
    assert desk.path("network.note").read_bytes() == before


def test_somebody_who_does_not_govern_cannot_sign(desk: Desk) -> None:
    desk.new()
    desk("new", "ordos", "--out", desk.path("other.draft"), "--governor-key", desk.path("g9.key"))
    ran = desk.sign(9)
    assert ran.code == 1
    assert "does not govern" in ran.err
    assert not desk.path("network.note").exists()


def test_a_key_that_others_may_read_is_not_used(desk: Desk) -> None:
    desk.new()
    desk.path("g1.key").chmod(0o644)
    ran = desk.sign(1)
    assert ran.code == 2
    assert "chmod 600" in ran.err


def test_the_next_version_begins_from_the_signed_one_and_goes_behind_it(desk: Desk) -> None:
    desk.new()
    desk("add-member", desk.path("network.draft"), desk.member("a"))
    fingerprint = desk.sign(1).out.strip()
    desk.path("network.draft").unlink()
    made = desk("add-member", desk.path("network.note"), desk.member("b"))
    assert made.code == 0
    assert made.out.strip() == str(desk.path("network.draft"))
    signed = desk.sign(1)
    assert signed.code == 0
    assert signed.out == ""
    assert "Version 2 of network ordos stands in" in signed.err
    assert signed.err.count("are needed: ") == 1
    data = desk.path("network.note").read_bytes()
    assert [parse_network(one).version for one in split_versions(data)] == [1, 2]
    assert len(verify_chain(data, fingerprint).members) == 2


def test_a_version_without_the_ones_before_it_is_not_signed(desk: Desk) -> None:
    desk.new()
    desk.sign(1)
    desk.path("network.draft").unlink()
    desk("add-member", desk.path("network.note"), desk.member("b"))
    desk.path("network.note").unlink()
    ran = desk.sign(1)
    assert ran.code == 2
    assert f"{desk.path('network.note')} does not exist: version 2 goes behind the signed versions" in ran.err
    assert not desk.path("network.note").exists()


def test_the_draft_of_a_next_version_replaces_no_other_draft(desk: Desk) -> None:
    desk.new()
    desk.sign(1)
    assert desk("add-member", desk.path("network.note"), desk.member("a")).code == 0  # in the place of a signed one
    ran = desk("add-member", desk.path("network.note"), desk.member("b"))
    assert ran.code == 2
    assert "there already" in ran.err


def test_a_document_is_shown_to_people_with_names_and_quorum(network: Any, suyuan: Any) -> None:
    out = suyuan("network", "show", network.document).out
    assert "Police" in out
    assert "公安局" not in out
    assert "2 of 3 members must cosign" in out
    assert network.fingerprint in out
    assert "公安局" in suyuan("network", "show", network.document, "--lang", "zh").out


def test_another_fingerprint_is_told_apart_from_the_documents(network: Any, suyuan: Any) -> None:
    ran = suyuan("network", "verify", network.document, "--fingerprint", "0" * 64, "--json")
    assert ran.code == 1
    said = json.loads(ran.out)
    assert said["schema"] == "suyuan.verification/1"
    assert said["files"][0]["error"]["code"] == "wrong_fingerprint"


def test_a_fingerprint_may_be_written_as_people_write_it(network: Any, suyuan: Any) -> None:
    digits = network.fingerprint.upper()
    spaced = ":".join(digits[n : n + 2] for n in range(0, 64, 2))
    assert suyuan("network", "verify", network.document, "--fingerprint", spaced).code == 0


@pytest.mark.parametrize("content", [b"", b"suyuan/network/v1\n", b"hello\nworld\n", b"\xff\xfe\n", b"{}\n"])
def test_a_file_that_is_no_network_document_is_refused_with_its_place(
    suyuan: Any, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    ran = suyuan("network", "show", path)
    assert ran.code == 2
    assert ran.err.startswith("error: ")
