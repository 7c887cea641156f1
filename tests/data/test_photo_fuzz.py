"""Thousands of damaged photos: each is decoded or refused, soon, in bounded memory, and nothing else is said."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fuzzing import mutated, run_child
from helpers import encoded
from peak_memory import peak_memory
from siamesekit.data.decoder_warnings import silence_decoders
from siamesekit.data.images import read_square
from siamesekit.data.photo_files import UnreadableError
from siamesekit.data.records import Record

SLOWEST = 10.0
"""Seconds that a photo may take, on a machine that has other work too."""
MEMORY = 3 * 2**30
"""Bytes that the process may take beyond what it has when it begins; two photos' worth of the largest."""


def seeds() -> list[bytes]:
    """Sound photos of every format, in the ways they are written."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 48, 3), dtype=np.uint8)
    image = Image.fromarray(pixels).resize((96, 80), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x011A], exif[0x0128] = 6, "Camera" * 9, 72.0, 2
    grey, clear, profile = image.convert("L"), image.convert("RGBA"), bytes(range(256)) * 20
    clear.putalpha(grey)
    palette = image.quantize(20)
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    frames = {"save_all": True, "append_images": [image.rotate(90), image.rotate(180)]}
    return [
        encoded(image, "JPEG", exif=exif, icc_profile=profile),
        encoded(image, "JPEG", progressive=True, comment=b"a comment"),
        encoded(grey, "JPEG", restart_marker_blocks=2),
        encoded(image.convert("CMYK"), "JPEG"),
        encoded(image, "PNG", exif=exif, icc_profile=profile),
        encoded(palette, "PNG", transparency=3),
        encoded(deep, "PNG"),
        encoded(clear, "PNG"),
        encoded(image.convert("1"), "PNG"),
        encoded(image, "PNG", **frames),
        encoded(palette, "GIF", transparency=2),
        encoded(image, "GIF", **frames),
        *(
            encoded(image, "TIFF", compression=kind, exif=exif)
            for kind in ("raw", "tiff_deflate", "tiff_lzw", "packbits", "jpeg")
        ),
        encoded(deep, "TIFF"),
        encoded(Image.fromarray(np.asarray(grey).astype(np.float32)), "TIFF"),
        encoded(image.convert("1"), "TIFF", compression="group4"),
        encoded(image, "WEBP", exif=exif.tobytes(), icc_profile=profile),
        encoded(clear, "WEBP", lossless=True),
        encoded(image, "WEBP", **frames),
        encoded(image, "BMP"),
        encoded(palette, "BMP"),
        encoded(clear, "BMP"),
    ]


def held() -> int:
    """Bytes of address space that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def fuzz(folder: Path, numbers: range) -> dict[str, object]:
    """Read damaged photos; what became of them."""
    limit = held() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    sound, file = seeds(), folder / "photo"
    found: dict[str, object] = {"decoded": 0, "refused": 0}
    wrong: list[str] = []
    slowest = (0.0, -1)
    reasons: dict[str, int] = {}
    before = peak_memory()
    for number in numbers:
        file.write_bytes(mutated(sound, number))
        start = time.perf_counter()
        try:
            pixels = read_square(Record("photo", "", file), 16, ("squash", "pad", "crop")[number % 3])  # type: ignore[arg-type]
            outcome = "decoded"
            if (pixels.shape, pixels.dtype) != ((16, 16, 3), np.uint8):
                wrong.append(f"{number}: {pixels.shape} {pixels.dtype}")
        except UnreadableError as error:
            outcome = "refused"
            reason = str(error.args[0]).partition(" (")[0].partition(":")[0]
            reasons[reason] = reasons.get(reason, 0) + 1
            if len(error.args) != 2 or not all(error.args):
                wrong.append(f"{number}: {error.args}")
        except Exception as error:
            outcome = "refused"
            wrong.append(f"{number}: {type(error).__name__}: {error}")
        found[outcome] += 1  # type: ignore[operator]
        slowest = max(slowest, (time.perf_counter() - start, number))
    peak = peak_memory() - before
    return found | {"wrong": wrong, "slowest": slowest, "peak": peak, "reasons": reasons}


def fuzzed(folder: Path, numbers: range) -> None:
    found, on_screen = run_child(__file__, folder, numbers.start, numbers.stop, timeout=280)
    assert on_screen == "", "something was written on the user's screen"
    assert found["wrong"] == []
    assert found["decoded"] + found["refused"] == len(numbers)
    assert min(found["decoded"], found["refused"]) > 0.1 * len(numbers), "it only tries one thing"
    assert found["slowest"][0] < SLOWEST
    assert found["peak"] < MEMORY


needs_linux = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is counted as Linux does")


@pytest.mark.slow
@needs_linux
def test_five_thousand_damaged_photos_are_decoded_or_refused(tmp_path: Path) -> None:
    fuzzed(tmp_path, range(5000))


@needs_linux
@pytest.mark.huge
@pytest.mark.timeout(600)
def test_twenty_three_thousand_more(tmp_path: Path) -> None:
    fuzzed(tmp_path, range(5000, 28_000))


def test_the_sound_photos_are_all_read(tmp_path: Path) -> None:
    """Else the damaged ones would show nothing."""
    for number, content in enumerate(seeds()):
        file = tmp_path / str(number)
        file.write_bytes(content)
        assert read_square(Record(str(number), "", file), 16, "squash").std() > 5


if __name__ == "__main__":
    silence_decoders()
    print(json.dumps(fuzz(Path(sys.argv[1]), range(int(sys.argv[2]), int(sys.argv[3])))))
