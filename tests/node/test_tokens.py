"""Bearer tokens: who is let in, what for, and what a damaged file means."""

import base64
import fcntl
import hashlib
import itertools
import json
import os
import resource
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from ledger.encoding import format_time, parse_time
from ledger.errors import BadValueError, LedgerError, TimeError, TooManyError
from node.clock import ManualClock
from node.errors import NodeError
from node.tokens import (
    FILE_BYTES_MAX,
    SCHEMA,
    TOKENS_MAX,
    BadTokenError,
    ExpiredTokenError,
    ForbiddenError,
    Principal,
    Role,
    TokenError,
    TokenExistsError,
    TokenFile,
    TokenFileError,
    TokenGate,
    TokenNotFoundError,
    UnauthorizedError,
    UnknownTokenError,
    new_token,
    require,
)

CREATED = "2026-11-21T08:15:30.123Z"
LATER = "2027-11-21T00:00:00.000Z"
NOW_MS = parse_time(CREATED)
TOKEN = new_token(bytes(range(32)))
OTHER = new_token(b"o" * 32)


def sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def entry(number: int = 0, **members: Any) -> dict[str, Any]:
    return {
        "created": CREATED,
        "name": f"n{number}",
        "roles": ["read"],
        "sha256": sha256(new_token(number.to_bytes(32, "big"))),
        **members,
    }


def document(*tokens: dict[str, Any], **members: Any) -> str:
    return json.dumps({"schema": SCHEMA, "tokens": list(tokens), **members})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tokens.json"


@pytest.fixture
def file(path: Path) -> TokenFile:
    return TokenFile(path)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_MS)


@pytest.fixture
def gate(path: Path, clock: ManualClock) -> TokenGate:
    return TokenGate(path, clock.now_ms)


def bearer(token: str) -> str:
    return f"Bearer {token}"


def test_a_token_is_its_prefix_and_32_bytes() -> None:
    assert TOKEN == "sy_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
    assert base64.urlsafe_b64decode(TOKEN[3:] + "=") == bytes(range(32))


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_token_of_less_randomness_is_a_bug(size: int) -> None:
    with pytest.raises(AssertionError):
        new_token(bytes(size))


@given(random=st.binary(min_size=32, max_size=32))
def test_every_token_is_accepted_as_a_token(random: bytes) -> None:
    gate = TokenGate(Path("/nonexistent/tokens.json"), lambda: 0)
    with pytest.raises(TokenFileError):  # past the check of its form
        gate.identify(bearer(new_token(random)))


def test_the_file_is_as_the_module_shows_it(file: TokenFile, path: Path) -> None:
    file.add("exchange-platform", ["submit", "read"], TOKEN, CREATED, LATER)
    assert path.read_text("utf-8") == (
        "{\n"
        '  "schema": "suyuan.tokens/1",\n'
        '  "tokens": [\n'
        "    {\n"
        '      "created": "2026-11-21T08:15:30.123Z",\n'
        '      "expires": "2027-11-21T00:00:00.000Z",\n'
        '      "name": "exchange-platform",\n'
        '      "roles": [\n'
        '        "read",\n'
        '        "submit"\n'
        "      ],\n"
        f'      "sha256": "{sha256(TOKEN)}"\n'
        "    }\n"
        "  ]\n"
        "}\n"
    )


def test_the_file_holds_no_token_and_is_for_the_owner_alone(file: TokenFile, path: Path) -> None:
    before = os.umask(0)
    try:
        file.add("a", ["read"], TOKEN, CREATED)
        file.add("b", ["read"], OTHER, CREATED)
    finally:
        os.umask(before)
    text = path.read_text("utf-8")
    assert TOKEN not in text
    assert TOKEN[3:] not in text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [child.name for child in path.parent.iterdir()] == ["tokens.json"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_adds_is_readable_to_the_owner_of_the_folder(file: TokenFile, path: Path) -> None:
    os.chown(path.parent, 12345, 23456)
    file.add("a", ["read"], TOKEN, CREATED)
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 23456)


def test_what_was_added_is_loaded_and_listed_by_name(file: TokenFile) -> None:
    b = file.add("b", ["admin"], TOKEN, CREATED)
    a = file.add("a", ["read"], OTHER, CREATED, LATER)
    assert file.load() == (b, a)
    assert file.list() == (a, b)
    assert (a.name, a.roles, a.sha256, a.created, a.expires) == ("a", ["read"], sha256(OTHER), CREATED, LATER)
    assert b.expires is None


def test_a_file_that_is_not_there_lists_nothing_and_loads_nothing(file: TokenFile) -> None:
    assert file.list() == ()
    with pytest.raises(TokenFileError, match="no such file"):
        file.load()


