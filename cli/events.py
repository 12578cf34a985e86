"""Events made of what the command line says: the members that a share and a receipt have in common."""

import hashlib
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from cli import output
from cli.command import option
from cli.language import _, noted
from cli.options import FILE
from ledger.encoding import JsonObject, encode_base64, format_time

CHUNK_BYTES = 1 << 20
UNREACHABLE_HINT = noted(
    "nobody knows whether it was recorded; the same command with --id {id} finds out, and records it once at most"
)

_COMMON = (
    option("--rows", type=click.IntRange(min=0), help=noted("How many rows.")),
    option("--bytes", "size", type=click.IntRange(min=0), help=noted("How many bytes; of --payload it is known.")),
    option("--payload", type=FILE, help=noted("The file that was transferred; its SHA-256 and length are recorded.")),
    option("--digest", help=noted("Digest of what was transferred, as in sha-256:… in base64.")),
    option("--case", help=noted("The case that it belongs to.")),
    option("--system", help=noted("The system that did it.")),
    option("--operator", help=noted("The person who did it, as a pseudonym.")),
    option("--label", "labels", multiple=True, metavar="NAME=VALUE", help=noted("A label; repeat it for several.")),
    option("--occurred-at", help=noted("When it happened, as in 2026-11-21T08:15:30.123Z; else now.")),
    option("--id", "event_id", type=click.UUID, help=noted("The event's id: sent twice, it is recorded once.")),
    option(
        "--wait", type=click.Choice(("recorded", "confirmed")), default="recorded", show_default=True,
        help=noted("Answer when it is durable here, or when a quorum of members has it."),
    ),
)  # fmt: skip


def event_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that make the common members of an event."""
    for add in reversed(_COMMON):
        function = add(function)
    return function


def common_members(said: JsonObject, *, now_ms: int) -> JsonObject:
    """Return the members that the common options say; what they do not say is absent."""
    digest, size = said["digest"], said["size"]
    if said["payload"] is not None:
        digest, size = payload_digest(said["payload"], digest=digest, size=size)
    members = {
        "id": str(said["event_id"] or uuid.uuid4()),
        "rows": said["rows"],
        "bytes": size,
        "payload_digest": digest,
        "case": said["case"],
        "system": said["system"],
        "operator": said["operator"],
        "labels": parse_labels(said["labels"]) or None,
        "occurred_at": said["occurred_at"] or format_time(now_ms),
    }
    return {name: value for name, value in members.items() if value is not None}


def payload_digest(path: Path, *, digest: str | None, size: int | None) -> tuple[str, int]:
    """Return digest and length of a file, which must be what ``digest`` and ``size`` say where they are given.

    Raises:
        click.UsageError: they say otherwise, or the file cannot be read.
    """
    total = 0
    sha256 = hashlib.sha256()
    try:
        with path.open("rb") as file, output.progress(_("reading {file}", file=path.name)) as advance:
            length = path.stat().st_size
            while chunk := file.read(CHUNK_BYTES):
                sha256.update(chunk)
                total += len(chunk)
                advance(total, length)
    except OSError as error:
        raise click.UsageError(_("{path} cannot be read: {problem}", path=path, problem=error.strerror)) from None
    found = f"sha-256:{encode_base64(sha256.digest())}"
    if digest not in (None, found):
        raise click.UsageError(_("the payload's digest is {found}, not {said}", found=found, said=digest))
    if size not in (None, total):
        raise click.UsageError(_("the payload has {found} bytes, not {said}", found=total, said=size))
    return found, total


def parse_labels(texts: tuple[str, ...]) -> dict[str, str]:
    """Return labels written as ``name=value``.

    Raises:
        click.UsageError: one is written otherwise, or is there twice.
    """
    labels: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise click.UsageError(_("{label} is no label: write it as name=value", label=repr(text)))
        if name in labels:
            raise click.UsageError(_("the label {name} is there twice", name=name))
        labels[name] = value
    return labels
