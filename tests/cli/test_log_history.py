"""What commands say of logs is counted by them: suyuan logs, log history, and what a share's answer calls confirmed."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from cli import submission
from cli.command import columns
from cli.session import Session, Target
from ledger.errors import VerificationError
from node.client import Recorded, parse_ref

pytest_plugins = ("departments",)


def changing(change: Callable[[Any], Any]) -> Callable[[httpx.Response], tuple[int, str, bytes]]:
    """An answer that is JSON, changed."""

    def lie(response: httpx.Response) -> tuple[int, str, bytes]:
        changed = change(response.json())
        return response.status_code, response.headers["content-type"], json.dumps(changed).encode()

    return lie


def asking(liar: Any, network: Any) -> tuple[str, ...]:
    return ("--url", liar.url, "--token", liar.token, "--fingerprint", network.fingerprint)


def of(network: Any, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What is told of the log of police."""
    return next(row for row in rows if row["log"] == network.origin("police"))


# All logs.


def test_every_quorum_that_is_shown_was_counted_here(suyuan: Any, story: Any) -> None:
    ran = suyuan("logs", "--json", *story.network.ask("police"))
    assert ran.code == 0
    told = of(story.network, json.loads(ran.out)["logs"])
    assert (told["verified"], told["problem"], told["needed"]) == (True, None, 2)
    assert told["vouched"] > "2026"
    people = suyuan("logs", *story.network.ask("police"))
    assert told["vouched"][11:16] in people.out
    assert "Every quorum is counted here" in people.err


def test_without_a_fingerprint_it_is_the_nodes_word(suyuan: Any, story: Any, liar: Any) -> None:
    asked = ("--url", liar.url, "--token", liar.token)
    assert of(story.network, json.loads(suyuan("logs", "--json", *asked).out)["logs"])["verified"] is None
    assert "Not verified here" in suyuan("logs", *asked).err
    liar.lies["/logs/"] = lambda _: (500, "text/plain", b"")  # nothing is asked for
    assert suyuan("logs", *asked).code == 0


def test_a_node_that_calls_more_confirmed_than_it_can_show_is_found_out(suyuan: Any, story: Any, liar: Any) -> None:
    def more(answer: Any) -> Any:
        of(story.network, answer["logs"])["confirmed_size"] += 5
        return answer

    liar.lies["/v1/logs"] = changing(more)
    ran = suyuan("logs", *asking(liar, story.network))
    assert ran.code == 1
    assert "NOT verified" in ran.out
    told = of(story.network, json.loads(suyuan("logs", "--json", *asking(liar, story.network)).out)["logs"])
    assert told["verified"] is False
    assert "entries confirmed, and its checkpoint has" in told["problem"]


def without_cosigners(response: httpx.Response) -> tuple[int, str, bytes]:
    kept = [line for line in response.text.splitlines(keepends=True) if "/cosigner " not in line]
    return response.status_code, "text/plain", "".join(kept).encode()


@pytest.mark.parametrize(
    "lie",
    [
        without_cosigners,
        lambda response: (200, "text/plain", response.content.replace(b"\n", b"\n1", 1)),
        lambda _: (200, "text/plain", b"no checkpoint"),
    ],
    ids=["too few have cosigned", "another size", "no checkpoint"],
)
def test_a_checkpoint_that_does_not_hold_is_not_believed(suyuan: Any, story: Any, liar: Any, lie: Any) -> None:
    liar.lies["/logs/"] = lie
    ran = suyuan("logs", *asking(liar, story.network))
    assert ran.code == 1
    assert "NOT verified" in ran.out


def test_a_node_that_does_not_give_the_checkpoint_could_not_be_judged(suyuan: Any, story: Any, liar: Any) -> None:
    liar.lies["/logs/"] = lambda _: (503, "text/plain", b"")
    assert suyuan("logs", *asking(liar, story.network)).code == 5


# One log's history.


