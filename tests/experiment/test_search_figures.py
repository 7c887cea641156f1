"""What a run writes about pairs and the search: it agrees with its other figures, and the report shows it."""

import numpy as np
import pytest
import torch

from conftest import embeddings
from siamesekit.evaluation.intervals import Bootstrap
from siamesekit.experiment import report_search
from siamesekit.experiment.report_search import EACH, MAPPED, mapped_photos
from siamesekit.experiment.run_result import RunResult
from siamesekit.experiment.search_figures import _probability_of_new

BOOTSTRAP = Bootstrap(0.95, 50, 0)


def test_the_figures_of_a_run_agree_with_each_other(finished: RunResult) -> None:
    found = finished.evaluation
    precision = found["networks"]["trained"]["precision_at_1"]["value"]
    sizes = found["gallery_sizes"]
    assert [each["individuals"] for each in sizes["right"]] == [2, 4]
    assert sizes["right"][-1]["value"] == pytest.approx(precision, abs=1e-12)
    assert sizes["probability_of_new"] is None, "of four individuals"
    wrong = round(found["queries"] * (1 - precision))
    assert sum(each["count"] for each in found["confused"]) == wrong
    assert sum(each["misled"] for each in found["hubs"]["photos"]) == wrong
    assert found["hubs"]["mean"] == 10, "each of 16 queries has ten neighbours among the 16"
    assert (found["roc"]["same_pairs"], found["roc"]["different_pairs"]) == (24, 96)
    assert not found["roc"]["trained"]
    assert (found["reliability"] is None) == (found["threshold"] is None)


def test_the_report_of_a_run_shows_them(finished: RunResult) -> None:
    html = (finished.folder / "report.html").read_text()
    for shown in ("ROC curve", "Confused individuals", "Hubs", "The 16 test photos of 4 individuals"):
        assert shown in html
    assert html.count("<span class=card>") == 16
    assert "map-1" in html, "t-SNE, because scikit-learn is installed with the tests"
    assert len(html) < 3_000_000


@pytest.mark.medium
@pytest.mark.parametrize(("noise", "least"), [(0.05, 0.45), (20.0, -0.1)])
def test_new_individuals_are_likelier_to_be_called_new(noise: float, least: float) -> None:
    """By far if individuals are far apart, and not at all if photos are noise."""
    labels = np.repeat(np.arange(30), 4)
    points = embeddings(labels, noise)
    near = torch.cdist(points, points).fill_diagonal_(torch.inf).numpy().reshape(120, 30, 4).min(axis=2)
    found = _probability_of_new(near.astype(np.float64), labels, np.ones(120, bool), BOOTSTRAP)
    if noise > 1:
        assert found is None or all(abs(each["new"]["value"] - each["known"]["value"]) < 0.1 for each in found)
        return
    assert found is not None
    assert [each["individuals"] for each in found] == [2, 5, 10, 20, 29]
    for each in found:
        assert each["new"]["value"] - each["known"]["value"] > least
        assert each["new"]["low"] <= each["new"]["value"] <= each["new"]["high"]
    assert _probability_of_new(near.astype(np.float64), labels, labels < 12, BOOTSTRAP) is None


def test_of_many_photos_whole_individuals_are_on_the_map() -> None:
    labels = np.repeat(np.arange(100), 10)
    chosen = mapped_photos(labels, np.random.default_rng(0))
    assert len(chosen) == MAPPED
    assert set(np.unique(labels[chosen], return_counts=True)[1]) == {10}
    few = mapped_photos(np.repeat([4, 7], 400), np.random.default_rng(0))
    assert len(few) == 2 * EACH
    assert mapped_photos(labels[:250], np.random.default_rng(0)).tolist() == list(range(250))


def test_a_map_that_fails_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    real = report_search.planar_map

    def broken(method: str, points: torch.Tensor, seed: int) -> object:
        if method == "t-SNE":
            raise ImportError("no such symbol")
        return real(method, points, seed)

    monkeypatch.setattr(report_search, "planar_map", broken)
    monkeypatch.setattr(report_search, "installed_methods", lambda: ["PCA", "t-SNE"])
    maps, missing = report_search._maps(embeddings(np.repeat(np.arange(4), 4)), 0)
    assert [each.method for each in maps] == ["PCA"]
    assert len(missing) == 2
    assert "There is no t-SNE: its package failed" in missing[0] and "no such symbol" in missing[0]
    assert missing[1] == "There is no UMAP: it needs another package (pip install umap-learn)."
    few = report_search._maps(embeddings(np.repeat(np.arange(3), 2)), 0)[1]
    assert few[0] == "There is no t-SNE: it needs 10 photos."
