"""Figures as axes: the lines that are drawn have the values of the run's files, and those of embeddings by hand."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from conftest import manifest, metrics
from oracles import squared_distances
from siamesekit import plot
from siamesekit.artifact.loading import load
from siamesekit.errors import UserError
from siamesekit.evaluation.embedding_map import in_square
from siamesekit.experiment.run_result import RunResult

INTERVAL = {"value": 0.5, "low": 0.25, "high": 0.75}
RELIABILITY = {
    "expected_calibration_error": 0.07,
    "bins": [
        {"similarity": 0.2, "same_share": INTERVAL},
        {"similarity": 0.9, "same_share": {**INTERVAL, "value": 0.7}},
    ],
}


@pytest.fixture
def ax() -> Axes:
    return Figure().subplots()


@pytest.fixture(autouse=True)
def no_window() -> Iterator[None]:
    """Figures of pyplot are drawn into memory, and closed."""
    import matplotlib.pyplot as plt

    before = matplotlib.get_backend()
    plt.switch_backend("agg")
    yield
    plt.close("all")
    plt.switch_backend(before)


def lines(panel: Axes) -> dict[str, list[tuple[float, float]]]:
    """The points of each line with a label."""
    named = [line for line in panel.lines if not str(line.get_label()).startswith("_")]
    return {str(line.get_label()): [tuple(point) for point in line.get_xydata().tolist()] for line in named}


def test_the_roc_curve_is_that_of_the_evaluation(finished: RunResult, ax: Axes) -> None:
    assert plot.roc(finished, ax) is ax
    drawn, roc = lines(ax), json.loads((finished.folder / "evaluation.json").read_text())["roc"]
    [curve] = [points for label, points in drawn.items() if label.startswith(f"AUC {roc['auc']['value']:.3f}")]
    assert curve == list(zip(roc["curve"]["false_accept_rate"], roc["curve"]["true_accept_rate"], strict=True))
    error = roc["equal_error_rate"]["value"]
    assert drawn[f"equal error rate {error:.1%}"] == [(error, 1 - error)]
    assert lines(plot.roc(finished.folder)) == lines(plot.roc(str(finished.folder))) == drawn


def test_the_match_curve_is_that_of_the_evaluation(finished: RunResult, ax: Axes) -> None:
    plot.cmc(finished, ax)
    curves = finished.evaluation["match_curve"]
    assert lines(ax) == {
        label: list(enumerate(curves[name], 1))
        for name, label in (("trained", "trained"), ("untrained", "untrained"), ("raw_pixels", "raw pixels"))
    }


def test_the_precision_at_k_has_the_figures_and_their_intervals(finished: RunResult, ax: Axes) -> None:
    plot.precision_at_k(finished, ax)
    networks = finished.evaluation["networks"]
    assert lines(ax)["trained"] == [(k, networks["trained"][f"precision_at_{k}"]["value"]) for k in (1, 5, 10)]
    bands = [set(map(tuple, band.get_paths()[0].vertices.tolist())) for band in ax.collections]
    for band, name in zip(bands, ("trained", "untrained", "raw_pixels"), strict=True):
        for k in (1, 5, 10):
            figure = networks[name][f"precision_at_{k}"]
            assert {(k, figure["low"]), (k, figure["high"])} <= band


def test_the_reliability_is_that_of_the_evaluation(finished: RunResult, ax: Axes) -> None:
    result = replace(finished, evaluation={**finished.evaluation, "reliability": RELIABILITY})
    plot.reliability(result, ax)
    assert lines(ax)["calibration error 0.070"] == [(0.2, 0.5), (0.9, 0.7)]
    with pytest.raises(UserError, match=r"^the run in .* has no similarity, so it has no reliability"):
        plot.reliability(replace(finished, evaluation={**finished.evaluation, "reliability": None}))


@pytest.mark.parametrize(
    ("what", "curves"),
    [
        ("loss", {"train": "train_loss", "test": "test_loss"}),
        ("accuracy", {"train": "train_accuracy", "test": "test_accuracy", "active": "active_triplets"}),
        ("distance", {"same individual": "d_ap_mean", "different": "d_an_mean"}),
    ],
)
def test_learning_curves_are_those_of_the_epochs(
    finished: RunResult, ax: Axes, what: Any, curves: dict[str, str]
) -> None:
    plot.learning_curve(finished, ax, what)
    epochs = metrics(finished.folder)
    assert lines(ax) == {label: [(line["epoch"], line[key]) for line in epochs] for label, key in curves.items()}


def embedded(finished: RunResult, project: Path) -> tuple[list[str], np.ndarray[Any, Any]]:
    """The test photos' individuals and embeddings, found anew."""
    parts = json.loads((finished.folder / "split.json").read_text())["parts"]
    individuals = sorted(parts["test"])
    files = [file for name in individuals for file in sorted((project / "photos" / name).glob("*.png"))]
    return [file.parent.name for file in files], load(finished.folder).embed(files).numpy()


