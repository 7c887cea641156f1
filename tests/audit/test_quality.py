"""Findings on single photos: each planted defect is found, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from planted import audited, blurred, saved, scene

from siamesekit.data.images import UnreadableError, decode


def grey_levels(image: Image.Image, levels: int) -> Image.Image:
    values = np.asarray(image.convert("L"), np.float64)
    return Image.fromarray((np.floor(values / 256 * levels) * 40).astype(np.uint8)).convert("RGB")


DEFECTS = {
    "one_colour": lambda image: Image.new("RGB", image.size, (90, 120, 60)),
    "few_grey_levels": lambda image: grey_levels(image, 5),
    "dark": lambda image: ImageEnhance.Brightness(image).enhance(0.1),
    "bright": lambda image: Image.fromarray(255 - np.asarray(ImageEnhance.Brightness(image).enhance(0.1))),
    "blurred": blurred,
    "tiny": lambda image: image.resize((40, 30)),
    "extreme_shape": lambda image: image.resize((600, 60)),
}


@pytest.mark.medium
@pytest.mark.parametrize("kind", DEFECTS)
def test_a_defect_is_found_among_sound_photos(kind: str, tmp_path: Path) -> None:
    records = [saved(scene(seed), tmp_path, f"w{seed % 4}/{seed}.png") for seed in range(24)]
    records += [saved(DEFECTS[kind](scene(99)), tmp_path, "w0/defect.png")]
    found = audited(records).findings
    assert kind in {each.kind for each in found}
    assert {each.file for each in found} == {"w0/defect.png"}
    [first] = [each for each in found if each.kind == kind]
    assert first.individual == "w0" and first.what and first.why and first.mend


def test_few_photos_have_no_blurred_one(tmp_path: Path) -> None:
    records = [saved(scene(seed), tmp_path, f"w{seed % 2}/{seed}.png") for seed in range(6)]
    records += [saved(blurred(scene(99)), tmp_path, "w0/b.png")]
    assert audited(records).findings == ()


def test_an_unreadable_photo_has_the_decoders_reason(tmp_path: Path) -> None:
    records = [saved(scene(seed), tmp_path, f"w/{seed}.jpg") for seed in range(2)]
    file = tmp_path / "w" / "1.jpg"
    file.write_bytes(file.read_bytes()[:-2000])
    [found] = [each for each in audited(records).findings if each.kind == "unreadable"]
    assert found.file == "w/1.jpg" and "premature end" in found.what
    with pytest.raises(UnreadableError) as refused:
        decode(file)
    assert found.severity == "serious" and (found.what, found.mend) == refused.value.args


def test_the_size_of_the_network_decides_what_is_tiny(tmp_path: Path) -> None:
    records = [saved(scene(seed, 60, 40), tmp_path, f"w/{seed}.png") for seed in range(2)]
    assert [each.kind for each in audited(records).findings] == ["tiny", "tiny"]
    assert audited(records, size=32).findings == ()
