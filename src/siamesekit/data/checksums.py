"""Check what decoders skip: the checksums of PNGs, the declared length of WebPs, JPEG data inside of TIFFs."""

from __future__ import annotations

import struct
import zlib

from siamesekit.data import jpeg
from siamesekit.data.photo_files import UnreadableError
from siamesekit.data.photo_headers import chunks
from siamesekit.data.tiff_directories import Directory, first_directory, is_tiff, value_of, values_of
from siamesekit.data.tiff_samples import Layout, layout_of

_MEND = "copy it again, or save it anew as JPEG or PNG"
_JPEG_IN_TIFF, _JPEG_TABLES = 7, 347
_TILE, _ROWS = (322, 323), 278
_PIECES = ((273, 324), (279, 325))
"""Tags of the positions of strips and of tiles, and of their lengths."""


def check_sums(content: bytes) -> None:
    """Check the parts of a photo file whose damage its decoder does not report.

    Raises:
        UnreadableError: they are damaged; the message names the damage.
    """
    if content[:4] == b"\x89PNG":
        _check_png(content)
    elif content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        _check_webp(content)
    elif is_tiff(content):
        _check_tiff(content)


def _check_png(content: bytes) -> None:
    """Check the CRC of each chunk that determines the pixels (PNG specification, third edition, section 5)."""
    for start, end in chunks(content):
        kind = content[start + 4 : start + 8]
        if not (kind[:1].isupper() or kind == b"tRNS"):
            continue
        if zlib.crc32(memoryview(content)[start + 4 : end - 4]) != int.from_bytes(content[end - 4 : end], "big"):
            where = kind.decode("ascii", "replace")
            what = "is cut short" if end > len(content) else "has a wrong checksum"
            raise UnreadableError(f"is damaged (its part {where} {what})", _MEND)
        if kind == b"IEND":
            return


def _check_webp(content: bytes) -> None:
    declared = 8 + int.from_bytes(content[4:8], "little")
    if declared > len(content):
        raise UnreadableError(f"is damaged (cut short: {len(content):,} of {declared:,} bytes)", _MEND)


def _check_tiff(content: bytes) -> None:
    """Check that all strips or tiles of a TIFF's first page are in the file, and their data if they are JPEGs."""
    layout = layout_of(content)
    if layout is None:
        return
    try:
        page = first_directory(content)
        tables = bytes(values_of(content, page, _JPEG_TABLES))
        places, lengths = (
            [*values_of(content, page, strip), *values_of(content, page, tile)] for strip, tile in _PIECES
        )
        needed = _needed(content, page, layout)
    except (struct.error, OverflowError):
        return
    if 0 < len(places) < needed or (layout.compression == 1 and len(places) > needed):
        raise UnreadableError(f"is damaged (it has {len(places)} strips or tiles instead of {needed})", _MEND)
    plain = layout.height * -(-layout.width * layout.samples * layout.bits // 8)
    for place, length in zip(places, lengths, strict=False):
        held = min(length, plain) if layout.compression == 1 else length  # some programs declare too much
        if place + held > len(content):
            raise UnreadableError(f"is damaged (cut short: it has {len(content):,} bytes)", _MEND)
        if layout.compression == _JPEG_IN_TIFF:
            piece = content[place : place + length]
            jpeg.check_stream(tables[:-2] + piece[2:] if tables else piece)


def _needed(content: bytes, page: Directory, layout: Layout) -> int:
    """The number of strips or tiles that a page of this size has."""
    planes = layout.samples if layout.separate else 1
    width, height = (value_of(content, page, tag) for tag in _TILE)
    if width and height:
        return planes * -(-layout.width // width) * -(-layout.height // height)
    rows = value_of(content, page, _ROWS, layout.height) or layout.height
    return planes * -(-layout.height // max(1, rows))
