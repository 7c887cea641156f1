"""Nothing is lost, and nothing hangs: a folder of sound photos beside every odd thing that a folder may hold."""

from __future__ import annotations

import io
import json
import logging
import os
import socket
import struct
import subprocess
import sys
import threading
import time
import warnings
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile

import peak_memory
from helpers import chunk, encoded, png, written
from siamesekit.components.readers.folder import read_folder
from siamesekit.data.images import decode
from siamesekit.data.loading import load_usable
from siamesekit.data.records import Record
from siamesekit.data.unusable import UnusablePhotosError

GOOD = 200
SIDE = 16
MEMORY = 2 * 2**30
"""Bytes that a process may take for odd photos beyond what it has when it begins."""


def photo(seed: int = 0) -> Image.Image:
    small = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((48, 40), Image.Resampling.BICUBIC)


def tiff(tags: list[tuple[int, int, int, int | bytes]], pixels: bytes = b"") -> bytes:
    """A TIFF of these tags (number, type, count, value); its pixels come right after the directory at `-1`."""
    start = 8 + 2 + 12 * len(tags) + 4
    directory = struct.pack("<H", len(tags))
    for tag, kind, count, value in tags:
        if isinstance(value, bytes):
            directory += struct.pack("<HHI", tag, kind, count) + value.ljust(4, b"\0")
        else:
            directory += struct.pack("<HHII", tag, kind, count, start if value < 0 else value)
    return b"II*\0\x08\0\0\0" + directory + bytes(4) + pixels


def sixteen_bit_tiff(colour: tuple[int, int, int]) -> bytes:
    pixels = np.tile(np.array(colour, "<u2"), (8, 16, 1)).tobytes()
    after = 8 + 2 + 12 * 10 + 4
    tags: list[tuple[int, int, int, int | bytes]] = [
        (256, 3, 1, 16), (257, 3, 1, 8), (258, 3, 3, after), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, after + 6),
        (277, 3, 1, 3), (278, 3, 1, 8), (279, 4, 1, len(pixels)), (284, 3, 1, 1),
    ]  # fmt: skip
    return tiff(tags, struct.pack("<HHH", 16, 16, 16) + pixels)


def with_exif(exif: bytes) -> bytes:
    content = encoded(photo(), "JPEG")
    return content[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 8) + b"Exif\0\0" + exif + content[2:]


def many_scans(count: int, side: int = 1000) -> bytes:
    content = encoded(Image.new("RGB", (side, side), (90, 100, 110)), "JPEG", progressive=True)
    scan = content[content.rindex(b"\xff\xda") : -2]
    return content[:-2] + scan * count + content[-2:]


def rotated(form: str, orientation: int, **options: object) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(photo(), form, exif=exif, **options)


