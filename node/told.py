"""Told: what peers tell of the logs that they hold, and the form in which they answer. Nothing of it is verified."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import httpx

from ledger.encoding import JsonObject, JsonValue, lines_to_text, parse_decimal, parse_hash, parse_json, parse_time
from ledger.errors import LedgerError
from node.faults import PeerBusyError, PeerMalformedError, PeerRefusedError
from node.wary import words_of

IDS_MAX = 1000  # proofs that a peer may list

_ID = re.compile(r"[0-9a-f]{64}")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Head:
    """How far a peer holds one log, as it tells it."""

    size: int
    confirmed: int
    root: bytes  # of the tree of all entries that it holds; nobody has signed it
    signed: int = 0  # size of the largest checkpoint that it knows, with a quorum or without
    vouched: int = 0  # POSIX seconds since which a quorum vouches for the confirmed one; 0 where it does not say


@dataclass(frozen=True, slots=True)
class Heads:
    """What a peer tells of itself: nothing of it is verified."""

    version: int  # of the network document under which it acts
    logs: dict[str, Head]
    equivocations: tuple[str, ...] = ()  # ids of the proofs that it holds against logs


@dataclass(frozen=True, slots=True)
class Seen:
    """A head as it was seen, and what was made of it."""

    head: Head
    at_ms: int
    agrees: bool | None  # whether its root is ours at its size; None: not compared, since it was ahead or just changed
    compared_ms: int = 0  # when a root of this log and peer was compared last


@dataclass(frozen=True, slots=True)
class Memory:
    """What a peer remembers of every log, as it tells it: nothing of it is verified."""

    version: int  # of the network document under which it acts
    since: int  # under which version it has last finished a return of its own; 0: never yet
    sizes: dict[str, int]  # entries that it holds
    checkpoints: dict[str, bytes]  # the best checkpoint that it knows of a log, signed by that log


def expect(status: int, answer: bytes) -> None:
    """Check that a peer has answered what it was asked.

    Raises:
        PeerBusyError: it asks to come again later.
        PeerRefusedError: it gives an error of its own.
    """
    if status == httpx.codes.SERVICE_UNAVAILABLE:
        raise PeerBusyError("the peer asks to come again later")
    if not httpx.codes.is_success(status):
        raise PeerRefusedError(refusal(status, answer))


def refusal(status: int, answer: bytes) -> str:
    """Return how a peer words that it refuses something, in a form that can be shown."""
    return f"status {status}: {worded(answer)}"


def worded(answer: bytes) -> str:
    """Return what a refusal says to people: of a problem document (RFC 9457) its detail, else the beginning of it."""
    try:
        problem = parse_json(answer, field="problem")
    except LedgerError:
        problem = None
    if isinstance(problem, dict) and isinstance(problem.get("detail"), str):
        return words_of(str(problem["detail"]))
    return words_of(answer[:1000].decode("utf-8", "replace"))


def read_size(answer: bytes) -> int:
    """Return the size that a peer has cosigned last, as it says with 409.

    Raises:
        PeerMalformedError: it is none.
    """
    text = answer.decode("ascii", "replace")
    if not text.endswith("\n"):
        raise PeerMalformedError(f"status 409 without a size: {words_of(text)}")
    return checked(lambda: parse_decimal(text[:-1], field="size"))


def read_heads(answer: bytes) -> Heads:
    """Return what ``GET /v1/logs`` has answered.

    Raises:
        PeerMalformedError: something of another form.
    """
    version, listed, rest = _listed(answer)
    return Heads(version, dict(map(_head, listed)), _ids(rest.get("equivocations", [])))


def read_memory(answer: bytes) -> Memory:
    """Return what ``GET /v1/memory`` has answered.

    Raises:
        PeerMalformedError: something of another form.
    """
    version, listed, rest = _listed(answer)
    told = [_remembered(one) for one in listed]
    since = rest.get("since", 0)
    if not isinstance(since, int) or since < 0:
        raise PeerMalformedError("the list of logs has another form")
    return Memory(
        version,
        since,
        {origin: size for origin, size, _ in told},
        {origin: checkpoint for origin, _, checkpoint in told if checkpoint is not None},
    )


def _remembered(one: JsonValue) -> tuple[str, int, bytes | None]:
    match one:
        case {"log": str(log), "size": int(size), "checkpoint": list(lines)} if size >= 0:
            if all(isinstance(line, str) for line in lines):
                return log, size, lines_to_text([line for line in lines if isinstance(line, str)])
        case {"log": str(log), "size": int(size)} if size >= 0:
            return log, size, None
    raise PeerMalformedError("the list of logs has another form")


def _listed(answer: bytes) -> tuple[int, list[JsonValue], JsonObject]:
    match checked(lambda: parse_json(answer)):
        case {"network_version": int(version), "logs": list(listed), **rest}:
            return version, listed, {str(name): value for name, value in rest.items()}
    raise PeerMalformedError("the list of logs has another form")


def _ids(listed: JsonValue) -> tuple[str, ...]:
    names = listed if isinstance(listed, list) else [None]
    ids = tuple(one for one in names if isinstance(one, str) and _ID.fullmatch(one))
    if not len(names) == len(ids) <= IDS_MAX:
        raise PeerMalformedError("the list of proofs has another form")
    return ids


def _head(one: JsonValue) -> tuple[str, Head]:
    match one:
        case {"log": str(log), "size": int(size), "confirmed_size": int(confirmed), "root": str(root), **more}:
            signed, vouched = more.get("signed_size"), more.get("vouched")
            told = Head(
                size,
                confirmed,
                checked(lambda: parse_hash(root, field="root")),
                signed if isinstance(signed, int) else 0,
                checked(lambda: parse_time(vouched)) // 1000 if isinstance(vouched, str) else 0,
            )
            if min(size, confirmed, told.signed) >= 0:
                return log, told
    raise PeerMalformedError("the list of logs has another form")


def checked(parse: Callable[[], T]) -> T:
    """Return what ``parse`` makes of an answer.

    Raises:
        PeerMalformedError: it can make nothing of it.
    """
    try:
        return parse()
    except LedgerError as error:
        raise PeerMalformedError(f"the answer is malformed: {error}") from None
