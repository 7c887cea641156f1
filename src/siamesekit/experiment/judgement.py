"""The judgement of the trained network: its threshold, and the content of evaluation.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from siamesekit.components.distances.distance import Distance
from siamesekit.config import Config
from siamesekit.evaluation.figures import Evaluated, evaluate
from siamesekit.evaluation.intervals import Bootstrap, Floats, Interval
from siamesekit.evaluation.open_set import nearest_photo, open_set
from siamesekit.evaluation.operating_point import OperatingPoint, operating_point
from siamesekit.evaluation.protocol import Protocol
from siamesekit.evaluation.retrieval import RetrievalMetrics, retrieval_metrics
from siamesekit.evaluation.worth import worth_of_training
from siamesekit.experiment.evaluation_set import EvaluationSet
from siamesekit.experiment.pair_figures import pair_figures
from siamesekit.experiment.search_figures import search_figures
from siamesekit.randomness import generator

MOST_GROUPS = 30
"""Most values of a column that get figures of their own."""


class Network(NamedTuple):
    """What a network makes of the photos that judge it.

    Attributes:
        embeddings: embeddings `[N, D]` of the photos.
        distance: distance by which they are compared.
    """

    embeddings: Tensor
    distance: Distance


def threshold(
    config: Config, judged: EvaluationSet, trained: Tensor, distance: Distance
) -> tuple[OperatingPoint | None, list[str]]:
    """The threshold of a trained network, and notes on its worth or on why there is no threshold.

    It is set on the test photos of individuals that did not train.

    Args:
        config: config of the run.
        judged: the photos that judge the network.
        trained: embeddings `[N, D]` of these photos.
        distance: distance of the run.
    """
    settings = config.evaluation
    if not bool(trained.isfinite().all()):
        return None, ["No threshold: NaN or infinite embeddings have no distances."]
    labels = judged.labels[: judged.tested][judged.unseen]
    if len(labels) == 0:
        return None, [
            f'No threshold: with split.by = "{config.split.by}" every individual trained the network, and a threshold '
            "is only valid for individuals that did not."
        ]
    counts = np.unique(labels, return_counts=True)[1]
    if len(counts) < 2 or counts.max() < 2:
        return None, [
            f"No threshold: the test photos show {len(counts)} individuals that did not train, "
            f"{(counts > 1).sum()} of them with two photos; two individuals are needed, one of them with two photos."
        ]
    embeddings = trained[: judged.tested][torch.from_numpy(judged.unseen).to(trained.device)]
    return operating_point(
        embeddings, labels, distance, settings.false_accept_rate, settings.confidence, settings.bootstrap, config.seed
    )


def judge(
    config: Config,
    judged: EvaluationSet,
    networks: Mapping[str, Network],
    point: OperatingPoint | None,
    notes: Sequence[str],
    main: str = "trained",
    against: str | None = None,
) -> dict[str, Any]:
    """The content of evaluation.json.

    Args:
        config: config of the run.
        judged: the photos that judge the networks, and who is searched among whom.
        networks: the networks by name.
        point: threshold of the main network.
        notes: notes on the figures.
        main: the network whose figures by group and for new individuals are given.
        against: the network whose figures are subtracted from those of the main one, query by query; None for none.
    """
    bootstrap, labels = bootstrap_of(config), judged.labels
    figures = {
        name: evaluate(network.embeddings, labels, judged.triplets, network.distance, bootstrap, judged.protocol)
        for name, network in networks.items()
    }
    written = {name: of.figures.as_json() for name, of in figures.items()}
    return {
        "individuals": len(np.unique(labels[: judged.tested])),
        "untrained_individuals": len(np.unique(labels[: judged.tested][judged.unseen])),
        "photos": judged.tested,
        "triplets": len(judged.triplets.anchor),
        "confidence": bootstrap.confidence,
        "bootstrap": bootstrap.resamples,
        "split": config.split.by,
        "queries": int(judged.answerable.sum()),
        "gallery": len(judged.protocol.gallery),
        "searched": judged.searched,
        "exclude": list(judged.exclude),
        "networks": written,
        "match_curve": {name: of.match_curve for name, of in figures.items() if of.match_curve is not None},
        "other_encounters": _other_encounters(config, judged, networks),
        "groups": _groups(config, judged, figures[main].per_query),
        "open_set": _open_set(config, judged, networks[main], point),
        **pair_figures(judged, networks[main].embeddings, networks[main].distance, point, bootstrap),
        **search_figures(judged, networks[main].embeddings, networks[main].distance, bootstrap),
        "training": worth_of_training(written).as_json() if main == "trained" else None,
        "threshold": None if point is None else point.as_json(),
        "notes": [*notes, *judged.notes()],
        **({} if against is None else {"difference": _difference(config, judged, figures[main], figures[against])}),
    }


def bootstrap_of(config: Config) -> Bootstrap:
    """How the config asks for intervals."""
    return Bootstrap(config.evaluation.confidence, config.evaluation.bootstrap, config.seed)


def _other_encounters(config: Config, judged: EvaluationSet, networks: Mapping[str, Network]) -> dict[str, Any] | None:
    """The main figures without photos of the query's own encounter; None if they would be the same figures."""
    if judged.encounters is None or judged.encounter_column in judged.exclude:
        return None
    apart = Protocol(judged.protocol.queries, judged.protocol.gallery, judged.encounters)
    if not bool((apart.skipped > judged.protocol.skipped).any()):
        return None  # no two photos of one encounter meet
    labels = torch.from_numpy(judged.labels)
    queries = int((apart.relevant(labels) > 0).sum())
    if not queries:
        return None
    found = {
        name: retrieval_metrics(network.embeddings, labels, network.distance, protocol=apart)
        for name, network in networks.items()
    }
    every = np.arange(judged.tested)
    return {
        "queries": queries,
        "networks": {name: _main_figures(config, judged, metrics, every) for name, metrics in found.items()},
    }


