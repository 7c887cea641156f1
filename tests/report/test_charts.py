"""The charts: valid SVG that shows the numbers it was given."""

import re
from typing import Any
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from numpy.typing import NDArray

from siamesekit.report.charts import comparison_chart, distance_chart, training_chart

SVG = "{http://www.w3.org/2000/svg}"
POINT = {"threshold": 0.4, "slope": 10.0, "intercept": -4.0}


def words(svg: str) -> list[str]:
    """The chart's texts; that it parses as XML is part of every test here."""
    root = ElementTree.fromstring(svg)
    assert root.tag == f"{SVG}svg"
    assert re.fullmatch(r"0 0 [\d.]+ [\d.]+", root.attrib["viewBox"])
    return ["".join(text.itertext()).strip() for text in root.iter(f"{SVG}text")]


def lines(svg: str, colour: str, dashed: bool = False) -> list[NDArray[np.float64]]:
    """The points of the lines drawn in a colour, y downwards."""
    found = []
    for path in ElementTree.fromstring(svg).iter(f"{SVG}path"):
        style = path.attrib.get("style", "")
        if f"stroke: {colour}" in style and "fill: none" in style and ("dasharray" in style) == dashed:
            points = re.findall(r"[ML] ([\d.-]+) ([\d.-]+)", path.attrib["d"])
            found.append(np.array(points, dtype=float))
    return found


def epoch(number: int, **values: Any) -> dict[str, Any]:
    keys = ("train_loss", "test_loss", "train_accuracy", "test_accuracy", "active_triplets", "d_ap_mean", "d_an_mean")
    return {"epoch": number, **dict.fromkeys(keys, 0.5), **values}


def networks(low: float | None = 0.1) -> dict[str, Any]:
    def interval(value: float) -> dict[str, float | None]:
        return {"value": value, "low": low, "high": None if low is None else 0.99}

    metrics = ("triplet_accuracy", "precision_at_1", "map_at_r")
    return {
        name: {metric: interval(0.2 + 0.1 * row + 0.01 * column) for column, metric in enumerate(metrics)}
        for row, name in enumerate(("trained", "untrained", "raw_pixels"))
    }


def test_every_figure_stands_in_the_comparison() -> None:
    shown = words(comparison_chart(networks()))
    for text in ("0.20", "0.21", "0.22", "0.30", "0.32", "0.40", "0.42", "trained", "untrained", "raw pixels", "MAP@R"):
        assert text in shown


def test_a_figure_without_interval_is_a_dot_without_a_line() -> None:
    with_interval, without = (comparison_chart(networks(low)).count("stroke-opacity: 0.45") for low in (0.1, None))
    assert (with_interval, without) == (9, 0)


def test_a_curve_goes_through_the_losses() -> None:
    losses = [1.0, 0.2, 0.6, 0.6, 0.3, 0.0]
    svg = training_chart([epoch(n, train_loss=loss) for n, loss in enumerate(losses, 1)])
    assert "train" in words(svg)
    curve = max(lines(svg, "#3b82c4"), key=lambda points: (len(points) == 6) * np.ptp(points[:, 1]))
    height = (curve[:, 1].max() - curve[:, 1]) / np.ptp(curve[:, 1])
    np.testing.assert_allclose(height, losses, atol=1e-3)
    np.testing.assert_allclose(np.diff(curve[:, 0]), np.diff(curve[:, 0])[0], atol=1e-3)


@pytest.mark.medium
@pytest.mark.parametrize(("count", "dots"), [(1, 3), (4, 12), (5, 0), (200, 0)])
def test_few_epochs_are_dots_as_well_and_many_a_line_alone(count: int, dots: int) -> None:
    svg = training_chart([epoch(n) for n in range(1, count + 1)])
    assert "Share of triplets" in words(svg)
    legend = 3 if dots else 0
    uses = [use.attrib.get("style", "") for use in ElementTree.fromstring(svg).iter(f"{SVG}use")]
    assert sum("fill: #3b82c4" in style for style in uses) == dots + legend


def test_a_value_that_is_not_there_leaves_a_gap() -> None:
    svg = training_chart([epoch(1), epoch(2, test_loss=None), epoch(3)])
    assert "nan" not in svg.lower().replace("nance", "")
    assert words(svg)


