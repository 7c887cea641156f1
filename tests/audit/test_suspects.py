"""Suspected labels in spaces where the truth is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from conftest import embeddings
from siamesekit.audit.suspects import Neighbours, mislabelled, neighbours, pairs_of_names, suspect_findings
from siamesekit.data.records import Record
from siamesekit.registry import DISTANCES


def space(truth: NDArray[np.int64], labels: NDArray[np.int64]) -> Neighbours:
    return neighbours(embeddings(truth, noise=0.15), labels, DISTANCES.build("cosine"))


def test_neighbours_are_those_of_all_distances() -> None:
    truth = np.arange(40) // 5
    vectors = embeddings(truth, noise=0.3)
    apart = torch.cdist(vectors.double(), vectors.double()).fill_diagonal_(torch.inf)
    found = neighbours(vectors, truth, DISTANCES.build("cosine"))
    assert (found.near == apart.argsort(dim=1)[:, :5].numpy()).all()


def test_right_labels_are_not_suspected() -> None:
    truth = np.arange(120) // 6
    found = space(truth, truth)
    assert mislabelled(found) == {} and pairs_of_names(found) == {}


def test_wrong_labels_are_found_and_their_individuals_named() -> None:
    truth = np.arange(120) // 6
    labels = truth.copy()
    labels[[3, 50, 77]] = [9, 0, 2]
    assert mislabelled(space(truth, labels)) == {3: truth[3], 50: truth[50], 77: truth[77]}


def test_one_individual_under_two_names() -> None:
    truth = np.arange(120) // 6
    labels = truth.copy()
    labels[[0, 1, 2]] = 20
    labels[[60, 63, 65]] = 21
    found = space(truth, labels)
    assert set(pairs_of_names(found)) == {(0, 20), (10, 21)}
    records = [Record(f"{n}.jpg", f"w{label}", Path("x")) for n, label in enumerate(labels)]
    findings = suspect_findings(records, found)
    assert {each.individual for each in findings} == {"w0 | w20", "w10 | w21"}
    assert {each.kind for each in findings} == {"one_individual_two_names"}


def test_a_space_of_noise_is_no_reason_for_suspicion() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(400) // 8
    vectors = torch.nn.functional.normalize(torch.from_numpy(rng.normal(size=(400, 64))).float())
    found = neighbours(vectors, labels, DISTANCES.build("cosine"))
    assert len(mislabelled(found)) <= 8 and pairs_of_names(found) == {}
