"""The next version of a signed network document: the changes that governors ask for, applied one by one.

    revision = Revision(newest)                 the newest signed version
    revision.suspend("tax.ordos.example/log")
    revision.set_faults(1)
    revision.draft()                            Draft: version + 1, ready to be read and signed

A change that would do nothing, or that contradicts another one, is refused, so that what a governor reads is what was
meant. Members are never taken out: their history stays verifiable. Log keys are only added, each from an index on.
"""

import difflib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import click

from cli.command import UnknownNameError
from cli.drafts import Draft, following, is_signed, missing_signatures, read_networks
from cli.files import read_file
from cli.language import _
from ledger.encoding import decode_utf8
from ledger.errors import LedgerError, QuorumError
from ledger.network import DOCUMENT_BYTES_MAX, Network
from ledger.note import VerifierKey, parse_vkey
from ledger.versions import GOVERNORS_HINT, check_continuity, verify_next

DRAFT_SUFFIX = ".draft"
KEY_FILE_BYTES_MAX = 4096
SECRET_START = "PRIVATE+KEY+"  # noqa: S105 - how Go's note package begins the file of a secret key
CLOSED_START = "suyuan/key/v1\n"  # an encrypted one says its public half as well
KEPT = ("status", "readmitted")  # what the governors say of a member, and it does not say of itself
NEAR_MAX = 3


class Revision:
    """The next version in the making."""

    def __init__(self, newest: Network) -> None:
        self._newest = newest
        self._start = following(newest)
        self._body: dict[str, Any] = dict(self._start.body)
        self._members: dict[str, dict[str, Any]] = {entry["origin"]: entry for entry in self._body["members"]}
        self._asked: dict[str, set[str]] = {}  # by origin, what is to be changed of it: whole, status, url

    def add(self, entry: dict[str, Any]) -> None:
        """Put a new member behind the others."""
        origin = entry["origin"]
        self._once(origin, "whole")
        if origin in self._members:
            raise click.UsageError(_("{log} is a member already; to change it: --replace", log=origin))
        self._members[origin] = entry

    def replace(self, entry: dict[str, Any]) -> None:
        """Put new keys, names or a new address in the place of a member's old ones.

        What the governors have said of it, its status and a ruling, stays.
        """
        old = self._change(entry["origin"], "whole")
        self._put({key: value for key, value in entry.items() if key not in KEPT}, old)

    def suspend(self, origin: str) -> None:
        """Stop an active member for a time: its cosignatures do not count, and its log does not go on."""
        self._set_status(origin, "suspended", since=("active",))

    def resume(self, origin: str) -> None:
        """Make a suspended member active again."""
        self._set_status(origin, "active", since=("suspended",))

    def end(self, origin: str) -> None:
        """End a membership for good; what the member has signed stays verifiable."""
        self._set_status(origin, "ended", since=("active", "suspended"))

    def readmit(self, origin: str, *, size: int, root: str, key: str) -> None:
        """Rule that a log which told two stories is the one with ``root`` up to ``size``, and goes on with a new key.

        Raises:
            click.UsageError: an earlier ruling, or a key that began later, stands in the way.
        """
        old = self._change(origin, "status")
        self._check_status(old, since=("active", "suspended"))
        spans = [dict(span) for span in old["log_keys"]]
        ruled = old.get("readmitted")
        if ruled is not None and ruled["size"] >= size:
            raise click.UsageError(
                _("{log} is readmitted from {size} on already; a ruling is never moved back",
                  log=origin, size=ruled["size"])
            )  # fmt: skip
        if spans[-1]["from"] >= size:
            raise click.UsageError(
                _("the newest log key of {log} begins at {size}; --at must be larger",
                  log=origin, size=spans[-1]["from"])
            )  # fmt: skip
        if spans[-1].get("until", size) != size:
            raise click.UsageError(
                _("the newest log key of {log} has ended at {size}: give that with --at",
                  log=origin, size=spans[-1]["until"])
            )  # fmt: skip
        spans[-1]["until"] = size
        spans.append({"key": key, "from": size})
        entry = {**old, "log_keys": spans, "readmitted": {"root": root, "size": size}, "status": "active"}
        self._members[origin] = entry

    def move(self, origin: str, url: str) -> None:
        """Give a member another address."""
        old = self._change(origin, "url")
        self._put({**old, "url": url}, old)

    def change_governors(
        self, added: Sequence[VerifierKey] = (), removed: Sequence[str] = (), threshold: int | None = None
    ) -> None:
        """Add governors, remove others, set how many must sign.

        Raises:
            UnknownNameError: nobody of that name governs.
        """
        old = self._body["governors"]
        keys = list(old["keys"])
        for name in removed:
            keys.remove(self._governor(name, keys))
        for key in added:
            if key.vkey in old["keys"]:
                raise click.UsageError(_("{name} governs already", name=key.name))
            keys.append(key.vkey)
        needed = old["threshold"] if threshold is None else threshold
        if needed > len(keys):
            raise click.UsageError(
                _("{needed} governors must sign, and there would be {count}: give --threshold",
                  needed=needed, count=len(keys))
            )  # fmt: skip
        after = {"keys": keys, "threshold": needed}
        if threshold is not None and after == old:
            raise _nothing_new("--threshold")
        self._body["governors"] = after

    def set_faults(self, faults: int | None) -> None:
        """Say how many members may fail or lie; None: less than a third of them."""
        after = None if faults is None else {"faults": faults}
        if self._body.get("quorum") == after:
            raise _nothing_new("--faults")
        self._body.pop("quorum", None)
        if after is not None:
            self._body["quorum"] = after

    def set_access(self, read: str) -> None:
        """Say who may read the logs."""
        if self._body["access"] == {"read": read}:
            raise _nothing_new("--access")
        self._body["access"] = {"read": read}

    def set_rules(self, rules: str) -> None:
        """Name another table of rules."""
        if self._body["rules"] == rules:
            raise _nothing_new("--rules")
        self._body["rules"] = rules

    def draft(self) -> Draft:
        """Return the draft of the next version.

        Raises:
            LedgerError: the changes lead to a document that cannot be, or that takes away what must stay.
            click.UsageError: nothing was to be changed.
        """
        body = {**self._body, "members": list(self._members.values())}
        if body == self._start.body:
            raise click.UsageError(_("nothing is to be changed: --help lists what can be"))
        draft = Draft(self._start.name, self._start.version, self._start.previous, body)
        check_continuity(self._newest, draft.network)
        return draft

    def _once(self, origin: str, kind: str) -> None:
        asked = self._asked.setdefault(origin, set())
        if kind in asked or "whole" in asked or (asked and kind == "whole"):
            raise click.UsageError(_("two changes of {log} do not go together: ask for one of them", log=origin))
        asked.add(kind)

    def _change(self, origin: str, kind: str) -> dict[str, Any]:
        """Return the entry of a member that is to be changed."""
        if origin not in self._members:
            raise UnknownNameError(
                _("version {version} has no member {name}", version=self._newest.version, name=origin),
                near_members(self._newest, origin),
            )
        self._once(origin, kind)
        return self._members[origin]

    def _put(self, entry: dict[str, Any], old: dict[str, Any]) -> None:
        kept = {name: old[name] for name in KEPT if name in old}
        after = {**entry, **kept}
        if after == old:
            raise click.UsageError(_("{log} is so already", log=old["origin"]))
        self._members[old["origin"]] = after

    def _set_status(self, origin: str, status: str, *, since: Sequence[str]) -> None:
        old = self._change(origin, "status")
        self._check_status(old, since=since)
        self._members[origin] = {**old, "status": status}

    @staticmethod
    def _check_status(entry: dict[str, Any], *, since: Sequence[str]) -> None:
        if entry["status"] not in since:
            raise click.UsageError(
                _("the membership of {log} is {status}: that cannot be done with it",
                  log=entry["origin"], status=_(entry["status"]))
            )  # fmt: skip

    def _governor(self, name: str, keys: Sequence[str]) -> str:
        known = {vkey: parse_vkey(vkey).name for vkey in keys}
        found = [vkey for vkey, its in known.items() if name in {vkey, its}]
        if not found:
            near = difflib.get_close_matches(name, known.values(), NEAR_MAX)
            raise UnknownNameError(_("nobody named {name} governs this network", name=name), near)
        if len(found) > 1:
            raise click.UsageError(_("several governors are named {name}: give the whole public key", name=name))
        return found[0]


