"""The node as a whole: what it is built on, how it starts and stops, waiting for a confirmation, alarms."""

import asyncio
import copy
import shutil
from pathlib import Path
from typing import Any

import pytest
from node_helpers import (
    NOW_MS,
    PATIENCE_SECONDS,
    Town,
    entry_of,
    make_home,
    paper,
    parties,
    seed,
    share,
    until,
    verify_log,
)
from structlog.testing import capture_logs

from ledger.errors import FingerprintError, StoreCorruptError, StoreLockedError, StoreMissingError
from ledger.note import ED25519, Signer, SigningKey
from ledger.store.memory import Fault
from node import confirmations, layout
from node.clock import ManualClock, SystemClock
from node.errors import BusyError, ConfigError, IntegrityAlarm, ReadOnlyError
from node.foundation import load_foundation
from node.service import Node
from node.submission import prepare

A, B = parties(2)
OWN = layout.log_id(A.origin)


async def record(node: Node, *values: dict[str, Any], wait: bool = False) -> list[str]:
    events = tuple(prepare(value, origin=node.origin) for value in values)
    return [state for _, state in await node.submit(events, wait_confirmed=wait)]


async def confirmed(node: Node) -> None:
    await until(lambda: node.state.confirmed_size == node.state.size > 0, "the log is confirmed")


async def stopped_with_one_share(town: Town) -> None:
    """Both have run; A's log has two entries and a head file, and nobody runs any more."""
    node, _ = await town.start()
    assert await record(node, share(1, B), wait=True) == ["confirmed"]
    await town.stop(A)
    await town.stop(B)


# Starting.


async def test_a_new_log_begins_with_its_opening(tmp_path: Path) -> None:
    async with Town(tmp_path, [A, B]) as town:
        node, _ = await town.start()
        await confirmed(node)
        [entry] = verify_log(node.store, node.state, town.law.network)
        assert entry.event["type"] == "log.open"
        assert (entry.event["network"], entry.event["network_version"]) == ("test", 1)


async def test_a_node_that_starts_again_opens_no_second_log(tmp_path: Path) -> None:
    async with Town(tmp_path, [A, B]) as town:
        await stopped_with_one_share(town)
        [node] = await town.start(A)
        assert node.state.size == node.state.confirmed_size == 2
        assert len(verify_log(node.store, node.state, town.law.network)) == 2


async def test_a_restart_between_head_file_and_checkpoint_goes_on_where_it_was(tmp_path: Path) -> None:
    """The head file is written first; the store has its entries, and signs the same checkpoint again."""
    async with Town(tmp_path, [A, B]) as town:
        node, _ = await town.start()
        await confirmed(node)
        disk = town.disks[A.name]
        held = disk.on_write = _Breaker(node)
        with capture_logs():
            await record(node, share(1, B))
            await until(lambda: held.broken)
        head = node.home.head.read_bytes()
        assert node.state.checkpoint is not None
        assert node.state.checkpoint.size == 1
        assert b"\n2\n" in head
        disk.on_write = None
        await town.stop(A)
        [node] = await town.start(A)
        await confirmed(node)
        assert node.state.size == 2
        assert node.home.head.read_bytes() == head


class _Breaker:
    """Fails every write from the first one after a new head file on."""

    def __init__(self, node: Node) -> None:
        self._path = node.home.head
        self._before = self._path.read_bytes()
        self.broken = False

    def __call__(self) -> None:
        if self._path.read_bytes() != self._before:
            self.broken = True
            raise OSError("the power is gone")


# The head file against the store.


async def test_an_old_copy_of_the_store_is_not_written_to_while_nobody_gives_the_rest(tmp_path: Path) -> None:
    async with Town(tmp_path, [A, B]) as town:
        node, _ = await town.start()
        await confirmed(node)
        disk = town.disks[A.name]
        old = copy.deepcopy(disk.cells)
        await record(node, share(1, B), wait=True)
        await town.stop(A)
        await town.stop(B)
        disk.cells = old
        head = node.home.head.read_bytes()
        with capture_logs() as logged:
            [node] = await town.start(A, wait=False)
            await until(lambda: node.recovery.progress.problem)
            with pytest.raises(ReadOnlyError, match=f"nobody has the entries of {A.origin} up to 2"):
                await record(node, share(2, B))
        assert "the store is older than what was signed; only reading" in {one["event"] for one in logged}
        assert node.state.size == 1
        assert not node.recovery.ready
        assert node.home.head.read_bytes() == head


