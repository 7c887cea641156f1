"""The audit of drawn flukes with planted copies: 40 exact ones, and 40 versions across the split."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from planted import audited, saved, versions

from siamesekit.audit.copies import NEAR_COPY, SAME_BYTES
from siamesekit.data.records import Record

FLUKES = Path(__file__).parents[2] / "examples" / "whales"
WHALES, PHOTOS, PLANTED = 20, 5, 40


@pytest.mark.slow
def test_copies_of_drawn_flukes_are_found_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(FLUKES))
    from flukes import draw_photo

    rng, records, parts = np.random.default_rng(0), [], {}
    exact, near = set(), set()

    def add(record: Record, part: str) -> str:
        records.append(record)
        parts[record.name] = part
        return record.name

    for number in range(WHALES * PHOTOS):
        whale, photo = divmod(number, PHOTOS)
        image = Image.fromarray(draw_photo(3, whale, photo, 0.5))
        name = add(saved(image, tmp_path, f"whale{whale}/{photo}.png"), "train")
        if number < PLANTED:
            copy = f"whale{whale}/{photo} (1).png"
            shutil.copy(tmp_path / name, tmp_path / copy)
            exact.add(frozenset((name, add(Record(copy, f"whale{whale}", tmp_path / copy), "test"))))
        elif number < 2 * PLANTED:
            version = list(versions(image, rng).values())[number % 4]
            copy = f"whale{whale}/{photo}_version.jpg"
            near.add(frozenset((name, add(saved(version, tmp_path, copy, quality=88), "test"))))
    found = audited(records, parts)
    relation = found.copies.relation
    for what, planted, how in (("exact", exact, SAME_BYTES), ("near", near, NEAR_COPY)):
        pairs = {pair for pair, relates in relation.items() if relates == how}
        recall, precision = len(pairs & planted) / len(planted), len(pairs & planted) / len(pairs)
        with capsys.disabled():
            print(f"\n{what} copies of flukes: recall {recall:.3f}, precision {precision:.3f}", file=sys.stderr)
        assert recall >= (1.0 if how == SAME_BYTES else 0.95) and precision >= (1.0 if how == SAME_BYTES else 0.95)
    assert found.counts()["copy_across_split"] == PLANTED
    sys.modules.pop("flukes")


@pytest.mark.slow
def test_the_drawn_photos_of_the_first_example_are_no_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `examples/whales/config.toml` draws them: individuals with 10 photos, all much alike; half of them here."""
    monkeypatch.syspath_prepend(str(FLUKES))
    from flukes import draw_photo

    records = [
        saved(Image.fromarray(draw_photo(5, whale, photo, 0.25)), tmp_path, f"whale{whale}/{photo}.png")
        for whale in range(25)
        for photo in range(10)
    ]
    assert audited(records).counts() == {}
    sys.modules.pop("flukes")
