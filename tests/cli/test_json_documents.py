"""docs/cli-json.md is right: every schema is in it, and every example has the members that are printed."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

import cli

pytest_plugins = ("departments",)

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "cli-json.md"
ELSEWHERE = {"suyuan.evidence/1"}  # a file, not an answer

Value = dict[str, Any]


def examples() -> dict[str, Value]:
    blocks = re.findall(r"^```json\n(.*?)^```", DOCUMENT.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return {value["schema"]: value for value in map(json.loads, blocks)}


def members(value: Any, path: str = "") -> set[str]:
    """The paths of all members of a JSON value; of a list, those of all its items: each alone may lack some."""
    if isinstance(value, list):
        return {deeper for item in value for deeper in members(item, f"{path}[]")}
    if not isinstance(value, dict):
        return set()
    return {f"{path}.{name}" for name in value} | {
        deeper for name, item in value.items() for deeper in members(item, f"{path}.{name}")
    }


def test_every_schema_of_the_command_is_documented() -> None:
    package = Path(cli.__file__).parent
    text = "".join(path.read_text("utf-8") for path in package.rglob("*.py"))
    printed = set(re.findall(r"suyuan\.[a-z-]+/[0-9]+", text)) - ELSEWHERE
    assert printed <= examples().keys()


def test_every_example_is_in_the_table_of_schemas() -> None:
    table = set(re.findall(r"^\| \[`(suyuan\.[a-z-]+/[0-9]+)`\]", DOCUMENT.read_text("utf-8"), re.MULTILINE))
    assert table == examples().keys()


def revision(folder: Path) -> list[Any]:
    """Options that change something and have all that can be said of it."""
    return ["--faults", 1, "--suspend", "court.ordos.example/log", "--out", folder / "next.draft"]


@pytest.fixture
def printed(suyuan: Any, story: Any, tmp_path: Path) -> dict[str, Value]:
    """What the commands print, by schema."""
    from departments import wait_until  # noqa: PLC0415 - not before pytest has loaded it as a plugin

    network, ask = story.network, story.network.ask("police")
    wait_until(lambda: any(peer["logs"] for peer in json.loads(suyuan("peers", *ask, "--json").out)["peers"]))
    bad = tmp_path / "bad"
    bad.write_text("{}")
    share = (
        "share", "--consumer", network.origin("tax"), "--resource", "r", "--purpose", "p", "--method", "api", *ask,
    )  # fmt: skip
    calls: list[tuple[Any, ...]] = [
        ("trace", story.record, *ask),
        ("show", story.share, *ask),
        share,
        ("verify", bad, "--fingerprint", network.fingerprint),
        ("network", "show", network.document),
        ("network", "revise", network.document, *revision(tmp_path)),
        ("network", "adopt", network.document, "--config", network.home("court")),
        ("ref", "1", "--config", network.home("police")),
        ("logs", *ask),
        ("evidence", "list", *ask),
        ("peers", *ask),
        ("log", "history", network.origin("police"), *ask),
        ("keys", "list", "--config", network.home("police")),
        ("witness", "show", *ask),
        ("token", "list", "--config", network.home("police")),
        ("config", "show", "--config", network.home("police")),
        ("doctor", "--config", network.home("police"), "--offline"),
    ]
    values = [json.loads(suyuan(*call, "--json").out) for call in calls]
    return {value["schema"]: value for value in values}


def test_every_example_has_the_members_that_are_printed(printed: dict[str, Value]) -> None:
    documented = examples()
    for schema, value in printed.items():
        expected = members(documented[schema])
        if schema == "suyuan.doctor/1":
            expected = {path for path in expected if not path.startswith(".audit")}
        if schema == "suyuan.witness/1":  # it witnesses no foreign log, so there is nothing below
            expected = {path for path in expected if path.count(".") == 1 and "[]" not in path}
        if schema == "suyuan.equivocations/1":  # nobody has lied here; tests/cli/test_evidence_command.py compares one
            assert value["equivocations"] == []
            expected = {path for path in expected if not path.startswith(".equivocations[]")}
        if schema == "suyuan.entry/1":  # an event of another type has other members
            value["event"] = {"type": value["event"]["type"]}
        assert members(value) == expected, schema


def test_every_schema_that_needs_no_other_system_was_compared(printed: dict[str, Value]) -> None:
    assert printed.keys() == examples().keys() - {"suyuan.import/1", "suyuan.demo/1"}
