"""Suspected labels in spaces where the truth is known."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from conftest import embeddings
from siamesekit.audit.suspects import (
    CANDIDATES,
    CLOSEST,
    Neighbours,
    mislabelled,
    nearest_others,
    neighbours,
    pairs_of_names,
    suspect_findings,
)
from siamesekit.data.records import Record
from siamesekit.registry import DISTANCES


def space(truth: NDArray[np.int64], labels: NDArray[np.int64]) -> Neighbours:
    return neighbours(embeddings(truth, noise=0.15), labels, DISTANCES.build("cosine"))


def suspected(found: Neighbours) -> tuple[Mapping[int, int], Mapping[tuple[int, int], int]]:
    others = nearest_others(found)
    return mislabelled(found, others), pairs_of_names(found, others)


def test_neighbours_are_those_of_all_distances() -> None:
    truth = np.arange(40) // 5
    vectors = embeddings(truth, noise=0.3)
    apart = torch.cdist(vectors.double(), vectors.double()).fill_diagonal_(torch.inf)
    found = neighbours(vectors, truth, DISTANCES.build("cosine"))
    assert (found.near == apart.argsort(dim=1)[:, :CANDIDATES].numpy()).all()
    np.testing.assert_allclose(found.distance, (apart.sort(dim=1).values[:, :CANDIDATES] ** 2 / 2).numpy(), atol=1e-6)


def test_the_margin_is_that_of_a_loop_over_all_individuals() -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 12, 60)
    labels[:2] = 12, 13  # two individuals with a single photo
    vectors = embeddings(np.arange(60) // 5, noise=0.3)
    found = neighbours(vectors, labels, DISTANCES.build("cosine"))
    others = nearest_others(found)
    apart = 1 - vectors.double() @ vectors.double().T
    for photo in range(60):
        far, near = {}, apart[photo].argsort().tolist()
        near.remove(photo)
        for individual in set(labels.tolist()):
            ranks = [rank for rank, other in enumerate(near) if labels[other] == individual][:CLOSEST]
            if individual == labels[photo]:
                own = np.mean([apart[photo, near[rank]] for rank in ranks]) if ranks else np.nan
            elif len(ranks) > 1 and max(ranks) < CANDIDATES:
                far[individual] = np.mean([apart[photo, near[rank]] for rank in ranks])
        best = min(far, key=far.__getitem__, default=-1)
        assert others.individual[photo] == best
        np.testing.assert_allclose(found.own[photo], own, atol=1e-6)
        np.testing.assert_allclose(others.margin[photo], own - far[best] if far else np.nan, atol=1e-6)


def test_wrong_labels_are_found_where_no_other_individual_is_near_the_right_ones() -> None:
    truth = np.arange(300) // 50
    labels = truth.copy()
    labels[[3, 150, 290]] = [4, 0, 1]
    assert suspected(space(truth, labels))[0] == {3: 0, 150: 3, 290: 5}


def test_right_labels_are_not_suspected() -> None:
    truth = np.arange(120) // 6
    found = space(truth, truth)
    assert suspected(found) == ({}, {})


def test_wrong_labels_are_found_and_their_individuals_named() -> None:
    truth = np.arange(120) // 6
    labels = truth.copy()
    labels[[3, 50, 77]] = [9, 0, 2]
    assert suspected(space(truth, labels))[0] == {3: truth[3], 50: truth[50], 77: truth[77]}


def test_one_individual_under_two_names() -> None:
    truth = np.arange(120) // 6
    labels = truth.copy()
    labels[[0, 1, 2]] = 20
    labels[[60, 63, 65]] = 21
    found = space(truth, labels)
    assert set(suspected(found)[1]) == {(0, 20), (10, 21)}
    records = [Record(f"{n}.jpg", f"w{label}", Path("x")) for n, label in enumerate(labels)]
    findings = suspect_findings(records, found)
    assert {each.individual for each in findings} == {"w0 | w20", "w10 | w21"}
    assert {each.kind for each in findings} == {"one_individual_two_names"}


def test_a_space_of_noise_is_no_reason_for_suspicion() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(400) // 8
    vectors = torch.nn.functional.normalize(torch.from_numpy(rng.normal(size=(400, 64))).float())
    found = neighbours(vectors, labels, DISTANCES.build("cosine"))
    wrong, doubled = suspected(found)
    assert len(wrong) <= 8 and doubled == {}
