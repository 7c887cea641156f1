"""Photos: every format people have, and every way in which a file is broken."""

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps

from helpers import encoded, png, written
from siamesekit.data.images import DRAFT, decode, read_pixels, read_square
from siamesekit.data.photo_colours import Pixels
from siamesekit.data.photo_files import UnreadableError
from siamesekit.data.photo_formats import READ
from siamesekit.data.photo_geometry import Fit, square
from siamesekit.data.photo_headers import MAX_PIXELS
from siamesekit.data.records import Record

ORIENTATION = 0x0112
UPRIGHT = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3) * 3
STORED: dict[int, Callable[[Pixels], Pixels]] = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: np.rot90(p, 1),
    7: lambda p: np.rot90(p.transpose(1, 0, 2), 2),
    8: lambda p: np.rot90(p, -1),
}
"""How a camera that writes this orientation stores an upright picture (EXIF 2.3, tag 274)."""


def picture(height: int = 24, width: int = 32) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def refusal(file: Path) -> tuple[str, str]:
    """Reason and mend."""
    with pytest.raises(UnreadableError) as caught:
        decode(file)
    reason, mend = caught.value.args
    return reason, mend


@pytest.mark.parametrize("orientation", STORED)
def test_photos_are_turned_upright_as_their_exif_says(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](UPRIGHT)))
    assert np.array_equal(decode(written(tmp_path, encoded(stored, "PNG", exif=exif))), UPRIGHT)


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "WEBP"])
def test_lossless_formats_keep_every_pixel(tmp_path: Path, form: str) -> None:
    options = {"lossless": True} if form == "WEBP" else {}
    pixels = decode(written(tmp_path, encoded(picture(), form, **options)))
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels, np.asarray(picture()))


def one_colour(mode: str, colour: object, form: str) -> bytes:
    return encoded(Image.new(mode, (16, 8), colour), form)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("content", "expected", "tolerance"),
    [
        (one_colour("L", 77, "PNG"), (77, 77, 77), 0),
        (one_colour("1", 1, "PNG"), (255, 255, 255), 0),
        (one_colour("CMYK", (255, 0, 0, 0), "JPEG"), (0, 255, 255), 3),
        (one_colour("CMYK", (0, 0, 0, 255), "JPEG"), (0, 0, 0), 3),
        (encoded(Image.new("RGB", (16, 8), (10, 200, 30)).quantize(4), "PNG"), (10, 200, 30), 0),
        (one_colour("I;16", 0x4DFF, "PNG"), (0x4D, 0x4D, 0x4D), 0),
        (one_colour("I;16", 0xFFFF, "TIFF"), (255, 255, 255), 0),
        (one_colour("F", 200.7, "TIFF"), (200, 200, 200), 0),
        (one_colour("RGBA", (200, 100, 50, 255), "PNG"), (200, 100, 50), 0),
        (one_colour("RGBA", (200, 100, 50, 0), "PNG"), (0, 0, 0), 0),
        (one_colour("RGBA", (200, 100, 50, 128), "PNG"), (100, 50, 25), 1),
        (one_colour("LA", (200, 128), "PNG"), (100, 100, 100), 1),
        (encoded(Image.new("L", (16, 8), 9), "PNG", transparency=9), (0, 0, 0), 0),
    ],
    ids=["grey", "1 bit", "CMYK cyan", "CMYK black", "palette", "16-bit grey PNG", "16-bit grey TIFF", "float TIFF",
         "opaque", "transparent", "half transparent", "half transparent grey", "transparent colour"],
)  # fmt: skip
def test_every_mode_becomes_the_right_colour(
    tmp_path: Path, content: bytes, expected: tuple[int, int, int], tolerance: int
) -> None:
    pixels = decode(written(tmp_path, content))
    assert pixels.shape == (8, 16, 3)
    assert np.abs(pixels.astype(int) - expected).max() <= tolerance


