"""All photos: in order, whatever the number of workers; in memory or in a file; bad ones reported together."""

import os
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from test_images import picture

from helpers import encoded, png, written
from siamesekit.data import loading
from siamesekit.data.images import decode
from siamesekit.data.loading import AHEAD, LOADED, load_images, load_usable, read_chunks
from siamesekit.data.photo_colours import Pixels
from siamesekit.data.photo_geometry import square
from siamesekit.data.records import Box, Record
from siamesekit.data.unusable import SHOWN_FINDINGS
from siamesekit.errors import DataError
from siamesekit.progress import Progress


def test_all_bad_photos_are_reported_together_and_in_order(tmp_path: Path) -> None:
    contents = {"a.jpg": b"", "b.png": encoded(picture(), "PNG"), "c.jpg": b"text", "d.png": png(20_000, 20_000)}
    records = [Record(name, "x", written(tmp_path, content, name)) for name, content in contents.items()]
    with pytest.raises(DataError) as caught:
        load_images(records, 8)
    lines = str(caught.value).splitlines()
    assert lines[0] == "3 of 4 photos cannot be used"
    assert lines[1] == "  a.jpg: is empty (0 bytes); copy it again or remove it"
    assert lines[2].startswith("  c.jpg: is not an image (")
    assert lines[3].startswith("  d.png: is too large: ")
    assert all("; " in line for line in lines[1:])
    assert len(lines) == 4


def test_a_long_list_of_bad_photos_is_cut_with_a_count(tmp_path: Path) -> None:
    records = [Record(f"{i}.jpg", "x", written(tmp_path, b"", f"{i}.jpg")) for i in range(SHOWN_FINDINGS + 7)]
    with pytest.raises(DataError) as caught:
        load_images(records, 8)
    lines = str(caught.value).splitlines()
    assert len(lines) == 1 + SHOWN_FINDINGS + 1
    assert lines[-1] == "  … and 7 more"


def test_loaded_images_are_the_squared_pixels_channels_first(tmp_path: Path) -> None:
    files = [written(tmp_path, encoded(picture(size, 20), "PNG"), f"{size}.png") for size in (10, 20, 30)]
    images = load_images([Record(file.name, "x", file) for file in files], 16)
    assert images.shape == (3, 3, 16, 16)
    for image, file in zip(images, files, strict=True):
        assert np.array_equal(image.permute(1, 2, 0), square(decode(file), 16, "squash"))


