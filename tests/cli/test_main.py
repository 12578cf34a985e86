"""The way in: the first page, help without waiting, and what becomes of errors."""

import importlib
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from processes import unmeasured

from cli import boundary, exits
from cli.command import Group
from cli.main import FIRST, SECTIONS, app
from ledger import errors as ledger_errors
from node import adoption as node_adoption
from node import client as node_client
from node import errors as node_errors

pytest_plugins = ("departments",)

NEEDLESS = (
    "anyio", "asyncio", "concurrent", "cryptography", "dotenv", "fastapi", "httpcore", "httpx", "ledger.equivocation",
    "ledger.policy", "logging", "msgspec", "multiprocessing", "node.app", "node.service", "plyvel",
    "prometheus_client", "pydantic_settings", "pygments", "rich", "starlette", "structlog", "urllib.request", "uvicorn",
    "uvloop",
)  # fmt: skip
SLOW = ("fastapi", "httpx", "ledger.event", "nacl", "node", "pydantic", "rich", "starlette", "uvicorn")


def test_the_command_alone_shows_the_five_commands_one_needs_and_where_the_rest_is(suyuan: Any) -> None:
    ran = suyuan()
    assert ran.code == 0
    assert ran.err == ""
    shown = [line.split()[1] for line in ran.out.splitlines() if line.startswith("  suyuan ")]
    assert shown == ["demo", "init", "run", "trace", "verify"]
    assert "suyuan --help" in ran.out


def test_help_lists_every_command_with_one_line(suyuan: Any) -> None:
    out = suyuan("--help").out
    for _, entries in SECTIONS:
        for entry in entries:
            assert f"  {entry.name} " in out
            assert entry.line in " ".join(out.split())


def imported_by(*arguments: str) -> set[str]:
    """The modules that a command line has imported when it is done."""
    program = f"import sys; from cli.main import main; main({list(arguments)!r}); print(*sys.modules, file=sys.stderr)"
    env = unmeasured()
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=env)
    return set(ran.stderr.split())


@pytest.mark.parametrize(
    "arguments", [(), ("--help",), ("network", "--help"), ("share", "--help"), ("verify", "--help")]
)
def test_help_imports_nothing_slow(arguments: tuple[str, ...]) -> None:
    assert not _of(imported_by(*arguments), SLOW)


def test_the_version_imports_nothing_slow() -> None:
    assert _of(imported_by("--version"), SLOW) <= {"node", "node.release"}


def test_a_trace_imports_what_it_takes_to_ask_and_to_verify_and_no_more(story: Any) -> None:
    modules = imported_by("trace", story.record, "--json", *story.network.ask("police"))
    assert {"http.client", "ledger.evidence"} <= modules
    assert not _of(modules, NEEDLESS)


def _of(modules: set[str], names: tuple[str, ...]) -> set[str]:
    return {one for one in modules if one in names or one.startswith(tuple(f"{name}." for name in names))}


def test_the_offline_verifier_loads_no_node_and_no_client(suyuan: Any, story: Any, tmp_path: Path) -> None:
    evidence = tmp_path / "evidence.json"
    suyuan("trace", story.record, "--save", evidence, *story.network.ask("police"))
    modules = imported_by("verify", str(evidence), "--fingerprint", story.network.fingerprint)
    assert "ledger.evidence" in modules
    assert not {name for name in modules if name.split(".")[0] in {"node", "httpx", "fastapi", "uvicorn"}}


def test_every_command_is_where_the_table_of_contents_says() -> None:
    def walk(group: Group) -> None:
        for entry in group.entries.values():
            command = importlib.import_module(entry.module).command
            assert isinstance(command, click.Command)
            assert command.name == entry.name
            assert command.help
            if isinstance(command, Group):
                walk(command)

    walk(app)
    assert len(FIRST) == 5


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_completion_script(suyuan: Any, shell: str) -> None:
    ran = suyuan("completion", shell)
    assert ran.code == 0
    assert f"{shell}_complete" in ran.out


def test_names_of_commands_are_completed_without_importing_them(start: Any) -> None:
    env = {"_SUYUAN_COMPLETE": "bash_complete", "COMP_WORDS": "suyuan tr", "COMP_CWORD": "1"}
    program = "from cli.main import main; import sys; sys.exit(main())"
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False,
        env={**os.environ, **env, "PYTHONPATH": str(Path(boundary.__file__).parent.parent)},
    )  # fmt: skip
    assert ran.stdout.split() == ["plain,trace"]


