"""Showing what a node sees of its peers: a line for each, one log at all peers, one peer with all logs, or everything.

Everything is a matrix with one character for each log at each peer, so that fifty members fit into 80 columns:

    =  the same entries                    !  another history: its root at the smaller size is not ours
    -  fewer, and the same so far          ?  not known: it has not answered, or has told no root
    +  more than the asked node has
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cli import output
from cli.language import _, detail, listed, noted, plural
from ledger.encoding import parse_time
from ledger.errors import LedgerError

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

Names = Mapping[str, str]
Row = dict[str, Any]

MATRIX_COLUMNS = 40  # peers side by side: with a log's name before them they fit into 80 columns
NAME_COLUMNS = 34
AGREEMENTS = {  # sign, word, style
    "same": ("=", noted("same"), output.GOOD),
    "behind": ("-", noted("behind"), output.OPEN),
    "ahead": ("+", noted("ahead"), output.OPEN),
    "differs": ("!", noted("DIFFERS"), output.BAD),
    "unknown": ("?", noted("unknown"), output.FAINT),
}
KINDS = {
    "unreachable": noted("no connection"),
    "slow": noted("too slow"),
    "busy": noted("busy"),
    "refused": noted("refused"),
    "too_long": noted("answer too long"),
    "compressed": noted("answer compressed"),
    "malformed": noted("answer malformed"),
    "false": noted("does not verify"),
    "key_ended": noted("key had ended"),
    "withholds": noted("withholds entries"),
    "stale": noted("shows an old head"),
}
UNITS = ((86_400, noted("{count} d")), (3_600, noted("{count} h")), (60, noted("{count} min")), (0, noted("{count} s")))


def summary(answer: Row, names: Names) -> "list[RenderableType]":
    """Return one line for each peer."""
    rows = [
        (
            output.member(peer["log"], names),
            output.words(_state(peer), "\n", _version(peer, answer["network_version"])),
            _age(peer["last_seen"], answer["time"]) or _("never"),
            str(peer["lag"]),
            _histories(peer),
        )
        for peer in answer["peers"]
    ]
    headings = (_("Member"), _("State"), _("Seen"), _("Lag"), _("Histories"))
    acts = _("This node acts under version {version} of the network document.", version=answer["network_version"])
    table = output.table(*headings, rows=rows, right=(2, 3))
    return [table, output.words(""), output.words((acts, output.FAINT)), *running(answer, names)]


def of_log(answer: Row, log: str, names: Names) -> "list[RenderableType]":
    """Return how every peer holds one log."""
    own = next((one for one in answer["logs"] if one["log"] == log), None)
    rows = [
        (output.member(peer["log"], names), *_cells(_of(peer, log), answer["time"])) for peer in answer["peers"]
    ]  # fmt: skip
    headings = (_("Member"), _("Entries"), _("Confirmed"), _("Lag"), _("Seen"), _("History"))
    return [
        output.heading(
            plural(own["size"], "{log}: {count} entry here", "{log}: {count} entries here", log=log)
            if own is not None
            else _("{log}: not here", log=log)
        ),
        output.table(*headings, rows=rows, right=(1, 2, 3, 4)),
        *running(answer, names, log),
    ]


def of_peer(answer: Row, peer: Row, names: Names) -> "list[RenderableType]":
    """Return one peer: how it is, what it did wrong, and how it holds every log."""
    facts: list[tuple[str, str | Text]] = [
        (_("State"), _state(peer)),
        (_("Address"), peer["url"]),
        (_("Last answer (UTC)"), output.moment(peer["last_seen"]) or _("never")),
        (_("Acts under"), _version(peer, answer["network_version"])),
    ]
    drawn: list[RenderableType] = [
        output.heading(f"{names[peer['log']]}, {peer['log']}" if peer["log"] in names else peer["log"]),
        output.pairs(facts),
        output.words(""),
    ]
    if peer["faults"]:
        rows = [
            (_kind(one["kind"]), str(one["count"]), output.moment(one["last"]), detail(one["words"]))
            for one in peer["faults"]
        ]
        titles = (_("What it did wrong"), _("Times"), _("Last (UTC)"), _("Then"))
        drawn += [output.table(*titles, rows=rows, right=(1,)), output.words("")]
    logs = [(output.member(one["log"], names), *_cells(one, answer["time"])) for one in peer["logs"]]
    headings = (_("Log"), _("Entries"), _("Confirmed"), _("Lag"), _("Seen"), _("History"))
    return [*drawn, output.table(*headings, rows=logs, right=(1, 2, 3, 4))]


def matrix(answer: Row, names: Names) -> "list[RenderableType]":
    """Return every log at every peer, one character each."""
    peers: Sequence[Row] = answer["peers"]
    drawn: list[RenderableType] = []
    for start in range(0, len(peers), MATRIX_COLUMNS):
        block = peers[start : start + MATRIX_COLUMNS]
        numbers = [str(start + offset + 1) for offset in range(len(block))]
        for place in range(max(map(len, numbers))):
            digits = "".join(number.rjust(max(map(len, numbers)))[place] for number in numbers)
            drawn.append(output.words(f"{'':{NAME_COLUMNS}} ", (digits, output.FAINT)))
        for log in answer["logs"]:
            signs = [AGREEMENTS[_agreement(_of(peer, log["log"]))] for peer in block]
            name = log["log"] if len(log["log"]) <= NAME_COLUMNS else log["log"][: NAME_COLUMNS - 1] + "…"
            drawn.append(output.words(f"{name:{NAME_COLUMNS}} ", *((sign, style) for sign, _word, style in signs)))
        drawn.append(output.words(""))
    legend = listed(f"{sign} {_(word)}" for sign, word, _style in AGREEMENTS.values())
    numbered = [(str(number), output.member(peer["log"], names)) for number, peer in enumerate(peers, 1)]
    return [*drawn, output.words((legend, output.FAINT)), output.pairs(numbered), *running(answer, names)]


def running(answer: Row, names: Names, log: str | None = None) -> "list[RenderableType]":
    """Return the catch-ups that are under way, of one log or of all; nothing where there is none."""
    rows = [
        (
            output.member(one["log"], names),
            f"{one['have']} / {one['want']}",
            _("{count}/s", count=round(one["rate"])),
            one["from"] or "",
            _age(one["since"], answer["time"]),
        )
        for one in answer["catching_up"]
        if log in (None, one["log"])
    ]
    if not rows:
        return []
    headings = (_("Catching up"), _("Entries"), _("Rate"), _("From"), _("Since"))
    return [output.words(""), output.table(*headings, rows=rows, right=(1, 2, 4))]


def _state(peer: Row) -> "Text":
    faults = listed(f"{_kind(one['kind'])} {one['count']}" for one in peer["faults"])
    tail = (f"\n{faults}", output.FAINT) if faults else ""
    if peer["reachable"] is None:
        return output.words((_("not asked yet"), output.FAINT), tail)
    if peer["reachable"]:
        return output.words((_("answers"), output.GOOD), tail)
    return output.words((_("does not answer"), output.BAD), f"\n{detail(peer['last_error'] or '')}", tail)


def _version(peer: Row, own: int) -> "Text":
    """Return under which version of the network document a peer acts, and how that is to the asked node's own."""
    version = peer["network_version"]
    if version is None:
        return output.words((_("version unknown"), output.FAINT))
    if version == own:
        return output.words((_("version {version}", version=version), output.FAINT))
    words = _("version {version}, older") if version < own else _("version {version}, newer")
    return output.words((words.format(version=version), output.OPEN))


