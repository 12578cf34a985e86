"""Checking what a node says of the members' logs: every quorum is counted here, from the network document alone.

A node's list of logs is its word. What it calls confirmed must be a checkpoint with a quorum of cosignatures, which is
asked for and judged; sizes beyond it, and that there is no newer one, remain its word.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cli.output import Advance
from ledger.encoding import encode_base64, format_time, lines_to_text
from ledger.errors import LedgerError, MalformedError, NetworkError, VerificationError
from ledger.network import Network
from ledger.quorum import Judged, judge_checkpoint, require_quorum
from node.client import BadAnswerError, Client, ClientError


@dataclass(frozen=True, slots=True)
class Checked:
    """A checkpoint that a node calls confirmed: as it was judged here, or why it does not hold."""

    judged: Judged | None
    problem: LedgerError | None = None


def check_logs(
    client: Client, logs: Sequence[dict[str, Any]], network: Network, advance: Advance
) -> dict[str, Checked]:
    """Ask for the checkpoint of every log that is said to be confirmed, and judge it; by log.

    Raises:
        ClientError: the node does not give it.
    """
    checked: dict[str, Checked] = {}
    for number, log in enumerate(logs):
        if log["confirmed_size"]:
            checked[log["log"]] = _checked(lambda log=log: _newest(client, log, network))
        advance(number + 1, len(logs))
    return checked


def check_past(log: str, told: Sequence[dict[str, Any]], network: Network) -> list[Checked]:
    """Judge the checkpoints of a log's past, one by one, and that they are in order."""
    checked: list[Checked] = []
    before: Judged | None = None
    for row in told:
        one = _checked(lambda row=row, before=before: _past(log, row, before, network))
        before = one.judged or before
        checked.append(one)
    return checked


def judged_json(judged: Judged) -> dict[str, Any]:
    """Return for a program what was counted here."""
    return {
        "confirmed_size": judged.size,
        "vouched": format_time(1000 * judged.vouched) if judged.vouched is not None else None,
        "cosigned_by": [origin for origin, _time in judged.cosigners],
        "needed": judged.needed,
    }


def _checked(judge: Any) -> Checked:
    try:
        return Checked(judge())
    except ClientError:
        raise
    except (VerificationError, MalformedError, NetworkError) as error:
        return Checked(None, error)


def _newest(client: Client, log: dict[str, Any], network: Network) -> Judged:
    judged = _confirmed(log["log"], client.checkpoint(log["log"]), network)
    if judged.size < log["confirmed_size"]:
        raise VerificationError(
            f"the node calls {log['confirmed_size']} entries confirmed, and its checkpoint has {judged.size}",
            field="confirmed_size",
        )
    return judged


def _past(log: str, row: dict[str, Any], before: Judged | None, network: Network) -> Judged:
    note = row.get("note")
    if not isinstance(note, list) or not all(isinstance(line, str) for line in note):
        raise BadAnswerError("a checkpoint without its note", field="note")
    judged = _confirmed(log, lines_to_text(note), network)
    if judged.size != row.get("size") or encode_base64(judged.checkpoint.root) != row.get("root"):
        raise VerificationError("the node tells another size or root than its checkpoint has", field="size")
    if before is not None and judged.size <= before.size:
        raise VerificationError("the checkpoints are not in the order of their sizes", field="size")
    return judged


def _confirmed(log: str, data: bytes, network: Network) -> Judged:
    judged = require_quorum(judge_checkpoint(data, network))
    if judged.checkpoint.origin != log:
        raise VerificationError(f"a checkpoint of {judged.checkpoint.origin[:80]} in the place of {log}", field="log")
    return judged
