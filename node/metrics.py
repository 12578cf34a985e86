"""Metrics, in a registry of their own so that two nodes can live in one process."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


class Metrics:
    """What a node counts; names and labels are documented in docs/operations.md."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.events = Counter("suyuan_events_recorded", "events recorded in this node's log", registry=self.registry)
        self.refused = Counter(
            "suyuan_requests_refused", "requests answered with a problem", ["code"], registry=self.registry
        )
        self.mirrored = Counter(
            "suyuan_entries_mirrored", "entries of a peer's log verified and stored", ["log"], registry=self.registry
        )
        self.fetch_failures = Counter(
            "suyuan_fetch_failures", "sources that failed to give entries", ["log"], registry=self.registry
        )
        self.ended_keys = Counter(
            "suyuan_ended_keys", "entries and checkpoints of a log refused, as signed by a key that had ended", ["log"],
            registry=self.registry,
        )  # fmt: skip
        self.manifests_missing = Gauge(
            "suyuan_manifests_missing", "shares to this department whose manifest is not here yet", ["log"],
            registry=self.registry,
        )  # fmt: skip
        self.manifest_failures = Counter(
            "suyuan_manifest_failures", "attempts to fetch a manifest that failed", ["log"], registry=self.registry
        )
        self.cosigned = Counter("suyuan_cosignatures", "checkpoints of a log cosigned", ["log"], registry=self.registry)
        self.cosign_refused = Counter(
            "suyuan_cosignatures_refused", "add-checkpoint requests refused", ["status"], registry=self.registry
        )
        self.witness_up = Gauge(
            "suyuan_witness_up", "whether the foreign witness cosigned last time", ["witness"], registry=self.registry
        )
        self.witness_size = Gauge(
            "suyuan_witness_size", "size of the own log that the foreign witness has cosigned last", ["witness"],
            registry=self.registry,
        )  # fmt: skip
        self.witnessed_size = Gauge(
            "suyuan_log_witnessed", "entries of the own log below a checkpoint that satisfies the witness policy",
            registry=self.registry,
        )  # fmt: skip
        self.confirmations = Counter(
            "suyuan_checkpoints_confirmed", "own checkpoints that reached the quorum", registry=self.registry
        )
        self.confirm_seconds = Histogram(
            "suyuan_confirm_seconds",
            "from signing a checkpoint to its quorum",
            registry=self.registry,
            buckets=(0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30),
        )
        self.alarms = Counter("suyuan_alarms", "integrity alarms raised", registry=self.registry)
        self.equivocations = Gauge(
            "suyuan_equivocations", "proofs that stand against a log", ["log"], registry=self.registry
        )
        self.proofs_refused = Counter(
            "suyuan_proofs_refused", "proofs of equivocation from a peer that prove nothing", ["peer"],
            registry=self.registry,
        )  # fmt: skip
        self.log_size = Gauge("suyuan_log_size", "entries stored", ["log"], registry=self.registry)
        self.log_confirmed = Gauge(
            "suyuan_log_confirmed", "entries known to be confirmed", ["log"], registry=self.registry
        )
        self.queue = Gauge("suyuan_writes_waiting", "writes that wait for the next round", registry=self.registry)
        self.peer_up = Gauge("suyuan_peer_up", "whether the peer answered last time", ["peer"], registry=self.registry)
        self.peer_faults = Counter(
            "suyuan_peer_faults", "what peers did wrong, by kind", ["peer", "kind"], registry=self.registry
        )
        # One series for each peer, not for each peer and log: at fifty members that would be 2,450.
        self.peer_lag = Gauge(
            "suyuan_peer_lag", "entries of all logs that this node has and the peer has not", ["peer"],
            registry=self.registry,
        )  # fmt: skip
        self.peer_differs = Gauge(
            "suyuan_peer_differs", "logs of which the peer shows another history", ["peer"], registry=self.registry
        )
        self.catch_up_missing = Gauge(
            "suyuan_catch_up_missing", "entries that a running catch-up has still to fetch", ["log"],
            registry=self.registry,
        )  # fmt: skip
        self.vouched = Gauge(
            "suyuan_log_vouched_seconds", "since when (POSIX seconds) a quorum has vouched for the log's newest head",
            ["log"], registry=self.registry,
        )  # fmt: skip
        self.refreshed = Counter(
            "suyuan_checkpoints_refreshed", "checkpoints of the own log cosigned again while it was idle",
            registry=self.registry,
        )  # fmt: skip

    def render(self) -> bytes:
        """Return all metrics in the text format of Prometheus."""
        return generate_latest(self.registry)
