"""Tiles, their paths and bundles, and the edge that appends, against the formula of c2sp.org/tlog-tiles."""

import itertools
from collections.abc import Sequence

import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import merkle
from ledger.errors import InclusionError, MalformedError, TileError, TooLongError
from ledger.merkle import LeafIndex, Node, TreeHead, TreeSize
from ledger.tile import (
    BundlePath,
    Edge,
    KnownTree,
    MiddleRows,
    Tile,
    TileReader,
    edge_tiles,
    encode_bundle,
    entry_bundles,
    hash_tiles,
    parse_bundle,
    parse_tile_path,
)


def fake_leaves(size: int) -> list[bytes]:
    return [number.to_bytes(32, "big") for number in range(size)]


class Disk:
    """Tiles by coordinates; keeps every width it was given, and counts what is read."""

    def __init__(self) -> None:
        self.tiles: dict[Tile, bytes] = {}
        self.read: list[Tile] = []

    def write(self, tiles: Sequence[tuple[Tile, bytes]]) -> None:
        for tile, data in tiles:
            assert tile not in self.tiles, "a tile never changes"
            assert len(data) == 32 * tile.width
            self.tiles[tile] = data

    def read_tile(self, tile: Tile) -> bytes:
        self.read.append(tile)
        return self.tiles[tile]

    def read_tiles(self, tiles: Sequence[Tile]) -> list[bytes]:
        return [self.read_tile(tile) for tile in tiles]


@pytest.mark.parametrize(
    ("path", "tile"),
    [
        ("tile/0/000", Tile(level=0, index=0)),
        ("tile/0/x001/x234/067", Tile(level=0, index=1234067)),
        ("tile/63/999.p/255", Tile(level=63, index=999, width=255)),
        ("tile/0/273.p/112", Tile(level=0, index=273, width=112)),
        ("tile/9/x001/000.p/1", Tile(level=9, index=1000, width=1)),
        ("tile/10/x009/x223/x372/x036/x854/x775/807", Tile(level=10, index=2**63 - 1)),
        ("tile/entries/000.p/1", BundlePath(index=0, width=1)),
        ("tile/entries/x001/x234/067", BundlePath(index=1234067)),
    ],
)
def test_a_tile_path_is_read_and_written(path: str, tile: Tile | BundlePath) -> None:
    assert parse_tile_path(path) == tile
    assert tile.path == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile",
        "tile/0",
        "tile/0/",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/x000",
        "tile/0/x000/001",
        "tile/0/001/001",
        "tile/0/x001/x001",
        "tile/0/x1/001",
        "tile/0/X001/001",
        "tile/0/x0001/001",
        "tile/0/x001/x234/x067",
        "tile/0/x009/x223/x372/x036/x854/x775/808",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
        "tile/0/x001/x000/x000/x000/x000/x000/x000/000",
        "tile/0/000.p",
        "tile/0/000.p/",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/999",
        "tile/0/000.p/1000",
        "tile/0/000.p/-1",
        "tile/0/000.p/+1",
        "tile/0/000.p/1_0",
        "tile/0/000.p/1.p/1",
        "tile/0/000/1",
        "tile/00/000",
        "tile/01/000",
        "tile/64/000",
        "tile/100/000",
        "tile/-1/000",
        "tile/x/000",
        "tile/entry/000",
        "tile/Entries/000",
        "tile/entries/000/",
        "/tile/0/000",
        "tile//0/000",
        "tile/0/000\n",
        " tile/0/000",
        "tile/0/٠٠٠",
        "tile/٠/000",
        "tile/0/000.p/١",
        "tile/0/../0/000",
        "tile/data/000",
    ],
)
def test_a_tile_path_in_another_spelling_is_rejected(path: str) -> None:
    with pytest.raises(TileError):
        parse_tile_path(path)