def test_names_and_tokens_are_there_once(file: TokenFile) -> None:
    file.add("a", ["read"], TOKEN, CREATED)
    for name, token in (("a", OTHER), ("b", TOKEN)):
        with pytest.raises(TokenExistsError):
            file.add(name, ["read"], token, CREATED)
    assert len(file.load()) == 1


def test_a_revoked_token_is_gone_and_its_name_free(file: TokenFile) -> None:
    file.add("a", ["read"], TOKEN, CREATED)
    file.add("b", ["read"], OTHER, CREATED)
    assert file.revoke("a").name == "a"
    assert [token.name for token in file.load()] == ["b"]
    file.add("a", ["read"], TOKEN, CREATED)


def test_what_is_not_there_cannot_be_revoked(file: TokenFile) -> None:
    with pytest.raises(TokenNotFoundError):
        file.revoke("a")
    file.add("a", ["read"], TOKEN, CREATED)
    with pytest.raises(TokenNotFoundError):
        file.revoke("A")


@pytest.mark.parametrize(
    "name", ["", "A", "a b", "-a", ".a", "a\n", "溯源", "a" * 65, "a/b", "a+b", "ı", "\x00"], ids=repr
)
def test_a_name_of_another_form_is_refused(file: TokenFile, path: Path, name: str) -> None:
    with pytest.raises(BadValueError, match="name"):
        file.add(name, ["read"], TOKEN, CREATED)
    assert not path.exists()


@pytest.mark.parametrize("name", ["a", "0", "exchange-platform", "a.b_c-d", "a" * 64])
def test_a_name_of_the_right_form_is_taken(file: TokenFile, name: str) -> None:
    assert file.add(name, ["read"], TOKEN, CREATED).name == name


@pytest.mark.parametrize("roles", [[], ["root"], ["read", "read"], ["Read"], "read", ["read", ""]], ids=repr)
def test_roles_are_some_of_three(file: TokenFile, roles: Any) -> None:
    with pytest.raises(LedgerError, match="roles"):
        file.add("a", roles, TOKEN, CREATED)


@pytest.mark.parametrize("time", ["", "2026-11-21", "2026-11-21T08:15:30Z", "2026-02-30T00:00:00.000Z", "x"])
def test_times_are_of_the_protocols_form(file: TokenFile, time: str) -> None:
    with pytest.raises(TimeError, match="created"):
        file.add("a", ["read"], TOKEN, time)
    with pytest.raises(TimeError, match="expires"):
        file.add("a", ["read"], TOKEN, CREATED, time)


@pytest.mark.parametrize("expires", [CREATED, "2025-01-01T00:00:00.000Z"])
def test_a_token_cannot_expire_before_it_is_made(file: TokenFile, expires: str) -> None:
    with pytest.raises(BadValueError, match="expires"):
        file.add("a", ["read"], TOKEN, CREATED, expires)


BAD_TOKENS = [
    "",
    "sy_",
    TOKEN[:-1],
    TOKEN + "A",
    TOKEN[3:],
    TOKEN.replace("sy_", "SY_"),
    TOKEN.replace("sy_", "sy-"),
    TOKEN[:-1] + "9",  # the same bytes with a stray bit
    TOKEN[:-1] + "+",
    TOKEN[:-1] + "=",
    TOKEN[:-1] + "溯",
    TOKEN + "\n",
    TOKEN[:20] + " " + TOKEN[21:],
    "sy_" + "A" * 1_000_000,
]


@pytest.mark.parametrize("token", BAD_TOKENS, ids=lambda token: repr(token[:50]))
def test_a_token_of_another_form_is_refused(file: TokenFile, gate: TokenGate, token: str) -> None:
    with pytest.raises(BadTokenError):
        file.add("a", ["read"], token, CREATED)
    file.add("a", ["read"], TOKEN, CREATED)
    with pytest.raises(BadTokenError):
        gate.identify(bearer(token))


def test_at_most_a_thousand_tokens_are_kept(file: TokenFile, path: Path, gate: TokenGate) -> None:
    path.write_text(document(*(entry(number) for number in range(TOKENS_MAX - 1))), "utf-8")
    file.add("last", ["read"], TOKEN, CREATED)
    with pytest.raises(TooManyError):
        file.add("beyond", ["read"], OTHER, CREATED)
    assert len(file.load()) == TOKENS_MAX
    assert path.stat().st_size < FILE_BYTES_MAX / 2
    assert gate.identify(bearer(TOKEN)).name == "last"


