"""The report of a catalogue: what is held out, and the figures, against loops."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from conftest import write_photos
from siamesekit.components.distances.euclidean import Euclidean
from siamesekit.components.matchers.matcher import Keypoints, PointMatches
from siamesekit.data.records import Record
from siamesekit.errors import UserError
from siamesekit.gallery.catalogue import Catalogue, enrol
from siamesekit.gallery.catalogue_report import DRAWS, catalogue_report
from siamesekit.gallery.held_out_search import Judged, Way
from siamesekit.gallery.holding_out import NEW_SHARE, encounter_numbers, hold_out, several_encounters
from siamesekit.gallery.identifying import fit_identification
from siamesekit.gallery.reporting import ReportOptions
from siamesekit.gallery.search import Gallery
from siamesekit.gallery.second_look import SecondLook
from siamesekit.gallery.sighting import Sighting
from siamesekit.progress import Progress
from siamesekit.randomness import generator
from siamesekit.registry import READERS


def no_photo(index: int) -> Sighting:
    raise AssertionError("no second look was asked for")


def subject_of(seed: int, individuals: int, photos: int, spread: float, dimensions: int = 4) -> Judged:
    """A catalogue of photos around centres; one more individual has a single photo."""
    rng = np.random.default_rng(seed)
    owner = rng.permutation(np.append(np.repeat(np.arange(individuals), photos), individuals))
    centres = rng.normal(size=(individuals + 1, dimensions))
    points = torch.from_numpy(centres[owner] + spread * rng.normal(size=(len(owner), dimensions)))
    gallery = Gallery(points, np.arange(len(owner)), owner)
    trained = np.zeros(individuals + 1, np.bool_)
    return Judged(gallery, Euclidean(), np.arange(len(owner)), trained, no_photo)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 30), st.integers(1, 9))
def test_half_of_the_encounters_are_held_out_and_new_individuals_are_nowhere_else(
    seed: int, individuals: int, most: int
) -> None:
    rng = np.random.default_rng(seed)
    owner = np.concatenate([np.arange(individuals).repeat(2), rng.integers(0, individuals, 40)])
    encounters = np.concatenate([np.arange(2 * individuals), rng.integers(0, most, 40) + 1000 + 10 * owner[-40:]])
    judged = several_encounters(owner, encounters)[:-1]
    held_out = hold_out(owner, encounters, judged, rng)
    assert not set(held_out.enrolled) & set(held_out.queries)
    new = set(owner[held_out.queries[held_out.new]].tolist())
    assert len(new) == max(1, round(NEW_SHARE * len(judged))) and new <= set(judged.tolist())
    assert not new & set(owner[held_out.enrolled].tolist())
    for individual in range(individuals):
        own = set(np.flatnonzero(owner == individual).tolist())
        asked = own & set(held_out.queries.tolist())
        groups = {int(encounters[photo]) for photo in own}
        asked_groups = {int(encounters[photo]) for photo in asked}
        assert len(asked_groups) == (len(groups) // 2 if individual in judged else 0)
        assert asked == {photo for photo in own if int(encounters[photo]) in asked_groups}
        if individual not in new:
            assert own - asked <= set(held_out.enrolled.tolist())


def test_photos_without_an_encounter_are_their_own() -> None:
    assert encounter_numbers(["a", "", "b", "", "a"]).tolist() == [0, 1, 2, 3, 0]
    assert several_encounters(np.array([0, 0, 1, 1, 2]), np.array([5, 5, 1, 2, 3])).tolist() == [1]


def test_the_figures_are_those_of_loops() -> None:
    subject = subject_of(0, 20, 4, 0.5)
    report = catalogue_report(subject, [Way("alone", subject.gallery.embeddings)], None, [], Progress())
    [way] = report.ways
    rng = generator(0, "holding out")
    owner, points = subject.gallery.individuals, subject.gallery.embeddings
    first, twelve, queries = [], [], 0
    for _ in range(DRAWS):
        held_out = hold_out(owner, subject.encounters, np.arange(20), rng)
        queries += len(held_out.queries)
        for query, new in zip(held_out.queries, held_out.new, strict=True):
            far = {photo: float((points[query] - points[photo]).norm()) for photo in held_out.enrolled}
            ordered = list(dict.fromkeys(owner[photo] for photo in sorted(far, key=lambda photo: far[photo])))
            if not new:
                first.append(ordered[0] == owner[query])
                twelve.append(owner[query] in ordered[:12])
    assert (report.individuals, report.photos, report.judged, report.queries) == (21, 81, 20, queries)
    assert way.top_1.value == pytest.approx(np.mean(first)) and way.top_12.value == pytest.approx(np.mean(twelve))
    assert 0.4 < way.top_1.value < 1
    assert way.baks is not None and way.baus is not None and way.geometric_mean is not None
    assert way.geometric_mean.value == pytest.approx((way.baks.value * way.baus.value) ** 0.5)
    assert way.baks.value <= way.top_1.value + 0.05
    for figure in (way.top_1, way.top_12, way.baks, way.baus, way.auroc):
        assert figure.low is not None and figure.high is not None
        assert 0 <= figure.low <= figure.value <= figure.high <= 1


def test_figures_at_a_promise_are_those_of_a_count() -> None:
    """Against loops: in each draw, the limit is counted by the P(new) of strangers, and each query is called by it."""
    share = 0.1
    subject = replace(subject_of(0, 20, 4, 0.3), false_known=share)
    report = catalogue_report(subject, [Way("alone", subject.gallery.embeddings)], None, [], Progress())
    [way] = report.ways
    rng = generator(0, "holding out")
    owner, points = subject.gallery.individuals, subject.gallery.embeddings.numpy()
    right: dict[int, list[bool]] = {}
    noticed: dict[int, list[bool]] = {}
    for _ in range(DRAWS):
        held_out = hold_out(owner, subject.encounters, np.arange(20), rng)
        names, index = np.unique(owner[held_out.enrolled], return_inverse=True)
        part = Gallery(subject.gallery.embeddings[torch.from_numpy(held_out.enrolled)], held_out.enrolled, index)
        model = fit_identification(part, Euclidean(), np.zeros(len(names), np.bool_)).model
        assert model is not None
        strangers = model.strangers[max(model.strangers)]
        for limit in sorted({chance for photos in strangers for chance in photos}):
            called = [np.mean([chance <= limit for chance in photos]) for photos in strangers]
            if (1 + sum(called)) / (len(strangers) + 1) > share + 1e-9:
                break
        for query, new in zip(held_out.queries, held_out.new, strict=True):
            far = np.linalg.norm(points[held_out.enrolled] - points[query], axis=1)
            each = np.array([far[index == number].min() for number in range(len(names))])
            order = np.argsort(each)
            known = model.probabilities(each[order][None], len(names))[1][0] < limit
            if new:
                noticed.setdefault(owner[query], []).append(not known)
            else:
                right.setdefault(owner[query], []).append(bool(known and names[order[0]] == owner[query]))
    assert way.promised_baks is not None and way.promised_baus is not None
    assert way.promised_baks.value == pytest.approx(np.mean([np.mean(each) for each in right.values()]))
    assert way.promised_baus.value == pytest.approx(np.mean([np.mean(each) for each in noticed.values()]))
    assert way.baks is not None and 0 < way.promised_baks.value < way.baks.value
    assert report.as_json()["false_known"] == share
    assert report.as_json()["ways"]["alone"]["promised_baus"]["value"] == way.promised_baus.value


def test_a_promise_that_too_few_individuals_can_show_is_refused_before_any_search() -> None:
    subject = replace(subject_of(0, 20, 4, 0.3), false_known=0.05)  # 21 individuals, 4 of which are held out as new
    with pytest.raises(UserError, match=r"of 21 individuals .* 17 stay .* and 19 are needed"):
        subject.individuals()
    subject.trained[:15] = True
    with pytest.raises(UserError, match=r"of 6 individuals .* and 10 are needed"):
        replace(subject, false_known=0.2).individuals()
    with pytest.raises(UserError, match="above 0 and below 1"):
        ReportOptions(false_known=5.0)


def test_individuals_far_apart_are_all_found_and_new_ones_noticed() -> None:
    subject = subject_of(1, 20, 4, 0.01)
    [way] = catalogue_report(subject, [Way("alone", subject.gallery.embeddings)], None, [], Progress()).ways
    assert way.top_1.value == 1 and way.auroc.value > 0.99
    assert way.baks is not None and way.baks.value > 0.95 and way.baus is not None and way.baus.value > 0.9


def test_few_individuals_have_no_probabilities_and_fewer_no_report() -> None:
    subject = subject_of(2, 7, 3, 0.2)
    report = catalogue_report(subject, [Way("alone", subject.gallery.embeddings)], None, ["a note"], Progress())
    [way] = report.ways
    assert way.baks is None and way.geometric_mean is None and 0.5 < way.auroc.value <= 1
    assert report.notes[0] == "a note" and "10 are needed" in report.notes[1]
    assert report.as_json()["ways"]["alone"]["baks"] is None
    with pytest.raises(UserError, match="4 individuals have photos of two encounters, and a report needs 5"):
        subject_of(3, 4, 3, 0.2).individuals()


def test_individuals_that_trained_are_searched_for_only_if_there_are_too_few_others() -> None:
    subject = subject_of(4, 20, 3, 0.2)
    subject.trained[:8] = True
    judged, biased = subject.individuals()
    assert judged.tolist() == list(range(8, 20)) and not biased
    subject.trained[:12] = True
    judged, biased = subject.individuals()
    assert judged.tolist() == list(range(20)) and biased


@pytest.fixture(scope="module")
def opened(telling: Path, tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    folder = write_photos(tmp_path_factory.mktemp("photos"), [f"p{number:02}" for number in range(14)])
    read: list[Record] = READERS.build("folder", {"root": str(folder)}, seed=0)
    records = [Record(r.name, r.individual, r.source, attributes={"day": r.name[-5]}) for r in read]
    return enrol(telling, records, tmp_path_factory.mktemp("catalogues") / "c", Progress())[0]


@pytest.mark.slow
def test_a_catalogue_is_reported_in_all_ways(opened: Catalogue) -> None:
    report = opened.report(rerank="k-reciprocal", mirror=True, encounter="day")
    assert [way.name for way in report.ways] == ["alone", "with mirror", "with k-reciprocal re-ranking"]
    assert report.ways[0].top_1 != report.ways[1].top_1 or report.ways[0].auroc != report.ways[1].auroc
    assert report.rand_index == opened.cluster().rand_index and report.rand_index is not None
    told = report.as_json()
    assert told["ways"]["alone"]["top_1"] == report.ways[0].top_1._asdict()
    assert told["rand_index"]["value"] == report.rand_index.value
    assert not any("--encounter" in note for note in report.notes)


class Shade:
    """A matcher: the more alike the mean shades of two photos are, the more points they share."""

    def __repr__(self) -> str:
        return "Shade()"

    def describe(self, photo: NDArray[np.uint8]) -> Keypoints:
        return Keypoints(np.full((1, 2), photo.mean(), np.float32), np.ones((1, 1), np.float32), (1, 1))

    def match(self, first: Keypoints, second: Keypoints) -> PointMatches:
        places = np.zeros((max(0, 40 - int(abs(first.points - second.points)[0, 0])), 2), np.float32)
        return PointMatches(places, places)


@pytest.mark.medium
def test_a_second_look_is_measured_with_and_without_a_refinement(
    opened: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    look = SecondLook(Shade(), 3, 1)
    report = opened.report(second_look=look, expand=2)
    assert [way.name for way in report.ways] == [
        "alone", "with Shade", "with query expansion by 2 photos", "with Shade, query expansion by 2 photos",
    ]  # fmt: skip
    assert len({(way.top_1, way.auroc) for way in report.ways}) == 4


def test_an_unknown_column_is_refused(opened: Catalogue) -> None:
    with pytest.raises(UserError, match="no column 'night'"):
        opened.report(encounter="night")
