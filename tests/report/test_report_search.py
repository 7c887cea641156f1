"""Sections of the report on pairs, on the search and on the map: what the evaluation holds, escaped and bounded."""

import re
from dataclasses import replace
from html import escape
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from test_html import NASTY, POINT, Page, evaluation, picture, report

from siamesekit.evaluation.embedding_map import PlanarMap
from siamesekit.report.content import EmbeddingMap, Example, MapPhoto, ReportData
from siamesekit.report.embedding_map import map_section
from siamesekit.report.evaluation_charts import gallery_chart, group_chart, verdict_chart
from siamesekit.report.html import render
from siamesekit.report.search import confused_individuals, gallery_sizes, hub_photos
from siamesekit.report.verdicts import verdicts


def figure(value: float) -> dict[str, float | None]:
    return {"value": value, "low": value - 0.1, "high": value + 0.1}


ROC: dict[str, Any] = {
    "individuals": 12, "trained": False, "pairs": 900_000, "same_pairs": 2_000, "different_pairs": 48_000,
    "auc": figure(0.875), "equal_error_rate": figure(0.25),
    "at_threshold": {"false_accept_rate": 0.125, "true_accept_rate": 0.75},
    "curve": {"threshold": [None, 0.1, 0.9], "false_accept_rate": [0, 0.25, 1], "true_accept_rate": [0, 0.75, 1]},
}  # fmt: skip
RELIABILITY: dict[str, Any] = {
    "individuals": 12, "expected_calibration_error": 0.0625,
    "bins": [
        {"low": 0.1, "high": 0.2, "similarity": 0.15, "same_share": figure(0.3), "same_pairs": 7,
         "different_pairs": 1_234},
        {"low": 0.9, "high": 1.0, "similarity": 0.95, "same_share": {"value": 0.9, "low": None, "high": None},
         "same_pairs": 8, "different_pairs": 1},
    ],
}  # fmt: skip
SIZES: dict[str, Any] = {
    "queries": 1_500, "individuals": 50,
    "right": [{"individuals": size, **figure(value)} for size, value in ((2, 0.9), (10, 0.75), (50, 0.5))],
    "probability_of_new": [{"individuals": size, "known": figure(0.25), "new": figure(0.75)} for size in (2, 10, 49)],
}  # fmt: skip
CONFUSED = [
    {"individual": NASTY, "taken_for": "b", "count": 3, "queries": 10, "photo": "n/0", "nearest": "b/0"},
    {"individual": "b", "taken_for": NASTY, "count": 2, "queries": 8, "photo": "b/1", "nearest": "n/1"},
]
HUBS: dict[str, Any] = {
    "k": 10, "queries": 100, "gallery": 100, "skewness": 1.25, "mean": 10.0, "largest": 37, "never": 0.125,
    "photos": [{"photo": "n/0", "individual": NASTY, "misled": 4, "occurrences": 23}],
}  # fmt: skip


def photos(count: int, individuals: int, seed: int = 0) -> tuple[MapPhoto, ...]:
    """Photos of noise, which JPEG compresses least."""
    rng = np.random.default_rng(seed)
    return tuple(
        MapPhoto(f"{NASTY}/{n}.jpg", f"{NASTY}{n % individuals}", rng.integers(256, size=(64, 64, 3), dtype=np.uint8),
                 n % 4 == 0)
        for n in range(count)
    )  # fmt: skip


def planar(count: int, *methods: str) -> EmbeddingMap:
    rng = np.random.default_rng(1)
    maps = tuple(PlanarMap(m, rng.random((count, 2)), 0.5 if m == "PCA" else None) for m in methods)
    return EmbeddingMap(maps, photos(count, 5), 1_000, ("There is no UMAP: <none>.",))


