"""suyuan doctor: each check by itself, and the command on nodes that run, stand still, and are damaged."""

import hashlib
import json
import shutil
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import builders
import pytest

from cli import diagnosis, vitals
from cli.diagnosis import CLOCK_MS_MIN, DISK_BYTES_MIN, Check, Patient
from cli.language import Words
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.equivocation import heads_proof
from ledger.merkle import TreeSize
from ledger.store import Batch, open_store
from ledger.versions import verify_chain
from node.clock import SystemClock
from node.config import Home, Settings
from node.keys import load_ring
from node.layout import equivocation_key, log_id

pytest_plugins = ("departments",)

NOW = CLOCK_MS_MIN + 86_400_000


@pytest.fixture(scope="module")
def ran_once(network: Any, start: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The court's node after it has run by itself: its log is open, nothing of it is confirmed."""
    home = tmp_path_factory.mktemp("doctor") / "court"
    shutil.copytree(network.home("court"), home)
    process = start("run", "--config", home)
    for _ in range(400):
        if (home / "head").exists():
            break
        time.sleep(0.1)
    process.terminate()
    process.communicate(timeout=30)
    return home


@pytest.fixture
def at_rest(ran_once: Path, tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    return Path(shutil.copytree(ran_once, tmp_path / "court"))


def checks(ran: Any) -> dict[str, Any]:
    said = json.loads(ran.out)
    assert said["schema"] == "suyuan.doctor/1"
    return {check["name"]: check for check in said["checks"]}


# Single checks.


def test_another_distribution_with_a_package_of_ours_is_a_problem() -> None:
    assert diagnosis.check_packages({"ledger": ["suyuan"], "node": ["suyuan"]}).status == "ok"
    found = diagnosis.check_packages({"ledger": ["suyuan", "ledger-cli"], "cli": ["cli"]})
    assert found.status == "problem"
    assert "ledger (ledger-cli)" in str(found.words)
    assert "cli (cli)" in str(found.words)


@pytest.mark.parametrize(
    ("free", "status"), [(DISK_BYTES_MIN - 1, "problem"), (DISK_BYTES_MIN, "warning"), (1 << 40, "ok")]
)
def test_the_disk_is_judged_by_what_is_left(network: Any, free: int, status: str) -> None:
    home = diagnosis.Patient(load(network), clock=None).home  # type: ignore[arg-type] # nobody asks it
    assert diagnosis.check_disk(home, free).status == status


def load(network: Any) -> Any:
    from node.config import load_home  # noqa: PLC0415 - beside its one use

    return load_home(network.home("court"))


@pytest.mark.parametrize(
    ("now", "newest", "status"),
    [(NOW, None, "ok"), (NOW, NOW, "ok"), (NOW, NOW + 1000, "problem"), (0, None, "problem")],
    ids=["a new log", "in step", "behind its own log", "in 1970"],
)
def test_the_clock_is_judged_by_its_own_log(now: int, newest: int | None, status: str) -> None:
    assert diagnosis.check_clock(now, newest).status == status


@pytest.mark.parametrize(
    ("skew", "status"), [({"a": 100}, "ok"), ({"a": 0, "b": -9000}, "warning"), ({"a": 61_000, "b": 0}, "problem")]
)
def test_the_clock_is_judged_by_the_peers(skew: dict[str, int], status: str) -> None:
    found = vitals.check_skew(skew)
    assert found is not None
    assert found.status == status


def test_without_peers_nobody_judges_the_clock() -> None:
    assert vitals.check_skew({}) is None


@pytest.mark.parametrize(
    ("health", "runs", "status"),
    [
        (None, False, "warning"),
        (None, True, "problem"),
        ({"status": "suspended", "alarms": [], "size": 1, "confirmed_size": 1}, True, "warning"),
        ({"status": "ended", "recovery": {"problem": "nobody has it"}}, True, "warning"),
        ({"status": "ok", "alarms": [], "size": 1, "confirmed_size": 1}, True, "ok"),
        ({"status": "failed", "alarms": [], "failure": "disk full"}, True, "problem"),
        ({"status": "keys_missing", "missing_keys": [{"role": "log", "key": "vkey"}]}, True, "problem"),
        ({"status": "key_awaited", "size": 63, "next_log_key": {"key": "vkey", "from": 63}}, True, "problem"),
        ({"status": "recovering", "recovery": {"answered": 0, "needed": 2, "problem": None}}, True, "problem"),
        ({"status": "recovering", "recovery": {"problem": "nobody has it"}}, True, "problem"),
        ({"status": "alarm", "alarms": [{"log": "a", "alarm": "fork"}]}, True, "damage"),
    ],
    ids=[
        "it does not run",
        "it hangs",
        "it is suspended",
        "it has ended",
        "well",
        "it cannot write",
        "a key is not here",
        "a key is not named",
        "it asks",
        "it restores",
        "alarm",
    ],
)
def test_the_running_node_is_judged_by_what_it_says(health: Any, runs: bool, status: str) -> None:
    found = vitals.check_health(health, runs=runs)
    assert found.status == status
    assert "None" not in found.words.english
    if health is not None and "missing_keys" in health:
        assert found.words.english.endswith("names: log vkey")


def test_a_node_that_does_not_answer_at_its_address_is_a_warning() -> None:
    assert vitals.check_address("https://a.example", "").status == "ok"
    found = vitals.check_address("https://a.example", "no route")
    assert (found.status, found.words.english.endswith("where the peers look for it: no route")) == ("warning", True)


@pytest.mark.parametrize(
    ("memory", "status"), [("whole", None), (None, None), ("lost", "problem"), ("unreadable", "problem")]
)
def test_a_witness_without_memory_is_a_problem(memory: str | None, status: str | None) -> None:
    found = vitals.check_memory({"status": "ok", "witness": {"logs": 1, "memory": memory}})
    assert (found.status if found is not None else None) == status
    assert vitals.check_memory({"status": "ok"}) is None


@pytest.mark.parametrize(
    ("logs", "hint"),
    [
        (["us/log", "network ordos"], "keep its folder"),
        (["network ordos"], "ask the governors"),
        (["service gossip"], "restart the node"),
        (["them/log"], "suyuan evidence list"),
    ],
    ids=["this node", "the network", "a fault of the software", "another log"],
)
def test_the_hint_to_an_alarm_is_about_what_is_in_doubt(logs: list[str], hint: str) -> None:
    alarms = [{"log": log, "alarm": "x"} for log in logs]
    found = vitals.check_health({"status": "alarm", "log": "us/log", "alarms": alarms}, runs=True)
    assert hint in found.hint


@pytest.mark.parametrize(
    ("health", "left"),
    [
        ({"status": "ok", "size": 13, "next_log_key": {"key": "vkey", "from": 63}}, "50"),
        ({"status": "key_awaited", "size": 63, "next_log_key": {"key": "vkey", "from": 63}}, None),
        ({"status": "ok", "size": 13, "next_log_key": None}, None),
        ({"status": "ok", "size": 13}, None),
    ],
    ids=["it waits", "it is told as the node's own problem", "none waits", "an older node"],
)
def test_the_entries_that_are_left_to_the_old_log_key_are_counted(health: Any, left: str | None) -> None:
    found = vitals.check_next_key(health)
    assert (found and found.words.english.rpartition("entries left: ")[2]) == left
    assert found is None or found.status == "warning"


def test_silent_peers_are_a_warning_until_the_quorum_is_out_of_reach(network: Any) -> None:
    document = verify_chain(network.document.read_bytes(), network.fingerprint)
    own, tax, court = (network.origin(name) for name in ("police", "tax", "court"))
    judged = [vitals.check_peers(document, own, silent).status for silent in ({}, {tax: "x"}, {tax: "x", court: "x"})]
    assert judged == ["ok", "warning", "problem"]


def test_the_worst_check_decides() -> None:
    def of(status: Any) -> Check:
        return Check("x", status, Words("x"))

    assert diagnosis.exit_status([]) == "ok"
    assert diagnosis.exit_status([of("warning"), of("ok")]) == "warning"
    assert diagnosis.exit_status([of("problem"), of("damage"), of("ok")]) == "damage"


# The certificate.


def with_certificate(folder: Path, name: str, *, days: int, **settings: Any) -> Patient:
    """A node with a certificate of its own making."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-days", str(days), "-subj", "/CN=police", "-addext", f"subjectAltName=DNS:{name}",
         "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    files = {"tls_certificate": Path("cert.pem"), "tls_key": Path("key.pem"), "peer_ca": Path("cert.pem")}
    net = builders.make_network(4)
    return Patient(
        Home(folder, Settings(origin=net.origins[0], **{**files, **settings})), SystemClock(), versions=[net.network]
    )


HOST = urlsplit(builders.make_network(4).network.member("police.ordos.example/log").url).hostname or ""


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes the certificate")
@pytest.mark.parametrize(
    ("name", "days", "settings", "status", "words"),
    [
        (HOST, 60, {}, "ok", f"valid for {HOST}; days left: 59"),
        (HOST, 5, {}, "warning", "days left: 4"),
        ("other.example", 60, {}, "problem", "Hostname mismatch"),
        (HOST, 60, {"peer_ca": None}, "warning", "self-signed certificate"),
        (HOST, 60, {"tls_certificate": Path("none.pem")}, "problem", "none.pem or its key"),
        (HOST, 60, {"tls_key": Path("cert.pem")}, "problem", "cannot be used"),
        (HOST, 60, {"peer_ca": Path("key.pem")}, "problem", "no certificates can be read"),
    ],
    ids=["good", "ends soon", "other name", "nobody vouches", "no file", "no key", "no authority"],
)
def test_the_certificate_is_seen_as_peers_see_it(
    tmp_path: Path, name: str, days: int, settings: Any, status: str, words: str
) -> None:
    (found,) = diagnosis.check_certificates(with_certificate(tmp_path, name, days=days, **settings))
    assert (found.name, found.status) == ("certificate", status)
    assert words in found.words.english


def test_without_tls_there_is_no_certificate_to_look_at(tmp_path: Path) -> None:
    patient = Patient(Home(tmp_path, Settings(origin="a.example/log")), SystemClock())
    assert list(diagnosis.check_certificates(patient)) == []


# The command.


def test_a_running_node_is_examined_without_disturbing_it(suyuan: Any, story: Any) -> None:
    ran = suyuan("doctor", "--config", story.network.home("police"), "--json")
    assert ran.code == 0
    found = checks(ran)
    assert {
        "config",
        "packages",
        "permissions",
        "keys",
        "network",
        "member",
        "store",
        "disk",
        "clock",
        "node",
        "peers",
    } <= found.keys()
    assert "process" in found["store"]["words"]
    assert found["peers"]["status"] == "warning"
    assert "1 of 2 peers answer" in found["peers"]["words"]
    assert found["address"]["status"] == "ok"


def test_a_running_node_is_not_examined_deeply(suyuan: Any, nodes: Any) -> None:
    ran = suyuan("doctor", "--config", nodes.home("police"), "--deep")
    assert (ran.code, ran.out) == (2, "")
    assert "store_locked" in ran.err


def test_a_node_at_rest_is_sound_to_its_last_byte(suyuan: Any, at_rest: Path) -> None:
    ran = suyuan("doctor", "--config", at_rest, "--deep", "--offline", "--json")
    assert ran.code == 0
    said = json.loads(ran.out)
    assert said["status"] in {"ok", "warning"}
    assert said["audit"]["damages"] == []
    assert {log["log"]: log["size"] for log in said["audit"]["logs"]}["court.ordos.example/log"] == 1
    people = suyuan("doctor", "--config", at_rest, "--deep", "--offline")
    assert "all of them are what they must be" in people.out


def test_damage_is_named_and_exits_with_6(suyuan: Any, at_rest: Path) -> None:
    with closing(sqlite3.connect(at_rest / "data" / "pairs.sqlite")) as database, database:
        (table,) = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchone()
        columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
        database.execute(f"DELETE FROM {table} WHERE substr({columns[0]}, 1, 1) = x'54'")  # T: hash tiles
    ran = suyuan("doctor", "--config", at_rest, "--deep", "--offline", "--json")
    assert ran.code == 6
    said = json.loads(ran.out)
    assert said["status"] == "damage"
    assert {damage["code"] for damage in said["audit"]["damages"]} == {"tile_missing"}
    people = suyuan("doctor", "--config", at_rest, "--deep", "--offline")
    assert people.code == 6
    assert "tile_missing" in people.out


def test_a_store_older_than_its_head_file_is_a_problem_that_the_peers_can_mend(
    suyuan: Any, network: Any, at_rest: Path
) -> None:
    shutil.rmtree(at_rest / "data")
    shutil.copytree(network.home("court") / "data", at_rest / "data")
    ran = suyuan("doctor", "--config", at_rest, "--offline", "--json")
    assert ran.code == 1
    found = checks(ran)["head"]
    assert found["status"] == "problem"
    assert "0 entries of this log, and 1 have been signed" in found["words"]
    assert "from its peers" in found["hint"]


def test_keys_that_others_may_read_are_a_problem(suyuan: Any, at_rest: Path) -> None:
    (at_rest / "keys" / "log.key").chmod(0o640)
    ran = suyuan("doctor", "--config", at_rest, "--offline", "--json")
    assert ran.code == 1
    found = checks(ran)
    assert found["permissions"]["status"] == "problem"
    assert "log.key" in found["permissions"]["words"]
    assert "chmod 600" in found["permissions"]["hint"]


def test_keys_of_another_department_are_a_problem(suyuan: Any, network: Any, at_rest: Path) -> None:
    shutil.copy(network.home("tax") / "keys" / "log.key", at_rest / "keys" / "log.key")
    assert checks(suyuan("doctor", "--config", at_rest, "--offline", "--json"))["keys"]["status"] == "problem"


def test_a_changed_network_document_is_a_problem_and_no_crash(suyuan: Any, at_rest: Path) -> None:
    path = at_rest / "network.note"
    path.write_bytes(path.read_bytes().replace(b"cn-2025", b"qingdao"))
    ran = suyuan("doctor", "--config", at_rest, "--offline", "--json")
    assert ran.code == 1
    assert "fingerprint" in checks(ran)["network"]["words"]
    assert suyuan("doctor", "--config", at_rest, "--offline", "--deep").code == 1


def test_a_missing_store_is_a_problem_and_no_crash(suyuan: Any, at_rest: Path) -> None:
    shutil.rmtree(at_rest / "data")
    ran = suyuan("doctor", "--config", at_rest, "--offline", "--json")
    assert ran.code == 1
    assert checks(ran)["store"]["status"] == "problem"


def test_a_node_that_is_not_there_has_no_store_open(suyuan: Any, at_rest: Path) -> None:
    shutil.rmtree(at_rest / "data")
    found = checks(suyuan("doctor", "--config", at_rest, "--json"))
    assert (found["node"]["status"], found["node"]["words"]) == ("warning", "it does not run")
    assert "suyuan init DIR --rebuild" in found["store"]["hint"]


def spoil(path: Path) -> None:
    path.write_bytes(b"\xff\x00 this is not what was here\n")


REST = {"packages", "permissions", "tokens", "store", "disk", "clock"}


@pytest.mark.parametrize("deep", [(), ("--deep",)], ids=["at a glance", "deep"])
@pytest.mark.parametrize(
    ("damaged", "name", "code"),
    [
        ("data/pairs.sqlite", "store", 6),
        ("data/STORE", "store", 6),
        ("network.note", "network", 1),
        ("suyuan.toml", "config", 1),
        ("tokens.json", "tokens", 1),
        ("head", "head", 6),
        ("keys/log.key", "keys", 1),
    ],
)
def test_damage_to_one_file_is_one_finding_and_all_other_checks_are_made(
    suyuan: Any, at_rest: Path, damaged: str, name: str, code: int, deep: tuple[str, ...]
) -> None:
    spoil(at_rest / damaged)
    ran = suyuan("doctor", "--config", at_rest, "--offline", "--json", *deep)
    assert ran.code == code, ran.err
    found = checks(ran)
    assert found.keys() >= REST | {name}
    assert found[name]["status"] in {"problem", "damage"}
    others = {one for one in found if found[one]["status"] in {"problem", "damage"}} - {name, "audit"}
    others -= {"member"} if name == "keys" else set()  # it compares the keys
    assert not others
    people = suyuan("doctor", "--config", at_rest, "--offline", *deep)
    assert people.code == code
    assert name in people.out


@pytest.mark.parametrize("damaged", ["data/pairs.sqlite", "network.note", "suyuan.toml"])
def test_what_could_not_be_verified_deeply_is_said(suyuan: Any, at_rest: Path, damaged: str) -> None:
    spoil(at_rest / damaged)
    said = json.loads(suyuan("doctor", "--config", at_rest, "--offline", "--deep", "--json").out)
    assert "audit" not in said
    assert [check["status"] for check in said["checks"] if check["name"] == "audit"] == ["problem"]


def test_without_readable_settings_nobody_knows_the_log(suyuan: Any, at_rest: Path) -> None:
    spoil(at_rest / "suyuan.toml")
    ran = suyuan("doctor", "--config", at_rest, "--json")
    assert (ran.code, json.loads(ran.out)["log"]) == (1, None)


def test_a_head_file_that_is_empty_is_damage_and_no_crash(suyuan: Any, at_rest: Path) -> None:
    (at_rest / "head").write_bytes(b"")
    ran = suyuan("doctor", "--config", at_rest, "--offline", "--deep", "--json")
    assert ran.code == 6
    found = checks(ran)
    assert found["head"]["status"] == found["audit"]["status"] == "damage"


def test_the_alarms_of_a_running_node_are_shown_without_a_token(suyuan: Any, at_rest: Path, liar: Any) -> None:
    alarm = {"log": "court.ordos.example/log", "alarm": "peers hold 7 entries of this node's own log, it has 1"}

    def lie(honest: Any) -> tuple[int, str, bytes]:
        told = {**honest.json(), "status": "alarm", "alarms": [alarm]}
        return 503, "application/json", json.dumps(told).encode()

    liar.lies["/v1/health"] = lie
    ran = suyuan("doctor", "--config", at_rest, "--json", env={"SUYUAN_PORT": liar.url.rpartition(":")[2]})
    assert ran.code == 6
    assert checks(ran)["node"]["status"] == "damage"
    assert alarm["alarm"] in checks(ran)["node"]["words"]


@pytest.mark.parametrize(
    ("told", "status", "words"),
    [
        (None, None, ""),
        ({"vouched": None, "stale": []}, "ok", "no quorum has vouched for this log yet"),
        ({"vouched": "2026-11-21T08:15:30.000Z", "stale": []}, "ok", "for this one at 2026-11-21T08:15:30.000Z"),
        (
            {"vouched": None, "stale": [{"log": "tax.example/log", "vouched": "2026-11-20T08:15:30.000Z"}]},
            "warning",
            "tax.example/log (2026-11-20T08:15:30)",
        ),
    ],
)
def test_logs_that_no_quorum_vouches_for_any_more_are_a_warning(told: Any, status: str | None, words: str) -> None:
    found = vitals.check_freshness({"freshness": told} if told is not None else {})
    assert (found.status if found is not None else None) == status
    assert words in (found.words.english if found is not None else "")


def test_a_running_node_is_asked_how_fresh_its_logs_are(suyuan: Any, at_rest: Path, liar: Any) -> None:
    def lie(honest: Any) -> tuple[int, str, bytes]:
        stale = [{"log": "tax.ordos.example/log", "vouched": "2026-11-20T08:15:30.000Z"}]
        told = {**honest.json(), "freshness": {"vouched": None, "stale": stale}}
        return 200, "application/json", json.dumps(told).encode()

    liar.lies["/v1/health"] = lie
    ran = suyuan("doctor", "--config", at_rest, "--json", env={"SUYUAN_PORT": liar.url.rpartition(":")[2]})
    assert checks(ran)["freshness"]["status"] == "warning"


def test_a_node_without_settings_cannot_be_examined(suyuan: Any, tmp_path: Path) -> None:
    assert suyuan("doctor", "--config", tmp_path).code == 2


def test_a_doctor_speaks_chinese_to_people_and_english_to_programs(suyuan: Any, at_rest: Path) -> None:
    people = suyuan("doctor", "--config", at_rest, "--offline", "--lang", "zh").out
    assert "他人无法读取密钥" in people
    program = checks(suyuan("doctor", "--config", at_rest, "--offline", "--lang", "zh", "--json"))
    assert program["permissions"]["words"] == "nobody else can read the keys"


# Proofs that logs have told two stories.


def keep_proof(network: Any, home: Path, data: bytes, name: str) -> None:
    with closing(open_store(home / "data")) as store:
        batch = Batch()
        batch.put(equivocation_key(log_id(network.origin("tax")), name), data)
        store.write(batch)


def test_a_stopped_nodes_proofs_are_found_and_judged_again(suyuan: Any, network: Any, at_rest: Path) -> None:
    signer = load_ring(network.home("tax") / "keys", network.origin("tax")).newest.log
    notes = [
        sign_checkpoint(signer, Checkpoint(network.origin("tax"), TreeSize(4), bytes([number]) * 32))
        for number in (1, 2)
    ]
    data = heads_proof(network.document.read_bytes(), *notes)
    ran = suyuan("doctor", "--config", at_rest, "--offline", "--deep", "--json")
    assert checks(ran)["evidence"]["status"] == "ok"
    keep_proof(network, at_rest, data, hashlib.sha256(data).hexdigest())
    ran = suyuan("doctor", "--config", at_rest, "--offline", "--deep", "--json")
    assert ran.code == 6
    assert "has signed two roots for size 4" in checks(ran)["evidence"]["words"]
    assert json.loads(ran.out)["audit"]["damages"] == []
    keep_proof(network, at_rest, b"{}\n", "0" * 64)
    ran = suyuan("doctor", "--config", at_rest, "--offline", "--json")
    assert "no proof any more" in checks(ran)["evidence"]["words"]


def test_an_alarm_about_another_log_does_not_ask_to_stop_the_node() -> None:
    told = {"status": "alarm", "log": "own", "alarms": [{"log": "other", "alarm": "two stories"}]}
    assert "suyuan evidence list" in vitals.check_health(told, runs=True).hint
    told["alarms"] = [{"log": "own", "alarm": "two stories"}]
    assert "stop the node" in vitals.check_health(told, runs=True).hint
