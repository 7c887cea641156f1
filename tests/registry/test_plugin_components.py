"""What a plugin's component gives is checked: each misbehaviour is one sentence with plugin, component and cure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from siamesekit.components.distances.accepted import refuse_what_is_none
from siamesekit.components.encoders.accepted import refuse_wrong_features
from siamesekit.components.encoders.backbone import Backbone
from siamesekit.components.losses.loss import LossValue, problem_of_value
from siamesekit.components.miners.miner import problem_of_tuples
from siamesekit.components.samplers.accepted import PluginSampler, refuse_what_changes
from siamesekit.components.samplers.batch import Batch
from siamesekit.components.tuples import Pairs, Triplets
from siamesekit.data.images import read_pixels
from siamesekit.data.photo_files import UnreadableError
from siamesekit.data.records import Box, Record
from siamesekit.errors import MissingDataError, PluginError
from siamesekit.registry import DISTANCES, registry_of

pytestmark = pytest.mark.usefixtures("no_traces")


def made(kind: str, gives: Any, **runtime: Any) -> Any:
    """What is built of a plugin's component that gives `gives`, or what calling it gives."""

    def mine() -> Any:
        """Gives it."""
        return gives() if isinstance(gives, partial) else gives

    mine.__qualname__ = "mine"
    registry_of(kind).register("mine")(mine)
    return registry_of(kind).build("mine", {}, **runtime)


def refused(kind: str, work: Callable[[], Any]) -> str:
    """What a refusal says after the component's name."""
    with pytest.raises(PluginError) as error:
        work()
    named = f"{kind} 'mine' of test_plugin_components.py "
    assert str(error.value).startswith(named)
    return str(error.value).removeprefix(named)


A = Record("a", "x", Path("a.png"))


def broken() -> Iterator[Record]:
    yield A
    raise KeyError("column")


@pytest.mark.parametrize(
    ("gives", "expected"),
    [
        (None, "gives None; expected a list of Record, or a generator of them"),
        ("photos", "gives a str; expected"),
        ({"a": A}, "gives a dict; expected"),
        ([], "gives no records: check its folder or table"),
        ([A, ("b", "x", Path("b"))], "gives as record 2 of 2 a tuple; expected Record(name, individual, source)"),
        ([Record("a", 7, Path("a"))], "gives as record 1 of 1 7 as its individual; expected text"),  # type: ignore[arg-type]
        ([Record("", "x", Path("a"))], "gives as record 1 of 1 one whose name is empty; expected text"),
        (
            [Record("a", "x", "a.png")],
            "gives as record 1 of 1 one whose source is a str; expected a Path, or a "  # type: ignore[arg-type]
            "function that gives the pixels: wrap it in Path",
        ),
        (
            [Record("a", "x", Path("a"), box=(1, 2, 3, 4))],  # type: ignore[arg-type]
            "gives as record 1 of 1 one whose box is a tuple; expected Box(x, y, width, height) of finite numbers",
        ),
        ([Record("a", "x", Path("a"), box=Box(0, math.nan, 1, 1))], "gives as record 1 of 1 one whose box is "),
        ([Record("a", "x", Path("a"), box=Box(0, 0, 0, 1))], "gives as record 1 of 1 one whose box is "),
        (
            [Record("a", "x", Path("a"), attributes={"age": 7})],  # type: ignore[dict-item]
            "gives as record 1 of 1 one whose attributes are a dict; expected a dict of texts",
        ),
        ([A, Record("b", "x", Path("b")), A], "gives two records of the name a, 1 and 3 of 3; expected distinct names"),
        (partial(broken), "fails in broken at line "),
    ],
)
def test_a_reader_gives_records_of_distinct_names(gives: Any, expected: str) -> None:
    assert refused("reader", lambda: made("reader", gives)).startswith(expected)


def test_a_record_may_have_a_box_and_attributes_and_no_known_individual() -> None:
    record = Record("a", "", Path("a"), box=Box(-1, 0.5, 2, 3, rotation=-90), attributes={"side": "left", "date": ""})
    assert made("reader", [record]) == [record]