def test_an_animation_gives_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert np.array_equal(np.unique(decode(written(tmp_path, content)).reshape(-1, 3), axis=0), [[255, 0, 0]])


@pytest.mark.parametrize("name", ["two words.jpg", "🐋.jpg", "new\nline.jpg", "ключ.JPG", "-rf.jpg", "a;b&c.jpg"])
def test_a_name_may_be_anything(tmp_path: Path, name: str) -> None:
    file = written(tmp_path, encoded(picture(), "PNG"), name)
    assert np.array_equal(decode(file), np.asarray(picture()))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"])
@pytest.mark.parametrize("kept", [0.02, 0.1, 0.5, 0.9])
def test_a_truncated_photo_is_found(tmp_path: Path, form: str, kept: float) -> None:
    content = encoded(picture(60, 80), form)
    reason, mend = refusal(written(tmp_path, content[: int(kept * len(content))]))
    assert reason.startswith(("is damaged", "cannot be decoded", "is not an image"))
    assert mend.endswith("as JPEG or PNG")
    assert "remove" not in mend


@pytest.mark.parametrize(
    ("content", "reason", "mend"),
    [
        (b"", "is empty (0 bytes)", "copy it again or remove it"),
        (
            b"not a photo\n" * 99,
            f"is not an image ({', '.join(READ)})",
            "save it as JPEG or PNG",
        ),
        (
            b"%PDF-1.4\n",
            f"is not a supported image ({', '.join(READ)}) but a PDF document",
            "save the pictures in it as JPEG (pdfimages -j NAME.pdf NAME)",
        ),
        (
            b"P7\nWIDTH 1\n",
            f"is not a supported image ({', '.join(READ)}) but a Netpbm image",
            "save a copy of it as JPEG or PNG",
        ),
    ],
    ids=["empty", "text", "PDF", "PAM"],
)
def test_what_is_not_a_photo_is_refused_with_a_mend(tmp_path: Path, content: bytes, reason: str, mend: str) -> None:
    assert refusal(written(tmp_path, content)) == (reason, mend)


@pytest.mark.parametrize(("width", "height"), [(20_000, 20_000), (10_001, 10_000), (2**31 - 1, 2**31 - 1)])
def test_a_header_that_declares_too_many_pixels_is_refused_before_decoding(
    tmp_path: Path, width: int, height: int
) -> None:
    assert width * height > MAX_PIXELS
    start = time.monotonic()
    reason, mend = refusal(written(tmp_path, png(width, height)))
    assert time.monotonic() - start < 1
    assert (reason[:12], mend[:15]) == ("is too large", "make it smaller")


@pytest.mark.timeout(10)
def test_a_fifo_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    assert refusal(tmp_path / "pipe.jpg") == (
        "is not a regular file",
        "it is a pipe: replace it by a photo file",
    )


@pytest.mark.parametrize("name", ["absent.jpg", "dangling.jpg"])
def test_a_file_that_is_not_there_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "dangling.jpg").symlink_to(tmp_path / "gone.jpg")
    assert refusal(tmp_path / name)[0] == "cannot be opened (No such file or directory)"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path, encoded(picture(), "PNG"))
    file.chmod(0)
    assert refusal(file) == ("cannot be opened (Permission denied)", "check the file and its permissions")


@given(
    st.sampled_from(["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"]),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=6),
)
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_photo_is_decoded_or_refused_never_anything_else(
    tmp_path: Path, form: str, damage: list[tuple[float, int]]
) -> None:
    content = bytearray(encoded(picture(8, 8), form))
    for place, byte in damage:
        content[int(place * len(content))] = byte
    try:
        pixels = decode(written(tmp_path, bytes(content)))
    except UnreadableError as error:
        assert all(isinstance(part, str) and part for part in error.args)
    else:
        assert (pixels.dtype, pixels.ndim, pixels.shape[2]) == (np.uint8, 3, 3)


