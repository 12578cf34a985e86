"""Keys at rest, key rings, and keys that live elsewhere."""

import itertools
import os
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from node_helpers import Party, entry_of, paper, parties, seed

from ledger.encoding import encode_base64
from ledger.note import COSIGNATURE, ED25519, Signer, SigningKey, parse_skey
from node import keyfile, signers
from node.errors import ConfigError, PassphraseNeededError, SignerError, WrongPassphraseError
from node.keyfile import COST_MIN, Cost, Lock, from_file, parse_closed, read_secret, replace_secret, write_secret
from node.keys import (
    KeyFile,
    KeyRing,
    NodeKeys,
    add_key,
    close_files,
    generate_keys,
    governor_file,
    key_files,
    load_ring,
    named_keys,
    open_files,
    public_text,
    read_record_key,
)
from node.signers import CommandSigner, load_signers, next_file, numbered_files

A, B = parties(2)
ROLES = ("log", "cosigner", "transport", "sealing", "record")
PASSPHRASE = "马到成功 correct horse"
SECRET = encode_base64(seed("secret"))


def material(*names: str) -> Any:
    numbers = itertools.count()
    return lambda size: (seed(*names, str(next(numbers))) * 2)[:size]


def lock(passphrase: str | None = PASSPHRASE) -> Lock:
    return Lock(lambda: passphrase, cost=COST_MIN)


def keys_of(party: Party, *names: str) -> NodeKeys:
    """Another set of keys of a department; the record key stays."""
    origin = party.origin
    return NodeKeys(
        log=Signer(origin, ED25519, seed(origin, "log", *names)),
        cosigner=Signer(party.keys.cosigner.name, COSIGNATURE, seed(origin, "cosigner", *names)),
        transport=Signer(party.keys.transport.name, ED25519, seed(origin, "transport", *names)),
        sealing=seed(origin, "sealing", *names),
        record=party.keys.record,
    )


# Closed files.


def test_a_closed_secret_opens_with_its_passphrase_alone() -> None:
    closed = lock().close(SECRET, public="-", random=material())
    assert SECRET not in closed.encode()
    assert parse_closed(closed.encode()) == closed
    assert lock().open(closed) == SECRET
    with pytest.raises(WrongPassphraseError) as refused:
        lock("马到成功 correct  horse").open(closed)
    assert refused.value.hint


def test_without_a_passphrase_a_closed_secret_says_where_one_is_looked_for() -> None:
    closed = lock().close(SECRET, public="-", random=material())
    with pytest.raises(PassphraseNeededError) as refused:
        Lock(lambda: None).open(closed)
    assert all(place in refused.value.hint for place in ("SUYUAN_PASSPHRASE", "passphrase_file", "terminal"))


def test_a_passphrase_is_the_same_however_the_keyboard_composes_it() -> None:
    closed = lock("caf\u00e9").close(SECRET, public="-", random=material())
    assert lock("cafe\u0301").open(closed) == SECRET


def test_the_passphrase_is_asked_for_once_and_sources_in_their_order() -> None:
    asked: list[str] = []

    def source(name: str, answer: str | None) -> keyfile.Source:
        def ask() -> str | None:
            asked.append(name)
            return answer

        return ask

    one = Lock(source("environment", None), source("file", PASSPHRASE), source("terminal", "no"), cost=COST_MIN)
    files = [one.close(SECRET, public="-", random=material(name)) for name in ("a", "b")]
    assert [one.open(file) for file in files] == [SECRET, SECRET]
    assert asked == ["environment", "file"]
    assert files[0].salt == files[1].salt  # one derivation at the start of a node
    assert files[0].box != files[1].box


def test_a_flipped_bit_anywhere_in_the_box_is_noticed() -> None:
    closed = lock().close(SECRET, public="-", random=material())
    opener = lock()
    for place in range(0, len(closed.box), 7):
        box = bytearray(closed.box)
        box[place] ^= 1
        with pytest.raises(WrongPassphraseError):
            opener.open(keyfile.Closed("-", closed.cost, closed.salt, bytes(box)))


