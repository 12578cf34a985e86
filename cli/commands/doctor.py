"""``suyuan doctor``: how a node is, down to every stored byte."""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli import exits, output
from cli.command import Command, option
from cli.language import _, detail, noted, title_of
from cli.options import config_option, json_option
from cli.session import host_of, url_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.diagnosis import Check, Patient
    from ledger.network import Member
    from node.audit import Audit
    from node.config import Home

SCHEMA = "suyuan.doctor/1"
PEER_SECONDS = 5.0
PEERS_AT_ONCE = 16
STATUS_WORDS = {
    "ok": (noted("ok"), output.GOOD),
    "warning": (noted("warning"), output.OPEN),
    "problem": (noted("PROBLEM"), output.BAD),
    "damage": (noted("DAMAGE"), output.BAD),
}
STEP_WORDS = {
    "store": noted("reading the store"),
    "entries": noted("verifying entries"),
    "indexes": noted("comparing indexes"),
}
CODES = {"ok": exits.OK, "warning": exits.OK, "problem": exits.FINDINGS, "damage": exits.INTEGRITY}


@click.command("doctor", cls=Command)
@config_option
@option(
    "--deep", is_flag=True, help=noted("Read the whole store and verify every entry again; the node must be stopped.")
)
@option("--offline", is_flag=True, help=noted("Ask neither the node nor its peers."))
@json_option
def command(config: Path, *, deep: bool, offline: bool, as_json: bool) -> int:
    r"""Examine a node: settings, keys, network document, store, disk, clock, the running node, its peers.

    With --deep, every stored byte is read, and every log verified again from its first entry: signatures, chain,
    tree, checkpoints, indexes. Every damage is named; nothing is changed.

    Exit code 1 for problems, 6 for damage.

    \b
    suyuan doctor --config police
    suyuan doctor --config police --deep
    """
    from cli import diagnosis  # noqa: PLC0415 - slow to import
    from node.clock import SystemClock  # noqa: PLC0415 - as above

    patient = diagnosis.admit(config, SystemClock())
    audit: Audit | None = None
    with ExitStack() as stack:
        checks = list(diagnosis.examine(patient))
        if patient.store is not None:
            stack.callback(patient.store.close)
        if deep:
            found = _audit(patient)
            if isinstance(found, diagnosis.Check):
                checks.append(found)
            else:
                audit = found
        if not offline and patient.fault is None:
            checks += _ask(patient)
    status = "damage" if audit is not None and not audit.sound else diagnosis.exit_status(checks)
    if as_json:
        output.emit(_to_json(patient.origin, status, checks, audit))
    else:
        _show(patient.origin, checks, audit)
    return CODES[status]


def _audit(patient: "Patient") -> "Audit | Check":
    """Audit the store, or say why that cannot be done.

    Raises:
        StoreLockedError: the store is in use.
    """
    from cli import diagnosis  # noqa: PLC0415 - slow to import
    from ledger.errors import LedgerError  # noqa: PLC0415 - as above
    from ledger.store.headfile import read_head  # noqa: PLC0415 - as above
    from node.audit import audit_store  # noqa: PLC0415 - as above

    with output.progress(_("examining")) as advance, ThreadPoolExecutor(max(os.cpu_count() or 1, 1)) as pool:

        def told(step: str, done: int, total: int | None) -> None:
            advance(done, total, _(STEP_WORDS[step]))

        if patient.store is None or not patient.versions:
            return diagnosis.check_bytes(patient, lambda count: told("store", count, None))
        try:
            head = read_head(patient.home.head)
            return audit_store(patient.store, patient.versions, own=patient.origin, head=head, pool=pool, progress=told)
        except LedgerError as error:
            return diagnosis.failed("audit", error)


