"""Damage that decoders do not report: in a PNG's chunks, a WebP's length, JPEG data of a TIFF."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image

from helpers import encoded
from siamesekit.data.images import pixels_of_content
from siamesekit.data.photo_files import UnreadableError

PIXELS = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
PICTURE = Image.fromarray(PIXELS).resize((128, 96), Image.Resampling.BICUBIC)


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :]


def refusal(content: bytes) -> str:
    with pytest.raises(UnreadableError) as caught:
        pixels_of_content(content)
    return str(caught.value.args[0])


def chunks(png: bytes) -> list[tuple[bytes, int, int]]:
    """Kind, beginning and end of the body of each chunk."""
    found, place = [], 8
    while place < len(png):
        (length,) = struct.unpack_from(">I", png, place)
        found.append((png[place + 4 : place + 8], place + 8, place + 8 + length))
        place += 12 + length
    return found


def test_any_flipped_bit_in_the_pixels_of_a_png_is_found() -> None:
    palette = encoded(PICTURE.quantize(20), "PNG", transparency=3)
    for content in (encoded(PICTURE, "PNG"), palette):
        for kind, start, end in chunks(content):
            for place in {start, (start + end) // 2, end - 1} if end > start else {}:
                said = refusal(flipped(content, place))
                assert said == f"is damaged (its part {kind.decode()} has a wrong checksum)" or kind == b"IHDR", place


def test_a_damaged_text_in_a_png_does_no_harm() -> None:
    content = encoded(PICTURE, "PNG", icc_profile=bytes(range(200)))
    kind, start, _ = chunks(content)[1]
    assert kind == b"iCCP"
    assert np.array_equal(pixels_of_content(flipped(content, start + 30)), np.asarray(PICTURE))


@pytest.mark.parametrize("lossless", [True, False])
def test_a_webp_that_is_cut_anywhere_is_found(lossless: bool) -> None:
    content = encoded(PICTURE, "WEBP", lossless=lossless)
    for lost in (1, 10, len(content) // 2):
        assert "is damaged (cut short" in refusal(content[:-lost])


@pytest.mark.parametrize("tiles", [{}, {"tile": (32, 32)}])
def test_damage_in_the_jpeg_data_of_a_tiff_is_found(tiles: dict[str, tuple[int, int]]) -> None:
    import tifffile

    stream = io.BytesIO()
    tifffile.imwrite(stream, np.asarray(PICTURE), photometric="rgb", compression="jpeg", **tiles)
    content = stream.getvalue()
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        page = file.pages[0]
        place, length = page.dataoffsets[-1], page.databytecounts[-1]  # type: ignore[union-attr]
    assert pixels_of_content(content).shape == (96, 128, 3)
    middle = place + length // 2
    hole = content[:middle] + b"\xff\xd9" + content[middle + 2 :]
    assert "is damaged (" in refusal(hole)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_deflate", "packbits"])
@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("lost", [1, 15, 500])
def test_a_tiff_that_lacks_its_last_bytes_is_found(compression: str, deep: bool, lost: int) -> None:
    import tifffile

    stream, grey = io.BytesIO(), np.asarray(PICTURE.convert("L"))
    values = grey.astype(np.uint16) * 257 if deep else grey
    names = {"raw": None, "tiff_lzw": "lzw", "tiff_deflate": "zlib", "packbits": "packbits"}
    tifffile.imwrite(stream, values, compression=names[compression])
    content = stream.getvalue()
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        page = file.pages[0]
        end = page.dataoffsets[-1] + page.databytecounts[-1]  # type: ignore[union-attr]
    assert np.array_equal(pixels_of_content(content[:end])[..., 0], grey)
    assert refusal(content[: end - lost]).startswith(("is damaged (cut short", "cannot be decoded", "is not an image"))


@pytest.mark.parametrize("pieces", [{"tile": (32, 32)}, {"rowsperstrip": 16}], ids=["tiles", "strips"])
@pytest.mark.parametrize("height", [20, 200], ids=["too many", "too few"])
def test_a_tiff_of_another_number_of_pieces_than_its_size_has_is_refused(pieces: dict[str, int], height: int) -> None:
    """Pillow would write the further ones over the first, or leave the rest black."""
    import tifffile

    stream = io.BytesIO()
    tifffile.imwrite(stream, np.asarray(PICTURE), photometric="rgb", **pieces)
    content = bytearray(stream.getvalue())
    with tifffile.TiffFile(io.BytesIO(bytes(content))) as file:
        place = file.pages[0].tags[257].valueoffset  # type: ignore[union-attr]
    assert np.array_equal(pixels_of_content(bytes(content)), np.asarray(PICTURE))
    content[place] = height
    assert "strips or tiles instead of" in refusal(bytes(content))