@pytest.mark.parametrize(
    ("line", "text", "words"),
    [
        (2, "scrypt 3 8192 {salt}", "only argon2id is known"),
        (2, "argon2id 11 8192 {salt}", "11 passes"),
        (2, "argon2id 0 8192 {salt}", "0 passes"),
        (2, "argon2id 3 1073741825 {salt}", "1073741825 bytes of memory"),
        (2, "argon2id 3 8191 {salt}", "8191 bytes of memory"),
        (2, "argon2id 3 8192 AAAA", "too short"),
        (2, "argon2id 3 8192", "damaged"),
        (2, "argon2id -3 8192 {salt}", "damaged"),
        (3, "AAAA", "too short"),
        (3, "not base64", "damaged"),
        (3, "", "damaged"),
    ],
)
def test_a_closed_file_that_asks_for_too_much_or_is_damaged_is_refused_before_any_work(
    line: int, text: str, words: str
) -> None:
    closed = lock().close(SECRET, public="-", random=material())
    lines = closed.encode().split("\n")
    lines[line] = text.format(salt=encode_base64(closed.salt))
    with pytest.raises(ConfigError, match=words):
        parse_closed("\n".join(lines))


def test_a_truncated_file_is_refused_at_every_length() -> None:
    whole = lock().close(SECRET, public="-", random=material()).encode()
    for length in range(len(keyfile.FORMAT), len(whole)):
        with pytest.raises(ConfigError):
            opened(whole[:length])


def opened(text: str) -> str:
    closed = parse_closed(text)
    assert closed is not None
    return lock().open(closed)


def test_a_passphrase_has_a_limit() -> None:
    with pytest.raises(ConfigError, match="too long") as refused:
        lock("x" * 1025).close(SECRET, public="-", random=material())
    assert refused.value.limit == 1024


def test_the_cost_of_new_files_is_within_what_is_read() -> None:
    assert COST_MIN.passes <= keyfile.COST.passes <= keyfile.COST_MAX.passes
    assert COST_MIN.memory <= keyfile.COST.memory <= keyfile.COST_MAX.memory
    assert Cost(3, 256 << 20) == keyfile.COST


# The file of the passphrase.


def test_a_file_gives_the_passphrase_of_its_first_line(tmp_path: Path) -> None:
    path = tmp_path / "passphrase"
    path.write_text(f"{PASSPHRASE}\r\nand more\n", "utf-8")
    path.chmod(0o600)
    assert from_file(path) == PASSPHRASE


@pytest.mark.parametrize(("data", "words"), [(b"", "no passphrase"), (b"\xff\n", "not UTF-8")])
def test_a_file_without_a_passphrase_is_named(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "passphrase"
    path.write_bytes(data)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match=words) as refused:
        from_file(path)
    assert refused.value.field == str(path)


def test_a_passphrase_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "passphrase"
    path.write_text(PASSPHRASE)
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="others may read"):
        from_file(path)


# Files on the disk.


def test_what_a_crash_left_beside_a_secret_is_in_nobodys_way(tmp_path: Path) -> None:
    path = tmp_path / "log.key"
    (tmp_path / "log.key.new").write_text("half")
    write_secret(path, "one")
    (tmp_path / "log.key.new").write_text("half")
    replace_secret(path, "two")
    assert read_secret(path) == "two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["log.key"]  # noqa: PTH208 - names are wanted


def test_a_secret_that_cannot_be_replaced_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "missing" / "log.key", tmp_path / "folder"):
        (tmp_path / "folder" / "full").mkdir(parents=True, exist_ok=True)
        with pytest.raises(ConfigError, match="cannot be written") as refused:
            replace_secret(path, "secret")
        assert refused.value.field == str(path)


def test_a_place_where_no_link_can_be_made_is_named(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 251)  # there is room for the file beside it, not for a longer name
    with pytest.raises(ConfigError, match="cannot be written"):
        write_secret(tmp_path / ("x" * 252), "secret")
    write_secret(path, "secret")
    assert read_secret(path) == "secret"


