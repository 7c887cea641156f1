"""JPEGs: the pixels are Pillow's, and damage that Pillow hides is an error."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from helpers import encoded, written
from siamesekit.data import jpeg as jpegs
from siamesekit.data.images import decode, pixels_of_content, read_square
from siamesekit.data.jpeg import CUT_SHORT, RUN
from siamesekit.data.photo_files import UnreadableError
from siamesekit.data.photo_formats import opened
from siamesekit.data.photo_reading import PLAIN, Reading, Remark
from siamesekit.data.records import Record

ACCEPT = Reading(truncated="accept")


def textured(width: int = 320, height: int = 240, seed: int = 0) -> Image.Image:
    """A picture of blotches with a little noise, as photos have."""
    rng = np.random.default_rng(seed)
    blotches = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8))
    smooth = np.asarray(blotches.resize((width, height), Image.Resampling.BICUBIC)).astype(float)
    return Image.fromarray((smooth + rng.normal(0, 6, smooth.shape)).clip(0, 255).astype(np.uint8))


def scan_of(jpeg: bytes) -> int:
    """Where the compressed data of the last scan begin."""
    return jpeg.rindex(b"\xff\xda") + 14


def refusal(content: bytes, reading: Reading = PLAIN) -> str:
    with pytest.raises(UnreadableError) as caught:
        pixels_of_content(content, reading=reading)
    return str(caught.value.args[0])


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize(
    "options",
    [{}, {"subsampling": 0}, {"subsampling": 1}, {"progressive": True}, {"optimize": True},
     {"restart_marker_rows": 1}, {"keep_rgb": True}],
    ids=["4:2:0", "4:4:4", "4:2:2", "progressive", "optimized", "restarts", "RGB"],
)  # fmt: skip
@pytest.mark.parametrize("size", [(320, 240), (333, 257)])
def test_the_pixels_are_those_of_pillow_at_every_scale(
    mode: str, options: dict[str, Any], size: tuple[int, int]
) -> None:
    if (options.get("keep_rgb") and mode != "RGB") or (options.get("subsampling") == 1 and mode == "CMYK"):
        options = {}  # CMYK of such sides is left to Pillow
    content = encoded(textured(*size).convert(mode), "JPEG", quality=87, **options)
    for scale in (1, 2, 4, 8):
        ours, theirs = opened(content), Image.open(io.BytesIO(content))
        for image in (ours, theirs):
            image.draft(None, (size[0] // scale, size[1] // scale))
        pixels = jpegs.decoded(ours, content, PLAIN, [])
        assert pixels is not None
        found = jpegs.image_of(pixels, ours.mode, {})
        assert np.array_equal(np.asarray(found), np.asarray(theirs)), scale
        assert found.mode == theirs.mode


@pytest.mark.parametrize("options", [{}, {"optimize": True}, {"subsampling": 0}, {"restart_marker_rows": 1}])
def test_a_lost_sector_is_always_found(options: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    for seed in range(15):
        good = encoded(textured(seed=seed), "JPEG", quality=90, **options)
        place = int(rng.integers(scan_of(good), len(good) - 600))
        assert "is damaged" in refusal(good[:place] + bytes(512) + good[place + 512 :]), (seed, place)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "a gap": lambda good: good[: len(good) // 2] + good[len(good) // 2 + 700 :],
    "something inserted": lambda good: good[: len(good) // 2] + good[9000:9700] + good[len(good) // 2 :],
    "erased flash memory": lambda good: good[: len(good) // 2] + b"\xff" * 512 + good[len(good) // 2 + 512 :],
    "a marker in the middle": lambda good: good[: len(good) // 2] + b"\xff\xd9" + good[len(good) // 2 + 2 :],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_each_kind_of_damage_in_the_middle_is_named(tmp_path: Path, damage: str) -> None:
    bad = DAMAGES[damage](encoded(textured(), "JPEG", quality=90))
    assert Image.open(io.BytesIO(bad)).size == (320, 240), "its header is sound"
    file = written(tmp_path, bad)
    with pytest.raises(UnreadableError, match=r"is damaged \((corrupt JPEG data|premature end|unsupported marker)"):
        decode(file)
    with pytest.raises(UnreadableError, match=r"is damaged|cannot be decoded"):
        read_square(Record("a", "", file), 16, "squash")


def test_padding_before_the_end_is_no_damage() -> None:
    good = encoded(textured(), "JPEG")
    for padding in (b"\0", b"\0" * 8, b"\xff" * 5):
        padded = good[:-2] + padding + good[-2:]
        assert np.array_equal(pixels_of_content(padded), pixels_of_content(good))
    assert "extraneous bytes" in refusal(good[:-2] + b"\x12\x34\x56" + good[-2:])


def test_a_flat_photo_whose_tables_make_zeros_of_flatness_is_sound() -> None:
    flat = Image.new("L", (1600, 1600), 90)
    flat.paste(textured(16, 16).convert("L"), (800, 800))
    content = encoded(flat, "JPEG", optimize=True)
    assert bytes(RUN) in content, "the test's point"
    assert np.array_equal(pixels_of_content(content)[..., 0], np.asarray(Image.open(io.BytesIO(content))))


@pytest.mark.parametrize(
    "segment",
    [
        b"\xff\xe0\x00\x10JFIF\x00\x09\x09\x00\x00\x01\x00\x01\x00\x00",
        b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x09",
    ],
    ids=["an unknown version of JFIF", "an unknown colour transform"],
)
def test_a_warning_about_metadata_is_no_damage_and_hides_none(segment: bytes) -> None:
    good = encoded(textured(), "JPEG")
    odd = good[:2] + segment + good[20:]
    assert np.array_equal(pixels_of_content(odd), np.asarray(Image.open(io.BytesIO(odd)).convert("RGB")))
    middle = len(odd) // 2
    assert "is damaged" in refusal(odd[:middle] + odd[middle + 500 :])


def test_twelve_bits_and_lossless_are_named() -> None:
    wide = imagecodecs.jpeg_encode(np.full((64, 64, 3), 2000, "uint16"), bitspersample=12)
    assert refusal(wide) == "is a JPEG with 12 bits per sample, which is not read"
    lossless = imagecodecs.jpeg_encode(np.asarray(textured(64, 64)), lossless=True)
    assert refusal(lossless) == "is a lossless JPEG, which is not read"


@pytest.mark.parametrize("lost", [2, 40, 400])
def test_a_jpeg_that_lacks_its_last_bytes_can_be_accepted(tmp_path: Path, lost: int) -> None:
    good = encoded(textured(), "JPEG", quality=90)
    cut, whole = good[:-lost], pixels_of_content(good)
    assert "premature end of JPEG file" in refusal(cut)
    remarks: list[Remark] = []
    square = read_square(Record("a", "", written(tmp_path, cut)), 64, "squash", ACCEPT, remarks)
    assert square.shape == (64, 64, 3)
    assert remarks == [CUT_SHORT]
    found = pixels_of_content(cut, reading=ACCEPT)
    sound = whole.shape[0] - 32
    assert np.array_equal(found[:sound], whole[:sound])


def test_a_jpeg_that_lacks_more_or_is_damaged_elsewhere_is_not_accepted() -> None:
    good = encoded(textured(), "JPEG", quality=90)
    assert "truncated: " in refusal(good[: len(good) // 2], ACCEPT)
    middle = len(good) // 2
    assert "is damaged" in refusal(good[:middle] + bytes(512) + good[middle + 512 : -2], ACCEPT)


def test_a_jpeg_cut_anywhere_in_its_header_is_refused_in_words() -> None:
    good = encoded(textured(64, 48), "JPEG", quality=90)
    for length in range(2, scan_of(good)):
        refusal(good[:length])