@pytest.mark.parametrize("pixels", [np.zeros((4, 4, 3)), np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8)])
def test_a_readers_wrong_pixels_are_refused(pixels: Pixels) -> None:
    with pytest.raises(UnreadableError, match="its reader returned"):
        read_pixels(Record("x", "x", lambda: pixels))


def test_a_readers_right_pixels_are_taken() -> None:
    assert read_pixels(Record("x", "x", lambda: UPRIGHT)) is UPRIGHT


def halves(height: int, width: int) -> Pixels:
    """Left half red, right half blue."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2, 0] = pixels[:, width // 2 :, 2] = 255
    return pixels


@pytest.mark.parametrize(
    ("fit", "row", "corner"),
    [("squash", "RRRRBBBB", "R"), ("pad", "RRRRBBBB", "."), ("crop", "RRRRBBBB", "R")],
)
def test_fit_of_a_wide_picture(fit: Fit, row: str, corner: str) -> None:
    names = {(255, 0, 0): "R", (0, 0, 255): "B", (0, 0, 0): "."}

    def name(pixel: Pixels) -> str:
        nearest = min(names, key=lambda colour: np.abs(pixel.astype(int) - colour).sum())
        return names[nearest]

    fitted = square(halves(40, 80), 8, fit)
    assert fitted.shape == (8, 8, 3)
    assert "".join(name(pixel) for pixel in fitted[4]) == row
    assert name(fitted[0, 0]) == corner


def test_squash_keeps_all_pad_adds_black_crop_takes_the_middle() -> None:
    wide = np.zeros((30, 90, 3), np.uint8)
    wide[:, 30:60] = 255  # the middle third is white
    assert square(wide, 30, "squash").mean() == pytest.approx(255 / 3, abs=2)
    assert square(wide, 30, "pad").mean() == pytest.approx(255 / 9, abs=2)
    assert square(wide, 30, "crop").mean() == 255


@pytest.mark.parametrize("fit", ["squash", "pad", "crop"])
def test_a_picture_of_the_right_size_is_not_touched(fit: Fit) -> None:
    pixels = np.asarray(picture(16, 16))
    assert np.array_equal(square(pixels, 16, fit), pixels)


def textured(height: int, width: int) -> Image.Image:
    """Smooth noise, as photos are smooth where they are large: its blotches are a twelfth of its height."""
    blotches = np.random.default_rng(1).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    return Image.fromarray(blotches).resize((width, height), Image.Resampling.BICUBIC)


def photo_like(height: int, width: int) -> Pixels:
    """Smooth colours, texture of every scale, hard edges, and pixels of noise."""
    rng = np.random.default_rng(3)

    def blotches(rows: int, columns: int) -> NDArray[np.float64]:
        small = Image.fromarray(rng.normal(size=(max(2, rows), max(2, columns))).astype(np.float32))
        return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC)).astype(float)

    y, x = np.mgrid[0:height, 0:width]
    colours = np.stack([60 * blotches(9, 12) for _ in range(3)], axis=2)
    texture = sum(3 * scale**0.5 * blotches(height // scale, width // scale) for scale in (1, 2, 4, 8, 16, 32))
    edges = 60 * (np.sin(60 * x / width + 20 * y / height) > 0.6)
    return (120 + colours + (texture + edges)[..., None]).clip(0, 255).astype(np.uint8)


def in_full(file: Path, size: int, fit: Fit) -> Pixels:
    """What Pillow's own functions make of the photo, decoded in full."""
    with Image.open(file) as image:
        bilinear = Image.Resampling.BILINEAR
        if fit == "squash":
            return np.asarray(image.resize((size, size), bilinear))
        return np.asarray((ImageOps.pad if fit == "pad" else ImageOps.fit)(image, (size, size), bilinear))