def test_a_reader_may_be_a_generator_and_may_lack_its_data() -> None:
    assert made("reader", iter([A, Record("b", "x", lambda: np.zeros((2, 2, 3), np.uint8))]))[0] is A

    def lacking() -> list[Record]:
        raise MissingDataError("no folder")

    with pytest.raises(MissingDataError, match=r"^no folder$"):  # so that a stand-in may take its place
        made("reader", partial(lacking))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (lambda: 1 / 0, "its reader's function fails in <lambda> at line .* ZeroDivisionError: division by zero"),
        (partial(lambda x: x.oops, 1), "its reader's function fails in <lambda> at line .* AttributeError"),
        (lambda: [1, 2], "its reader returned a list"),
        (lambda: torch.zeros(4, 4, 3), r"its reader returned a tensor float32 \[4, 4, 3\]"),
        (lambda: np.zeros((4, 4, 4), np.uint8), r"its reader returned an array uint8 \[4, 4, 4\]"),
        (lambda: np.zeros((0, 4, 3), np.uint8), r"its reader returned an array uint8 \[0, 4, 3\]"),
    ],
)
def test_a_reader_s_function_that_fails_is_a_photo_that_cannot_be_used(source: Any, expected: str) -> None:
    with pytest.raises(UnreadableError, match=expected):
        read_pixels(Record("a", "x", source))


class Batches:
    """A sampler of given batches, the same in each epoch."""

    def __init__(self, *batches: Any, length: int | None = None) -> None:
        self.batches = batches
        self.length = length

    def __len__(self) -> int:
        return len(self.batches) if self.length is None else self.length

    def epoch(self, epoch: int) -> Iterator[Any]:
        yield from self.batches

    def state_dict(self) -> dict[str, int]:
        return {"kept": 1}


def images(*index: int) -> Tensor:
    return torch.tensor(index, dtype=torch.int64)


GOOD = Batch(images(0, 2, 4), Triplets(images(0), images(1), images(2)))


@pytest.mark.parametrize(
    ("sampler", "expected"),
    [
        (Batches((images(0), None)), "gives as batch 1 of epoch 1 a tuple; expected Batch(images, triplets)"),
        (Batches(Batch([0, 1], None)), "gives as batch 1 of epoch 1 one whose images are a list; expected a tensor "  # type: ignore[arg-type]
         "int64 [n], indices into the training photos"),
        (Batches(GOOD, Batch(images(0, 5), None)), "gives as batch 2 of epoch 1 one whose images go from 0 to 5; "
         "expected indices into the training photos, 0 … 4"),
        (Batches(Batch(images(-1, 1), None)), "gives as batch 1 of epoch 1 one whose images go from -1 to 1"),
        (Batches(Batch(images(1, 1), None)), "gives as batch 1 of epoch 1 one that has an image twice"),
        (Batches(Batch(images(), None)), "gives as batch 1 of epoch 1 one without images"),
        (Batches(Batch(images(1, 2).int(), None)), "gives as batch 1 of epoch 1 one whose images are a tensor int32"),
        (Batches(Batch(images(3, 4), Triplets(images(0), images(1), images(4)))),
         "gives as batch 1 of epoch 1 one whose triplets' negatives go from 4 to 4; expected indices into the batch's "
         "own images, 0 … 1"),
        (Batches(Batch(images(3, 4), Triplets(images(0, 1), images(1), images(1)))),
         "gives as batch 1 of epoch 1 one whose triplets have parts of different lengths"),
        (Batches(Batch(images(3, 4), images(1))), "gives as batch 1 of epoch 1 one whose triplets are a tensor int64"),  # type: ignore[arg-type]
        (Batches(GOOD, length=3), "gives 1 batches in epoch 1, but its length is 3"),
        (Batches(), "gives 0 batches in epoch 1, but its length is 0; expected the same number, at least 1"),
    ],
)  # fmt: skip
def test_a_sampler_s_batches_are_of_the_training_photos(sampler: Any, expected: str) -> None:
    built = made("sampler", sampler, labels=np.zeros(5, np.int64))
    built.photos = 5
    assert refused("sampler", lambda: list(built.epoch(1))).startswith(expected)


def test_a_good_sampler_passes_with_what_else_it_has() -> None:
    built = made("sampler", Batches(GOOD))
    assert (list(built.epoch(1)), len(built), built.state_dict()) == ([GOOD], 1, {"kept": 1})
    assert not hasattr(built, "mine")
    assert refused("sampler", lambda: made("sampler", [GOOD])).startswith(
        "gives a list without epoch; expected a sampl"
    )