async def test_an_old_copy_of_a_real_folder_is_not_written_to(tmp_path: Path) -> None:
    law = paper([A], quorum={"faults": 0})
    home = make_home(tmp_path / "a", A, law, checkpoint_interval_ms=10)
    node = Node(load_foundation(home))
    await node.start()
    await confirmed(node)
    await node.stop()
    shutil.copytree(home.data, tmp_path / "old")
    head = home.head.read_bytes()
    shutil.rmtree(home.data)
    shutil.copytree(tmp_path / "old", home.data)
    Node(load_foundation(home)).store.close()  # the same size: fine
    home.head.write_bytes(_signed_by(A.keys.log, 2))
    node = Node(load_foundation(home))
    with capture_logs():
        await node.start()
        await until(lambda: node.recovery.progress.problem)
        with pytest.raises(ReadOnlyError, match="own log is not restored yet: nobody has the entries"):
            await record(node, share(1, B))
        await node.stop()
    home.head.write_bytes(head)
    node = Node(load_foundation(home))
    await node.start()
    await until(lambda: node.recovery.ready)
    await node.stop()


def _signed_by(signer: SigningKey, size: int, origin: str = A.origin) -> bytes:
    from ledger.checkpoint import Checkpoint, sign_checkpoint  # noqa: PLC0415 - only here
    from ledger.merkle import TreeSize  # noqa: PLC0415

    return sign_checkpoint(signer, Checkpoint(origin, TreeSize(size), seed("root"))).encode()


async def test_a_head_file_that_is_gone_is_written_again_with_the_next_checkpoint(tmp_path: Path) -> None:
    async with Town(tmp_path, [A, B]) as town:
        await stopped_with_one_share(town)
        town.home(A).head.unlink()
        node, _ = await town.start()
        assert await record(node, share(2, B), wait=True) == ["confirmed"]
        assert node.state.size == 3
        assert b"\n3\n" in town.home(A).head.read_bytes()


async def test_a_store_that_never_signed_needs_no_head_file(tmp_path: Path) -> None:
    async with Town(tmp_path, [A, B]) as town:
        assert town.build(A).state.size == 0
        town.disks[A.name].owner = None


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda head: head[:-10], "is damaged"),
        (lambda head: head.replace(b"\n2\n", b"\n1\n"), "is damaged"),
        (lambda _head: b"not a checkpoint", "is damaged"),
        (lambda _head: _signed_by(B.keys.log, 2), "is damaged"),
        (lambda _head: _signed_by(B.keys.log, 2, B.origin), "is that of"),
        (lambda _head: _signed_by(A.keys.log, 2), "another history"),
        (lambda _head: _signed_by(A.keys.log, 1), "another history"),
    ],
    ids=["cut", "another size", "no checkpoint", "another signer", "another log", "another root", "another old root"],
)
async def test_a_head_file_that_does_not_fit_is_refused(tmp_path: Path, damage: Any, words: str) -> None:
    async with Town(tmp_path, [A, B]) as town:
        await stopped_with_one_share(town)
        head = town.home(A).head
        head.write_bytes(damage(head.read_bytes()))
        with pytest.raises(IntegrityAlarm, match=words) as alarm:
            town.build(A)
        assert ("move the file aside" in (alarm.value.hint or "")) == (words != "another history")
        assert town.disks[A.name].owner is None


async def test_an_empty_head_file_is_refused(tmp_path: Path) -> None:
    async with Town(tmp_path, [A, B]) as town:
        await stopped_with_one_share(town)
        town.home(A).head.write_bytes(b"")
        with pytest.raises(StoreCorruptError, match="empty"):
            town.build(A)


async def test_a_store_with_another_history_is_refused(tmp_path: Path) -> None:
    async with Town(tmp_path / "one", [A, B]) as town:
        await stopped_with_one_share(town)
        head = town.home(A).head.read_bytes()
    async with Town(tmp_path / "other", [A, B]) as town:
        node, _ = await town.start()
        await record(node, share(2, B), wait=True)
        await town.stop(A)
        town.home(A).head.write_bytes(head)
        with pytest.raises(IntegrityAlarm, match="another history"):
            town.build(A)


async def test_a_damaged_chain_head_or_tile_is_refused_at_the_start(tmp_path: Path) -> None:
    async with Town(tmp_path, [A, B]) as town:
        await stopped_with_one_share(town)
        disk = town.disks[A.name]
        for key in (layout.chain_key(OWN), layout.tile_key(OWN, 0, 0), layout.checkpoint_key(OWN)):
            good = copy.deepcopy(disk.cells)
            disk.flip(key)
            with pytest.raises(StoreCorruptError):
                town.build(A)
            disk.cells, disk.owner = good, None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (layout.chain_key(OWN), b"short"),
        (layout.checkpoint_key(OWN), b"not a checkpoint"),
        (layout.tile_key(OWN, 0, 0), b"short"),
    ],
    ids=["chain head", "checkpoint", "tile"],
)
async def test_parts_of_a_log_that_do_not_fit_together_are_refused(tmp_path: Path, key: bytes, value: bytes) -> None:
    async with Town(tmp_path, [A, B]) as town:
        await stopped_with_one_share(town)
        disk = town.disks[A.name]
        assert disk.cells is not None
        disk.cells[key] = type(disk.cells[key])(key, value)
        with pytest.raises(StoreCorruptError):
            town.build(A)


