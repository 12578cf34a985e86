"""Why rows miss their targets, by the profiles in docs/performance.md, and what they would need."""

from typing import NamedTuple

from bench.report import Row, markdown


class Reason(NamedTuple):
    """Of one row."""

    why: str
    needed: str
    section: str  # of docs/performance.md


_NOT_YET = Reason("NOT EXPLAINED YET", "a profile", "–")
_SINGLE = "as http-single"
_PER_ENTRY = "half of an entry's processor time is its signature; recognising it, hashing and LevelDB have the rest"

REASONS: dict[str, Reason] = {
    "append": Reason(
        "both cores are busy: a signature is 22 to 30 µs of some 80 of processor time; chaining, index and tiles, "
        "recognising, LevelDB's writing twice and sorting have the rest, each a little",
        "a quarter of that processor time, anywhere: no lock and no wait is left to be won", "Recording",
    ),
    "http-batch": Reason(
        "as append, and 10 to 15 µs more for an event: HTTP, its sockets, the load generator", "as append", "Recording"
    ),
    "http-single": Reason(
        "an event takes 165 to 180 µs of processor time, a transaction of PostgreSQL some 185 on the same cores; but "
        "two thirds of ours is Python under one lock, so one core does most of it",
        "a process in front of the node, which gives a quarter and was dropped for its risks, and a third less of the "
        "writer's own work, which bounds it at some 8,000 a second",
        "Single events",
    ),
    "http-single-copied": Reason(
        "as http-single, and the copy's 113 µs an event come from the same two cores", _SINGLE, "Single events"
    ),
    "http-single-chain": Reason(_SINGLE, _SINGLE, "Single events"),
    "http-single-p99": Reason(
        "a round of some 16 events takes 2 to 3 ms, and a request waits for two; the slowest wait for a checkpoint or "
        "for LevelDB's own thread besides",
        _SINGLE, "Single events",
    ),
    "replication": Reason(
        f"{_PER_ENTRY}; and a run takes three and a half seconds, in the first of which processes start",
        "a longer log, as in backlog; or processes that start in a tenth of a second", "Receiving",
    ),
    "replication-hypercore": Reason(
        "hypercore verifies one signature for a batch, we one for each entry: three times its rate would be 0.79 of "
        "bare verification on both cores",
        "one signature for many entries, which is another protocol; or no processor time but the signature's",
        "Receiving",
    ),
    "backlog": Reason(_PER_ENTRY, "what is left of Python and LevelDB, a twentieth at a time", "Receiving"),
    "backlog-memory": Reason(
        "what is fetched and not written, 32 MiB at most, and LevelDB's buffers, whatever the backlog's length",
        "a smaller bound, which costs speed", "Receiving",
    ),
    "confirm-p50": Reason("no profile: it has not missed", "a look at what else the machine does", "Members"),
    "confirm-p99": Reason("no profile: it has not missed", "a look at what else the machine does", "Members"),
    "full-load": Reason(
        "each event is recorded once and mirrored three times on the same two cores, in some 400 µs of processor time: "
        "libsodium has half of it, the interpreter 28%, memory, LevelDB and hashes 13%",
        "a quarter less of what is not libsodium; on machines of their own four nodes do not share cores",
        "Four nodes on two cores",
    ),
    "trace-p50": Reason(
        "4.0 to 4.6 ms of processor time on a core that has nothing else to do, up to twice that where its other half "
        "works; a third of it are the 20 signatures, tiles and look-ups a sixth each",
        "a quieter host; or signatures in another process, for threads gave nothing", "Tracing",
    ),
    "trace-p99": Reason(
        "tiles that are hashed for the first time: up to 23 of them, 0.25 ms each",
        "the upper rows of a tile kept on the disk, beside it", "Tracing",
    ),
    "trace-growth": Reason("more tiles that are hashed for the first time", "as trace-p99", "Tracing"),
    "proof": Reason("tiles that are hashed for the first time", "as trace-p99", "Tracing"),
    "cold-trace": Reason(
        "nearly all of it is the import of modules: pydantic 100 ms, the ledger's models 75, click 30",
        "models that are built when they are needed", "Starting the command",
    ),
    "memory": Reason("no profile: it has not missed", "a look at what the node remembers, which is bounded", "Memory"),
    "memory-resident": Reason(
        "tables of LevelDB that were read are mapped: clean pages of the disk's cache, which the kernel takes back "
        "when somebody needs them, and which the row above leaves out",
        "fewer open tables, which makes traces slower, or reading without mapping, which hides the same pages",
        "Memory",
    ),
    "disk": Reason("tables are not compressed, for that costs a fifth of receiving", "compression", "Receiving"),
}  # fmt: skip


def table(rows: list[Row]) -> str:
    """Return why the rows that missed did, and what they would need; empty if none has."""
    heads = ("missed", "why", "what it would need", "in docs/performance.md")
    lines = [(row.id, *REASONS.get(row.id, _NOT_YET)) for row in rows if row.status == "missed"]
    return markdown([heads, *lines]) if lines else ""