def whole(**changes: Any) -> ReportData:
    more = {"roc": ROC, "reliability": RELIABILITY, "gallery_sizes": SIZES, "confused": CONFUSED, "hubs": HUBS}
    return replace(
        report(evaluation=evaluation(**(more | changes))),
        confused=(Example(picture(NASTY, 1), picture("b", 2)),),
        hubs=(picture(NASTY, 3),),
        embedding_map=planar(12, "PCA", "t-SNE"),
    )


def words(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub("<svg.*?</svg>|<[^>]*>", "", html, flags=re.DOTALL))


@pytest.mark.medium
def test_the_roc_curve_and_the_reliability_are_told() -> None:
    text = words(verdicts(evaluation(roc=ROC, reliability=RELIABILITY)))
    for shown in ("87.5% (77.5%–97.5%)", "25.0% (15.0%–35.0%)", "12.5% and 75.0% of these pairs", "0.062",
                  "a sample of 50,000 of the 900,000 pairs of photos of 12 individuals, which did not train",
                  "10% – 20%0.1500.300 (0.200–0.400)71,234"):  # fmt: skip
        assert shown in text
    assert "all of which trained" in verdicts(evaluation(roc=ROC | {"trained": True}, reliability=None))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"roc": None, "reliability": None}, "There is no ROC curve: it needs"),
        ({"roc": ROC, "reliability": None, "threshold": None}, "a model without a threshold has no similarity"),
        ({"roc": ROC, "reliability": None, "threshold": POINT}, "it needs four test individuals"),
    ],
)
def test_what_cannot_be_measured_is_said(changes: dict[str, Any], says: str) -> None:
    assert says in verdicts(evaluation(**changes))


def test_the_gallery_sizes_are_told() -> None:
    text = words(gallery_sizes({"gallery_sizes": SIZES}))
    for shown in ("Of 2 individuals", "90.0% (80.0%–100.0%)", "of all 50", "50.0% (40.0%–60.0%)", "1,500 queries"):
        assert shown in text
    assert "It was fitted to queries of other individuals" in text
    assert "it needs 13 individuals" in gallery_sizes({"gallery_sizes": SIZES | {"probability_of_new": None}})
    few = SIZES | {"individuals": 4, "right": SIZES["right"][:2]}
    assert "4 individuals are too few" in gallery_sizes({"gallery_sizes": few})
    assert "NaN or infinite" in gallery_sizes({"gallery_sizes": None})


def test_confused_individuals_are_shown_with_both_directions() -> None:
    page = confused_individuals(whole())
    assert page.count("<div class=pair>") == 1
    assert "3 of 10 photos of the first are taken for the second; the other way round, 2 of 8" in page
    assert f"<td>{escape(NASTY)}</td><td>b</td><td>3 of 10</td>" in page
    assert NASTY not in page
    assert "the right individual for each query" in confused_individuals(whole(confused=[]))
    assert confused_individuals(whole(confused=None)) == ""


def test_hubs_are_shown_with_their_numbers() -> None:
    text = words(hub_photos(whole()))
    for shown in ("10 nearest of 10.0 queries", "37 at most", "1.25", "12% of the photos", "Nearest of 4 queries",
                  "among the 10 nearest of 23"):  # fmt: skip
        assert shown in text
    assert "No photo is the nearest of two or more" in hub_photos(replace(whole(), hubs=()))
    assert "skewness" not in hub_photos(whole(hubs=HUBS | {"skewness": None}))


@pytest.mark.slow
def test_runs_of_earlier_versions_have_none_of_these_sections() -> None:
    old, new = render(report()), render(whole())
    for title in ("How many individuals?", "Confused individuals", "Hubs", "Map of the embeddings", "ROC curve"):
        assert title not in old
        assert title in new