def test_a_failed_write_leaves_the_old_file(file: TokenFile, path: Path) -> None:
    file.add("a", ["read"], TOKEN, CREATED)
    path.with_name("tokens.json.new").mkdir()  # in the way
    with pytest.raises(TokenFileError, match="disk refused"):
        file.add("b", ["read"], OTHER, CREATED)
    assert [token.name for token in file.load()] == ["a"]


def test_what_a_crash_left_behind_is_no_hindrance(file: TokenFile, path: Path) -> None:
    path.with_name("tokens.json.new").write_bytes(b"half a fi")
    file.add("a", ["read"], TOKEN, CREATED)
    assert [child.name for child in path.parent.iterdir()] == ["tokens.json"]


def test_a_folder_that_is_missing_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(TokenFileError, match="no such file"):
        TokenFile(tmp_path / "nowhere" / "tokens.json").add("a", ["read"], TOKEN, CREATED)


def test_a_change_waits_for_another_process_and_builds_on_what_it_wrote(file: TokenFile, path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    adding = threading.Thread(target=file.add, args=("mine", ["read"], TOKEN, CREATED))
    adding.start()
    adding.join(0.1)
    assert adding.is_alive()
    path.write_text(document(entry(name="theirs")), "utf-8")
    os.close(folder)
    adding.join()
    assert [token.name for token in file.list()] == ["mine", "theirs"]


def test_a_token_names_its_principal(file: TokenFile, gate: TokenGate) -> None:
    file.add("a", ["submit"], TOKEN, CREATED)
    assert gate.identify(bearer(TOKEN)) == Principal("a", frozenset({"submit", "read"}))


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER ", "Bearer   "])
def test_the_scheme_is_read_in_any_case(file: TokenFile, gate: TokenGate, scheme: str) -> None:
    file.add("a", ["read"], TOKEN, CREATED)
    assert gate.identify(scheme + TOKEN).name == "a"


def test_without_a_header_there_is_nobody(file: TokenFile, gate: TokenGate) -> None:
    file.add("a", ["read"], TOKEN, CREATED)
    with pytest.raises(UnauthorizedError):
        gate.identify(None)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        TOKEN,
        f"Basic {TOKEN}",
        f"Bearer{TOKEN}",
        f"Bearer\t{TOKEN}",
        f" Bearer {TOKEN}",
        f"Bearer {TOKEN}, Bearer {TOKEN}",
        f"Bearer {TOKEN} x",
        f"Bearer {TOKEN}\n",
        f"Bearer {TOKEN}\x00",
        f"B\u0131arer {TOKEN}",
        "Bearer " + " " * 1_000_000,
    ],
    ids=lambda header: repr(header[:60]),
)
def test_a_header_of_another_form_is_refused(file: TokenFile, gate: TokenGate, header: str) -> None:
    file.add("a", ["read"], TOKEN, CREATED)
    with pytest.raises(BadTokenError):
        gate.identify(header)


