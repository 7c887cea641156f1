"""The formats beyond JPEG and PNG: HEIC, AVIF, JPEG 2000, Netpbm; what is said where one cannot be read."""

from __future__ import annotations

import io
from pathlib import Path

import imagecodecs
import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageOps

from helpers import encoded, written
from siamesekit.data import foreign_formats
from siamesekit.data.foreign_formats import is_heif
from siamesekit.data.images import decode, pixels_of_content, read_square
from siamesekit.data.passed_over import PassedOver
from siamesekit.data.photo_files import UnreadableError
from siamesekit.data.photo_folders import is_photo
from siamesekit.data.photo_formats import READ, size_of
from siamesekit.data.photo_reading import Reading
from siamesekit.data.records import Record

BLOTCHES = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
PICTURE = Image.fromarray(BLOTCHES).resize((128, 96), Image.Resampling.BICUBIC)


def heic(image: Image.Image, **options: object) -> bytes:
    stream = io.BytesIO()
    pillow_heif.from_pillow(image).save(stream, quality=95, **options)
    return stream.getvalue()


def off(found: np.ndarray, expected: Image.Image) -> float:
    return float(np.abs(found.astype(int) - np.asarray(expected.convert("RGB"))).mean())


@pytest.mark.parametrize("suffix", [".heic", ".HEIF", ".jpg", ""])
def test_a_heic_photo_is_read_whatever_its_name(tmp_path: Path, suffix: str) -> None:
    file = written(tmp_path, heic(PICTURE), f"photo{suffix}")
    assert np.array_equal(decode(file), np.asarray(pillow_heif.open_heif(file).to_pillow()))
    assert off(decode(file), PICTURE) < 4
    assert off(read_square(Record("a", "", file), 96, "crop"), PICTURE.crop((16, 0, 112, 96))) < 4


@pytest.mark.parametrize("orientation", range(1, 9))
def test_avif_photos_are_turned_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(PICTURE, "AVIF", quality=95, exif=exif)
    upright = PICTURE.copy()
    upright.getexif()[0x0112] = orientation
    assert off(pixels_of_content(content), ImageOps.exif_transpose(upright)) < 2


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_the_turn_that_a_heic_holds_is_applied_once(orientation: int) -> None:
    """A phone writes the turn into the container, and again into the EXIF, which does not count beside it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = heic(PICTURE, exif=exif.tobytes())
    theirs = pillow_heif.open_heif(turned).to_pillow()
    assert b"Exif" in turned
    assert off(pixels_of_content(turned), theirs) == 0


def test_jpeg_2000_and_netpbm_are_read() -> None:
    exact = np.asarray(PICTURE)
    for content in (encoded(PICTURE, "JPEG2000"), imagecodecs.jpeg2k_encode(exact, level=0), encoded(PICTURE, "PPM")):
        assert np.array_equal(pixels_of_content(content), exact)
    assert np.array_equal(pixels_of_content(b"P2\n2 1\n255\n9 200\n")[..., 0], [[9, 200]])
    assert np.array_equal(pixels_of_content(b"P5\n2 1\n65535\n" + bytes([9, 0, 200, 0]))[..., 0], [[9, 200]])


def test_avif_is_what_libavif_reads_elsewhere() -> None:
    content = encoded(PICTURE, "AVIF", quality=90)
    assert np.abs(pixels_of_content(content).astype(int) - imagecodecs.avif_decode(content)).max() <= 2


@pytest.mark.parametrize("name", ["a.jpe", "a.MPO", "a.ppm", "a.pgm", "a.jp2", "a.avif", "a.heic", "a.HIF", "a.jfif"])
def test_photos_of_these_suffixes_are_photos(name: str) -> None:
    assert is_photo(name)


@pytest.mark.parametrize(
    ("content", "name", "flag", "command"),
    [
        (heic(PICTURE), "a HEIC photo", "HEIF_IS_READ", "pip install 'siamesekit[heif]'"),
        (encoded(PICTURE, "AVIF"), "an AVIF photo", "AVIF_IS_READ", "pip install --force-reinstall pillow"),
    ],
    ids=["HEIC", "AVIF"],
)
@pytest.mark.parametrize("suffix", [".jpg", ".heic"])
def test_without_the_codec_the_error_has_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, name: str, flag: str, command: str, suffix: str
) -> None:
    monkeypatch.setattr(foreign_formats, flag, False)
    with pytest.raises(UnreadableError) as caught:
        decode(written(tmp_path, content, f"photo{suffix}"))
    assert caught.value.args == (
        f"is not a supported image ({', '.join(READ)}) but {name}",
        f"to read it: {command}",
    )


def test_general_brands_are_told_by_the_compatible_ones() -> None:
    head = b"\0\0\0\x18ftypmif1\0\0\0\0"
    assert is_heif(head + b"mif1heic")
    assert not is_heif(head + b"mif1avif")
    assert not is_heif(b"\0\0\0\x18ftypisom\0\0\0\0mif1heic")


def test_skipped_files_are_told_with_what_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign_formats, "HEIF_IS_READ", False)
    (line,) = PassedOver({".HEIC": 3, ".NEF": 2, ".txt": 1}, {}).sentences()
    assert line == (
        "6 files skipped: 3 .HEIC, 2 .NEF, 1 .txt; only files with the suffix of a photo are read; "
        ".HEIC: a HEIC photo, to read it: pip install 'siamesekit[heif]'; .NEF: a camera's raw file, develop it to "
        "JPEG or TIFF with the camera's software, darktable or RawTherapee"
    )


def test_the_size_in_a_header_is_that_of_the_photo(tmp_path: Path) -> None:
    for content in (heic(PICTURE), encoded(PICTURE, "TIFF"), encoded(PICTURE, "JPEG"), encoded(PICTURE, "AVIF")):
        assert size_of(io.BytesIO(content)) == PICTURE.size


def test_the_limit_of_megapixels_can_be_raised_and_lowered() -> None:
    for content in (encoded(PICTURE.resize((1100, 1000)), form) for form in ("JPEG", "PNG", "AVIF", "WEBP")):
        with pytest.raises(UnreadableError, match="the limit is 1 megapixels") as caught:
            pixels_of_content(content, reading=Reading(max_megapixels=1))
        assert caught.value.args[1] == "make it smaller, or raise data.max_megapixels"
        assert pixels_of_content(content, reading=Reading(max_megapixels=2)).shape == (1000, 1100, 3)


@pytest.mark.slow
def test_a_photo_of_108_megapixels_is_read_where_it_is_allowed(tmp_path: Path) -> None:
    file = written(tmp_path, encoded(PICTURE.resize((12_000, 9_000)), "JPEG"))
    with pytest.raises(UnreadableError, match="12000 × 9000 pixels, the limit is 100 megapixels"):
        read_square(Record("a", "", file), 96, "crop")
    found = read_square(Record("a", "", file), 96, "crop", Reading(max_megapixels=108))
    assert off(found, PICTURE.crop((16, 0, 112, 96))) < 3
