"""suyuan keys: encrypted and decrypted, listed, replaced while the node runs."""

import contextlib
import io
import json
import os
import re
import shutil
import stat
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cli import unlocking
from ledger.encoding import parse_json
from ledger.note import parse_skey, parse_vkey
from node import keyfile

pytest_plugins = ("departments",)

PASSPHRASE = "四海之内 all within"
GIVEN = {"SUYUAN_PASSPHRASE": PASSPHRASE}
FILES = ["cosigner.key", "log.key", "record.key", "sealing.key", "transport.key"]


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing a file takes no second; what it costs to open one, the file says."""
    monkeypatch.setattr(keyfile, "COST", keyfile.COST_MIN)


def texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(folder.iterdir())}


def make(suyuan: Any, folder: Path, *options: object, env: dict[str, str] | None = None) -> Any:
    return suyuan(
        "init", folder, "--origin", "solo.ordos.example/log", "--url", "http://127.0.0.1:1", "--name-zh", "独",
        "--name-en", "Solo", "--level", "city", "--region", "150600", "--store", "sqlite", *options, env=env,
    )  # fmt: skip


@pytest.fixture
def home(suyuan: Any, tmp_path: Path) -> Path:
    assert make(suyuan, tmp_path / "solo").code == 0
    return tmp_path / "solo"


# Encrypted.


def test_a_node_is_made_with_encrypted_keys(suyuan: Any, tmp_path: Path) -> None:
    home = tmp_path / "solo"
    without = make(suyuan, home, "--encrypt-keys")
    assert without.code == 2
    assert "passphrase_needed" in without.err
    assert make(suyuan, home, "--encrypt-keys", env=GIVEN).code == 0
    assert sorted(texts(home / "keys")) == FILES
    assert all(text.startswith("suyuan/key/v1\n") for text in texts(home / "keys").values())
    member = json.loads((home / "member.json").read_text())
    assert member["log_keys"][0]["key"] == texts(home / "keys")["log.key"].split("\n")[1]


def test_all_keys_of_a_node_are_encrypted_and_decrypted(suyuan: Any, home: Path) -> None:
    before = texts(home / "keys")
    ran = suyuan("keys", "encrypt", "--config", home, env=GIVEN)
    assert (ran.code, ran.out) == (0, "")
    assert "5 key files are encrypted" in ran.err
    assert {stat.S_IMODE(path.stat().st_mode) for path in (home / "keys").iterdir()} == {0o600}
    assert "0 key files" in suyuan("keys", "encrypt", "--config", home, env=GIVEN).err
    for command in ("encrypt", "decrypt"):
        wrong = suyuan("keys", command, "--config", home, env={"SUYUAN_PASSPHRASE": "another"})
        assert wrong.code == 2
        assert "wrong_passphrase" in wrong.err
        assert "restore the file from the backup" in wrong.err
    assert "5 key files are decrypted" in suyuan("keys", "decrypt", "--config", home, env=GIVEN).err
    assert texts(home / "keys") == before


def test_a_passphrase_is_never_an_argument_and_its_file_is_for_its_owner_alone(suyuan: Any, home: Path) -> None:
    path = home / "passphrase"
    path.write_text(f"{PASSPHRASE}\n", "utf-8")
    path.chmod(0o600)
    settings = (home / "suyuan.toml").read_text("utf-8")
    (home / "suyuan.toml").write_text(settings.replace("# passphrase_file =", 'passphrase_file = "passphrase"'))
    assert suyuan("keys", "encrypt", "--config", home).code == 0
    first = suyuan("ref", "x", "--config", home)
    assert (first.code, suyuan("ref", "x", "--config", home, env=GIVEN).out) == (0, first.out)
    path.chmod(0o644)
    ran = suyuan("ref", "x", "--config", home)
    assert ran.code == 2
    assert ran.err.startswith(f"error: {path}: others may read this file [bad_config]\n")
    for command in ("encrypt", "decrypt", "list", "rotate"):
        assert "--passphrase" not in suyuan("keys", command, "--help").out


def test_on_a_terminal_the_passphrase_is_asked_for_twice_when_it_is_new(
    suyuan: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def prompt(words: str, **how: Any) -> str:
        asked.append(f"{words}{' twice' if how['confirmation_prompt'] else ''}")
        assert how["hide_input"]
        assert how["err"]
        return PASSPHRASE

    monkeypatch.setattr("click.prompt", prompt)
    monkeypatch.setattr(unlocking, "_has_terminal", lambda: True)
    assert suyuan("keys", "encrypt", "--config", home).code == 0
    assert suyuan("keys", "encrypt", "--config", home).code == 0
    assert suyuan("ref", "x", "--config", home).code == 0
    assert suyuan("ref", "x", "--config", home, "--lang", "zh").code == 0
    folder = home / "keys"
    assert asked == [
        f"New passphrase for {folder} twice", f"Passphrase of {folder}", f"Passphrase of {folder}", f"{folder} 的口令",
    ]  # fmt: skip


def test_without_a_terminal_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for stdin in (io.StringIO(), None):
        monkeypatch.setattr(sys, "stdin", stdin)
        assert unlocking.ask(Path("keys")) is None
        assert unlocking.ask_new(Path("keys")) is None


def test_a_governors_key_is_encrypted_and_signs(suyuan: Any, home: Path, tmp_path: Path) -> None:
    draft, note = tmp_path / "network.draft", tmp_path / "network.note"
    keys = [tmp_path / "g1.key", tmp_path / "g2.key"]
    new = ("network", "new", "ordos", "--out", draft, "--governor-key", keys[0])
    assert suyuan(*new, "--encrypt-keys").code == 2
    assert suyuan(*new, "--governor-key", keys[1], "--encrypt-keys", env=GIVEN).code == 0
    assert all(key.read_text().startswith("suyuan/key/v1\nordos/governor-") for key in keys)
    assert suyuan("network", "add-member", draft, home / "member.json").code == 0
    sign = ("network", "sign", draft, "--key", keys[0], "--key", keys[1], "--out", note)
    for env, code in (({}, "passphrase_needed"), ({"SUYUAN_PASSPHRASE": "no"}, "wrong_passphrase")):
        ran = suyuan(*sign, env=env)
        assert ran.code == 2
        assert code in ran.err
    assert suyuan(*sign, env=GIVEN).code == 0
    assert suyuan("keys", "decrypt", keys[0], env=GIVEN).code == 0
    assert parse_skey(keys[0].read_text().strip()).name == "ordos/governor-1"
    assert suyuan("keys", "encrypt", *keys, env=GIVEN).code == 0
    closed = parse_vkey(keys[0].read_text().split("\n")[1])
    other = tmp_path / "g3.key"
    done = suyuan("network", "new", "x", "--governor-key", other, "--out", tmp_path / "x", "--encrypt-keys", env=GIVEN)
    assert done.code == 0
    ran = suyuan("network", "revise", note, "--add-governor", other, "--out", tmp_path / "next")
    assert ran.code == 0, ran
    for key in (closed.vkey, other.read_text().split("\n")[1]):
        assert key in (tmp_path / "next").read_text()


def test_it_must_be_said_which_keys(suyuan: Any, tmp_path: Path) -> None:
    assert "which keys?" in suyuan("keys", "encrypt").err
    assert "whose keys?" in suyuan("keys", "rotate", "log", "--url", "http://127.0.0.1:1").err
    bad = tmp_path / "bad.key"
    bad.write_text("nonsense")
    bad.chmod(0o600)
    ran = suyuan("keys", "encrypt", bad, env=GIVEN)
    assert ran.code == 2
    assert "holds no signer key" in ran.err


# Listed.


def test_keys_are_listed_before_a_network_is_joined(suyuan: Any, home: Path) -> None:
    said = json.loads(suyuan("keys", "list", "--config", home, "--json").out)
    assert said["schema"] == "suyuan.keys/1"
    assert [one["role"] for one in said["keys"]] == ["log", "cosigner", "transport", "sealing", "record"]
    assert not any(one["named"] for one in said["keys"])
    assert [one["place"] for one in said["keys"]] == [f"keys/{one['role']}.key" for one in said["keys"]]
    shown = suyuan("keys", "list", "--config", home).out
    assert said["keys"][0]["key_id"] in shown
    assert [column(line) for line in shown.splitlines()[2:]] == ["not yet"] * 4 + ["–"]


def column(line: str) -> str:
    """What a line of the table says of the network document."""
    return re.split(r" {2,}", line)[3]


def test_keys_that_live_elsewhere_and_keys_that_are_missing_are_listed(
    suyuan: Any, network: Any, tmp_path: Path
) -> None:
    home = tmp_path / "court"
    shutil.copytree(network.home("court"), home)
    env = {"SUYUAN_TRANSPORT_KEY": "env:OUR_KEY", "OUR_KEY": (home / "keys" / "transport.key").read_text()}
    said = {
        one["role"]: one for one in json.loads(suyuan("keys", "list", "--config", home, "--json", env=env).out)["keys"]
    }
    assert (said["transport"]["place"], said["transport"]["encrypted"]) == ("env:OUR_KEY", None)
    assert "from entry 0 on" in suyuan("keys", "list", "--config", home, env=env).out

    other = tmp_path / "other"
    assert make(suyuan, other, "--origin", network.origin("court")).code == 0
    shutil.copy(other / "keys" / "log.key", home / "keys" / "log.key")
    found = json.loads(suyuan("keys", "list", "--config", home, "--json").out)["keys"]
    assert [(one["named"], one["place"]) for one in found if one["role"] == "log"] == [
        (False, "keys/log.key"), (True, None),
    ]  # fmt: skip
    shown = suyuan("keys", "list", "--config", home).out
    assert "NOT HERE" in shown
    assert [column(line) for line in shown.splitlines() if line.startswith("log ")] == ["not named", "from entry 0 on"]
    assert suyuan("keys", "list", "--config", home, env={"SUYUAN_LOG_KEY": "pkcs11:x"}).code == 2


def test_doctor_knows_encrypted_keys_with_and_without_the_passphrase(suyuan: Any, network: Any, tmp_path: Path) -> None:
    home = tmp_path / "court"
    shutil.copytree(network.home("court"), home)
    assert suyuan("keys", "encrypt", "--config", home, env=GIVEN).code == 0

    def check(env: dict[str, str]) -> dict[str, Any]:
        said = json.loads(suyuan("doctor", "--config", home, "--offline", "--json", env=env).out)
        return {one["name"]: one for one in said["checks"]}

    assert "were not opened" in check({})["keys"]["words"]
    assert check({})["keys"]["status"] == check({})["member"]["status"] == check({})["log_keys"]["status"] == "ok"
    assert "those of" in check(GIVEN)["keys"]["words"]
    assert check({"SUYUAN_PASSPHRASE": "no"})["keys"]["status"] == "problem"
    lines = (home / "keys" / "cosigner.key").read_text().split("\n")
    (home / "keys" / "cosigner.key").write_text("\n".join(lines[:3]))
    assert "damaged" in check({})["keys"]["words"]
    assert check({})["member"]["status"] == "problem"


# Replaced.


@dataclass
class Solo:
    """A network of one department whose keys are encrypted, and its running node."""

    suyuan: Any
    folder: Path
    token: str = ""

    @property
    def home(self) -> Path:
        return self.folder / "solo"

    @property
    def ask(self) -> tuple[object, ...]:
        return ("--config", self.home, "--token", self.token)

    def __call__(self, *arguments: object) -> Any:
        ran = self.suyuan(*arguments, env=GIVEN)
        assert ran.code == 0, (arguments, ran)
        return ran

    def keys(self, role: str) -> list[dict[str, Any]]:
        said = json.loads(self.suyuan("keys", "list", "--config", self.home, "--json").out)
        return [one for one in said["keys"] if one["role"] == role]

    def govern(self) -> None:
        """What the governors do with member.json."""
        note, draft = self.folder / "network.note", self.folder / "network.draft"
        self("network", "revise", note, "--replace", self.home / "member.json")
        self("network", "sign", draft, "--key", self.folder / "g.key", "--out", note)
        draft.unlink()
        self("network", "adopt", note, *self.ask)

    def share(self, number: int) -> Any:
        return self.suyuan(
            "share", "--consumer", "other.ordos.example/log", "--resource", f"r{number}", "--purpose", "p", "--method",
            "api", *self.ask, env=GIVEN,
        )  # fmt: skip

    def size(self) -> int:
        said = json.loads(self("logs", *self.ask, "--json").out)
        return int(next(one["size"] for one in said["logs"] if one["log"] == "solo.ordos.example/log"))


@pytest.fixture(scope="module")
def solo(suyuan: Any, start: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Solo]:
    from departments import free_ports, stop, wait_until_up  # noqa: PLC0415 - not before pytest has loaded it

    tmp_path = tmp_path_factory.mktemp("solo")
    made = Solo(suyuan, tmp_path)
    [port] = free_ports(1)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(keyfile, "COST", keyfile.COST_MIN)
        for name, address in (("solo", f"http://127.0.0.1:{port}"), ("other", "http://127.0.0.1:1")):
            made("init", tmp_path / name, "--origin", f"{name}.ordos.example/log", "--url", address, "--name-zh", "独",
                 "--name-en", name, "--level", "city", "--region", "150600", "--store", "sqlite",
                 "--encrypt-keys")  # fmt: skip
    draft, note = tmp_path / "network.draft", tmp_path / "network.note"
    made("network", "new", "ordos", "--out", draft, "--governor-key", tmp_path / "g.key", "--faults", 0)
    made("network", "add-member", draft, made.home / "member.json", tmp_path / "other" / "member.json")
    fingerprint = made("network", "sign", draft, "--key", tmp_path / "g.key", "--out", note).out.strip()
    draft.unlink()
    made("init", made.home, "--network", note, "--fingerprint", fingerprint)
    made.token = made("token", "new", "tests", "--role", "admin", "--config", made.home).out.strip()
    with contextlib.ExitStack() as stack:
        log = stack.enter_context((tmp_path / "log").open("wb"))
        process = start(
            "run", "--config", made.home, stdout=log, stderr=log, env={**GIVEN, "SUYUAN_RECOVERY_ANSWERS": "2f"}
        )
        stack.callback(stop, process)
        wait_until_up(f"http://127.0.0.1:{port}")
        yield made


def test_keys_are_replaced_while_the_node_runs(solo: Solo, suyuan: Any) -> None:
    from departments import wait_until  # noqa: PLC0415 - as above

    assert solo.size() == 1
    member = solo("keys", "rotate", "log", "--margin", 3, *solo.ask)
    assert member.out == f"{solo.home / 'member.json'}\n"
    assert "begins with entry 5" in member.err
    assert "suyuan network revise" in member.err
    old, new = solo.keys("log")
    assert (old["named"], new["named"], new["place"], new["encrypted"]) == (True, False, "keys/log.2.key", True)

    again = solo("keys", "rotate", "log", *solo.ask)  # neither a further key nor a further announcement
    assert again.out == member.out
    assert (len(solo.keys("log")), solo.size()) == (2, 2)
    assert "begins with entry 5" in again.err
    cosigner = solo("keys", "rotate", "cosigner", *solo.ask).err
    assert "cosigns with the new key as soon as" in cosigner
    assert "also names the log key that was announced before" in cosigner
    assert "begins with entry" not in cosigner
    spans = parse_json((solo.home / "member.json").read_bytes())
    assert isinstance(spans, dict)
    assert spans["log_keys"] == [
        {"key": old["key"], "from": 0, "until": 5},
        {"key": new["key"], "from": 5},
    ]
    assert spans["cosigner"] == solo.keys("cosigner")[1]["key"]

    assert [solo.share(number).code for number in (1, 2, 3)] == [0, 0, 5]
    refused = solo.share(3)
    assert "entry 5" in refused.err
    assert "member.json" in refused.err
    assert solo.size() == 5

    solo.govern()
    wait_until(lambda: solo.share(3).code == 0)
    wait_until(lambda: solo.size() == 7)  # network.adopt, and the share; no more were recorded
    assert [(one["from"], one["until"]) for one in solo.keys("log")] == [(0, 5), (5, None)]
    assert [one["named"] for one in solo.keys("cosigner")] == [False, True]
    shown = suyuan("keys", "list", "--config", solo.home).out
    assert "entries 0 to 4" in shown
    assert [column(line) for line in shown.splitlines() if line.startswith("cosigner ")] == ["replaced", "named"]
    assert "key.rotate" in solo("show", "solo.ordos.example/log#1", *solo.ask).out
    shown = json.loads(solo("show", "solo.ordos.example/log#6", *solo.ask, "--json").out)
    assert shown["verified"]
    assert suyuan("doctor", "--config", solo.home, "--offline", env=GIVEN).code == 0


def test_in_the_place_of_an_announced_key_another_one_is_announced_for_the_same_entry(solo: Solo) -> None:
    def announced(margin: int) -> tuple[str, int]:
        solo("keys", "rotate", "log", "--margin", margin, *solo.ask)
        last = json.loads((solo.home / "member.json").read_text())["log_keys"][-1]
        return str(last["key"]), int(last["from"])

    key, start = announced(500)
    newest = solo.keys("log")[-1]
    assert newest["key"] == key
    (solo.home / newest["place"]).unlink()
    another, again = announced(9)
    assert (another != key, again) == (True, start)


def test_rotating_takes_an_admin_a_node_that_runs_and_a_key_that_is_here(solo: Solo, suyuan: Any) -> None:
    size = solo.size()
    elsewhere = {**GIVEN, "SUYUAN_TRANSPORT_KEY": "env:OUR_KEY", "OUR_KEY": "nothing"}
    assert suyuan("keys", "rotate", "transport", *solo.ask, env=elsewhere).code == 2
    solo("keys", "decrypt", "--config", solo.home)
    elsewhere["OUR_KEY"] = (solo.home / "keys" / "transport.key").read_text()
    assert "give --key" in suyuan("keys", "rotate", "transport", *solo.ask, env=elsewhere).err
    solo("keys", "encrypt", "--config", solo.home)
    own = solo.keys("transport")[0]["key"]
    other = json.loads((solo.folder / "other" / "member.json").read_text())["transport"]
    ran = suyuan("keys", "rotate", "transport", "--key", other, *solo.ask, env=GIVEN)
    assert ran.code == 2
    assert "rotation_refused" in ran.err
    assert "the place that the settings name must have it" in ran.err
    assert "is made" not in ran.err
    assert "is made" not in suyuan("keys", "rotate", "transport", "--key", "nonsense", *solo.ask, env=GIVEN).err
    assert solo.size() == size
    assert own == solo.keys("transport")[-1]["key"]

    reader = solo("token", "new", "reader", "--role", "read", "--config", solo.home).out.strip()
    assert suyuan("keys", "rotate", "sealing", "--config", solo.home, "--token", reader, env=GIVEN).code == 4
    ran = suyuan("keys", "rotate", "sealing", *solo.ask, "--url", "http://127.0.0.1:1", env=GIVEN)
    assert ran.code == 5
    new = solo.keys("sealing")[1]  # made, and taken when it is announced
    assert f"made but not announced; nothing uses it yet.\nIt is in {solo.home / new['place']}" in ran.err
    assert f"\n    {new['key']}\n" in ran.err
    assert "makes no other" in ran.err
    assert "readmit" not in ran.err
    member = solo.folder / "elsewhere.json"
    assert solo("keys", "rotate", "sealing", *solo.ask, "--out", member).out == f"{member}\n"
    assert len(solo.keys("sealing")) == 2
    assert json.loads(member.read_text())["sealing"] == solo.keys("sealing")[1]["key"]
    assert os.listdir(solo.home / "keys").count("sealing.2.key") == 1  # noqa: PTH208 - names are wanted


def test_a_frozen_log_says_which_key_the_governors_are_to_name(
    suyuan: Any, network: Any, liar: Any, tmp_path: Path
) -> None:
    home = tmp_path / "police"
    shutil.copytree(network.home("police"), home)
    problem = {"code": "read_only", "detail": "this node's own log is in doubt", "status": 503}
    liar.lies["/v1/events/"] = lambda _: (503, "application/problem+json", json.dumps(problem).encode())
    alarms = [
        {"log": network.origin("tax"), "alarm": "others"},
        {"log": network.origin("police"), "alarm": "two roots"},
    ]

    def health(honest: Any) -> tuple[int, str, bytes]:
        return 503, "application/json", json.dumps(honest.json() | {"status": "alarm", "alarms": alarms}).encode()

    liar.lies["/v1/health"] = health
    new: dict[str, Any] = {}
    for _ in range(2):  # the second time it is the same key
        ran = suyuan("keys", "rotate", "log", "--config", home, "--url", liar.url, "--token", liar.token)
        assert (ran.code, ran.out) == (5, "")
        said = json.loads(suyuan("keys", "list", "--config", home, "--json").out)["keys"]
        old, new = (one for one in said if one["role"] == "log")
        assert f"It is in {home / new['place']}, and its public half is\n    {new['key']}\n" in ran.err
        assert ": two roots\n" in ran.err
        assert f"--readmit {network.origin('police')} --at SIZE --root BASE64 --key {new['key']}" in ran.err
        assert old["named"]
        assert not new["named"]
    entry = {
        "key": new["key"],
        "from": 9,
        "role": "log",
        "type": "key.rotate",
        "id": str(uuid.UUID(int=4 << 76 | 2 << 62)),
    }
    liar.lies["/v1/events/"] = lambda _: (200, "application/json", json.dumps({"event": entry}).encode())
    ran = suyuan("keys", "rotate", "log", "--config", home, "--url", liar.url, "--token", liar.token)
    assert ran.code == 0  # announced before it was frozen
    assert "begins with entry 9" in ran.err
    assert f"--root BASE64 --key {new['key']}" in ran.err
