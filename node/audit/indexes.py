"""Indexes and manifests: whatever the entries call for must be found, and nothing else (see node/layout.py)."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from ledger.entry import Entry, parse_entry
from ledger.errors import LedgerError, StoreCorruptError
from ledger.event import Share, read_event
from ledger.manifest import parse_manifest
from ledger.store import Store
from ledger.store.protocol import prefix_end
from node import layout, logs
from node.audit.findings import Findings, Progress
from node.audit.walk import LogWalk

KINDS = (b"G", b"H", b"I", b"R", b"P", b"A", b"V", b"F")  # letters of the index keys that end with a place
_PART = 1000  # memberships that are looked up at once


class IndexAudit:
    """Compares the index keys with the entries, both ways."""

    def __init__(self, store: Store, findings: Findings, *, own: str) -> None:
        self._store = store
        self._findings = findings
        self._own = own
        self._expected: Counter[tuple[bytes, bytes]] = Counter()  # keys by letter and log

    def look_up(self, walk: LogWalk, entries: Sequence[Entry]) -> None:
        """Look up every key that some entries of a log call for."""
        wanted = [(entry, key, value) for entry in entries for key, value in logs.called_for(walk.log, entry).items()]
        try:
            found = self._store.get_many([key for _, key, _ in wanted])
        except StoreCorruptError:
            found = [self._get(key) for _, key, _ in wanted]
        for (entry, key, value), stored in zip(wanted, found, strict=True):
            if stored == value:
                self._expected[key[:1], walk.log] += 1
            elif stored is None:
                self._findings.add("index_missing", walk.place(entry.index), f"the index key {key.hex()} is missing")
            elif not self._is_repeated(walk, entry, key, stored):
                told = f"the index key {key.hex()} has another value"
                self._findings.add("index_differs", walk.place(entry.index), told)
        if walk.origin == self._own:
            for entry in entries:
                self._check_kept(walk, entry)

    def find_strays(self, walks: Mapping[bytes, LogWalk], progress: Progress) -> None:
        """Look for keys that no entry calls for; they are judged one by one only where there are too many."""
        for number, kind in enumerate(KINDS, 1):
            with self._findings.readable("indexes"):
                for log, count in self._count(kind).items():
                    walk = walks.get(log)
                    if walk is None:
                        told = f"{count} index keys of a log that is no member's"
                        self._findings.add("unknown_log", f"log {log.hex()}", told)
                    elif count > self._expected[kind, log]:
                        self._name_strays(walk, kind)
            progress("indexes", number, len(KINDS))

    def check_manifests(self) -> None:
        """Check that every manifest is what its root says, and that exactly its records lead to it."""
        with self._findings.readable("manifests"):
            leading = Counter(key[1 + layout.CUT_BYTES :] for key, _ in self._store.scan(b"K", prefix_end(b"K")))
            for key, value in self._store.scan(b"M", prefix_end(b"M")):
                self._check_manifest(key[1:], value, leading.pop(key[1:], 0))
            for root in leading:
                self._findings.add(
                    "index_stray", f"manifest {root.hex()}", "records lead to a manifest that is not kept"
                )

    def _is_repeated(self, walk: LogWalk, entry: Entry, key: bytes, stored: bytes) -> bool:
        """Tell whether a log has used an event id again: its key then names the later entry."""
        later = int.from_bytes(stored[: layout.INDEX_BYTES], "big")
        return key[:1] == b"I" and entry.index < later < walk.size and key in self._called_for_at(walk, later)

    def _check_kept(self, walk: LogWalk, entry: Entry) -> None:
        event = read_event(entry.event) if "manifest" in entry.event else None
        manifest = event.manifest if isinstance(event, Share) else None
        if manifest is not None and self._get(layout.manifest_key(manifest.root_bytes)) is None:
            told = "the manifest that the share names is not kept"
            self._findings.add("manifest_missing", walk.place(entry.index), told)

    def _count(self, kind: bytes) -> Counter[bytes]:
        return Counter(_log_of(key) for key, _ in self._store.scan(kind, prefix_end(kind)))

    def _name_strays(self, walk: LogWalk, kind: bytes) -> None:
        for key, value in self._store.scan(kind, prefix_end(kind)):
            if _log_of(key) != walk.log:
                continue
            index = int.from_bytes(value if kind == b"I" else key[-layout.INDEX_BYTES :], "big")
            if index not in walk.damaged and key not in self._called_for_at(walk, index):
                told = f"the index key {key.hex()} belongs to no such entry"
                self._findings.add("index_stray", walk.place(index), told)

    def _called_for_at(self, walk: LogWalk, index: int) -> dict[bytes, bytes]:
        raw = self._get(layout.entry_key(walk.log, index)) if index < walk.size else None
        try:
            return logs.called_for(walk.log, parse_entry(raw)) if raw is not None else {}
        except LedgerError:
            return {}

    def _check_manifest(self, root: bytes, data: bytes, leading: int) -> None:
        place = f"manifest {root.hex()}"
        try:
            manifest = parse_manifest(data)
        except LedgerError as error:
            self._findings.add(error.code, place, str(error))
            return
        if manifest.root != root:
            told = "its records do not hash to the root under which it is kept"
            self._findings.add("manifest_differs", place, told)
            return
        keys = {layout.membership_key(record, root) for record in manifest.records}
        missing = sum(one is None for part in _parts(keys) for one in self._store.get_many(part))
        if missing:
            self._findings.add("index_missing", place, f"{missing} of its records do not lead to it")
        if leading > len(keys) - missing:
            self._findings.add("index_stray", place, "records lead to it that it does not have")

    def _get(self, key: bytes) -> bytes | None:
        try:
            return self._store.get(key)
        except StoreCorruptError:
            return None


def _log_of(key: bytes) -> bytes:
    return key[-layout.LOG_BYTES :] if key[:1] == b"I" else layout.place_of(key).log


def _parts(keys: set[bytes]) -> Iterator[list[bytes]]:
    rest = iter(sorted(keys))
    while part := list(islice(rest, _PART)):
        yield part