# Folders of keys.


def test_a_folder_of_closed_keys_gives_the_same_ring(tmp_path: Path) -> None:
    made = generate_keys(tmp_path / "open", A.origin, material())
    closed = generate_keys(tmp_path / "closed", A.origin, material(), lock())
    assert set(closed.publics) == set(made.publics)
    with pytest.raises(PassphraseNeededError) as refused:
        load_ring(tmp_path / "closed", A.origin)
    assert refused.value.field == str(tmp_path / "closed" / "log.key")
    with pytest.raises(WrongPassphraseError):
        load_ring(tmp_path / "closed", A.origin, lock=lock("another"))
    again = load_ring(tmp_path / "closed", A.origin, lock=lock())
    assert again.publics == closed.publics
    assert read_record_key(tmp_path / "closed", lock()) == closed.record
    assert "PRIVATE" not in "".join(path.read_text() for path in (tmp_path / "closed").iterdir())


def test_without_the_passphrase_the_public_halves_are_known(tmp_path: Path) -> None:
    ring = generate_keys(tmp_path, A.origin, material(), lock())
    publics = {file.role: file.public for file in key_files(tmp_path, A.origin)}
    assert publics == {**{role: keys[-1] for role, keys in ring.publics.items()}, "record": "-"}


def test_a_closed_file_that_says_another_key_than_it_holds_is_refused(tmp_path: Path) -> None:
    generate_keys(tmp_path, A.origin, material(), lock())
    path = tmp_path / "log.key"
    lines = path.read_text().split("\n")
    lines[1] = A.keys.log.verifier.vkey
    path.write_text("\n".join(lines))
    with pytest.raises(ConfigError, match="closed as another key"):
        load_ring(tmp_path, A.origin, lock=lock())


@pytest.mark.parametrize(
    ("role", "public"), [("log", "nonsense"), ("sealing", "AAAA"), ("log", B.keys.log.verifier.vkey)]
)
def test_a_closed_file_that_is_no_key_of_its_role_is_named(tmp_path: Path, role: str, public: str) -> None:
    generate_keys(tmp_path, A.origin, material(), lock())
    path = tmp_path / f"{role}.key"
    lines = path.read_text().split("\n")
    lines[1] = public
    path.write_text("\n".join(lines))
    with pytest.raises(ConfigError) as refused:
        key_files(tmp_path, A.origin)
    assert refused.value.field == str(path)


def test_keys_are_closed_and_opened_again_in_place(tmp_path: Path) -> None:
    ring = generate_keys(tmp_path, A.origin, material())
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    files = key_files(tmp_path, A.origin)
    assert [file.role for file in close_files(files, lock(), material())] == list(ROLES)
    assert load_ring(tmp_path, A.origin, lock=lock()).publics == ring.publics
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}
    with pytest.raises(WrongPassphraseError):
        open_files(key_files(tmp_path, A.origin), lock("another"))
    assert len(open_files(key_files(tmp_path, A.origin), lock())) == 5
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


class PowerCutError(Exception):
    """The machine is off."""


@pytest.mark.parametrize("cut", range(5))
def test_a_crash_between_two_files_leaves_keys_that_load_and_asking_again_does_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    ring = generate_keys(tmp_path, A.origin, material())
    done = itertools.count()

    def replace(path: Path, text: str) -> None:
        if next(done) == cut:
            path.with_name(f"{path.name}.new").write_text(text[:40])  # written halfway
            raise PowerCutError
        replace_secret(path, text)

    with monkeypatch.context() as patched:
        patched.setattr("node.keys.replace_secret", replace)
        with pytest.raises(PowerCutError):
            close_files(key_files(tmp_path, A.origin), lock(), material())
    assert sum(file.closed is not None for file in key_files(tmp_path, A.origin)) == cut
    assert load_ring(tmp_path, A.origin, lock=lock()).publics == ring.publics
    if cut:
        with pytest.raises(WrongPassphraseError):  # else some files would have one passphrase, and some another
            close_files(key_files(tmp_path, A.origin), lock("another"), material())
    assert len(close_files(key_files(tmp_path, A.origin), lock(), material())) == 5 - cut
    assert all(file.closed is not None for file in key_files(tmp_path, A.origin))
    assert load_ring(tmp_path, A.origin, lock=lock()).publics == ring.publics


