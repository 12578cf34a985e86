"""The head file: whole at any time, and durable when written."""

from pathlib import Path

import pytest
from stores import full_disk

from ledger.errors import StoreCorruptError, StoreError, StoreFailedError
from ledger.store import read_head, sync_directory, write_head
from ledger.store.headfile import HEAD_BYTES_MAX


def test_a_head_that_was_never_written_is_none(tmp_path: Path) -> None:
    assert read_head(tmp_path / "head") is None
    assert read_head(tmp_path / "no folder" / "head") is None


def test_the_last_head_counts(tmp_path: Path) -> None:
    for text in (b"police.ordos.example/log\n1\n", b"x" * HEAD_BYTES_MAX, b"2"):
        write_head(tmp_path / "head", text)
        assert read_head(tmp_path / "head") == text
    assert [file.name for file in tmp_path.iterdir()] == ["head"]


def test_what_a_crash_left_of_the_next_head_is_overwritten(tmp_path: Path) -> None:
    write_head(tmp_path / "head", b"1")
    (tmp_path / "head.new").write_bytes(b"half of a lon")
    assert read_head(tmp_path / "head") == b"1"
    write_head(tmp_path / "head", b"2")
    assert read_head(tmp_path / "head") == b"2"


@pytest.mark.parametrize("free_bytes", [0, 4])
def test_a_full_disk_leaves_the_old_head(free_bytes: int, tmp_path: Path) -> None:
    write_head(tmp_path / "head", b"old head")
    with full_disk(free_bytes), pytest.raises(StoreFailedError, match="could not be written"):
        write_head(tmp_path / "head", b"new head")
    assert read_head(tmp_path / "head") == b"old head"
    write_head(tmp_path / "head", b"new head")
    assert read_head(tmp_path / "head") == b"new head"


def test_a_head_without_a_folder_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(StoreFailedError):
        write_head(tmp_path / "no folder" / "head", b"1")


@pytest.mark.parametrize("text", [b"", b"x" * (HEAD_BYTES_MAX + 1)])
def test_a_file_that_no_write_left_is_corrupt(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "head").write_bytes(text)
    with pytest.raises(StoreCorruptError):
        read_head(tmp_path / "head")
    with pytest.raises(AssertionError):
        write_head(tmp_path / "head", text)


def test_a_head_that_cannot_be_read_is_an_error_and_not_none(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="could not be read"):
        read_head(tmp_path)


def test_only_a_folder_can_be_synced_as_one(tmp_path: Path) -> None:
    sync_directory(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        sync_directory(tmp_path / "file")
