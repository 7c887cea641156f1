"""Photos of the report's sections on the search: confused individuals, hubs, and the map of the embeddings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from siamesekit.components.distances.distance import Distance
from siamesekit.config import Config
from siamesekit.evaluation.embedding_map import FEWEST, PACKAGES, PlanarMap, installed_methods, planar_map
from siamesekit.evaluation.mistakes import neighbourhoods
from siamesekit.experiment.evaluation_set import EvaluationSet
from siamesekit.experiment.setup import Setup
from siamesekit.randomness import generator
from siamesekit.registry.component_faults import told
from siamesekit.report.content import EmbeddingMap, Example, MapPhoto, Picture
from siamesekit.report.embedding_map import THUMBNAIL

CONFUSED, HUBS = 6, 6
"""Most pairs of confused individuals, and most hubs, that are shown with photos."""
MISLED = 2
"""Fewest queries of other individuals whose nearest photo a hub is."""
MAPPED, EACH = 300, 15
"""Most photos on the map, and most of one individual if there are more."""
INSTALL = {"t-SNE": "pip install scikit-learn", "UMAP": "pip install umap-learn"}


def confused_photos(
    picture: Callable[[int], Picture], judged: EvaluationSet, evaluation: Mapping[str, Any]
) -> tuple[Example, ...]:
    """The photos of the most frequent confusions, each pair of individuals once.

    Args:
        picture: the photo at a position in the evaluation set.
        judged: the evaluation set.
        evaluation: content of evaluation.json.
    """
    place = {name: position for position, name in enumerate(judged.names)}
    examples: dict[frozenset[str], Example] = {}
    for pair in evaluation.get("confused") or []:
        both = frozenset((pair["individual"], pair["taken_for"]))
        if both not in examples and len(examples) < CONFUSED:
            examples[both] = Example(picture(place[pair["photo"]]), picture(place[pair["nearest"]]))
    return tuple(examples.values())


def hub_pictures(
    picture: Callable[[int], Picture], judged: EvaluationSet, evaluation: Mapping[str, Any]
) -> tuple[Picture, ...]:
    """The photos that are the nearest of most queries of other individuals; arguments as of `confused_photos`."""
    place = {name: position for position, name in enumerate(judged.names)}
    listed = [] if evaluation.get("hubs") is None else evaluation["hubs"]["photos"]
    return tuple(picture(place[hub["photo"]]) for hub in listed[:HUBS] if hub["misled"] >= MISLED)


def embedding_map(setup: Setup, judged: EvaluationSet, trained: Tensor, distance: Distance) -> EmbeddingMap | None:
    """Test photos on a plane, by each installed method; None with fewer than three photos or without finite embeddings.

    With the cosine distance, embeddings are brought to length 1 first, so that Euclidean distances order like it.

    Args:
        setup: setup of the run.
        judged: the evaluation set.
        trained: embeddings `[N, D]` of its photos.
        distance: distance of the run.
    """
    seed = setup.config.seed
    chosen = mapped_photos(judged.labels[: judged.tested], generator(seed, "map"))
    shown = trained[torch.from_numpy(chosen).to(trained.device)]
    if len(chosen) < 3 or not bool(trained.isfinite().all()):
        return None
    shown = comparable(shown, setup.config)
    found = neighbourhoods(trained, judged.protocol, torch.from_numpy(chosen), distance, 1).photo[:, 0]
    wrong = judged.answerable[chosen] & (judged.labels[found] != judged.labels[chosen])
    maps, missing = _maps(shown, seed)
    photos = tuple(
        MapPhoto(judged.names[each], judged.individuals[each], _thumbnail(setup, judged, each), bool(miss))
        for each, miss in zip(chosen.tolist(), wrong, strict=True)
    )
    return EmbeddingMap(maps, photos, judged.tested, missing)


def comparable(embeddings: Tensor, config: Config) -> Tensor:
    """Embeddings `[N, D]` whose Euclidean distances order as the run's: of length 1 for the cosine distance."""
    return F.normalize(embeddings, dim=1) if config.distance.component == "cosine" else embeddings


def mapped_photos(labels: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """The photos on the map, of labels `[n]`: all, or up to `EACH` of each of random individuals, `MAPPED` at most."""
    if len(labels) <= MAPPED:
        return np.arange(len(labels))
    chosen: list[int] = []
    for individual in rng.permutation(np.unique(labels)):
        photos = rng.permutation(np.flatnonzero(labels == individual))[:EACH]
        if len(chosen) + len(photos) > MAPPED:
            break
        chosen += photos.tolist()
    return np.array(sorted(chosen))


def _maps(embeddings: Tensor, seed: int) -> tuple[tuple[PlanarMap, ...], tuple[str, ...]]:
    """The maps, and sentences on methods that are not shown."""
    maps, missing = [], []
    for method in ("PCA", *PACKAGES):
        if method not in installed_methods():
            missing.append(f"There is no {method}: it needs another package ({INSTALL[method]}).")
        elif method != "PCA" and len(embeddings) < FEWEST:
            missing.append(f"There is no {method}: it needs {FEWEST} photos.")
        else:
            try:
                made = planar_map(method, embeddings, seed)
            except Exception as error:  # another package's
                missing.append(f"There is no {method}: its package failed ({told(error)}).")
                continue
            if np.isfinite(made.places).all():
                maps.append(made)
            else:
                missing.append(f"There is no {method}: it gave NaN or infinite places.")
    return tuple(maps), tuple(missing)


def _thumbnail(setup: Setup, judged: EvaluationSet, position: int) -> NDArray[np.uint8]:
    """The input of the network, small."""
    pixels = setup.dataset.images[int(judged.photos[position])].permute(1, 2, 0).numpy()
    image = Image.fromarray(pixels)
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    return np.asarray(image)
