"""Damaged photos of many formats: no picture is given that two other decoders agree is another one.

`python tests/data/test_photo_oracles.py FIRST LAST` prints the counts of any range of mutants.
"""

from __future__ import annotations

import io
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fuzzing import mutated, run_child
from helpers import encoded
from siamesekit.data.decoder_warnings import silence_decoders
from siamesekit.data.images import pixels_of_content
from siamesekit.data.photo_files import UnreadableError
from siamesekit.data.photo_reading import Reading

Decoder = Callable[[bytes], NDArray[np.uint8] | None]
SAME = 2.0
"""Mean difference of 255 up to which two pictures are the same one; decoders round differently."""
SMALL = Reading(max_megapixels=4)
"""Mutants that declare large pictures would take most of the time."""


def seeds() -> dict[str, bytes]:
    """Sound photos of 12 formats, some in several ways, without transparency and profiles."""
    import imagecodecs
    import pillow_heif
    import tifffile

    blotches = np.random.default_rng(0).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    image = Image.fromarray(blotches).resize((96, 80), Image.Resampling.BICUBIC)
    pixels, heic = np.asarray(image), io.BytesIO()
    deep = pixels.astype(np.uint16) * 257
    pillow_heif.from_pillow(image).save(heic, quality=90)

    def tiff(values: NDArray[Any], **options: Any) -> bytes:
        stream = io.BytesIO()
        tifffile.imwrite(stream, values, **options)
        return stream.getvalue()

    return {
        "JPEG": encoded(image, "JPEG", quality=90),
        "JPEG, progressive": encoded(image, "JPEG", progressive=True),
        "JPEG, grey": encoded(image.convert("L"), "JPEG", restart_marker_blocks=4),
        "PNG": encoded(image, "PNG"),
        "PNG, palette": encoded(image.quantize(60), "PNG"),
        "PNG, 16 bits": imagecodecs.png_encode(deep),
        "GIF": encoded(image, "GIF"),
        "BMP": encoded(image, "BMP"),
        "WebP": encoded(image, "WEBP", quality=90),
        "WebP, lossless": encoded(image, "WEBP", lossless=True),
        "TIFF": encoded(image, "TIFF"),
        "TIFF, LZW": encoded(image, "TIFF", compression="tiff_lzw"),
        "TIFF, JPEG": tiff(pixels, photometric="rgb", compression="jpeg"),
        "TIFF, 16 bits": tiff(deep, photometric="rgb", compression="zlib", predictor=True),
        "TIFF, planes": tiff(np.ascontiguousarray(deep.transpose(2, 0, 1)), photometric="rgb", planarconfig="separate"),
        "TIFF, white is zero": tiff(65_535 - deep[..., 0], photometric="miniswhite"),
        "BigTIFF": tiff(pixels, photometric="rgb", bigtiff=True, tile=(32, 32)),
        "AVIF": encoded(image, "AVIF", quality=90),
        "HEIC": heic.getvalue(),
        "JPEG 2000": encoded(image, "JPEG2000"),
        "PPM": encoded(image, "PPM"),
        "PGM": encoded(image.convert("L"), "PPM"),
    }


def by_libvips(content: bytes) -> NDArray[np.uint8] | None:
    import pyvips

    try:
        image = pyvips.Image.new_from_buffer(content, "", fail_on="none").autorot()
        if image.width * image.height > SMALL.max_megapixels * 10**6:
            return None
        image = image.colourspace("srgb") if image.bands >= 3 or image.format == "ushort" else image
        image = image.flatten() if image.hasalpha() else image
        values = np.asarray(image.numpy())
    except Exception:
        return None
    return _three(values)


def by_opencv(content: bytes) -> NDArray[np.uint8] | None:
    import cv2

    try:
        values = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except Exception:
        return None
    return None if values is None else _three(values[..., ::-1])


