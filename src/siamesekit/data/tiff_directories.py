"""Find the directories of a TIFF or BigTIFF, and the page that is the photo.

A TIFF holds one directory of tags per page, in a chain; sub-directories hang below a page. In camera raw files, and in
some exports, the first page is only a thumbnail.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

MAX_PAGES = 1000
"""Maximum number of directories that are looked at."""
MAX_VALUES = 2_000_000
"""Maximum number of values of a tag that are read."""
MARKS = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
"""First bytes of TIFF and BigTIFF files."""
_TYPES = {1: "B", 2: "c", 3: "H", 4: "I", 5: "II", 6: "b", 7: "B", 8: "h", 9: "i", 10: "ii", 11: "f", 12: "d", 13: "I",
          16: "Q", 17: "q", 18: "Q"}  # fmt: skip
SUBFILE, OLD_SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 254, 255, 256, 257, 258, 259, 262
SAMPLES, SUB_DIRECTORIES, CFA_PATTERN, DNG_VERSION = 277, 330, 33422, 50706
_REDUCED, _MASK, _OLD_REDUCED = 1, 4, 2
_RAW_PHOTOMETRICS = {32803: "colour filter array", 34892: "linear raw"}
_RAW_COMPRESSIONS = {32767, 32769, 32770, 34713, 65000, 65535}
"""Sony ARW, packed Nikon, Samsung SRW, Nikon NEF, Kodak DCR, Pentax PEF."""


class Directory(NamedTuple):
    """A directory of a TIFF.

    Attributes:
        order: byte order, `<` or `>`.
        big: whether the file is a BigTIFF.
        place: position of the directory in the file.
        entries: entry of each tag, in the order of the file.
        following: position of the next directory in the chain; 0 at its end.
    """

    order: str
    big: bool
    place: int
    entries: list[tuple[int, bytes]]
    following: int

    def entry(self, tag: int) -> bytes | None:
        """The first entry of a tag; None without one."""
        return next((entry for number, entry in self.entries if number == tag), None)


def is_tiff(content: bytes) -> bool:
    """Whether a file begins like a TIFF or BigTIFF."""
    return content.startswith(MARKS)


def first_directory(tiff: bytes) -> Directory:
    """The first directory of a TIFF.

    Raises:
        struct.error, OverflowError: the directory is missing or damaged.
    """
    order = "<" if tiff[:2] == b"II" else ">"
    big = 43 in tiff[2:4]
    (start,) = struct.unpack_from(order + ("Q" if big else "I"), tiff, 8 if big else 4)
    return directory_at(tiff, start)


def directory_at(tiff: bytes, start: int) -> Directory:
    """The directory at a position.

    Raises:
        struct.error, OverflowError: the directory is missing or damaged.
    """
    order = "<" if tiff[:2] == b"II" else ">"
    big = 43 in tiff[2:4]
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), tiff, start)
    first, size = start + (8 if big else 2), 20 if big else 12
    end = first + min(count, 65_535) * size
    table = tiff[first:end]
    entries = [table[place : place + size] for place in range(0, len(table) - size + 1, size)]
    numbers = "little" if order == "<" else "big"
    offset = tiff[end : end + (8 if big else 4)]
    following = int.from_bytes(offset, "little" if order == "<" else "big")
    return Directory(order, big, start, [(int.from_bytes(each[:2], numbers), each) for each in entries], following)  # type: ignore[arg-type]


def values_of(tiff: bytes, directory: Directory, tag: int) -> tuple[int, ...]:
    """The integers of a tag; empty without the tag, or if it is damaged or no integer."""
    entry = directory.entry(tag)
    if entry is None:
        return ()
    order, big = directory.order, directory.big
    kind, count = struct.unpack_from(order + ("HQ" if big else "HI"), entry, 2)
    code = _TYPES.get(kind, "")
    if len(code) != 1 or code in "cfd" or not 0 < count <= MAX_VALUES:
        return ()
    length, field = count * struct.calcsize(order + code), entry[12:] if big else entry[8:]
    if length > len(field):
        (place,) = struct.unpack(order + ("Q" if big else "I"), field)
        field = tiff[place : place + length]
    return struct.unpack(order + code * count, field[:length]) if len(field) >= length else ()


def value_of(tiff: bytes, directory: Directory, tag: int, default: int = 0) -> int:
    """The first integer of a tag, or a default without the tag."""
    return next(iter(values_of(tiff, directory, tag)), default)


def directories(tiff: bytes) -> list[Directory]:
    """All directories of a TIFF, with sub-directories, at most `MAX_PAGES`; none of a damaged file."""
    try:
        first = first_directory(tiff)
    except (struct.error, OverflowError):
        return []
    found, waiting, seen = [first], [first.following, *values_of(tiff, first, SUB_DIRECTORIES)], {first.place, 0}
    while waiting and len(found) < MAX_PAGES:
        place = waiting.pop(0)
        if place in seen:
            continue
        seen.add(place)
        try:
            directory = directory_at(tiff, place)
        except (struct.error, OverflowError):
            continue
        found.append(directory)
        waiting += [directory.following, *values_of(tiff, directory, SUB_DIRECTORIES)[:MAX_PAGES]]
    return found


def is_raw(tiff: bytes) -> bool:
    """Whether a TIFF is a camera's raw file, by the content of any of its directories."""
    if tiff[8:10] == b"CR":
        return True
    return any(
        directory.entry(DNG_VERSION) is not None
        or directory.entry(CFA_PATTERN) is not None
        or value_of(tiff, directory, PHOTOMETRIC) in _RAW_PHOTOMETRICS
        or value_of(tiff, directory, COMPRESSION) in _RAW_COMPRESSIONS
        for directory in directories(tiff)
    )


