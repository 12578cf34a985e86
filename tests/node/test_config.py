"""Settings, key files, and the making and joining of a node's folder."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from node_helpers import Party, entry_of, make_home, paper, parties, seed

from ledger.errors import FingerprintError, StoreError
from ledger.event.base import parse_model
from ledger.network import MemberEntry
from ledger.note import ED25519, Signer
from ledger.store import open_store
from node.config import CONFIG_BYTES_MAX, Home, load_home, make_settings, settings_toml
from node.errors import ConfigError
from node.keyfile import KEY_FILE_BYTES_MAX, read_secret, write_secret
from node.keys import (
    KeyRing,
    generate_keys,
    key_name,
    load_ring,
    load_witness_key,
    make_witness_key,
    read_record_key,
)
from node.setup import Profile, create_home, join_network, member_entry, member_json
from node.signers import read_signer

A, B = parties(2)
ORIGIN = A.origin
VKEY = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
FOREIGN = {"origin": "go.sum database tree", "vkeys": [VKEY]}


def material(party: Party = A) -> Any:
    stock = iter([seed(party.origin, role) for role in ("log", "cosigner", "transport", "sealing", "record")])
    return lambda size: next(stock)[:size]


# Settings.


def test_settings_are_read_from_a_file_or_its_folder(tmp_path: Path) -> None:
    file = tmp_path / "suyuan.toml"
    file.write_text(f'origin = "{ORIGIN}"\nport = 8301\n')
    for where in (file, tmp_path):
        home = load_home(where)
        assert (home.settings.origin, home.settings.port, home.folder) == (ORIGIN, 8301, tmp_path)
    home = load_home(file)
    assert [path.relative_to(tmp_path).as_posix() for path in (home.config, home.keys, home.data, home.head)] == [
        "suyuan.toml",
        "keys",
        "data",
        "head",
    ]
    assert home.tokens == tmp_path / "tokens.json"
    assert home.network == home.path(Path("network.note"))


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "suyuan.toml").write_text(f'origin = "{ORIGIN}"\nport = 8301\n')
    monkeypatch.setenv("SUYUAN_PORT", "8399")
    assert load_home(tmp_path).settings.port == 8399


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "origin"),
        ({"origin": "POLICE"}, "origin"),
        ({"origin": ORIGIN, "colour": 1}, "colour: there is no such setting"),
        ({"origin": ORIGIN, "port": 99999}, "port"),
        ({"origin": ORIGIN, "port": "no number"}, "port"),
        ({"origin": ORIGIN, "host": "not an address"}, "host"),
        ({"origin": ORIGIN, "host": "0.0.0.0"}, "without TLS a node listens on loopback only"),
        ({"origin": ORIGIN, "tls_key": "key.pem"}, "belong together"),
        ({"origin": ORIGIN, "checkpoint_interval_ms": 1}, "checkpoint_interval_ms"),
        ({"origin": ORIGIN, "refresh_interval_ms": 59_999}, "0 or at least 60000"),
        ({"origin": ORIGIN, "refresh_interval_ms": -1}, "refresh_interval_ms"),
        ({"origin": ORIGIN, "log_level": "loud"}, "log_level"),
        ({"origin": ORIGIN, "witness_name": "a b"}, "witness_name: a key name is not empty"),
        ({"origin": ORIGIN, "witnessed": [{"origin": "a", "vkeys": []}]}, "witnessed.0.vkeys"),
        ({"origin": ORIGIN, "witnessed": [{"origin": "", "vkeys": [VKEY]}]}, "witnessed.0.origin"),
        ({"origin": ORIGIN, "witnessed": [{"origin": "a\nb", "vkeys": [VKEY]}]}, "witnessed.0.origin"),
        ({"origin": ORIGIN, "witnessed": [{"origin": "a", "vkeys": ["no"]}]}, "not of the form name\\+hash"),
        ({"origin": ORIGIN, "witnessed": [{"origin": "a", "vkeys": [A.keys.cosigner.verifier.vkey]}]}, "type 0x01"),
        ({"origin": ORIGIN, "witnessed": [{"origin": "a", "vkeys": [VKEY, VKEY]}]}, "a key is there twice"),
        ({"origin": ORIGIN, "witnessed": [FOREIGN, FOREIGN]}, "go.sum database tree is there twice"),
        ({"origin": ORIGIN, "witnessed": [{**FOREIGN, "more": 1}]}, "witnessed.0.more"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as refused:
        make_settings(values, "here")
    assert refused.value.field == "here"


@pytest.mark.parametrize(
    ("host", "loopback"), [("127.0.0.1", True), ("localhost", True), ("::1", True), ("192.0.2.1", False)]
)
def test_beyond_loopback_a_node_takes_tls(host: str, *, loopback: bool) -> None:
    tls = {"tls_certificate": "cert.pem", "tls_key": "key.pem"}
    assert make_settings({"origin": ORIGIN, "host": host, **tls}, "here").is_loopback is loopback


def test_written_settings_are_read_back_as_they_were(tmp_path: Path) -> None:
    values = {"origin": ORIGIN, "port": 1, "network": 'a "quoted" \\ path', "fingerprint": "ab" * 32}
    settings = make_settings(values, "here")
    (tmp_path / "suyuan.toml").write_text(settings_toml(settings))
    assert load_home(tmp_path).settings == settings
    assert "# peer_ca =" in settings_toml(settings)


def test_foreign_logs_are_tables_in_the_file_and_json_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = {"origin": '日志 "quoted" \\ back', "vkeys": [VKEY, B.keys.log.verifier.vkey]}
    settings = make_settings({"origin": ORIGIN, "witness_policy": "w.policy", "witnessed": [FOREIGN, odd]}, "here")
    (tmp_path / "suyuan.toml").write_text(settings_toml(settings))
    assert load_home(tmp_path).settings == settings
    assert [one.origin for one in settings.witnessed] == [FOREIGN["origin"], odd["origin"]]
    assert settings_toml(make_settings({"origin": ORIGIN}, "here")).endswith("# [[witnessed]]\n")
    monkeypatch.setenv("SUYUAN_WITNESSED", json.dumps([FOREIGN]))
    assert [one.model_dump() for one in load_home(tmp_path).settings.witnessed] == [{**FOREIGN, "vkeys": (VKEY,)}]
    monkeypatch.setenv("SUYUAN_WITNESSED", "no JSON")
    with pytest.raises(ConfigError, match="the environment cannot be read"):
        load_home(tmp_path)


def test_the_witness_key_is_of_its_own_kind_and_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not there") as missing:
        load_witness_key(tmp_path, "a/witness")
    assert missing.value.hint == "suyuan witness key makes it"
    made = make_witness_key(tmp_path, "a/witness", lambda _: seed("w"))
    assert load_witness_key(tmp_path, "a/witness").verifier == made.verifier
    with pytest.raises(ConfigError, match="never overwritten"):
        make_witness_key(tmp_path, "a/witness", lambda _: seed("x"))
    with pytest.raises(ConfigError, match="is not the witness key b/witness"):
        load_witness_key(tmp_path, "b/witness")


@pytest.mark.parametrize(
    "data", [b"origin = ", b"\xff", b"#" * (CONFIG_BYTES_MAX + 1)], ids=["no TOML", "no UTF-8", "too large"]
)
def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "suyuan.toml").write_bytes(data)
    with pytest.raises(ConfigError) as refused:
        load_home(tmp_path)
    assert refused.value.field == str(tmp_path / "suyuan.toml")


def test_a_missing_file_says_how_one_is_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file") as refused:
        load_home(tmp_path)
    assert "suyuan init" in refused.value.hint


# Keys.


def test_generated_keys_are_read_back_and_are_secret(tmp_path: Path) -> None:
    made = generate_keys(tmp_path / "keys", ORIGIN, material()).newest
    read = load_ring(tmp_path / "keys", ORIGIN).newest
    assert isinstance(A.keys.log, Signer)
    assert made.log.verifier == read.log.verifier == A.keys.log.verifier
    assert made.sealing_public == read.sealing_public
    assert read.record == read_record_key(tmp_path / "keys") == seed(ORIGIN, "record")
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in (tmp_path / "keys").iterdir())
    assert A.keys.log.skey not in repr(read)


def test_names_of_keys_follow_the_origin() -> None:
    assert key_name(ORIGIN, "log") == ORIGIN
    assert key_name(ORIGIN, "cosigner") == "d0.test/cosigner"


def test_keys_are_never_overwritten(tmp_path: Path) -> None:
    generate_keys(tmp_path, ORIGIN, material())
    before = (tmp_path / "log.key").read_bytes()
    with pytest.raises(ConfigError, match="never overwritten"):
        generate_keys(tmp_path, ORIGIN, material(B))
    assert (tmp_path / "log.key").read_bytes() == before


@pytest.mark.parametrize("role", ["log", "cosigner", "transport", "sealing", "record"])
def test_a_key_file_that_is_missing_open_or_damaged_is_named(tmp_path: Path, role: str) -> None:
    generate_keys(tmp_path, ORIGIN, material())
    path = tmp_path / f"{role}.key"
    good = path.read_text()
    for damage, words in (
        (lambda: path.chmod(0o644), "others may read"),
        (lambda: path.write_text(good[:-6] + "\n"), f"{role}.key"),
        (lambda: path.write_bytes(b"\xff\xff"), "no key file"),
        (lambda: path.write_text("A" * (KEY_FILE_BYTES_MAX + 1)), "no key file"),
        (path.unlink, "No such file"),
    ):
        damage()
        with pytest.raises(ConfigError, match=words) as refused:
            load_ring(tmp_path, ORIGIN)
        assert refused.value.field == str(path)
        assert good.strip()[20:] not in str(refused.value)
        path.touch()
        path.chmod(0o600)
        path.write_text(good)


def test_the_keys_of_another_department_are_refused(tmp_path: Path) -> None:
    generate_keys(tmp_path, ORIGIN, material())
    with pytest.raises(ConfigError, match=r"is not the log key of d1\.test/log"):
        load_ring(tmp_path, B.origin)


def test_the_key_of_another_role_is_refused(tmp_path: Path) -> None:
    generate_keys(tmp_path, ORIGIN, material())
    (tmp_path / "cosigner.key").write_bytes((tmp_path / "transport.key").read_bytes())
    with pytest.raises(ConfigError, match="is not the cosigner key"):
        load_ring(tmp_path, ORIGIN)


def test_a_secret_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        write_secret(tmp_path / "missing" / "log.key", "secret")
    write_secret(tmp_path / "log.key", "secret")
    assert read_secret(tmp_path / "log.key") == "secret"
    with pytest.raises(ConfigError, match="holds no signer key"):
        read_signer(tmp_path / "log.key")


# Making a home, and joining a network.


def test_a_home_is_made_once(tmp_path: Path) -> None:
    home = create_home(tmp_path / "a", {"origin": ORIGIN}, random=material(), store="sqlite")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700
    open_store(home.data, kind="sqlite").close()
    with pytest.raises(ConfigError, match="a node in this folder already"):
        create_home(tmp_path / "a", {"origin": ORIGIN}, random=material())


def test_a_home_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be made"):
        create_home(tmp_path / "file" / "a", {"origin": ORIGIN}, random=material())
    with pytest.raises(StoreError):
        create_home(tmp_path / "b", {"origin": ORIGIN}, random=material(), store="paper")


def test_joining_pins_the_fingerprint(tmp_path: Path) -> None:
    law = paper([A, B])
    home = make_home(tmp_path, A, law)
    assert home.settings.fingerprint == law.fingerprint
    assert load_home(tmp_path).settings == home.settings
    assert home.network.read_bytes() == law.document


def test_joining_again_takes_a_newer_version_of_the_same_network(tmp_path: Path) -> None:
    law = paper([A, B])
    home = make_home(tmp_path, A, law)
    newer = law.next([entry_of(A), entry_of(B, status="suspended")])
    home = join_network(home, newer.document, newer.fingerprint)
    assert home.network.read_bytes() == newer.document
    assert not list(tmp_path.glob("*.new"))


def test_an_older_version_or_another_past_is_not_taken_back(tmp_path: Path) -> None:
    law = paper([A, B])
    newer = law.next([entry_of(A), entry_of(B, status="suspended")])
    other = law.next([entry_of(A), entry_of(B, status="ended")])
    home = join_network(make_home(tmp_path, A, law), newer.document, newer.fingerprint)
    for document in (law.document, other.document):
        with pytest.raises(ConfigError, match="does not continue this node's version 2") as refused:
            join_network(home, document, law.fingerprint)
        assert refused.value.field == "network"
    assert home.network.read_bytes() == newer.document


def test_another_network_cannot_be_joined(tmp_path: Path) -> None:
    home = make_home(tmp_path, A, paper([A, B]))
    other = paper([A])
    with pytest.raises(ConfigError, match="another network already"):
        join_network(home, other.document, other.fingerprint)


def test_a_network_without_the_department_or_with_other_keys_cannot_be_joined(tmp_path: Path) -> None:
    home = create_home(tmp_path / "a", {"origin": ORIGIN}, random=material(), store="sqlite")
    without = paper([B])
    with pytest.raises(ConfigError, match=r"has no member d0\.test/log"):
        join_network(home, without.document, without.fingerprint)
    other = Signer("d0.test/transport", ED25519, seed("another"))
    changed = paper([entry_of(A, transport=other.verifier.vkey)])
    with pytest.raises(ConfigError, match="another transport key"):
        join_network(home, changed.document, changed.fingerprint)
    with pytest.raises(FingerprintError):
        join_network(home, changed.document, "ab" * 32)
    assert load_home(tmp_path / "a").settings.fingerprint is None


@pytest.mark.parametrize("role", ["log", "cosigner", "transport", "sealing"])
def test_every_key_that_the_document_names_is_compared(role: str) -> None:
    member = paper([A, B]).network.member(ORIGIN)
    assert KeyRing.of(A.keys).select(member).log is A.keys.log
    changes = {role: getattr(B.keys, role)}
    with pytest.raises(ConfigError) as refused:
        KeyRing.of(type(A.keys)(**{name: changes.get(name, getattr(A.keys, name)) for name in _ROLES})).select(member)
    assert refused.value.field == f"keys/{role}.key"


_ROLES = ("log", "cosigner", "transport", "sealing", "record")


def test_a_member_entry_is_what_the_network_document_reads() -> None:
    profile = Profile(
        origin=ORIGIN,
        name_zh="公安局",
        name_en="Police",
        level="city",
        region="150600",
        roles=("department", "auditor"),
        url="https://police.example",
        code="11150600",
    )
    written = member_json(member_entry(A.keys, profile))
    assert parse_model(MemberEntry, written).code == "11150600"
    assert written["log_keys"] == [{"from": 0, "key": A.keys.log.verifier.vkey}]
    assert "code" not in member_json(member_entry(A.keys, A.profile()))


def test_a_home_knows_its_places(tmp_path: Path) -> None:
    home = Home(tmp_path, make_settings({"origin": ORIGIN, "network": "law/network.note"}, "here"))
    assert home.network == tmp_path / "law/network.note"
