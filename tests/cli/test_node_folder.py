"""A node's folder: made once, joined once, its tokens, its settings, its references."""

import json
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest

from ledger.record import record_ref
from node.keys import read_record_key
from node.tokens import TokenFile

pytest_plugins = ("departments",)

PROFILE = {
    "--origin": "health.ordos.example/log",
    "--url": "https://health.ordos.example:8443",
    "--name-zh": "卫健委",
    "--name-en": "Health",
    "--level": "city",
    "--region": "150600",
    "--store": "sqlite",
}


def options(**changes: str | None) -> list[str]:
    profile = {**PROFILE, **{f"--{name.replace('_', '-')}": value for name, value in changes.items()}}
    return [part for name, value in profile.items() if value is not None for part in (name, value)]


@pytest.fixture
def home(tmp_path: Path, suyuan: Any) -> Path:
    folder = tmp_path / "health"
    assert suyuan("init", folder, *options(), "--role", "department", "--role", "auditor").code == 0
    return folder


def test_a_new_node_has_settings_keys_and_its_public_half(home: Path) -> None:
    member = json.loads((home / "member.json").read_text())
    assert member["origin"] == "health.ordos.example/log"
    assert member["roles"] == ["department", "auditor"]
    assert member["names"] == {"zh": "卫健委", "en": "Health"}
    assert "PRIVATE" not in (home / "member.json").read_text()
    assert {stat.S_IMODE(path.stat().st_mode) for path in (home / "keys").iterdir()} == {0o600}
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_init_prints_the_file_for_the_governors_and_says_what_is_next(tmp_path: Path, suyuan: Any) -> None:
    ran = suyuan("init", tmp_path / "x", *options())
    assert ran.out == f"{tmp_path / 'x' / 'member.json'}\n"
    assert "suyuan network add-member" in ran.err
    assert "--fingerprint" in ran.err


@pytest.mark.parametrize(
    ("url", "port", "expected"),
    [
        ("https://health.ordos.example:8443", None, 8443),
        ("https://health.ordos.example", None, 8300),
        ("https://health.ordos.example:8443", "9000", 9000),
    ],
)
def test_the_node_listens_where_it_was_told(
    tmp_path: Path, suyuan: Any, url: str, port: str | None, expected: int
) -> None:
    assert suyuan("init", tmp_path / "x", *options(url=url, port=port)).code == 0
    said = json.loads(suyuan("config", "show", "--config", tmp_path / "x", "--json").out)
    assert {one["name"]: one["value"] for one in said["settings"]}["port"] == expected


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"origin": None}, "--origin is missing"),
        ({"name_zh": None, "region": None}, "--name-zh, --region is missing"),
        ({"origin": "Health"}, "origin"),
        ({"region": "abc"}, "region"),
        ({"url": "ftp://x"}, "url"),
        ({"code": "lower"}, "code"),
        ({"name_en": " "}, "names.en"),
    ],
)
def test_a_profile_that_cannot_be_is_refused_before_anything_is_made(
    tmp_path: Path, suyuan: Any, changes: dict[str, str | None], words: str
) -> None:
    ran = suyuan("init", tmp_path / "x", *options(**changes))
    assert ran.code == 2
    assert words in ran.err
    assert not (tmp_path / "x").exists()


def test_a_node_is_never_made_over_another_one(home: Path, suyuan: Any) -> None:
    before = (home / "keys" / "log.key").read_bytes()
    ran = suyuan("init", home, *options())
    assert ran.code == 2
    assert (home / "keys" / "log.key").read_bytes() == before


def test_network_and_fingerprint_are_given_together_and_alone(home: Path, suyuan: Any, network: Any) -> None:
    assert suyuan("init", home, "--network", network.document).code == 2
    assert suyuan("init", home, "--fingerprint", network.fingerprint).code == 2
    both = ("--network", network.document, "--fingerprint", network.fingerprint)
    assert suyuan("init", home, *both, *options()).code == 2


def test_a_network_that_does_not_name_the_department_is_not_joined(home: Path, suyuan: Any, network: Any) -> None:
    ran = suyuan("init", home, "--network", network.document, "--fingerprint", network.fingerprint)
    assert ran.code == 2
    assert "has no member health.ordos.example/log" in ran.err
    assert not (home / "network.note").exists()


def test_a_network_with_another_fingerprint_is_not_joined(home: Path, suyuan: Any, network: Any) -> None:
    assert suyuan("init", home, "--network", network.document, "--fingerprint", "0" * 64).code == 1


