"""Two languages: every sentence of the command is there in Chinese, and programs never see a translation."""

import ast
import importlib
import json
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

import cli
from cli import language
from cli.command import VERBATIM, Group, columns, paragraphs, wrap
from cli.entry_view import VALUE_WORDS
from cli.main import app
from ledger import errors as ledger_errors
from node import errors as node_errors

pytest_plugins = ("departments",)

PACKAGE = Path(cli.__file__).parent
MARKERS = {"_", "noted", "Words"}


def sources() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if "zh" not in path.relative_to(PACKAGE).parts]


def marked(path: Path) -> Iterator[str]:
    """The sentences that a module marks for translation."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        places = {"plural": node.args[1:2]}.get(node.func.id, node.args[:1] if node.func.id in MARKERS else [])
        for argument in places:
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                yield argument.value


def commands(group: click.Command) -> Iterator[click.Command]:
    yield group
    if isinstance(group, Group):
        for entry in group.entries.values():
            yield from commands(importlib.import_module(entry.module).command)


def shown() -> set[str]:
    """Every sentence that the command can show in a language."""
    found = {sentence for path in sources() for sentence in marked(path)}
    for command in commands(app):
        found |= {text for text in paragraphs(command.help) if not text.startswith(VERBATIM)}
        found |= {option.help for option in command.params if isinstance(option, click.Option) and option.help}
    return found | set(VALUE_WORDS) | {"Options"}


def error_classes(module: Any) -> Iterator[type[ledger_errors.LedgerError]]:
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, ledger_errors.LedgerError):
            yield value


def fields(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


@pytest.fixture
def chinese() -> Iterator[None]:
    language.speak("zh")
    yield
    language.speak("en")


def test_every_sentence_of_the_command_has_a_chinese_translation() -> None:
    missing = sorted(shown() - language.load("zh").keys())
    assert not missing


def test_every_error_has_a_chinese_title_and_hint() -> None:
    messages = language.load("zh")
    classes = {kind for module in (ledger_errors, node_errors) for kind in error_classes(module)}
    assert not sorted({kind.code for kind in classes} - messages.keys())
    assert not sorted({kind.hint for kind in classes if kind.hint} - messages.keys())


def given_hints() -> Iterator[str]:
    """The hints that ledger and node give with an error in the place of its class's own."""
    for package in (ledger_errors, node_errors):
        assert package.__file__
        for path in sorted(Path(package.__file__).parent.rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                values = (
                    [word.value for word in node.keywords if word.arg == "hint"] if isinstance(node, ast.Call) else []
                )
                if isinstance(node, (ast.Assign, ast.AnnAssign)):
                    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                    named = any(isinstance(one, ast.Name) and one.id.endswith("HINT") for one in targets)
                    values = [node.value] if named and node.value is not None else []
                for value in values:
                    if isinstance(value, ast.Constant) and isinstance(value.value, str):
                        yield value.value


def test_every_hint_that_an_error_is_given_has_a_chinese_translation() -> None:
    missing = sorted(set(given_hints()) - language.load("zh").keys())
    assert not missing


def test_a_translation_has_the_same_fields_as_its_sentence() -> None:
    messages = language.load("zh")
    wrong = {sentence for sentence in shown() & messages.keys() if fields(sentence) != fields(messages[sentence])}
    assert not wrong


def test_a_translation_is_chinese_or_the_same_word() -> None:
    for sentence, said in language.load("zh").items():
        assert said == sentence or not said.isascii(), sentence


@pytest.mark.parametrize(
    ("arguments", "environ", "expected"),
    [
        ([], {}, "en"),
        ([], {"LANG": "zh_CN.UTF-8"}, "zh"),
        ([], {"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
        ([], {"LC_MESSAGES": "zh_CN", "LANG": "en_US.UTF-8"}, "zh"),
        ([], {"LC_ALL": "en_US.UTF-8", "SUYUAN_LANG": "zh"}, "zh"),
        (["trace", "--lang", "en"], {"SUYUAN_LANG": "zh"}, "en"),
        (["trace", "--lang=zh", "--help"], {}, "zh"),
        (["trace", "--", "--lang", "zh"], {}, "en"),
        (["trace", "--lang"], {}, "en"),
    ],
    ids=[
        "nothing says it",
        "LANG",
        "LC_ALL wins over LANG",
        "LC_MESSAGES wins over LANG",
        "SUYUAN_LANG wins",
        "the option wins",
        "the option anywhere",
        "behind -- it is no option",
        "an option without value",
    ],
)
def test_the_language_is_that_of_the_first_who_says_one(
    arguments: list[str], environ: dict[str, str], expected: str
) -> None:
    assert language.choose(arguments, environ) == expected


@pytest.mark.usefixtures("chinese")
def test_a_sentence_without_translation_is_said_in_english() -> None:
    assert language._("nobody has translated {this}", this="this") == "nobody has translated this"


@pytest.mark.usefixtures("chinese")
def test_words_for_a_program_stay_english() -> None:
    words = language.Words("{free} MB free at {folder}", free=1, folder="x")
    assert words.english == "1 MB free at x"
    assert str(words) != words.english


def test_help_is_chinese_in_a_chinese_environment(suyuan: Any) -> None:
    ran = suyuan("trace", "--help", env={"LC_ALL": "zh_CN.UTF-8"})
    assert ran.code == 0
    assert "用法：" in ran.out
    assert "选项：" in ran.out
    assert "显示" in ran.out


def test_no_line_of_chinese_help_is_wider_than_the_terminal(suyuan: Any) -> None:
    for name in ("share", "trace", "doctor"):
        lines = suyuan(name, "--help", "--lang", "zh").out.splitlines()
        assert max(columns(line) for line in lines if "suyuan" not in line) <= 80


def test_errors_and_hints_are_chinese_with_the_code_for_programs(suyuan: Any, tmp_path: Path) -> None:
    ran = suyuan("config", "show", "--config", str(tmp_path), "--lang", "zh")
    assert ran.code == 2
    assert ran.err.startswith("错误：")
    assert "[bad_config]" in ran.err
    assert "提示：" in ran.err


def test_json_is_the_same_in_every_language(suyuan: Any, network: Any) -> None:
    arguments = ("network", "show", str(network.document), "--json")
    said = [json.loads(suyuan(*arguments, "--lang", one).out) for one in language.LANGUAGES]
    assert said[0] == said[1]


def test_chinese_text_breaks_between_characters_and_never_before_punctuation() -> None:
    text = "不相信所询问的节点，证据在本机按网络指纹核验。"
    lines = wrap(text, 20)
    assert "".join(lines) == text
    assert all(columns(line) <= 21 for line in lines)  # a line may carry the punctuation that must not begin the next
    assert not any(line[0] in "，。" for line in lines)


def test_english_text_breaks_between_words() -> None:
    assert wrap("the node that is asked is not believed", 20) == ["the node that is", "asked is not", "believed"]
