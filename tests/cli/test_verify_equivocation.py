"""suyuan verify judges offline whether a log has told two stories, and says which, to people and to programs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import builders
import oracle
import pytest
from builders import Log, logs_of, make_network, share_event

from cli import language
from cli.commands import verify
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.encoding import JsonObject, canonical_json, encode_base64, text_to_lines
from ledger.equivocation import EquivocationError, NotProvenError, content_proof, entries_proof, heads_proof
from ledger.note import ED25519, Note, Signer

pytest_plugins = ("departments",)

NET = make_network(2)
SIZE, FORK = 9, 5
ONE = logs_of(NET)[0]
ONE.append(*(share_event(name=number) for number in range(1, SIZE)))
OTHER = Log(NET, ONE.owner, ONE.entries[:FORK])
OTHER.append(*(share_event(name=number, purpose="as told to others") for number in range(FORK, SIZE)))

Judge = Callable[..., Any]


def head(log: Log, size: int, root: bytes | None = None) -> Note:
    true = log.checkpoint(size)
    return sign_checkpoint(log.owner.log, true if root is None else Checkpoint(log.origin, true.size, root))


def root_of(log: Log, size: int) -> str:
    return encode_base64(log.checkpoint(size).root)


def hash_of(log: Log, index: int) -> str:
    return encode_base64(log.entries[index].leaf)


def two_heads(first: Log = ONE, old: int = 7, second: Log = OTHER, new: int = SIZE) -> bytes:
    leaves = [entry.leaf for entry in second.entries[:new]]
    return heads_proof(
        NET.document,
        head(first, old),
        head(second, new),
        other=oracle.root(leaves[:old]),
        proof=oracle.consistency(old, leaves),
    )


def two_entries(first: int = FORK, second: int = FORK) -> bytes:
    return entries_proof(NET.document, ONE.origin, ONE.raws[first], OTHER.raws[second])


@pytest.fixture
def judge(suyuan: Any, tmp_path: Path) -> Judge:
    """Write a file and verify it."""

    def call(data: bytes, *options: object, fingerprint: str = NET.fingerprint) -> Any:
        path = tmp_path / "proof.json"
        path.write_bytes(data)
        return suyuan("verify", path, "--fingerprint", fingerprint, *options, env={"COLUMNS": "200"})

    return call


PROVEN: dict[str, tuple[Callable[[], bytes], list[str], JsonObject]] = {
    "two sizes": (
        two_heads,
        [
            f"its checkpoint of size 7 with root {root_of(ONE, 7)}",
            f"its checkpoint of size 9 with root {root_of(OTHER, 9)}",
            "at entry 6 or before; which entry is the first that differs is not shown here",
        ],
        {
            "kind": "heads",
            "first": {"what": "checkpoint", "at": 7, "hash": root_of(ONE, 7)},
            "second": {"what": "checkpoint", "at": 9, "hash": root_of(OTHER, 9)},
            "same_below": 0,
            "part_before": 7,
            "words": f"{ONE.origin} has signed a root for size 7 that its checkpoint of size 9 contradicts",
        },
    ),
    "one size": (
        lambda: heads_proof(NET.document, head(ONE, 1), head(OTHER, 1, bytes(32))),
        [f"its checkpoint of size 1 with root {encode_base64(bytes(32))}", "from entry 0 on"],
        {
            "kind": "heads",
            "first": {"what": "checkpoint", "at": 1, "hash": root_of(ONE, 1)},
            "second": {"what": "checkpoint", "at": 1, "hash": encode_base64(bytes(32))},
            "same_below": 0,
            "part_before": 1,
            "words": f"{ONE.origin} has signed two roots for size 1",
        },
    ),
    "the empty log": (
        lambda: heads_proof(NET.document, head(ONE, 0, bytes(32)), head(ONE, 7)),
        ["its checkpoint of size 0", "before the first entry: the empty log has one root only"],
        {
            "kind": "heads",
            "first": {"what": "checkpoint", "at": 0, "hash": encode_base64(bytes(32))},
            "second": {"what": "checkpoint", "at": 7, "hash": root_of(ONE, 7)},
            "same_below": 0,
            "part_before": 0,
            "words": f"{ONE.origin} has signed a root for size 0 that its checkpoint of size 7 contradicts",
        },
    ),
    "two entries": (
        two_entries,
        [
            f"its entry {ONE.origin}#5 with hash {hash_of(ONE, 5)}",
            f"its entry {ONE.origin}#5 with hash {hash_of(OTHER, 5)}",
            "from entry 5 on; all entries before it are the same",
        ],
        {
            "kind": "entries",
            "first": {"what": "entry", "at": 5, "hash": hash_of(ONE, 5)},
            "second": {"what": "entry", "at": 5, "hash": hash_of(OTHER, 5)},
            "same_below": 5,
            "part_before": 6,
            "words": f"{ONE.origin} has signed two entries with index 5",
        },
    ),
    "an entry that follows another one": (
        lambda: two_entries(6, 7),
        ["#6 with hash", "#7 with hash", "at entry 6 or before"],
        {
            "kind": "entries",
            "first": {"what": "entry", "at": 6, "hash": hash_of(ONE, 6)},
            "second": {"what": "entry", "at": 7, "hash": hash_of(OTHER, 7)},
            "same_below": 0,
            "part_before": 7,
            "words": f"{ONE.origin} has signed an entry 7 that follows another entry 6",
        },
    ),
    "content": (
        lambda: content_proof(NET.document, ONE.origin, None, [], ONE.raws, head(OTHER, SIZE)),
        [
            f"its entries up to size 9, which hash to the root {root_of(ONE, 9)}",
            f"its checkpoint of size 9 with root {root_of(OTHER, 9)}",
            "at entry 8 or before",
        ],
        {
            "kind": "content",
            "first": {"what": "entries", "at": 9, "hash": root_of(ONE, 9)},
            "second": {"what": "checkpoint", "at": 9, "hash": root_of(OTHER, 9)},
            "same_below": 0,
            "part_before": 9,
            "words": f"{ONE.origin} has signed a root for size 9 to which its own entries do not hash",
        },
    ),
}


@pytest.mark.parametrize("name", PROVEN)
def test_a_proven_equivocation_says_who_has_told_which_two_stories(judge: Judge, name: str) -> None:
    make, sentences, _ = PROVEN[name]
    ran = judge(make())
    assert ran.code == 6
    assert ran.out.startswith(f"PROVEN: {ONE.origin} has told two stories\n")
    for sentence in sentences:
        assert sentence in ran.out


@pytest.mark.parametrize("name", PROVEN)
def test_a_proven_equivocation_for_a_program_has_both_stories(judge: Judge, name: str) -> None:
    make, _, facts = PROVEN[name]
    ran = judge(make(), "--json")
    assert ran.code == 6
    said = json.loads(ran.out)
    assert said["verified"]
    (file,) = said["files"]
    assert (file["kind"], file["verified"], file["error"]) == ("equivocation", True, None)
    assert file["words"] == f"{ONE.origin} has told two stories"
    assert file["equivocation"] == {"log": ONE.origin, **facts, "settled": None}


NOT_PROVEN: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "one story": (lambda: two_heads(second=ONE), "not_proven", "second"),
    "one entry": (lambda: two_entries(FORK - 1, FORK - 1), "not_proven", "second"),
    "another form": (
        lambda: two_heads().replace(b'"kind":"heads"', b'"kind":"entries"'),
        "bad_equivocation",
        "other",
    ),
    "another version": (lambda: two_heads().replace(b"equivocation/1", b"equivocation/2"), "bad_value", "schema"),
    "a space": (lambda: two_heads().replace(b'"schema":', b'"schema": '), "not_canonical", "equivocation"),
    "a false signature": (
        lambda: two_entries().replace(b"as told to others", b"never told at al"),
        "invalid_signature",
        "second.line 8",
    ),
}


@pytest.mark.parametrize("name", NOT_PROVEN)
def test_a_file_that_does_not_prove_what_it_claims_accuses_nobody(judge: Judge, name: str) -> None:
    make, code, field = NOT_PROVEN[name]
    ran = judge(make())
    assert ran.code == 1
    assert "NOT VERIFIED" in ran.out
    assert "the proof that a log has told two stories" in ran.out
    assert "PROVEN:" not in ran.out
    ran = judge(make(), "--json")
    assert ran.code == 1
    (file,) = json.loads(ran.out)["files"]
    assert (file["kind"], file["verified"], file["words"]) == ("equivocation", False, None)
    assert (file["error"]["code"], file["error"]["field"]) == (code, field)
    assert "equivocation" not in file


def test_a_proof_against_a_log_of_another_network_is_refused(judge: Judge) -> None:
    ran = judge(two_heads(), "--json", fingerprint="0" * 64)
    assert ran.code == 1
    assert json.loads(ran.out)["files"][0]["error"]["code"] == "wrong_fingerprint"


def test_the_newer_of_two_network_documents_judges(judge: Judge, tmp_path: Path) -> None:
    keys = [{"key": ONE.owner.log.verifier.vkey, "from": 0, "until": 3}]
    members = [ONE.owner.entry(log_keys=keys), NET.departments[1].entry()]
    later = builders.next_version(NET, builders.document_body(members, governors=NET.governors))
    first, second = tmp_path / "first.note", tmp_path / "second.note"
    first.write_bytes(NET.document)
    second.write_bytes(NET.document + b"\n" + later)
    assert judge(two_heads(), "--network", first).code == 6
    assert judge(two_heads(), "--network", second).code == 1  # the key had ended
    value = {**json.loads(two_heads()), "network": text_to_lines(second.read_bytes())}
    assert judge((canonical_json(value) + "\n").encode(), "--network", first).code == 1


def ruled_at(size: int, root: bytes) -> bytes:
    """The network document with a ruling that the first story counts up to a size."""
    coming = Signer(ONE.origin, ED25519, bytes(32))
    keys = [
        {"key": ONE.owner.log.verifier.vkey, "from": 0, "until": size},
        {"key": coming.verifier.vkey, "from": size},
    ]
    member = ONE.owner.entry(log_keys=keys, readmitted={"root": encode_base64(root), "size": size})
    body = builders.document_body([member, NET.departments[1].entry()], governors=NET.governors)
    return NET.document + b"\n" + builders.next_version(NET, body)


def test_what_the_governors_have_settled_is_said_with_their_ruling(judge: Judge, tmp_path: Path) -> None:
    root, document = root_of(ONE, FORK + 1), tmp_path / "ruled.note"
    document.write_bytes(ruled_at(FORK + 1, ONE.checkpoint(FORK + 1).root))
    assert "Settled" not in judge(two_entries()).out
    ran = judge(two_entries(), "--network", document)
    assert ran.code == 6
    assert f"the governors have ruled that the history of size 6 with root {root} counts" in ran.out
    assert "may be told otherwise to others" not in ran.out
    assert "治理方已裁定" in judge(two_entries(), "--network", document, "--lang", "zh").out
    (file,) = json.loads(judge(two_entries(), "--network", document, "--json").out)["files"]
    assert file["equivocation"]["settled"] == {"size": 6, "root": root}


def test_a_proof_whose_key_the_governors_have_ended_is_void_and_was_one(judge: Judge, tmp_path: Path) -> None:
    document = tmp_path / "ruled.note"
    document.write_bytes(ruled_at(FORK, ONE.checkpoint(FORK).root))
    ran = judge(two_entries(), "--network", document)
    assert ran.code == 1
    assert "it was proven, and the governors have made void since what it rests on" in ran.out
    assert "made void" not in judge(two_heads(second=ONE), "--network", document).out


def test_a_convicted_log_is_an_alarm_whatever_the_other_files_are(suyuan: Any, tmp_path: Path) -> None:
    files = {"proof": two_heads(), "one story": two_heads(second=ONE), "document": NET.document}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)

    def verify_all(*names: str) -> Any:
        return suyuan("verify", *(tmp_path / name for name in names), "--fingerprint", NET.fingerprint).code

    assert [verify_all("document"), verify_all("document", "one story"), verify_all(*files)] == [0, 1, 6]


def test_the_verdict_is_said_in_chinese(judge: Judge) -> None:
    ran = judge(two_entries(), "--lang", "zh")
    assert ran.code == 6
    assert f"已证实：{ONE.origin} 说法不一" in ran.out
    assert "自账目 5 起" in ran.out
    ran = judge(two_heads(second=ONE), "--lang", "zh")
    assert ran.code == 1
    assert "此文件不指控任何人" in ran.out


def test_the_errors_of_these_files_have_chinese_titles_and_hints() -> None:
    messages = language.load("zh")
    for error in (EquivocationError, NotProvenError):
        assert error.code in messages
        assert error.hint in messages


def test_the_help_speaks_of_accused_logs(suyuan: Any) -> None:
    assert verify.command.help
    assert "two stories" in suyuan("verify", "--help").out