def test_a_governors_key_is_closed_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "governor-1.key"
    governor = Signer("ordos/governor-1", ED25519, seed("governor"))
    write_secret(path, governor.skey)
    close_files([governor_file(path)], lock(), material())
    assert governor_file(path).public == governor.verifier.vkey
    assert signers.read_signer(path, lock()).skey == governor.skey
    path.write_text(path.read_text().replace("ordos/governor-1+", "ordos governor-1+"))
    with pytest.raises(ConfigError, match="holds no signer key"):
        governor_file(path)


# Several keys of a role.


def test_a_further_key_stands_beside_the_others(tmp_path: Path) -> None:
    first = generate_keys(tmp_path, A.origin, material())
    (tmp_path / "log.key.bak").touch()
    (tmp_path / "log.1.key").touch()
    (tmp_path / "log.02.key").touch()
    for role in ("log", "log", "sealing"):
        add_key(tmp_path, role, A.origin, material(role, str(len(list(tmp_path.iterdir())))))
    assert [path.name for _, path in numbered_files(tmp_path / "log.key")] == ["log.key", "log.2.key", "log.3.key"]
    ring = load_ring(tmp_path, A.origin)
    assert [len(ring.publics[role]) for role in ("log", "cosigner", "transport", "sealing")] == [3, 1, 1, 2]
    assert ring.publics["log"][0] == first.publics["log"][0]
    assert ring.newest.log.verifier.vkey == ring.publics["log"][2]
    assert len(ring.sealing_keys) == 2
    assert ring.record == first.record


def test_files_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in ("", ".2", ".10", ".9"):
        (tmp_path / f"log{number}.key").touch()
    assert [number for number, _ in numbered_files(tmp_path / "log.key")] == [1, 2, 9, 10]
    assert next_file(tmp_path / "log.key").name == "log.11.key"


def test_a_further_key_is_closed_with_the_passphrase_of_the_others(tmp_path: Path) -> None:
    generate_keys(tmp_path, A.origin, material(), lock())
    with pytest.raises(WrongPassphraseError):
        add_key(tmp_path, "log", A.origin, material("new"), lock("another"))
    with pytest.raises(PassphraseNeededError):
        add_key(tmp_path, "log", A.origin, material("new"))
    assert len(numbered_files(tmp_path / "log.key")) == 1
    file = add_key(tmp_path, "log", A.origin, material("new"), lock())
    assert file.closed is not None
    assert file.public == load_ring(tmp_path, A.origin, lock=lock()).publics["log"][1]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file") as refused:
        load_ring(tmp_path / "keys", A.origin)
    assert refused.value.field == str(tmp_path / "keys")


@pytest.mark.parametrize("role", ["log", "cosigner", "transport", "sealing"])
def test_a_ring_selects_the_keys_that_the_document_names(role: str) -> None:
    old, new = A.keys, keys_of(A, "new")
    ring = KeyRing.of(old, new)
    assert KeyRing.of(ring.newest).publics == KeyRing.of(new).publics
    before = paper([A, B]).network.member(A.origin)
    assert ring.select(before).log is old.log
    changes: dict[str, dict[str, Any]] = {
        "log": {
            "log_keys": [
                {"key": old.log.verifier.vkey, "from": 0, "until": 9},
                {"key": new.log.verifier.vkey, "from": 9},
            ]
        },
        "cosigner": {"cosigner": new.cosigner.verifier.vkey},
        "transport": {"transport": new.transport.verifier.vkey},
        "sealing": {"sealing": encode_base64(new.sealing_public)},
    }
    after = paper([entry_of(A, **changes[role]), B]).network.member(A.origin)
    chosen = ring.select(after)
    for other in ("log", "cosigner", "transport", "sealing"):
        assert getattr(chosen, other) == getattr(new if other == role else old, other)
    assert chosen.record == old.record
    assert named_keys(after)[role] == ring.publics[role][1]
    for span, keys in ((before, old), (after, new if role == "log" else old)):
        assert chosen.log_signer(span.log_keys[-1][2]) is keys.log
    with pytest.raises(ConfigError, match=f"another {role} key") as refused:
        KeyRing.of(old).select(after)
    assert refused.value.hint
    assert KeyRing.of(old).select(before).log_signer(new.log.verifier) is None