@settings(max_examples=200, deadline=None)
@given(header=st.text(max_size=80))
def test_no_text_is_a_token_by_chance(header: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    gate = TokenGate(tmp_path_factory.getbasetemp() / "none.json", lambda: 0)
    with pytest.raises(BadTokenError):
        gate.identify(header)


def test_a_token_that_nobody_added_is_unknown(file: TokenFile, gate: TokenGate) -> None:
    file.add("a", ["read"], TOKEN, CREATED)
    with pytest.raises(UnknownTokenError):
        gate.identify(bearer(OTHER))


def test_the_hash_in_the_file_is_no_token(file: TokenFile, gate: TokenGate) -> None:
    file.add("a", ["read"], TOKEN, CREATED)
    with pytest.raises(UnknownTokenError):
        gate.identify(bearer(new_token(bytes.fromhex(sha256(TOKEN)))))


def test_no_error_shows_a_token(file: TokenFile, gate: TokenGate) -> None:
    file.add("a", ["read"], OTHER, CREATED)
    for header in (bearer(TOKEN), bearer(TOKEN + "x"), TOKEN):
        with pytest.raises(TokenError) as caught:
            gate.identify(header)
        assert TOKEN[3:] not in str(caught.value) + repr(caught.value) + caught.value.hint


def test_a_token_expires_at_its_moment(file: TokenFile, gate: TokenGate, clock: ManualClock) -> None:
    file.add("a", ["read"], TOKEN, CREATED, format_time(NOW_MS + 1000))
    for _ in range(1000):
        assert gate.identify(bearer(TOKEN)).name == "a"
        clock.advance(1)
    for _ in range(2):
        with pytest.raises(ExpiredTokenError, match="token a has expired"):
            gate.identify(bearer(TOKEN))
        clock.advance(1)


ALLOWED: dict[Role, set[Role]] = {"read": {"read"}, "submit": {"read", "submit"}, "admin": {"read", "submit", "admin"}}


@pytest.mark.parametrize("roles", [subset for n in (1, 2, 3) for subset in itertools.combinations(ALLOWED, n)])
def test_roles_allow_what_they_say_and_no_more(file: TokenFile, gate: TokenGate, roles: tuple[Role, ...]) -> None:
    file.add("a", roles, TOKEN, CREATED)
    principal = gate.identify(bearer(TOKEN))
    for role in ALLOWED:
        if any(role in ALLOWED[has] for has in roles):
            require(principal, role)
        else:
            with pytest.raises(ForbiddenError, match=role):
                require(principal, role)


def test_a_running_gate_sees_every_change_at_once(file: TokenFile, gate: TokenGate) -> None:
    for _ in range(20):
        file.add("a", ["read"], TOKEN, CREATED)
        assert gate.identify(bearer(TOKEN)).roles == {"read"}
        file.revoke("a")
        with pytest.raises(UnknownTokenError):
            gate.identify(bearer(TOKEN))
        file.add("a", ["admin"], TOKEN, CREATED)
        assert "admin" in gate.identify(bearer(TOKEN)).roles
        file.revoke("a")


def test_a_file_that_does_not_change_is_read_once(file: TokenFile, gate: TokenGate) -> None:
    file.add("a", ["read"], TOKEN, CREATED)
    with capture_logs() as logs:
        for _ in range(50):
            gate.identify(bearer(TOKEN))
    assert [line["event"] for line in logs] == ["tokens_read"]


def _become_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _become_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


DAMAGES: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-3]),
    "not UTF-8": lambda path: path.write_bytes(b"\xff" + path.read_bytes()),
    "not JSON": lambda path: path.write_text("tokens: []", "utf-8"),
    "a list": lambda path: path.write_text("[]", "utf-8"),
    "null": lambda path: path.write_text("null", "utf-8"),
    "a number": lambda path: path.write_text("1", "utf-8"),
    "deep": lambda path: path.write_text("[" * 100_000, "utf-8"),
    "a long number": lambda path: path.write_text("9" * 100_000, "utf-8"),
    "too large": lambda path: path.write_text(document() + " " * FILE_BYTES_MAX, "utf-8"),
    "another schema": lambda path: path.write_text(document(schema="suyuan.tokens/2"), "utf-8"),
    "no schema": lambda path: path.write_text('{"tokens":[]}', "utf-8"),
    "no tokens": lambda path: path.write_text(json.dumps({"schema": SCHEMA}), "utf-8"),
    "one more member": lambda path: path.write_text(document(x=1), "utf-8"),
    "a member twice": lambda path: path.write_text(document()[:-1] + ', "tokens": []}', "utf-8"),
    "the model's own word": lambda path: path.write_text('{"version":"suyuan.tokens/1","tokens":[]}', "utf-8"),
    "too many": lambda path: path.write_text(document(*map(entry, range(TOKENS_MAX + 1))), "utf-8"),
    "the same name twice": lambda path: path.write_text(document(entry(1), entry(2, name="n1")), "utf-8"),
    "the same hash twice": lambda path: path.write_text(document(entry(1), entry(1, name="n2")), "utf-8"),
    "an unknown member of a token": lambda path: path.write_text(document(entry(secret="x")), "utf-8"),
    "an unknown role": lambda path: path.write_text(document(entry(roles=["root"])), "utf-8"),
    "no role": lambda path: path.write_text(document(entry(roles=[])), "utf-8"),
    "a hash in capitals": lambda path: path.write_text(document(entry(sha256=sha256(TOKEN).upper())), "utf-8"),
    "a hash that is cut": lambda path: path.write_text(document(entry(sha256=sha256(TOKEN)[1:])), "utf-8"),
    "a time of another form": lambda path: path.write_text(document(entry(expires="tomorrow")), "utf-8"),
    "writable by all": lambda path: path.chmod(0o602),
    "writable by the group": lambda path: path.chmod(0o620),
    "a folder": _become_folder,
    "a link to nowhere": _become_link,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_file_that_cannot_be_used_refuses_everybody(
    file: TokenFile, path: Path, gate: TokenGate, damage: Callable[[Path], object]
) -> None:
    file.add("a", ["admin"], TOKEN, CREATED)
    assert gate.identify(bearer(TOKEN)).name == "a"
    damage(path)
    with capture_logs() as logs:
        for token in (TOKEN, OTHER, TOKEN):
            with pytest.raises(TokenFileError) as caught:
                gate.identify(bearer(token))
            assert str(path) in str(caught.value)
            assert sha256(TOKEN) not in str(caught.value)
    assert [(line["log_level"], line["event"], line["path"]) for line in logs] == [("error", "token_file", str(path))]
    with pytest.raises(TokenFileError):
        TokenGate(path, lambda: 0).identify(bearer(TOKEN))