def test_warning_filters_are_left_alone_in_all_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`warnings.catch_warnings` is the process's: of two threads the one that leaves last restores the other's."""

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("the filters are the program's")

    for name in ("catch_warnings", "simplefilter", "filterwarnings", "resetwarnings"):
        monkeypatch.setattr(warnings, name, refused)
    file = written(tmp_path, encoded(picture(), "PNG"))
    assert len(load_images([Record(str(i), "x", file) for i in range(20)], 8)) == 20


class Counting(Progress):
    """Notes how many photos it has been shown."""

    def __init__(self) -> None:
        self.shown: list[int] = []

    def track(self, items, total, label, unit):  # type: ignore[no-untyped-def]
        assert (total, unit) == (len(items), "photos")
        for item in items:
            yield item
            self.shown.append(item)


def drawn(number: int) -> Record:
    """A photo that tells its number, and takes the longer to be drawn the earlier it comes."""

    def draw() -> Pixels:
        time.sleep(0.002 * (-number % 7))
        return np.full((5, 5, 3), number % 251, np.uint8)

    return Record(str(number), "x", draw)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2, 7])
@pytest.mark.parametrize("count", [0, 1, LOADED, LOADED + 1, 5 * LOADED + 3])
def test_photos_stay_in_order_with_any_number_of_workers(count: int, workers: int) -> None:
    progress = Counting()
    images = load_images([drawn(number) for number in range(count)], 8, progress=progress, workers=workers)
    assert images.shape == (count, 3, 8, 8)
    expected = (torch.arange(count) % 251).to(torch.uint8).view(-1, 1, 1, 1).expand(count, 3, 8, 8)
    assert torch.equal(images, expected)
    assert progress.shown == list(range(count))


@pytest.mark.parametrize(("count", "chunk"), [(1, 4), (4, 4), (9, 4), (50, 4)])
def test_chunks_are_the_photos_in_order(count: int, chunk: int) -> None:
    records = [drawn(number) for number in range(count)]
    chunks = list(read_chunks(records, 8, "squash", chunk, Progress()))
    assert [len(each) for each in chunks] == [min(chunk, count - start) for start in range(0, count, chunk)]
    assert all(each.is_contiguous(memory_format=torch.channels_last) for each in chunks)
    assert torch.equal(torch.cat(chunks), load_images(records, 8))


def test_chunks_are_read_ahead_but_not_far() -> None:
    drawn_so_far: list[int] = []

    def record(number: int) -> Record:
        def draw() -> Pixels:
            drawn_so_far.append(number)
            return np.zeros((8, 8, 3), np.uint8)

        return Record(str(number), "x", draw)

    chunks = read_chunks([record(number) for number in range(100)], 8, "squash", 5, Progress())
    next(chunks)
    deadline = time.monotonic() + 10
    while len(drawn_so_far) < 5 * (1 + AHEAD) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    assert sorted(drawn_so_far) == list(range(5 * (1 + AHEAD)))
    chunks.close()


def test_closing_ends_the_reading_and_its_threads() -> None:
    before = threading.active_count()
    chunks = read_chunks([drawn(number) for number in range(100)], 8, "squash", 5, Progress())
    next(chunks)
    assert threading.active_count() > before
    chunks.close()
    assert threading.active_count() == before


def test_after_a_bad_photo_no_chunk_is_given_but_all_bad_ones_are_told(tmp_path: Path) -> None:
    bad = [Record(name, "x", written(tmp_path, b"", name)) for name in ("a.jpg", "b.jpg")]
    records = [drawn(0), drawn(1), bad[0], drawn(3), drawn(4), drawn(5), bad[1]]
    given = []
    with pytest.raises(DataError, match=r"(?s)2 of 7 photos cannot be used.*a\.jpg.*b\.jpg"):
        given.extend(read_chunks(records, 8, "squash", 2, Progress()))
    assert len(given) == 1


@pytest.mark.medium
@pytest.mark.parametrize("budget", [2**30, 0])
def test_usable_photos_are_told_from_the_others(tmp_path: Path, budget: int) -> None:
    bad = {0, 5, LOADED - 1, LOADED, 2 * LOADED + 1}
    empty = written(tmp_path, b"", "empty.jpg")
    count = 2 * LOADED + 2
    records = [Record(f"bad {n}", "x", empty) if n in bad else drawn(n) for n in range(count)]
    progress = Counting()
    images, kept, findings = load_usable(records, 8, progress=progress, budget=budget, workers=3)
    assert kept == tuple(n for n in range(count) if n not in bad)
    assert torch.equal(images, load_images([drawn(n) for n in kept], 8))
    assert [(finding.name, finding.reason) for finding in findings] == [
        (f"bad {n}", "is empty (0 bytes)") for n in sorted(bad)
    ]
    assert progress.shown == list(range(count)), "bad ones count too"


def test_where_all_are_bad_none_is_usable(tmp_path: Path) -> None:
    images, kept, findings = load_usable([Record("x", "x", written(tmp_path, b"", "x"))] * 3, 8)
    assert (images.shape, kept, len(findings)) == ((0, 3, 8, 8), (), 3)


def test_a_name_with_a_newline_stays_on_its_line(tmp_path: Path) -> None:
    names = ["new\nline.jpg", "esc\x1b[2J.jpg", "🐋 ключ.jpg"]
    with pytest.raises(DataError) as caught:
        load_images([Record(name, "x", written(tmp_path, b"", name)) for name in names], 8)
    lines = str(caught.value).split("\n")
    assert [line.partition(": ")[0] for line in lines[1:]] == [
        r"  'new\nline.jpg'",
        r"  'esc\x1b[2J.jpg'",
        "  🐋 ключ.jpg",
    ]


def test_an_error_of_a_reader_s_function_is_told_with_its_place() -> None:
    def fail() -> Pixels:
        raise ZeroDivisionError

    with pytest.raises(DataError, match="1 of 2 photos cannot be used") as caught:
        load_images([drawn(0), Record("x", "x", fail)], 8)
    [told] = caught.value.details
    assert "its reader's function fails in" in told
    assert "ZeroDivisionError" in told


def test_past_the_budget_the_same_photos_are_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    records = [drawn(number) for number in range(2 * LOADED)]
    size = len(records) * 3 * 8 * 8
    held = load_images(records, 8, budget=size)
    assert not (tmp_path / "siamesekit").exists()
    assert torch.equal(load_images(records, 8, budget=size - 1), held)
    assert (tmp_path / "siamesekit").is_dir()
    assert list((tmp_path / "siamesekit").iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux shows a process's maps")
def test_the_map_is_there_as_long_as_the_tensor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def mapped() -> bool:
        return str(tmp_path) in Path("/proc/self/maps").read_text()

    images = load_images([drawn(7)], 8, budget=0)
    part = images[0]
    assert mapped()
    del images
    assert mapped()
    assert part.unique().tolist() == [7]
    del part
    assert not mapped()


def test_a_full_disk_is_an_error_before_anything_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    monkeypatch.setattr(loading, "read_square", lambda *_: pytest.fail("a photo was read"))
    with pytest.raises(
        DataError,
        match=r"photos in .*\(No space left on device\): they take 0.188 KiB, more than data\.memory_gib.*XDG_CACHE",
    ):
        load_images([drawn(1)], 8, budget=0)


def test_a_cache_folder_that_cannot_be_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(DataError, match="cannot store the photos in"):
        load_images([drawn(1)], 8, budget=0)


def test_a_box_outside_its_photo_is_a_finding_and_several_boxes_are_several_crops(tmp_path: Path) -> None:
    file = tmp_path / "two.png"
    pixels = np.random.default_rng(3).integers(0, 256, (16, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file)
    boxes = [Box(0, 0, 16, 16), Box(40, 0, 16, 16), Box(16, 0, 16, 16)]
    records = [Record(f"two.png#{number}", "ann", file, box=box) for number, box in enumerate(boxes, 1)]
    loaded = load_usable(records, 16)
    assert loaded.kept == (0, 2)
    assert [str(finding) for finding in loaded.findings] == [
        "two.png#2: its box (x 40, y 0, 16 × 16 pixels) lies outside the photo, which has 32 × 16 pixels; "
        "correct the box in the table"
    ]
    for image, left in zip(loaded.images, (0, 16), strict=True):
        np.testing.assert_array_equal(image.permute(1, 2, 0).numpy(), pixels[:, left : left + 16])