# What a node is built on.


def test_a_home_without_a_network_cannot_be_run(tmp_path: Path) -> None:
    home = make_home(tmp_path, A, paper([A]))
    bare = type(home)(home.folder, home.settings.model_copy(update={"fingerprint": None}))
    with pytest.raises(ConfigError, match="no network is joined") as refused:
        load_foundation(bare)
    assert refused.value.field == "fingerprint"


def test_a_missing_network_document_is_named(tmp_path: Path) -> None:
    home = make_home(tmp_path, A, paper([A]))
    home.network.unlink()
    with pytest.raises(ConfigError, match="cannot be read") as refused:
        load_foundation(home)
    assert refused.value.field == str(home.network)


def test_another_network_document_than_the_pinned_one_is_refused(tmp_path: Path) -> None:
    home = make_home(tmp_path, A, paper([A]))
    home.network.write_bytes(paper([A, B]).document)
    with pytest.raises(FingerprintError):
        load_foundation(home)


def test_a_department_that_the_network_does_not_have_is_refused(tmp_path: Path) -> None:
    home = make_home(tmp_path, A, paper([A]))
    law = paper([B])
    other = type(home)(home.folder, home.settings.model_copy(update={"fingerprint": law.fingerprint}))
    other.network.write_bytes(law.document)
    with pytest.raises(ConfigError, match="has no member"):
        load_foundation(other)


def test_keys_that_the_network_does_not_name_are_refused(tmp_path: Path) -> None:
    home = make_home(tmp_path, A, paper([A]))
    other = Signer("d0.test/transport", ED25519, seed("another key"))
    law = paper([entry_of(A, transport=other.verifier.vkey)])
    home.network.write_bytes(law.document)
    changed = type(home)(home.folder, home.settings.model_copy(update={"fingerprint": law.fingerprint}))
    with pytest.raises(ConfigError, match="another transport key") as refused:
        load_foundation(changed)
    assert refused.value.field == "keys/transport.key"


def test_an_authority_that_is_no_certificate_is_a_mistake_in_the_settings(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("not a certificate")
    home = make_home(tmp_path / "a", A, paper([A]), peer_ca="../ca.pem")
    with pytest.raises(ConfigError, match="no certificates can be read"):
        Node(load_foundation(home))
    (tmp_path / "ca.pem").unlink()
    with pytest.raises(ConfigError, match="No such file"):
        Node(load_foundation(home))


def test_a_store_is_opened_once(tmp_path: Path) -> None:
    foundation = load_foundation(make_home(tmp_path, A, paper([A])))
    node = Node(foundation)
    with pytest.raises(StoreLockedError):
        Node(foundation)
    node.store.close()


def test_a_store_is_never_made_by_running(tmp_path: Path) -> None:
    home = make_home(tmp_path, A, paper([A]))
    shutil.rmtree(home.data)
    with pytest.raises(StoreMissingError):
        Node(load_foundation(home))


def test_the_clock_is_the_machines_own_unless_another_is_given(tmp_path: Path) -> None:
    foundation = load_foundation(make_home(tmp_path, A, paper([A])))
    node = Node(foundation)
    assert isinstance(node.clock, SystemClock)
    assert node.clock.now_ms() >= node.started_ms > NOW_MS - 10**12
    node.store.close()
    clock = ManualClock(NOW_MS)
    node = Node(foundation, clock=clock)
    assert node.started_ms == NOW_MS
    node.store.close()


async def test_a_node_whose_log_cannot_be_opened_tries_again(tmp_path: Path) -> None:
    async with Town(tmp_path, [A, B]) as town:
        town.build(A)
        town.disks[A.name].owner = None
        town.disks[A.name].fail_write(1, Fault.NO_SPACE)
        with capture_logs() as logged:
            [node] = await town.start(A, wait=False)
            await until(lambda: "the log could not be opened" in {one["event"] for one in logged})
            with pytest.raises(ReadOnlyError, match="is being opened"):
                await record(node, share(1, B))
            await until(lambda: node.state.size == 1)
        assert await record(node, share(1, B)) == ["recorded"]
        assert [entry.event["type"] for entry in verify_log(node.store, node.state, town.law.network)] == [
            "log.open",
            "share",
        ]


async def test_a_node_whose_log_cannot_be_opened_can_be_stopped(tmp_path: Path) -> None:
    async with Town(tmp_path, [A, B]) as town:
        town.build(A)
        disk = town.disks[A.name]
        disk.owner = None
        disk.fail_write(1, Fault.NO_SPACE)
        with capture_logs() as logged:
            await town.start(A, wait=False)
            await until(lambda: "the log could not be opened" in {one["event"] for one in logged})
            await town.stop(A)
        assert disk.owner is None


# Submitting.


async def test_a_caller_may_wait_for_the_confirmation(tmp_path: Path) -> None:
    async with Town(tmp_path, [A, B]) as town:
        node, _ = await town.start()
        assert await record(node, share(1, B), share(2, B), wait=True) == ["confirmed", "confirmed"]
        assert await record(node, share(1, B)) == ["confirmed"]
        assert await record(node, share(2, B), wait=True) == ["confirmed"]


async def test_without_a_quorum_the_answer_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confirmations, "CONFIRM_SECONDS_MAX", 0.05)
    async with Town(tmp_path, [A, B]) as town:
        [node] = await town.start(A)
        assert await record(node, share(1, B), wait=True) == ["recorded"]
        assert node.state.confirmed_size == 0


