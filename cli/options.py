"""Options that several commands share, and the types of their values; the offline verifier uses them too."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from cli.command import option
from cli.language import _, noted

_REFERENCE = re.compile(r"(?P<log>[^\s#]+)#(?P<index>0|[1-9][0-9]{0,18})")
_EVENT_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_RECORD = re.compile(r"[0-9a-f]{32}")
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
NEW_FILE = click.Path(dir_okay=False, writable=True, path_type=Path)
SOURCE = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)  # - is standard input
CONFIG = click.Path(exists=True, path_type=Path)


@dataclass(frozen=True, slots=True)
class Place:
    """An entry as people write it: ``police.ordos.example/log#42``."""

    log: str
    index: int

    def __str__(self) -> str:
        return f"{self.log}#{self.index}"


class PlaceType(click.ParamType):  # type: ignore[type-arg] # generic only in newer versions of click
    """``LOG#INDEX``."""

    name = "log#index"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Place:
        """Return the place, or fail with the form that is expected."""
        if isinstance(value, Place):
            return value
        match = _REFERENCE.fullmatch(value)
        if match is None:
            self.fail(_("{value} is no entry: write it as police.ordos.example/log#42", value=repr(value)), param, ctx)
        return Place(match["log"], int(match["index"]))


class PlaceOrEventType(PlaceType):
    """``LOG#INDEX``, or the id of an event."""

    name = "log#index|event_id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a place, or the event id as it is."""
        if isinstance(value, str) and _EVENT_ID.fullmatch(value.lower()):
            return value.lower()
        return super().convert(value, param, ctx)


class RecordType(click.ParamType):  # type: ignore[type-arg] # as above
    """A record reference."""

    name = "record"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the reference, or fail."""
        text = str(value).strip().lower()
        if _RECORD.fullmatch(text) is None:
            self.fail(
                _(
                    "{value} is no record reference: it has 32 hexadecimal digits; suyuan ref makes them",
                    value=repr(value),
                ),
                param,
                ctx,
            )
        return text


class FingerprintType(click.ParamType):  # type: ignore[type-arg] # as above
    """A network's fingerprint, in any of the spellings that people use."""

    name = "hex"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the fingerprint in its one form, or fail."""
        digits = re.sub(r"[\s:]", "", str(value)).lower()
        if _FINGERPRINT.fullmatch(digits) is None:
            self.fail(_("a fingerprint has 64 hexadecimal digits"), param, ctx)
        return digits


PLACE = PlaceType()
PLACE_OR_EVENT = PlaceOrEventType()
RECORD = RecordType()
FINGERPRINT = FingerprintType()

json_option = option(
    "--json", "as_json", is_flag=True, help=noted("Print JSON for a program; docs/cli-json.md describes it.")
)
config_option = option(
    "--config",
    type=CONFIG,
    required=True,
    envvar="SUYUAN_CONFIG",
    help=noted("The node's folder, or its settings file."),
)
fingerprint_option = option(
    "--fingerprint", type=FINGERPRINT, envvar="SUYUAN_FINGERPRINT",
    help=noted("The network's fingerprint, as it was given to you out of band."),
)  # fmt: skip
network_option = option(
    "--network",
    type=FILE,
    envvar="SUYUAN_NETWORK",
    help=noted("The network document; it must lead back to the fingerprint."),
)
