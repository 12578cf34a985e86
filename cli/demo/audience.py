"""What a person sees of a demonstration."""

from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from cli.command import columns
from cli.demo.network import DemoNetwork
from cli.demo.replay import Progress as Done
from cli.demo.scene import Played
from cli.language import _, name_of, speaks
from cli.output import BAD, FAINT, GOOD, OPEN, STRONG, words
from ledger.errors import LedgerError
from ledger.evidence import Evidence

LINE_EVERY = 10  # percent of the rows between two lines, where no bar can be drawn
HOPS_SHOWN = 6
WENT_COLUMNS = 40


class Screen:
    """Shows every moment of a demonstration on a console."""

    def __init__(self, console: Console, *, file: Path | None) -> None:
        self._console = console
        self._file = file
        self._names: dict[str, str] = {}
        self._bar: Progress | None = None
        self._tasks: dict[str, Any] = {}
        self._lines = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_bar()

    def starting(self, count: int) -> None:
        """The nodes are about to be started."""
        title = self._file.name if self._file is not None else _("one resident's record")
        self._say(("溯源 Suyuan", STRONG), "  ", _("a demonstration: {what}", what=title))
        self._say()
        self._say(_("Making a network of {count} departments, each with its own keys and its own node …", count=count))

    def started(self, network: DemoNetwork, seconds: float) -> None:
        """All nodes are up."""
        for one in network.departments.values():
            self._names[one.origin] = self._names[one.id] = name_of(one.names)
        self._say(
            ("✓ ", GOOD),
            _("{count} nodes are running, {seconds:.1f} s", count=len(network.departments), seconds=seconds),
        )
        self._say(("  " + _("the network's fingerprint is {print}", print=network.fingerprint), FAINT))
        self._say()

    def played(self, played: Played) -> None:
        """A transfer of the scene was made."""
        act = played.act
        purpose = act.purpose_zh if speaks() == "zh" else act.purpose
        self._say((f"{self._name(act.provider)} ──► {self._name(act.consumer)}", STRONG), f"   {purpose}")
        self._say((f"    {act.legal_basis}", FAINT))
        self._say("    ", _("share {place}, signed by the provider", place=_place(played.share)))
        answer = _("receipt {place}, signed by the consumer", place=_place(played.receipt))
        if played.outcome == "accepted":
            self._say("    ", answer, "  ", ("✓ " + _("received"), GOOD))
        else:
            self._say("    ", answer, "  ", ("✗ " + _("rejected: the file arrived damaged"), OPEN))

    def confirmed(self, sizes: dict[str, int]) -> None:
        """Every node has the quorum's word for every log."""
        self._say()
        self._say(
            ("✓ ", GOOD),
            _("all {count} entries are confirmed: every node has verified and stored them", count=sum(sizes.values())),
        )

    def traced(self, evidence: Evidence, network: DemoNetwork) -> None:
        """A record's history was fetched from one node and verified here."""
        self._end_bar()
        trace = evidence.trace
        del network
        self._say()
        self._say((_("Where did the record go? (suyuan trace {record}…)", record=trace.record[:16]), STRONG))
        for number, hop in enumerate(trace.hops[:HOPS_SHOWN], 1):
            mark = ("✓", GOOD) if hop.verified else ("✗", BAD)
            went = f"{self._name(hop.share.ref.log)} ──► {self._name(hop.event.consumer)}"
            went += " " * (WENT_COLUMNS - columns(went))
            self._say(
                f"  {number}. ",
                mark,
                f" {went} ",
                (hop.event.occurred_at[:16].replace("T", " "), FAINT),
                f"  {_(hop.outcome)}",
            )
        if len(trace.hops) > HOPS_SHOWN:
            self._say("     ", (_("… and {count} more", count=len(trace.hops) - HOPS_SHOWN), FAINT))
        held = ", ".join(self._name(one.log) for one in trace.holders)
        self._say("  ", _("It is held now by: {names}", names=held))

    def verified(self, path: Path, evidence: Evidence) -> None:
        """The evidence file was verified offline."""
        self._say()
        self._say((_("Is that true? (suyuan verify {file}, offline, no node asked)", file=path.name), STRONG))
        one = min((proven.judged for proven in evidence.proven), key=lambda judged: len(judged.cosigners))
        self._say(
            "  ", ("✓ ", GOOD),
            _("{count} entries, each signed, in a checkpoint that {members} members cosigned ({needed} needed)",
              count=len(evidence.proven), members=len(one.cosigners), needed=one.needed),
        )  # fmt: skip

    def tampered(self, share: str, error: LedgerError) -> None:
        """A tampered copy was found out."""
        self._say()
        self._say((_("And if somebody changes one letter of it?"), STRONG))
        self._say(
            "  ",
            ("✗ ", BAD),
            _("the purpose of {share} changed by one letter: found out ({code})", share=share, code=error.code),
        )
        self._say("    ", (str(error), FAINT))

    def progress(self, progress: Done) -> None:
        """Further rows were played."""
        if not self._console.is_terminal:
            self._progress_line(progress)
            return
        if self._bar is None:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                console=self._console,
            )
            self._bar.start()
            for name, text in (
                ("shares", _("shared")),
                ("receipts", _("received")),
                ("confirmed", _("confirmed everywhere")),
            ):
                self._tasks[name] = self._bar.add_task(text, total=progress.rows)
        for name, task in self._tasks.items():
            self._bar.update(task, completed=getattr(progress, name))

    def note(self, text: str) -> None:
        """Something happened to a node."""
        self._say(("! ", OPEN), text)

    def finished(self, summary: dict[str, Any], kept: Path | None) -> None:
        """Everything has been shown."""
        self._end_bar()
        self._say()
        self._say(
            ("✓ ", GOOD),
            _(
                "{rows} transfers of {records} records, confirmed on all {nodes} nodes, {seconds:.1f} s",
                **summary,
            ),
        )
        if kept is not None:
            self._say("  ", _("kept in {folder}: nodes, records.json, network.note, network.fingerprint", folder=kept))

    def _say(self, *parts: Any) -> None:
        self._console.print(words(*parts), soft_wrap=True)

    def _name(self, department: str) -> str:
        """The department's name, given its origin or its id."""
        return self._names.get(department, department)

    def _progress_line(self, progress: Done) -> None:
        """Where there is no terminal, a line now and then."""
        total = progress.shares + progress.receipts + progress.confirmed
        step = 100 * total // (3 * progress.rows * LINE_EVERY)
        if step > self._lines:
            self._lines = step
            self._say(
                _("{shares} of {rows} shared, {receipts} received, {confirmed} confirmed", rows=progress.rows,
                  shares=progress.shares, receipts=progress.receipts, confirmed=progress.confirmed)
            )  # fmt: skip

    def _end_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _place(entry: dict[str, Any]) -> str:
    return f"{entry['log']}#{entry['index']}"
