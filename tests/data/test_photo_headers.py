"""What files claim of themselves: the limits at their edge, and photos stripped to their pixels."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from helpers import encoded
from siamesekit.data import photo_headers
from siamesekit.data.photo_files import UnreadableError
from siamesekit.data.photo_headers import (
    MAX_CHUNKS,
    MAX_COMMENTS,
    MAX_EXIF_BLOCKS,
    MAX_SCANS,
    MAX_SEGMENTS,
    MAX_STRIPS,
    check_size,
    check_structure,
    essential,
)

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
PICTURE = Image.fromarray(PIXELS)


JPEG, PNG, GIF = encoded(PICTURE, "JPEG"), encoded(PICTURE, "PNG"), encoded(PICTURE, "GIF")


def segments_by_hand(jpeg: bytes) -> list[int]:
    position, found = 2, []
    while True:
        found.append(jpeg[position + 1])
        if jpeg[position + 1] == 0xDA:
            return found
        position += 2 + struct.unpack(">H", jpeg[position + 2 : position + 4])[0]


def with_segments(count: int) -> bytes:
    return JPEG[:2] + b"\xff\xfe\0\2" * (count - len(segments_by_hand(JPEG))) + JPEG[2:]


def with_scans(count: int) -> bytes:
    whole = encoded(PICTURE, "JPEG", progressive=True)
    starts = [i for i in range(len(whole)) if whole[i : i + 2] == b"\xff\xda"]
    return whole[:-2] + whole[starts[-1] : -2] * (count - len(starts)) + whole[-2:]


def with_exif_blocks(count: int) -> bytes:
    return JPEG[:2] + b"\xff\xe1\0\x08Exif\0\0" * count + JPEG[2:]


def with_chunks(count: int) -> bytes:
    empty = struct.pack(">I", 0) + b"teSt" + struct.pack(">I", zlib.crc32(b"teSt"))
    return PNG[:33] + empty * (count - 3) + PNG[33:]


def with_comments(count: int) -> bytes:
    return GIF[:-1] + b"!\xfe\1a\0" * (count - GIF.count(b"!\xfe")) + GIF[-1:]


def with_strips(count: int, order: str = "<", big: bool = False) -> bytes:
    mark = b"II" if order == "<" else b"MM"
    if big:
        return mark + struct.pack(f"{order}HHHQQHHQQ", 43, 8, 0, 16, 1, 273, 16, count, 0)
    return mark + struct.pack(f"{order}HIHHHII", 42, 8, 1, 273, 4, count, 0)


@pytest.mark.parametrize(
    ("made", "limit"),
    [(with_segments, MAX_SEGMENTS), (with_scans, MAX_SCANS), (with_exif_blocks, MAX_EXIF_BLOCKS),
     (with_chunks, MAX_CHUNKS), (with_comments, MAX_COMMENTS), (with_strips, MAX_STRIPS),
     (lambda n: with_strips(n, ">"), MAX_STRIPS), (lambda n: with_strips(n, "<", True), MAX_STRIPS),
     (lambda n: with_strips(n, ">", True), MAX_STRIPS)],
    ids=["segments", "scans", "EXIF", "chunks", "comments", "strips", "strips, big-endian", "BigTIFF",
         "BigTIFF, big-endian"],
)  # fmt: skip
def test_as_many_parts_as_allowed_pass_and_one_more_does_not(made: Callable[[int], bytes], limit: int) -> None:
    check_structure(made(limit))
    with pytest.raises(UnreadableError, match=f"has more than {limit:,} "):
        check_structure(made(limit + 1))


def test_scans_of_a_thumbnail_or_behind_the_end_do_not_count() -> None:
    scans = b"\xff\xda" * (MAX_SCANS + 1)
    check_structure(JPEG[:2] + b"\xff\xe1" + struct.pack(">H", len(scans) + 2) + scans + JPEG[2:])
    check_structure(JPEG + scans)


@pytest.mark.parametrize(("width", "height"), [(10_000, 10_000), (65_535, 1), (1, 65_535), (1, 1)])
def test_sizes_up_to_the_limits_pass(width: int, height: int) -> None:
    check_size(width, height)


@pytest.mark.parametrize(("width", "height"), [(10_001, 10_000), (65_536, 1), (1, 65_536)])
def test_sizes_past_a_limit_are_refused(width: int, height: int) -> None:
    with pytest.raises(UnreadableError, match=f"is too large: {width} × {height} pixels, the limit is 100 mega"):
        check_size(width, height)


@pytest.mark.parametrize("content", [b"", b"\xff\xd8", b"\x89PNG", b"II", b"MM\0*\xff\xff\xff\xff", b"GIF", b"RIFF"])
def test_a_stub_is_left_to_the_decoder(content: bytes) -> None:
    check_structure(content)
    essential(content)


def pixels_of(content: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_without_its_metadata_has_the_same_pixels(mode: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    whole = encoded(PICTURE.convert(mode), "JPEG", exif=exif, icc_profile=bytes(99_999), comment=b"hello")
    bare = essential(whole)
    assert bare is not None
    assert len(bare) < len(whole) - 99_999
    assert b"Exif" not in bare
    assert b"hello" not in bare
    assert np.array_equal(pixels_of(bare), pixels_of(whole))


def test_a_png_without_its_metadata_has_the_same_pixels() -> None:
    frames = {"save_all": True, "append_images": [Image.fromarray(PIXELS[::-1])]}
    whole = encoded(PICTURE, "PNG", icc_profile=bytes(99_999), **frames)
    bare = essential(whole)
    assert bare is not None
    assert (b"iCCP" in bare, b"fdAT" in bare) == (False, False)
    assert np.array_equal(pixels_of(bare), PIXELS)
    clear = encoded(Image.new("L", (4, 4), 9), "PNG", transparency=9)
    assert essential(clear) is None, "transparency is no metadata"


@pytest.mark.parametrize("form", ["BMP", "GIF", "TIFF", "WEBP"])
def test_other_formats_are_taken_as_they_are(form: str) -> None:
    assert essential(encoded(PICTURE, form)) is None


def test_the_limits_leave_room_for_what_photos_have(monkeypatch: pytest.MonkeyPatch) -> None:
    for options in ({"quality": 95}, {"progressive": True}, {"restart_marker_blocks": 1}):
        check_structure(encoded(PICTURE, "JPEG", **options))
    monkeypatch.setattr(photo_headers, "MAX_SEGMENTS", len(segments_by_hand(JPEG)))
    check_structure(JPEG)
    monkeypatch.setattr(photo_headers, "MAX_SEGMENTS", len(segments_by_hand(JPEG)) - 1)
    with pytest.raises(UnreadableError, match="segments"):
        check_structure(JPEG)