def test_the_public_half_of_a_key_is_what_the_document_writes() -> None:
    assert isinstance(A.keys.log, Signer)
    assert public_text("log", A.keys.log.skey) == A.keys.log.verifier.vkey
    assert public_text("sealing", encode_base64(A.keys.sealing)) == encode_base64(A.keys.sealing_public)
    assert public_text("record", encode_base64(A.keys.record)) == "-"


def test_no_representation_shows_a_secret() -> None:
    file = KeyFile("record", Path("record.key"), SECRET, None)
    assert SECRET not in repr(file)
    assert SECRET not in repr(KeyRing.of(A.keys))


# Places.


def test_a_key_may_be_another_file(tmp_path: Path) -> None:
    generate_keys(tmp_path / "keys", A.origin, material())
    (tmp_path / "safe").mkdir()
    shutil.move(tmp_path / "keys" / "log.key", tmp_path / "safe" / "police.key")
    ring = load_ring(tmp_path / "keys", A.origin, uris={"log": "file:safe/police.key"})
    assert ring.newest.log.name == A.origin
    with pytest.raises(ConfigError, match="ends with"):
        load_signers("file:safe/police", tmp_path)


def test_a_key_may_be_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generate_keys(tmp_path / "keys", A.origin, material())
    old, new = A.keys.transport, keys_of(A, "new").transport
    assert isinstance(old, Signer)
    assert isinstance(new, Signer)
    monkeypatch.setenv("OUR_KEY", f"{old.skey}\n{new.skey}\n")
    ring = load_ring(tmp_path / "keys", A.origin, uris={"transport": "env:OUR_KEY"})
    assert ring.publics["transport"] == (old.verifier.vkey, new.verifier.vkey)
    monkeypatch.setenv("OUR_KEY", old.skey[:-4])
    with pytest.raises(ConfigError, match="holds no signer key") as refused:
        load_signers("env:OUR_KEY", tmp_path)
    assert old.skey[30:-4] not in str(refused.value)
    monkeypatch.delenv("OUR_KEY")
    with pytest.raises(ConfigError, match="no key in this variable"):
        load_signers("env:OUR_KEY", tmp_path)


@pytest.mark.parametrize("uri", ["pkcs11:token=x", "keys/log.key", "PRIVATE+KEY+d0.test/log+00000000+AAAA", ""])
def test_an_unknown_scheme_is_refused_with_those_that_are_known_and_nothing_is_shown(tmp_path: Path, uri: str) -> None:
    generate_keys(tmp_path / "keys", A.origin, material())
    with pytest.raises(ConfigError, match=r"known: file:, env:, exec:") as refused:
        load_ring(tmp_path / "keys", A.origin, uris={"log": uri})
    assert refused.value.field == "log_key"
    assert "AAAA" not in str(refused.value)


def test_a_key_of_another_department_is_refused_wherever_it_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate_keys(tmp_path / "keys", A.origin, material())
    assert isinstance(B.keys.log, Signer)
    monkeypatch.setenv("OUR_KEY", B.keys.log.skey)
    with pytest.raises(ConfigError, match=r"is not the log key of d0\.test/log"):
        load_ring(tmp_path / "keys", A.origin, uris={"log": "env:OUR_KEY"})


# Another process that signs.

