"""What the documents say must be so: python tools/check_docs.py, from anywhere.

Checked in every Markdown file: relative links and their anchors lead somewhere, `suyuan …` in code names a command and
options that exist, fenced JSON parses. Checked in every file: no path of somebody's machine, no address of a package
registry.
"""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from command_lines import command_lines, problem_of  # noqa: E402 - found through the line above

SHELLS = frozenset({"", "bash", "console", "sh", "shell"})  # a fence without a language shows commands after `$ `
MACHINE_PATH = re.compile(r"(?<![\w.~*/-])/(?:work|root|home|farm)/(?!\*)")
REGISTRY = re.compile(r"\b(?:pypi|pythonhosted|npmjs)\.org\b|/{2}[\w.-]*pypi|/{2}\S+/simple\b")
ID_ATTRIBUTE = re.compile(r"""\b(?:id|name)=["']([^"']+)""")
LINK_ATTRIBUTE = re.compile(r"""\b(?:href|src)=["']([^"']+)""")

Problem = tuple[int, str]  # line, counted from 1, and what is wrong there


def project_files() -> list[Path]:
    """Return the files that belong to the project: what git tracks or would, or all of an unpacked archive."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0:
        names = listed.stdout.rstrip("\0").split("\0")
        return sorted(path for path in {ROOT / name for name in names} if path.is_file())
    unpacked = (path for path in ROOT.rglob("*") if path.is_file())
    return sorted(path for path in unpacked if not {".venv", "build", "__pycache__"} & set(path.parts))


def tokens_of(path: Path) -> Iterator[tuple[int, Token]]:
    """Yield each token of a Markdown file, those within paragraphs too, with its line."""
    line = 1
    for token in MarkdownIt().enable("table").parse(path.read_text("utf-8")):
        line = token.map[0] + 1 if token.map else line
        yield line, token
        for child in token.children or ():
            yield line, child


def anchors_of(path: Path) -> set[str]:
    """Return the anchors that GitHub gives to a file's headings, and those written as HTML."""
    anchors: set[str] = set()
    in_heading = False
    for _, token in tokens_of(path):
        if token.type == "inline" and in_heading:
            text = "".join(child.content for child in token.children or ())
            slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            repeated = sum(re.fullmatch(re.escape(slug) + r"(-\d+)?", anchor) is not None for anchor in anchors)
            anchors.add(f"{slug}-{repeated}" if repeated else slug)
        elif token.type.startswith("html"):
            anchors.update(ID_ATTRIBUTE.findall(token.content))
        in_heading = token.type == "heading_open"
    return anchors


def link_problems(path: Path) -> Iterator[Problem]:
    """Yield the relative links that lead nowhere."""
    for line, token in tokens_of(path):
        links = [str(token.attrs[name]) for name in ("href", "src") if name in token.attrs]
        if token.type.startswith("html"):
            links += LINK_ATTRIBUTE.findall(token.content)
        for link in links:
            if re.match(r"[a-z][a-z0-9+.-]*:|//", link):
                continue
            name, _, anchor = unquote(link).partition("#")
            target = (path.parent / name).resolve() if name else path
            if not target.exists() or not target.is_relative_to(ROOT):
                yield line, f"the link {link} leads nowhere"
            elif anchor and target.suffix == ".md" and anchor not in anchors_of(target):
                yield line, f"{target.name} has no heading for #{anchor}"


def json_problems(path: Path) -> Iterator[Problem]:
    """Yield the fenced JSON that does not parse."""
    for line, token in tokens_of(path):
        language = token.info.strip()
        if token.type != "fence" or language not in {"json", "jsonl"}:
            continue
        texts = [token.content] if language == "json" else token.content.splitlines()
        for number, text in enumerate(texts):
            try:
                json.loads(text)
            except json.JSONDecodeError as error:
                yield line + number + error.lineno, f"not JSON: {error.msg}"


def command_problems(path: Path) -> Iterator[Problem]:
    """Yield the command lines that name a command or option that `suyuan` does not have."""
    for line, token in tokens_of(path):
        language = token.info.strip()
        if token.type == "fence" and language in SHELLS:
            prompted = language in {"", "console"}
            found = [(line + 1 + number, words) for number, words in command_lines(token.content, prompted=prompted)]
        elif token.type == "code_inline" and token.content.startswith("suyuan "):
            found = [(line, words) for _, words in command_lines(token.content, prompted=False)]
        else:
            continue
        for number, words in found:
            if (problem := problem_of(words)) is not None:
                yield number, problem


def text_problems(path: Path) -> Iterator[Problem]:
    """Yield the paths of a machine and the registry addresses in a file."""
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError:
        return
    for number, line in enumerate(text.splitlines(), 1):
        if MACHINE_PATH.search(line):
            yield number, f"a path of somebody's machine: {line.strip()[:80]}"
        if REGISTRY.search(line):
            yield number, f"the address of a package registry: {line.strip()[:80]}"


def main() -> int:
    """Print what is wrong, where; 1 when anything is."""
    wrong = 0
    for path in project_files():
        markdown: list[Callable[[Path], Iterator[Problem]]] = [link_problems, json_problems, command_problems]
        for check in [text_problems, *(markdown if path.suffix == ".md" else ())]:
            for line, problem in check(path):
                print(f"{path.relative_to(ROOT)}:{line}: {problem}")
                wrong += 1
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
