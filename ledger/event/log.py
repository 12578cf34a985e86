"""Events by which a log speaks of itself.

``log.open`` is entry 0 of every log. The entry's hash line binds it to the network document under which the log was
opened; the event repeats name and version of that document so that a person can read them.

    {"id":"…","network":"ordos","network_version":1,"software":"suyuan 0.1.0","type":"log.open"}

From ``network.adopt`` on, a log acts under a newer version of the document: its checkpoints need that version's quorum.

    {"hash":"…","id":"…","network":"ordos","type":"network.adopt","version":2}

``key.rotate`` names a department's next key for one role, signed by the log key in force; the governors put it into the
network document. A log key begins at ``from``, and the old one signs nothing there any more.

    {"from":9000,"id":"…","key":"police.ordos.example/log+…","role":"log","type":"key.rotate"}
"""

import re
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from ledger.encoding import INTEGER_MAX
from ledger.errors import LedgerError
from ledger.event.base import Event, Hash, Maybe, Name
from ledger.limits import HASH_PATTERN
from ledger.note import COSIGNATURE, ED25519, parse_vkey

VKEY_CHARACTERS_MAX = 400  # a name of 255 characters, an ID, and a key of 33 bytes in base64
KEY_ALGORITHMS = {"log": ED25519, "cosigner": COSIGNATURE, "transport": ED25519}

Role = Literal["log", "cosigner", "transport", "sealing"]


class LogOpen(Event):
    """The first entry of a log: under which network document it was opened, and by which software."""

    TYPE: ClassVar[str] = "log.open"

    type: Literal["log.open"]
    network: Name
    network_version: Annotated[int, Field(ge=1, le=INTEGER_MAX)]
    software: Name


class NetworkAdopt(Event):
    """From here on the log acts under this version of the network document; ``hash`` is that of its text."""

    TYPE: ClassVar[str] = "network.adopt"

    type: Literal["network.adopt"]
    network: Name
    version: Annotated[int, Field(ge=2, le=INTEGER_MAX)]
    hash: Hash


class KeyRotate(Event):
    """The next key for one role: a vkey, or for sealing 32 bytes in base64."""

    TYPE: ClassVar[str] = "key.rotate"

    type: Literal["key.rotate"]
    role: Role
    key: Annotated[str, StringConstraints(min_length=1, max_length=VKEY_CHARACTERS_MAX)]
    start: Annotated[Maybe[Annotated[int, Field(ge=1, le=INTEGER_MAX)]], Field(alias="from")] = None

    @model_validator(mode="after")
    def _fits_its_role(self) -> Self:
        if (self.role == "log") != (self.start is not None):
            raise PydanticCustomError(
                "missing_member" if self.role == "log" else "bad_value",
                "a log key, and no other, begins at an index",
                {"member": "from"},
            )
        problem = _key_problem(self.role, self.key)
        if problem is not None:
            raise PydanticCustomError("bad_value", "{problem}", {"member": "key", "problem": problem})
        return self


def _key_problem(role: Role, key: str) -> str | None:
    """Say why a text is no key for a role."""
    if role == "sealing":
        return None if re.fullmatch(HASH_PATTERN, key) else "a sealing key is 32 bytes in base64"
    try:
        parsed = parse_vkey(key)
    except LedgerError as error:
        return error.message
    return None if parsed.algorithm == KEY_ALGORITHMS[role] else "a key of another kind belongs here"