def by_others(content: bytes) -> NDArray[np.uint8] | None:
    """Formats that libvips does not read here, or not as the others do."""
    import imagecodecs

    decoders: dict[bytes, Callable[[bytes], Any]] = {
        b"BM": imagecodecs.bmp_decode,
        b"\0\0\0\x0cjP": imagecodecs.jpeg2k_decode,
        b"\xff\x4f\xff": imagecodecs.jpeg2k_decode,
        b"P5": netpbm,
        b"P6": netpbm,
    }
    decode = next((decode for start, decode in decoders.items() if content.startswith(start)), None)
    decode = imagecodecs.avif_decode if content[4:12] == b"ftypavif" else decode
    try:
        return None if decode is None else _three(np.asarray(decode(content)))
    except Exception:
        return None


def netpbm(content: bytes) -> NDArray[np.uint8]:
    """A binary Netpbm picture of 8 bits, as its manual page says."""
    found = re.match(rb"P([56])\s+(\d+)\s+(\d+)\s+(\d+)\s", content)
    assert found is not None
    kind, width, height, top = map(int, found.groups())
    assert 0 < top < 256
    size = width * height * (3 if kind == 6 else 1)
    values = np.frombuffer(content, np.uint8, size, found.end()).reshape(height, width, -1)
    return np.rint(values.clip(0, top) * (255 / top)).astype(np.uint8)


def _three(values: NDArray[Any]) -> NDArray[np.uint8] | None:
    if values.dtype == np.uint16:
        values = values >> 8
    if values.dtype != np.uint8:
        return None
    values = values.reshape(*values.shape[:2], -1)
    return np.repeat(values, 3, 2) if values.shape[2] == 1 else values[..., :3] if values.shape[2] >= 3 else None


def same(one: NDArray[np.uint8] | None, other: NDArray[np.uint8] | None) -> bool:
    if one is None or other is None or one.shape != other.shape:
        return False
    return float(np.abs(one.astype(np.int16) - other).mean()) <= SAME


def outcome(content: bytes) -> str:
    """What becomes of a file beside what two other decoders make of it."""
    try:
        ours = pixels_of_content(content, reading=SMALL)
    except UnreadableError:
        return "refused"
    first, second = by_others(content), by_opencv(content)
    first = by_libvips(content) if first is None else first
    if same(first, second):
        return "as both" if same(ours, first) or same(ours, second) else "WRONG"
    if first is None and second is None:
        return "alone"
    return "as one" if same(ours, first) or same(ours, second) else "disputed"


def fuzz(numbers: range) -> dict[str, Any]:
    """Counts of outcomes by format, and the mutants that are wrong."""
    silence_decoders()
    named = seeds()
    sound, names = list(named.values()), list(named)
    found: dict[str, Counter[str]] = {name: Counter() for name in names}
    wrong = []
    for number in numbers:
        name = names[number % len(sound)]
        result = outcome(mutated(sound, number))
        found[name][result] += 1
        if result == "WRONG":
            wrong.append(number)
    total = sum(found.values(), Counter())
    return {"total": total, "wrong": wrong, "formats": {name: dict(counts) for name, counts in found.items()}}


@pytest.mark.slow
def test_sound_photos_are_what_two_other_decoders_read() -> None:
    outcomes = {name: outcome(content) for name, content in seeds().items()}
    # neither libvips nor OpenCV has the codec of HEIC here
    assert {name for name, result in outcomes.items() if result != "as both"} == {"HEIC"}


@pytest.mark.slow
def test_600_damaged_photos_are_refused_or_what_others_agree_on() -> None:
    found, _ = run_child(__file__, 0, 600, timeout=280)
    assert found["wrong"] == []
    assert found["total"]["refused"] > 200
    assert found["total"]["as both"] > 60


@pytest.mark.huge
@pytest.mark.timeout(3000)
def test_20_000_damaged_photos_are_refused_or_what_others_agree_on() -> None:
    found, _ = run_child(__file__, 0, 20_000, timeout=2900)
    assert found["wrong"] == []


if __name__ == "__main__":
    os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")
    sys.path.insert(0, str(Path(__file__).parent.parent))
    print(json.dumps(fuzz(range(int(sys.argv[1]), int(sys.argv[2])))))