def test_a_sampler_whose_epoch_changes_when_it_is_asked_again_is_refused() -> None:
    built: PluginSampler = made("sampler", Batches(GOOD))
    refuse_what_changes(built, [GOOD], [GOOD])
    for other in ([], [Batch(images(0, 2, 3), GOOD.triplets)], [Batch(GOOD.images, None)]):
        said = refused("sampler", lambda other=other: refuse_what_changes(built, [GOOD], other))
        assert said.startswith("gives different batches when the same epoch is repeated")


@pytest.mark.parametrize("factor", [0, 0.5, np.float64(2.0), torch.tensor(0.25)])
def test_a_schedule_s_factor_is_a_number(factor: Any) -> None:
    assert made("schedule", lambda step: factor)(3) == float(factor)


@pytest.mark.parametrize(
    ("factor", "expected"),
    [
        (-0.1, "gives -0.1 at step 3; expected a finite number, at least 0"),
        (float("nan"), "gives nan at step 3"),
        (float("inf"), "gives inf at step 3"),
        (None, "gives None at step 3"),
        ("1", "gives a str at step 3"),
        (torch.ones(2), "gives a tensor float32 [2] at step 3"),
    ],
)
def test_another_factor_is_refused(factor: Any, expected: str) -> None:
    assert refused("schedule", lambda: made("schedule", lambda step: factor)(3)).startswith(expected)


def test_a_schedule_that_is_none_and_one_that_fails_are_told() -> None:
    assert refused("schedule", lambda: made("schedule", 0.5)).startswith("gives 0.5; expected a schedule: a callable")
    assert "ZeroDivisionError" in refused("schedule", lambda: made("schedule", lambda step: 1 / 0)(0))


class NoRate(torch.optim.Optimizer):
    def __init__(self, params: Any) -> None:
        super().__init__(params, {})


def test_an_optimizer_moves_all_it_was_given_and_has_rates() -> None:
    parameters = [nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(3))]
    good = torch.optim.SGD(parameters, lr=0.1)
    assert made("optimizer", good, params=parameters) is good
    assert made("optimizer", good, params=[{"params": parameters}]) is good
    half = torch.optim.SGD(parameters[:1], lr=0.1)
    for optimizer, expected in (
        (half, "optimizes 1 of the 2 parameters that it received; expected all of them"),
        (NoRate(parameters), "gives a group of parameters without a learning rate"),
        (None, "gives None; expected a torch.optim.Optimizer"),
    ):
        said = refused("optimizer", lambda one=optimizer: made("optimizer", one, params=parameters))
        assert said.startswith(expected)


def backbone(network: nn.Module, features: Any = 4) -> Backbone:
    return Backbone(network, features, mean=(0.0,) * 3, std=(255.0,) * 3)


def test_an_encoder_is_a_backbone_with_the_features_that_it_names() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 4))
    component, photos = registry_of("encoder"), torch.zeros(2, 3, 2, 2, dtype=torch.uint8)
    built = made("encoder", backbone(network))
    refuse_wrong_features(built, component.get("mine"), photos)
    for gives, expected in (
        (network, "gives a Sequential; expected Backbone(network, num_features, mean, std)"),
        (backbone(network, 4.0), "has num_features 4.0; expected a whole number, at least 1"),
        (backbone(nn.Flatten()), "gives a network without parameters"),
    ):
        assert refused("encoder", lambda one=gives: made("encoder", one)).startswith(expected)
    for wrong, expected in (
        (
            backbone(network, 5),
            "gives a tensor float32 [2, 4] for a tensor uint8 [2, 3, 2, 2]; expected features [2, 5]",
        ),
        (backbone(nn.Sequential(nn.Linear(2, 2))), "gives a tensor float32 [2, 3, 2, 2] for"),
        (backbone(nn.Sequential(nn.Flatten(), nn.Linear(9, 4))), "fails in forward: RuntimeError: "),
    ):
        said = refused("encoder", lambda one=wrong: refuse_wrong_features(one, component.get("mine"), photos))
        assert said.startswith(expected)
    nn.init.constant_(network[1].bias, float("nan"))
    said = refused("encoder", lambda: refuse_wrong_features(built, component.get("mine"), photos))
    assert said.startswith("gives features that are not finite")


