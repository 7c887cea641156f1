"""Discover individuals among photos: clusters, suggestions, questions, and the number of individuals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from siamesekit.artifact.similarity_model import SimilarityModel
from siamesekit.errors import UserError
from siamesekit.evaluation.intervals import Bootstrap, Interval
from siamesekit.evaluation.rand_index import adjusted_rand_index, found_count
from siamesekit.gallery.clustering import CUT, average_linkage, hdbscan, require_hdbscan, with_links
from siamesekit.gallery.count_questions import CountQuestion, counted
from siamesekit.gallery.counting import CountEstimate
from siamesekit.gallery.links import Links, groups_of
from siamesekit.gallery.pair_answers import PairAnswer, linked, read_answers
from siamesekit.gallery.pair_probabilities import check_size, correct, separated, similarities, together
from siamesekit.gallery.storage import finite
from siamesekit.gallery.suggestions import Merge, Question, Split, merges, named, questions, splits
from siamesekit.wording import near

Method = Literal["average", "hdbscan"]
"""How photos are clustered."""
Answers = Sequence[PairAnswer] | str | Path
"""Answers on pairs of photos, or a table of them."""
QUESTIONS, NEXT = 100, 10
"""Pairs that are asked about for the number of individuals by default, and for the clusters."""
SUGGESTED = 50
"""Most suggestions of each kind."""
DOUBTFUL = 0.7
"""A cluster is suggested for a split up to this mean probability between its parts; an individual up to 0.5."""
BOOTSTRAP = Bootstrap(0.95, 1000, 0)
COPIES: dict[Method, int] = {"average": 3, "hdbscan": 5}
"""Matrices `[N, N]` in float32 that a method keeps at a time."""


class AskedPair(NamedTuple):
    """A pair to ask a person about.

    Attributes:
        photos: indices of the two photos.
        probability: probability of "same".
        draw: number of the draw for the number of individuals to which it belongs; None if to none.
    """

    photos: tuple[int, int]
    probability: float
    draw: int | None


@dataclass(frozen=True)
class Discovery:
    """Individuals that were found among N photos.

    Attributes:
        photos: names of the photos.
        individuals: known individual of each photo, empty where unknown.
        clusters: cluster of each photo, int64 `[N]`, from 1 on; the largest cluster is the first.
        same_share: estimated share of pairs of photos that show one individual, from the model alone.
        cut: mean similarity from which on average linkage joins clusters; its probability is 0.5.
        groups: names of the groups of photos that suggestions are about: individuals and, of unlabelled photos,
            clusters.
        merges: groups that may be one individual, the likeliest first.
        splits: groups that may be two individuals, the likeliest first.
        questions: pairs whose answers would change the clusters most, the first one next.
        count_questions: pairs to ask about for the number of individuals, in order.
        answers: the answers that were given.
        count: estimated number of individuals, from the answers; None if there are too few.
        rand_index: adjusted Rand index of the clusters of labelled photos, with interval; None with fewer than two.
        found: number of clusters of the labelled photos, with interval; None without labels.
        labelled: number of individuals among them.
        notes: what else to know, as sentences.
    """

    photos: tuple[str, ...]
    individuals: tuple[str, ...]
    clusters: NDArray[np.int64]
    same_share: float
    cut: float
    groups: tuple[str, ...]
    merges: tuple[Merge, ...]
    splits: tuple[Split, ...]
    questions: tuple[Question, ...]
    count_questions: tuple[CountQuestion, ...]
    answers: tuple[PairAnswer, ...]
    count: CountEstimate | None
    rand_index: Interval | None
    found: Interval | None
    labelled: int
    notes: tuple[str, ...] = ()

    @property
    def asked(self) -> tuple[AskedPair, ...]:
        """All pairs to ask about, each once: first those for the clusters, then those for the number, in order."""
        drawn = {each.photos: each.draw for each in self.count_questions}
        first = [AskedPair(each.photos, each.probability, drawn.pop(each.photos, None)) for each in self.questions]
        rest = [each for each in self.count_questions if each.photos in drawn]
        return (*first, *(AskedPair(each.photos, each.probability, each.draw) for each in rest))

    def __repr__(self) -> str:
        return f"Discovery({len(self.photos)} photos, {self.clusters.max()} clusters)"


@dataclass(frozen=True)
class PhotoSet:
    """Photos to cluster.

    Attributes:
        names: names of the N photos, all different.
        individuals: known individual of each, empty where unknown.
        embeddings: their embeddings, `[N, D]`.
        links: links that are known already.
        trained: names of individuals that trained the network.
    """

    names: Sequence[str]
    individuals: Sequence[str]
    embeddings: Tensor
    links: Links
    trained: frozenset[str] = field(default_factory=frozenset)


def discover(
    photos: PhotoSet,
    model: SimilarityModel,
    method: Method = "average",
    answers: Answers = (),
    asked: int = QUESTIONS,
) -> Discovery:
    """Cluster photos into individuals; suggest merges, splits and questions; estimate the number of individuals.

    Args:
        photos: the photos.
        model: the model of the embeddings; it must have a threshold.
        method: `average`: average linkage of the similarities, cut where the clusters are separated best; or
            `hdbscan` of the probabilities.
        answers: answers on pairs of photos, or a table of them.
        asked: most unanswered pairs for the number of individuals.

    Raises:
        UserError: the model has no threshold, or there are too few or too many photos.
        DataError: answers are wrong, or contradict each other or the links.
    """
    check_discovery(model, len(photos.names), method)
    given = read_answers(Path(answers)) if isinstance(answers, str | Path) else list(answers)
    places = {name: place for place, name in enumerate(photos.names)}
    if len(places) < len(photos.names):
        raise UserError("the names of the photos must be different")
    links = linked(places, photos.links, given)
    assert model.calibration is not None, "checked above"
    chances = similarities(finite(photos.embeddings), model.distance, model.calibration)
    tree = average_linkage(1 - chances)  # without links, so that the same pairs are drawn again
    share = separated(chances, tree)
    same_share = together(tree.cut(share))
    found = average_linkage(1 - chances, links, share).labels if method == "average" else None
    correct(chances, share)
    odds = same_share / (1 - same_share) * (1 - share) / share
    count = counted(chances, places, links, given, asked, odds)
    with_links(chances, links, same=1, different=0)
    np.fill_diagonal(chances, 0)
    clusters = _by_size(hdbscan(1 - chances, links) if found is None else found)
    groups, names = named(photos.individuals, clusters)
    labels = [own for own in photos.individuals if own]
    of_labelled = clusters[[bool(own) for own in photos.individuals]]
    return Discovery(
        tuple(photos.names),
        tuple(photos.individuals),
        clusters,
        same_share,
        1 - share,
        tuple(names),
        tuple(merges(chances, groups, links)[:SUGGESTED]),
        tuple(splits(chances, groups, links, CUT if labels else DOUBTFUL)[:SUGGESTED]),
        tuple(questions(chances, clusters, links, NEXT)),
        count.questions,
        tuple(given),
        count.estimate,
        adjusted_rand_index(of_labelled, labels, BOOTSTRAP) if len(set(labels)) > 1 else None,
        found_count(of_labelled, labels, BOOTSTRAP) if labels else None,
        len(set(labels)),
        (*count.notes, *_notes(clusters, labels, photos.trained)),
    )


def check_discovery(model: SimilarityModel, photos: int, method: Method) -> None:
    """Check, before the photos are embedded if possible, that they can be clustered.

    Raises:
        UserError: the model has no threshold, there are too few or too many photos, or the method is none or needs
            scikit-learn.
    """
    if method not in get_args(Method):
        raise UserError(f"method {method!r}{near(method, get_args(Method))}; expected {' or '.join(get_args(Method))}")
    if method == "hdbscan":
        require_hdbscan()
    if model.calibration is None:
        reason = model.description.get("no_threshold")
        raise UserError(
            "the model has no threshold, so distances are no probabilities and photos cannot be clustered"
            + (f": {reason}" if reason else "; take the model of a run whose test individuals did not train")
        )
    check_size(photos, COPIES[method])


def _by_size(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Clusters numbered from 1 on, the largest first, int64 `[N]`."""
    numbered = np.empty_like(labels)
    for number, members in enumerate(sorted(groups_of(labels), key=lambda each: (-len(each), each[0])), 1):
        numbered[members] = number
    return numbered


def _notes(clusters: NDArray[np.int64], labels: Sequence[str], trained: frozenset[str]) -> list[str]:
    """Sentences on photos that are all alone, and on individuals that trained the network, if there are any."""
    known = set(labels)
    notes = []
    if clusters.max() == len(clusters):
        notes.append("no two photos are like enough to be one individual: the model may be too weak for these photos")
    if several := len(known & trained):
        notes.append(f"{several} of {len(known)} labelled individuals trained the network: the index is too good")
    return notes
