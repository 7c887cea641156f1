"""Photos of more than 8 bits: each range of values, by plain formulas, and the doubt where few levels are left."""

from __future__ import annotations

import io
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from helpers import encoded, written
from siamesekit.data.deep_photos import FEW_LEVELS
from siamesekit.data.depth_range import with_range
from siamesekit.data.images import pixels_of_content, read_square
from siamesekit.data.loading import Decoding, load_usable
from siamesekit.data.photo_files import UnreadableError
from siamesekit.data.photo_reading import PLAIN, Reading, Remark
from siamesekit.data.records import Record

THERMAL = np.random.default_rng(0).integers(51_241, 52_182, (32, 48), dtype=np.uint16)
"""Values as thermal cameras give them: 941 of 65,536."""
SET, PHOTO = Reading("set", (51_000.0, 53_000.0)), Reading("photo")


def as_png(values: NDArray[Any]) -> bytes:
    content: bytes = imagecodecs.png_encode(values)
    return content


def as_tiff(values: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, values, photometric="rgb" if values.ndim == 3 else "minisblack")
    return stream.getvalue()


def scaled(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """The formula, in float64."""
    share = (values.astype(np.float64).clip(low, high) - low) / (high - low)
    return np.floor(share * 255 + 0.5).astype(np.uint8)


@pytest.mark.parametrize("made", [as_png, as_tiff])
@pytest.mark.parametrize("channels", [1, 3])
def test_each_range_becomes_0_to_255(made: Any, channels: int) -> None:
    values = THERMAL if channels == 1 else np.stack([THERMAL, THERMAL[::-1], THERMAL[:, ::-1]], -1)
    content = made(values)
    by_range = {"full": values >> 8, "set": scaled(values, 51_000, 53_000),
                "photo": scaled(values, values.min(), values.max())}  # fmt: skip
    for reading in (PLAIN, SET, PHOTO):
        expected = by_range[reading.depth]
        found = pixels_of_content(content, reading=reading)
        found = found[..., 0] if channels == 1 else found
        assert np.abs(found.astype(int) - expected).max() <= (0 if reading is PLAIN else 1)
        assert np.mean(found == expected) > 0.999, "ties may round either way"


def test_a_16_bit_png_with_opacity_is_scaled_before_it_covers_black() -> None:
    values = np.stack([THERMAL, THERMAL, THERMAL, np.full_like(THERMAL, 32_768)], -1)
    found = pixels_of_content(as_png(values), reading=PHOTO)[..., 0]
    assert np.abs(found - scaled(THERMAL, THERMAL.min(), THERMAL.max()) * (32_768 / 65_535)).max() <= 1


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "BMP"])
def test_photos_of_8_bits_are_the_same_by_every_range(form: str) -> None:
    rng = np.random.default_rng(0)
    content = encoded(Image.fromarray(rng.integers(90, 120, (40, 40, 3), dtype=np.uint8)), form)
    for reading in (SET, PHOTO, Reading("set")):
        assert np.array_equal(pixels_of_content(content, reading=reading), pixels_of_content(content))


def remarks_on(folder: Path, content: bytes, reading: Reading = PLAIN) -> list[Remark]:
    remarks: list[Remark] = []
    read_square(Record("a", "", written(folder, content)), 16, "squash", reading, remarks)
    return remarks


@pytest.mark.parametrize("made", [as_png, as_tiff])
@pytest.mark.parametrize("channels", [1, 3])
def test_few_levels_are_remarked_and_only_where_they_were_more(tmp_path: Path, made: Any, channels: int) -> None:
    def of(values: NDArray[Any]) -> bytes:
        content: bytes = made(values if channels == 1 else np.repeat(values[..., None], channels, 2))
        return content

    assert remarks_on(tmp_path, of(THERMAL)) == [FEW_LEVELS]
    assert remarks_on(tmp_path, of(THERMAL), PHOTO) == []
    assert remarks_on(tmp_path, of((np.arange(32 * 48) * 40).astype(np.uint16).reshape(32, 48))) == []
    assert remarks_on(tmp_path, of(np.full((32, 48), 20_000, np.uint16))) == [], "a flat photo loses nothing"
    twelve = np.random.default_rng(0).integers(0, 4096, (32, 48), dtype=np.uint16)
    assert remarks_on(tmp_path, of(twelve)) == [FEW_LEVELS]