@pytest.mark.parametrize(
    ("arguments", "words", "hint"),
    [
        (("tracee",), "there is no command tracee", "did you mean trace"),
        (("trace", "--strikt"), "there is no option --strikt", "--strict"),
        (("network", "sgin"), "there is no command sgin", "did you mean sign"),
        (("trace", "xyz"), "no record reference", "suyuan trace --help says how"),
        (("proof", "police#1x"), "no entry", "suyuan proof --help says how"),
        (("token", "new", "x", "--role", "king", "--config", "/"), "--role", "suyuan token new --help says how"),
        (("run",), "--config is missing", "suyuan run --help says how"),
        (("receive",), "LOG#INDEX|EVENT_ID is missing", "suyuan receive --help says how"),
        (("trace", "--url"), "--url takes a value", ""),
        (("proof", "a/log#1", "b"), "there are arguments too many: b", "suyuan proof --help says how"),
        (("share", "--rows", "-1"), "--rows: -1 is not in the range", ""),
        (("share", "--rows", "x"), "--rows: x is no number", ""),
        (("share", "--id", "x"), "--id: x is no UUID", ""),
        (("share", "--method", "x"), "--method: x is not one of 'api'", ""),
        (("verify", "/no/where", "--fingerprint", "0" * 64), "/no/where does not exist", ""),
        (("verify", "/", "--fingerprint", "0" * 64), "/ is a folder, not a file", ""),
        (("trace", "0" * 32), "which node?", ""),
        (("trace",), "give the record's reference", ""),
    ],
)
def test_wrong_use_is_told_with_a_hint_and_exits_with_2(
    suyuan: Any, arguments: tuple[str, ...], words: str, hint: str
) -> None:
    env = {"SUYUAN_FINGERPRINT": "0" * 64}
    ran = suyuan(*arguments, env=env)
    assert ran.code == 2
    assert ran.out == ""
    assert ran.err.startswith("error: ")
    assert words in ran.err
    assert hint in ran.err


@pytest.mark.parametrize("name", ["network", "token", "config", "import"])
def test_a_group_alone_shows_its_commands_on_standard_error(suyuan: Any, name: str) -> None:
    ran = suyuan(name)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"Usage: suyuan {name}")


