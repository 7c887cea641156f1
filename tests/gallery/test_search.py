"""Rankings of individuals, against loops that are written differently."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from siamesekit.components.distances.cosine import Cosine
from siamesekit.components.distances.distance import Distance
from siamesekit.components.distances.euclidean import Euclidean
from siamesekit.gallery.search import Gallery, Names, Scoring, answers, rank


def made(seed: int, photos: int, individuals: int, ties: bool = False) -> tuple[torch.Tensor, Gallery]:
    """Queries `[4, 5]` and a gallery in which each individual has a photo."""
    random = np.random.default_rng(seed)
    owner = np.concatenate([np.arange(individuals), random.integers(0, individuals, photos - individuals)])
    random.shuffle(owner)
    points = random.normal(size=(photos + 4, 5))
    if ties:
        points = points.round()
    tensor = torch.from_numpy(points.astype(np.float32))
    return tensor[:4], Gallery(tensor[4:], np.arange(3, photos + 3), owner)


def by_loops(
    queries: torch.Tensor, gallery: Gallery, distance: Distance, scoring: Scoring, together: bool
) -> list[list[tuple[float, int]]]:
    """Individuals of each query by (distance, index), from single distances."""
    table = [[float(distance(query, photo)) for photo in gallery.embeddings] for query in queries]
    scores = []
    for row in table:
        score = {}
        for individual in sorted(set(gallery.individuals.tolist())):
            own = sorted(far for far, owner in zip(row, gallery.individuals, strict=True) if owner == individual)
            count = 1 if scoring == "nearest" else len(own) if scoring == "mean" else scoring
            score[individual] = sum(own[:count]) / len(own[:count])
        scores.append(score)
    if together:
        scores = [{each: sum(score[each] for score in scores) / len(scores) for each in scores[0]}]
    return [sorted((far, individual) for individual, far in score.items()) for score in scores]


@pytest.mark.medium
@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(1, 12),
    st.integers(0, 20),
    st.sampled_from(["nearest", "mean", 1, 2, 5]),
    st.booleans(),
    st.sampled_from([Cosine(), Euclidean()]),
)
def test_individuals_are_ranked_as_loops_over_single_distances_rank_them(
    seed: int, individuals: int, more: int, scoring: Scoring, together: bool, distance: Distance
) -> None:
    queries, gallery = made(seed, individuals + more, individuals)
    k = max(1, individuals - 1)
    ranking = rank(queries, gallery, distance, k, scoring, together)
    expected = by_loops(queries, gallery, distance, scoring, together)
    assert ranking.individuals.shape == (len(expected), k)
    for row, wanted in enumerate(expected):
        np.testing.assert_allclose(ranking.distances[row], [far for far, _ in wanted[:k]], atol=2e-6)
        for place, individual in enumerate(ranking.individuals[row]):
            own = {each: far for far, each in wanted}[individual]
            assert abs(own - wanted[place][0]) < 4e-6
            best = ranking.best[row, place]
            assert gallery.individuals[best] == individual
            each = [float(distance(query, gallery.embeddings[best])) for query in queries]
            nearest = [
                min(float(distance(query, photo)) for query in (queries if together else queries[row : row + 1]))
                for photo in gallery.embeddings[torch.from_numpy(gallery.individuals == individual)]
            ]
            assert abs((min(each) if together else each[row]) - min(nearest)) < 2e-6
            assert abs(ranking.nearest[row, place] - min(nearest)) < 2e-6


def test_a_query_whose_nearest_photos_are_all_of_one_individual_finds_the_others_too() -> None:
    near = torch.zeros(50, 2) + torch.arange(50)[:, None] * 1e-3
    far = torch.tensor([[5.0, 5.0], [9.0, 9.0]])
    gallery = Gallery(torch.cat([near, far]), np.arange(52), np.array([0] * 50 + [1, 2]))
    ranking = rank(torch.zeros(1, 2), gallery, Euclidean(), 3)
    assert ranking.individuals.tolist() == [[0, 1, 2]]
    assert ranking.best.tolist() == [[0, 50, 51]]


def test_photos_searched_together_count_each_photo_once() -> None:
    gallery = Gallery(torch.tensor([[0.0], [1.0], [10.0]]), np.array([5, 6, 7]), np.array([0, 0, 1]))
    ranking = rank(torch.tensor([[0.1], [1.2]]), gallery, Euclidean(), 2, "nearest", together=True)
    assert ranking.photos.tolist() == [[0, 1]]
    np.testing.assert_allclose(ranking.photo_distances, [[0.1, 0.2]], atol=1e-6)
    np.testing.assert_allclose(ranking.distances, [[0.15, 9.35]], atol=1e-6)


def test_an_answer_has_names_counts_and_no_similarity_without_a_threshold() -> None:
    gallery = Gallery(torch.tensor([[0.0], [1.0], [10.0]]), np.array([5, 6, 7]), np.array([1, 1, 0]))
    ranking = rank(torch.tensor([[0.2]]), gallery, Euclidean(), 2)
    names = Names(["Ann", "Bob"], [(f"{name}.jpg", f"/{name}.jpg") for name in "abc"])
    chances = np.array([[0.75, 0.05]]), np.array([0.2])
    (answer,) = answers(["q.jpg"], ranking, gallery, names, None, chances)
    assert answer.new == 0.2 and [candidate.probability for candidate in answer.candidates] == [0.75, 0.05]
    (answer,) = answers(["q.jpg"], ranking, gallery, names, None)
    assert answer.new is None and answer.candidates[0].probability is None
    assert [candidate.individual for candidate in answer.candidates] == ["Bob", "Ann"]
    assert answer.candidates[0].photos == 2 and answer.candidates[0].best.photo == 5
    assert answer.candidates[0].best.name == "a.jpg" and answer.candidates[0].similarity is None
    assert [match.name for match in answer.photos] == ["a.jpg", "b.jpg"]
    assert answer.candidates[1].distance == pytest.approx(9.8, abs=1e-6)
