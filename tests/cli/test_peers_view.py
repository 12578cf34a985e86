"""suyuan peers: one line for each peer, one log everywhere, one peer with everything, and the whole matrix."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from cli.command import columns
from ledger.encoding import format_time, parse_time

pytest_plugins = ("departments",)

NOW = parse_time("2026-11-21T08:15:30.123Z")
AGREEMENTS = ("same", "same", "behind", "ahead", "unknown")


def origin(number: int) -> str:
    return f"department-{number:02}.ordos.example/log"


def peer(number: int, logs: int, **changes: Any) -> dict[str, Any]:
    return {
        "log": origin(number),
        "url": f"https://department-{number:02}.ordos.example",
        "reachable": True,
        "last_seen": format_time(NOW - 90_000),
        "last_error": None,
        "network_version": 3,
        "lag": number,
        "faults": [],
        "logs": [at(log, AGREEMENTS[(number + log) % len(AGREEMENTS)]) for log in range(logs)],
        **changes,
    }


def at(log: int, agreement: str, **changes: Any) -> dict[str, Any]:
    return {
        "log": origin(log),
        "size": 1000,
        "confirmed_size": 990,
        "seen": format_time(NOW - 2000),
        "lag": {"behind": 7, "ahead": -3}.get(agreement, 0),
        "agreement": agreement,
        **changes,
    }


def answer(members: int, **changes: Any) -> dict[str, Any]:
    return {
        "schema": "suyuan.peers/2",
        "own": origin(0),
        "network_version": 3,
        "time": format_time(NOW),
        "logs": [{"log": origin(log), "size": 1000, "confirmed_size": 990} for log in range(members)],
        "catching_up": [],
        "peers": [peer(number, members) for number in range(1, members)],
        **changes,
    }


@pytest.fixture
def shown(suyuan: Any, liar: Any) -> Callable[..., Any]:
    """What the command shows of an answer, on a terminal of 80 columns."""

    def show(told: dict[str, Any], *options: str, lang: str = "en") -> Any:
        liar.lies["/v1/peers"] = lambda _: (httpx.codes.OK, "application/json", json.dumps(told).encode())
        return suyuan("peers", *options, "--url", liar.url, "--lang", lang, env={"COLUMNS": "80"})

    return show


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("options", [(), ("--all",), ("--log", origin(3)), ("--peer", origin(7))], ids=str)
def test_fifty_members_fit_into_80_columns(shown: Any, options: tuple[str, ...], lang: str) -> None:
    ran = shown(answer(50), *options, lang=lang)
    assert ran.code == 0
    assert max(map(columns, ran.out.splitlines())) <= 80


def test_a_peer_has_a_line_with_its_lag_and_its_histories(shown: Any) -> None:
    ran = shown(answer(6))
    [line] = [line for line in ran.out.splitlines() if "department-02" in line]
    assert "answers" in line
    assert "1 min" in line
    assert "3 same" in ran.out
    assert "1 behind" in ran.out


def test_the_version_of_the_network_document_is_shown_for_each_peer(shown: Any) -> None:
    told = answer(5)
    for one, version in zip(told["peers"], (3, 2, 4, None), strict=True):
        one["network_version"] = version
    out = shown(told).out
    rows = [out.index(origin(number)) for number in range(1, 5)] + [len(out)]
    wanted = ("version 3\n", "version 2, older", "version 4, newer", "version unknown")
    for words, start, end in zip(wanted, rows, rows[1:], strict=False):
        assert words in "\n".join(line.strip() for line in out[start:end].splitlines()).replace("  ", "\n"), words
    assert "This node acts under version 3" in out
    assert "version 2, older" in shown(told, "--peer", origin(2)).out


def test_a_peer_that_shows_another_history_is_a_finding(shown: Any) -> None:
    told = answer(3)
    told["peers"][0]["logs"][1] = at(1, "differs")
    for options in ((), ("--all",), ("--json",)):
        ran = shown(told, *options)
        assert ran.code == 1
    assert "1 DIFFERS" in shown(told).out


def test_the_matrix_has_a_character_for_every_log_at_every_peer(shown: Any) -> None:
    told = answer(50)
    told["peers"][0]["logs"][4] = at(4, "differs")
    told["peers"][1]["logs"] = []
    lines = [line for line in shown(told, "--all").out.splitlines() if line.startswith(origin(4))]
    signs = "".join(line[len(origin(4)) :].strip() for line in lines)
    assert len(signs) == 49
    assert signs[:2] == "!?"
    assert set(signs) == set("=-+!?")


def test_one_log_is_shown_at_every_peer(shown: Any) -> None:
    out = shown(answer(6), "--log", origin(1)).out
    assert "1000 entries here" in out
    assert "+3" in out  # ahead
    assert all(origin(number) in out for number in range(2, 6))


def test_one_peer_is_shown_with_what_it_did_wrong(shown: Any) -> None:
    told = answer(3)
    told["peers"][0]["faults"] = [
        {"kind": "withholds", "count": 12, "last": format_time(NOW), "words": "no entries of x from 5 on"},
        {"kind": "of a later version", "count": 1, "last": format_time(NOW), "words": "?"},
    ]
    out = shown(told, "--peer", origin(1)).out
    for part in ("withholds entries", "12", "2026-11-21 08:15:30", "of a later version", "https://department-01"):
        assert part in out, part
    assert "withholds" in shown(told).out


def test_a_silent_peer_says_why(shown: Any) -> None:
    told = answer(3)
    told["peers"][0] |= {"reachable": False, "last_error": "connection refused", "logs": [], "last_seen": None}
    told["peers"][1] |= {"reachable": None}
    out = shown(told).out
    for part in ("does not answer", "connection refused", "never", "not asked yet"):
        assert part in out, part


def test_a_running_catch_up_is_shown(shown: Any) -> None:
    running = {
        "log": origin(2), "have": 5000, "want": 80_000, "rate": 1234.5, "from": origin(1),
        "since": format_time(NOW - 3 * 3_600_000),
    }  # fmt: skip
    told = answer(4, catching_up=[running])
    for options in ((), ("--all",), ("--log", origin(2))):
        out = shown(told, *options).out
        assert "5000 / 80000" in out
        assert "1234/s" in out
        assert "3 h" in out
    assert "80000" not in shown(told, "--log", origin(1)).out
    assert "Catching up" not in shown(answer(4)).out


def test_what_the_network_does_not_have_is_wrong_use(shown: Any) -> None:
    for options in (("--log", "x.example/log"), ("--peer", "x.example/log"), ("--all", "--log", origin(1))):
        assert shown(answer(3), *options).code == 2


def test_an_answer_of_the_version_before_is_refused(shown: Any) -> None:
    assert shown(answer(3) | {"schema": "suyuan.peers/1"}).code == 5
    told = answer(3)
    del told["peers"][0]["faults"]
    assert shown(told).code == 5


def test_hostile_words_do_not_reach_the_terminal(shown: Any) -> None:
    told = answer(3)
    told["peers"][0] |= {"reachable": False, "last_error": "\x1b[2Jgone", "log": "\u202eevil"}
    out = shown(told).out
    assert "\x1b" not in out
    assert "\u202e" not in out