def _groups(config: Config, judged: EvaluationSet, found: RetrievalMetrics) -> dict[str, Any]:
    """The main figures of a network by the value of each column of `evaluation.groups`, from its metrics per query."""
    answered = ~np.isnan(found.precision_at_1)
    groups: dict[str, Any] = {}
    for column, values in judged.groups.items():
        of = np.array(values[: judged.tested], dtype=object)
        names = sorted(set(of[answered]))
        if len(names) > MOST_GROUPS or names == [""]:
            continue
        for name in names:
            queries = np.flatnonzero(answered & (of == name))
            groups.setdefault(column, {})[name] = {
                "queries": len(queries),
                "individuals": len(np.unique(judged.labels[queries])),
                **_main_figures(config, judged, found, queries),
            }
    return groups


def _difference(config: Config, judged: EvaluationSet, ours: Evaluated, theirs: Evaluated) -> dict[str, Any]:
    """The main figures of a network minus those of another, query by query, with intervals over individuals."""
    other = main_values(theirs.per_query)
    differences = {name: values - other[name] for name, values in main_values(ours.per_query).items()}
    return _means(config, judged, differences, np.arange(judged.tested))


def _main_figures(
    config: Config, judged: EvaluationSet, metrics: RetrievalMetrics, queries: NDArray[np.int64]
) -> dict[str, dict[str, float | None]]:
    return _means(config, judged, main_values(metrics), queries)


def main_values(metrics: RetrievalMetrics) -> dict[str, Floats]:
    """The values per query of the main figures."""
    return {
        "precision_at_1": metrics.precision_at_1,
        "recall_at_5": metrics.recall_at[5],
        "map_at_r": metrics.map_at_r,
    }


def _means(
    config: Config, judged: EvaluationSet, values: Mapping[str, Floats], queries: NDArray[np.int64]
) -> dict[str, dict[str, float | None]]:
    """The mean of each figure over some queries, with its interval."""
    owners, bootstrap = judged.labels[queries], bootstrap_of(config)
    return {name: bootstrap.mean(of[queries], owners)._asdict() for name, of in values.items()}


def _open_set(
    config: Config, judged: EvaluationSet, network: Network, point: OperatingPoint | None
) -> dict[str, Any] | None:
    """How well new individuals are told from known ones; None unless the queries show both."""
    settings, known = config.evaluation, judged.in_gallery
    used = judged.answerable | ~known  # the others can only be wrong
    if known.all() or not (known & used).any():
        return None
    found = nearest_photo(network.embeddings, judged.labels, judged.protocol, network.distance)
    figures = open_set(
        type(found)(found.distance[used], found.label[used]),
        judged.labels[: judged.tested][used],
        known[used],
        None if point is None else point.calibration.threshold,
        settings.confidence,
        settings.bootstrap,
        generator(config.seed, "open set"),
    )
    if figures is None:
        return None
    named = figures._asdict().items()
    return {name: value._asdict() if isinstance(value, Interval) else value for name, value in named}
