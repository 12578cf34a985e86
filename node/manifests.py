"""Manifests: kept for the shares that name them, given to the consumers of those shares, fetched from their providers.

A share with many records carries the root and the count of a manifest (ledger/manifest.py); both parties keep the
manifest itself, and nobody else is shown it. The provider's clients post it before the share. The consumer's node
notes each share to its department that names one, in the same durable write as the entry (letter N, node/layout.py),
and fetches it from the provider, who knows the consumer by the signature of the request:

    GET /v1/manifests/<lowercase hex of the root>

What is noted stays noted until the manifest is kept here, whoever brought it, so that neither a restart nor a provider
that is down loses it. A provider that serves something else is asked again, ever more rarely; the log tells of it, and
``suyuan_manifests_missing`` counts.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from ledger.errors import LedgerError, ManifestError, StoreCorruptError, StoreFailedError
from ledger.event import Share, read_event
from ledger.event.transfer import ManifestRef
from ledger.manifest import Manifest, parse_manifest
from ledger.store import Store
from ledger.store.protocol import prefix_end
from node import layout
from node.errors import BusyError, ManifestsWaitingError, NotFoundError, ReadOnlyError
from node.faults import PeerBusyError, PeerError, PeerUnreachableError
from node.logs import LogState, read_entry
from node.metrics import Metrics
from node.peers import Peer
from node.repeats import Repeats
from node.writer import Transaction, Writer

log = structlog.get_logger(__name__)

MISSING = "manifests of shares to this department are missing"

UNNAMED_MAX = 100  # manifests of one client that no share names yet: some 8 MB on the disk each at most
AT_ONCE_MAX = 4  # manifests in memory while they are fetched: some 15 MB each when parsed
FAILURES_MAX = 100  # manifests of one provider that are asked for in vain before a pause
RETRY_SECONDS_MAX = 300.0  # pause between such rounds
COUNTED_MAX = 10_000  # of one provider's missing manifests; the metric does not count further
RECORD_BYTES = 33  # a line of a manifest; its index key is about as long

_LATER = (PeerUnreachableError, PeerBusyError, BusyError, ReadOnlyError, StoreFailedError)  # no other one will do now


@dataclass(frozen=True, slots=True)
class Keeping:
    """A manifest that is to be kept, for the client that posted it; ``None`` if a share names it for certain."""

    manifest: Manifest
    client: str | None

    @property
    def size(self) -> int:
        """About how many bytes it puts."""
        return 2 * RECORD_BYTES * len(self.manifest.records)


class Keeper:
    """Stores manifests, and refuses what a client posts without ever naming it (a group of node/writer.py)."""

    def run(self, transaction: Transaction, items: list[Keeping]) -> list[LedgerError | None]:
        """Store each manifest with the index of its records, or give the error that refuses it."""
        unnamed: dict[str, set[bytes]] = {}
        return [self._keep(transaction, item, unnamed) for item in items]

    def _keep(
        self, transaction: Transaction, item: Keeping, unnamed: dict[str, set[bytes]]
    ) -> ManifestsWaitingError | None:
        root, client = item.manifest.root, item.client
        if client is not None and not _is_named(transaction.store, root):
            if client not in unnamed:
                unnamed[client] = self._unnamed(transaction, client)
            roots = unnamed[client]
            if root not in roots and transaction.store.get(layout.manifest_key(root)) is None:
                if len(roots) >= UNNAMED_MAX:
                    return ManifestsWaitingError(
                        f"{client} has posted {len(roots)} manifests that no share names", limit=UNNAMED_MAX
                    )
                roots.add(root)
                transaction.batch.put(layout.unnamed_key(client, root), b"")
        transaction.batch.put(layout.manifest_key(root), item.manifest.encode())
        for record in item.manifest.records:
            transaction.batch.put(layout.membership_key(record, root), b"")
        return None

    def _unnamed(self, transaction: Transaction, client: str) -> set[bytes]:
        """Return the roots of a client that no share names; those that one names by now are forgotten."""
        prefix = layout.unnamed_prefix(client)
        roots = {key[len(prefix) :] for key, _ in transaction.store.scan(prefix, prefix_end(prefix))}
        named = {root for root in roots if _is_named(transaction.store, root)}
        for root in named:
            transaction.batch.delete(layout.unnamed_key(client, root))
        return roots - named


def read_manifest(store: Store, own: LogState, root: bytes, *, consumer: str | None = None) -> bytes:
    """Return a manifest that is kept here; for a ``consumer``, only if a share in the ``own`` log gave it to them.

    Raises:
        NotFoundError: it is not kept here, or it is none of the consumer's business: the two look the same.
    """
    data = store.get(layout.manifest_key(root)) if consumer is None or _is_given(store, own, root, consumer) else None
    if data is None:
        raise NotFoundError("this manifest is not kept here", field="root")
    return data


class Manifests:
    """Fetches the manifests of the shares that were sent to this department."""

    def __init__(
        self,
        *,
        own: str,
        store: Store,
        writer: Writer,
        peers: Mapping[str, Peer],
        origins: frozenset[str],
        metrics: Metrics,
        interval_ms: int,
    ) -> None:
        """Fetch what the shares in the logs ``origins`` name, and try again after ``interval_ms``, then ever later."""
        self._repeats = Repeats(log)
        self._store = store
        self._writer = writer
        self._peers = peers
        self._metrics = metrics
        self._interval = interval_ms / 1000
        self._keeper = Keeper()
        self._room = asyncio.Semaphore(AT_ONCE_MAX)
        self._own = own
        self._news: dict[str, asyncio.Event] = {}
        self._grown = asyncio.Event()
        self.follow(origins)

    def follow(self, origins: frozenset[str]) -> None:
        """Fetch for the shares in further logs as well; from the event loop's thread."""
        for origin in sorted(origins - {self._own} - self._news.keys()):
            self._news[origin] = asyncio.Event()
        self._grown.set()

    def notice(self, origin: str) -> None:
        """Tell the service that a share in this log names a manifest; from the event loop's thread."""
        self._news[origin].set()

    async def keep(self, manifest: Manifest, *, client: str | None = None) -> None:
        """Store a manifest, posted by ``client`` or else known to be named by a share.

        Raises:
            ManifestsWaitingError: the client has posted too many that no share names.
            BusyError, ReadOnlyError, StoreError: nothing was written.
        """
        item = Keeping(manifest, client)
        await asyncio.wrap_future(self._writer.submit_to(self._keeper, item, size=item.size))

    async def run(self) -> None:
        """Fetch until cancelled; what a crash or a provider that was down has left comes first."""
        followed: set[str] = set()
        async with asyncio.TaskGroup() as group:
            while True:
                self._grown.clear()
                for origin in self._news.keys() - followed:
                    followed.add(origin)
                    group.create_task(self._follow(origin), name=f"manifests of {origin}")
                await self._grown.wait()

    async def _follow(self, origin: str) -> None:
        news, pause, start = self._news[origin], self._interval, 0
        while True:
            news.clear()
            start, problem = await self._round(origin, start)
            missing = await asyncio.to_thread(self._count, origin)
            self._metrics.manifests_missing.labels(origin).set(missing)
            if not missing:
                self._repeats.over(MISSING, {"log": origin})
                pause = self._interval
                await news.wait()
            elif problem is not None:
                about = {"log": origin}
                self._repeats.failed("warning", MISSING, about, problem, missing=missing, again_in_s=pause)
                try:
                    async with asyncio.timeout(pause):
                        await news.wait()
                except TimeoutError:
                    pause = min(2 * pause, max(RETRY_SECONDS_MAX, self._interval))

    async def _round(self, origin: str, start: int) -> tuple[int, LedgerError | None]:
        """Fetch what is missing of one provider's from entry ``start`` on; return where to go on, and what failed."""
        problem: LedgerError | None = None
        failures = 0
        while failures < FAILURES_MAX:
            index = await asyncio.to_thread(self._next, origin, start)
            if index is None:
                return 0, problem
            try:
                await self._settle(origin, index)
            except LedgerError as error:
                problem = error
                failures += 1
                self._metrics.manifest_failures.labels(origin).inc()
                share = f"{origin}#{index}"
                self._repeats.failed("info", "a manifest could not be had", {"log": origin}, error, share=share)
                if isinstance(error, _LATER):
                    return index, problem
            start = index + 1
        return start, problem

    async def _settle(self, origin: str, index: int) -> None:
        """See to it that the manifest of one share is kept here, then forget that it was missing.

        Raises:
            PeerError: the provider did not answer, or does not have it.
            LedgerError: what came is not the manifest that the share names.
        """
        place = layout.Place(layout.log_id(origin), index)
        ref = await asyncio.to_thread(self._named_at, place)
        async with self._room:
            data = await asyncio.to_thread(self._store.get, layout.manifest_key(ref.root_bytes))
            if data is not None:
                await asyncio.to_thread(_parse, data, ref)
            else:
                peer = self._peers.get(origin)
                if peer is None:
                    raise PeerError(f"{origin} is no active member any more", hint="suyuan receive --records-file FILE")
                await self.keep(await asyncio.to_thread(_parse, await peer.manifest(ref.root_bytes), ref))
                log.info("a manifest was fetched", share=f"{origin}#{index}", count=ref.count)
        key = layout.wanted_key(place.encode())
        await asyncio.wrap_future(self._writer.submit(lambda transaction: transaction.batch.delete(key)))

    def _named_at(self, place: layout.Place) -> ManifestRef:
        event = read_event(read_entry(self._store, place.log, place.number).event)
        if not isinstance(event, Share) or event.manifest is None:
            raise StoreCorruptError("no share with a manifest stands there", field=f"index {place.number}")
        return event.manifest

    def _next(self, origin: str, start: int) -> int | None:
        log_id = layout.log_id(origin)
        found = self._store.scan(
            layout.wanted_key(layout.Place(log_id, start).encode()), prefix_end(layout.wanted_prefix(log_id)), limit=1
        )
        return next((layout.place_of(key).number for key, _ in found), None)

    def _count(self, origin: str) -> int:
        prefix = layout.wanted_prefix(layout.log_id(origin))
        return sum(1 for _ in self._store.scan(prefix, prefix_end(prefix), limit=COUNTED_MAX))


def _parse(data: bytes, ref: ManifestRef) -> Manifest:
    manifest = parse_manifest(data)
    if manifest.ref != ref:
        raise ManifestError(
            f"a manifest of {len(manifest.records)} references with another root than the share's, or another count",
            field="manifest",
        )
    return manifest


def _is_named(store: Store, root: bytes) -> bool:
    """Tell whether any share that is known here has the manifest."""
    prefix = layout.manifest_share_prefix(root)
    return any(True for _ in store.scan(prefix, prefix_end(prefix), limit=1))


def _is_given(store: Store, own: LogState, root: bytes, consumer: str) -> bool:
    """Tell whether a share in the own log gave the manifest to a department."""
    prefix = layout.manifest_share_prefix(root) + own.log
    for key, _ in store.scan(prefix, prefix_end(prefix)):
        event = read_event(read_entry(store, own.log, layout.place_of(key).number).event)
        if (
            isinstance(event, Share)
            and event.consumer == consumer
            and event.manifest is not None
            and event.manifest.root_bytes == root
        ):
            return True
    return False
