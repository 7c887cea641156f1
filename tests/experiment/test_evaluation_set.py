"""Who is searched among whom: the gallery, the columns that keep photos apart, and the queries that find nothing."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from conftest import LoadConfig
from siamesekit.components.distances.squared_euclidean import SquaredEuclidean
from siamesekit.config import Config
from siamesekit.data.records import Record, individuals_of
from siamesekit.data.splits import Split
from siamesekit.errors import DataError
from siamesekit.experiment.dataset import Dataset
from siamesekit.experiment.evaluation_set import evaluation_set
from siamesekit.experiment.judgement import Network, judge, threshold

ROWS = [  # name, individual, encounter, side, part
    ("a1", "a", "e1", "left", "train"),
    ("a2", "a", "e2", "left", "train"),
    ("a3", "a", "e2", "right", "test"),
    ("b1", "b", "e3", "left", "train"),
    ("b2", "b", "e3", "right", "test"),
    ("b3", "b", "", "left", "test"),
    ("c1", "c", "e4", "left", "gallery"),
    ("c2", "c", "e5", "right", "test"),
    ("n1", "n", "e6", "left", "test"),
    ("n2", "n", "e7", "right", "test"),
    ("m1", "m", "e8", "right", "test"),
    ("m2", "m", "e9", "right", "test"),
    ("o1", "o", "e10", "right", "test"),
    ("o2", "o", "e11", "right", "test"),
    ("p1", "p", "e12", "right", "test"),
    ("p2", "p", "e13", "right", "test"),
]
TESTED = "a3 b2 b3 c2 n1 n2 m1 m2 o1 o2 p1 p2"


def dataset(rows: list[tuple[str, ...]] = ROWS) -> Dataset:
    records = tuple(
        Record(
            name, individual, lambda: np.zeros((2, 2, 3), np.uint8), attributes={"encounter": encounter, "side": side}
        )
        for name, individual, encounter, side, _ in rows
    )
    names = individuals_of(records)
    parts = {part: tuple(i for i, row in enumerate(rows) if row[4] == part) for part in ("train", "test", "gallery")}
    return Dataset(
        records,
        torch.zeros(len(rows), 3, 2, 2, dtype=torch.uint8),
        tuple(names),
        np.array([names.index(record.individual) for record in records]),
        Split(parts["train"], (), parts["test"], parts["gallery"]),
        "made",
        None,
        (),
    )


@pytest.fixture
def config(small_config: LoadConfig) -> Callable[..., Config]:
    def load(*overrides: str, by: str = "photo") -> Config:
        return small_config(f'split.by="{by}"', *(f"evaluation.{override}" for override in overrides))

    return load


def judgement(config: Config, data: Dataset, embeddings: Tensor) -> dict:
    chosen = evaluation_set(config, data)
    point, notes = threshold(config, chosen, embeddings[chosen.photos], SquaredEuclidean())
    networks = dict.fromkeys(
        ("trained", "untrained", "raw_pixels"), Network(embeddings[chosen.photos], SquaredEuclidean())
    )
    return judge(config, chosen, networks, point, notes)


@pytest.mark.parametrize(
    ("which", "by", "searched"),
    [
        ("auto", "identity", TESTED),
        ("auto", "photo", "a1 a2 b1 c1"),
        ("test", "photo", TESTED),
        ("train", "identity", "a1 a2 b1 c1"),
        ("all", "photo", f"{TESTED} a1 a2 b1 c1"),
    ],
)
def test_the_gallery_is_as_the_config_says(config: Callable[..., Config], which: str, by: str, searched: str) -> None:
    made = evaluation_set(config(f'gallery="{which}"', by=by), dataset())
    assert [made.names[place] for place in made.protocol.gallery.tolist()] == searched.split()
    assert [made.names[place] for place in made.protocol.queries.tolist()] == TESTED.split()
    assert made.tested == 12


def test_photos_of_the_same_encounter_are_kept_apart_and_the_queries_without_another_are_told(
    config: Callable[..., Config],
) -> None:
    made = evaluation_set(config('exclude=["encounter"]'), dataset())
    assert made.answerable.tolist() == [True, False, True, True, *[False] * 8]
    assert made.notes() == [
        "8 of 12 queries have no photo of their individual among the photos that did not test, and are left out of the "
        "retrieval figures: n1, n2, m1, m2, o1 and 3 more",
        "1 of 12 queries share the encounter of all photos of their individual, and are left out of the retrieval "
        "figures: b2",
    ]
    both = evaluation_set(config('exclude=["encounter", "side"]'), dataset())
    assert both.answerable.tolist() == [True] * 4 + [False] * 8, "a3 and a2 differ in side"


def test_a_column_that_no_photo_has_is_refused_with_the_columns_there_are(config: Callable[..., Config]) -> None:
    with pytest.raises(
        DataError, match=r"'encunter', which no photo has.*'encounter'.*the photos have: encounter, side"
    ):
        evaluation_set(config('exclude=["encunter"]'), dataset())


def test_an_evaluation_without_anything_to_find_is_refused(config: Callable[..., Config]) -> None:
    rows = [row for row in ROWS if row[4] != "gallery" and row[1] in "an"]
    with pytest.raises(DataError, match=r"no test photo has a photo of its individual to find among .* of another enc"):
        evaluation_set(config('exclude=["encounter"]'), dataset([row for row in rows if row[0] != "a1"]))


def test_figures_of_groups_encounters_and_new_individuals_are_those_of_loops(config: Callable[..., Config]) -> None:
    data = dataset()
    embeddings = torch.from_numpy(np.random.default_rng(4).normal(size=(16, 2)))
    for first, place in zip(range(8, 16, 2), ([30, 0], [0, 30], [-30, 0], [0, -30]), strict=True):
        embeddings[first : first + 2] += torch.tensor(place)  # new individuals, far from the gallery and each other
    found = judgement(config(), data, embeddings)
    gallery, queries = [0, 1, 3, 6], [2, 4, 5, 7]

    def right(query: int, among: list[int]) -> bool:
        nearest = min(among, key=lambda photo: float((embeddings[query] - embeddings[photo]).square().sum()))
        return ROWS[nearest][1] == ROWS[query][1]

    hits = {query: right(query, gallery) for query in queries}
    assert (found["queries"], found["gallery"], found["photos"]) == (4, 4, 12)
    assert found["networks"]["trained"]["precision_at_1"]["value"] == np.mean(list(hits.values()))
    sides = {"left": [5], "right": [2, 4, 7]}
    for side, of in sides.items():
        group = found["groups"]["side"][side]
        assert group["queries"] == len(of)
        assert group["precision_at_1"]["value"] == pytest.approx(np.mean([hits[query] for query in of]))
    others = found["other_encounters"]
    apart = {2: [0, 3, 6], 5: gallery, 7: gallery}  # of b2, the only photo is of the same encounter
    assert others["queries"] == 3
    assert others["networks"]["trained"]["precision_at_1"]["value"] == pytest.approx(
        np.mean([right(query, among) for query, among in apart.items()])
    )
    assert found["open_set"]["auroc"]["value"] == 1
    assert (found["open_set"]["known"], found["open_set"]["new"]) == (4, 8)
    assert found["threshold"] is not None, "the new individuals set it"
    far = [
        min(float((embeddings[query] - embeddings[photo]).square().sum()) for photo in gallery)
        for query in range(8, 16)
    ]
    called_new = np.mean([distance > found["threshold"]["threshold"] for distance in far])
    assert found["open_set"]["baus"]["value"] == pytest.approx(called_new, abs=1e-12)


def test_a_test_part_without_triplets_is_judged_by_its_rankings(config: Callable[..., Config]) -> None:
    data = dataset([row for row in ROWS if row[0] in ("a1", "a2", "a3", "b1", "b2")])
    found = judgement(config(), data, torch.from_numpy(np.random.default_rng(0).normal(size=(5, 2))))
    assert found["triplets"] == 0
    assert "triplet_accuracy" not in found["networks"]["trained"]
    assert found["training"]["comparisons"] == 4
    assert found["threshold"] is None
    assert replace(data).split.test == (2, 4)
