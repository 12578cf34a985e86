"""What the importers share: the departments that they write for, the run, and the report (schema suyuan.import/1)."""

import functools
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import click

from cli import exits, output
from cli.command import option
from cli.language import _, noted, plural, title_of
from cli.options import CONFIG, FILE, json_option
from cli.session import Session, Target
from cli.sources.names import Members, NameMap, read_map
from cli.sources.plans import Finding, Findings, Kind, Outcome, Planned
from cli.sources.recording import Recorder
from ledger.errors import LedgerError
from node.client import ClientError
from node.errors import ConfigError
from node.keys import read_record_key

if TYPE_CHECKING:
    from ledger.encoding import JsonObject
    from ledger.network import Network

SCHEMA = "suyuan.import/1"
SHOWN_MAX = 20  # lines of each list on a screen; --json has more
WAIT_SECONDS_MAX = 86_400

_PER_NODE = ("url", "token", "token_file")  # options of which there are none, or one for each --config
_OPTIONS = (
    option(
        "--config", "configs", type=CONFIG, required=True, multiple=True, envvar="SUYUAN_CONFIG",
        help=noted("A department's node folder; repeat it for departments that are operated together."),
    ),
    option("--url", multiple=True, envvar="SUYUAN_URL", help=noted("The node's address, once for each --config.")),
    option(
        "--token", multiple=True, envvar="SUYUAN_TOKEN",
        help=noted("The token, once for each --config; others can read it in the list of processes."),
    ),
    option(
        "--token-file", type=FILE, multiple=True, envvar="SUYUAN_TOKEN_FILE",
        help=noted("A file with the token, readable by you alone, once for each --config in the same order."),
    ),
    option("--ca", type=FILE, envvar="SUYUAN_CA", help=noted("Authority that signed the nodes' certificates (PEM).")),
    option(
        "--timeout", type=click.FloatRange(min=0.1, max=3600), help=noted("Longest wait for an answer, in seconds.")
    ),
    option(
        "--map", "map_file", type=FILE, help=noted("Whose log a name of the file means: TOML, or CSV with name,origin.")
    ),
    option(
        "--wait", "wait_seconds", type=click.FloatRange(min=0, max=WAIT_SECONDS_MAX), default=0.0,
        help=noted("Keep looking for shares of other departments for so many seconds."),
    ),
    option("--dry-run", is_flag=True, help=noted("Read and check everything, ask no node, record nothing.")),
    json_option,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the common options said."""

    configs: tuple[Path, ...]
    url: tuple[str, ...]
    token: tuple[str, ...]
    token_file: tuple[Path, ...]
    ca: Path | None
    timeout: float | None
    map_file: Path | None
    wait_seconds: float
    dry_run: bool
    as_json: bool


def import_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the common options, and hand them over as ``settings``."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        taken = {name: kwargs.pop(name) for name in Settings.__dataclass_fields__}
        return function(*args, settings=Settings(**taken), **kwargs)

    for add in reversed(_OPTIONS):
        wrapped = add(wrapped)
    return wrapped


@dataclass(frozen=True, slots=True)
class Departments:
    """Those whose logs can be written here."""

    sessions: Mapping[str, Session]  # by origin
    keys: Mapping[str, bytes]  # record keys, by origin
    network: "Network"
    map: NameMap

    @classmethod
    @contextmanager
    def opened(cls, settings: Settings) -> Iterator[Self]:
        """Open the departments of all ``--config``, and the map.

        Raises:
            click.UsageError: the options do not fit each other.
            ConfigError, VerificationError, MapError: a folder, its network document, or the map cannot be used.
        """
        for name in _PER_NODE:
            given = len(getattr(settings, name))
            if given not in (0, len(settings.configs)):
                flag = f"--{name.replace('_', '-')}"
                raise click.UsageError(_("give {option} once for each --config, in the same order", option=flag))
        with ExitStack() as stack:
            sessions: dict[str, Session] = {}
            keys: dict[str, bytes] = {}
            for number, config in enumerate(settings.configs):
                session = stack.enter_context(Session(_target(settings, number, config)))
                assert session.home is not None
                origin = session.home.settings.origin
                if origin in sessions:
                    raise ConfigError(f"two folders are of {origin}", field="--config", hint="give each folder once")
                sessions[origin] = session
                keys[origin] = read_record_key(session.home.keys, session.home.lock)
            network = _one_network(sessions)
            names = read_map(settings.map_file) if settings.map_file is not None else NameMap()
            yield cls(sessions, keys, network, names)

    def members(self) -> Members:
        """Return who is meant by which name.

        Raises:
            MapError: the map leads to an origin that is no member.
        """
        return Members(self.network, self.map)


@dataclass(slots=True, kw_only=True)
class Report:
    """What an import has read and recorded."""

    source: str
    files: Sequence[Path]
    departments: Sequence[str]
    dry_run: bool
    read: int  # rows or records
    others: int = 0
    unmapped: Counter[str] = field(default_factory=Counter)
    outcome: Outcome = field(default_factory=Outcome)
    extra: "JsonObject" = field(default_factory=dict)  # what only this source has to say
    remains: bool = False  # something of it must still be done, or found out
    aborted: ClientError | None = None

    @property
    def exit_code(self) -> int:
        """What a script learns: 1 where something was refused, waits, or could not be attributed."""
        outcome = self.outcome
        nothing_ours = not (any(outcome.made.values()) or any(outcome.there.values()))
        findings = outcome.refused.count or outcome.waiting.count or self.remains or (nothing_ours and self.unmapped)
        return exits.FINDINGS if findings else exits.OK

    def to_json(self) -> "JsonObject":
        """Return the report for a program."""
        outcome = self.outcome
        counts = {f"{kind}s": {"made": made, "there": outcome.there[kind]} for kind, made in outcome.made.items()}
        return {
            "schema": SCHEMA,
            "source": self.source,
            "files": [str(path) for path in self.files],
            "departments": list(self.departments),
            "dry_run": self.dry_run,
            "aborted": None if self.aborted is None else self.aborted.code,
            "read": self.read,
            "others": self.others,
            **counts,
            "waiting": _findings_json(outcome.waiting),
            "refused": _findings_json(outcome.refused),
            "unmapped": dict(self.unmapped.most_common()),
            **self.extra,
        }


def record(
    departments: Departments, settings: Settings, report: Report, plans: Sequence[Planned], lost: Mapping[str, str]
) -> Recorder:
    """Carry the plans out, or only check them; the report has what became of them, also when a node gives up."""
    with output.progress(_("recording")) as advance:
        recorder = Recorder(
            {} if report.dry_run else {origin: session.client for origin, session in departments.sessions.items()},
            sleep=time.sleep,
            advance=advance,
            wait_seconds=settings.wait_seconds,
            lost=lost,
            outcome=report.outcome,
        )
        try:
            if report.dry_run:
                recorder.rehearse(plans)
            else:
                recorder.run(plans)
        except ClientError as error:
            report.aborted = error
    return recorder


def finish(
    report: Report, settings: Settings, rows: Sequence[tuple[str, str]], *lists: tuple[str, list[str], int]
) -> int:
    """Print the report: a table with ``rows`` in front, and lists with their titles and true lengths.

    Raises:
        ClientError: what has ended the run, after all that was reached is told.
    """
    if settings.as_json:
        output.emit(report.to_json())
    else:
        _show(report, rows, lists)
    if report.aborted is not None:
        report.aborted.hint = report.aborted.hint or _("run the same import again: nothing is recorded twice")
        raise report.aborted
    return report.exit_code


def _show(report: Report, rows: Sequence[tuple[str, str]], lists: Sequence[tuple[str, list[str], int]]) -> None:
    outcome = report.outcome
    told = [*rows]
    names: tuple[tuple[Kind, str], ...] = (("share", _("shares")), ("receipt", _("receipts")))
    for kind, name in names:
        made, there = outcome.made[kind], outcome.there[kind]
        if report.dry_run:
            told.append((name, _("{count} to be recorded", count=made)))
        else:
            told.append((name, _("{made} recorded, {there} there already", made=made, there=there)))
    told.append((_("waiting"), str(outcome.waiting.count)))
    told.append((_("refused"), str(outcome.refused.count)))
    output.show(output.pairs(told))
    _list(_("Waiting: run the same import again when the other department has told its side"), outcome.waiting)
    _list(_("Refused"), outcome.refused)
    for title, lines, count in lists:
        _lines(title, lines, count)
    unmapped = [f"{name} ({count})" for name, count in report.unmapped.most_common(SHOWN_MAX)]
    _lines(_("Names that lead to no member of the network (give --map)"), unmapped, len(report.unmapped))
    for hint in dict.fromkeys(finding.hint for finding in outcome.refused.listed[:SHOWN_MAX] if finding.hint):
        output.hint(_(hint))
    if report.dry_run:
        output.note(_("Nothing was recorded, and no node was asked."))


def _list(title: str, findings: Findings) -> None:
    _lines(title, [_line(finding) for finding in findings.listed[:SHOWN_MAX]], findings.count)


def _line(finding: Finding) -> str:
    kind = f" {_(finding.kind)}" if finding.kind is not None else ""
    if finding.code == "waiting":
        return f"{finding.place}{kind}: {finding.reason}"
    title = title_of(finding.code)
    return f"{finding.place}{kind}: {title + ' ' if title else ''}{finding.reason} [{finding.code}]"


def _lines(title: str, lines: Sequence[str], count: int) -> None:
    if not count:
        return
    output.show(output.heading(title))
    output.show(*(output.words(f"  {line}") for line in lines[:SHOWN_MAX]))
    if count > SHOWN_MAX:
        more = plural(count - SHOWN_MAX, "… and {count} more", "… and {count} more")
        output.show(output.words(f"  {more}"))


def _findings_json(findings: Findings) -> "JsonObject":
    return {"count": findings.count, "listed": [finding.to_json() for finding in findings.listed]}


def refused(report: Report, refusals: Sequence[tuple[str, LedgerError]]) -> None:
    """Put into the report what could not even be planned."""
    for place, error in refusals:
        report.outcome.refuse(place, error)


def _target(settings: Settings, number: int, config: Path) -> Target:
    own = {name: getattr(settings, name)[number] for name in _PER_NODE if getattr(settings, name)}
    return Target(config=config, ca=settings.ca, timeout=settings.timeout, **own)


def _one_network(sessions: Mapping[str, Session]) -> "Network":
    """Return the network document of all departments: the newest version, where they have not all got it yet."""
    fingerprints = {session.require_fingerprint() for session in sessions.values()}
    if len(fingerprints) > 1:
        raise ConfigError(
            "these folders are of different networks", field="--config", hint="import for one network at a time"
        )
    documents = [network for session in sessions.values() if (network := session.given_network) is not None]
    return max(documents, key=lambda network: network.version)
