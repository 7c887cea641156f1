"""Wrong labels planted in drawn flukes: 40 photos under another individual's name, 20 individuals under two names."""

from __future__ import annotations

import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from siamesekit.audit.suspects import neighbours, suspect_findings
from siamesekit.data.records import Record
from siamesekit.registry import DISTANCES, PROJECTIONS

FLUKES = Path(__file__).parents[2] / "examples" / "whales"
SIDE, GREY, DIFFICULTY = 64, 24, 0.15
LEARNT, LEARNT_PHOTOS = 25, 4
"""Other whales, whose photos teach the projection."""
WHALES, PHOTOS, WRONG = 20, 8, 2
"""Whales of whose photos some are mislabelled."""
DOUBLED, HALF = 20, 3
"""Whales under two names, and the photos of each name."""


@pytest.fixture
def flukes(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(FLUKES))
    import flukes

    monkeypatch.setattr(flukes, "SIDE", SIDE)
    yield flukes
    sys.modules.pop("flukes")


@pytest.mark.slow
def test_planted_labels_of_flukes_are_found(flukes: Any, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    truth = np.concatenate([np.arange(WHALES).repeat(PHOTOS), np.arange(WHALES, WHALES + DOUBLED).repeat(2 * HALF)])
    labels, wrong = _planted(truth, rng)
    records = [Record(f"{photo}.png", f"w{label}", Path("x")) for photo, label in enumerate(labels)]
    found = suspect_findings(records, neighbours(_embedded(flukes, truth), labels, DISTANCES.build("cosine")))
    mislabelled = {each.file for each in found if each.kind == "mislabelled"}
    doubled = {each.individual for each in found if each.kind == "one_individual_two_names"}
    two_names = {f"w{WHALES + whale} | w{WHALES + DOUBLED + whale}" for whale in range(DOUBLED)}
    of_labels = _recall_precision(mislabelled, {f"{photo}.png" for photo in wrong})
    of_names = _recall_precision(doubled, two_names)
    with capsys.disabled():
        for what, (recall, precision) in (("mislabelled photos", of_labels), ("individuals of two names", of_names)):
            print(f"\n{what} of flukes: recall {recall:.3f}, precision {precision:.3f}", file=sys.stderr)
    assert of_labels[0] >= 0.8 and of_labels[1] >= 0.8
    assert of_names[0] >= 0.8 and of_names[1] >= 0.9


def _planted(truth: NDArray[np.int64], rng: np.random.Generator) -> tuple[NDArray[np.int64], set[int]]:
    """Labels with planted mistakes, and the photos that are mislabelled."""
    labels = truth.copy()
    wrong = [whale * PHOTOS + own for whale in range(WHALES) for own in rng.choice(PHOTOS, WRONG, replace=False)]
    labels[wrong] = (truth[wrong] + rng.integers(1, WHALES, len(wrong))) % WHALES
    for whale in range(DOUBLED):
        first = WHALES * PHOTOS + whale * 2 * HALF
        labels[first + rng.choice(2 * HALF, HALF, replace=False)] = WHALES + DOUBLED + whale
    return labels, set(map(int, wrong))


def _embedded(flukes: Any, truth: NDArray[np.int64]) -> Tensor:
    """Grey values of the photos in the space of a discriminant analysis that other whales taught: `[N, D]`."""
    learnt = np.arange(LEARNT).repeat(LEARNT_PHOTOS)
    project = PROJECTIONS.build("lda", {"dimensions": LEARNT - 1})(_grey(flukes, 9, learnt), torch.from_numpy(learnt))
    return torch.nn.functional.normalize(project(_grey(flukes, 4, truth)).float())


def _grey(flukes: Any, seed: int, whales: NDArray[np.int64]) -> Tensor:
    """Grey values `[N, GREY²]` of one photo after another of each whale."""
    photos = [flukes.draw_photo(seed, whale, photo, DIFFICULTY) for photo, whale in enumerate(whales.tolist())]
    small = [Image.fromarray(each).convert("L").resize((GREY, GREY), Image.Resampling.BOX) for each in photos]
    return torch.from_numpy(np.stack([np.asarray(each, np.float32).ravel() / 255 for each in small]))


def _recall_precision(found: Collection[str], planted: Collection[str]) -> tuple[float, float]:
    both = len(set(found) & set(planted))
    return both / len(planted), both / max(1, len(found))
