"""Check the headers of photo files before decoding.

A limit on pixels is not enough: small files can exhaust a decoder's time or memory in several other ways.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from itertools import islice

from siamesekit.data.photo_files import UnreadableError
from siamesekit.data.tiff_directories import first_directory, with_entries

MAX_PIXELS = 100_000_000
"""Maximum number of pixels of a photo, checked in its header before decoding."""
MAX_SIDE = 65_535
"""Maximum width and height in pixels, that of JPEG."""
MAX_SCANS = 100
"""Maximum number of scans of a JPEG; a progressive one has about ten. A scan of 100 bytes can cost a pass over all
pixels."""
MAX_SEGMENTS = 10_000
"""Maximum number of segments before the first scan of a JPEG; 20 are usual."""
MAX_EXIF_BLOCKS = 100
"""Maximum number of EXIF blocks of a JPEG; one or two are usual. Pillow copies each together with all before it."""
MAX_CHUNKS = 150_000
"""Maximum number of chunks of a PNG; 800 MB in chunks of the usual 8 KiB are 100,000."""
MAX_COMMENTS = 20_000
"""Maximum number of comments of a GIF, including bytes that look like one by chance."""
MAX_STRIPS = 400_000
"""Maximum number of strips or tiles of a TIFF: 100 megapixels in the smallest tiles, 16 × 16. Pillow keeps 280 bytes
for each."""
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")
"""JPEG marker that is followed by a length, or the end marker."""
_SCAN, _END, _COMMENT, _ADOBE, _EXIF = 0xDA, 0xD9, 0xFE, 0xEE, 0xE1
_ADOBE_BYTES = 16
_STRIP_TAGS = {273, 279, 324, 325}
"""Offsets and lengths of a TIFF's strips and tiles."""
_ORIENTATION, _SHORT = 274, 3
_PIXEL_TAGS = {254, 255, 256, 257, 258, 259, 262, 266, _ORIENTATION, *_STRIP_TAGS, 277, 278, 284, 292, 293, 317, 320,
               322, 323, 330, 338, 339, 340, 341, 347, *range(512, 522), 529, 530, 531, 532}  # fmt: skip
"""TIFF tags that determine the pixels."""


