"""A record's transfer history on one screen: who, to whom, when, why, and how each step is verified."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cli import output
from cli.language import Words, _, detail, listed, noted, plural, title_of
from ledger.encoding import format_time
from ledger.provenance import Gap, Holder, Hop, Trace

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

DAMAGE = frozenset({"damaged", "unreadable"})  # gaps that say that stored or signed data is not what it must be
HOLDER_WORDS = {
    "origin": noted("where it comes from"),
    "received": noted("received it"),
    "unacknowledged": noted("was sent it, has not answered"),
}
OUTCOME_WORDS = {"accepted": noted("accepted"), "rejected": noted("rejected")}
_ARROW = " → "


def parts(trace: Trace, names: Mapping[str, str]) -> "list[RenderableType]":
    """Return what is drawn for a history; ``names`` has the members' names by log."""
    sizes = {one["log"]: one["size"] for one in trace.checkpoints}
    drawn: list[RenderableType] = [
        output.heading(_("Record {record}", record=trace.record)),
        output.words(summary(trace)),
    ]
    for number, hop in enumerate(trace.hops, 1):
        drawn += [output.words(""), *_hop_parts(number, hop, names, sizes)]
    drawn += [output.words(""), output.words((_("Who holds it"), output.STRONG)), _holders(trace.holders, names)]
    if trace.gaps:
        drawn += [
            output.words(""),
            output.words((_("Gaps"), output.STRONG)),
            output.pairs([_gap_row(gap) for gap in trace.gaps], indent=2),
        ]
    if trace.truncated:
        drawn.append(output.words((_("The history is longer than what is shown."), output.OPEN)))
    drawn += [
        output.words(""),
        output.words((_("What it rests on"), output.STRONG)),
        _checkpoints(trace.checkpoints, names),
    ]
    return drawn


def summary(trace: Trace) -> str:
    """Return the history in one line."""
    gaps = plural(len(trace.gaps), "{count} gap", "{count} gaps") if trace.gaps else _("no gaps")
    holders = plural(len(trace.holders), "{count} holder", "{count} holders")
    hops = plural(len(trace.hops), "{count} transfer", "{count} transfers")
    return listed((hops, holders, gaps))


def is_damaged(trace: Trace) -> bool:
    """Tell whether a step is not verified, or damage is reported."""
    return not trace.verified or any(gap.kind in DAMAGE for gap in trace.gaps)


def verification_words(*, confirmed: bool, verified: bool, size: int | None, words: str) -> "tuple[str, str]":
    """Return how far an entry is verified, and the style that says it."""
    if not verified:
        return _("NOT verified: {problem}", problem=words), output.BAD
    if not confirmed:
        return _("signed; not confirmed yet by a quorum"), output.OPEN
    if size is None:
        return _("verified: signed, in the log, cosigned by a quorum"), output.GOOD
    return _("verified: signed, in the log of size {size}, cosigned by a quorum", size=size), output.GOOD


def _hop_parts(number: int, hop: Hop, names: Mapping[str, str], sizes: Mapping[str, int]) -> "list[RenderableType]":
    provider, consumer = hop.share.ref.log, hop.event.consumer
    title = output.words(
        (f"{number}  ", output.FAINT),
        (names.get(provider, provider) + _ARROW + names.get(consumer, consumer), output.STRONG),
    )
    rows: list[tuple[str, str | Text]] = [
        (_("logs"), provider + _ARROW + consumer),
        (_("when"), _("{time} UTC", time=output.moment(hop.event.occurred_at))),
        (_("what"), _what(hop)),
        (_("purpose"), hop.event.purpose),
    ]
    basis = _basis(hop)
    if basis:
        rows.append((_("basis"), basis))
    share = verification_words(
        confirmed=hop.share.confirmed, verified=hop.share.verified, size=sizes.get(provider), words=hop.share.words
    )
    rows.append((_("share"), output.words(f"{hop.share.ref}\n", share)))
    rows.append((_("receipt"), _receipt(hop, sizes)))
    if hop.event.parents:
        rows.append((_("sources"), listed(str(parent) for parent in hop.event.parents)))
    return [title, output.pairs(rows, indent=3)]


def _what(hop: Hop) -> str:
    said = [hop.event.resource, _(hop.event.mode or hop.event.method)]
    if hop.event.rows is not None:
        said.append(plural(hop.event.rows, "{count} row", "{count} rows"))
    if hop.event.fields:
        said.append(listed(hop.event.fields))
    if not hop.direct:
        said.append(_("made from this record"))
    return " · ".join(said)


def _basis(hop: Hop) -> str:
    said = [text for text in (hop.event.legal_basis, hop.event.case) if text]
    if hop.event.grant is not None:
        said.append(_("grant {grant}", grant=str(hop.event.grant)))
    return " · ".join(said)


def _receipt(hop: Hop, sizes: Mapping[str, int]) -> "Text":
    if hop.receipt is None or hop.answer is None:
        return output.words((_("none yet"), output.OPEN))
    words = verification_words(
        confirmed=hop.receipt.confirmed,
        verified=hop.receipt.verified,
        size=sizes.get(hop.receipt.ref.log),
        words=hop.receipt.words,
    )
    outcome = _(OUTCOME_WORDS[hop.answer.outcome])
    if hop.answer.reason:
        outcome = f"{outcome}: {hop.answer.reason}"
    return output.words(f"{hop.receipt.ref} {outcome}\n", words)


def _holders(holders: Sequence[Holder], names: Mapping[str, str]) -> "RenderableType":
    return output.pairs(
        [
            (
                names.get(one.log, one.log),
                _(
                    "{how}, since {time} UTC",
                    how=_(HOLDER_WORDS[one.state]),
                    time=output.moment(format_time(one.since)),
                ),
            )
            for one in holders
        ],
        indent=2,
    )


def _gap_row(gap: Gap) -> "tuple[str, Text]":
    style = output.BAD if gap.kind in DAMAGE else output.OPEN
    return title_of(gap.kind) or gap.kind.replace("_", " "), output.words((detail(gap.detail), style))


def _checkpoints(checkpoints: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> "RenderableType":
    if not checkpoints:
        return output.pairs([("", _("no confirmed checkpoint yet"))], indent=2)
    rows = []
    for one in checkpoints:
        cosigners = listed(names.get(log, log) for log in one["cosigned_by"])
        words = Words(
            "checkpoint of size {size}, cosigned by {count} ({needed} needed): {cosigners}",
            size=one["size"], count=len(one["cosigned_by"]), needed=one["needed"], cosigners=cosigners,
        )  # fmt: skip
        rows.append((names.get(one["log"], one["log"]), str(words)))
    return output.pairs(rows, indent=2)
