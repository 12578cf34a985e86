"""What every row is given: how large to measure, where to put things, how to say what goes on, and what to end."""

import os
import shutil
import signal
import stat
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from bench.bare import Bare

ROOT = Path(__file__).resolve().parent.parent
RUN = ROOT / "bench" / "run.py"
CACHE = Path(os.environ.get("BENCH_CACHE", ROOT / "build" / "bench"))  # make clean removes it
ROUNDS = 5  # repetitions of everything that is compared; the median counts
END_SECONDS_MAX = 20.0
IN_MEMORY = frozenset({"tmpfs", "ramfs"})

T = TypeVar("T")


class NotHereError(Exception):
    """Something that a row needs is not installed; the row says so, and the others run."""


class DishonestError(Exception):
    """A measured run has not done what it must: the whole bench fails."""


def scratch_folder() -> Path:
    """Return a new folder on a disk: in the cache, or where PostgreSQL's user could not get there, in the system's.

    Raises:
        NotHereError: both are in memory, where a synced write costs nothing and promises nothing.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    for place in (CACHE, Path(tempfile.gettempdir())):
        open_to_all = all(one.stat().st_mode & stat.S_IXOTH for one in (place, *place.resolve().parents))
        if _file_system(place) not in IN_MEMORY and (open_to_all or os.geteuid() != 0):
            return Path(tempfile.mkdtemp(prefix="scratch-", dir=place))
    raise NotHereError("there is no folder on a disk: set BENCH_CACHE to one that every user can reach")


def _file_system(path: Path) -> str:
    """Return the kind of the file system that a path is on."""
    kinds = {"/": "unknown"}
    with suppress(OSError):
        for line in Path("/proc/mounts").read_text("utf-8").splitlines():
            _, where, kind, *_ = line.split()
            kinds[where] = kind
    above = [str(one) for one in (path.resolve(), *path.resolve().parents)]
    return next(kinds[one] for one in above if one in kinds)


def require(condition: object, what: str) -> None:
    """Fail the bench where a promise was not kept under load.

    Raises:
        DishonestError: it was not.
    """
    if not condition:
        raise DishonestError(what)


@dataclass(slots=True)
class Bench:
    """One run of the bench."""

    scale: float
    scratch: Path
    rounds: int = ROUNDS
    quiet: bool = False
    checks: list[str] = field(default_factory=list)  # what was asserted, in words
    beside: dict[str, str] = field(default_factory=dict)  # versions of what was measured in turns with it
    took: dict[str, int] = field(default_factory=dict)  # seconds, by part
    flushes_count: bool = False  # whether this machine's disk counts how often it was told to empty its cache
    _bare: Bare | None = None

    def count(self, standard: int, *, least: int = 1) -> int:
        """Return how many of something: ``standard`` of them at scale 1."""
        return max(least, round(standard * self.scale))

    def seconds(self, standard: float, *, least: float = 0.3) -> float:
        """Return how long: ``standard`` at scale 1 and above, since a longer run does not say more."""
        return max(least, standard * min(self.scale, 1.0))

    @property
    def bare(self) -> Bare:
        """Libsodium without anything around it, kept warm."""
        if self._bare is None:
            self._bare = Bare([sys.executable, "-P", str(RUN), "--bare"])
        return self._bare

    def folder(self, name: str) -> Path:
        """Return a new folder below the scratch folder."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.scratch))

    def say(self, words: str) -> None:
        """Tell whoever watches what is being done."""
        if not self.quiet:
            print(f"  {words}", file=sys.stderr, flush=True)

    def asserted(self, words: str) -> None:
        """Note what was checked."""
        if words not in self.checks:
            self.checks.append(words)

    def syncs(self) -> "Callable[[int, str], None]":
        """Begin to count synced writes; what is returned checks that there were at least so many by then.

        Where the disk does not count them, nothing can be said, and nothing is noted as asserted.
        """
        before = flushes() if self.flushes_count else None

        def at_least(least: int, what: str) -> None:
            after = flushes()
            if before is None or after is None:
                return
            require(
                after - before >= least, f"{what}: at least {least} writes were synced (the disk saw {after - before})"
            )
            self.asserted(f"{what}: the disk was told to empty its cache as often as it takes, in every run")

        return at_least

    @property
    def share(self) -> float | None:
        """What share of its cores the yardstick had, in the middle of its runs; None where it was not asked."""
        shares = self._bare.shares if self._bare is not None else []
        return round(statistics.median(shares), 3) if shares else None

    def close(self) -> None:
        """End the yardstick's processes."""
        if self._bare is not None:
            self._bare.close()


@contextmanager
def running(command: Sequence[str], **options: Any) -> "Iterator[subprocess.Popen[bytes]]":
    """Run a process for as long as the block lasts; it is asked to end, then made to."""
    process = subprocess.Popen(list(command), start_new_session=True, **options)
    try:
        yield process
    finally:
        end(process)


def end(process: "subprocess.Popen[bytes]", how: int = signal.SIGTERM) -> None:
    """End a process of ours."""
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(END_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until(condition: Callable[[], T], what: str, seconds: float = 60.0) -> T:
    """Return what ``condition`` gives as soon as that is true.

    Raises:
        TimeoutError: it does not become true in time.
    """
    end_at = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > end_at:
            raise TimeoutError(f"in {seconds:.0f} s it did not come about: {what}")
        time.sleep(0.02)
    return found


def flushes() -> int | None:
    """Return how often any disk of this machine was told to empty its cache, or None where the system does not count.

    Every fsync on a disk with a volatile cache is one (Documentation/admin-guide/iostats.rst, field 19).
    """
    try:
        lines = Path("/proc/diskstats").read_text("ascii").splitlines()
    except OSError:
        return None
    counted = [int(parts[18]) for line in lines if len(parts := line.split()) > 18]
    return sum(counted) if counted else None


def sync_price_us(folder: Path, times: int = 200) -> tuple[float, bool]:
    """Return what a synced write of 4 KB costs in microseconds, and whether :func:`flushes` sees it."""
    path = folder / "sync-price"
    before = flushes()
    with path.open("wb", buffering=0) as file:
        start = time.perf_counter()
        for _ in range(times):
            file.write(b"x" * 4096)
            os.fdatasync(file.fileno())
        price = (time.perf_counter() - start) / times * 1e6
    path.unlink()
    after = flushes()
    return price, before is not None and after is not None and after - before >= times


def remove(folder: Path) -> None:
    """Remove a folder of ours."""
    shutil.rmtree(folder, ignore_errors=True)


def memory_mb(pid: int, name: str = "VmRSS") -> float:
    """Return the memory of a process: resident (VmRSS), without mapped files (RssAnon), or the most ever (VmHWM)."""
    for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) / 1024
    raise NotHereError("this system does not tell the memory of a process in /proc")