def measured(distance: Any) -> Any:
    built = made("distance", distance)
    refuse_what_is_none(built, DISTANCES.get("mine"))
    return built


class WithPairs:
    ranks_as = "euclidean"

    def __init__(self, wrong: float = 0.0, shape: int = 0) -> None:
        self.wrong, self.shape = wrong, shape

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        return (a - b).square().sum(-1)

    def pairwise(self, a: Tensor, b: Tensor) -> Tensor:
        return self(a[:, None], b[None, self.shape :]) + self.wrong


def test_a_distance_may_be_negative_and_have_its_own_pairs() -> None:
    measured(lambda a, b: -(a * b).sum(-1))
    measured(WithPairs())


class RanksOddly(WithPairs):
    ranks_as = "manhattan"


@pytest.mark.parametrize(
    ("distance", "expected"),
    [
        (
            lambda a, b: a - b,
            "gives a tensor float32 [3, 5, 8] for [3, 1, 8] and [5, 8]; expected a float tensor [3, 5]",
        ),
        (lambda a, b: (a - b).abs().sum(), "gives a tensor float32 [] for [3, 1, 8] and [5, 8]"),
        (lambda a, b: torch.cdist(a, b), "gives a tensor float32 [3, 1, 5] for"),
        (lambda a, b: 0.5, "gives 0.5 for [3, 1, 8] and [5, 8]"),
        (lambda a, b: (a - b).sum(-1).long(), "gives a tensor int64 [3, 5] for"),
        (lambda a, b: (a - b).abs().sum(-1).log(), "gives distances that are not finite for [3, 8] and [3, 8]"),
        (lambda a, b: a.oops, "fails in <lambda> at line "),
        (lambda a: a, "fails in __call__: TypeError: "),
        (WithPairs(wrong=0.5), "gives different distances by pairwise and by __call__"),
        (WithPairs(shape=1), "gives a tensor float32 [3, 4] for pairwise; expected a float tensor [3, 5]"),
        (RanksOddly(), "has ranks_as 'manhattan'; expected one of 'euclidean', 'cosine', 'dot', or none"),
    ],
)
def test_a_distance_gives_a_number_for_each_pair_of_rows(distance: Any, expected: str) -> None:
    assert refused("distance", lambda: measured(distance)).startswith(expected)


@pytest.mark.parametrize(
    ("tuples", "expected"),
    [
        (Triplets(images(0), images(1), images(2)), ""),
        (Pairs(images(0, 1), images(1, 0), images(), images()), ""),
        (None, "None; expected Triplets or Pairs"),
        ((images(0), images(1), images(2)), "a tuple; expected Triplets or Pairs"),
        (
            Triplets(images(0), images(1), images(3)),
            "indices from 3 to 3 as its negative; expected indices into the batch of 3, 0 … 2",
        ),
        (Triplets(images(0), images(-1), images(2)), "indices from -1 to -1 as its positive"),
        (Triplets(images(0), images(1).int(), images(2)), "a tensor int32 [1] as its positive"),
        (Triplets(images(0, 1), images(1), images(2)), "tuples whose parts have different lengths"),
        (Pairs(images(0), images(1), images(0), images()), "tuples whose parts have different lengths"),
    ],
)
def test_a_miner_s_tuples_are_of_the_batch(tuples: Any, expected: str) -> None:
    problem = problem_of_tuples(tuples, 3)
    assert problem.startswith(expected) and bool(problem) == bool(expected)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (torch.ones(3), "a tensor float32 [3]; expected LossValue(objective, mean, active), or the objective alone"),
        (0.5, "0.5; expected LossValue"),
        (None, "None; expected LossValue"),
        (LossValue(torch.ones(3), torch.tensor(1.0), torch.tensor(1.0)), "a tensor float32 [3] as its objective"),
        (LossValue(torch.tensor(1.0), 1.0, torch.tensor(1.0)), "1.0 as its mean; expected a float tensor []"),  # type: ignore[arg-type]
    ],
)
def test_another_value_of_a_loss_is_refused(value: Any, expected: str) -> None:
    assert problem_of_value(value).startswith(expected)