@pytest.mark.parametrize("path", ["tile/0/x001/x234/067.p/5", "tile/63/000", "tile/entries/x001/234.p/255"])
def test_a_mutated_tile_path_is_rejected_or_names_another_tile(path: str) -> None:
    original = parse_tile_path(path)
    for at in range(len(path)):
        for character in "".join(map(chr, range(128))) + "٣é":
            for mutant in (path[:at] + character + path[at:], path[:at] + character + path[at + 1 :]):
                try:
                    tile = parse_tile_path(mutant)
                except TileError:
                    continue
                assert tile.path == mutant
                assert (tile == original) == (mutant == path)


@given(st.integers(0, 63), st.integers(0, 2**63 - 1), st.integers(1, 256))
def test_every_tile_has_one_path(level: int, index: int, width: int) -> None:
    tile = Tile(level=level, index=index, width=width)
    bundle = BundlePath(index=index, width=width)
    assert parse_tile_path(tile.path) == tile
    assert parse_tile_path(bundle.path) == bundle


@given(st.text(alphabet="tile/0123x.pn\n", max_size=40))
def test_a_path_that_is_read_is_written_the_same(path: str) -> None:
    try:
        tile = parse_tile_path("tile/" + path)
    except TileError:
        return
    assert tile.path == "tile/" + path


def test_the_tiles_of_70_000_entries_are_those_of_the_specification() -> None:
    tiles = list(hash_tiles(TreeSize(70_000)))
    assert [tile for tile in tiles if tile.level == 0] == [
        *(Tile(level=0, index=index) for index in range(273)),
        Tile(level=0, index=273, width=112),
    ]
    assert [tile.path for tile in tiles if tile.level > 0] == ["tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1"]
    assert edge_tiles(TreeSize(70_000)) == [tile for tile in tiles if tile.width < 256]


@pytest.mark.parametrize(
    ("size", "paths"),
    [
        (0, []),
        (1, ["tile/0/000.p/1"]),
        (255, ["tile/0/000.p/255"]),
        (256, ["tile/0/000", "tile/1/000.p/1"]),
        (257, ["tile/0/000", "tile/0/001.p/1", "tile/1/000.p/1"]),
    ],
)
def test_an_empty_tile_does_not_exist(size: int, paths: list[str]) -> None:
    assert [tile.path for tile in hash_tiles(TreeSize(size))] == paths
    assert [tile.path for tile in edge_tiles(TreeSize(size))] == [path for path in paths if ".p/" in path]


def test_a_tile_exists_from_its_smallest_tree_on() -> None:
    for size in range(1, 1200):
        tree = TreeSize(size)
        assert max(tile.size_min for tile in hash_tiles(tree)) == size
        for tile in edge_tiles(tree):
            assert tile not in set(hash_tiles(TreeSize(tile.size_min - 1)))
            assert tile in set(hash_tiles(tile.size_min))
    assert Tile(level=2, index=1, width=3).size_min == 259 * 65536


def test_bundles_cover_a_range_of_entries_without_a_gap() -> None:
    for size in (1, 255, 256, 257, 600):
        for start in range(size):
            bundles = list(entry_bundles(LeafIndex(start), TreeSize(size)))
            assert bundles[0].start <= start < bundles[0].size_min
            assert bundles[-1].size_min == size
            assert all(int(one.size_min) == other.start for one, other in itertools.pairwise(bundles))
            assert all(bundle.width == 256 for bundle in bundles[:-1])
        assert list(entry_bundles(LeafIndex(size), TreeSize(size))) == []
    assert list(entry_bundles(LeafIndex(0), TreeSize(0))) == []


@settings(deadline=None)
@given(st.lists(st.integers(0, 700), max_size=6))
def test_an_edge_writes_exactly_the_tiles_of_the_tree(batches: list[int]) -> None:
    leaves = fake_leaves(sum(batches))
    disk, edge = Disk(), Edge.empty()
    for batch in batches:
        start = edge.size
        edge, changed = edge.extended(leaves[start : start + batch])
        disk.write(changed)
        assert edge.size == start + batch
        assert edge.root() == merkle.root_of(leaves[: edge.size])
        assert Edge.load(edge.size, disk.read_tile) == edge
        assert set(disk.tiles) >= set(hash_tiles(edge.size))
        assert all(tile.size_min <= edge.size for tile in disk.tiles)
    for tile, data in disk.tiles.items():
        assert data == oracle.tile(leaves, level=tile.level, index=tile.index, width=tile.width)


