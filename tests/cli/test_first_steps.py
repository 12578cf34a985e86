"""docs/first-steps.md is right: every command of the page is typed into a shell, in its order, and works."""

import contextlib
import importlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest_plugins = ("departments",)

PAGE = Path(__file__).resolve().parents[2] / "docs" / "first-steps.md"
PORTS = ("8301", "8302")


def departments() -> Any:
    return importlib.import_module("departments")  # not before pytest has loaded it as a plugin


def commands() -> list[str]:
    """The command lines of the page; one that goes on in the next line is one."""
    blocks = re.findall(r"^```console\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]


class Shell:
    """Types command lines in one folder, and fills in what the page leaves to the reader."""

    def __init__(self, folder: Path, nodes: contextlib.ExitStack) -> None:
        self.folder = folder
        self.nodes = nodes
        self.ports = dict(zip(PORTS, map(str, departments().free_ports(len(PORTS))), strict=True))
        self.before = ""  # what lasts in a shell
        self.known: dict[str, str] = {}  # HEX and REF, once a command has printed them
        tool = folder / "bin" / "suyuan"
        tool.parent.mkdir()
        tool.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m cli.main "$@"\n')
        tool.chmod(0o755)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SUYUAN_", "LC_"))}
        path = f"{tool.parent}{os.pathsep}{kept.get('PATH', '')}"
        self.env = {**kept, "PATH": path, "LC_ALL": "C.UTF-8", "PYTHONPATH": str(departments().IMPORTABLE)}

    def type(self, line: str) -> str:
        for placeholder, value in (*self.ports.items(), *self.known.items()):
            line = re.sub(rf"\b{placeholder}\b", value, line)
        if line.startswith("umask "):
            self.before = f"{line}; "
            return ""
        if line.startswith("suyuan run "):
            self._run(line.split()[1:])
            return ""
        ran = subprocess.run(
            self.before + line,
            shell=True,
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert ran.returncode == 0, (line, ran.stdout, ran.stderr)
        return ran.stdout

    def _run(self, arguments: list[str]) -> None:
        log = self.nodes.enter_context((self.folder / f"{arguments[-1]}.log").open("wb"))
        self.nodes.callback(
            departments().stop, departments().spawn(*arguments, cwd=self.folder, stdout=log, stderr=log)
        )


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    with contextlib.ExitStack() as nodes:
        yield Shell(tmp_path, nodes)


@pytest.mark.slow
@pytest.mark.timeout(180)  # twenty commands, each a process that starts anew
def test_every_command_of_the_page_works(shell: Shell) -> None:
    lines = commands()
    assert len(lines) > 15
    for line in lines:
        command = line.split(" ", 2)[1]
        if command in {"receive", "trace", "proof"}:  # the reader is slower than the nodes
            departments().wait_until(lambda: proof(shell).returncode == 0)
        printed = shell.type(line)
        if line.startswith("suyuan network sign"):
            shell.known["HEX"] = printed.split()[-1]
        if line.startswith("suyuan ref"):
            shell.known["REF"] = printed.split()[-1]
        if line.startswith("suyuan run --config tax"):
            for port in shell.ports.values():
                departments().wait_until_up(f"http://127.0.0.1:{port}")
        if line.startswith("suyuan share"):
            assert printed.startswith("police.ordos.example/log#1 recorded")


def test_every_node_on_the_page_is_run_and_nothing_is_left_to_fill_in() -> None:
    text = "\n".join(commands())
    assert text.count("suyuan run ") == 2
    assert set(re.findall(r"\b[A-Z]{3,}\b", text)) == {"HEX", "REF"}


def proof(shell: Shell) -> "subprocess.CompletedProcess[bytes]":
    line = "suyuan proof police.ordos.example/log#1 --config tax --token-file tax.token --out ready.tlog-proof"
    return subprocess.run(line, shell=True, cwd=shell.folder, env=shell.env, capture_output=True, check=False)
