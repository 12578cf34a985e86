"""Tiles: the tree's hashes and the entries, cut into files that never change (c2sp.org/tlog-tiles).

    hash tile     tile/<L>/<N>[.p/<W>]        1 to 256 hashes of 32 bytes: at level L, over 256^L leaves each
    entry bundle  tile/entries/<N>[.p/<W>]    1 to 256 entries, each after its length as 16-bit big-endian number
    <N>           groups of three digits, all but the last with an x: 1234067 is x001/x234/067
    <W>           1 to 255, only for a partial tile, that is one at the right edge

A tree of 70,000 entries has 273 full tiles of level 0 and ``tile/0/273.p/112``, one full tile of level 1 and
``tile/1/001.p/17``, and ``tile/2/000.p/1``. A partial tile is a prefix of its later self; an empty one does not exist.
"""

import re
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from ledger.encoding import DECIMAL_MAX, HASH_SIZE
from ledger.errors import InclusionError, TileError, TooLongError
from ledger.merkle import HashReader, LeafIndex, Node, TreeHead, TreeSize, join_subtrees, parents, root_hash, subtrees

HEIGHT = 8  # tree levels in one tile
WIDTH = 256  # hashes or entries in a full tile: 2**HEIGHT
MIDDLE = HEIGHT // 2  # levels above those of a tile: the hashes from there on are remembered
LEVEL_MAX = 63  # c2sp.org/tlog-tiles
KEPT_MAX = 32  # tiles of one tree that are kept for one question, 256 KB: those over two million entries
ENTRY_BYTES_MAX = 65_535  # a 16-bit length