def test_a_node_without_network_does_not_run(home: Path, suyuan: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.serve.configure_logging", lambda _: None)  # which would hold for every test after it
    ran = suyuan("run", "--config", home)
    assert ran.code == 2
    assert "no network is joined yet" in ran.err


# Tokens.


def test_a_token_is_printed_once_and_stored_as_a_digest(home: Path, suyuan: Any) -> None:
    ran = suyuan("token", "new", "platform", "--role", "submit", "--config", home)
    (token,) = ran.out.splitlines()
    assert token.startswith("sy_")
    assert token not in (home / "tokens.json").read_text()
    (entry,) = TokenFile(home / "tokens.json").load()
    assert (entry.name, entry.roles, entry.expires) == ("platform", ["submit"], None)


@pytest.mark.parametrize(
    ("said", "expected"),
    [("2099-01-01", "2099-01-01T00:00:00.000Z"), ("2099-01-01T12:00:00.000Z", "2099-01-01T12:00:00.000Z")],
)
def test_a_token_ends_when_it_was_told(home: Path, suyuan: Any, said: str, expected: str) -> None:
    suyuan("token", "new", "platform", "--role", "read", "--expires", said, "--config", home)
    assert TokenFile(home / "tokens.json").load()[0].expires == expected


def test_a_token_may_end_after_so_many_days(home: Path, suyuan: Any) -> None:
    suyuan("token", "new", "platform", "--role", "read", "--expires", "90d", "--config", home)
    entry = TokenFile(home / "tokens.json").load()[0]
    assert entry.expires is not None
    assert entry.expires[:10] > entry.created[:10]


@pytest.mark.parametrize("expires", ["soon", "2026-13-01", "2001-01-01", "0d", "90"])
def test_a_token_does_not_end_at_a_time_that_cannot_be(home: Path, suyuan: Any, expires: str) -> None:
    ran = suyuan("token", "new", "platform", "--role", "read", "--expires", expires, "--config", home)
    assert ran.code == 2
    assert ran.out == ""
    assert "hint: write it as 90d" in ran.err or "hint: suyuan token new --help" in ran.err
    assert not (home / "tokens.json").exists()


def test_a_name_that_no_token_has_is_refused_with_a_hint_about_tokens(home: Path, suyuan: Any) -> None:
    ran = suyuan("token", "new", "a b", "--role", "read", "--config", home)
    assert (ran.code, ran.out) == (2, "")
    assert "hint: suyuan token new --help says how" in ran.err


def test_tokens_are_listed_without_secrets(home: Path, suyuan: Any) -> None:
    token = suyuan("token", "new", "platform", "--role", "submit", "--config", home).out.strip()
    people = suyuan("token", "list", "--config", home).out
    program = json.loads(suyuan("token", "list", "--config", home, "--json").out)
    assert "platform" in people
    assert token not in people
    assert program["schema"] == "suyuan.token-list/1"
    (listed,) = program["tokens"]
    assert (listed["name"], listed["roles"], listed["expires"], listed["expired"]) == (
        "platform",
        ["submit"],
        None,
        False,
    )


def test_no_tokens_is_an_answer(home: Path, suyuan: Any) -> None:
    ran = suyuan("token", "list", "--config", home)
    assert (ran.code, ran.out) == (0, "")
    assert "suyuan token new" in ran.err


def test_a_revoked_token_is_gone_and_another_one_is_not_found(home: Path, suyuan: Any) -> None:
    suyuan("token", "new", "platform", "--role", "submit", "--config", home)
    assert suyuan("token", "revoke", "platform", "--config", home).code == 0
    assert TokenFile(home / "tokens.json").load() == ()
    assert suyuan("token", "revoke", "platform", "--config", home).code == 3


# Settings.


def test_every_setting_is_shown_with_its_source(home: Path, suyuan: Any) -> None:
    ran = suyuan("config", "show", "--config", home, "--json", env={"SUYUAN_PORT": "9999"})
    said = json.loads(ran.out)
    assert said["schema"] == "suyuan.config/1"
    assert said["url"] == "http://127.0.0.1:9999"
    sources = {one["name"]: (one["value"], one["source"]) for one in said["settings"]}
    assert sources["port"] == (9999, "environment")
    assert sources["origin"] == ("health.ordos.example/log", "file")
    assert sources["tls_key"] == (None, "default")


def test_no_secret_is_among_the_settings(home: Path, suyuan: Any) -> None:
    shown = suyuan("config", "show", "--config", home).out
    for path in (home / "keys").iterdir():
        assert path.read_text().strip()[-20:] not in shown


def test_a_wrong_setting_is_named(home: Path, suyuan: Any) -> None:
    ran = suyuan("config", "show", "--config", home, env={"SUYUAN_PORT": "many"})
    assert ran.code == 2
    assert "port" in ran.err


# References.


def test_references_are_made_with_the_departments_own_key_and_no_node(home: Path, suyuan: Any) -> None:
    key = read_record_key(home / "keys")
    ran = suyuan("ref", "150602", "--scheme", "resident-id", "--config", home)
    assert ran.out == record_ref(key, "150602", scheme="resident-id") + "\n"


def test_identifiers_come_from_a_file_or_standard_input_one_per_line(home: Path, suyuan: Any, tmp_path: Path) -> None:
    key = read_record_key(home / "keys")
    source = tmp_path / "ids"
    source.write_bytes("\ufeff甲1\r\n2\n".encode())
    expected = [record_ref(key, one) for one in ("甲1", "2")]
    assert suyuan("ref", "--file", source, "--config", home).out.split() == expected
    assert suyuan("ref", "--file", "-", "--config", home, stdin=source.read_bytes()).out.split() == expected


def test_references_for_a_program_do_not_repeat_the_identifiers(home: Path, suyuan: Any) -> None:
    said = json.loads(suyuan("ref", "150602", "--config", home, "--json").out)
    assert said["schema"] == "suyuan.refs/1"
    assert said.keys() == {"schema", "scheme", "refs"}


@pytest.mark.parametrize(
    ("content", "line"), [(b"1\n\n2\n", "line 2"), (b"1\x00\n", "line 1"), (b"a\n" + b"x" * 1001, "line 2")]
)
def test_a_line_that_is_no_identifier_is_named_and_nothing_is_printed(
    home: Path, suyuan: Any, content: bytes, line: str
) -> None:
    ran = suyuan("ref", "--file", "-", "--config", home, stdin=content)
    assert (ran.code, ran.out) == (2, "")
    assert line in ran.err


def test_one_identifier_or_a_file(home: Path, suyuan: Any, tmp_path: Path) -> None:
    (tmp_path / "ids").write_text("1\n")
    assert suyuan("ref", "--config", home).code == 2
    assert suyuan("ref", "1", "--file", tmp_path / "ids", "--config", home).code == 2


def test_a_file_in_another_encoding_is_refused(home: Path, suyuan: Any) -> None:
    ran = suyuan("ref", "--file", "-", "--config", home, stdin="甲".encode("gbk"))
    assert ran.code == 2
    assert "UTF-8" in ran.err


# A lost store.


@pytest.fixture
def joined(tmp_path: Path, suyuan: Any, network: Any) -> Path:
    """A copy of court's folder, whose node does not run."""
    folder = tmp_path / "court"
    shutil.copytree(network.home("court"), folder)
    return folder


def test_a_lost_store_is_made_anew_and_empty_with_the_same_keys(joined: Path, suyuan: Any) -> None:
    shutil.rmtree(joined / "data")
    kept = {path: path.read_bytes() for path in joined.rglob("*") if path.is_file()}
    ran = suyuan("init", joined, "--rebuild", "--store", "sqlite")
    assert (ran.code, ran.out) == (0, "")
    assert "court.ordos.example/log has an empty store" in ran.err
    assert f"suyuan run --config {joined}" in ran.err
    assert {path: path.read_bytes() for path in kept} == kept
    assert json.loads(suyuan("doctor", "--config", joined, "--offline", "--json").out)["status"] in {"ok", "warning"}


def test_a_rebuild_is_told_in_chinese(joined: Path, suyuan: Any) -> None:
    shutil.rmtree(joined / "data")
    ran = suyuan("init", joined, "--rebuild", env={"LANG": "zh_CN.UTF-8", "LC_ALL": "zh_CN.UTF-8"})
    assert ran.code == 0
    assert "空的存储" in ran.err


def test_a_store_that_is_there_is_not_rebuilt(joined: Path, suyuan: Any) -> None:
    before = {path: path.read_bytes() for path in joined.rglob("*") if path.is_file()}
    ran = suyuan("init", joined, "--rebuild")
    assert ran.code == 2
    assert "there is a store already" in ran.err
    assert {path: path.read_bytes() for path in joined.rglob("*") if path.is_file()} == before


def test_not_even_an_empty_data_folder_is_taken_for_a_lost_one(joined: Path, suyuan: Any) -> None:
    shutil.rmtree(joined / "data")
    (joined / "data").mkdir()
    assert suyuan("init", joined, "--rebuild").code == 2
    assert list((joined / "data").iterdir()) == []


def test_a_folder_without_its_keys_or_without_a_network_is_not_rebuilt(joined: Path, home: Path, suyuan: Any) -> None:
    shutil.rmtree(joined / "data")
    (joined / "keys" / "log.key").unlink()
    assert suyuan("init", joined, "--rebuild").code == 2
    assert not (joined / "data").exists()
    shutil.rmtree(home / "data")
    ran = suyuan("init", home, "--rebuild")
    assert ran.code == 2
    assert "no network is joined yet" in ran.err
    assert not (home / "data").exists()


@pytest.mark.parametrize("more", [("--origin", "x.example/log"), ("--fingerprint", "0" * 64), ("--port", "1")])
def test_a_rebuild_changes_no_settings(joined: Path, suyuan: Any, more: tuple[str, str]) -> None:
    ran = suyuan("init", joined, "--rebuild", *more)
    assert ran.code == 2
    assert "--rebuild goes with --store alone" in ran.err


def test_there_is_nothing_to_rebuild_where_no_node_was(tmp_path: Path, suyuan: Any) -> None:
    assert suyuan("init", tmp_path / "nowhere", "--rebuild").code == 2
    assert not (tmp_path / "nowhere").exists()
