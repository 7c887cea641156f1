"""Pictures of shared points: dots and lines are where the points are, in photos of any size."""

from __future__ import annotations

import numpy as np
import pytest
from test_html import picture, report

from patterns import SIDE, turned, view
from siamesekit import Sift
from siamesekit.report.content import Example, Picture, Ranking
from siamesekit.report.html import render
from siamesekit.report.matched_points import DRAWN, GAP, color, side_by_side
from siamesekit.report.pictures import points_figure
from siamesekit.report.search import confused_individuals

POINTS = np.array([[0.25, 0.5, 0.75, 0.25], [0.5, 0.75, 0.25, 0.5]], np.float32)


def plain(width: int, height: int) -> np.ndarray:
    return np.full((height, width, 3), 40, np.uint8)


@pytest.mark.parametrize(
    ("first", "second", "height"),
    [((400, 300), (200, 500), 480), ((300, 600), (600, 600), 600), ((2800, 700), (100, 700), 350)],
)
def test_dots_are_on_the_points_and_lines_between_them(
    first: tuple[int, int], second: tuple[int, int], height: int
) -> None:
    """The middles of all pixels in a dot's colour, against the places by hand."""
    drawn = np.asarray(side_by_side(plain(*first), plain(*second), POINTS)).astype(int)
    left, right = round(first[0] * height / first[1]), round(second[0] * height / second[1])
    assert drawn.shape[:2] == (height, left + GAP + right)
    for number, (x, y, u, v) in enumerate(POINTS.tolist()):
        ends = np.array([[x * left, y * height], [left + GAP + u * right, v * height]])
        rows, columns = np.nonzero(np.abs(drawn - color(number)).max(-1) < 12)
        places = np.column_stack([columns, rows]) + 0.5
        apart = np.linalg.norm(places[:, None] - ends[None], axis=2)
        assert (apart.min(1) < 12).all()  # only dots have the full colour
        for end in (0, 1):
            np.testing.assert_allclose(places[apart[:, end] < 12].mean(0), ends[end], atol=1)
        middle = ends.mean(0).astype(int)
        near = drawn[middle[1] - 2 : middle[1] + 3, middle[0] - 2 : middle[0] + 3].reshape(-1, 3)
        assert np.abs(near - color(number)).max(1).min() < 80  # a line, half through


def test_of_many_points_as_many_are_drawn_as_can_be_told_apart() -> None:
    points = np.zeros((10 * DRAWN, 4), np.float32)
    points[:, 0] = points[:, 2] = np.linspace(0.1, 0.9, len(points))
    points[:, 1], points[:, 3] = 0.2, 0.8
    few, many = (side_by_side(plain(900, 300), plain(900, 300), each) for each in (points[:: len(points) - 1], points))
    assert few.size == many.size
    assert np.abs(np.asarray(many).astype(int) - np.asarray(few)).max() > 100
    assert side_by_side(plain(9, 3), plain(3, 9), np.empty((0, 4), np.float32)).size == (1398 + GAP + 155, 466)


def test_the_colours_of_neighbours_differ() -> None:
    colors = np.array([color(number) for number in range(DRAWN)])
    assert np.abs(np.diff(colors, axis=0)).max(1).min() > 60


def test_points_of_a_turned_skin_are_joined_by_lines_that_run_in_step() -> None:
    matrix = turned(20, 0.9)
    first, second = view(1, turned(0)), view(1, matrix)
    matcher = Sift(tolerance=0.01)
    found = matcher.match(matcher.describe(first), matcher.describe(second))
    points = np.hstack([(found.first + 0.5) / SIDE, (found.second + 0.5) / SIDE]).astype(np.float32)[:1]
    drawn = np.asarray(side_by_side(first, second, points)).astype(int)
    rows, columns = np.nonzero(np.abs(drawn - color(0)).max(-1) < 12)
    side = 2 * SIDE  # small photos are enlarged
    assert drawn.shape == (side, 2 * side + GAP, 3)
    start = np.array([columns[columns < side].mean(), rows[columns < side].mean()]) / 2
    end = np.array([columns[columns > side].mean() - side - GAP, rows[columns > side].mean()]) / 2
    assert np.linalg.norm(start @ matrix[:, :2].T + matrix[:, 2] - end) < 2


def photo(name: str, tone: int) -> Picture:
    return Picture(f"{name}/0.jpg", name, np.full((16, 16, 3), tone, np.uint8), np.full((30, 40, 3), tone, np.uint8))


@pytest.mark.slow
def test_the_report_draws_the_nearest_right_and_the_nearest_wrong_photo() -> None:
    found = tuple((photo(name, 50), 0.25 * n) for n, name in enumerate(("b", "a", "c", "a")))
    shared = tuple(np.zeros((count, 4), np.float32) for count in (3, 17, 2, 40))
    html = render(report(rankings=(Ranking(photo("a", 10), found, shared),)))
    section = html[html.index("Who is it?") : html.index("The hardest test triplets")]
    assert section.count("<figure class='points right'>") == section.count("<figure class='points wrong'>") == 1
    assert "<b>✓ 17 shared points</b>" in section and "<b>✗ 3 shared points</b>" in section
    assert "Below each row" in section
    without = render(report(rankings=(Ranking(photo("a", 10), found),)))
    assert "shared point" not in without and "Below each row" not in without


@pytest.mark.slow
def test_the_report_draws_confused_photos_and_says_why_there_are_none() -> None:
    confusion = {"individual": "a", "taken_for": "b", "count": 3, "queries": 10, "photo": "", "nearest": ""}
    data = report(confused=(Example(photo("a", 1), photo("b", 2), np.zeros((1, 4), np.float32)),))
    data = type(data)(**{**vars(data), "evaluation": {**data.evaluation, "confused": [confusion]}})
    assert "<b>1 shared point</b>" in confused_individuals(data)
    assert "Lines join the points" in confused_individuals(data)
    assert "no &lt;weights&gt;" in render(report(no_points="no <weights>"))


def test_without_points_or_photos_nothing_is_drawn() -> None:
    assert points_figure(photo("a", 1), photo("b", 2), None) == ""
    assert points_figure(photo("a", 1), picture("b", 2), POINTS) == ""
