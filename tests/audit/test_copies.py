"""Copies and near-copies: planted ones are found, other photos are not."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from planted import audited, saved, scene, versions

from siamesekit.audit.alignment import aligned_correlation, correlation
from siamesekit.audit.copies import NEAR_COPY, SAME_BYTES, SAME_PIXELS
from siamesekit.audit.near_copies import candidates
from siamesekit.data.records import Box, Record


@pytest.fixture
def photos(tmp_path: Path) -> list[Record]:
    return [saved(scene(seed), tmp_path, f"w{seed % 5}/{seed}.jpg") for seed in range(10)]


def copied(record: Record, name: str) -> Record:
    file = Path(str(record.source)).parents[1] / name
    file.parent.mkdir(exist_ok=True)
    shutil.copy(str(record.source), file)
    return Record(name, name.partition("/")[0], file)


def kinds(records: list[Record], parts: dict[str, str] | None = None) -> list[tuple[str, str, str]]:
    found = audited(records, parts).findings
    return [(each.kind, each.file, each.others[0]) for each in found if "copy" in each.kind]


def test_other_photos_are_no_copies(photos: list[Record]) -> None:
    assert audited(photos).copies.groups == ()


def test_a_copy_within_an_individual(photos: list[Record]) -> None:
    copy = copied(photos[0], "w0/0 (1).jpg")
    assert kinds([*photos, copy]) == [("exact_copy", "w0/0 (1).jpg", "w0/0.jpg")]


def test_a_copy_of_another_individual_is_told_for_both(photos: list[Record]) -> None:
    copy = copied(photos[0], "w1/0.jpg")
    assert kinds([*photos, copy]) == [
        ("copy_of_another_individual", "w0/0.jpg", "w1/0.jpg"),
        ("copy_of_another_individual", "w1/0.jpg", "w0/0.jpg"),
    ]


def test_of_a_copy_across_the_split_the_training_photo_is_the_original(photos: list[Record]) -> None:
    copy = copied(photos[0], "w0/z.jpg")
    parts = {"w0/0.jpg": "test", "w0/z.jpg": "train"}
    assert kinds([*photos, copy], parts) == [("copy_across_split", "w0/0.jpg", "w0/z.jpg")]


def test_the_same_pixels_in_another_file(photos: list[Record], tmp_path: Path) -> None:
    with Image.open(str(photos[3].source)) as image:
        pixels = image.convert("RGB")
    note = PngInfo()
    note.add_text("note", "saved again")
    same = saved(pixels, tmp_path, "w3/again.png", pnginfo=note)
    nearly = np.asarray(pixels).copy()
    nearly[5, 5, 0] ^= 1
    other = saved(Image.fromarray(nearly), tmp_path, "w3/nearly.png")
    found = audited([*photos, same, other]).copies
    assert found.relation[frozenset(("w3/3.jpg", "w3/again.png"))] == SAME_PIXELS
    assert found.relation[frozenset(("w3/again.png", "w3/nearly.png"))] == NEAR_COPY


def test_two_boxes_of_one_file_are_no_copies(photos: list[Record]) -> None:
    source = photos[0].source
    boxes = [Record(f"b{n}", f"b{n}", source, box=Box(n, 0, 100, 100)) for n in range(3)]
    same = Record("again", "b0", source, box=Box(0, 0, 100, 100))
    assert audited(boxes).copies.groups == ()
    assert audited([*boxes, same]).copies.groups == (("b0", "again"),)


@pytest.mark.parametrize("version", ["scaled", "compressed", "cropped", "brightened"])
def test_versions_of_a_photo_are_near_copies(photos: list[Record], version: str, tmp_path: Path) -> None:
    made = versions(scene(4), np.random.default_rng(4))[version]
    copy = saved(made, tmp_path, "w4/version.jpg", quality=88)
    parts = {"w4/4.jpg": "train", "w4/version.jpg": "test"}
    assert kinds([*photos, copy], parts) == [("near_copy_across_split", "w4/version.jpg", "w4/4.jpg")]


@pytest.mark.medium
def test_planted_copies_are_found_and_nothing_else(tmp_path: Path) -> None:
    """40 of each kind among 200 scenes: recall and precision of exact copies 1, of near-copies at least 0.95."""
    rng = np.random.default_rng(0)
    records = [saved(scene(seed), tmp_path, f"w{seed % 20}/{seed}.jpg") for seed in range(120)]
    exact, near = set(), set()
    for number in range(40):
        copy = copied(records[number], f"w{number % 20}/copy{number}.jpg")
        exact.add(frozenset((records[number].name, copy.name)))
        records.append(copy)
    for number in range(40, 80):
        made = list(versions(scene(number), rng).values())[number % 4]
        copy = saved(made, tmp_path, f"w{number % 20}/near{number}.jpg", quality=88)
        near.add(frozenset((records[number].name, copy.name)))
        records.append(copy)
    relation = audited(records).copies.relation
    found = {pair for pair, how in relation.items() if how == SAME_BYTES}
    assert found == exact
    alike = {pair for pair, how in relation.items() if how == NEAR_COPY}
    assert len(alike & near) >= 0.95 * len(near)
    assert len(alike & near) >= 0.95 * len(alike)


def test_an_alignment_finds_a_shift_and_a_stretching() -> None:
    picture = torch.from_numpy(np.asarray(scene(0, 64, 64).convert("L"), np.float32)) / 255
    wide = Image.fromarray((picture.numpy() * 255).astype(np.uint8))
    part = wide.crop((4, 2, 60, 58)).resize((32, 32), Image.Resampling.BOX)
    whole = wide.resize((32, 32), Image.Resampling.BOX)
    first, second = (torch.from_numpy(np.asarray(each, np.float32) / 255)[None] for each in (whole, part))
    assert correlation(first, second) < 0.9
    assert aligned_correlation(first, second, 0.99) > 0.97
    assert aligned_correlation(first, 0.2 + 0.5 * first, 0.99) > 0.999


def test_correlation_is_that_of_numpy() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.random((2, 5, 8, 8)).astype(np.float32)
    expected = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(first, second, strict=True)]
    np.testing.assert_allclose(correlation(torch.from_numpy(first), torch.from_numpy(second)), expected, atol=1e-5)


def test_candidates_are_those_of_a_plain_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("siamesekit.audit.near_copies.BLOCK", 7)
    bits = torch.from_numpy(np.random.default_rng(0).choice([-1.0, 1.0], (30, 16)).astype(np.float32))
    expected = {(a, b) for a in range(30) for b in range(a + 1, 30) if int((bits[a] != bits[b]).sum()) <= 5}
    assert {tuple(pair) for pair in candidates(bits, different=5).tolist()} == expected
    fewest = candidates(bits, different=5, most=10)
    kept = sorted(int((bits[a] != bits[b]).sum()) for a, b in fewest.tolist())
    assert kept == sorted(int((bits[a] != bits[b]).sum()) for a, b in expected)[:10]


def test_photos_smaller_than_a_thumbnail_are_no_near_copies(tmp_path: Path) -> None:
    """Scans of digits are often alike without being copies; equal bytes are copies at any size."""
    records = []
    for side in (24, 48):
        plain = scene(3, side, side)
        for place, picture in enumerate((plain, plain.point(lambda value: min(255, value + 2)))):
            records.append(saved(picture, tmp_path, f"w{side}/{place}.png"))
    pairs = {(each.file, *each.others) for each in audited(records).findings if "copy" in each.kind}
    assert pairs == {("w48/1.png", "w48/0.png")}
