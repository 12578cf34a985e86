"""Making the demonstration's network: one home per department, one network document signed by one governor."""

import hashlib
import os
import re
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ledger.encoding import format_time
from ledger.network import Names, network_text
from ledger.note import ED25519, Note, Signer
from node.clock import SystemClock
from node.config import Home
from node.errors import ConfigError
from node.keys import load_ring
from node.setup import Profile, create_home, join_network, member_entry, member_json
from node.tokens import TokenFile, new_token

DEPARTMENTS_MAX = 50  # each is a process of some 80 MB
TOKEN_BYTES = 32

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A department to be made."""

    id: str  # as the file or the scene names it
    name_zh: str
    name_en: str
    roles: tuple[str, ...] = ("department",)


@dataclass(frozen=True, slots=True)
class Department:
    """A department that has been made."""

    id: str
    names: Names
    origin: str
    home: Home
    url: str
    token: str
    token_file: Path


@dataclass(frozen=True, slots=True)
class DemoNetwork:
    """The departments, and the document that binds them."""

    folder: Path
    document: Path
    fingerprint: str
    departments: dict[str, Department]  # by id


def origin_of(name: str) -> str:
    """Return the log's origin for a name of the file: ``<name>.demo.example/log``, other scripts in punycode.

    Raises:
        ConfigError: no host name can be made of it.
    """
    label = re.sub(r"[\s_.]+", "-", name.strip().lower())
    if not label.isascii():
        label = "xn--" + label.encode("punycode").decode("ascii").lower()
    if _LABEL.fullmatch(label) is None:
        raise ConfigError(
            f"{name[:80]!r} cannot be a department's name here",
            field="department",
            hint="use letters, digits and hyphens",
        )
    return f"{label}.demo.example/log"


def make_network(folder: Path, plans: Sequence[Plan], *, settings: dict[str, Any]) -> DemoNetwork:
    """Make homes, keys, tokens and the signed network document of all departments below ``folder``.

    Raises:
        ConfigError: too many departments, or two whose names give one origin.
    """
    if not 0 < len(plans) <= DEPARTMENTS_MAX:
        raise ConfigError(
            f"{len(plans)} departments; 1 to {DEPARTMENTS_MAX} can be shown", field="departments", limit=DEPARTMENTS_MAX
        )
    origins = [origin_of(plan.id) for plan in plans]
    if len(set(origins)) != len(origins):
        raise ConfigError("two departments would have the same origin", field="department")
    homes = []
    members = []
    for plan, origin, port in zip(plans, origins, free_ports(len(plans)), strict=True):
        home = create_home(
            folder / "nodes" / origin.partition(".")[0], {"origin": origin, "port": port, **settings}, random=os.urandom
        )
        profile = Profile(
            origin=origin, name_zh=plan.name_zh, name_en=plan.name_en, level="city", region="150600", roles=plan.roles,
            url=f"http://127.0.0.1:{port}",
        )  # fmt: skip
        homes.append(home)
        members.append(member_json(member_entry(load_ring(home.keys, origin).newest, profile)))
    document, fingerprint = _sign("demo", members)
    path = folder / "network.note"
    path.write_bytes(document)
    (folder / "network.fingerprint").write_text(fingerprint + "\n", "ascii")
    departments = {
        plan.id: _department(plan, join_network(home, document, fingerprint))
        for plan, home in zip(plans, homes, strict=True)
    }
    return DemoNetwork(folder, path, fingerprint, departments)


def free_ports(count: int) -> list[int]:
    """Return ports of the loopback address that nobody listens on just now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def _sign(name: str, members: list[dict[str, Any]]) -> tuple[bytes, str]:
    governor = Signer(f"{name}/governor-1", ED25519, os.urandom(32))
    body = {
        "access": {"read": "members"},
        "governors": {"keys": [governor.verifier.vkey], "threshold": 1},
        "members": members,
        "rules": "cn-2025",
    }
    text = network_text(name, 1, hashlib.sha256(b"").digest(), body)
    return Note(text, (governor.sign(text),)).encode(), hashlib.sha256(text.encode()).hexdigest()


def _department(plan: Plan, home: Home) -> Department:
    token = new_token(os.urandom(TOKEN_BYTES))
    TokenFile(home.tokens).add("demo", ("admin",), token, format_time(SystemClock().now_ms()))
    token_file = home.folder / "demo.token"
    token_file.touch(mode=0o600)
    token_file.write_text(token + "\n", "ascii")
    names = Names(zh=plan.name_zh, en=plan.name_en)
    return Department(
        plan.id, names, home.settings.origin, home, f"http://127.0.0.1:{home.settings.port}", token, token_file
    )