@pytest.mark.parametrize(
    "values",
    [np.linspace(-20, 45, 640), np.linspace(0, 16_383, 640), np.linspace(-1, 1, 640)],
    ids=["degrees", "14 bits", "-1 … 1"],
)
def test_floats_of_any_range_are_read_by_their_own(values: NDArray[Any]) -> None:
    photo = values.astype(np.float32).reshape(20, 32)
    with pytest.raises(UnreadableError, match="whose range is not certain") if values[0] < 0 else nullcontext():
        pixels_of_content(as_tiff(photo))
    found = pixels_of_content(as_tiff(photo), reading=PHOTO)[..., 0]
    assert np.abs(found.astype(int) - scaled(photo, photo.min(), photo.max())).max() <= 1
    holes = photo.copy()
    holes[3, 4], holes[5, 6] = np.nan, np.inf
    again = pixels_of_content(as_tiff(holes), reading=PHOTO)[..., 0]
    assert (again[3, 4], again[5, 6]) == (0, 0)
    assert np.array_equal(again[6:], found[6:])


@pytest.mark.parametrize("depth", ["full", "set", "photo"])
def test_only_not_numbers_are_refused(depth: str) -> None:
    reading = Reading(depth, (0.0, 1.0))  # type: ignore[arg-type]
    with pytest.raises(UnreadableError, match="floats that are all NaN or infinite"):
        pixels_of_content(as_tiff(np.full((4, 5), np.nan, np.float32)), reading=reading)


@pytest.mark.parametrize("kind", ["int8", "int16", "uint32"])
def test_signed_and_wide_integers_need_a_range(kind: str) -> None:
    bounds = np.iinfo(kind)
    values = np.linspace(bounds.min, bounds.max, 256).astype(kind).reshape(8, 32)
    with pytest.raises(UnreadableError, match="whose range is not certain") as caught:
        pixels_of_content(as_tiff(values))
    assert 'data.depth = "set" or "photo"' in caught.value.args[1]
    found = pixels_of_content(as_tiff(values), reading=PHOTO)[..., 0]
    assert np.abs(found.reshape(-1).astype(int) - np.arange(256)).max() <= 1


def records(folder: Path, contents: dict[str, bytes]) -> list[Record]:
    return [Record(name, "x", written(folder, content, name)) for name, content in contents.items()]


def test_the_range_of_a_set_is_that_of_its_photos_of_more_than_8_bits(tmp_path: Path) -> None:
    grey = Image.new("L", (8, 8), 255)
    photos = records(
        tmp_path,
        {
            "a.png": as_png(THERMAL),
            "b.tif": as_tiff(THERMAL + np.uint16(300)),
            "8 bits.png": encoded(grey, "PNG"),
            "8 bits.tif": encoded(grey, "TIFF"),
            "broken.png": as_png(THERMAL)[:-50],
            "colour.png": as_png(np.stack([THERMAL - np.uint16(500), THERMAL, THERMAL], -1)),
        },
    )
    found = with_range(Reading("set", truncated="accept"), photos)
    assert found == Reading("set", (float(THERMAL.min()) - 500, float(THERMAL.max()) + 300), "accept")
    assert with_range(Reading("set"), photos[2:4]) == Reading("set")
    assert with_range(PHOTO, photos) is PHOTO


def test_two_photos_on_one_scale_keep_their_difference(tmp_path: Path) -> None:
    photos = records(tmp_path, {"a.png": as_png(THERMAL), "b.png": as_png(THERMAL + np.uint16(900))})
    reading = with_range(Reading("set"), photos)
    images = load_usable(photos, 32, decoding=Decoding(reading)).images.float()
    assert images[1].mean() - images[0].mean() > 80
    alone = load_usable(photos, 32, decoding=Decoding(PHOTO)).images.float()
    assert abs(alone[1].mean() - alone[0].mean()) < 1


def test_remarks_are_told_once_for_all_photos_of_a_kind(tmp_path: Path, told: Any) -> None:
    photos = records(tmp_path, {f"{n}.png": as_png(THERMAL) for n in range(7)})
    load_usable(photos, 16, progress=told)
    (line,) = told.warned
    names = "0.png, 1.png, 2.png, 3.png, 4.png and 2 more"
    assert line == (
        f'7 photos of more than 8 bits with fewer than 32 grey levels left: {names}; set data.depth = "set" or "photo"'
    )