@pytest.mark.slow
@pytest.mark.parametrize("fit", ["squash", "pad", "crop"])
@pytest.mark.parametrize(
    ("width", "height", "sizes"),
    [
        (1603, 1069, (32, 64, 100, 128)),
        (640, 427, (32, 50)),
        (427, 640, (32, 50)),
        (1999, 501, (32, 60)),
        (333, 251, (16, 30)),
    ],
)
@pytest.mark.parametrize("options", [{"quality": 90}, {"quality": 95, "subsampling": 0}], ids=["4:2:0", "4:4:4"])
def test_a_jpeg_decoded_at_a_smaller_scale_is_that_of_full_decoding(
    tmp_path: Path, width: int, height: int, sizes: tuple[int, ...], options: dict[str, int], fit: Fit
) -> None:
    file = written(tmp_path, encoded(Image.fromarray(photo_like(height, width)), "JPEG", **options))
    smaller = 0
    for size in sizes:
        small, full = read_square(Record("x", "x", file), size, fit).astype(int), in_full(file, size, fit).astype(int)
        smaller += not np.array_equal(small, full)
        assert np.abs(small - full).mean() < 0.35, size
        assert np.abs(small - full).max() <= 5, size
        assert full.std() > 10, "a flat picture would show nothing"
    assert smaller, "it was never decoded at a smaller scale"


def edge_at(row: NDArray[np.int64]) -> float:
    """Where a row goes from black to white, in pixels from its left."""
    return float((255 - row).sum() / 255)


@pytest.mark.medium
@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("fit", ["squash", "pad", "crop"])
def test_nothing_moves_by_a_twentieth_of_a_pixel(tmp_path: Path, fit: Fit, orientation: int) -> None:
    """An edge at three quarters of the width: 1,001 pixels at an eighth are 125.125, in 126 that libjpeg gives."""
    height, width, size = 1001, 1001, 30
    upright = np.zeros((height, width, 3), np.uint8)
    upright[:, 751:] = 255
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](upright)))
    file = written(tmp_path, encoded(stored, "JPEG", quality=95, exif=exif))
    found = read_square(Record("x", "x", file), size, fit)[size // 2, :, 1].astype(int)
    assert edge_at(found) == pytest.approx(751 / width * size, abs=0.02)
    lying = np.ascontiguousarray(upright.transpose(1, 0, 2))
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](lying)))
    file = written(tmp_path, encoded(stored, "JPEG", quality=95, exif=exif))
    down = read_square(Record("x", "x", file), size, fit)[:, size // 2, 1].astype(int)
    assert edge_at(down) == pytest.approx(751 / width * size, abs=0.02)


@pytest.mark.parametrize(("width", "height"), [(3203, 641), (641, 3203), (1999, 1001)])
def test_the_bars_of_pad_are_those_of_full_decoding(tmp_path: Path, width: int, height: int) -> None:
    white = Image.new("RGB", (width, height), "white")
    file = written(tmp_path, encoded(white, "JPEG", quality=95))
    assert np.array_equal(read_square(Record("x", "x", file), 64, "pad"), in_full(file, 64, "pad"))


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 40), st.sampled_from(["squash", "pad", "crop"]))
@settings(deadline=None, max_examples=200)
def test_every_fit_of_pixels_is_pillows(width: int, height: int, size: int, fit: Fit) -> None:
    pixels = np.asarray(picture(height, width))
    assume(fit != "pad" or round(size * min(width, height) / max(width, height)) > 0)  # of no pixel Pillow makes none
    functions = {"pad": ImageOps.pad, "crop": ImageOps.fit, "squash": Image.Image.resize}
    expected = functions[fit](picture(height, width), (size, size), Image.Resampling.BILINEAR)
    assert np.array_equal(square(pixels, size, fit), expected)


@pytest.mark.parametrize(
    ("width", "height"), [(4 * DRAFT * 16 - 1, 16 * DRAFT * 2 - 1), (127, 500), (500, 127), (128, 127)]
)
def test_a_jpeg_less_than_eight_times_as_large_is_decoded_in_full(tmp_path: Path, width: int, height: int) -> None:
    file = written(tmp_path, encoded(textured(height, width), "JPEG", quality=95))
    assert np.array_equal(read_square(Record("x", "x", file), 16, "squash"), square(decode(file), 16, "squash"))