def with_largest_page_first(tiff: bytes) -> bytes:
    """The same TIFF with its header pointing to the largest page; of pages of one size, the first.

    Thumbnails and masks do not count, unless all pages are. A file with one page is returned itself.
    """
    pages = [page for page in directories(tiff) if page.entry(WIDTH) is not None]
    if len(pages) < 2:
        return tiff
    whole = [page for page in pages if not _is_part(tiff, page)] or pages
    largest = max(whole, key=lambda page: value_of(tiff, page, WIDTH) * value_of(tiff, page, HEIGHT))
    if largest.place == pages[0].place:
        return tiff
    code, start = ("Q", 8) if largest.big else ("I", 4)
    place = struct.pack(largest.order + code, largest.place)
    return tiff[:start] + place + tiff[start + len(place) :]


def _is_part(tiff: bytes, page: Directory) -> bool:
    """Whether a page is a thumbnail or a mask."""
    return (
        value_of(tiff, page, SUBFILE) & (_REDUCED | _MASK) != 0
        or value_of(tiff, page, OLD_SUBFILE) == _OLD_REDUCED
        or value_of(tiff, page, PHOTOMETRIC) == _MASK
    )


def with_entries(tiff: bytes, directory: Directory, entries: list[tuple[int, bytes]]) -> bytes:
    """The same TIFF with a new directory at its end, to which the header points; the old ones stay unused.

    Args:
        tiff: content of the file.
        directory: a directory of the file.
        entries: entries of the new directory, ascending by tag.
    """
    order, big = directory.order, directory.big
    place = len(tiff) + len(tiff) % 2
    count, offset = ("Q", "Q") if big else ("H", "I")
    header = tiff[: 8 if big else 4] + struct.pack(order + offset, place)
    table = b"".join(entry for _, entry in entries)
    made = struct.pack(order + count, len(entries)) + table + struct.pack(order + offset, 0)
    return header + tiff[len(header) :] + bytes(place - len(tiff)) + made


def long_entry(directory: Directory, tag: int, value: int) -> bytes:
    """An entry with one integer of 32 bits."""
    order = directory.order
    if directory.big:
        return struct.pack(order + "HHQI", tag, 4, 1, value) + bytes(4)
    return struct.pack(order + "HHII", tag, 4, 1, value)