_LENGTH = struct.Struct(">H")  # of an entry, before it in a bundle
_PATH = re.compile(r"tile/(entries|[0-9]{1,2})/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([0-9]{1,3}))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """The coordinates of a hash tile: ``width`` hashes, the i-th over ``256**level`` leaves from there on."""

    level: int  # 0 <= level <= LEVEL_MAX
    index: int  # 0 <= index < 2**63, in tiles of this level
    width: int = WIDTH  # 1 <= width <= WIDTH

    def __post_init__(self) -> None:
        """Hold the ranges; paths from outside come through :func:`parse_tile_path`."""
        assert 0 <= self.level <= LEVEL_MAX
        assert 0 <= self.index <= DECIMAL_MAX
        assert 1 <= self.width <= WIDTH

    @property
    def path(self) -> str:
        """The path below the log's prefix, ``tile/0/x001/234.p/5``."""
        return f"tile/{self.level}/{_index_path(self.index, self.width)}"

    @property
    def size_min(self) -> TreeSize:
        """The smallest tree that has this tile, in leaves."""
        return TreeSize((self.index * WIDTH + self.width) << HEIGHT * self.level)


@dataclass(frozen=True, slots=True, kw_only=True)
class BundlePath:
    """The coordinates of an entry bundle: ``width`` entries from ``start`` on."""

    index: int  # 0 <= index < 2**63, in bundles
    width: int = WIDTH  # 1 <= width <= WIDTH

    def __post_init__(self) -> None:
        """Hold the ranges; paths from outside come through :func:`parse_tile_path`."""
        assert 0 <= self.index <= DECIMAL_MAX
        assert 1 <= self.width <= WIDTH

    @property
    def path(self) -> str:
        """The path below the log's prefix, ``tile/entries/x001/234``."""
        return f"tile/entries/{_index_path(self.index, self.width)}"

    @property
    def start(self) -> LeafIndex:
        """The index of its first entry."""
        return LeafIndex(self.index * WIDTH)

    @property
    def size_min(self) -> TreeSize:
        """The smallest tree that has this bundle, in leaves; also the index behind its last entry."""
        return TreeSize(self.index * WIDTH + self.width)


def parse_tile_path(path: str) -> Tile | BundlePath:
    """Return the tile or bundle of a path like ``tile/0/x001/234.p/5`` or ``tile/entries/067``.

    Raises:
        TileError: another spelling, a level above 63, a width outside of 1 to 255.
    """
    match = _PATH.fullmatch(path)
    if match is None:
        raise TileError("not the path of a tile", field="path")
    level, digits, width_digits = match.groups()
    index = int(digits.replace("x", "").replace("/", ""))
    width = WIDTH if width_digits is None else int(width_digits)
    if not (index <= DECIMAL_MAX and 1 <= width <= WIDTH):
        raise TileError("a tile index is below 2^63, a partial tile's width from 1 to 255", field="path")
    if level == "entries":
        tile: Tile | BundlePath = BundlePath(index=index, width=width)
    elif int(level) <= LEVEL_MAX:
        tile = Tile(level=int(level), index=index, width=width)
    else:
        raise TileError(f"no tile has a level above {LEVEL_MAX}", field="path", limit=LEVEL_MAX)
    if tile.path != path:  # leading zeros, an empty group in front, a width of 256
        raise TileError(f"not canonical: {tile.path} is", field="path")
    return tile


def edge_tiles(size: TreeSize) -> list[Tile]:
    """Return the partial tiles of a tree of ``size`` leaves, at most one per level, lowest level first."""
    tiles = []
    for level in range(_levels(size)):
        index, width = divmod(size >> HEIGHT * level, WIDTH)
        if width:
            tiles.append(Tile(level=level, index=index, width=width))
    return tiles


def tile_of(size: TreeSize, level: int, index: int) -> Tile:
    """Return a tile as a tree of ``size`` leaves has it."""
    return Tile(level=level, index=index, width=min(WIDTH, (size >> HEIGHT * level) - index * WIDTH))


def hash_tiles(size: TreeSize) -> Iterator[Tile]:
    """Yield every hash tile of a tree of ``size`` leaves, full and partial, level by level."""
    for level in range(_levels(size)):
        full, width = divmod(size >> HEIGHT * level, WIDTH)
        for index in range(full):
            yield Tile(level=level, index=index)
        if width:
            yield Tile(level=level, index=full, width=width)


def entry_bundles(start: LeafIndex, end: TreeSize) -> Iterator[BundlePath]:
    """Yield the bundles that hold the entries ``[start, end)`` in a tree of ``end`` leaves, in order."""
    for first in range(start - start % WIDTH, end if start < end else 0, WIDTH):
        yield BundlePath(index=first // WIDTH, width=min(WIDTH, end - first))


class MiddleRows:
    """Remembers of tiles the hashes from half way up to the root, so that a path through one takes 11 hashes, not 247.

    A tile is known by the hash of its bytes: whatever is stored in its place later is another one. Any thread.
    """

    def __init__(self, tiles_max: int) -> None:
        """Remember so many tiles at most, each about a kilobyte."""
        self._max = tiles_max
        self._rows: dict[bytes, tuple[bytes, ...]] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def rows(self, data: bytes) -> tuple[bytes, ...]:
        """Return the rows of complete hashes that stand 4 to 8 levels above those of a tile, full or partial."""
        name = sha256(data).digest()
        rows = self._rows.get(name)
        if rows is None:
            rows = _middle_rows(data)
            while len(self._rows) >= self._max:
                with suppress(KeyError, StopIteration, RuntimeError):  # another thread was faster
                    del self._rows[next(iter(self._rows))]
            self._rows[name] = rows
        return rows


@dataclass(frozen=True, slots=True)
class TileReader(HashReader):
    """Answers tree nodes from the hash tiles of a tree of ``size`` leaves; one call reads each tile once.

    ``read_tiles`` returns the bytes of each tile in order. They are not authenticated here: whoever reads another
    machine's tiles verifies the proof that comes out.
    """

    read_tiles: Callable[[Sequence[Tile]], list[bytes]]
    size: TreeSize
    rows: MiddleRows | None = None  # to hash less where the same tiles are read again and again

    def read_hashes(self, nodes: Sequence[Node]) -> list[bytes]:
        """Return the hash of each node, hashing within the tiles; every node lies within the tree.

        Raises:
            TileError: a tile has another length than its width.
        """
        places = [self._place(node) for node in nodes]
        tiles = [tile_of(self.size, level, index) for level, index in dict.fromkeys(place[:2] for place in places)]
        found: dict[tuple[int, int], _Folded] = {}
        for tile, data in zip(tiles, self.read_tiles(tiles), strict=True):
            _check_length(tile, data)
            found[tile.level, tile.index] = _Folded(data)
        return [found[level, index].hash_at(height, offset, self.rows) for level, index, height, offset in places]

    def _place(self, node: Node) -> tuple[int, int, int, int]:
        """Return level and index of the tile that a node is hashed from, and its height and number within it."""
        tree_level, number = node
        assert (number + 1) << tree_level <= self.size, "the node is not in the tree"
        level, height = divmod(tree_level, HEIGHT)
        index, offset = divmod(number, WIDTH >> height)
        return level, index, height, offset


class _Folded:
    """One tile of one read, with the rows half way up once they are asked for."""

    __slots__ = ("_rows", "data")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._rows: tuple[bytes, ...] = ()

    def hash_at(self, height: int, offset: int, memory: MiddleRows | None) -> bytes:
        """Return the complete hash that stands so many levels above those of the tile, counted from its left."""
        if memory is not None and height >= MIDDLE:
            self._rows = self._rows or memory.rows(self.data)
            return _piece(self._rows[height - MIDDLE], 0, offset)
        row = _piece(self.data, height, offset)
        for _ in range(height):
            row = _row_above(row)
        return row


def _piece(row: bytes, height: int, offset: int) -> bytes:
    """Return the part of a row below the hash that stands so many levels above it."""
    size = HASH_SIZE << height
    return row[offset * size : (offset + 1) * size]


def _row_above(row: bytes) -> bytes:
    """Return the hashes one level up, one for each pair; a last hash without a partner is left out."""
    starts = range(0, len(row) - 2 * HASH_SIZE + 1, 2 * HASH_SIZE)
    # SHA-256(0x01 || left || right), RFC 6962 section 2.1
    return b"".join([sha256(b"\x01" + row[start : start + 2 * HASH_SIZE]).digest() for start in starts])


def _middle_rows(data: bytes) -> tuple[bytes, ...]:
    rows = [data]
    for _ in range(HEIGHT):
        rows.append(_row_above(rows[-1]))
    return tuple(rows[MIDDLE:])


class KnownTree:
    """A tree whose root is known: says whether a leaf is in it, from tiles that are hashed up to that root.

    The right edge makes up the root, and the root of each full tile stands in the tile above it; so a leaf takes its
    own tile and, where many are asked for, little more. Tiles above the lowest are kept: use it for one question.
    """

    def __init__(self, read_tiles: Callable[[Sequence[Tile]], list[bytes]], head: TreeHead, rows: MiddleRows) -> None:
        """``read_tiles`` returns the bytes of each tile, which nobody has verified."""
        self._read = read_tiles
        self._head = head
        self._rows = rows
        self._kept: dict[tuple[int, int], bytes] = {}

    def check(self, index: LeafIndex, leaf: bytes) -> None:
        """Check that ``leaf`` (a leaf hash) is entry ``index`` of the tree.

        Raises:
            InclusionError: it is not, or the tiles do not lead to the root.
            TileError: a tile has another length than its width.
        """
        if not 0 <= index < self._head.size:
            raise InclusionError(f"a tree of {self._head.size} entries has no entry {index}", field="index")
        if not self._kept:
            self._load_edge()
        number, offset = divmod(index, WIDTH)
        if _piece(self._verified(0, number), 0, offset) != leaf:
            raise InclusionError(f"the tile of entry {index} has another hash than the entry", field="index")

    def _load_edge(self) -> None:
        tiles = edge_tiles(self._head.size)
        found = dict(zip(tiles, self._read(tiles), strict=True))
        reader = TileReader(lambda wanted: [found[tile] for tile in wanted], self._head.size, self._rows)
        if root_hash(reader, self._head.size) != self._head.root:
            raise InclusionError("the tiles at the right edge do not lead to the root")
        self._kept = {(tile.level, tile.index): data for tile, data in found.items()}

    def _verified(self, level: int, index: int) -> bytes:
        data = self._kept.get((level, index))
        if data is not None:
            return data
        tile = tile_of(self._head.size, level, index)
        assert tile.width == WIDTH, "the partial ones are at the edge"
        [data] = self._read([tile])
        _check_length(tile, data)
        number, offset = divmod(index, WIDTH)
        if _piece(self._verified(level + 1, number), 0, offset) != self._rows.rows(data)[-1]:
            raise InclusionError(f"the hash tile {tile.path} is not the one that leads to the root", field=tile.path)
        if level and len(self._kept) < KEPT_MAX:
            self._kept[level, index] = data
        return data


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """The right edge of a tree: all that is needed to append to it, whatever its size."""

    size: TreeSize
    partials: tuple[bytes, ...]  # by tile level: the hashes of the partial tile, empty where there is none
    peaks: tuple[bytes, ...]  # the largest complete subtrees, left to right: one per one-bit of the size

    @classmethod
    def empty(cls) -> Self:
        """Return the edge of the tree without leaves."""
        return cls(size=TreeSize(0), partials=(), peaks=())

    @classmethod
    def load(cls, size: TreeSize, read_tile: Callable[[Tile], bytes]) -> Self:
        """Return the edge of a stored tree from its partial tiles; compare :meth:`root` with what was signed.

        Raises:
            TileError: a tile has another length than its width.
        """
        found = {tile: read_tile(tile) for tile in edge_tiles(size)}
        reader = TileReader(lambda tiles: [found[tile] for tile in tiles], size)
        peaks = reader.read_hashes(subtrees(0, size))
        by_level = {tile.level: data for tile, data in found.items()}
        partials = tuple(by_level.get(level, b"") for level in range(_levels(size)))
        return cls(size=size, partials=partials, peaks=tuple(peaks))

    def root(self) -> bytes:
        """Return the root of the tree, with one hash per one-bit of its size."""
        return join_subtrees(self.peaks)

    def extended(self, leaves: Sequence[bytes]) -> tuple[Self, list[tuple[Tile, bytes]]]:
        """Return the edge after more leaf hashes, and every hash tile that is new or longer now, with its bytes.

        One hash per leaf, however the leaves are batched.
        """
        assert all(len(leaf) == HASH_SIZE for leaf in leaves)
        peaks = dict(zip((node.level for node in subtrees(0, self.size)), self.peaks, strict=True))
        partials = list(self.partials)
        changed: list[tuple[Tile, bytes]] = []
        fresh, first = list(leaves), int(self.size)  # the new hashes of this row, and the position of their first
        level = 0
        while fresh:
            if level % HEIGHT == 0:
                if level // HEIGHT == len(partials):
                    partials.append(b"")
                tiles, rest = _cut(level // HEIGHT, first, partials[level // HEIGHT] + b"".join(fresh))
                changed += tiles
                partials[level // HEIGHT] = rest
            row = [peaks.pop(level), *fresh] if first & 1 else fresh  # an odd hash has waited for its partner
            if len(row) & 1:
                peaks[level] = row[-1]
            fresh, first, level = parents(row), first >> 1, level + 1
        edge = type(self)(
            size=TreeSize(self.size + len(leaves)),
            partials=tuple(partials),
            peaks=tuple(peaks[level] for level in sorted(peaks, reverse=True)),
        )
        return edge, changed


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Return the entries as a bundle: each after its length as 16-bit big-endian number.

    Raises:
        TooLongError: an entry of more than 65,535 bytes.
    """
    parts: list[bytes] = []
    for number, entry in enumerate(entries):
        if len(entry) > ENTRY_BYTES_MAX:
            raise TooLongError(
                f"{len(entry)} bytes where an entry has at most {ENTRY_BYTES_MAX}",
                field=f"entries[{number}]",
                limit=ENTRY_BYTES_MAX,
            )
        parts += (len(entry).to_bytes(2, "big"), entry)
    return b"".join(parts)


def parse_bundle(data: bytes, *, count: int) -> list[bytes]:
    """Return the ``count`` entries of a bundle.

    Raises:
        TileError: the bytes end early, or go on behind the last entry.
    """
    entries = []
    position = 0
    length_at = _LENGTH.unpack_from
    try:
        for _ in range(count):
            start = position + _LENGTH.size
            position = start + length_at(data, position)[0]
            entries.append(data[start:position])
    except struct.error:  # not even a length is left
        raise _ends_within(len(entries) - (position > len(data))) from None
    if position > len(data):
        raise _ends_within(count - 1)
    if position != len(data):
        raise TileError(f"{len(data) - position} bytes behind the last of {count} entries", field="bundle")
    return entries


def _ends_within(number: int) -> TileError:
    return TileError("the bundle ends within this entry", field=f"entries[{number}]")


def _levels(size: int) -> int:
    """Return how many tile levels a tree has."""
    return -(-size.bit_length() // HEIGHT)


def _index_path(index: int, width: int) -> str:
    groups = [f"{index % 1000:03d}"]
    while index := index // 1000:
        groups.append(f"x{index % 1000:03d}")
    return "/".join(reversed(groups)) + ("" if width == WIDTH else f".p/{width}")


def _check_length(tile: Tile, data: bytes) -> None:
    if len(data) != tile.width * HASH_SIZE:
        raise TileError(f"{len(data)} bytes where {tile.width} hashes are expected", field=tile.path)


def _cut(level: int, first: int, data: bytes) -> tuple[list[tuple[Tile, bytes]], bytes]:
    """Return the tiles that ``data``, from the start of hash ``first``'s tile on, makes up, and the partial rest."""
    step = WIDTH * HASH_SIZE
    pieces = [data[start : start + step] for start in range(0, len(data), step)]
    tiles = [
        (Tile(level=level, index=index, width=len(piece) // HASH_SIZE), piece)
        for index, piece in enumerate(pieces, start=first // WIDTH)
    ]
    return tiles, pieces[-1] if len(data) % step else b""