def test_leaf_by_leaf_and_all_at_once_give_the_same_edge() -> None:
    leaves = fake_leaves(1030)
    edge = Edge.empty()
    for size, leaf in enumerate(leaves, start=1):
        edge, changed = edge.extended([leaf])
        assert edge.root() == merkle.root_of(leaves[:size])
        expected = 2 if size % 256 == 0 else 1
        assert len(changed) == expected
    assert edge == Edge.empty().extended(leaves)[0]


def test_a_tree_of_three_tile_levels_has_the_tiles_of_the_oracle() -> None:
    leaves = fake_leaves(65_536 + 300)
    edge, changed = Edge.empty().extended(leaves[:65_536])
    disk = Disk()
    disk.write(changed)
    assert [tile.path for tile in edge_tiles(edge.size)] == ["tile/2/000.p/1"]
    edge, changed = edge.extended(leaves[65_536:])
    disk.write(changed)
    assert [tile.path for tile, _ in changed] == ["tile/0/256", "tile/0/257.p/44", "tile/1/001.p/1"]
    assert set(disk.tiles) >= set(hash_tiles(edge.size))
    assert edge == Edge.load(edge.size, disk.read_tile)
    root = edge.root()
    assert root == merkle.root_of(leaves) == oracle.root(leaves)
    reader = TileReader(disk.read_tiles, edge.size)
    assert merkle.root_hash(reader, edge.size) == root
    for index in (0, 255, 256, 40_000, 65_535, 65_536, 65_835):
        disk.read.clear()
        proof = merkle.prove_inclusion(reader, index=LeafIndex(index), size=edge.size)
        assert proof == oracle.path(index, leaves)
        assert len(disk.read) == len(set(disk.read)) <= 6


def test_a_damaged_partial_tile_changes_the_root() -> None:
    edge, changed = Edge.empty().extended(fake_leaves(3 * 256 + 5))
    tiles = dict(changed)
    damaged = 0
    for tile in edge_tiles(edge.size):
        for at in range(32 * tile.width):
            flipped = bytes(byte ^ (place == at) for place, byte in enumerate(tiles[tile]))
            loaded = Edge.load(edge.size, {**tiles, tile: flipped}.__getitem__)
            assert loaded.root() != edge.root()
            damaged += 1
    assert damaged == 32 * (5 + 3)


def test_appending_to_a_vast_tree_writes_only_its_edge() -> None:
    size = TreeSize(2**55 - 1)  # every level's last tile lacks one hash
    edge = Edge.load(size, lambda tile: bytes([tile.level]) * 32 * tile.width)
    edge, changed = edge.extended([bytes(32)])
    assert [tile.size_min for tile, _ in changed] == [2**55] * 7
    assert [tile.width for tile, _ in changed] == [256] * 6 + [128]
    assert edge.root() == edge.peaks[0]


def test_extending_by_nothing_changes_nothing() -> None:
    edge, _ = Edge.empty().extended(fake_leaves(300))
    assert edge.extended([]) == (edge, [])
    assert Edge.empty().root() == merkle.EMPTY_ROOT
    assert Edge.load(TreeSize(0), Disk().read_tile) == Edge.empty()


@settings(deadline=None)
@given(st.integers(1, 1500), st.data())
def test_tiles_answer_every_node_as_the_leaves_do(size: int, data: st.DataObject) -> None:
    leaves = fake_leaves(size)
    disk = Disk()
    disk.write(Edge.empty().extended(leaves)[1])
    rows = data.draw(st.sampled_from([None, MiddleRows(2), MiddleRows(100)]))
    reader = TileReader(disk.read_tiles, TreeSize(size), rows)
    levels = data.draw(st.lists(st.integers(0, size.bit_length() - 1), min_size=1, max_size=8))
    nodes = [Node(level, data.draw(st.integers(0, (size >> level) - 1))) for level in levels]
    assert reader.read_hashes(nodes) == [
        oracle.root(leaves[node.index << node.level : (node.index + 1) << node.level]) for node in nodes
    ]
    assert len(disk.read) == len(set(disk.read))
    for index in data.draw(st.lists(st.integers(0, size - 1), max_size=4)):
        proof = merkle.prove_inclusion(reader, index=LeafIndex(index), size=TreeSize(size))
        assert proof == oracle.path(index, leaves)