def _histories(peer: Row) -> "Text":
    counts = Counter(_agreement(one) for one in peer["logs"])
    parts: list[tuple[str, str]] = []
    for name, (_sign, word, style) in AGREEMENTS.items():
        if counts[name]:
            parts += [("\n", output.FAINT)] if parts else []
            parts.append((f"{counts[name]} {_(word)}", style))
    return output.words(*parts) if parts else output.words("?")


def _cells(one: Row | None, now: str) -> "tuple[str | Text, ...]":
    """Return size, confirmed size, lag, age and agreement of one log at one peer."""
    _sign, word, style = AGREEMENTS[_agreement(one)]
    if one is None:
        return "", "", "", "", output.words((_(word), style))
    lag = str(one["lag"]) if one["lag"] >= 0 else f"+{-one['lag']}"
    return (
        str(one["size"]), str(one["confirmed_size"]), lag, _age(one["seen"], now), output.words((_(word), style)),
    )  # fmt: skip


def _of(peer: Row, log: str) -> Row | None:
    return next((one for one in peer["logs"] if one["log"] == log), None)


def _agreement(one: Row | None) -> str:
    told = one["agreement"] if one is not None else "unknown"
    return told if told in AGREEMENTS else "unknown"


def _kind(kind: str) -> str:
    return _(KINDS[kind]) if kind in KINDS else kind


def _age(then: str | None, now: str) -> str:
    """Return how long ago a time was, in the largest unit that it has one of; empty for none."""
    try:
        seconds = (parse_time(now) - parse_time(then or "")) // 1000
    except LedgerError:
        return ""
    size, words = next((size, words) for size, words in UNITS if seconds >= size or size == 0)
    return _(words, count=max(seconds // max(size, 1), 0))