def _ask(patient: "Patient") -> "list[Check]":
    """Ask the node itself and its peers how they are."""
    from cli import vitals  # noqa: PLC0415 - slow to import

    own = url_of(patient.home.settings)
    health, problem = _health(own, patient.home, other_name=partial(host_of, patient.home))
    checks = [vitals.check_health(health, runs=patient.locked is not None, problem=problem)]
    if health is not None:
        told = (vitals.check_next_key(health), vitals.check_memory(health), vitals.check_freshness(health))
        checks += [one for one in told if one is not None]
    network = patient.network
    if network is None:
        return checks
    member = network.members.get(patient.origin)
    if health is not None and member is not None and member.active:
        checks.append(vitals.check_address(member.url, _ask_peer(member, patient)[1]))
    peers = [member for member in network.members.values() if member.active and member.origin != patient.origin]
    with ThreadPoolExecutor(PEERS_AT_ONCE) as pool:
        answers = list(zip(peers, pool.map(lambda peer: _ask_peer(peer, patient), peers), strict=True))
    unreachable = {peer.origin: why for peer, (_skew, why) in answers if why}
    skew = {peer.origin: skew for peer, (skew, _why) in answers if skew is not None}
    checks.append(vitals.check_peers(network, patient.origin, unreachable))
    found = vitals.check_skew(skew)
    return [*checks, found] if found is not None else checks


def _ask_peer(peer: "Member", patient: "Patient") -> tuple[int | None, str]:
    """Return how far a peer's clock is before ours, in milliseconds, and why it did not answer."""
    from ledger.encoding import parse_time  # noqa: PLC0415 - slow to import
    from ledger.errors import LedgerError  # noqa: PLC0415 - as above

    asked = patient.clock.now_ms()
    health, problem = _health(peer.url, patient.home)
    if health is None:
        return None, problem or _("no answer")
    if health.get("log") != peer.origin:
        return None, _("another node answers at its address: {log}", log=str(health.get("log")))
    try:
        return parse_time(str(health.get("time"))) - (asked + patient.clock.now_ms()) // 2, ""
    except LedgerError:
        return None, ""


def _health(
    url: str, home: "Home", *, other_name: "Callable[[], str | None] | None" = None
) -> tuple[dict[str, Any] | None, str]:
    import ssl  # noqa: PLC0415 - slow to import

    from node.client import Client, ClientError  # noqa: PLC0415 - as above

    authority = home.settings.peer_ca
    try:
        verify = ssl.create_default_context(cafile=str(home.path(authority))) if authority is not None else None
        with Client(url, timeout=PEER_SECONDS, verify=verify, other_name=other_name) as client:
            return client.health(), ""
    except (ClientError, OSError) as error:
        return None, str(error)


def _to_json(origin: str, status: str, checks: "list[Check]", audit: "Audit | None") -> dict[str, Any]:
    found: dict[str, Any] = {
        "schema": SCHEMA,
        "log": origin or None,
        "status": status,
        "checks": [check.to_json() for check in checks],
    }
    if audit is not None:
        found["audit"] = {
            "logs": [{"log": one.origin, "size": one.size, "confirmed_size": one.confirmed_size} for one in audit.logs],
            "pairs": audit.pairs,
            "damages": [one._asdict() for one in audit.damages],
            "truncated": audit.truncated,
        }
    return found


def _show(origin: str, checks: "list[Check]", audit: "Audit | None") -> None:
    output.show(output.heading(_("The node of {log}", log=origin or "?")))
    for check in checks:
        label, style = STATUS_WORDS[check.status]
        rows = [
            (title_of(f"check_{check.name}") or check.name, output.words((_(label), style), "  ", str(check.words)))
        ]
        if check.hint and check.status != "ok":
            rows.append(("", output.words(f"{_('hint:')} {_(check.hint)}")))
        output.show(output.pairs(rows, first=12))
    if audit is not None:
        _show_audit(audit)


def _show_audit(audit: "Audit") -> None:
    entries = sum(one.size for one in audit.logs)
    output.show(output.words(""), output.heading(_("Every stored byte")))
    rows = [(one.origin, str(one.size), str(one.confirmed_size)) for one in audit.logs]
    output.show(output.table(_("Log"), _("Entries"), _("Confirmed"), rows=rows, right=(1, 2)))
    if audit.sound:
        words = _(
            "{entries} entries and {pairs} stored keys: all of them are what they must be",
            entries=entries,
            pairs=audit.pairs,
        )
        output.show(output.words((words, output.GOOD)))
    for damage in audit.damages:
        found = output.words((damage.place, output.BAD), f"\n{detail(damage.message)}")
        output.show(output.pairs([(title_of(damage.code) or damage.code, found)]))
    if audit.truncated:
        output.show(output.words((_("There is more damage than is named here."), output.BAD)))
