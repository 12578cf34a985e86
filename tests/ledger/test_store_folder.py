"""The folder of a store: its mark, its lock, and the choice of engine."""

import sys
from pathlib import Path

import pytest
from stores import ON_DISK, batch, output_of, without_leveldb

from ledger.errors import (
    StoreCorruptError,
    StoreError,
    StoreExistsError,
    StoreFailedError,
    StoreLockedError,
    StoreMissingError,
)
from ledger.store import create_store, default_kind, open_store


@pytest.fixture(params=ON_DISK)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_store_is_opened_with_the_engine_that_made_it(kind: str, tmp_path: Path) -> None:
    store = create_store(tmp_path / "store", kind=kind)
    store.write(batch({b"a": b"1"}))
    store.close()
    assert (tmp_path / "store" / "STORE").read_text() == f"suyuan/store/v1\n{kind}\n"
    for insist in (None, kind):
        store = open_store(tmp_path / "store", kind=insist)
        assert store.get(b"a") == b"1"
        store.close()


def test_insisting_on_another_engine_than_the_folders_is_refused(tmp_path: Path) -> None:
    create_store(tmp_path / "store", kind="sqlite").close()
    with pytest.raises(StoreError, match="is a sqlite store, not leveldb"):
        open_store(tmp_path / "store", kind="leveldb")


def test_without_a_choice_a_store_is_of_the_default_kind(tmp_path: Path) -> None:
    create_store(tmp_path / "store").close()
    assert default_kind() in (tmp_path / "store" / "STORE").read_text()


@without_leveldb
def test_leveldb_is_the_default_where_it_is_installed() -> None:
    assert default_kind() == "leveldb"


def test_without_plyvel_sqlite_is_the_default_and_leveldb_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "plyvel", None)
    monkeypatch.delitem(sys.modules, "ledger.store.leveldb", raising=False)
    assert default_kind() == "sqlite"
    with pytest.raises(StoreError, match="no leveldb here"):
        create_store(tmp_path / "store", kind="leveldb")
    assert not (tmp_path / "store").exists()


USE_SQLITE = """
import sys
from pathlib import Path
from ledger.store import create_store, open_store
create_store(Path(sys.argv[1]), kind="sqlite").close()
open_store(Path(sys.argv[1])).close()
print("plyvel" in sys.modules, "ledger.store.leveldb" in sys.modules)
"""


def test_a_sqlite_store_never_imports_plyvel(tmp_path: Path) -> None:
    assert output_of(USE_SQLITE, tmp_path / "store") == ["False", "False"]


def test_an_unknown_kind_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no kind of store named 'rocks'"):
        create_store(tmp_path / "store", kind="rocks")
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("mark", "error"),
    [
        (b"suyuan/store/v2\nsqlite\n", StoreError),
        (b"suyuan/store/v1\nrocks\n", StoreError),
        (b"suyuan/store/v1\nsqlitd\n", StoreError),
        (b"suyuan/stove/v1\nsqlite\n", StoreCorruptError),
        (b"suyuan/store/v1\n", StoreCorruptError),
        (b"\xff\xfe\n\n\n", StoreCorruptError),
        (b"", StoreCorruptError),
    ],
)
def test_a_mark_of_another_format_or_kind_is_refused(mark: bytes, error: type[StoreError], tmp_path: Path) -> None:
    create_store(tmp_path / "store", kind="sqlite").close()
    (tmp_path / "store" / "STORE").write_bytes(mark)
    with pytest.raises(error) as raised:
        open_store(tmp_path / "store")
    assert raised.type is error


def test_there_is_no_store_without_its_folder_or_its_mark(kind: str, tmp_path: Path) -> None:
    with pytest.raises(StoreMissingError):
        open_store(tmp_path / "store")
    (tmp_path / "store").mkdir()
    with pytest.raises(StoreMissingError):
        open_store(tmp_path / "store")
    assert list((tmp_path / "store").iterdir()) == []
    create_store(tmp_path / "store", kind=kind).close()
    (tmp_path / "store" / "STORE").unlink()  # as after a crash while it was made
    with pytest.raises(StoreMissingError):
        open_store(tmp_path / "store")
    with pytest.raises(StoreExistsError):
        create_store(tmp_path / "store", kind=kind)


def test_a_store_is_made_in_an_empty_folder_only(kind: str, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear reader")
    with pytest.raises(StoreExistsError, match="not empty"):
        create_store(tmp_path, kind=kind)
    with pytest.raises(StoreExistsError, match="not a folder"):
        create_store(tmp_path / "letter.txt", kind=kind)
    (tmp_path / "empty").mkdir()
    create_store(tmp_path / "empty", kind=kind).close()


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreMissingError):
        create_store(tmp_path / "nobody" / "store")
    with pytest.raises(StoreFailedError):
        create_store(tmp_path / ("x" * 300))


def test_a_lock_file_that_cannot_be_used_is_an_error(tmp_path: Path) -> None:
    create_store(tmp_path / "store", kind="sqlite").close()
    lock = tmp_path / "store" / "LOCK"
    lock.unlink()
    lock.mkdir()
    with pytest.raises(StoreError, match="could not be opened"):
        open_store(tmp_path / "store")
    lock.rmdir()
    lock.symlink_to("/dev/full")
    with pytest.raises(StoreError, match="could not be locked"):
        open_store(tmp_path / "store")
    lock.unlink()
    open_store(tmp_path / "store").close()


def test_one_folder_under_two_names_is_locked_once(tmp_path: Path) -> None:
    store = create_store(tmp_path / "store", kind="sqlite")
    (tmp_path / "other").symlink_to(tmp_path / "store")
    with pytest.raises(StoreLockedError):
        open_store(tmp_path / "other")
    store.close()
    open_store(tmp_path / "other").close()


def test_a_failed_opening_gives_the_lock_back(tmp_path: Path) -> None:
    create_store(tmp_path / "store", kind="sqlite").close()
    aside = (tmp_path / "store" / "pairs.sqlite").rename(tmp_path / "aside")
    with pytest.raises(StoreCorruptError):
        open_store(tmp_path / "store")
    aside.rename(tmp_path / "store" / "pairs.sqlite")
    open_store(tmp_path / "store").close()