def test_of_tiles_so_many_are_remembered_and_another_one_in_their_place_is_another() -> None:
    rows = MiddleRows(3)
    tiles = [b"".join(fake_leaves(256)[number:] + fake_leaves(256)[:number]) for number in range(5)]
    for data in (*tiles, *tiles):
        hashes = [data[start : start + 32] for start in range(0, len(data), 32)]
        for level, row in enumerate(rows.rows(data), 4):
            width = 1 << level
            assert row == b"".join(oracle.root(hashes[start : start + width]) for start in range(0, 256, width))
        assert len(rows) <= 3
    assert rows.rows(tiles[4]) is rows.rows(bytes(bytearray(tiles[4])))


@pytest.mark.parametrize("width", [1, 15, 16, 17, 31, 32, 97, 128, 255])
def test_of_a_partial_tile_the_complete_hashes_are_remembered(width: int) -> None:
    hashes = fake_leaves(width)
    for level, row in enumerate(MiddleRows(1).rows(b"".join(hashes)), 4):
        step = 1 << level
        assert row == b"".join(oracle.root(hashes[start : start + step]) for start in range(0, width - step + 1, step))


def stored(leaves: list[bytes]) -> Disk:
    disk = Disk()
    disk.write(Edge.empty().extended(leaves)[1])
    return disk


def known(disk: Disk, size: int, root: bytes, rows: MiddleRows) -> KnownTree:
    return KnownTree(disk.read_tiles, TreeHead(TreeSize(size), root), rows)