@pytest.mark.parametrize("orientation", STORED)
def test_a_large_jpeg_is_turned_upright_too(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    upright = np.asarray(textured(480, 640))
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](upright)))
    file = written(tmp_path, encoded(stored, "JPEG", quality=95, exif=exif))
    found = read_square(Record("x", "x", file), 32, "squash").astype(int)
    assert np.abs(found - square(upright, 32, "squash")).mean() < 1


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_a_large_jpeg_in_grey_or_cmyk_keeps_its_colours(tmp_path: Path, mode: str) -> None:
    file = written(tmp_path, encoded(textured(480, 640).convert(mode), "JPEG", quality=95))
    found = read_square(Record("x", "x", file), 32, "squash").astype(int)
    assert np.abs(found - square(decode(file), 32, "squash")).mean() < 1


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_a_truncated_large_jpeg_is_found(tmp_path: Path, kept: float) -> None:
    content = encoded(textured(480, 640), "JPEG")
    with pytest.raises(UnreadableError, match=r"is damaged \(premature end of JPEG file\)"):
        read_square(Record("x", "x", written(tmp_path, content[: int(kept * len(content))])), 32, "squash")


FLOATS = {
    "nearly black": (np.linspace(0, 0.06, 64), r"holds float values 0 … 0.06, whose range is not certain"),
    "-1 … 1": (np.linspace(-1, 1, 64), r"holds float values -1 … 1"),
    "-1 … 0": (np.linspace(-1, 0, 64), r"holds float values -1 … 0"),
    "a little above 1": (np.linspace(-0.02, 1.07, 64), r"holds float values -0.02 … 1.07"),
    "a little above 255": (np.linspace(0, 255.4, 64), r"holds float values 0 … 255.4"),
    "12 bits": (np.linspace(0, 4095, 64), r"holds float values 0 … 4095"),
    "no numbers": (np.full(64, np.nan), r"holds floats that are all NaN or infinite"),
}


@pytest.mark.parametrize("name", FLOATS)
def test_floats_of_another_range_are_refused_and_not_read_as_black(tmp_path: Path, name: str) -> None:
    values, says = FLOATS[name]
    image = Image.fromarray(np.tile(values.astype(np.float32), (8, 1)))
    reason, mend = refusal(written(tmp_path, encoded(image, "TIFF")))
    assert re.match(says, reason)
    assert mend.startswith("save it anew" if name == "no numbers" else 'set data.depth = "set" or "photo"')


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 100, 255], [0, 100, 255]),
        ([-5, 100.9, 250], [0, 100, 250]),
        ([0, 0, 0], [0, 0, 0]),
        ([0, 257 * 100, 65535], [0, 100, 255]),
        ([np.nan, 16, 255], [0, 16, 255]),
        ([0, 0.5, 1], [0, 128, 255]),
        ([0, 100 / 255, np.inf, 0.8], [0, 100, 0, 204]),
    ],
)
def test_floats_of_a_usual_range_are_read(tmp_path: Path, values: list[float], expected: list[int]) -> None:
    image = Image.fromarray(np.array([values], np.float32))
    assert decode(written(tmp_path, encoded(image, "TIFF")))[0, :, 0].tolist() == expected


@pytest.mark.filterwarnings("error")
def test_a_signalling_nan_is_black_and_nothing_is_said(tmp_path: Path) -> None:
    signals = np.array([[0x7FA00000, 0x41800000, 0x437F0000]], np.uint32).view(np.float32)
    image = Image.frombytes("F", (3, 1), signals.tobytes())
    assert decode(written(tmp_path, encoded(image, "TIFF")))[0, :, 0].tolist() == [0, 16, 255]