def test_the_distances_of_pairs_are_those_of_the_test_photos(finished: RunResult, project: Path, ax: Axes) -> None:
    """All pairs by a plain loop: their shares in 40 bins."""
    threshold = {"threshold": 0.8, "slope": 2.0, "intercept": -1.6}
    result = replace(finished, evaluation={**finished.evaluation, "threshold": threshold})
    plot.pair_distances(result, ax)
    names, embeddings = embedded(finished, project)
    distances = squared_distances(embeddings.astype(np.float64))
    pairs = [(a, b) for a in range(len(names)) for b in range(a)]
    bars = [np.array([bar.get_height() for bar in each]) for each in ax.containers]
    edges = np.array([bar.get_x() for bar in ax.containers[0]] + [max(distances[a][b] for a, b in pairs)])
    for heights, same in zip(bars, (False, True), strict=True):
        own = [distances[a][b] for a, b in pairs if (names[a] == names[b]) == same]
        expected = np.histogram(own, edges)[0] / len(own)
        assert np.abs(heights - expected).sum() < 3 / len(own)  # the largest may fall on either side of an edge
        assert heights.sum() == pytest.approx(1)
    assert [text.get_text() for text in ax.get_legend().get_texts()][2:] == [
        "threshold 0.800",
        "similarity (right axis)",
    ]
    [similarity] = ax.figure.axes[1].lines
    x, y = similarity.get_data()
    assert np.interp(0.8, x, y) == pytest.approx(0.5, abs=1e-3)


def test_the_map_has_each_test_photo_in_the_plane_of_its_principal_components(
    finished: RunResult, project: Path, ax: Axes
) -> None:
    plot.embedding_map(finished, ax)
    names, embeddings = embedded(finished, project)
    centred = embeddings.astype(np.float64) - embeddings.mean(0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    plane = in_square(centred @ vectors[:, [-1, -2]])
    drawn = {str(dots.get_label()): np.asarray(dots.get_offsets()) for dots in ax.collections}
    assert {name: len(dots) for name, dots in drawn.items()} == {name: names.count(name) for name in names}
    places = np.concatenate([drawn[name] for name in dict.fromkeys(names)])
    for axis in range(2):  # a direction and its opposite are the same component
        straight, mirrored = plane[:, axis], 1 - plane[:, axis]
        assert min(np.abs(places[:, axis] - each).max() for each in (straight, mirrored)) < 1e-4


def test_what_cannot_be_drawn_is_refused_in_a_sentence(finished: RunResult, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"evaluation\.json is missing: name the folder of a finished run$"):
        plot.roc(tmp_path)
    with pytest.raises(UserError, match=r"has no complete epoch in metrics\.jsonl"):
        plot.learning_curve(tmp_path)
    with pytest.raises(UserError, match=r"^what must be one of loss, accuracy, distance, not 'los'$"):
        plot.learning_curve(finished, what="los")  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"^method must be one of PCA, t-SNE, UMAP, not 'pca'$"):
        plot.embedding_map(finished, method="pca")  # type: ignore[arg-type]
    for missing, draw in (("roc", plot.roc), ("match_curve", plot.cmc)):
        with pytest.raises(UserError, match=r"^the run in .* has no "):
            draw(replace(finished, evaluation={**finished.evaluation, missing: None}))
    assert manifest(finished.folder)["complete"]
