"""Shared points of the photos that a report shows: each pair's own, and a matcher that fails costs nothing else."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from conftest import weights
from siamesekit import Config, RunResult, run
from siamesekit.components.matchers.matcher import Keypoints, PointMatches
from siamesekit.data.records import Record
from siamesekit.errors import MissingWeightsError
from siamesekit.experiment.report_points import with_shared_points
from siamesekit.report.content import Example, Picture, Ranking, ReportData

TONES = {"a/0.png": 3, "a/1.png": 5, "b/0.png": 7, "b/1.png": 9}


class Adding:
    """Photos of one tone share as many points as both tones together; the points say which photos they are of."""

    def describe(self, photo: Any) -> Keypoints:
        return Keypoints(np.full((1, 2), photo[0, 0, 0], np.float32), np.ones((1, 1), np.float32), (1, 1))

    def match(self, first: Keypoints, second: Keypoints) -> PointMatches:
        count = int(first.points[0, 0] + second.points[0, 0])
        return PointMatches(np.repeat(first.points, count, 0) - 0.5, np.repeat(second.points, count, 0) - 0.5)


class Failing(Adding):
    def match(self, first: Keypoints, second: Keypoints) -> PointMatches:
        raise RuntimeError("no skin")


def picture(name: str) -> Picture:
    return Picture(name, name[0], np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4, 3), np.uint8))


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The content with a matcher's points; the last photo is no file."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    records = []
    for name, tone in TONES.items():
        file = tmp_path / name.replace("/", "-")
        Image.new("RGB", (4, 4), (tone, tone, tone)).save(file)
        records.append(Record(name, name[0], file))
    last = np.full((4, 4, 3), TONES["b/1.png"], np.uint8)
    records[-1] = Record("b/1.png", "b", lambda: last)
    # the evaluation set has the photos in another order
    judged: Any = SimpleNamespace(names=[*reversed(TONES)], photos=torch.tensor([3, 2, 1, 0]))
    found = tuple((picture(name), 0.5) for name in ("a/1.png", "b/1.png"))
    content = ReportData(
        name="run",
        created="",
        version="",
        stand_ins=(),
        facts=(),
        epochs=(),
        kept_epoch=0,
        loss_by_class=False,
        findings=(),
        evaluation={},
        same=np.empty(0, np.float32),
        different=np.empty(0, np.float32),
        hardest=(),
        rankings=(Ranking(picture("a/0.png"), found), Ranking(picture("b/0.png"), found[:1])),
        confused=(Example(picture("b/1.png"), picture("a/0.png")),),
    )

    def shown(matcher: object) -> ReportData:
        setup: Any = SimpleNamespace(matcher=matcher, dataset=SimpleNamespace(records=records))
        return with_shared_points(content, setup, judged)

    return shown


def test_each_pair_has_its_own_points(shown: Any) -> None:
    content = shown(Adding())
    pairs = [(each.query, found, points) for each in content.rankings
             for (found, _), points in zip(each.found, each.shared, strict=True)]  # fmt: skip
    pairs += [(each.query, each.nearest, each.points) for each in content.confused]
    assert len(pairs) == 4
    for first, second, points in pairs:
        one, other = TONES[first.name], TONES[second.name]
        np.testing.assert_array_equal(points, np.tile([one, one, other, other], (one + other, 1)))
    assert content.no_points == ""


def test_without_a_matcher_the_content_stays(shown: Any) -> None:
    content = shown(None)
    assert all(each.shared == () for each in content.rankings) and content.confused[0].points is None


def test_a_matcher_that_fails_is_named_and_the_rest_of_the_report_stays(shown: Any) -> None:
    content = shown(Failing())
    assert (
        content.no_points.startswith("No shared points are drawn: the matcher failed (")
        and "no skin" in content.no_points
    )
    assert len(content.rankings) == 2 and content.confused[0].points is None


@pytest.mark.slow
def test_a_finished_run_can_draw_its_report_with_points(
    finished: RunResult, small_config: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table `[report]` may be added when a run continues; model and figures stay as they are."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = Path(shutil.copytree(finished.folder, tmp_path / "run"))
    before = weights(folder), json.loads((folder / "evaluation.json").read_text())
    assert "shared point" not in (folder / "report.html").read_text()
    config = small_config("save.pickle=network.pkl", "report.matcher=sift", "report.ratio=0.9")
    run(config, folder, resume=True, device="cpu", precision="fp32")
    page = (folder / "report.html").read_text()
    assert re.search(r"<b>[✓✗] \d+ shared points?</b>", page)
    assert "by Sift(" in page and "ratio=0.9" in page
    assert (weights(folder), json.loads((folder / "evaluation.json").read_text())) == before


def test_a_matcher_whose_weights_are_missing_is_refused_before_training(
    small_config: Callable[..., Config], tmp_path: Path
) -> None:
    pytest.importorskip("kornia")
    config = small_config("report.matcher=lightglue/disk", "report.weights=gone.pth")
    with pytest.raises(MissingWeightsError, match=r"no such weights file: .*gone\.pth"):
        run(config, tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()
