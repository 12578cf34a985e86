"""The tables of docs/operations.md know every line that a node logs, and every sentence of an integrity alarm."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import ledger
import node

NODE, LEDGER = (Path(package.__file__ or "").parent for package in (node, ledger))
OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
LEVELS = {"info", "warning", "error", "critical", "exception"}  # debug is for developers
RAISING = {"IntegrityAlarm": 0, "raise_alarm": 0, "contradict": 1, "ended_words": 0}  # which argument is the sentence
EVENTS = {"failed": 1}  # of Repeats


def sentence(value: ast.expr | None) -> str | None:
    """A sentence of the source, … in the place of what is filled in."""
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return value.value
    if isinstance(value, ast.JoinedStr):
        parts = (part.value if isinstance(part, ast.Constant) else "…" for part in value.values)
        return "".join(map(str, parts))
    return None


def name_of(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def assigned(tree: ast.AST) -> dict[str, list[str]]:
    """The sentences that are given names, by name: constants, and what is worded before it is raised."""
    found: dict[str, list[str]] = {}
    for one in ast.walk(tree):
        if isinstance(one, ast.Assign) and isinstance(one.targets[0], ast.Name) and (said := sentence(one.value)):
            found.setdefault(one.targets[0].id, []).append(said)
    return found


def said_by(path: Path, arguments: dict[str, int]) -> Iterator[str]:
    """The sentences that a module gives to some functions, as such or by a name."""
    tree = ast.parse(path.read_text("utf-8"))
    names = assigned(tree)
    for call in (one for one in ast.walk(tree) if isinstance(one, ast.Call)):
        place = arguments.get(name_of(call))
        if place is None or len(call.args) <= place:
            continue
        value = call.args[place]
        said = sentence(value)
        yield from [said] if said is not None else names.get(value.id, []) if isinstance(value, ast.Name) else []


def logged() -> set[str]:
    found: set[str] = set()
    for path in NODE.rglob("*.py"):
        found |= set(said_by(path, EVENTS))
        for call in (one for one in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(one, ast.Call)):
            if isinstance(call.func, ast.Attribute) and call.func.attr in LEVELS and call.args:
                of = call.func.value
                if (isinstance(of, ast.Name) and of.id == "log") or (
                    isinstance(of, ast.Attribute) and of.attr == "_log"
                ):
                    found |= {said for said in [sentence(call.args[0])] if said}
    return found


def alarms() -> set[str]:
    found = {said for path in NODE.rglob("*.py") for said in said_by(path, RAISING)}
    found |= {f"… {words}" for words in assigned(ast.parse((LEDGER / "equivocation.py").read_text("utf-8")))["words"]}
    ended = next(
        one for one in ast.walk(ast.parse((NODE / "logs.py").read_text("utf-8")))
        if isinstance(one, ast.FunctionDef) and one.name == "ended_words"
    )  # fmt: skip
    found |= {said for one in ast.walk(ended) if isinstance(one, ast.Return) and (said := sentence(one.value))}
    return found


def told_in(section: str) -> set[str]:
    """What stands as code in a section of the document, the first column of its table above all."""
    text = OPERATIONS.read_text("utf-8").split(f"\n## {section}\n", 1)[1].split("\n## ", 1)[0]
    return set(re.findall(r"`([^`\n]+)`", text))


def test_the_collectors_find_what_the_source_says() -> None:
    assert {"a push failed", "the node is up", "a failure is over", "integrity alarm"} <= logged()
    assert {
        "… has signed two roots for size …", "the entries from … on are damaged: …",
        "two documents are signed as version … of network …",
    } <= alarms()  # fmt: skip


def test_every_line_that_a_node_logs_is_in_the_table_of_the_operations_document() -> None:
    assert not sorted(logged() - told_in("Logs"))


def test_every_sentence_of_an_integrity_alarm_is_in_the_table_of_the_operations_document() -> None:
    assert not sorted(alarms() - told_in("Integrity alarms"))
