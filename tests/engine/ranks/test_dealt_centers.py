"""Centres that are divided among processes: losses, gradients, steps and states are those of one process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from followers import followers, loss_for, optimizer_for
from siamesekit.components.losses.traits import traits
from siamesekit.engine.optimization import Optimization
from siamesekit.engine.ranks.dealt_average import DealtAverage
from siamesekit.engine.ranks.dealt_optimizer import DealtOptimizer
from siamesekit.engine.ranks.leading_centers import DealtLoss, LeadingCenters
from siamesekit.engine.weight_average import WeightAverage
from siamesekit.errors import ComponentError
from siamesekit.hardware.ranks import Ranks

JOB: dict[str, Any] = {
    "loss": "arcface",
    "options": {"scale": 8.0, "sub_centers": 2, "smallest_margin": 0.1, "smoothing": 0.1},
    "optimizer": "adam",
    "moving": {"lr": 0.05},
}
LABELS = torch.tensor([4, 0, 2, 4, 1, 3, 0])
MATRIX = torch.randn(6, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
DECAY = 0.9
SLOW = pytest.mark.slow


@pytest.fixture(scope="module", params=[2, *(pytest.param(size, marks=SLOW) for size in (1, 3, 4))])
def ranks(request: pytest.FixtureRequest) -> Iterator[Ranks]:
    with followers(request.param) as connection:
        yield connection


class Training:
    """An encoder of one matrix and a loss that train, in one process or with centres that several share."""

    def __init__(
        self, ranks: Ranks | None, individuals: int, accumulate: int, clip: float, job: dict[str, Any]
    ) -> None:
        self.individuals = individuals
        self.encoder = nn.Linear(6, 6, bias=False).double()
        self.encoder.weight.data.copy_(MATRIX)
        self.loss = loss_for(job, individuals)
        self.centers = None if ranks is None else LeadingCenters(ranks, self.loss, torch.device("cpu"), DECAY)
        of_loss: Any = optimizer_for(job, [self.loss.centers])
        self.average: Any = WeightAverage([self.encoder, self.loss], DECAY)
        if self.centers is not None:
            self.loss = DealtLoss(self.centers)
            of_loss, self.average = DealtOptimizer(of_loss, self.centers), DealtAverage(self.average, self.centers)
        optimizer = torch.optim.SGD(self.encoder.parameters(), 0.1)
        self.optimization = Optimization(optimizer, of_loss, _factor, clip, self.average, None, accumulate)

    def of(self, number: int) -> tuple[Any, Tensor]:
        """Loss and embeddings of the random photos of a batch."""
        photos = torch.randn(len(LABELS), 6, generator=torch.Generator().manual_seed(number), dtype=torch.float64)
        embeddings = self.encoder(photos)
        return self.loss(embeddings, LABELS.roll(number) % self.individuals, None), embeddings

    def train(self, numbers: range, batches: int = 5) -> list[Any]:
        """For each batch its loss, the share of active terms, and all gradients."""
        found = []
        for number in numbers:
            self.optimization.begin_batch(number)
            value, embeddings = self.of(number)
            embeddings.retain_grad()
            value.objective.backward()
            gradients = [embeddings.grad, self.encoder.weight.grad.clone(), self.gradient_of_centers()]
            found.append([value.objective.detach(), value.mean, value.active, *gradients])
            if self.optimization.end_batch(number, batches):
                self.optimization.step(number)
        return found

    def gradient_of_centers(self) -> Tensor:
        if self.centers is None:
            return self.loss.centers.grad.clone()
        return self.centers.gathered({"gradient": self.centers.loss.centers.grad})["gradient"]

    def state(self) -> dict[str, Any]:
        parts = {"encoder": self.encoder, "descent": self.optimization, "loss": self.loss}
        return {name: part.state_dict() for name, part in parts.items()}

    def go_on(self, state: dict[str, Any]) -> None:
        self.encoder.load_state_dict(state["encoder"])
        self.optimization.load_state_dict(state["descent"])
        self.loss.load_state_dict(state["loss"])


def _factor(step: int) -> float:
    return 1 / (1 + step)


@contextmanager
def training(
    ranks: Ranks | None, individuals: int = 5, accumulate: int = 1, clip: float = 0.0, **job: Any
) -> Iterator[Training]:
    """A training whose other processes follow until the end of the block."""
    wanted = {**JOB, **job}
    if ranks is not None:
        ranks.order("loss", wanted)
    yield Training(ranks, individuals, accumulate, clip, wanted)
    if ranks is not None:
        ranks.end()


def assert_alike(ours: Any, theirs: Any, within: float = 1e-12) -> None:
    """Two nested states have the same form and, up to rounding, the same numbers."""
    if isinstance(theirs, Tensor):
        assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
        assert (ours - theirs).abs().sum() <= within * max(1.0, theirs.abs().sum())
    elif isinstance(theirs, dict):
        assert [*ours] == [*theirs]
        for name in theirs:
            assert_alike(ours[name], theirs[name], within)
    elif isinstance(theirs, list | tuple):
        assert type(ours) is type(theirs) and len(ours) == len(theirs)
        for our, their in zip(ours, theirs, strict=True):
            assert_alike(our, their, within)
    else:
        assert ours == (pytest.approx(theirs) if isinstance(theirs, float) else theirs)


@pytest.mark.medium
@pytest.mark.parametrize("loss", ["arcface", "cosface"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"sub_centers": 3, "smoothing": 0.2},
        {"smallest_margin": 0.1},
        {"sub_centers": 2, "smallest_margin": 0.1, "smoothing": 0.1, "scale": 8.0},
    ],
    ids=["plain", "sub-centres, smoothing", "margins", "all"],
)
def test_loss_and_gradients_are_those_of_one_process(ranks: Ranks, loss: str, options: dict[str, Any]) -> None:
    with training(None, loss=loss, options=options) as alone, training(ranks, loss=loss, options=options) as shared:
        assert traits(shared.loss) == traits(alone.loss)
        expected = alone.train(range(1))
        assert all(each.abs().max() > 1e-3 for each in expected[0][:2] + expected[0][3:])
        assert_alike(shared.train(range(1)), expected)


@pytest.mark.parametrize("individuals", [1, 2, 3])
def test_a_process_may_hold_no_individual(ranks: Ranks, individuals: int) -> None:
    """Three individuals leave the fourth process of four without; one individual, all but the leader."""
    with training(None, individuals) as alone, training(ranks, individuals) as shared:
        assert_alike(shared.train(range(3)), alone.train(range(3)), 1e-10)
        assert_alike(shared.state(), alone.state(), 1e-10)


@pytest.mark.parametrize(
    ("optimizer", "moving"),
    [
        ("adam", {}),
        ("sgd", {"momentum": 0.9}),
        ("keras-adam", {"lr": 0.1}),
        pytest.param("adamw", {}, marks=SLOW),
        pytest.param("torch/nadam", {}, marks=SLOW),
        pytest.param("torch/adagrad", {}, marks=SLOW),
        pytest.param("torch/asgd", {}, marks=SLOW),
        pytest.param("torch/rprop", {}, marks=SLOW),
    ],
)
def test_steps_and_state_are_those_of_one_process(ranks: Ranks, optimizer: str, moving: dict[str, Any]) -> None:
    """With a schedule, clipping over encoder and loss, groups of two batches, and an average of the weights."""
    job = {"optimizer": optimizer, "moving": moving, "accumulate": 2, "clip": 0.3}
    with training(None, **job) as alone, training(ranks, **job) as shared:
        assert_alike(shared.train(range(5)), alone.train(range(5)), 1e-10)
        state = alone.state()
        assert_alike(shared.state(), state, 1e-10)
        assert not torch.equal(state["descent"]["average"]["average"][1], state["loss"]["centers"])


@pytest.mark.medium
@pytest.mark.parametrize("batches", [2, 3])
@pytest.mark.parametrize(("before", "after"), [("alone", "shared"), ("shared", "alone"), ("shared", "shared")])
def test_a_state_goes_on_in_one_process_and_in_several(ranks: Ranks, before: str, after: str, batches: int) -> None:
    """Also within a group of two batches, whose gradients are part of the state."""
    job = {"accumulate": 2, "clip": 0.3, "optimizer": "keras-adam"}
    of = {"alone": None, "shared": ranks}
    with training(None, **job) as whole:
        whole.train(range(batches))
        expected, left = whole.train(range(batches, 5)), whole.state()
    with training(of[before], **job) as first:
        first.train(range(batches))
        state = first.state()
    with training(of[after], **job) as second:
        second.go_on(state)
        assert_alike(second.train(range(batches, 5)), expected, 1e-10)
        assert_alike(second.state(), left, 1e-10)


def test_the_average_is_applied_on_all_processes(ranks: Ranks) -> None:
    with training(None) as alone, training(ranks) as shared:
        for each in (alone, shared):
            each.train(range(3))
        found = []
        for each in (shared, alone):
            with torch.no_grad():
                before = each.of(7)[0].mean
                with each.average.applied():
                    inside = each.of(7)[0].mean
                after = each.of(7)[0].mean
                each.average.apply()
                found.append([before, inside, after, each.of(7)[0].mean])
        assert_alike(found[0], found[1], 1e-10)
        assert found[0][0] == found[0][2] != found[0][1] == found[0][3]


def test_a_value_without_gradient_leaves_those_that_are_there(ranks: Ranks) -> None:
    """As of the test photos between two epochs."""
    with training(None, accumulate=2) as alone, training(ranks, accumulate=2) as shared:
        for each in (alone, shared):
            each.train(range(1))
            with torch.no_grad():
                each.of(8)
            each.of(9)
        assert_alike(shared.train(range(1, 2)), alone.train(range(1, 2)))


def test_embeddings_without_gradient_give_the_centres_theirs(ranks: Ranks) -> None:
    with training(None) as alone, training(ranks) as shared:
        for each in (alone, shared):
            each.encoder.requires_grad_(False)
            each.of(0)[0].objective.backward()
        assert_alike(shared.gradient_of_centers(), alone.gradient_of_centers())


def test_not_a_number_is_what_it_is_in_one_process(ranks: Ranks) -> None:
    with training(ranks) as shared:
        shared.encoder.weight.data[0] = torch.nan
        assert shared.of(0)[0].objective.isnan()


def test_other_batches_and_states_are_refused(ranks: Ranks) -> None:
    """Before the other processes are asked to do anything, so that they are not left waiting."""
    with training(ranks) as shared, training(None, individuals=6) as other:
        with pytest.raises(ComponentError, match=r"labels must be 0 … 4"):
            shared.loss(torch.ones(1, 6), torch.tensor([5]))
        other.train(range(2))
        state = other.state()
        with pytest.raises(ValueError, match=r"^centers: expected a tensor \[10, 6\], not \[12, 6\]$"):
            shared.loss.load_state_dict(state["loss"])
        with pytest.raises(ValueError, match=r"^exp_avg: expected a tensor \[10, 6\], not \[12, 6\]$"):
            shared.optimization.load_state_dict(state["descent"])
        with pytest.raises(ValueError, match=r"^expected a state with centers alone, not with proxies$"):
            shared.loss.load_state_dict({"proxies": torch.zeros(10, 6)})
        assert shared.of(0)[0].objective.isfinite()


@pytest.mark.medium
def test_the_leader_holds_its_own_centres_only(ranks: Ranks) -> None:
    with training(ranks, individuals=8) as shared:
        assert len(shared.loss.own.centers) == 2 * -(-8 // ranks.size)
        assert [parameter is shared.loss.own.centers for parameter in shared.loss.parameters()] == [True]
        assert shared.loss.state_dict()["centers"].shape == (16, 6)