def test_a_logs_history_is_shown_with_its_keys_and_verified(suyuan: Any, story: Any) -> None:
    origin = story.network.origin("tax")
    people = suyuan("log", "history", origin, *story.network.ask("police"), env={"COLUMNS": "80"})
    assert people.code == 0
    for part in ("Tax Service", f"{origin}+", "from entry 0 on", "version 1 of", "2 (2 needed)", "Grown by"):
        assert part in people.out, part
    assert max(map(columns, people.out.splitlines())) <= 80
    said = json.loads(suyuan("log", "history", origin, "--json", *story.network.ask("police")).out)
    sizes = [one["size"] for one in said["checkpoints"]]
    assert sizes == sorted(set(sizes))
    assert all(one["verified"] and one["network_version"] == 1 for one in said["checkpoints"])
    assert all(one["root"] in people.out for one in said["checkpoints"])  # whole, in one line
    assert said["keys"][0]["from"] == 0
    name, key_id, public = said["keys"][0]["key"].split("+", 2)
    assert f"{name}+{key_id}, from entry 0 on" in people.out
    assert public[:4] not in people.out


def test_it_speaks_chinese(suyuan: Any, story: Any) -> None:
    ran = suyuan("log", "history", story.network.origin("tax"), "--lang", "zh", *story.network.ask("police"))
    assert "担保时间" in ran.out


def test_without_a_fingerprint_a_history_is_the_nodes_word(suyuan: Any, story: Any, liar: Any) -> None:
    asked = ("log", "history", story.network.origin("tax"), "--url", liar.url, "--token", liar.token)
    said = json.loads(suyuan(*asked, "--json").out)
    assert said["keys"] == []
    assert {one["verified"] for one in said["checkpoints"]} == {None}
    assert "Not verified here" in suyuan(*asked).err