def test_each_photo_of_the_map_has_a_place_on_each_map() -> None:
    made = planar(12, "PCA", "t-SNE")
    html = map_section(made)
    dots = re.findall(r"class='dot( hollow)?' tabindex=-1 style='--x0:(.*?);--y0:(.*?);--x1:(.*?);--y1:(.*?)'", html)
    order = [n for individual in range(5) for n in range(individual, 12, 5)]
    assert len(dots) == 12
    for (hollow, *values), n in zip(dots, order, strict=True):
        assert bool(hollow) == (n % 4 == 0)
        expected = [c for each in made.maps for c in (100 * each.places[n, 0], 100 * (1 - each.places[n, 1]))]
        np.testing.assert_allclose([float(value) for value in values], expected, atol=0.051)
    assert "12 of the 1,000 test photos (a random sample)" in html
    assert re.findall("id=map-([0-9])( checked)?>", html) == [("0", ""), ("1", " checked")]
    assert "it shows 50% of their variance" in html
    assert "There is no UMAP: &lt;none&gt;." in html
    assert "it needs three test photos" in map_section(None)


def test_a_full_map_of_photos_of_noise_is_bounded() -> None:
    assert len(map_section(planar(300, "PCA", "t-SNE", "UMAP")).encode()) < 2_000_000


def test_names_are_escaped_and_nothing_is_loaded() -> None:
    data = whole()
    html = confused_individuals(data) + hub_photos(data) + map_section(data.embedding_map)
    page = Page(html)
    # individual and name of 12 dots, 5 in the legend; 2 under photos and 2 in the table of the confusions; 2 of a hub
    assert page.text.count(NASTY) == 24 + 5 + 4 + 2
    assert "<script" not in html
    assert not {"script", "link", "iframe", "object", "embed", "form"} & {tag for tag, _ in page.tags}
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    sources = [said["src"] for tag, said in page.tags if tag == "img"]
    assert all(str(source).startswith("data:image/jpeg;base64,") for source in sources)


@pytest.mark.medium
@pytest.mark.parametrize("narrow", [False, True])
def test_charts_show_what_they_are_given(narrow: bool) -> None:
    alone = {"value": 0.5, "low": None, "high": None}
    groups = {
        "": {"precision_at_1": figure(0.5), "map_at_r": figure(0.25)},
        "a" * 40: {"precision_at_1": alone, "map_at_r": figure(0.5)},
    }
    for svg, shown in (
        (verdict_chart(ROC, RELIABILITY, narrow=narrow), ["AUC 0.875 (0.775–0.975)", "equal error rate 25.0%",
                                                          "threshold of the model", "calibration error 0.062"]),
        (gallery_chart(SIZES["right"], SIZES["probability_of_new"], narrow=narrow), ["2", "50", "individuals searched",
                                                                                     "individual in the gallery"]),
        (group_chart(groups, narrow=narrow), ["unknown", "a" * 23 + "…", "MAP@R"]),
    ):  # fmt: skip
        root = ElementTree.fromstring(svg)
        texts = {"".join(text.itertext()).strip() for text in root.iter("{http://www.w3.org/2000/svg}text")}
        assert set(shown) <= texts
    assert "threshold of the model" not in verdict_chart(ROC | {"at_threshold": None}, None, narrow=narrow)


def test_a_roc_curve_goes_through_its_points() -> None:
    root = ElementTree.fromstring(verdict_chart(ROC, None))
    lines = [
        np.array(re.findall(r"[ML] ([\d.-]+) ([\d.-]+)", path.attrib["d"]), dtype=float)
        for path in root.iter("{http://www.w3.org/2000/svg}path")
        if "stroke: #3b82c4" in path.attrib.get("style", "") and "fill: none" in path.attrib["style"]
    ]
    curve = max((line for line in lines if len(line) == 3), key=lambda line: np.ptp(line[:, 1]))  # not the legend's
    np.testing.assert_allclose((curve[:, 0] - curve[0, 0]) / np.ptp(curve[:, 0]), [0, 0.25, 1], atol=1e-3)
    np.testing.assert_allclose((curve[0, 1] - curve[:, 1]) / np.ptp(curve[:, 1]), [0, 0.75, 1], atol=1e-3)