@pytest.mark.parametrize("size", [1, 2, 16, 17, 255, 256, 257, 511, 512, 1000, 65_535, 65_536, 65_537, 66_000])
def test_every_leaf_is_found_in_a_tree_that_is_known_and_nothing_else_is(size: int) -> None:
    leaves = fake_leaves(size)
    disk = stored(leaves)
    tree = known(disk, size, merkle.root_of(leaves), MiddleRows(300))
    step = max(1, size // 300)
    for index in (*range(0, size, step), size - 1):
        tree.check(LeafIndex(index), leaves[index])
        with pytest.raises(InclusionError):
            tree.check(LeafIndex(index), leaves[index - 1] if size > 1 else bytes(31) + b"\x01")
    with pytest.raises(InclusionError, match="no entry"):
        tree.check(LeafIndex(size), leaves[0])
    assert len([tile for tile in disk.read if tile.level]) == len({tile for tile in disk.read if tile.level})


def test_whatever_bit_is_flipped_in_a_tile_no_leaf_that_leads_through_it_is_found() -> None:
    size = 256 * 256 + 256 + 7
    leaves = fake_leaves(size)
    root = merkle.root_of(leaves)
    disk = stored(leaves)
    rows = MiddleRows(8)
    known(disk, size, root, rows).check(LeafIndex(3), leaves[3])  # what is remembered is of the sound tiles
    through = [Tile(level=0, index=0), Tile(level=1, index=0), *edge_tiles(TreeSize(size))]
    for tile in through:
        sound = disk.tiles[tile]
        for place in (0, len(sound) // 2, len(sound) - 1):
            disk.tiles[tile] = sound[:place] + bytes((sound[place] ^ 0x10,)) + sound[place + 1 :]
            with pytest.raises(InclusionError):
                known(disk, size, root, rows).check(LeafIndex(3), leaves[3])
        disk.tiles[tile] = sound[:-1]
        with pytest.raises(TileError):
            known(disk, size, root, rows).check(LeafIndex(3), leaves[3])
        disk.tiles[tile] = sound
    known(disk, size, root, rows).check(LeafIndex(3), leaves[3])


def test_a_log_that_was_cut_and_went_on_in_another_way_is_known_by_its_new_tiles() -> None:
    leaves = fake_leaves(1000)
    others = leaves[:300] + [leaf[::-1] for leaf in leaves[300:]]
    rows = MiddleRows(100)
    before, after = stored(leaves), stored(others)
    known(before, 1000, merkle.root_of(leaves), rows).check(LeafIndex(700), leaves[700])
    tree = known(after, 1000, merkle.root_of(others), rows)
    tree.check(LeafIndex(299), leaves[299])
    tree.check(LeafIndex(700), others[700])
    for gone in (300, 700, 999):
        with pytest.raises(InclusionError):
            tree.check(LeafIndex(gone), leaves[gone])
    with pytest.raises(InclusionError, match="right edge"):
        known(before, 1000, merkle.root_of(others), rows).check(LeafIndex(0), leaves[0])


@pytest.mark.parametrize("wrong", [b"", bytes(31), bytes(32 * 4), bytes(32 * 6), bytes(32 * 5 + 1)])
def test_a_tile_of_the_wrong_length_is_rejected(wrong: bytes) -> None:
    size = TreeSize(5)
    with pytest.raises(TileError, match=r"tile/0/000\.p/5"):
        TileReader(lambda tiles: [wrong for _ in tiles], size).read_hashes([Node(0, 0)])
    with pytest.raises(TileError):
        Edge.load(size, lambda _: wrong)


def test_a_bundle_is_each_entry_after_its_length() -> None:
    assert encode_bundle([b"abc", b"", b"x" * 258]) == b"\x00\x03abc\x00\x00\x01\x02" + b"x" * 258
    assert parse_bundle(b"\x00\x03abc\x00\x00", count=2) == [b"abc", b""]
    assert parse_bundle(b"", count=0) == []


@given(st.lists(st.binary(max_size=600), max_size=256))
def test_a_bundle_is_read_as_it_was_written(entries: list[bytes]) -> None:
    assert parse_bundle(encode_bundle(entries), count=len(entries)) == entries


def test_the_longest_entry_fits_into_a_bundle_and_a_longer_one_does_not() -> None:
    assert parse_bundle(encode_bundle([bytes(65_535)]), count=1) == [bytes(65_535)]
    with pytest.raises(TooLongError) as caught:
        encode_bundle([b"", bytes(65_536)])
    assert (caught.value.field, caught.value.limit) == ("entries[1]", 65_535)


def test_a_bundle_of_another_count_or_length_is_rejected() -> None:
    entries = [b"abc", b"", b"defg"]
    data = encode_bundle(entries)
    for count in (0, 1, 2, 4, 256):
        with pytest.raises(TileError):
            parse_bundle(data, count=count)
    for end in range(len(data)):
        with pytest.raises(TileError):
            parse_bundle(data[:end], count=3)
    with pytest.raises(TileError, match="1 bytes behind"):
        parse_bundle(data + b"\x00", count=3)


def test_every_mutated_byte_of_a_bundle_is_rejected_or_changes_its_root() -> None:
    entries = [b"abc", b"", b"defg"]
    data = encode_bundle(entries)
    root = merkle.root_of([merkle.leaf_hash(entry) for entry in entries])
    for at in range(len(data)):
        for byte in range(256):
            if byte == data[at]:
                continue
            mutant = data[:at] + bytes([byte]) + data[at + 1 :]
            try:
                found = parse_bundle(mutant, count=3)
            except MalformedError:
                continue
            assert encode_bundle(found) == mutant
            assert merkle.root_of([merkle.leaf_hash(entry) for entry in found]) != root


@given(st.binary(max_size=200), st.integers(0, 256))
def test_hostile_bundles_raise_nothing_but_tile_errors(data: bytes, count: int) -> None:
    try:
        entries = parse_bundle(data, count=count)
    except TileError:
        return
    assert encode_bundle(entries) == data
