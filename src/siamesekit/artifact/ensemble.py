"""Several trained models as one: their embeddings, concatenated."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from siamesekit.artifact.comparison import Comparison
from siamesekit.artifact.similarity_model import Embedded, SimilarityModel
from siamesekit.components.distances.distance import Distance
from siamesekit.components.encoders.head import L2Normalize
from siamesekit.data.images import Look
from siamesekit.data.loading import UnusablePhoto
from siamesekit.data.photo_inputs import Photo
from siamesekit.data.records import Record
from siamesekit.errors import DataError, UserError
from siamesekit.progress import Progress
from siamesekit.registry import DISTANCES

NO_THRESHOLD = "an ensemble ships no threshold: a threshold belongs to the distances of one model"


def ensemble(models: Iterable[SimilarityModel], weights: Sequence[float] | None = None) -> Ensemble:
    """Combine trained models into one that embeds with all of them.

    Args:
        models: at least one model, as from `siamesekit.load`; encoders and sizes may differ.
        weights: weight of each model, above 0; equal by default.

    Raises:
        UserError: there is no model, or the weights do not fit.
    """
    return Ensemble(models, weights)


class Ensemble:
    """Several models whose embeddings are concatenated; `siamesekit.ensemble` creates it.

    Each model's embedding is scaled to length 1 and multiplied by the square root of its share of the weights. So an
    embedding of the ensemble has length 1, and the cosine of two is the weighted mean of the models' cosines.

    Attributes:
        models: the M models.
        weights: share of each model; their sum is 1.
        distance: the cosine distance.
        description: stand-ins of the models, and `no_threshold`, the reason why there is no threshold.
    """

    __module__ = "siamesekit"

    def __init__(self, models: Iterable[SimilarityModel], weights: Sequence[float] | None = None) -> None:
        self.models = tuple(models)
        if not self.models:
            raise UserError("an ensemble needs at least one model")
        given = [1.0] * len(self.models) if weights is None else [float(weight) for weight in weights]
        if len(given) != len(self.models):
            raise UserError(f"an ensemble of {len(self.models)} models needs as many weights, not {len(given)}")
        if not all(0 < weight < math.inf for weight in given):
            raise UserError(f"the weights of an ensemble must be numbers above 0, not {given}")
        self.weights = tuple(weight / sum(given) for weight in given)
        self.distance: Distance = DISTANCES.build("cosine")
        stand_ins = [each for model in self.models for each in model.description.get("stand_ins", [])]
        self.description: Mapping[str, Any] = {"no_threshold": NO_THRESHOLD, "stand_ins": stand_ins}

    def __repr__(self) -> str:
        parts = ", ".join(f"{share:.3g} × {model!r}" for share, model in zip(self.weights, self.models, strict=True))
        return f"Ensemble({parts})"

    def embed(self, photos: Photo | Sequence[Photo], tta: Sequence[str] | None = None) -> Tensor:
        """Compute the embeddings of photos, float32 `[N, D]`, with D the sum of the models' dimensions.

        Args:
            photos: one photo or several, as for `SimilarityModel.embed`.
            tta: views of each photo; by default those of each model.

        Raises:
            DataError: a photo cannot be read, an object is not a photo, or there are no photos.
        """
        return self._joined(lambda model: model.embed(photos, tta))

    def embed_files(
        self, files: Sequence[Path], progress: Progress | None = None, tta: Sequence[str] | None = None
    ) -> Tensor:
        """Compute the embeddings `[N, D]` of photo files, model by model.

        Raises:
            DataError: photos cannot be read; it lists them all.
        """
        return self._joined(lambda model: model.embed_files(files, progress, tta))

    def embed_usable(
        self, files: Sequence[Path], progress: Progress | None = None, tta: Sequence[str] | None = None
    ) -> Embedded:
        """Like `embed_files`, but leave out photos that cannot be read, and return findings on them.

        Raises:
            DataError: no photo can be read.
        """
        found = [model.embed_usable(files, progress, tta) for model in self.models]
        embeddings, kept = self._common([(each.embeddings, each.kept) for each in found])
        if not kept:
            raise DataError("no photo can be read by all models")
        left_out = {finding.name: finding for each in found for finding in each.left_out}
        return Embedded(embeddings, kept, tuple(left_out.values()))

    def embed_records(
        self,
        records: Sequence[Record],
        progress: Progress | None = None,
        passed_over: dict[int, UnusablePhoto] | None = None,
        tta: Sequence[str] | None = None,
        look: Look | None = None,
    ) -> Tensor:
        """Compute the embeddings `[N, D]` of records, model by model; see `SimilarityModel.embed_records`.

        `look` is called with each photo as it is decoded for the first model.

        Raises:
            DataError: photos cannot be read; it lists them all.
        """
        found = []
        for model in self.models:
            own: dict[int, UnusablePhoto] | None = None if passed_over is None else {}
            embeddings = model.embed_records(records, progress, own, tta, look if model is self.models[0] else None)
            found.append((embeddings, [photo for photo in range(len(records)) if photo not in (own or ())]))
            if passed_over is not None:
                passed_over |= own or {}
        return self._common(found)[0]

    @property
    def threshold(self) -> None:
        """None: an ensemble has no threshold."""
        return None

    def compare(self, a: Photo, b: Photo, tta: Sequence[str] | None = None) -> Comparison:
        """Compare two photos by the cosine distance, without similarity and verdict.

        Raises:
            DataError: a photo cannot be read.
        """
        first, second = self.embed([a, b], tta)
        return Comparison(float(self.distance(first, second)), None, None, None).of(a, b)

    def _joined(self, embed: Callable[[SimilarityModel], Tensor]) -> Tensor:
        return self._concatenated([embed(model) for model in self.models])

    def _common(self, parts: Sequence[tuple[Tensor, Sequence[int]]]) -> tuple[Tensor, tuple[int, ...]]:
        """The embeddings of the photos that every model has, and the indices of these photos.

        Args:
            parts: for each model, embeddings `[n_m, D_m]` and the indices of their n_m photos, ascending.
        """
        common = torch.tensor(sorted(set[int].intersection(*(set(photos) for _, photos in parts))), dtype=torch.int64)
        rows = [each[torch.searchsorted(torch.tensor(photos), common)] for each, photos in parts]
        return self._concatenated(rows), tuple(common.tolist())

    def _concatenated(self, embeddings: Sequence[Tensor]) -> Tensor:
        """Concatenate the models' embeddings, each `[N, D_m]`, as the class describes."""
        scaled = [math.sqrt(share) * L2Normalize()(each) for share, each in zip(self.weights, embeddings, strict=True)]
        return torch.cat(scaled, dim=1)
