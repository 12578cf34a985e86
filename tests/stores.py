"""Stores for tests: every engine behind one harness, disks that are full, processes that die."""

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pytest

from ledger.store import Batch, Store, create_store, open_store
from ledger.store.memory import Fault, MemoryDisk

without_leveldb = pytest.mark.skipif(find_spec("plyvel") is None, reason="plyvel is not installed")
ON_DISK = [pytest.param("leveldb", marks=without_leveldb), "sqlite"]
ALL = [*ON_DISK, "memory"]


@dataclass(frozen=True)
class Engine:
    """How a test makes, opens and troubles a store of one kind."""

    kind: str
    create: Callable[[], Store]
    open: Callable[[], Store]
    full_disk: Callable[[], AbstractContextManager[None]]  # writes that begin in it fail


def engine_on(folder: Path, kind: str) -> Engine:
    if kind == "memory":
        disk = MemoryDisk()
        return Engine(kind, disk.create, disk.open, partial(_full_memory, disk))
    return Engine(kind, partial(create_store, folder, kind=kind), partial(open_store, folder), full_disk)


def batch(puts: dict[bytes, bytes] | None = None, deletes: Iterable[bytes] = ()) -> Batch:
    changes = Batch()
    for key, value in (puts or {}).items():
        changes.put(key, value)
    for key in deletes:
        changes.delete(key)
    return changes


@contextmanager
def full_disk(free_bytes: int = 0) -> Iterator[None]:
    """Let no file of this process grow beyond ``free_bytes``."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (free_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def child(code: str, *arguments: object) -> Iterator["subprocess.Popen[bytes]"]:
    """Run ``code`` in a process of its own, with pipes to and from it; it has ended afterwards."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        try:
            yield process
        finally:
            process.kill()


def output_of(code: str, *arguments: object) -> list[str]:
    """Run ``code`` in a process of its own, and return the words that it printed."""
    with child(code, *arguments) as process:
        words = process.communicate()[0].decode().split()
        assert process.returncode == 0
    return words


@contextmanager
def _full_memory(disk: MemoryDisk) -> Iterator[None]:
    disk.fail_write(disk.writes + 1, Fault.NO_SPACE)
    yield
