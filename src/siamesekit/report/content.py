"""Data of the report: plain values, collected by the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from siamesekit.engine.doctor import Finding
from siamesekit.evaluation.embedding_map import PlanarMap
from siamesekit.wording import for_the_real_thing, in_place_of

LARGEST = 512
"""Maximum length in pixels of a photo's longer side in the report; larger photos are scaled down."""


@dataclass(frozen=True)
class StandIn:
    """A replacement for unavailable photos or weights.

    Attributes:
        what: `data` or `weights`.
        wanted: data or weights that the config asked for.
        used: data or weights used instead.
        why: reason why the wanted ones are unavailable.
        hint: how to get the wanted ones.
    """

    what: str
    wanted: str
    used: str
    why: str
    hint: str

    @property
    def warning(self) -> str:
        """The warning about this stand-in, in one line."""
        used = in_place_of(self.used, self.wanted)
        return f"STAND-IN {self.what}: {used}, because {self.why}. {for_the_real_thing(self.hint)}"


@dataclass(frozen=True)
class Picture:
    """A photo in the report.

    Attributes:
        name: name of the record.
        individual: name of the individual.
        pixels: input of the network, uint8 RGB `[size, size, 3]`.
        photo: original photo, uint8 RGB `[height, width, 3]`; None if the file is no longer readable.
    """

    name: str
    individual: str
    pixels: NDArray[np.uint8]
    photo: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class HardTriplet:
    """A test triplet and its distances; the network is wrong if d_ap ≥ d_an."""

    anchor: Picture
    positive: Picture
    negative: Picture
    d_ap: float
    d_an: float


@dataclass(frozen=True)
class Ranking:
    """A query from the test set and its nearest neighbours in the test set, nearest first, with their distances.

    Attributes:
        query: the query.
        found: its neighbours.
        shared: the points `[M, 4]` that it shares with each, as `Example.points`; None where a photo cannot be read,
            and empty without a matcher.
    """

    query: Picture
    found: tuple[tuple[Picture, float], ...]
    shared: tuple[NDArray[np.float32] | None, ...] = ()


@dataclass(frozen=True)
class Example:
    """A photo that is taken for another individual, and the photo of that individual that is nearest to it.

    Attributes:
        query: the photo.
        nearest: the photo that is nearest to it.
        points: points that both share, `[M, 4]`: x and y on the first photo, then on the second, as shares of width and
            height; None without a matcher, or where a photo cannot be read.
    """

    query: Picture
    nearest: Picture
    points: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class MapPhoto:
    """A photo on the map of the embeddings.

    Attributes:
        name: name of the record.
        individual: name of the individual.
        thumbnail: small photo, uint8 RGB `[height, width, 3]`.
        wrong: whether the nearest photo shows another individual.
    """

    name: str
    individual: str
    thumbnail: NDArray[np.uint8]
    wrong: bool


@dataclass(frozen=True)
class EmbeddingMap:
    """Test photos on a plane.

    Attributes:
        maps: the places of the photos by each method.
        photos: the photos, N together.
        tested: number of test photos, N or more.
        missing: sentences on methods that are not shown.
    """

    maps: tuple[PlanarMap, ...]
    photos: tuple[MapPhoto, ...]
    tested: int
    missing: tuple[str, ...]


@dataclass(frozen=True)
class ReportData:
    """All data of a report.

    Attributes:
        name: name of the run.
        created: date and time of the report, as text.
        version: version of the library.
        stand_ins: stand-ins for data or weights.
        facts: settings of the run, as pairs of label and text.
        epochs: lines of metrics.jsonl.
        kept_epoch: epoch whose weights the model has.
        loss_by_class: whether the loss compares photos with the training individuals only, so that the test
            individuals have no loss.
        findings: findings of the training doctor on the epochs.
        evaluation: content of evaluation.json.
        same: float32 `[S]`, distances of test pairs that show one individual.
        different: float32 `[D]`, distances of test pairs that show two individuals.
        rankings: nearest neighbours of one test photo of each of a few individuals.
        hardest: hardest test triplets, hardest first.
        parts: names of the individuals in each part of the split.
        confused: photos for the first entries of `confused` in evaluation.json, each pair of individuals once.
        hubs: the first photos of `hubs` in evaluation.json.
        embedding_map: the test photos on a plane; None if there are too few.
        no_points: why no shared points are drawn although a matcher was asked for; empty otherwise.
    """

    name: str
    created: str
    version: str
    stand_ins: tuple[StandIn, ...]
    facts: tuple[tuple[str, str], ...]
    epochs: tuple[Mapping[str, Any], ...]
    kept_epoch: int
    loss_by_class: bool
    findings: tuple[Finding, ...]
    evaluation: Mapping[str, Any]
    same: NDArray[np.float32]
    different: NDArray[np.float32]
    rankings: tuple[Ranking, ...]
    hardest: tuple[HardTriplet, ...]
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    confused: tuple[Example, ...] = ()
    hubs: tuple[Picture, ...] = ()
    embedding_map: EmbeddingMap | None = None
    no_points: str = ""