async def test_one_confirmation_answers_all_who_wait_for_it_and_below(tmp_path: Path) -> None:
    async with Town(tmp_path, [A, B]) as town:
        [node] = await town.start(A)
        waiting = [asyncio.create_task(record(node, share(number, B), wait=True)) for number in range(1, 40)]
        await until(lambda: node.state.size == 40)
        assert not any(task.done() for task in waiting)
        await town.start(B)
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await asyncio.gather(*waiting) == [["confirmed"]] * 39


async def test_callers_that_have_given_up_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confirmations, "CONFIRM_SECONDS_MAX", 0.02)
    monkeypatch.setattr(confirmations, "WAITERS_MAX", 2)
    monkeypatch.setattr(confirmations, "WAITERS_SPARE", 1)
    async with Town(tmp_path, [A, B]) as town:
        [node] = await town.start(A)
        for number in range(1, 8):
            assert await record(node, share(number, B), wait=True) == ["recorded"]
        assert len(node.confirmations._waiters) <= 2
        monkeypatch.setattr(confirmations, "CONFIRM_SECONDS_MAX", 30.0)
        waiting = [asyncio.create_task(record(node, share(number, B), wait=True)) for number in (21, 22)]
        await until(lambda: node.confirmations.waiting == 2)
        size = node.state.size
        with pytest.raises(BusyError) as refused:
            await record(node, share(23, B), wait=True)
        assert refused.value.limit == 2
        assert node.state.size == size
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert node.confirmations.waiting == 0


async def test_a_repetition_is_not_counted_as_an_event(tmp_path: Path) -> None:
    async with Town(tmp_path, [A, B]) as town:
        node, _ = await town.start()
        for _ in range(3):
            await record(node, share(1, B), wait=True)
        assert node.metrics.registry.get_sample_value("suyuan_events_recorded_total") == 2  # log.open and the share


# Alarms.


async def test_an_alarm_about_its_own_log_makes_a_node_read_only(tmp_path: Path) -> None:
    async with Town(tmp_path, [A, B]) as town:
        node, _ = await town.start()
        await confirmed(node)
        with capture_logs() as logged:
            node.alarms.take(IntegrityAlarm("this is a test", field=A.origin))
            node.alarms.take(IntegrityAlarm("this is a test", field=A.origin))
        assert [one["event"] for one in logged].count("integrity alarm") == 1
        with pytest.raises(ReadOnlyError, match="this is a test"):
            await record(node, share(1, B))
        assert node.metrics.registry.get_sample_value("suyuan_alarms_total") == 1


async def test_an_alarm_about_another_log_does_not(tmp_path: Path) -> None:
    async with Town(tmp_path, [A, B]) as town:
        node, _ = await town.start()
        with capture_logs():
            node.alarms.take(IntegrityAlarm("this is a test", field=B.origin))
        assert await record(node, share(1, B)) == ["recorded"]


async def test_an_alarm_without_a_place_is_about_the_own_log(tmp_path: Path) -> None:
    async with Town(tmp_path, [A, B]) as town:
        node, _ = await town.start()
        with capture_logs():
            node.alarms.take(IntegrityAlarm("this is a test"))
        assert node.alarms == {A.origin: "this is a test"}


async def test_a_service_that_ends_is_an_alarm(tmp_path: Path) -> None:
    async with Town(tmp_path, [A, B]) as town:
        node = town.nodes[A.name] = town.build(A)

        async def broken() -> None:
            raise RuntimeError("a fault of the software")

        node.gossip.run = broken  # type: ignore[method-assign]
        with capture_logs() as logged:
            await node.start()
            await until(lambda: node.alarms)
        assert list(node.alarms) == ["service gossip"]
        assert "a fault of the software" in node.alarms["service gossip"]
        assert "critical" in {one["log_level"] for one in logged}
