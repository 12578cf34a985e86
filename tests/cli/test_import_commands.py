"""``suyuan import``: options, reports and exit codes; and real nodes, to which each department tells its own side."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from shared_vectors import shared_file

from cli import exits
from cli.demo.cluster import Cluster
from cli.demo.network import DemoNetwork, Plan, make_network
from cli.main import main

AT = "2026-11-21T08:15:{:02}.000Z"
HEAD = "record,provider,consumer,occurred_at,purpose,channel"
CHAIN = [
    HEAD,
    f"case-1,police,tax,{AT.format(1)},check,post",
    f"case-1,tax,court,{AT.format(2)},check,post",
    f"case-1,court,police,{AT.format(3)},return,post",
    f"case-2,税务局,police,{AT.format(4)},check,post",
    f"case-3,police,tax,{AT.format(5)},check,post",
    f"case-4,police,tax,{AT.format(5)},check,post",
]
FAST = {"checkpoint_interval_ms": 50, "pull_interval_ms": 300}


def make(folder: Path) -> DemoNetwork:
    names = {"police": "公安局", "tax": "税务局", "court": "法院"}
    plans = [Plan(id=name, name_zh=zh, name_en=name) for name, zh in names.items()]
    return make_network(folder, plans, settings=FAST)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> DemoNetwork:
    """Three departments whose nodes do not run."""
    return make(tmp_path_factory.mktemp("network"))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "chain.csv"
    path.write_text("\n".join(CHAIN) + "\n", "utf-8")
    return path


@pytest.fixture
def names(tmp_path: Path) -> Path:
    path = tmp_path / "map.toml"
    origins = {"TEST1": "police", "TEST2": "tax", "TEST3": "court"}
    lines = [f'"LTT/TEST/{code}" = "{name}.demo.example/log"' for code, name in origins.items()]
    path.write_text("\n".join(["[members]", *lines, "[purposes]", '"LTT/TEST/TEST2" = "relief"', ""]), "utf-8")
    return path


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SUYUAN_CONFIG", "SUYUAN_TOKEN", "SUYUAN_TOKEN_FILE", "SUYUAN_URL", "SUYUAN_CA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SUYUAN_LANG", "en")


def arguments(network: DemoNetwork, *departments: str, tokens: bool = True) -> list[str]:
    found = []
    for name in departments:
        department = network.departments[name]
        found += ["--config", str(department.home.folder)]
        found += ["--token-file", str(department.token_file)] if tokens else []
    return found


def rehearse(capsys: pytest.CaptureFixture[str], *command: str | Path) -> tuple[int, dict[str, Any]]:
    code = main(["import", *map(str, command), "--dry-run", "--json"])
    return code, json.loads(capsys.readouterr().out)


def call(side: str, **changes: Any) -> dict[str, Any]:
    client, service = ({f"{role}XRoadInstance": "LTT", f"{role}MemberClass": "TEST"} for role in ("client", "service"))
    return {
        **client, **service, "clientMemberCode": "TEST1", "serviceMemberCode": "TEST2", "serviceCode": "payloadgen",
        "securityServerType": side, "requestInTs": 1_671_066_024_379, "responseOutTs": 1_671_066_024_390,
        "messageId": "m-1", "xRequestId": "r-1", "succeeded": True, "messageUserId": "38001085718", **changes,
    }  # fmt: skip


def calls(folder: Path, *records: dict[str, Any], name: str = "calls.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(list(records)), "utf-8")
    return path


# Dry runs: no node is asked, and none is running.


def test_a_dry_run_tells_what_would_be_recorded(
    network: DemoNetwork, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, report = rehearse(capsys, "csv", table, *arguments(network, "police", "tax", "court", tokens=False))
    assert code == exits.OK
    assert report == {
        "schema": "suyuan.import/1",
        "source": "csv",
        "files": [str(table)],
        "departments": [f"{name}.demo.example/log" for name in ("police", "tax", "court")],
        "dry_run": True,
        "aborted": None,
        "read": 6,
        "others": 0,
        "shares": {"made": 6, "there": 0},
        "receipts": {"made": 6, "there": 0},
        "waiting": {"count": 0, "listed": []},
        "refused": {"count": 0, "listed": []},
        "unmapped": {},
        "labels": {"channel": "channel"},
    }


def test_a_department_s_own_side_of_a_file_is_told_from_the_others(
    network: DemoNetwork, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, report = rehearse(capsys, "csv", table, *arguments(network, "court"))
    assert (report["others"], report["shares"]["made"], report["receipts"]["made"]) == (4, 1, 1)


def test_refusals_have_line_and_reason_and_exit_code_1(
    network: DemoNetwork, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.csv"
    lines = [
        f"{HEAD},rows",
        f"c,police,tax,{AT.format(1)},x,y,many",
        f"c,police,nobody,{AT.format(2)},x,y,",
        f"d,police,tax,{AT.format(3)},{'x' * 501},y,1",
    ]
    path.write_text("\n".join(lines), "utf-8")
    code, report = rehearse(capsys, "csv", path, *arguments(network, "police"))
    assert code == exits.FINDINGS
    listed = report["refused"]["listed"]
    assert sorted((one["place"], one["code"]) for one in listed) == [
        ("line 2", "bad_transfers"), ("line 3", "unknown_name"), ("line 4", "too_long"),
    ]  # fmt: skip
    assert report["unmapped"] == {"nobody": 1}


def test_a_file_of_which_nothing_is_ours_and_a_name_is_unknown_is_a_finding(
    network: DemoNetwork, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "strange.csv"
    path.write_text(f"record,provider,consumer,occurred_at\nc,front desk,tax,{AT.format(1)}\n", "utf-8")
    code, report = rehearse(capsys, "csv", path, *arguments(network, "police"))
    assert (code, report["others"], report["unmapped"]) == (exits.FINDINGS, 1, {"front desk": 1})
    mapped = tmp_path / "names.csv"
    mapped.write_text("name,origin\nfront desk,police.demo.example/log\n", "utf-8")
    code, report = rehearse(capsys, "csv", path, *arguments(network, "police"), "--map", mapped)
    assert (code, report["shares"]["made"]) == (exits.OK, 1)


def test_an_unusable_table_is_wrong_use(
    network: DemoNetwork, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "no.csv"
    path.write_text("a,b\n1,2\n", "utf-8")
    assert main(["import", "csv", str(path), *arguments(network, "police")]) == exits.USAGE
    assert "bad_transfers" in capsys.readouterr().err


def test_people_are_told_what_is_refused_and_what_to_do(
    network: DemoNetwork, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(f"record,provider,consumer,occurred_at\nc,police,tax\u202e,{AT.format(1)}\n", "utf-8")
    command = ["import", "csv", str(path), *arguments(network, "police"), "--dry-run"]
    assert main(command) == exits.FINDINGS
    told = capsys.readouterr()
    assert "line 2: no member is known by the name 'tax\\u202e' [unknown_name]" in " ".join(told.out.split())
    assert "say in a map (--map) whose log it is" in told.err
    assert main([*command, "--lang", "zh"]) == exits.FINDINGS
    told = capsys.readouterr()
    assert "名称不对应任何成员" in told.out
    assert "请在对应表（--map）中说明它是谁的账本" in told.err


def test_people_are_told_in_words(network: DemoNetwork, table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "csv", str(table), *arguments(network, "police"), "--dry-run"]) == exits.OK
    told = capsys.readouterr()
    assert "3 to be recorded" in told.out
    assert "Nothing was recorded" in told.err


def test_xroad_calls_are_told_by_what_became_of_them(
    network: DemoNetwork, tmp_path: Path, names: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = [call("Client"), call("Producer")]
    lonely = call("Producer", xRequestId="r-2", messageId="m-2")
    failed = call("Client", xRequestId="r-3", succeeded=False)
    broken = call("Client", responseOutTs=None)
    source = calls(tmp_path, *both, both[0], lonely, failed, broken)
    code, report = rehearse(capsys, "xroad", source, *arguments(network, "police", "tax"), "--map", names)
    assert code == exits.FINDINGS
    assert (report["shares"]["made"], report["receipts"]["made"]) == (2, 1)
    counts = {
        name: report[name] for name in ("read", "calls", "duplicates", "failed", "internal", "unidentified", "others")
    }
    assert counts == {
        "read": 6, "calls": 3, "duplicates": 1, "failed": 1, "internal": 0, "unidentified": 0, "others": 0,
    }  # fmt: skip
    assert report["orphans"] == {
        "count": 1,
        "by_department": {"police.demo.example/log": 1},
        "listed": [
            {
                "time": "2022-12-15T01:00:24.390Z", "message_id": "m-2", "request_id": "r-2",
                "client": "LTT/TEST/TEST1", "service": "LTT/TEST/TEST2/payloadgen", "missing": "client",
                "department": "police.demo.example/log", "place": "calls.json record 4",
            }
        ],
    }  # fmt: skip
    assert [one["place"] for one in report["refused"]["listed"]] == ["calls.json record 6"]


def test_a_damaged_xroad_file_is_told_with_the_rest_and_nothing_is_recorded(
    network: DemoNetwork, tmp_path: Path, names: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No node is running: recording would fail."""
    good = calls(tmp_path, call("Client"), call("Producer"))
    cut = tmp_path / "cut.json"
    cut.write_text(json.dumps([call("Client")])[:-20], "utf-8")
    options = [*arguments(network, "police", "tax"), "--map", str(names)]
    assert main(["import", "xroad", str(good), str(cut), *options, "--json"]) == exits.USAGE
    report = json.loads(capsys.readouterr().out)
    assert report["dry_run"] is True
    assert report["calls"] == 1
    assert [one["code"] for one in report["damaged"]] == ["bad_xroad_file"]
    assert main(["import", "xroad", str(good), str(cut), *options]) == exits.USAGE
    assert "cut.json record 1" in capsys.readouterr().out


