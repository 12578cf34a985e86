"""Events by which a log speaks of itself.

``log.open`` is entry 0 of every log. The entry's hash line binds it to the network document under which the log was
opened; the event repeats name and version of that document so that a person can read them.

    {"id":"…","network":"ordos","network_version":1,"software":"suyuan 0.1.0","type":"log.open"}
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ledger.encoding import INTEGER_MAX
from ledger.event.base import Event, Name


class LogOpen(Event):
    """The first entry of a log: under which network document it was opened, and by which software."""

    TYPE: ClassVar[str] = "log.open"

    type: Literal["log.open"]
    network: Name
    network_version: Annotated[int, Field(ge=1, le=INTEGER_MAX)]
    software: Name
