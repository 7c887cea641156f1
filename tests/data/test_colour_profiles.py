"""ICC profiles: colours in sRGB, against matrices in float64 and libvips; nothing else changes."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
from numpy.typing import NDArray
from PIL import Image, ImageCms

from helpers import encoded, written
from siamesekit.data.colour_profiles import BROKEN, UNFIT
from siamesekit.data.images import pixels_of_content, read_square
from siamesekit.data.photo_reading import PLAIN, Remark
from siamesekit.data.records import Record

D50 = np.array([0.9642, 1.0, 0.8249])
PRIMARIES = {
    "sRGB": ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)),
    "Display P3": ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    "Adobe RGB": ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)),
}
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
D65 = np.array([0.3127 / 0.3290, 1.0, (1 - 0.3127 - 0.3290) / 0.3290])


def to_d50(name: str) -> NDArray[np.float64]:
    """Linear RGB to XYZ of D50: the primaries scaled to the white of D65, adapted by Bradford (ICC.1, annex E)."""
    columns = np.array([[x / y, 1.0, (1 - x - y) / y] for x, y in PRIMARIES[name]]).T
    matrix = columns * np.linalg.solve(columns, D65)
    scale = np.diag((BRADFORD @ D50) / (BRADFORD @ D65))
    adapted: NDArray[np.float64] = np.linalg.inv(BRADFORD) @ scale @ BRADFORD @ matrix
    return adapted


def fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def profile(name: str, gamma: float | None = None, grey: bool = False) -> bytes:
    """A profile of version 2, written by hand: of three primaries, or of grey, with the curve of sRGB or a gamma."""
    power = fixed(gamma) if gamma else b"".join(map(fixed, (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)))
    curve = b"para" + bytes(4) + struct.pack(">HH", 0 if gamma else 3, 0) + power
    text = f"{name}\0".encode()
    described = b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78)
    tags = {b"desc": described, b"wtpt": b"XYZ " + bytes(4) + b"".join(map(fixed, D50))}
    if grey:
        tags[b"kTRC"] = curve
    else:
        for place, colour in enumerate((b"r", b"g", b"b")):
            tags[colour + b"TRC"] = curve
            tags[colour + b"XYZ"] = b"XYZ " + bytes(4) + b"".join(map(fixed, to_d50(name)[:, place]))
    table, body, start = b"", b"", 128 + 4 + 12 * len(tags)
    for tag, content in tags.items():
        content += bytes(-len(content) % 4)
        table += tag + struct.pack(">II", start + len(body), len(content))
        body += content
    space = b"GRAY" if grey else b"RGB "
    head = struct.pack(">I", start + len(body)) + bytes(4) + b"\x04\x00\x00\x00mntr" + space + b"XYZ " + bytes(12)
    head += b"acsp" + bytes(28) + b"".join(map(fixed, D50)) + bytes(48)
    return head + struct.pack(">I", len(tags)) + table + body


def linear(values: NDArray[Any], gamma: float | None) -> NDArray[np.float64]:
    share = values / 255
    if gamma:
        return np.asarray(share**gamma)
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def srgb_of(values: NDArray[np.uint8], name: str, gamma: float | None) -> NDArray[np.float64]:
    """The colours in sRGB, 0 … 255, in float64."""
    matrix = np.linalg.inv(to_d50("sRGB")) @ to_d50(name)
    light = (linear(values, gamma) @ matrix.T).clip(0, 1)
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055) * 255


def card() -> NDArray[np.uint8]:
    """Colours from all over the cube."""
    return np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


@pytest.mark.parametrize(("name", "gamma"), [("Display P3", None), ("Adobe RGB", 563 / 256)])
@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_colours_are_those_of_the_matrices_to_one_level(name: str, gamma: float | None, form: str) -> None:
    found = pixels_of_content(encoded(Image.fromarray(card()), form, icc_profile=profile(name, gamma)))
    expected = srgb_of(card(), name, gamma)
    assert np.abs(expected - card()).max() > 40, "the profile matters"
    # near black, where sRGB is steep, littleCMS's arithmetic of 8 bits may be off by more
    off = np.abs(found - expected)
    assert np.quantile(off, 0.999) <= 1
    assert off.max() <= 2.5


def in_profile(name: str, **options: Any) -> bytes:
    """A JPEG that libvips has converted to a profile, which it embeds."""
    image = pyvips.Image.new_from_memory(card().tobytes(), 60, 40, 3, "uchar").copy(interpretation="srgb")
    content: bytes = image.icc_transform(name, input_profile="srgb").write_to_buffer(".jpg", Q=95, **options)
    return content


@pytest.mark.parametrize("name", ["p3", "cmyk"])
def test_colours_are_those_of_little_cms_itself(tmp_path: Path, name: str) -> None:
    content = in_profile(name)
    image = Image.open(io.BytesIO(content))
    embedded = io.BytesIO(image.info["icc_profile"])
    expected = ImageCms.profileToProfile(image, embedded, ImageCms.createProfile("sRGB"), outputMode="RGB")
    assert np.array_equal(pixels_of_content(content), np.asarray(expected))
    plain = np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)
    assert np.abs(plain - np.asarray(expected)).max() > 50, "the profile matters"
    square = read_square(Record("a", "", written(tmp_path, content)), 40, "crop")
    assert np.array_equal(square, np.asarray(expected)[:, 10:50])


@pytest.mark.parametrize("name", ["p3", "cmyk"])
def test_libvips_has_the_same_colours(name: str) -> None:
    content = in_profile(name)
    theirs = pyvips.Image.new_from_buffer(content, "").icc_transform("srgb", embedded=True, intent="perceptual")
    off = np.abs(pixels_of_content(content).astype(int) - np.asarray(theirs.numpy())[..., :3])
    assert np.quantile(off, 0.99) <= 1


def test_a_grey_profile_brightens_as_its_curve_says() -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint8), (4, 1))
    found = pixels_of_content(encoded(Image.fromarray(ramp), "PNG", icc_profile=profile("Grey", 2.2, grey=True)))
    share = (ramp[0] / 255) ** 2.2
    expected = np.where(share <= 0.0031308, share * 12.92, 1.055 * share ** (1 / 2.4) - 0.055) * 255
    assert np.abs(found[0, :, 0] - np.rint(expected)).max() <= 1
    assert np.array_equal(found[..., 0], found[..., 2])


def test_transparency_stays_and_palettes_are_converted() -> None:
    clear = Image.fromarray(np.dstack([card(), np.full((40, 60), 255, np.uint8)]))
    clear.paste((0, 0, 0, 0), (0, 0, 60, 5))
    p3 = profile("Display P3")
    found = pixels_of_content(encoded(clear, "PNG", icc_profile=p3))
    assert found[:5].max() == 0
    opaque = pixels_of_content(encoded(Image.fromarray(card()), "PNG", icc_profile=p3))
    assert np.array_equal(found[5:], opaque[5:])
    palette = Image.fromarray(card()).quantize(16)
    again = pixels_of_content(encoded(palette, "PNG", icc_profile=p3))
    assert np.array_equal(again, pixels_of_content(encoded(palette.convert("RGB"), "PNG", icc_profile=p3)))


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize("own", [SRGB, profile("sRGB")], ids=["littleCMS", "by hand"])
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_photo_in_srgb_keeps_its_exact_pixels(own: bytes, form: str) -> None:
    image = Image.fromarray(card())
    assert np.array_equal(
        pixels_of_content(encoded(image, form, icc_profile=own)), pixels_of_content(encoded(image, form))
    )


@pytest.mark.parametrize(
    ("broken", "remark"),
    [
        (b"nothing of the kind", BROKEN),
        (bytes(3000), BROKEN),
        (profile("Display P3")[:300], BROKEN),
        (profile("Grey", 2.2, grey=True), UNFIT),
    ],
    ids=["text", "zeros", "cut short", "of grey"],
)
def test_a_profile_that_cannot_be_used_is_ignored_with_a_word(tmp_path: Path, broken: bytes, remark: Remark) -> None:
    image, remarks = Image.fromarray(card()), []  # type: ignore[var-annotated]
    file = written(tmp_path, encoded(image, "PNG", icc_profile=broken))
    found = read_square(Record("a", "", file), 40, "crop", PLAIN, remarks)
    assert remarks == [remark]
    assert np.array_equal(found, card()[:, 10:50])