@pytest.mark.slow
@pytest.mark.parametrize(("shift", "threshold"), [(-1.0, -0.6), (-2.0, -1.6)], ids=["both signs", "all below 0"])
def test_distances_below_zero_are_drawn_too(shift: float, threshold: float) -> None:
    same, different = (np.linspace(*ends, 100).astype(np.float32) + shift for ends in ((0, 0.3), (0.5, 1.2)))
    svg = distance_chart(same, different, {"threshold": threshold, "slope": 10.0, "intercept": -10 * threshold})
    assert f"threshold {threshold:.3f}" in words(svg)
    dashed = max(lines(svg, "#8a8f98", dashed=True), key=lambda points: np.ptp(points[:, 1]))
    (similarity,) = [points for points in lines(svg, "#8a8f98") if len(points) > 20]
    left, right = similarity[:, 0].min(), similarity[:, 0].max()
    ends = shift, max(1.2 + shift, -0.8)
    assert (dashed[0, 0] - left) / (right - left) == pytest.approx(
        (threshold - ends[0]) / (ends[1] - ends[0]), abs=1e-3
    )
    bars = [path.attrib.get("style", "") for path in ElementTree.fromstring(svg).iter(f"{SVG}path")]
    assert sum("fill: #3b82c4" in style for style in bars) > 5


def test_the_distances_are_counted_and_the_threshold_stands_where_it_is() -> None:
    same, different = np.linspace(0, 0.3, 1500).astype(np.float32), np.array([0.5, 0.8], np.float32)
    svg = distance_chart(same, different, POINT)
    shown = words(svg)
    for text in ("same individual (1,500 pairs)", "different individuals (2 pairs)", "threshold 0.400"):
        assert text in shown
    dashed = max(lines(svg, "#8a8f98", dashed=True), key=lambda points: np.ptp(points[:, 1]))
    (similarity,) = [points for points in lines(svg, "#8a8f98") if len(points) > 20]
    left, right = similarity[:, 0].min(), similarity[:, 0].max()
    assert (dashed[0, 0] - left) / (right - left) == pytest.approx(0.4 / 0.8, abs=1e-3)
    middle = np.interp(dashed[0, 0], similarity[:, 0], similarity[:, 1])
    bottom, top = dashed[:, 1].max(), dashed[:, 1].min()
    assert (bottom - middle) / (bottom - top) * 1.02 == pytest.approx(0.5, abs=0.01)


def test_without_threshold_there_is_no_similarity_axis() -> None:
    shown = words(distance_chart(np.array([0.1], np.float32), np.array([0.9], np.float32), None))
    assert "distance" in shown
    assert not any("threshold" in text or "similarity" in text for text in shown)


@pytest.mark.parametrize(
    ("same", "different", "shown"),
    [([], [0.5], "different individuals (1 pairs)"), ([0.0], [], "same individual (1 pairs)"), ([], [], "distance")],
)
def test_pairs_that_are_not_there_are_left_out(same: list[float], different: list[float], shown: str) -> None:
    found = words(distance_chart(np.array(same, np.float32), np.array(different, np.float32), None))
    assert shown in found
    assert len([text for text in found if "pairs)" in text]) == bool(same) + bool(different)


def test_the_same_numbers_give_the_same_bytes_and_leave_no_style_behind() -> None:
    before = dict(matplotlib.rcParams)
    assert comparison_chart(networks()) == comparison_chart(networks())
    assert dict(matplotlib.rcParams) == before


@pytest.mark.medium
def test_the_score_by_which_epochs_are_chosen_is_drawn_where_there_is_one() -> None:
    scores = [0.1, 0.7, 0.4, 0.5, 0.2]
    svg = training_chart([epoch(n, validation_map_at_r=score) for n, score in enumerate(scores, 1)])
    assert {"validation MAP@R", "Share of triplets, MAP@R", "Mean loss"} <= set(words(svg))
    [curve] = [points for points in lines(svg, "#8a8f98", dashed=True) if len(points) == 5]
    height = (curve[:, 1].max() - curve[:, 1]) / np.ptp(curve[:, 1])
    np.testing.assert_allclose(height, (np.array(scores) - 0.1) / 0.6, atol=1e-3)
    without = words(training_chart([epoch(n) for n in range(1, 6)]))
    assert "Share of triplets" in without
    assert not any("validation" in text or "MAP@R" in text for text in without)


@pytest.mark.slow
def test_a_narrow_chart_says_the_same_below_each_other() -> None:
    epochs = [epoch(n, train_loss=1 / n) for n in range(1, 8)]
    same, different = np.linspace(0, 0.3, 30).astype(np.float32), np.linspace(0.2, 0.9, 30).astype(np.float32)
    for draw, shown in (
        (comparison_chart, (networks(),)),
        (training_chart, (epochs,)),
        (distance_chart, (same, different, POINT)),
    ):
        broad, narrow = draw(*shown), draw(*shown, narrow=True)  # type: ignore[operator]
        letters = [{word for word in words(svg) if re.search("[A-Za-z]", word)} for svg in (broad, narrow)]
        assert letters[0] == letters[1]
        sides = [
            [float(side) for side in ElementTree.fromstring(svg).attrib["viewBox"].split()[2:]]
            for svg in (broad, narrow)
        ]
        assert sides[0][0] > 2 * sides[0][1] or draw is distance_chart
        assert sides[1][0] < sides[1][1], "higher than wide"
        assert sides[1][0] < 280, "points: letters of 10 stay as large on a phone of 390 pixels"
