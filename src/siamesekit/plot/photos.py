"""Figures of the test photos, which are read and embedded for them: distances of pairs, and the map."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from matplotlib.axes import Axes

from siamesekit.errors import UserError
from siamesekit.evaluation.embedding_map import FEWEST, PACKAGES, installed_methods, planar_map
from siamesekit.experiment.report_content import pair_distances as distances_of_pairs
from siamesekit.experiment.report_search import INSTALL, comparable, mapped_photos
from siamesekit.plot.axes import Run, axes_of, evaluation_of, folder_of
from siamesekit.plot.tested_photos import tested_photos
from siamesekit.randomness import generator
from siamesekit.report.charts import draw_distances

COLOURS, MARKERS = 10, "os^Dv<>pPX"
"""Number of colours and marks of individuals on the map."""


def pair_distances(run: Run, ax: Axes | None = None) -> Axes:
    """Draw histograms of the distances between test photos of the same and of different individuals.

    The test photos are read and embedded by the run's model; with a threshold, it and the similarity are drawn as well.

    Args:
        run: the run.
        ax: axes to draw on; None: those of a new figure.

    Raises:
        UserError: there is no such run, or its photos cannot be read.
    """
    threshold = evaluation_of(run)["threshold"]
    tested = tested_photos(folder_of(run))
    same, different = distances_of_pairs(tested.judged, tested.embeddings, tested.distance, tested.config.seed)
    panel = axes_of(ax)
    handles, labels = draw_distances(panel, same, different, threshold)
    panel.legend(handles, labels, frameon=False)
    return panel


def embedding_map(run: Run, ax: Axes | None = None, method: Literal["PCA", "t-SNE", "UMAP"] = "PCA") -> Axes:
    """Draw the test photos on a plane, a colour and mark for each individual. Of many photos, a sample is drawn.

    The test photos are read and embedded by the run's model. Distances on the map of PCA are never larger than those
    of the embeddings; on those of t-SNE and UMAP, distances between groups mean little.

    Args:
        run: the run.
        ax: axes to draw on; None: those of a new figure.
        method: `t-SNE` needs scikit-learn, `UMAP` umap-learn, and both 10 photos.

    Raises:
        UserError: there is no such run, its photos cannot be read, there are too few of them, or the method is not
            installed.
    """
    if method not in ("PCA", *PACKAGES):
        raise UserError(f"method must be one of {', '.join(('PCA', *PACKAGES))}, not {method!r}")
    if method not in installed_methods():
        raise UserError(f"{method} needs another package: {INSTALL[method]}")
    tested = tested_photos(folder_of(run))
    judged, seed = tested.judged, tested.config.seed
    chosen = mapped_photos(judged.labels[: judged.tested], generator(seed, "map"))
    fewest = 3 if method == "PCA" else FEWEST
    if len(chosen) < fewest or not bool(tested.embeddings.isfinite().all()):
        raise UserError(f"a map by {method} needs {fewest} test photos with finite embeddings; there are {len(chosen)}")
    embeddings = comparable(tested.embeddings[torch.from_numpy(chosen)], tested.config)
    places = planar_map(method, embeddings, seed).places
    individuals = np.array(judged.individuals, dtype=object)[chosen]
    panel = axes_of(ax)
    for number, name in enumerate(dict.fromkeys(individuals.tolist())):
        mark = MARKERS[number // COLOURS % len(MARKERS)]
        x, y = places[individuals == name].T
        panel.scatter(x, y, s=18, color=f"C{number % COLOURS}", marker=mark, label=name)
    panel.set(xticks=[], yticks=[], aspect="equal")
    panel.set_title(f"Test photos, {method}", size=10)
    if number < 2 * COLOURS:
        panel.legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    return panel
