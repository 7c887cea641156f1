"""Individuals of whom some are enrolled and others are new: embeddings of drawn photos, or from a stated model.

`rates` measures how often new individuals are called known at a promised rate. As a script, it prints them:
`python tests/gallery/open_world.py 20 200 2000`.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from siamesekit.components.distances.euclidean import Euclidean
from siamesekit.evaluation.intervals import Floats
from siamesekit.gallery.identification import NEAREST
from siamesekit.gallery.identifying import fit_identification
from siamesekit.gallery.search import Gallery, rank

PROMISED = (0.01, 0.05)
NEW, PHOTOS = 200, 3
"""New individuals, and photos of each individual."""
DIMENSIONS, LOOKALIKES, SMALL = 24, 0.1, 24


@dataclass(frozen=True)
class World:
    """Embeddings `[individuals, PHOTOS, D]`, in random order: any of the individuals may be the new ones."""

    embeddings: Floats


def made_world(seed: int, individuals: int) -> World:
    """A model of embeddings: centres of unequal variance per dimension, photos around them.

    How far the photos of an individual spread differs from one to the next, with a log-normal factor, and so does each
    photo's quality. One individual in ten has a look-alike: its centre is near another one's.
    """
    rng = np.random.default_rng([7, seed])
    scale = np.linspace(2, 0.3, DIMENSIONS)
    centres = rng.normal(size=(individuals, DIMENSIONS)) * scale
    alike = np.flatnonzero(rng.random(individuals) < LOOKALIKES)
    centres[alike] = (
        centres[rng.permutation(individuals)[: len(alike)]] + 0.3 * rng.normal(size=(len(alike), 1)) * scale
    )
    spread = 0.6 * np.exp(0.4 * rng.normal(size=(individuals, 1, 1))) * np.exp(0.3 * rng.normal(size=(1, PHOTOS, 1)))
    noise = rng.normal(size=(individuals, PHOTOS, DIMENSIONS)) * scale**0.5
    return World((centres[:, None] + spread * noise)[rng.permutation(individuals)])


def drawn_world(seed: int, individuals: int) -> World:
    """Drawn flukes (`examples/whales/flukes.py`) through a small encoder: the principal components of small photos.

    The encoder is fitted to 60 further individuals, as a network is trained on other individuals than it identifies.
    """
    sys.path.append(str(Path(__file__).parents[2] / "examples" / "whales"))
    from flukes import draw_photo

    def pixels(whale: int, photo: int) -> Floats:
        image = Image.fromarray(draw_photo(seed, whale, photo, 0.2)).convert("L").resize((SMALL, SMALL))
        row = np.asarray(image, np.float64).ravel()
        return (row - row.mean()) / max(float(row.std()), 1.0)

    others = np.stack([pixels(whale, 0) for whale in range(individuals, individuals + 60)])
    _, _, components = np.linalg.svd(others - others.mean(0), full_matrices=False)
    photos = np.stack([[pixels(whale, photo) for photo in range(PHOTOS)] for whale in range(individuals)])
    return World((photos - others.mean(0)) @ components[:DIMENSIONS].T)


def false_known(
    world: World, enrolled: NDArray[np.int64], new: NDArray[np.int64], searched: int | None = None
) -> Floats:
    """Share of new individuals' photos that are called known at each promised rate; NaN where nothing is promised.

    Args:
        world: the individuals.
        enrolled: those of the catalogue, by index.
        new: those whose photos are searched.
        searched: number of enrolled individuals that are searched, such as those of one site; None: all.
    """

    def photos(individuals: NDArray[np.int64]) -> torch.Tensor:
        return torch.from_numpy(world.embeddings[individuals].reshape(-1, world.embeddings.shape[2]))

    def gallery(individuals: NDArray[np.int64]) -> Gallery:
        owner = np.repeat(np.arange(len(individuals)), PHOTOS)
        return Gallery(photos(individuals), np.arange(len(owner)), owner)

    model = fit_identification(gallery(enrolled), Euclidean(), np.zeros(len(enrolled), np.bool_)).model
    assert model is not None
    there = gallery(enrolled[:searched])
    size = len(enrolled[:searched])
    ranking = rank(photos(new), there, Euclidean(), min(NEAREST, size))
    chance = model.probabilities(ranking.distances, size)[1]
    limits = [model.limit(rate, size) for rate in PROMISED]
    return np.array([np.nan if limit is None else float((chance <= limit).mean()) for limit in limits])


def rates(kind: str, size: int, draws: int, searched: int | None = None) -> Floats:
    """`false_known` of several catalogues, each with `NEW` new individuals: `[draws, rates]`.

    Args:
        kind: `drawn` or `made`. Drawn individuals are drawn once, and dealt anew for each catalogue.
        size: number of enrolled individuals.
        draws: number of catalogues.
        searched: as for `false_known`.
    """
    found = []
    drawn = drawn_world(0, size + NEW) if kind == "drawn" else None
    for draw in range(draws):
        world = made_world(draw, size + NEW) if drawn is None else drawn
        order = np.random.default_rng([8, draw]).permutation(size + NEW)
        found.append(false_known(world, order[:size], order[size:], searched))
    return np.array(found)


if __name__ == "__main__":
    for number in map(int, sys.argv[1:]):
        several = rates("made", number, 10)
        mean, error = several.mean(0), several.std(0, ddof=1) / np.sqrt(len(several))
        for rate, value, doubt in zip(PROMISED, mean, error, strict=True):
            told = "too few individuals to promise this" if np.isnan(value) else f"{value:.2%} ± {2.26 * doubt:.2%}"
            print(f"{number} enrolled, promised {rate:.0%}: {told}")