def test_a_purpose_is_asked_for_where_x_road_logs_none(
    network: DemoNetwork, tmp_path: Path, names: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    swapped = {"clientMemberCode": "TEST2", "serviceMemberCode": "TEST1"}
    source = calls(tmp_path, call("Client", **swapped), call("Producer", **swapped))
    command: tuple[str | Path, ...] = ("xroad", source, *arguments(network, "police", "tax"), "--map", names)
    code, report = rehearse(capsys, *command)
    assert code == exits.FINDINGS
    assert [one["code"] for one in report["refused"]["listed"]] == ["no_purpose", "source_refused"]
    assert rehearse(capsys, *command, "--purpose", "relief")[0] == exits.OK


def test_people_are_told_which_side_is_missing_and_when(
    network: DemoNetwork, tmp_path: Path, names: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = calls(tmp_path, *(call("Client", xRequestId=f"r-{number}") for number in range(25)))
    main(["import", "xroad", str(source), *arguments(network, "police"), "--map", str(names), "--dry-run"])
    told = " ".join(capsys.readouterr().out.split())
    assert "2022-12-15T01:00:24.390Z m-1 LTT/TEST/TEST1" in told
    assert "the provider's side, tax.demo.example/log" in told
    assert "… and 5 more" in told


# Options.


def test_the_same_folder_twice_is_refused(
    network: DemoNetwork, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", "csv", str(table), *arguments(network, "police", "police")]) == exits.USAGE
    assert "two folders" in capsys.readouterr().err


def test_tokens_are_given_for_every_folder_or_for_none(
    network: DemoNetwork, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [
        *arguments(network, "police", "tax", tokens=False),
        "--token-file",
        str(network.departments["tax"].token_file),
    ]
    assert main(["import", "csv", str(table), *options]) == exits.USAGE
    assert "--token-file once for each --config" in capsys.readouterr().err


def test_folders_of_two_networks_are_refused(
    network: DemoNetwork, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = make(tmp_path / "other")
    options = [*arguments(network, "police"), *arguments(other, "tax")]
    assert main(["import", "csv", str(table), *options]) == exits.USAGE
    assert "different networks" in capsys.readouterr().err


def test_a_map_to_no_member_is_refused(
    network: DemoNetwork, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "map.toml"
    path.write_text('[members]\n"x" = "d9.test/log"\n', "utf-8")
    assert main(["import", "csv", str(table), *arguments(network, "police"), "--map", str(path)]) == exits.USAGE
    assert "bad_map" in capsys.readouterr().err


def test_a_node_that_does_not_run_is_told_after_the_report(
    network: DemoNetwork, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", "csv", str(table), *arguments(network, "police"), "--json"]) == exits.UNREACHABLE
    told = capsys.readouterr()
    assert json.loads(told.out)["aborted"] == "unreachable"
    assert "unreachable" in told.err


# Real nodes.


@pytest.mark.slow
async def test_three_nodes_record_both_sides_whoever_imports_first_and_nothing_twice(
    tmp_path: Path, table: Path, names: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = make(tmp_path / "net")

    async def run(*command: str | Path, by: str) -> tuple[int, dict[str, Any]]:
        options = arguments(network, *by.split())
        capsys.readouterr()
        code = await asyncio.to_thread(main, ["import", *map(str, command), *options, "--json"])
        return code, json.loads(capsys.readouterr().out)

    def numbers(report: dict[str, Any]) -> list[int]:
        counts = [*report["shares"].values(), *report["receipts"].values()]
        return [*counts, report["waiting"]["count"], report["refused"]["count"]]

    async with Cluster(network, say=lambda _: None) as cluster:
        # A consumer that imports first waits; its onward share waits with it.
        code, report = await run("csv", table, by="tax")
        assert (code, numbers(report)) == (exits.FINDINGS, [1, 0, 0, 0, 4, 0])
        code, report = await run("csv", table, by="police")
        assert (code, report["shares"]) == (exits.FINDINGS, {"made": 3, "there": 0})
        # Those who are operated together finish it; what was there is recognised.
        code, report = await run("csv", table, by="police tax court")
        assert (code, report["waiting"]["count"], report["refused"]["count"]) == (exits.OK, 0, 0)
        assert report["shares"] == {"made": 2, "there": 4}
        assert sum(report["receipts"].values()) == 6
        code, report = await run("csv", table, by="police tax court")
        assert (code, numbers(report)) == (exits.OK, [0, 6, 0, 6, 0, 0])
        code, report = await run("csv", table, by="tax")
        assert (code, numbers(report)) == (exits.OK, [0, 2, 0, 3, 0, 0])
        await check_trace(network, cluster)

        # X-Road: the consumer first, then the provider, then the real files.
        source = calls(
            tmp_path, call("Client"), call("Client", xRequestId="r-2", succeeded=False, faultCode="Server.X")
        )
        producer = calls(tmp_path, call("Producer"), call("Producer", xRequestId="r-2"), name="producer.json")
        code, report = await run("xroad", source, "--map", names, by="police")
        assert (code, numbers(report), report["orphans"]["count"], report["failed"]) == (exits.FINDINGS, [0] * 6, 1, 1)
        code, report = await run("xroad", producer, "--map", names, by="tax")
        assert (code, numbers(report), report["orphans"]["count"]) == (exits.FINDINGS, [2, 0, 0, 0, 0, 0], 2)
        code, report = await run("xroad", source, "--map", names, "--wait", "10", by="police")
        assert (code, numbers(report), report["orphans"]["count"]) == (exits.OK, [0, 0, 2, 0, 0, 0], 0)
        code, report = await run("xroad", source, producer, "--map", names, by="police tax")
        assert (code, numbers(report)) == (exits.OK, [0, 2, 0, 2, 0, 0])
        await check_real_xroad(run, names)


async def check_trace(network: DemoNetwork, cluster: Cluster) -> None:
    """Every node tells of the record what the file says, as soon as it has mirrored the logs."""
    answer = await cluster.clients["tax"].get("/v1/entry", params={"log": "police.demo.example/log", "index": 1})
    [reference] = answer.json()["event"]["records"]
    expected = [("police", "tax", AT.format(1)), ("tax", "court", AT.format(2)), ("court", "police", AT.format(3))]
    for name in network.departments:
        hops: list[dict[str, Any]] = []
        for _ in range(100):
            answer = await cluster.clients[name].get(f"/v1/records/{reference}/trace")
            hops = answer.json().get("hops", [])
            if len(hops) == len(expected) and all(hop["outcome"] == "accepted" for hop in hops):
                break
            await asyncio.sleep(0.1)
        told = [(hop["from"].partition(".")[0], hop["to"].partition(".")[0], hop["occurred_at"]) for hop in hops]
        assert told == expected
        assert all(hop["outcome"] == "accepted" and hop["verified"] for hop in hops)


async def check_real_xroad(run: Callable[..., Any], names: Path) -> None:
    files = ["batch_1", "batch_2", "case_insensitive_enums", "duplicates"]
    try:
        paths = [shared_file(f"xroad-opmon/raw_messages_{name}.json") for name in files]
    except pytest.skip.Exception:
        return
    for made, there in (([6, 4], [0, 0]), ([0, 0], [6, 4])):
        code, report = await run("xroad", *paths, "--map", names, "--purpose", "test", by="police tax court")
        assert code == exits.FINDINGS
        assert [report[kind]["made"] for kind in ("shares", "receipts")] == made
        assert [report[kind]["there"] for kind in ("shares", "receipts")] == there
        counts = {name: report[name] for name in ("read", "calls", "duplicates", "failed", "internal", "unidentified")}
        assert counts == {"read": 25, "calls": 12, "duplicates": 4, "failed": 4, "internal": 2, "unidentified": 2}
        assert report["orphans"]["count"] == 2
        assert report["unmapped"] == {"LTT/CS/CS1": 1}