SIGNER = """
import base64, sys
sys.path[:0] = {path!r}
from ledger.note import parse_skey
keys = [parse_skey(line) for line in open("secret").read().split()]
for line in sys.stdin:
    word, *rest = line.split()
    if word == "keys":
        print("keys", *(key.verifier.vkey for key in keys), flush=True)
        continue
    [key] = [key for key in keys if key.verifier.key_id.hex() == rest[0]] or [None]
    if key is None:
        print("error no such key", flush=True)
    else:
        print("signature", base64.b64encode(key.sign_bytes(base64.b64decode(rest[1]))).decode(), flush=True)
"""


@pytest.fixture
def process(tmp_path: Path) -> Iterator[str]:
    """A key URI of a process that has A's log key; its script can be replaced."""
    assert isinstance(A.keys.log, Signer)
    (tmp_path / "secret").write_text(A.keys.log.skey)
    (tmp_path / "signer.py").write_text(SIGNER.format(path=sys.path))
    yield f"exec:{sys.executable} signer.py"
    signers.close_processes()


def test_another_process_signs_in_the_place_of_a_key(tmp_path: Path, process: str) -> None:
    [signer] = load_signers(process, tmp_path)
    assert (signer.name, signer.algorithm, signer.verifier) == (A.origin, ED25519, A.keys.log.verifier)
    text = "a text\n"
    signer.verifier.verify(text, signer.sign(text))
    assert signer.sign(text) == A.keys.log.sign(text)
    signers.close_processes()  # as if it had died: it is started again
    assert signer.sign(text) == A.keys.log.sign(text)


def test_the_process_never_sees_the_passphrase(tmp_path: Path, process: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "signer.py").write_text(
        "import os\ninput()\nprint('error', 'SUYUAN_PASSPHRASE' in os.environ, 'OTHER' in os.environ, flush=True)\n"
    )
    monkeypatch.setenv("SUYUAN_PASSPHRASE", PASSPHRASE)
    monkeypatch.setenv("OTHER", "1")
    with pytest.raises(SignerError, match="False True"):
        load_signers(process, tmp_path)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("", "failed"),
        ("input(); print('error the token is locked', flush=True)", "refuses: the token is locked"),
        ("input(); print('hello', flush=True)", "something else"),
        ("input(); print('keys nonsense', flush=True)", "names no keys"),
        ("input(); print('keys ' + 'x' * 70000, flush=True)", "too long"),
        ("input(); print('\\u00e9', flush=True)", "failed"),
        ("input(); input()", "no answer within"),
    ],
    ids=["it ends", "it refuses", "another word", "no keys", "too long", "no ASCII", "silence"],
)
def test_a_process_that_does_not_do_its_part_is_an_error_with_a_hint(
    tmp_path: Path, process: str, monkeypatch: pytest.MonkeyPatch, script: str, words: str
) -> None:
    monkeypatch.setattr(signers, "ANSWER_SECONDS_MAX", 0.2 if words == "no answer within" else 10.0)
    monkeypatch.setattr(signers, "END_SECONDS_MAX", 1.0)
    (tmp_path / "signer.py").write_text(script)
    with pytest.raises(SignerError, match=words) as refused:
        load_signers(process, tmp_path)
    assert refused.value.hint


def test_a_process_that_cannot_be_started_is_named(tmp_path: Path) -> None:
    with pytest.raises(SignerError, match="No such file"):
        load_signers("exec:./not-there", tmp_path)


@pytest.mark.parametrize("answer", ["AAAA", "not base64", encode_base64(bytes(64))])
def test_a_signature_that_the_key_did_not_make_is_never_used(tmp_path: Path, process: str, answer: str) -> None:
    vkey = A.keys.log.verifier.vkey
    (tmp_path / "signer.py").write_text(
        f"input(); print('keys {vkey}', flush=True); input(); print('signature {answer}', flush=True); input()"
    )
    [signer] = load_signers(process, tmp_path)
    assert isinstance(signer, CommandSigner)
    with pytest.raises(SignerError, match="not by its key"):
        signer.sign("a text\n")


def test_every_kind_of_key_signs_through_one_method() -> None:
    assert {CommandSigner, Signer} <= set(SigningKey.__subclasses__())
    assert parse_skey(A.keys.log.skey if isinstance(A.keys.log, Signer) else "").verifier == A.keys.log.verifier