JPEG = encoded(photo(), "JPEG")
ROWS16 = (b"\0" + bytes.fromhex("ffff20ff10ff") * 16) * 8
FRAMES = {"save_all": True, "append_images": [photo(1), photo(2)]}
SOUND: dict[str, bytes] = {
    "animated.gif": encoded(photo(), "GIF", **FRAMES),
    "animated.webp": encoded(photo(), "WEBP", **FRAMES),
    "animated.png": encoded(photo(), "PNG", **FRAMES),
    "cmyk.jpg": encoded(photo().convert("CMYK"), "JPEG"),
    "grey-16.png": encoded(Image.new("I;16", (16, 8), 0x4DFF), "PNG"),
    "grey-16.tif": encoded(Image.new("I;16", (16, 8), 0x4DFF), "TIFF"),
    "rgb-16.png": png(16, 8, 16, 2, ROWS16),
    "rgb-16.tif": sixteen_bit_tiff((0xFFFF, 0x20FF, 0x10FF)),
    "palette.png": encoded(photo().quantize(9), "PNG", transparency=3),
    "la.png": encoded(photo().convert("LA"), "PNG"),
    "rgba.webp": encoded(photo().convert("RGBA"), "WEBP"),
    "two words.jpg": JPEG,
    "🐋.jpg": JPEG,
    "new\nline.jpg": JPEG,
    "not\udcffutf8.jpg": JPEG,
    "wrong suffix.png": JPEG,
    "strip.png": encoded(Image.new("RGB", (20_000, 2), "red"), "PNG"),
    "one pixel.png": encoded(Image.new("RGB", (1, 1), "red"), "PNG"),
    "broken exif.jpg": with_exif(b"II*\0\x08\0\0\0\xff\xff" + b"\x12\x01"),
    "exif of zeros.jpg": with_exif(bytes(40)),
    "exif beyond its end.jpg": with_exif(b"MM\0*\0\0\0\x08\0\1\1\x12\0\3" + b"\xff" * 8 + bytes(4)),
    "exif orientation of letters.jpg": with_exif(b"II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x03\0\0\0ab\0\0\0\0\0\0"),
    "no icc.jpg": encoded(photo(), "JPEG", icc_profile=b"nothing of the kind"),
    "huge icc.jpg": encoded(photo(), "JPEG", icc_profile=bytes(4_000_000)),
    "huge icc.png": encoded(photo(), "PNG", icc_profile=np.random.default_rng(0).bytes(4_000_000)),
    "huge exif.png": encoded(photo(), "PNG", exif=b"II*\0\x08\0\0\0\0\0\0\0\0\0" + bytes(4_000_000)),
    "huge text.png": png(16, 8, 16, 2, ROWS16, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(10**8)))),
    "damaged text.png": png(16, 8, 16, 2, ROWS16, chunk(b"tEXt", b"a\0b")[:-1] + b"?"),
    "short jfif.jpg": JPEG[:2] + b"\xff\xe0\0\6JFIF" + JPEG[20:],
    "short adobe.jpg": JPEG[:2] + b"\xff\xee\0\7Adobe" + JPEG[2:],
    "trailing.jpg": JPEG + np.random.default_rng(0).bytes(3_000_000),
    "ten scans.jpg": encoded(photo(), "JPEG", progressive=True),
    **{f"turned {n}.jpg": rotated("JPEG", n) for n in range(1, 9)},
    **{f"turned {n}.webp": rotated("WEBP", n) for n in range(1, 9)},
    **{f"turned {n}.tif": rotated("TIFF", n) for n in range(1, 9)},
}
"""Odd but sound."""
BROKEN: dict[str, tuple[bytes, str]] = {
    **{f"cut {n}.jpg": (JPEG[: len(JPEG) * n // 10], "cannot be decoded") for n in range(1, 7)},  # in its header
    **{f"cut {n}.jpg": (JPEG[: len(JPEG) * n // 10], "is damaged") for n in range(7, 10)},
    "cut 0.jpg": (JPEG[:2], "is not an image"),
    "empty.jpg": (b"", "is empty"),
    "zeros.jpg": (bytes(5000), "is not an image"),
    "text.jpg": (b"not a photo\n" * 99, "is not an image"),
    "html.jpg": (b"<!DOCTYPE html><html>404</html>", "is not a supported image"),
    "drawing.png": (b'<svg xmlns="http://www.w3.org/2000/svg"></svg>', "is not a supported image"),
    "paper.png": (b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", "is not a supported image"),
    "script.png": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "is not an image"),
    "netpbm.png": (b"P7\nWIDTH 48\n", "is not a supported image"),
    "icon.png": (encoded(photo(), "ICO"), "is not an image"),
    "flipped.png": (bytes(byte ^ 0x55 for byte in encoded(photo(), "PNG")), "is not an image"),
    "flipped inside.png": (encoded(photo(), "PNG")[:60] + b"\xaa" * 9 + encoded(photo(), "PNG")[69:], "is damaged"),
    "bomb.png": (png(20_000, 20_000), "is too large"),
    "largest bomb.png": (png(2**31 - 1, 2**31 - 1), "is too large"),
    "line.png": (png(90_000_000, 1), "is too large: 90000000 × 1"),
    "bomb.webp": (b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\x10\0\0\0\xfe\x3f\0\xfe\x3f\0", "is too large: 16383 × 16383"),
    "bomb.gif": (b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\x02\0;", "is too large"),
    "bomb.bmp": (b"BM" + struct.pack("<IHHIIiiHHIIiiII", 0, 0, 0, 54, 40, 60_000, 60_000, 1, 24, 0, 0, 0, 0, 0, 0),
                 "is too large"),
    "bomb.tif": (tiff([(256, 4, 1, 50_000), (257, 4, 1, 50_000), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1),
                       (273, 4, 1, -1), (277, 3, 1, 1), (278, 4, 1, 50_000), (279, 4, 1, 10)], bytes(10)),
                 "is too large"),
    "strips.tif": (tiff([(256, 3, 1, 8), (257, 3, 1, 8), (273, 4, 3_000_000, -1), (279, 4, 3_000_000, -1)],
                        bytes(12_000_000)), "has more than 400,000 strips"),
    "scans.jpg": (many_scans(5000), "has more than 100 scans"),
    "segments.jpg": (JPEG[:2] + b"\xff\xfe\0\2" * 100_000 + JPEG[2:], "has more than 10,000 segments"),
    "exif, again.jpg": (JPEG[:2] + b"\xff\xe1\0\x09Exif\0\0x" * 5000 + JPEG[2:], "has more than 100 blocks of EXIF"),
    "chunks.png": (png(8, 8, extra=chunk(b"teSt", b"") * 200_000), "has more than 150,000 chunks"),
    "comments.gif": (b"GIF89a\x08\0\x08\0\0\0\0" + b"!\xfe\1a\0" * 50_000 + b";", "has more than 20,000 comments"),
}  # fmt: skip
"""Files that are refused, and how the reason begins."""


def special(root: Path, outside: Path) -> dict[str, str]:
    """What is no file, or not in the folder: name and how the reason begins."""
    written(outside, JPEG, "elsewhere.jpg")
    os.mkfifo(root / "pipe.jpg")
    (root / "link out.jpg").symlink_to(outside / "elsewhere.jpg")
    (root / "loop.jpg").symlink_to(root / "loop.jpg")
    (root / "dangling.jpg").symlink_to(root / "nothing.jpg")
    (root / "device.jpg").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(root / "s.jpg"))
    return {
        "pipe.jpg": "is not a regular file",
        "loop.jpg": "cannot be opened (Too many",
        "dangling.jpg": "cannot be opened (No such file",
        "s.jpg": "is not a regular file",
    }


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A root with 200 plain photos, all odd ones beside them, and what is to be said of the bad ones."""
    root, outside = tmp_path_factory.mktemp("r"), tmp_path_factory.mktemp("outside")
    for name in ("plain", "odd"):
        (root / name).mkdir()
    for number in range(GOOD):
        written(root / "plain", encoded(photo(number), "JPEG"), f"{number}.jpg")
    for name, content in SOUND.items():
        written(root / "odd", content, name)
    (root / "odd" / "link in.jpg").symlink_to(root / "plain" / "1.jpg")
    bad = {name: reason for name, (content, reason) in BROKEN.items() if written(root / "odd", content, name)}
    bad |= special(root / "odd", outside)
    (root / "odd" / "folder.jpg").mkdir()
    written(root / "odd" / "folder.jpg", JPEG, "below.jpg")
    return root, {f"odd/{name}": reason for name, reason in bad.items()}


def records_of(root: Path) -> Sequence[Record]:
    """The records of a folder, without those of links that lead out of it."""
    with pytest.raises(UnusablePhotosError) as error:
        read_folder(root)
    assert {finding.name for finding in error.value.findings} == {"odd/link out.jpg", "odd/device.jpg"}
    return error.value.records


@pytest.mark.medium
@pytest.mark.timeout(60)
def test_exactly_the_sound_photos_are_loaded(mixed: tuple[Path, dict[str, str]]) -> None:
    root, bad = mixed
    records = records_of(root)
    images, kept, findings = load_usable(records, SIDE)
    found = {finding.name: finding.reason for finding in findings}
    assert {name: found.get(name, "")[: len(reason)] for name, reason in bad.items()} == bad
    assert {records[number].name for number in kept} == {record.name for record in records} - set(bad)
    assert len(kept) == GOOD + len(SOUND) + 2, "and the link inside, and the one below folder.jpg"
    assert all(finding.mend for finding in findings)
    for image, number in zip(images, kept, strict=True):
        source = records[number].source
        assert isinstance(source, Path)
        alone, _, _ = load_usable([records[number]], SIDE)
        assert (image == alone[0]).all(), source


def test_nothing_of_pillow_or_of_warnings_is_changed(mixed: tuple[Path, dict[str, str]]) -> None:
    def settings() -> list[object]:
        return [Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, ImageFile.MAXBLOCK, list(warnings.filters),
                list(logging.getLogger("PIL").handlers), sorted(Image.OPEN), sorted(Image.ID)]  # fmt: skip

    before = settings()
    load_usable(records_of(mixed[0]), SIDE)
    assert settings() == before


@pytest.mark.filterwarnings("error")
def test_who_makes_errors_of_warnings_reads_the_same_photos(mixed: tuple[Path, dict[str, str]]) -> None:
    """Pillow warns of much that does no harm: such a photo is read without what it warns of."""
    records = [record for record in records_of(mixed[0]) if record.name.startswith("odd/")]
    strict = load_usable(records, SIDE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lenient = load_usable(records, SIDE)
    assert strict.kept == lenient.kept
    assert torch.equal(strict.images, lenient.images)


def with_tags(content: bytes, *tags: tuple[int, int, int, bytes]) -> bytes:
    """A little-endian TIFF with more entries in a directory at its end: (number, type, count, value)."""
    (start,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, start)
    old = [content[start + 2 + 12 * n : start + 14 + 12 * n] for n in range(count)]
    new = sorted(old + [struct.pack("<HHI", *tag[:3]) + tag[3].ljust(4, b"\0") for tag in tags])
    new.sort(key=lambda entry: struct.unpack("<H", entry[:2]))
    place = len(content) + len(content) % 2
    directory = struct.pack("<H", len(new)) + b"".join(new) + bytes(4)
    return content[:4] + struct.pack("<I", place) + content[8:].ljust(place - 8, b"\0") + directory


WARNED_OF: dict[str, tuple[bytes, bytes]] = {
    "a TIFF's tag beyond the file": (
        with_tags(encoded(photo(), "TIFF"), (270, 2, 10**8, struct.pack("<I", 8))),
        encoded(photo(), "TIFF"),
    ),
    "a TIFF's tag beyond the file, turned": (
        with_tags(rotated("TIFF", 6), (270, 2, 10**8, struct.pack("<I", 8))),
        rotated("TIFF", 6),
    ),
    "a JPEG's EXIF with a tag beyond its end, turned": (
        with_exif(b"II*\0\x08\0\0\0\x02\0\x0e\x01\x02\0\x88\x13\0\0\xff\0\0\0\x12\x01\3\0\1\0\0\0\6\0\0\0\0\0\0\0"),
        rotated("JPEG", 6),
    ),
    "a PNG that begins to be an animation": (png(16, 8, 16, 2, ROWS16, chunk(b"acTL", bytes(8))), SOUND["rgb-16.png"]),
    "a JPEG that begins to be several": (JPEG[:2] + b"\xff\xe2\0\x0cMPF\0II*\0\xff\xff" + JPEG[2:], JPEG),
}
"""Photos of which Pillow warns, and what they look like."""


@pytest.mark.parametrize("name", WARNED_OF)
@pytest.mark.parametrize("action", ["error", "ignore"])
def test_a_photo_of_which_pillow_warns_is_read_as_it_is(tmp_path: Path, name: str, action: str) -> None:
    content, alike = WARNED_OF[name]
    expected = decode(written(tmp_path, alike, "plain"))
    with warnings.catch_warnings():
        warnings.simplefilter(action)  # type: ignore[arg-type]
        assert np.array_equal(decode(written(tmp_path, content, "warned of")), expected)


@pytest.mark.parametrize("name", WARNED_OF)
def test_pillow_does_warn_of_it(name: str) -> None:
    with pytest.warns(UserWarning), Image.open(io.BytesIO(WARNED_OF[name][0])) as image:
        image.getexif()


@pytest.mark.filterwarnings("error")
def test_a_photo_between_pillows_limit_and_ours_is_read_where_warnings_are_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    file = written(tmp_path, JPEG, "photo.jpg")
    with pytest.raises(Image.DecompressionBombWarning):
        Image.open(file)
    assert decode(file).shape == (40, 48, 3)


PEAK = Path(peak_memory.__file__).read_text()
IN_LITTLE_MEMORY = """
import json, resource, sys, time
from pathlib import Path
from siamesekit.data.loading import load_usable
from siamesekit.data.unusable import UnusablePhotosError
from siamesekit.components.readers.folder import read_folder
from siamesekit.data.decoder_warnings import silence_decoders

silence_decoders()
try:
    read_folder(Path(sys.argv[1]))
except UnusablePhotosError as error:
    records = error.records
load_usable(records[:1], 16)
held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + int(sys.argv[2]),) * 2)
before, start = peak_memory(), time.perf_counter()
images, kept, findings = load_usable(records, 16, workers=2)
peak = peak_memory() - before
print(json.dumps([len(kept), [finding.reason for finding in findings], peak, time.perf_counter() - start]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is counted as Linux does")
def test_all_of_it_is_read_in_little_memory_and_time(mixed: tuple[Path, dict[str, str]]) -> None:
    root, bad = mixed
    call = [sys.executable, "-c", PEAK + IN_LITTLE_MEMORY, str(root), str(MEMORY)]
    done = subprocess.run(call, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    kept, reasons, peak, seconds = json.loads(done.stdout)
    assert (kept, len(reasons)) == (GOOD + len(SOUND) + 2, len(bad))
    assert "does not fit into memory" not in reasons
    assert peak < 512 * 2**20, "a bomb went off"
    assert seconds < 60


@pytest.mark.parametrize("name", ["rgb-16.png", "rgb-16.tif"])
def test_sixteen_bit_colours_keep_their_upper_eight_bits(tmp_path: Path, name: str) -> None:
    pixels = decode(written(tmp_path, SOUND[name], name))
    assert (pixels == (0xFF, 0x20, 0x10)).all()
    assert pixels.shape == (8, 16, 3)


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_format_is_turned_upright(tmp_path: Path, form: str, orientation: int) -> None:
    """Against the eight turns written out: where the first row and column of what is stored belong (EXIF 2.3)."""
    turns: dict[int, Callable[[np.ndarray], np.ndarray]] = {
        1: lambda p: p,
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.transpose(1, 0, 2),
        6: lambda p: p.transpose(1, 0, 2)[:, ::-1],
        7: lambda p: p[::-1, ::-1].transpose(1, 0, 2),
        8: lambda p: p.transpose(1, 0, 2)[::-1],
    }
    options = {"TIFF": [{}, {"compression": "tiff_lzw"}], "WEBP": [{"lossless": True}]}.get(form, [{}])
    for option in options:
        stored = decode(written(tmp_path, encoded(photo(), form, **option), "stored"))
        found = decode(written(tmp_path, rotated(form, orientation, **option), "turned"))
        assert np.array_equal(found, turns[orientation](stored)), option


def test_a_broken_exif_leaves_the_photo_as_it_lies(tmp_path: Path) -> None:
    plain = decode(written(tmp_path, JPEG, "plain.jpg"))
    for name in [name for name in SOUND if "exif" in name and name.endswith(".jpg")]:
        assert np.array_equal(decode(written(tmp_path, SOUND[name], "odd.jpg")), plain), name


@pytest.mark.parametrize(
    "name", ["huge text.png", "damaged text.png", "huge icc.png", "short jfif.jpg", "short adobe.jpg"]
)
def test_damaged_or_huge_metadata_change_no_pixel(tmp_path: Path, name: str) -> None:
    alike = {
        "huge icc.png": encoded(photo(), "PNG"),
        "huge text.png": SOUND["rgb-16.png"],
        "damaged text.png": SOUND["rgb-16.png"],
    }.get(name, JPEG)
    found = decode(written(tmp_path, SOUND[name], "odd"))
    assert np.array_equal(found, decode(written(tmp_path, alike, "plain")))


@pytest.mark.parametrize("fit", ["squash", "pad", "crop"])
@pytest.mark.parametrize("size", [(20_000, 2), (2, 20_000), (1, 1), (65_535, 1)])
def test_a_photo_of_any_shape_fits(tmp_path: Path, fit: str, size: tuple[int, int]) -> None:
    file = written(tmp_path, encoded(Image.new("RGB", size, "red"), "PNG"), "strip.png")
    images, kept, _ = load_usable([Record("strip", "x", file)], SIDE, fit)  # type: ignore[arg-type]
    assert kept == (0,)
    assert images[0, 0].max() > 10, "some of it is seen"


def test_a_photo_that_goes_or_changes_after_the_scan_is_found_or_read_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for name in ("goes", "shrinks", "changes", "becomes a pipe", "stays"):
        written(tmp_path / "a", JPEG, f"{name}.jpg")
    records = read_folder(tmp_path)
    (tmp_path / "a/goes.jpg").unlink()
    (tmp_path / "a/shrinks.jpg").write_bytes(JPEG[:400])
    (tmp_path / "a/changes.jpg").write_bytes(encoded(photo(7), "PNG"))
    (tmp_path / "a/becomes a pipe.jpg").unlink()
    os.mkfifo(tmp_path / "a/becomes a pipe.jpg")
    _, kept, findings = load_usable(records, SIDE)
    assert [records[number].name for number in kept] == ["a/changes.jpg", "a/stays.jpg"]
    assert [(finding.name, finding.reason.partition(" (")[0]) for finding in findings] == [
        ("a/becomes a pipe.jpg", "is not a regular file"),
        ("a/goes.jpg", "cannot be opened"),
        ("a/shrinks.jpg", "cannot be decoded"),
    ]


@pytest.mark.medium
@pytest.mark.parametrize("form", ["BMP", "TIFF"])
def test_a_file_that_is_cut_while_it_is_read_does_no_harm(tmp_path: Path, form: str) -> None:
    """Pillow maps plain pixels into memory; of a file that is then shortened, the process would die of SIGBUS."""
    content = encoded(Image.new("RGBA" if form == "BMP" else "L", (600, 600)), form)
    file, stop = written(tmp_path, content, "photo"), threading.Event()

    def cut() -> None:
        while not stop.is_set():
            file.write_bytes(content[:1000])
            file.write_bytes(content)

    thread = threading.Thread(target=cut)
    thread.start()
    try:
        end = time.monotonic() + 0.7
        outcomes = set()
        while time.monotonic() < end:
            _, kept, _ = load_usable([Record("photo", "", file)], SIDE)
            outcomes.add(len(kept))
    finally:
        stop.set()
        thread.join()
    assert outcomes <= {0, 1}
    assert outcomes


@pytest.mark.skipif(os.geteuid() != 0 or not hasattr(os, "fork"), reason="only root can become someone else")
def test_a_photo_without_permission_is_told(tmp_path: Path) -> None:
    code = """
import os, sys
from pathlib import Path
from siamesekit.data.photo_files import UnreadableError, content_of

content_of(Path(sys.argv[2])).__enter__()
os.setgid(65534); os.setuid(65534)
try:
    content_of(Path(sys.argv[1])).__enter__()
except UnreadableError as error:
    print(error.args[0])
"""
    file = written(Path("/tmp"), JPEG, f"siamesekit-{os.getpid()}.jpg")
    # whoever it becomes may not write down what coverage measures
    unmeasured = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    try:
        file.chmod(0)
        done = subprocess.run([sys.executable, "-c", code, str(file), str(written(tmp_path, JPEG, "x.jpg"))],
                              capture_output=True, text=True, timeout=60, check=False, env=unmeasured)  # fmt: skip
    finally:
        file.unlink()
    assert (done.stdout, done.stderr) == ("cannot be opened (Permission denied)\n", "")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is counted as Linux does")
@pytest.mark.parametrize(
    ("mode", "side"),
    [
        ("LA", 3000),
        ("I;16", 3000),
        ("RGB", 3000),
        ("progressive", 3000),
        pytest.param("LA", 6000, id="LA, large enough to see what glibc keeps of each thread"),
    ],
)
def test_large_photos_take_turns_and_no_more_than_they_are_granted(tmp_path: Path, mode: str, side: int) -> None:
    """In a room for two of them, eight threads take what two of them do."""
    code = """
import sys
from pathlib import Path
from siamesekit.data import images
from siamesekit.data.loading import load_usable
from siamesekit.data.records import Record

load_usable([Record("small", "", Path(sys.argv[2]))], 16)
images.DECODING.size = int(sys.argv[3])
before = peak_memory()
_, kept, _ = load_usable([Record(str(n), "", Path(sys.argv[1])) for n in range(8)], 16, workers=8)
print(len(kept), peak_memory() - before)
"""
    options = {"progressive": True} if mode == "progressive" else {}
    image = Image.new("RGB" if options else mode, (side, side))
    large = written(tmp_path, encoded(image, "JPEG" if options else "PNG", **options), "large")
    room = 2 * side**2 * {"LA": 20, "I;16": 20, "RGB": 8, "progressive": 9}[mode]
    small = written(tmp_path, JPEG, "small")
    call = [sys.executable, "-c", PEAK + code, str(large), str(small), str(room)]
    done = subprocess.run(call, capture_output=True, text=True, timeout=120, check=False)
    kept, peak = map(int, done.stdout.split())
    assert kept == 8
    assert peak < room + 2**26
