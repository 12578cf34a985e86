"""Two languages: every sentence of the command is there in Chinese, and programs never see a translation."""

import ast
import importlib
import json
import re
import string
from collections.abc import Iterator
from pathlib import Path
from time import process_time
from typing import Any

import click
import pytest

import cli
from cli import language
from cli.command import VERBATIM, Group, columns, paragraphs, wrap
from cli.entry_view import VALUE_WORDS
from cli.main import app
from cli.zh import details
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


def trees() -> Iterator[ast.Module]:
    """The modules of ledger and node."""
    for package in (ledger_errors, node_errors):
        for path in sorted(Path(package.__file__ or "").parent.rglob("*.py")):
            yield ast.parse(path.read_text("utf-8"))


def codes() -> Iterator[str]:
    """The codes of all errors of ledger and node."""
    for tree in trees():
        for kind in (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)):
            for node in kind.body:
                if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.Constant):
                    target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                    if isinstance(target, ast.Name) and target.id == "code" and isinstance(node.value.value, str):
                        yield node.value.value


def test_every_error_has_a_chinese_title() -> None:
    found = set(codes())
    assert {"no_quorum", "read_only", "peer_slow", "peer_wrong_authority"} <= found
    assert not sorted(found - language.load("zh").keys())


def given_hints() -> Iterator[str]:
    """The hints of errors of ledger and node: of their classes, and given in the place of those."""
    for tree in trees():
        for node in ast.walk(tree):
            values = [word.value for word in node.keywords if word.arg == "hint"] if isinstance(node, ast.Call) else []
            if isinstance(node, (ast.Assign, ast.AnnAssign)):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                named = any(isinstance(one, ast.Name) and one.id.upper().endswith("HINT") for one in targets)
                values = [node.value] if named and node.value is not None else []
            for value in values:
                if isinstance(value, ast.Constant) and isinstance(value.value, str) and value.value:
                    yield value.value


def test_every_hint_that_an_error_is_given_has_a_chinese_translation() -> None:
    missing = sorted(set(given_hints()) - language.load("zh").keys())
    assert not missing


def test_every_check_of_the_doctor_has_a_chinese_name() -> None:
    read = [ast.parse((PACKAGE / name).read_text("utf-8")) for name in ("diagnosis.py", "vitals.py")]
    nodes = [node for tree in read for node in ast.walk(tree)]
    calls = [node for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    names = {
        str(call.args[0].value)
        for call in calls
        if call.func.id in {"Check", "failed", "_tried"} and isinstance(call.args[0], ast.Constant)  # type: ignore[attr-defined]
    }
    assert {"config", "node", "skew"} <= names
    assert not {f"check_{name}" for name in names} - language.load("zh").keys()


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


def test_one_thing_is_said_in_the_singular() -> None:
    said = [language.Words("{count} tokens", one="{count} token", count=count).english for count in (0, 1, 2)]
    assert said == ["0 tokens", "1 token", "2 tokens"]
    language.speak("zh")
    assert str(language.Words("{count} tokens", one="{count} token", count=1)) == "1 个令牌"
    language.speak("en")


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


# What errors and alarms say of the case at hand.


def worded() -> set[str]:
    """Every text of the three packages, ``{}`` in the place of what is filled in."""
    found: set[str] = set()
    for package in (PACKAGE, *(Path(module.__file__ or "").parent for module in (ledger_errors, node_errors))):
        for path in package.rglob("*.py"):
            if "zh" not in path.relative_to(package).parts:
                found |= {shape(node) for node in ast.walk(ast.parse(path.read_text("utf-8")))}
    return found


def shape(node: ast.AST) -> str:
    if isinstance(node, ast.JoinedStr):
        text = "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        return text.replace("{}#{}", "{}")  # an entry
    return str(node.value) if isinstance(node, ast.Constant) else ""


def test_every_detail_that_is_translated_is_what_the_source_says() -> None:
    known = worded()
    known |= {
        f"{{}} {text}" for text in known if text.startswith("has signed")
    }  # ledger/equivocation.py puts the log first
    stale = sorted(form for form in details.DETAILS if re.sub(r"\{\w+\}", "{}", form) not in known)
    assert not stale


def test_a_detail_has_the_same_fields_in_chinese() -> None:
    assert not {form for form, said in details.DETAILS.items() if fields(form) != fields(said)}
    assert len(details.DETAILS) >= 30


@pytest.mark.usefixtures("chinese")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("signatures: version 2 has 1 of the 2 signatures that it needs by governors of version 1",
         "signatures：第 2 版须有 2 个签名（按第 1 版的治理方），现有 1 个"),
        ("http://127.0.0.1:1 did not answer: [Errno 111] Connection refused", "http://127.0.0.1:1 无应答：连接被拒绝"),
        ("this node's own log is in doubt: a/log has signed two roots for size 4",
         "本节点自己的账本存疑：a/log 为同一长度 4 签了两个根"),
        ("a/log has signed two roots for size 4; b/log has signed two entries with index 5",
         "a/log 为同一长度 4 签了两个根；b/log 签了两条编号同为 5 的账目"),
        ("index: a/log has 8 entries here, none with index 9", "index：a/log 在此有 8 条账目，没有第 9 条"),
        ("log_key: pkcs11: is no place for a key (known: file:, env:, exec:)",
         "log_key：pkcs11: 不是存放密钥的方式（已知：file:, env:, exec:）"),
        ("log_key: without a scheme it is no place for a key (known: file:, env:)",
         "log_key：没有写明方式，不能用来指明密钥（已知：file:, env:）"),
        ("keys/log.key: line 3: this is no key file", "keys/log.key：line 3：这不是密钥文件"),
        ("nobody has translated {this}: not at all", "nobody has translated {this}: not at all"),
        ("b/log has {braces} and words", "b/log has {braces} and words"),
        ("x is x in version {0} of the network document", "x 在网络文件第 {0} 版中的状态为 x"),
        ("this takes a token" + "!" * 2000, "this takes a token" + "!" * 2000),
    ],
)  # fmt: skip
def test_what_an_error_says_is_said_in_chinese_where_its_form_is_known(text: str, said: str) -> None:
    assert language.detail(text) == said


@pytest.mark.usefixtures("chinese")
def test_hostile_words_are_given_up_soon() -> None:
    for text in (" is " * 480, ": " * 990, "; " * 990, "version " * 240, " of the " * 240, "the  " * 390):
        started = process_time()
        language.detail(text)
        assert process_time() - started < 5


def test_in_english_details_are_as_they_were_worded(suyuan: Any) -> None:
    assert language.detail("a: b; this takes a token") == "a: b; this takes a token"
    assert "did not answer: [Errno" in suyuan("logs", "--url", "http://127.0.0.1:1", "--lang", "en").err
    assert "无应答：连接被拒绝" in suyuan("logs", "--url", "http://127.0.0.1:1", "--lang", "zh").err