def newest_signed(data: bytes) -> list[Network]:
    """Return the versions of a signed chain file, each of them signed by enough governors.

    Version 1 is not compared with a fingerprint here: whoever signs, or is to act under it, does that.

    Raises:
        click.UsageError: the file is a draft.
        QuorumError and its relatives: a version does not follow the one before, or lacks signatures.
    """
    if not is_signed(data):
        raise click.UsageError(_("this is a draft: give the file of signed versions that it follows"))
    versions = read_networks(data)
    missing = missing_signatures(versions[0], None)
    if missing > 0:
        first, needed = versions[0].version, versions[0].body.governors.threshold
        raise QuorumError(
            f"version {first} has {needed - missing} of the {needed} signatures that it needs by governors of version "
            f"{first}",
            field="signatures",
            hint=GOVERNORS_HINT,
        )
    for before, after in pairwise(versions):
        verify_next(before, after)
    return versions


def draft_path(network: Path, out: Path | None, versions: Sequence[Network]) -> Path:
    """Return where the draft of the next version goes: ``out``, or beside the signed document.

    Raises:
        click.UsageError: there is a file already, other than a draft that is signed by now.
    """
    target = out or network.with_suffix(DRAFT_SUFFIX)
    spent = {version.text.encode() for version in versions}
    if target.exists() and read_file(target, DOCUMENT_BYTES_MAX) not in spent:
        raise click.UsageError(_("{path} is there already; it is not replaced", path=target))
    return target


def read_governor(text: str) -> VerifierKey:
    """Return a governor's public key, given as such or as the file of the public or of the secret key.

    Raises:
        LedgerError: it is no key.
        click.UsageError: there is no such file.
    """
    path = Path(text)
    if not path.is_file():
        if "+" in text:
            return parse_vkey(text)
        raise click.UsageError(_("{path} does not exist", path=text))
    said = decode_utf8(read_file(path, KEY_FILE_BYTES_MAX), field=text).strip()
    if said.startswith((SECRET_START, CLOSED_START)):
        from node.keys import governor_file  # noqa: PLC0415 - nacl is slow to import

        return parse_vkey(governor_file(path).public)
    try:
        return parse_vkey(said)
    except LedgerError as error:
        raise error.at(text) from None


def near_members(network: Network, name: str) -> list[str]:
    """Return the members that somebody may have meant: by origin, host, its first part, or name in either language."""
    spellings: dict[str, str] = {}
    for origin, member in network.members.items():
        host = origin.rpartition("/")[0]
        for spelling in (origin, host, host.partition(".")[0], member.entry.names.en, member.entry.names.zh):
            spellings.setdefault(spelling.lower(), origin)
    near = difflib.get_close_matches(name.lower(), spellings, 2 * NEAR_MAX)
    return list(dict.fromkeys(spellings[spelling] for spelling in near))[:NEAR_MAX]


def _nothing_new(option: str) -> click.UsageError:
    return click.UsageError(_("{option} says what is so already", option=option))