def rows(change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> Callable[[Any], Any]:
    def changed(answer: Any) -> Any:
        answer["checkpoints"] = change(answer["checkpoints"])
        return answer

    return changed


@pytest.mark.parametrize(
    "change",
    [
        lambda told: [{**one, "size": one["size"] + 1} for one in told],
        lambda told: [{**one, "root": "A" * 43 + "="} for one in told],
        lambda told: [{**one, "note": [line for line in one["note"] if "/cosigner " not in line]} for one in told],
        lambda told: [{**one, "note": ["rubbish"]} for one in told],
        lambda told: [*told, *told],
    ],
    ids=["another size", "another root", "too few have cosigned", "no checkpoint", "twice"],
)
def test_a_history_that_does_not_hold_is_a_finding(suyuan: Any, story: Any, liar: Any, change: Any) -> None:
    liar.lies["/v1/logs/"] = changing(rows(change))
    asked = ("log", "history", story.network.origin("police"), *asking(liar, story.network))
    ran = suyuan(*asked)
    assert ran.code == 1
    assert "NOT verified" in ran.out
    assert any(one["verified"] is False for one in json.loads(suyuan(*asked, "--json").out)["checkpoints"])


def test_the_history_of_another_log_is_not_taken_for_it(suyuan: Any, story: Any, liar: Any) -> None:
    told = json.loads(liar.answer(_path(story, "tax"))[2])
    liar.lies["/v1/logs/"] = changing(lambda _: told)
    ran = suyuan("log", "history", story.network.origin("police"), *asking(liar, story.network))
    assert ran.code == 1
    assert "in the place of" in ran.out


def _path(story: Any, name: str) -> str:
    from node.layout import origin_hash  # noqa: PLC0415 - only here

    return f"/v1/logs/{origin_hash(story.network.origin(name))}/checkpoints"


def test_a_note_of_another_form_is_no_answer(suyuan: Any, story: Any, liar: Any) -> None:
    liar.lies["/v1/logs/"] = changing(rows(lambda told: [{**one, "note": "text"} for one in told]))
    ran = suyuan("log", "history", story.network.origin("police"), *asking(liar, story.network))
    assert ran.code == 5


def test_a_long_history_is_cut_unless_all_of_it_is_asked_for(suyuan: Any, story: Any, liar: Any) -> None:
    liar.lies["/v1/logs/"] = changing(
        rows(lambda told: [{**told[-1], "size": size, "root": "x"} for size in range(1, 26)])
    )
    asked = ("log", "history", story.network.origin("police"), "--url", liar.url, "--token", liar.token)
    ran = suyuan(*asked)
    assert "5 earlier checkpoints are kept" in ran.err
    assert len(ran.out.splitlines()) + 10 == len(suyuan(*asked, "--all").out.splitlines())


def test_a_log_without_confirmed_checkpoints_says_so(suyuan: Any, story: Any, liar: Any) -> None:
    liar.lies["/v1/logs/"] = changing(rows(lambda _: []))
    ran = suyuan("log", "history", story.network.origin("court"), *asking(liar, story.network))
    assert (ran.code, "no confirmed checkpoint yet" in ran.out) == (0, True)


def test_a_log_that_the_network_does_not_have_is_not_found(suyuan: Any, story: Any) -> None:
    assert suyuan("log", "history", "x.example/log", *story.network.ask("police")).code == 3


# What was recorded.


def recorded(suyuan: Any, story: Any) -> tuple[Recorded, dict[str, Any]]:
    """The story's first share, as the node answered it, and the event."""
    said = json.loads(suyuan("show", story.share, "--json", *story.network.ask("police")).out)
    return Recorded(said["event"]["id"], parse_ref(said["entry"]), "", "confirmed"), said["event"]


def session(url: str, story: Any) -> Session:
    network = story.network
    return Session(Target(url=url, token=network.tokens["police"], fingerprint=network.fingerprint))


def test_what_the_node_calls_confirmed_is_proven_to_whoever_asked_for_it(suyuan: Any, story: Any, liar: Any) -> None:
    answer, event = recorded(suyuan, story)
    with session(liar.url, story) as asked:
        assert submission.check_confirmed(asked, answer, event)
        with pytest.raises(VerificationError, match="another event than was sent"):
            submission.check_confirmed(asked, answer, {**event, "purpose": "another one"})
        problem = {"status": 409, "code": "not_confirmed", "detail": "not yet"}
        liar.lies["/v1/proof"] = lambda _: (409, "application/problem+json", json.dumps(problem).encode())
        with pytest.raises(VerificationError, match="cannot prove it"):
            submission.check_confirmed(asked, answer, event)


def test_what_is_only_recorded_has_no_proof_yet(suyuan: Any, story: Any, liar: Any) -> None:
    answer, event = recorded(suyuan, story)
    liar.lies["/v1/proof"] = lambda _: (500, "text/plain", b"")
    with session(liar.url, story) as asked:
        waiting = Recorded(answer.event_id, answer.entry, answer.time, "recorded")
        assert not submission.check_confirmed(asked, waiting, event)
    with Session(Target(url=liar.url, token=story.network.tokens["police"])) as blind:
        assert not submission.check_confirmed(blind, answer, event)


def test_a_share_that_waits_for_its_confirmation_says_that_it_was_verified(suyuan: Any, story: Any) -> None:
    network = story.network
    ran = suyuan(
        "share", "--consumer", network.origin("tax"), "--resource", "r", "--purpose", "p", "--method", "api",
        "--wait", "confirmed", "--json", *network.ask("police"),
    )  # fmt: skip
    said = json.loads(ran.out)
    assert (said["state"], said["verified"]) == ("confirmed", True)


# A log in doubt.


def alarmed(network: Any, name: str) -> Any:
    def alarm(answer: Any) -> Any:
        words = f"{network.origin(name)} has signed two roots for size 4"
        return answer | {"alarms": [{"log": network.origin(name), "alarm": words}]}

    return changing(alarm)


def test_the_history_of_a_log_in_doubt_says_so_with_exit_code_6(suyuan: Any, story: Any, liar: Any) -> None:
    log = story.network.origin("police")
    ask = ("log", "history", log, *asking(liar, story.network))
    liar.lies["/v1/health"] = alarmed(story.network, "tax")
    ran = suyuan(*ask)
    assert (ran.code, "alarm" in ran.err) == (0, False)  # it is about another log
    liar.lies["/v1/health"] = alarmed(story.network, "police")
    ran = suyuan(*ask)
    assert ran.code == 6
    assert f"An integrity alarm is raised about {log}: {log} has signed two roots for size 4" in ran.err
    assert f"{log} 有完整性告警：{log} 为同一长度 4 签了两个根" in suyuan(*ask, "--lang", "zh").err
    liar.lies["/v1/health"] = lambda _: (200, "application/json", b'{"schema":"suyuan.health/1","alarms":[7]}')
    assert suyuan(*ask).code == 0


def test_a_trace_names_the_logs_in_it_that_are_in_doubt(suyuan: Any, story: Any, liar: Any) -> None:
    ask = ("trace", story.record, *asking(liar, story.network))
    assert "alarm" not in suyuan(*ask).err
    liar.lies["/v1/health"] = alarmed(story.network, "tax")
    ran = suyuan(*ask)
    assert ran.code == 0
    assert ran.err.count("An integrity alarm is raised about tax.ordos.example/log: ") == 1