def raising(error: BaseException) -> int:
    def run() -> None:
        raise error

    return boundary.guarded(run, debug=False)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ledger_errors.InvalidSignatureError("x"), 1),
        (ledger_errors.QuorumError("x"), 1),
        (ledger_errors.UnknownMemberError("x"), 2),
        (ledger_errors.StoreLockedError("x"), 2),
        (ledger_errors.StoreCorruptError("x"), 6),
        (node_errors.ConfigError("x"), 2),
        (node_errors.NotFoundError("x"), 3),
        (node_errors.IntegrityAlarm("x"), 6),
        (node_adoption.NetworkForkError("x"), 6),
        (node_client.UnreachableError("x"), 5),
        (node_client.NodeProblem(401, {"code": "unauthorized"}), 4),
        (node_client.NodeProblem(403, {"code": "forbidden"}), 4),
        (node_client.NodeProblem(404, {"code": "not_found"}), 3),
        (node_client.NodeProblem(409, {"code": "not_confirmed"}), 3),
        (node_client.NodeProblem(409, {"code": "event_id_conflict"}), 2),
        (node_client.NodeProblem(409, {"code": "digest_mismatch"}), 1),
        (node_client.NodeProblem(409, {"code": "integrity_alarm"}), 6),
        (node_client.NodeProblem(409, {"code": "network_fork"}), 6),
        (node_client.NodeProblem(422, {"code": "unknown_member"}), 2),
        (node_client.NodeProblem(429, {}), 5),
        (node_client.NodeProblem(500, {"code": "bug"}), 70),
        (node_client.NodeProblem(500, {"code": "store_corrupt"}), 6),
        (node_client.NodeProblem(503, {"code": "busy"}), 5),
        (click.UsageError("x"), 2),
        (click.Abort(), 130),
        (KeyboardInterrupt(), 130),
        (RuntimeError("x"), 70),
        (AssertionError(), 70),
    ],
    ids=lambda value: (
        f"{type(value).__name__}-{getattr(value, 'code', '')}" if isinstance(value, BaseException) else None
    ),
)
def test_every_kind_of_error_has_its_exit_code(
    error: BaseException, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert raising(error) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err


def test_every_name_in_the_table_of_exit_codes_is_a_class() -> None:
    from node import peers, tokens  # noqa: PLC0415 - only their names are asked for

    modules = (ledger_errors, node_errors, node_client, node_adoption, peers, tokens)
    known = {name for module in modules for name in vars(module)}
    assert not exits.BY_CLASS.keys() - known


def test_an_unexpected_error_asks_to_be_reported_and_hides_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert raising(ZeroDivisionError("division by zero")) == 70
    err = capsys.readouterr().err
    assert "ZeroDivisionError: division by zero" in err
    assert "report" in err
    assert "Traceback" not in err


def test_debug_shows_the_traceback(suyuan: Any, tmp_path: Path) -> None:
    arguments = ("config", "show", "--config", str(tmp_path))
    assert "Traceback" not in suyuan(*arguments).err
    assert "Traceback" in suyuan(*arguments, "--debug").err
    assert "Traceback" in suyuan(*arguments, env={"SUYUAN_DEBUG": "1"}).err
    assert "Traceback" not in suyuan(*arguments, env={"SUYUAN_DEBUG": "0"}).err


def test_a_reader_who_goes_away_is_no_error(start: Any, network: Any) -> None:
    process = start("network", "show", network.document, "--json")
    process.stdout.close()
    err = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait(30) in {0, 141}
    assert "Traceback" not in err
    assert "error" not in err


def written_to(start: Any, stdout: Any, *arguments: object, **options: Any) -> tuple[int, str]:
    """What becomes of a command line whose standard output is ``stdout``: its exit code, and what it says."""
    process = start(*arguments, stdout=stdout, **options)
    _, err = process.communicate(timeout=30)
    return process.returncode, err.decode() if err is not None else ""


@pytest.fixture(params=["drawn", "json", "page of help"])
def wordy(request: pytest.FixtureRequest, network: Any) -> tuple[Any, ...]:
    """A command line that prints, and does so in each of the ways that there are."""
    show = ("network", "show", network.document)
    return {"drawn": show, "json": (*show, "--json"), "page of help": ("network", "show", "--help")}[request.param]


def test_a_reader_who_has_gone_is_never_told_as_a_finding(start: Any, wordy: tuple[Any, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        assert written_to(start, writing, *wordy) == (exits.PIPE_CLOSED, "")
    finally:
        os.close(writing)


def test_drawings_for_a_terminal_end_as_quietly_when_the_reader_has_gone(start: Any) -> None:
    program = (
        "import sys; from cli import boundary, output; "
        "sys.exit(boundary.guarded(lambda: output.console().print('x'), debug=False))"
    )
    reading, writing = os.pipe()
    os.close(reading)
    env = unmeasured()
    try:
        ran = subprocess.run(
            [sys.executable, "-c", program], stdout=writing, stderr=subprocess.PIPE, check=False, env=env
        )
    finally:
        os.close(writing)
    assert (ran.returncode, ran.stderr) == (exits.PIPE_CLOSED, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
def test_a_full_disk_under_the_output_is_told_and_is_no_fault_of_this_software(
    start: Any, wordy: tuple[Any, ...]
) -> None:
    with Path("/dev/full").open("wb") as full:
        code, err = written_to(start, full, *wordy)
    assert code == 2
    assert err.splitlines()[0] == "error: standard output cannot be written: No space left on device"
    assert "fault" not in err
    assert "Exception" not in err


def test_a_closed_output_is_told_and_is_no_fault_of_this_software(start: Any, wordy: tuple[Any, ...]) -> None:
    code, err = written_to(start, None, *wordy, preexec_fn=lambda: os.close(1))
    assert code == 2
    assert err.splitlines()[0] == "error: standard output is closed"
    assert "fault" not in err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
def test_an_error_that_nobody_can_read_keeps_its_exit_code(start: Any, tmp_path: Path) -> None:
    arguments = ("config", "show", "--config", tmp_path)
    with Path("/dev/full").open("wb") as full:
        assert written_to(start, subprocess.PIPE, *arguments, stderr=full)[0] == 2
    assert written_to(start, subprocess.PIPE, *arguments, stderr=None, preexec_fn=lambda: os.close(2))[0] == 2


def test_an_interrupt_exits_with_130(start: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        process = start("logs", "--url", f"http://127.0.0.1:{silent.getsockname()[1]}")
        silent.settimeout(30)
        connection, _ = silent.accept()
        with connection:
            connection.recv(1)  # it asks, and waits for an answer that nobody gives
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"Traceback" not in err


def test_nothing_is_coloured_where_nobody_looks(suyuan: Any, network: Any) -> None:
    ran = suyuan("network", "verify", network.document, "--fingerprint", network.fingerprint)
    assert "\x1b[" not in ran.out + ran.err


def test_the_version_is_told(suyuan: Any) -> None:
    ran = suyuan("--version")
    assert ran.code == 0
    assert re.fullmatch(r"suyuan \d+\.\d+\.\d+(\+source)?\n", ran.out)
