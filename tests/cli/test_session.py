"""Which node is asked, over what, and what its answers are verified against."""

import io
import sys
from pathlib import Path
from typing import Any

import builders
import click
import pytest

from cli import exits, output, submission
from cli.session import Session, Target, url_of
from ledger.event import EntryRef
from node.client import Recorded
from node.config import Settings

pytest_plugins = ("departments",)

ORIGIN = "police.ordos.example/log"
REF = EntryRef(hash="3rcv/9xB/+RvUfI/Q8G7LU0u7J2Z4M2f4gbFMiNDu3E=", index=1, log=ORIGIN)


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({}, "http://127.0.0.1:8300"),
        ({"host": "localhost", "port": 1}, "http://localhost:1"),
        ({"host": "::1"}, "http://[::1]:8300"),
        ({"host": "0.0.0.0"}, "https://127.0.0.1:8300"),
        ({"host": "::"}, "https://[::1]:8300"),
        ({"host": "10.0.0.7"}, "https://10.0.0.7:8300"),
    ],
    ids=lambda value: value if isinstance(value, str) else "settings",
)
def test_the_address_follows_from_the_settings(settings: dict[str, Any], url: str) -> None:
    tls: dict[str, Any] = {"tls_certificate": Path("c"), "tls_key": Path("k")} if url.startswith("https") else {}
    assert url_of(Settings(origin=ORIGIN, **settings, **tls)) == url


def test_an_address_that_is_given_wins_over_the_settings(network: Any) -> None:
    home = network.home("police")
    assert Session(Target(config=home)).url == network.urls["police"]
    assert Session(Target(config=home, url="http://127.0.0.1:9")).url == "http://127.0.0.1:9"


def test_network_and_fingerprint_follow_from_the_folder(network: Any) -> None:
    session = Session(Target(config=network.home("police")))
    assert session.fingerprint == network.fingerprint
    assert session.trust.network.name == "ordos"


def test_a_network_document_that_is_given_must_lead_back_to_the_fingerprint(network: Any, suyuan: Any) -> None:
    ran = suyuan("logs", "--url", "http://127.0.0.1:9", "--network", network.document, "--fingerprint", "0" * 64)
    assert ran.code == 5  # nothing was to be verified yet
    ran = suyuan(
        "trace", "0" * 32, "--url", "http://127.0.0.1:9", "--network", network.document, "--fingerprint", "0" * 64
    )
    assert ran.code == 1


def test_an_authority_that_is_none_is_named(tmp_path: Path, suyuan: Any) -> None:
    path = tmp_path / "ca.pem"
    path.write_text("no certificate")
    ran = suyuan("logs", "--url", "https://127.0.0.1:9", "--ca", path)
    assert ran.code == 2
    assert "holds no certificates" in ran.err


def test_without_any_address_the_question_is_which_node() -> None:
    with pytest.raises(click.UsageError, match="which node"):
        _ = Session(Target()).url


def test_the_environment_says_what_the_options_do_not(suyuan: Any, nodes: Any) -> None:
    env = {
        "SUYUAN_URL": nodes.urls["police"], "SUYUAN_TOKEN": nodes.tokens["police"],
        "SUYUAN_FINGERPRINT": nodes.fingerprint, "SUYUAN_NETWORK": str(nodes.document),
    }  # fmt: skip
    assert suyuan("logs", env=env).code == 0
    assert suyuan("trace", "0" * 32, env=env).code == 3


@pytest.mark.parametrize(
    ("state", "wait", "code"),
    [
        ("recorded", "recorded", exits.OK),
        ("confirmed", "confirmed", exits.OK),
        ("recorded", "confirmed", exits.UNREACHABLE),
    ],
)
def test_a_quorum_that_did_not_answer_in_time_is_told_apart(state: str, wait: str, code: int) -> None:
    assert submission.told_state([Recorded("id", REF, "t", state)], wait=wait) == code


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_shown_on_a_terminal_and_leaves_nothing_on_standard_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with output.progress("verifying") as advance:
        advance(1, 2)
        advance(2, 2, "another step")
    assert "verifying" in terminal.getvalue()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_errors_are_coloured_on_a_terminal_unless_no_color_asks(
    monkeypatch: pytest.MonkeyPatch, no_color: str, coloured: bool
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("NO_COLOR", no_color)
    output.error("x")
    assert ("\x1b[" in terminal.getvalue()) == coloured


@pytest.mark.parametrize(
    ("status", "words"),
    [("suspended", "takes no part: its membership is suspended"), ("ended", "takes no part: its membership has ended")],
)
def test_members_that_take_no_part_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], status: str, words: str
) -> None:
    net = builders.make_network(4)
    entries = [one.entry() for one in net.departments[:3]] + [net.departments[3].entry(status=status)]
    later = builders.next_version(net, builders.document_body(entries, governors=net.governors))
    path = tmp_path / "network.note"
    path.write_bytes(net.document)
    Session(Target(network=path, fingerprint=net.fingerprint)).tell_absent()
    assert capsys.readouterr().err == ""
    path.write_bytes(net.document + b"\n" + later)
    Session(Target(network=path, fingerprint=net.fingerprint)).tell_absent()
    assert capsys.readouterr().err == f"{net.departments[3].origin} {words}\n"
    Session(Target(network=path, fingerprint="0" * 64)).tell_absent()  # nobody knows: nothing is said
    assert capsys.readouterr().err == ""