@pytest.mark.parametrize("damage", ["cut", "too many", "the same name twice", "writable by all"])
def test_a_damaged_file_is_never_written_over(file: TokenFile, path: Path, damage: str) -> None:
    file.add("a", ["admin"], TOKEN, CREATED)
    DAMAGES[damage](path)
    before = path.read_bytes()
    with pytest.raises(TokenFileError):
        file.add("b", ["read"], OTHER, CREATED)
    with pytest.raises(TokenFileError):
        file.revoke("a")
    assert path.read_bytes() == before


def test_a_file_that_is_mended_lets_in_again(file: TokenFile, path: Path, gate: TokenGate) -> None:
    file.add("a", ["read"], TOKEN, CREATED)
    good = path.read_bytes()
    for damage in ("missing", "cut", "writable by all"):
        DAMAGES[damage](path)
        with pytest.raises(TokenFileError):
            gate.identify(bearer(TOKEN))
        path.write_bytes(good)
        path.chmod(0o600)
        assert gate.identify(bearer(TOKEN)).name == "a"


def test_a_disk_that_fails_for_a_moment_is_asked_again(file: TokenFile, path: Path, gate: TokenGate) -> None:
    file.add("a", ["read"], TOKEN, CREATED)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with capture_logs() as logs:
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            for _ in range(3):
                with pytest.raises(TokenFileError, match="Too many open files"):
                    gate.identify(bearer(TOKEN))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert [line["event"] for line in logs] == ["token_file"], "said once"
    assert gate.identify(bearer(TOKEN)).name == "a"


def test_a_file_in_another_spelling_is_read(path: Path, gate: TokenGate) -> None:
    path.write_text(document(entry(sha256=sha256(TOKEN))), "utf-8")
    assert gate.identify(bearer(TOKEN)).name == "n0"


def test_an_empty_list_of_tokens_knows_nobody(path: Path, gate: TokenGate) -> None:
    path.write_text(document(), "utf-8")
    with pytest.raises(UnknownTokenError):
        gate.identify(bearer(TOKEN))


def test_threads_see_either_the_old_or_the_new_file(file: TokenFile, gate: TokenGate) -> None:
    file.add("always", ["read"], TOKEN, CREATED)
    done = threading.Event()
    problems: list[BaseException] = []

    def ask() -> None:
        try:
            while not done.is_set():
                assert gate.identify(bearer(TOKEN)).name == "always"
        except BaseException as error:  # noqa: BLE001 - a thread's failure is told by the test
            problems.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(30):
        file.add("now-and-then", ["read"], OTHER, CREATED)
        assert gate.identify(bearer(OTHER)).name == "now-and-then"
        file.revoke("now-and-then")
    done.set()
    for thread in threads:
        thread.join()
    assert problems == []


def test_each_error_has_a_code_of_its_own_and_a_hint() -> None:
    kinds = TokenError.__subclasses__()
    assert len({kind.code for kind in kinds} | {TokenError.code, NodeError.code}) == len(kinds) + 2
    assert all(kind.hint for kind in kinds)


def test_the_file_is_looked_at_now_and_then_and_for_every_unknown_token(tmp_path: Path) -> None:
    path, clock = tmp_path / "tokens.json", ManualClock(NOW_MS)
    gate = TokenGate(path, clock.now_ms, look_ms=250)
    TokenFile(path).add("first", ("read",), TOKEN, CREATED)
    assert gate.identify(bearer(TOKEN)).name == "first"
    added = new_token(bytes(32))
    TokenFile(path).add("second", ("read",), added, CREATED)
    assert gate.identify(bearer(added)).name == "second"
    TokenFile(path).revoke("first")
    assert gate.identify(bearer(TOKEN)).name == "first"
    clock.advance(249)
    assert gate.identify(bearer(TOKEN)).name == "first"
    clock.advance(1)
    with pytest.raises(UnknownTokenError):
        gate.identify(bearer(TOKEN))
    TokenFile(path).revoke("second")
    clock.advance(-1000)  # a clock that goes back is no reason to look less
    with pytest.raises(UnknownTokenError):
        gate.identify(bearer(added))
