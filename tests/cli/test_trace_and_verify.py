"""Asking: suyuan trace, show, proof, logs and peers; and judging what was taken away with suyuan verify."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.command import columns
from ledger.evidence import newest_network
from ledger.versions import verify_chain

pytest_plugins = ("departments",)

COSIGNED = "— police.ordos.example/cosigner"
Lie = Callable[[httpx.Response], tuple[int, str, bytes]]


@pytest.fixture
def evidence(suyuan: Any, story: Any, tmp_path: Path) -> Path:
    path = tmp_path / "evidence.json"
    assert suyuan("trace", story.record, "--save", path, *story.network.ask("tax")).code == 0
    return path


def problem(status: int, code: str) -> Lie:
    body = json.dumps({"status": status, "code": code, "detail": "a lie", "field": None, "limit": None, "hint": ""})
    return lambda _response: (status, "application/problem+json", body.encode())


def changing(change: Callable[[Any], Any]) -> Lie:
    """An answer that is JSON, changed."""

    def lie(response: httpx.Response) -> tuple[int, str, bytes]:
        changed = change(response.json())
        return response.status_code, response.headers["content-type"], json.dumps(changed).encode()

    return lie


def asking(liar: Any, network: Any) -> tuple[str, ...]:
    return ("--url", liar.url, "--token", liar.token, "--fingerprint", network.fingerprint)


# Tracing.


def test_a_trace_tells_who_gave_what_to_whom_why_and_who_has_it(suyuan: Any, story: Any) -> None:
    ran = suyuan("trace", story.record, *story.network.ask("police"))
    assert ran.code == 0
    for told in (
        "Police → Tax Service", "Tax Service → Court", "police.ordos.example/log → tax.ordos.example/log",
        "property tax relief", "Order 809 art. 23", story.share, story.receipt, story.onward, "household-register",
        "1 row", "name, address", "2 transfers, 3 holders, 1 gap", "none yet", "no receipt",
        "cosigned by 2 (2 needed)", "where it comes from", "received it", "was sent it, has not answered",
    ):  # fmt: skip
        assert told in ran.out, told
    assert ran.out.count("verified: signed, in the log of size") == 3
    assert "Verified here" in ran.err


def test_a_trace_fits_into_80_columns(suyuan: Any, story: Any) -> None:
    for language in ("en", "zh"):
        asked = ("trace", story.record, "--lang", language, *story.network.ask("police"))
        out = suyuan(*asked, env={"COLUMNS": "80"}).out
        assert max(columns(line) for line in out.splitlines()) <= 80


def test_a_trace_speaks_chinese(suyuan: Any, story: Any) -> None:
    ran = suyuan("trace", story.record, *story.network.ask("police"), env={"LANG": "zh_CN.UTF-8", "LC_ALL": ""})
    assert "公安局 → 税务局" in ran.out
    assert "已核验" in ran.out
    assert "现由谁持有" in ran.out


def test_a_trace_for_a_program_is_the_ledgers_own(suyuan: Any, story: Any) -> None:
    ran = suyuan("trace", story.record, "--json", "--lang", "zh", *story.network.ask("tax"))
    said = json.loads(ran.out)
    assert said["schema"] == "suyuan.trace/1"
    assert [(hop["from"], hop["to"], hop["verified"]) for hop in said["hops"]] == [
        (story.network.origin("police"), story.network.origin("tax"), True),
        (story.network.origin("tax"), story.network.origin("court"), True),
    ]
    assert [holder["state"] for holder in said["holders"]] == ["origin", "received", "unacknowledged"]
    assert [gap["kind"] for gap in said["gaps"]] == ["no_receipt"]


def test_a_record_can_be_named_by_its_identifier(suyuan: Any, story: Any) -> None:
    by_id = suyuan("trace", "--id", "150602199001011234", "--json", *story.network.ask("police"))
    by_reference = suyuan("trace", story.record, "--json", *story.network.ask("police"))
    assert by_id.out == by_reference.out


def test_an_identifier_without_the_departments_key_is_refused(suyuan: Any, story: Any) -> None:
    options = ("--url", story.network.urls["police"], "--fingerprint", story.network.fingerprint)
    assert suyuan("trace", "--id", "1", *options).code == 2
    assert suyuan("trace", *options).code == 2


def test_gaps_fail_only_when_asked(suyuan: Any, story: Any) -> None:
    assert suyuan("trace", story.record, *story.network.ask("police")).code == 0
    assert suyuan("trace", story.record, "--strict", *story.network.ask("police")).code == 1


def test_a_record_that_nobody_shared_is_not_found(suyuan: Any, nodes: Any) -> None:
    assert suyuan("trace", "0" * 32, *nodes.ask("police")).code == 3


def test_nothing_is_verified_without_a_fingerprint(suyuan: Any, story: Any) -> None:
    ran = suyuan(
        "trace", story.record, "--url", story.network.urls["police"], "--token", story.network.tokens["police"]
    )
    assert ran.code == 2
    assert "--fingerprint" in ran.err


def test_a_node_of_another_network_is_found_out(suyuan: Any, story: Any, liar: Any) -> None:
    ran = suyuan("trace", story.record, "--url", liar.url, "--token", liar.token, "--fingerprint", "0" * 64)
    assert ran.code == 1
    assert "wrong_fingerprint" in ran.err


def test_a_node_that_is_down_is_unreachable(suyuan: Any, story: Any) -> None:
    ran = suyuan("trace", story.record, "--url", "http://127.0.0.1:9", "--config", story.network.home("police"))
    assert ran.code == 5


def first_proof(change: Callable[[list[str]], list[str]]) -> Lie:
    def changed(file: Any) -> Any:
        file["proofs"][0] = change(file["proofs"][0])
        return file

    def lie(response: httpx.Response) -> tuple[int, str, bytes]:
        return 200, "application/json", canonical(changed(response.json()))

    return lie


def reworded(proof: list[str]) -> list[str]:
    """The entry in a proof with another purpose, its signature as it was."""
    extra = base64.b64decode(proof[1].removeprefix("extra "))
    changed = extra.replace(b"property tax relief", b"private curiosity..")
    assert changed != extra
    return [proof[0], f"extra {base64.b64encode(changed).decode()}", *proof[2:]]


@pytest.mark.parametrize(
    ("lie", "code"),
    [
        (first_proof(reworded), "invalid_signature"),
        (first_proof(lambda proof: [one for one in proof if not one.startswith(COSIGNED)]), "no_quorum"),
        (first_proof(lambda proof: [proof[0], proof[1], "index 0", *proof[3:]]), "not_"),
    ],
    ids=["a changed purpose", "a missing cosignature", "another index"],
)  # fmt: skip
def test_a_history_that_the_node_has_changed_does_not_verify(
    suyuan: Any, story: Any, liar: Any, lie: Lie, code: str
) -> None:
    liar.lies[f"/v1/records/{story.record}/evidence"] = lie
    ran = suyuan("trace", story.record, *asking(liar, story.network))
    assert ran.code == 1
    assert ran.out == ""
    assert code in ran.err


def test_the_history_of_another_record_is_not_taken(suyuan: Any, story: Any, liar: Any, evidence: Path) -> None:
    liar.lies["/v1/records/"] = lambda _response: (200, "application/json", evidence.read_bytes())
    ran = suyuan("trace", "cd" * 16, *asking(liar, story.network))
    assert ran.code == 1
    assert "another record" in ran.err


def not_confirmed(liar: Any, story: Any, *entries: str) -> None:
    """Make a node pretend that some entries are not confirmed yet."""
    liar.lies[f"/v1/records/{story.record}/evidence"] = problem(409, "not_confirmed")
    for entry in entries:
        log, index = entry.split("#")
        liar.lies[f"/v1/proof?log={log.replace('/', '%2F')}&index={index}"] = problem(409, "not_confirmed")


def test_where_something_is_not_confirmed_yet_the_rest_is_verified_all_the_same(
    suyuan: Any, story: Any, liar: Any
) -> None:
    not_confirmed(liar, story, story.onward)
    ran = suyuan("trace", story.record, *asking(liar, story.network))
    assert ran.code == 0
    assert ran.out.count("verified: signed, in the log of size") == 2
    assert ran.out.count("signed; not confirmed yet by a quorum") == 1
    assert "1 entry is signed, but not confirmed yet" in ran.err
    assert story.onward in ran.err


def test_what_is_not_confirmed_fails_when_asked_and_gives_no_evidence_file(
    suyuan: Any, story: Any, liar: Any, tmp_path: Path
) -> None:
    not_confirmed(liar, story, story.onward)
    assert suyuan("trace", story.record, "--strict", *asking(liar, story.network)).code == 1
    ran = suyuan("trace", story.record, "--save", tmp_path / "e.json", *asking(liar, story.network))
    assert ran.code == 3
    assert not (tmp_path / "e.json").exists()


def test_a_piecewise_history_is_the_same_as_the_evidence_tells(suyuan: Any, story: Any, liar: Any) -> None:
    whole = json.loads(suyuan("trace", story.record, "--json", *asking(liar, story.network)).out)
    not_confirmed(liar, story)
    pieces = json.loads(suyuan("trace", story.record, "--json", *asking(liar, story.network)).out)
    assert pieces == whole


def test_an_unconfirmed_entry_with_a_false_signature_is_damage(suyuan: Any, story: Any, liar: Any) -> None:
    def forged(answer: Any) -> Any:
        return {**answer, "note": answer["note"].replace("estate case", "curiosity..")}

    not_confirmed(liar, story, story.onward)
    log, index = story.onward.split("#")
    liar.lies[f"/v1/entry?log={log.replace('/', '%2F')}&index={index}"] = changing(forged)
    ran = suyuan("trace", story.record, *asking(liar, story.network))
    assert ran.code == 1
    assert "invalid_signature" in ran.out or "unreadable" in ran.out


def test_an_entry_in_the_place_of_another_one_is_damage(suyuan: Any, story: Any, liar: Any) -> None:
    def moved(told: Any) -> Any:
        told["hops"][0]["share"]["index"] = 0
        return told

    not_confirmed(liar, story)
    liar.lies[f"/v1/records/{story.record}/trace"] = changing(moved)
    ran = suyuan("trace", story.record, *asking(liar, story.network))
    assert ran.code == 1


def test_damage_that_the_node_reports_of_itself_is_shown_and_fails(suyuan: Any, story: Any, liar: Any) -> None:
    def damaged(told: Any) -> Any:
        told["gaps"].append({"kind": "damaged", "detail": "entry 7 is \x1b[2Jgone", "entry": None})
        return told

    not_confirmed(liar, story)
    liar.lies[f"/v1/records/{story.record}/trace"] = changing(damaged)
    ran = suyuan("trace", story.record, *asking(liar, story.network))
    assert ran.code == 1
    assert "damaged" in ran.out
    assert "\x1b" not in ran.out


@pytest.mark.parametrize("hops", [7, [7], [{}], [{"share": {"hash": "x", "index": 1, "log": "y"}}]])
def test_a_history_of_another_form_is_a_bad_answer(suyuan: Any, story: Any, liar: Any, hops: Any) -> None:
    not_confirmed(liar, story)
    liar.lies[f"/v1/records/{story.record}/trace"] = changing(lambda told: {**told, "hops": hops})
    ran = suyuan("trace", story.record, *asking(liar, story.network))
    assert ran.code == 5
    assert "bad_answer" in ran.err


# Showing and proving one entry.


def test_an_entry_is_shown_in_words_and_as_it_was_signed(suyuan: Any, story: Any) -> None:
    ran = suyuan("show", story.share, *story.network.ask("tax"))
    assert ran.code == 0
    for told in (
        "Police (police.ordos.example/log)",
        "Tax Service",
        "data was shared",
        "suyuan/entry/v1\n",
        "— police",
    ):
        assert told in ran.out, told
    assert "verified: signed, in the log of size" in ran.out


def test_an_entry_without_a_fingerprint_is_the_nodes_word(suyuan: Any, story: Any) -> None:
    ran = suyuan("show", story.share, "--url", story.network.urls["tax"], "--token", story.network.tokens["tax"])
    assert ran.code == 0
    assert "the node says:" in ran.out


def test_an_entry_for_a_program_is_the_one_that_was_verified_here(suyuan: Any, story: Any, liar: Any) -> None:
    log, index = story.share.split("#")
    liar.lies["/v1/entry"] = changing(
        lambda answer: {**answer, "event": {"type": "share"}, "note": "x", "state": "recorded"}
    )
    ran = suyuan("show", story.share, "--json", *asking(liar, story.network))
    said = json.loads(ran.out)
    assert (said["schema"], said["state"], said["verified"]) == ("suyuan.entry/1", "confirmed", True)
    assert said["event"]["purpose"] == "property tax relief"
    assert said["note"].startswith(f"suyuan/entry/v1\n{log}\n{index}\n")


def test_an_entry_that_is_not_there_is_not_found(suyuan: Any, nodes: Any) -> None:
    assert suyuan("show", "police.ordos.example/log#999999", *nodes.ask("tax")).code == 3
    assert suyuan("show", "nobody.example/log#0", *nodes.ask("tax")).code == 3


def test_a_proof_is_verified_saved_and_verified_again_offline(suyuan: Any, story: Any, tmp_path: Path) -> None:
    path = tmp_path / "entry.proof"
    ran = suyuan("proof", story.share, "--out", path, *story.network.ask("tax"))
    assert (ran.code, ran.out) == (0, "")
    assert path.read_text().startswith("c2sp.org/tlog-proof@v1\n")
    network = story.network
    options = ("--network", network.document, "--fingerprint", network.fingerprint)
    judged = suyuan("verify", path, *options)
    assert judged.code == 0
    assert "VERIFIED" in judged.out
    assert story.share in judged.out


def test_a_proof_goes_to_standard_output_byte_for_byte(suyuan: Any, story: Any) -> None:
    ran = suyuan("proof", story.share, "--url", story.network.urls["tax"], "--token", story.network.tokens["tax"])
    assert ran.out.startswith("c2sp.org/tlog-proof@v1\nextra ")
    assert "Not verified here" in ran.err


def test_the_proof_of_another_entry_is_not_taken(suyuan: Any, story: Any, liar: Any, tmp_path: Path) -> None:
    other = suyuan("proof", story.receipt, *story.network.ask("tax")).out
    liar.lies["/v1/proof"] = lambda _response: (200, "text/plain", other.encode())
    ran = suyuan("proof", story.share, "--out", tmp_path / "p", *asking(liar, story.network))
    assert ran.code == 1
    assert not (tmp_path / "p").exists()


# Verifying offline.


def test_evidence_is_verified_offline_and_shows_the_history(suyuan: Any, story: Any, evidence: Path) -> None:
    ran = suyuan("verify", evidence, "--fingerprint", story.network.fingerprint)
    assert ran.code == 0
    assert "VERIFIED" in ran.out
    assert "Police → Tax Service" in ran.out


def test_a_verification_for_a_program_has_entries_and_history(suyuan: Any, story: Any, evidence: Path) -> None:
    ran = suyuan("verify", evidence, "--fingerprint", story.network.fingerprint, "--json")
    said = json.loads(ran.out)
    assert (said["schema"], said["verified"]) == ("suyuan.verification/1", True)
    (file,) = said["files"]
    assert (file["kind"], file["verified"], file["error"]) == ("evidence", True, None)
    assert file["trace"]["record"] == story.record
    assert len(file["entries"]) == 3


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def test_a_flip_of_any_bit_of_evidence_is_found(suyuan: Any, story: Any, evidence: Path) -> None:
    data = evidence.read_bytes()
    for place in range(0, len(data), len(data) // 25):
        evidence.write_bytes(flipped(data, place))
        ran = suyuan("verify", evidence, "--fingerprint", story.network.fingerprint)
        assert ran.code == 1, place
        assert "NOT VERIFIED" in ran.out or "Taken for" in ran.out


def test_what_is_wrong_is_told_with_its_code_and_place(suyuan: Any, story: Any, evidence: Path) -> None:
    file = json.loads(evidence.read_text())
    place = next(n for n, proof in enumerate(file["proofs"]) if b"property" in base64.b64decode(proof[1][6:]))
    file["proofs"][place] = reworded(file["proofs"][place])
    evidence.write_bytes(canonical(file))
    ran = suyuan("verify", evidence, "--fingerprint", story.network.fingerprint, "--json")
    assert ran.code == 1
    error = json.loads(ran.out)["files"][0]["error"]
    assert error["code"] == "invalid_signature"
    assert error["field"] == f"proofs[{place}].line 8"
    people = suyuan("verify", evidence, "--fingerprint", story.network.fingerprint).out
    assert "NOT VERIFIED" in people
    assert "invalid_signature" in people
    assert f"proofs[{place}].line 8" in people


def test_evidence_of_another_network_is_refused(suyuan: Any, evidence: Path) -> None:
    ran = suyuan("verify", evidence, "--fingerprint", "0" * 64, "--json")
    assert ran.code == 1
    assert json.loads(ran.out)["files"][0]["error"]["code"] == "wrong_fingerprint"


def test_one_bad_file_among_good_ones_fails_and_each_has_its_verdict(
    suyuan: Any, story: Any, evidence: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad"
    bad.write_text("hello\n")
    network = story.network
    ran = suyuan("verify", evidence, bad, network.document, "--fingerprint", network.fingerprint, "--json")
    assert ran.code == 1
    files = json.loads(ran.out)["files"]
    assert [(file["kind"], file["verified"]) for file in files] == [
        ("evidence", True),
        ("unknown", False),
        ("network", True),
    ]
    assert files[1]["error"]["code"] == "unknown_kind"


@pytest.mark.parametrize(
    ("name", "keep", "code", "hint"),
    [
        ("evidence.json", 3000, "bad_evidence", "is the file whole?"),
        ("share.proof", 300, "bad_proof", "is the file whole?"),
        ("data.json", None, "unknown_kind", "can be verified"),
    ],
    ids=["evidence that is cut off", "a proof that is cut off", "a file of something else"],
)
def test_a_file_that_is_cut_off_or_none_of_ours_is_named_as_such(
    suyuan: Any, story: Any, tmp_path: Path, *, name: str, keep: int | None, code: str, hint: str
) -> None:
    asked, path = story.network.ask("police"), tmp_path / name
    assert suyuan("trace", story.record, "--save", tmp_path / "evidence.json", *asked).code == 0
    assert suyuan("proof", story.share, "--out", tmp_path / "share.proof", *asked).code == 0
    (tmp_path / "data.json").write_text('{"name": "x", "members": 3}\n')
    path.write_bytes(path.read_bytes()[:keep])
    ran = suyuan(
        "verify", path, "--network", story.network.document, "--fingerprint", story.network.fingerprint, "--json"
    )
    [judged] = json.loads(ran.out)["files"]
    assert (ran.code, judged["error"]["code"]) == (1, code)
    assert hint in judged["error"]["hint"]


def test_a_proof_without_network_document_cannot_be_judged(suyuan: Any, story: Any, tmp_path: Path) -> None:
    path = tmp_path / "entry.proof"
    suyuan("proof", story.share, "--out", path, *story.network.ask("tax"))
    ran = suyuan("verify", path, "--fingerprint", story.network.fingerprint)
    assert ran.code == 1
    assert "--network" in ran.out


def test_a_proof_without_its_entry_takes_the_entry_from_a_file(suyuan: Any, story: Any, tmp_path: Path) -> None:
    lines = suyuan("proof", story.share, *story.network.ask("tax")).out.split("\n")
    bare, entry = tmp_path / "bare.proof", tmp_path / "entry"
    bare.write_text("\n".join([lines[0], *lines[2:]]))
    entry.write_bytes(base64.b64decode(lines[1].removeprefix("extra ")))
    network = story.network
    options = ("--network", network.document, "--fingerprint", network.fingerprint)
    assert suyuan("verify", bare, *options).code == 1
    assert suyuan("verify", bare, "--entry", entry, *options).code == 0


def test_evidence_is_judged_by_the_newer_of_the_two_network_documents(
    suyuan: Any, story: Any, evidence: Path, tmp_path: Path
) -> None:
    network = story.network
    newer, draft, member = tmp_path / "newer.note", tmp_path / "newer.draft", tmp_path / "health"
    newer.write_bytes(network.document.read_bytes())
    suyuan(
        "init", member, "--origin", "health.ordos.example/log", "--url", "https://health.example", "--name-zh", "卫",
        "--name-en", "Health", "--level", "city", "--region", "150600", "--store", "sqlite",
    )  # fmt: skip
    suyuan("network", "add-member", newer, member / "member.json")
    suyuan("network", "sign", draft, "--key", network.folder / "governor.key", "--out", newer)
    first, second = (verify_chain(path.read_bytes(), network.fingerprint) for path in (network.document, newer))
    assert (first.version, second.version) == (1, 2)
    file = json.loads(evidence.read_text())
    assert newest_network(canonical(file), network.fingerprint, second) == second
    file["network"] = newer.read_text().removesuffix("\n").split("\n")
    assert newest_network(canonical(file), network.fingerprint, first) == second


def canonical(file: Any) -> bytes:
    return (json.dumps(file, ensure_ascii=False, separators=(",", ":"), sort_keys=True) + "\n").encode()


def test_a_file_that_is_not_there_is_wrong_use_and_no_verdict(suyuan: Any, tmp_path: Path) -> None:
    ran = suyuan("verify", tmp_path / "nothing", "--fingerprint", "0" * 64)
    assert (ran.code, ran.out) == (2, "")


# Logs and peers.


def test_logs_are_shown_with_their_size_and_quorum(suyuan: Any, story: Any) -> None:
    people = suyuan("logs", *story.network.ask("police"))
    assert people.code == 0
    assert "Tax Service" in people.out
    program = json.loads(suyuan("logs", "--json", *story.network.ask("police")).out)
    assert program["schema"] == "suyuan.logs/1"
    assert {log["log"] for log in program["logs"]} == {
        story.network.origin(name) for name in ("police", "tax", "court")
    }


def test_an_alarm_about_a_log_exits_with_6(suyuan: Any, story: Any, liar: Any) -> None:
    def alarmed(answer: Any) -> Any:
        answer["logs"][0]["alarm"] = "two histories"
        return answer

    liar.lies["/v1/logs"] = changing(alarmed)
    ran = suyuan("logs", *asking(liar, story.network))
    assert ran.code == 6
    assert "two histories" in ran.out


def test_peers_are_shown_with_what_they_answer(suyuan: Any, story: Any) -> None:
    people = suyuan("peers", *story.network.ask("police")).out
    assert "answers" in people
    assert "does not answer" in people
    program = json.loads(suyuan("peers", "--json", *story.network.ask("police")).out)
    assert program["schema"] == "suyuan.peers/2"
