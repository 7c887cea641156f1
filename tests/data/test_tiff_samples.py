"""TIFFs of every layout: tifffile writes them, and knows what is in them."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import pyvips
import tifffile
from numpy.typing import NDArray

from siamesekit.data.images import pixels_of_content
from siamesekit.data.photo_files import UnreadableError
from siamesekit.data.photo_reading import Reading
from siamesekit.data.tiff_samples import layout_of, samples_of

HEIGHT, WIDTH = 50, 70
TYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float16", "float32", "float64")


def tiff(values: NDArray[Any], **options: Any) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, values, **options)
    return stream.getvalue()


def drawn(kind: str, samples: int) -> NDArray[Any]:
    """Values over the whole range of a type, `[height, width, samples]`, smooth enough for prediction."""
    rng = np.random.default_rng(0)
    if np.dtype(kind).kind == "f":
        return rng.normal(0, 100, (HEIGHT, WIDTH, samples)).astype(kind)
    bounds = np.iinfo(kind)
    return rng.integers(bounds.min, bounds.max, (HEIGHT, WIDTH, samples), kind, endpoint=True)


def read(content: bytes) -> NDArray[Any]:
    layout = layout_of(content)
    assert layout is not None
    return samples_of(content, layout, 100)


def stored(kind: str, samples: int, separate: bool, **options: Any) -> tuple[bytes, NDArray[Any]]:
    values = drawn(kind, samples)
    planes = values.transpose(2, 0, 1) if separate else values
    meaning = {"photometric": "rgb", "planarconfig": "separate" if separate else "contig"} if samples > 1 else {}
    content = tiff(np.ascontiguousarray(planes if samples > 1 else values[..., 0]), **meaning, **options)
    return content, values


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(("samples", "separate"), [(1, False), (3, False), (3, True), (4, False)])
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_type_and_order_is_read_as_it_was_written(kind: str, samples: int, separate: bool, order: str) -> None:
    content, values = stored(kind, samples, separate, byteorder=order)
    found = read(content)
    assert found.dtype == values.dtype
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize("kind", ["uint16", "int16", "uint32", "float32", "float64"])
@pytest.mark.parametrize(("samples", "separate"), [(1, False), (3, False), (3, True)])
@pytest.mark.parametrize(
    "options",
    [{"compression": "lzw"}, {"compression": "zlib", "predictor": True}, {"compression": "packbits"},
     {"compression": "zlib", "rowsperstrip": 7, "predictor": True}, {"tile": (16, 32)},
     {"tile": (16, 32), "compression": "zlib", "predictor": 2}, {"bigtiff": True, "compression": "lzma"},
     {"compression": "zstd", "byteorder": ">"}, {"compression": "lzw", "predictor": 2, "byteorder": ">"}],
    ids=["LZW", "Deflate with prediction", "PackBits", "strips", "tiles", "predicted tiles", "BigTIFF, LZMA",
         "Zstandard, big-endian", "LZW with prediction, big-endian"],
)  # fmt: skip
def test_every_compression_is_undone(kind: str, samples: int, separate: bool, options: dict[str, Any]) -> None:
    if options.get("predictor") == 2 and kind.startswith("float"):
        options = {**options, "predictor": 1}
    content, values = stored(kind, samples, separate, **options)
    np.testing.assert_array_equal(read(content), values)


@pytest.mark.parametrize("bits", [9, 10, 12, 14])
@pytest.mark.parametrize("samples", [1, 3])
def test_packed_bits_are_unpacked(bits: int, samples: int) -> None:
    values = np.random.default_rng(bits).integers(0, 2**bits, (HEIGHT, WIDTH, samples), dtype="uint16")
    words = values.reshape(HEIGHT, -1).astype(">u2")
    rows = [np.unpackbits(row.view("u1")).reshape(-1, 16)[:, 16 - bits :] for row in words]
    packed = b"".join(np.packbits(row.reshape(-1)).tobytes() for row in rows)
    # a TIFF of bytes, whose tags then say what the bytes are
    width = len(packed) // HEIGHT
    content = bytearray(tiff(np.frombuffer(packed, "u1").reshape(HEIGHT, width), rowsperstrip=HEIGHT))
    with tifffile.TiffFile(io.BytesIO(bytes(content))) as file:
        tags = file.pages[0].tags  # type: ignore[union-attr]
        places = {code: tags[code].valueoffset for code in (256, 258, 277)}
    for code, value in ((256, WIDTH), (258, bits), (277, samples)):
        content[places[code] : places[code] + 2] = value.to_bytes(2, "little")
    if samples == 3:
        content[tags[262].valueoffset] = 2
    np.testing.assert_array_equal(read(bytes(content)), values)


def levels(kind: str) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """A ramp over the whole range of a type, and its upper 8 bits."""
    ramp = np.tile(np.arange(256), (8, 1))
    return (ramp * 257).astype(kind) if kind == "uint16" else (ramp / 255).astype(kind), ramp.astype(np.uint8)


@pytest.mark.parametrize("kind", ["uint16", "float32"])
@pytest.mark.parametrize("white", [False, True])
def test_white_is_zero_is_turned_round(kind: str, white: bool) -> None:
    ramp, expected = levels(kind)
    values = (ramp.max() - ramp) if white else ramp
    content = tiff(values, photometric="miniswhite" if white else "minisblack")
    assert np.array_equal(pixels_of_content(content)[..., 0], expected)


@pytest.mark.parametrize("options", [{}, {"compression": "zlib", "predictor": True}, {"rowsperstrip": 9}])
def test_16_bit_planes_have_the_colours_that_libvips_reads(options: dict[str, Any]) -> None:
    planes = np.ascontiguousarray(drawn("uint16", 3).transpose(2, 0, 1))
    content = tiff(planes, photometric="rgb", planarconfig="separate", **options)
    theirs = pyvips.Image.new_from_buffer(content, "").numpy()
    assert np.array_equal(pixels_of_content(content), theirs >> 8)


def test_opacity_covers_black() -> None:
    colours = np.full((4, 4, 4), 40_000, np.uint16)
    colours[..., 3] = [0, 16_384, 32_768, 65_535]
    found = pixels_of_content(tiff(colours, photometric="rgb", extrasamples=["unassalpha"]))
    assert found[0, :, 0].tolist() == [0, 39, 78, 156]


def test_16_bit_cmyk_is_that_of_8_bits() -> None:
    eight = np.random.default_rng(0).integers(0, 256, (9, 9, 4), dtype=np.uint8)
    both = [tiff(values, photometric="separated") for values in (eight, eight.astype(np.uint16) * 257)]
    assert np.array_equal(pixels_of_content(both[0]), pixels_of_content(both[1]))


@pytest.mark.parametrize(
    ("values", "options", "says"),
    [
        (drawn("uint16", 6), {"photometric": "minisblack", "planarconfig": "contig"}, "6 samples of 16 bits, grey, un"),
        (drawn("uint8", 3), {"photometric": "rgb", "compression": "webp"}, "3 samples of 8 bits, RGB, WebP"),
        (drawn("uint8", 3), {"photometric": "rgb", "compression": "jpegxl"}, "3 samples of 8 bits, RGB, JPEG XL"),
        (drawn("uint16", 1)[..., 0], {"compression": "lerc"}, "1 sample of 16 bits, grey, LERC"),
        (drawn("uint16", 3), {"photometric": "rgb", "compression": "jpeg2000"}, "3 samples of 16 bits, RGB, JPEG 2000"),
    ],
    ids=["bands", "WebP", "JPEG XL", "LERC", "JPEG 2000"],
)
def test_what_is_not_read_is_named(values: NDArray[Any], options: dict[str, Any], says: str) -> None:
    with pytest.raises(UnreadableError, match=rf"is a TIFF of a kind that is not read \({says}"):
        pixels_of_content(tiff(values, **options))


def test_a_tiff_of_more_pixels_than_allowed_is_refused_before_it_is_read() -> None:
    content = tiff(np.zeros((1100, 1000), np.uint16))
    with pytest.raises(UnreadableError, match="the limit is 1 megapixels"):
        pixels_of_content(content, reading=Reading(max_megapixels=1))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["uint8", "uint16"])
def test_a_tiff_is_turned_upright(orientation: int, kind: str) -> None:
    stored = np.random.default_rng(0).integers(0, 256, (6, 9), dtype=np.uint8)
    values = stored if kind == "uint8" else stored.astype(np.uint16) * 257
    content = tiff(values, extratags=[(274, 3, 1, orientation, True)])
    theirs = pyvips.Image.new_from_buffer(tiff(stored), "").copy()
    theirs.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    assert np.array_equal(pixels_of_content(content)[..., 0], theirs.autorot().numpy())