def check_size(width: int, height: int, max_megapixels: int = MAX_PIXELS // 10**6) -> None:
    """Check the size of a photo in pixels.

    Raises:
        UnreadableError: it has more than `max_megapixels` million pixels, or a side longer than `MAX_SIDE`.
    """
    if width * height > max_megapixels * 10**6 or max(width, height) > MAX_SIDE:
        raise UnreadableError(
            f"is too large: {width} × {height} pixels, the limit is {max_megapixels} megapixels"
            f" and {MAX_SIDE:,} pixels a side",
            "make it smaller" if max(width, height) > MAX_SIDE else "make it smaller, or raise data.max_megapixels",
        )


def check_structure(content: bytes, max_megapixels: int = MAX_PIXELS // 10**6) -> None:
    """Refuse a file that would exhaust its decoder.

    Raises:
        UnreadableError: the file has far more parts than a photo, or is a WebP that declares too many pixels.
    """
    if content[:2] == b"\xff\xd8":
        count, header, several = _header(content)
        _at_most(count, MAX_SEGMENTS, "segments")
        _at_most(content.count(b"Exif\0\0", 0, header), MAX_EXIF_BLOCKS, "blocks of EXIF")
        if several and content.count(b"\xff\xda") > MAX_SCANS:  # faster than parsing, and nearly always enough
            _at_most(_scans(content), MAX_SCANS, "scans")
    elif content[:4] == b"\x89PNG":
        _at_most(sum(1 for _ in islice(chunks(content), MAX_CHUNKS + 1)), MAX_CHUNKS, "chunks")
    elif content[:3] == b"GIF":
        _at_most(content.count(b"!\xfe"), MAX_COMMENTS, "comments")
    elif content[:2] in (b"II", b"MM"):
        _at_most(_strips(content), MAX_STRIPS, "strips")
    elif content[:4] == b"RIFF" and content[8:16] == b"WEBPVP8X":  # the decoder allocates memory on creation
        width, height = (1 + int.from_bytes(content[start : start + 3], "little") for start in (24, 27))
        check_size(width, height, max_megapixels)


def _at_most(found: int, limit: int, parts: str) -> None:
    if found > limit:
        raise UnreadableError(f"has more than {limit:,} {parts}", "open it and save it again")


def essential(content: bytes) -> bytes | None:
    """A JPEG, PNG or TIFF without its metadata: profiles, EXIF, texts, later frames of an animation.

    Returns:
        None if the file has no metadata or another format.
    """
    kept = content
    if content[:2] == b"\xff\xd8":
        parts, last = [content[:2]], 2
        for marker, start, end in segments(content):
            if marker == _SCAN or start != last:  # unknown bytes between segments
                break
            tells_colours = marker == _ADOBE and end - start >= _ADOBE_BYTES
            if tells_colours or not (0xE0 <= marker <= 0xEF or marker == _COMMENT):
                parts.append(content[start:end])
            last = end
        kept = b"".join([*parts, content[last:]])
    elif content[:4] == b"\x89PNG":
        every = (content[start:end] for start, end in chunks(content))
        kept = content[:8] + b"".join(each for each in every if each[4:5].isupper() or each[4:8] == b"tRNS")
    elif content[:2] in (b"II", b"MM"):
        return _with_pixel_tags(content)
    return None if len(kept) == len(content) else kept


def _with_pixel_tags(tiff: bytes) -> bytes | None:
    """A TIFF with a new directory at its end that has only the tags of the pixels; the old directory stays unused."""
    try:
        directory = first_directory(tiff)
    except (struct.error, OverflowError):
        return None
    kept = [(tag, entry) for tag, entry in directory.entries if tag in _PIXEL_TAGS]
    return None if len(kept) == len(directory.entries) else with_entries(tiff, directory, kept)


def orientation_in(content: bytes) -> int | None:
    """The orientation in the EXIF of a JPEG, PNG or WebP, 1 … 8 (tag 274); None without one.

    It is also None for a TIFF, because Pillow turns TIFF images upright when it decodes them.
    """
    exif = b""
    if content[:2] == b"\xff\xd8":
        blocks = (content[start + 4 : end] for marker, start, end in segments(content) if marker == _EXIF)
        exif = next((block for block in blocks if block[:6] == b"Exif\0\0"), b"")
    elif content[:4] == b"\x89PNG":
        exif = next((content[s + 8 : e - 4] for s, e in chunks(content) if content[s + 4 : s + 8] == b"eXIf"), b"")
    elif content[:4] == b"RIFF":
        place = content.find(b"EXIF")
        exif = b"" if place < 0 else content[place + 8 :]
    return orientation_of(exif)


def orientation_of(exif: bytes) -> int | None:
    """The orientation in a block of EXIF, which is a TIFF without pixels; None without one."""
    tiff = exif.removeprefix(b"Exif\0\0")
    try:
        order, big, _, entries, _ = first_directory(tiff)
    except (struct.error, OverflowError):
        return None
    for tag, entry in entries:
        if tag == _ORIENTATION:
            kind, count = struct.unpack_from(order + ("HQ" if big else "HI"), entry, 2)
            (found,) = struct.unpack_from(order + "H", entry, 12 if big else 8)
            return int(found) if (kind, count) == (_SHORT, 1) and 1 <= found <= 8 else None
    return None


def segments(jpeg: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of each segment of the first picture in a JPEG, without the segments of thumbnails."""
    position = 2
    while found := _MARKER.search(jpeg, position):
        marker, position = jpeg[found.start() + 1], found.end()
        if marker != _END:
            position += int.from_bytes(jpeg[position : position + 2], "big")
        yield marker, found.start(), position
        if marker == _END:
            break


def _header(jpeg: bytes) -> tuple[int, int, bool]:
    """The header of a JPEG: its segments up to the first scan, their end, and whether several scans may follow.

    The number of segments is counted up to one more than `MAX_SEGMENTS`. A decoder stops after the first scan unless
    the JPEG is progressive, or the first scan lacks some of the colours.
    """
    count, end, several, colours = 0, len(jpeg), True, b""
    for count, (marker, start, after) in enumerate(segments(jpeg), 1):
        if marker in (0xC0, 0xC1):
            colours = jpeg[start + 9 : start + 10]
        if marker == _SCAN:
            end, several = after, not colours or jpeg[start + 4 : start + 5] != colours
        if marker == _SCAN or count > MAX_SEGMENTS:
            break
    return count, end, several


def _scans(jpeg: bytes) -> int:
    return sum(marker == _SCAN for marker, _, _ in segments(jpeg))


def chunks(png: bytes) -> Iterator[tuple[int, int]]:
    """Start and end of each chunk of a PNG."""
    position = 8
    while position < len(png):
        start, position = position, position + 12 + int.from_bytes(png[position : position + 4], "big")
        yield start, position


def _strips(tiff: bytes) -> int:
    """The largest number of strips or tiles that the first directory of a TIFF, or BigTIFF, declares; 0 if damaged."""
    try:
        order, big, _, entries, _ = first_directory(tiff)
    except (struct.error, OverflowError):
        return 0
    counts = (
        struct.unpack_from(order + ("Q" if big else "I"), entry, 4)[0] for tag, entry in entries if tag in _STRIP_TAGS
    )
    return max(counts, default=0)
