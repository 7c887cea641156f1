"""Figures of the search, for evaluation.json and the report: confused individuals, hubs, and the gallery's size."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from siamesekit.components.distances.distance import Distance
from siamesekit.evaluation.gallery_size import individual_distances, right_by_size, sizes_up_to
from siamesekit.evaluation.intervals import Bootstrap, Floats
from siamesekit.evaluation.mistakes import Neighbourhoods, confusions, hubs, neighbourhoods, skewness
from siamesekit.experiment.evaluation_set import EvaluationSet
from siamesekit.gallery.identification import FEWEST, Trials, fit, trials
from siamesekit.randomness import generator

MOST_COMPARISONS = 20_000_000
"""Most pairs of a query and a gallery photo; beyond them, a random sample of the queries is searched."""
LISTED_CONFUSIONS, LISTED_HUBS = 50, 20
"""Most entries of the lists."""
FOLDS = 5
"""Parts of the individuals: the probability that one is new is fitted to those of the other parts."""
MOST_TRIALS, LARGEST = 500, 2000
"""Most queries by which that probability is fitted and judged, and most individuals that are searched for them."""


def search_figures(
    judged: EvaluationSet, embeddings: Tensor, distance: Distance, bootstrap: Bootstrap
) -> dict[str, Any]:
    """The entries `confused`, `hubs` and `gallery_sizes`; None if embeddings are NaN or infinite.

    Args:
        judged: the photos that judge the network, and who is searched among whom.
        embeddings: embeddings `[N, D]` of these photos.
        distance: distance of the network.
        bootstrap: how intervals are computed.
    """
    if not bool(embeddings.isfinite().all()):
        return {"confused": None, "hubs": None, "gallery_sizes": None}
    rows = np.flatnonzero(judged.answerable)
    most = max(1, MOST_COMPARISONS // len(judged.protocol.gallery))
    if len(rows) > most:
        rows = np.sort(generator(bootstrap.seed, "searched queries").permutation(rows)[:most])
    asked = torch.from_numpy(rows)
    found = neighbourhoods(embeddings, judged.protocol, asked, distance)
    distances, individuals = individual_distances(embeddings, judged.labels, judged.protocol, asked, distance)
    own = np.searchsorted(individuals, judged.labels[rows])
    return {
        "confused": _confused(judged, found),
        "hubs": _hubs(judged, found),
        "gallery_sizes": {
            "queries": len(rows),
            "individuals": len(individuals),
            "right": _right(distances, own, bootstrap),
            "probability_of_new": _probability_of_new(distances, own, judged.unseen[rows], bootstrap),
        },
    }


def _confused(judged: EvaluationSet, found: Neighbourhoods) -> list[dict[str, Any]]:
    return [
        {
            "individual": judged.individuals[each.query],
            "taken_for": judged.individuals[each.found],
            "count": each.count,
            "queries": each.queries,
            "photo": judged.names[each.query],
            "nearest": judged.names[each.found],
        }
        for each in confusions(found, judged.labels)[:LISTED_CONFUSIONS]
    ]


def _hubs(judged: EvaluationSet, found: Neighbourhoods) -> dict[str, Any]:
    occurrences = found.occurrences
    return {
        "k": found.photo.shape[1],
        "queries": len(found.query),
        "gallery": len(found.gallery),
        "skewness": skewness(occurrences),
        "mean": float(occurrences.mean()),
        "largest": int(occurrences.max()),
        "never": float((occurrences == 0).mean()),
        "photos": [
            {
                "photo": judged.names[hub.photo],
                "individual": judged.individuals[hub.photo],
                "misled": hub.misled,
                "occurrences": hub.occurrences,
            }
            for hub in hubs(found, judged.labels)[:LISTED_HUBS]
        ],
    }


def _right(distances: Floats, own: NDArray[np.int64], bootstrap: Bootstrap) -> list[dict[str, Any]]:
    sizes = sizes_up_to(distances.shape[1])
    return [
        {"individuals": size, **bootstrap.mean(values, own)._asdict()}
        for size, values in zip(sizes, right_by_size(distances, own, sizes), strict=True)
        if not np.isnan(values).all()
    ]


def _probability_of_new(
    distances: Floats, own: NDArray[np.int64], unseen: NDArray[np.bool_], bootstrap: Bootstrap
) -> list[dict[str, Any]] | None:
    """Mean probability that the individual is new, for queries whose individual is in the gallery or left out.

    It is fitted to queries of other individuals (`gallery.identification`), none of which trained the network.

    Returns:
        None if there are too few individuals that did not train, or if it cannot be fitted.
    """
    rng = generator(bootstrap.seed, "gallery sizes")
    rows = np.sort(rng.permutation(np.flatnonzero(unseen))[:MOST_TRIALS])
    individuals = rng.permutation(np.unique(own[rows]))
    if len(individuals) * (FOLDS - 1) < FEWEST * FOLDS:
        return None
    others = np.setdiff1d(np.arange(distances.shape[1]), individuals)
    searched = np.sort(np.concatenate([individuals, rng.permutation(others)[: max(0, LARGEST - len(individuals))]]))
    sizes = sizes_up_to(len(searched) - 1)
    tried = trials(distances[rows][:, searched], np.searchsorted(searched, own[rows]), rng, sizes)
    individuals = np.searchsorted(searched, individuals)
    chance = np.full(len(tried.own), np.nan)
    for part in np.array_split(individuals, FOLDS):
        inside = np.isin(tried.individual, part)
        fitted = fit(_among(tried, ~inside))
        if fitted is not None:
            chance[inside] = fitted.probabilities(tried.distances[inside], tried.size[inside])[1]
    found = []
    for size in np.unique(tried.size):
        kinds = {"known": ~tried.new & (tried.size == size), "new": tried.new & (tried.size == size)}
        if any(np.isnan(chance[kind]).all() for kind in kinds.values()):
            continue
        means = {name: bootstrap.mean(chance[kind], tried.individual[kind]) for name, kind in kinds.items()}
        found.append({"individuals": int(size), **{name: mean._asdict() for name, mean in means.items()}})
    return found or None


def _among(tried: Trials, kept: NDArray[np.bool_]) -> Trials:
    return Trials(tried.distances[kept], tried.own[kept], tried.size[kept], tried.individual[kept])
