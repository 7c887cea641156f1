"""What components raise in the middle of a run: an error of the run, with component, batch and photos."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from conftest import LoadConfig
from siamesekit.components.losses.loss import LossValue
from siamesekit.components.samplers.batch import Batch
from siamesekit.components.tuples import Triplets
from siamesekit.engine.faults import ComponentRunError, failing_as, naming_failures
from siamesekit.engine.test_set import TestSet
from siamesekit.errors import RunError, UserError
from siamesekit.experiment.running import run
from siamesekit.registry import LOSSES, MINERS, SAMPLERS, SCHEDULES

pytestmark = pytest.mark.usefixtures("plain_charts")


def test_an_error_is_told_with_its_part_and_place_in_one_line() -> None:
    with (
        pytest.raises(ComponentRunError) as caught,
        naming_failures({"loss": "mine"}, ["a", "b\n", "c"]),
        failing_as("a step", "epoch 9"),
        failing_as("loss", "batch 2", [1, 2]),
    ):
        raise IndexError("first\nsecond")
    assert str(caught.value) == r"loss 'mine' failed in batch 2 (photos 'b\n', c): IndexError: first second"
    assert isinstance(caught.value.__cause__, IndexError)


@pytest.mark.parametrize("error", [RunError("ours"), KeyboardInterrupt(), MemoryError(), RuntimeError("out of memory")])
def test_errors_of_the_run_and_want_of_memory_pass(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, failing_as("loss"):
        raise error
    assert caught.value is error


def test_a_message_cannot_command_a_terminal() -> None:
    with pytest.raises(ComponentRunError) as caught, failing_as("loss"):
        raise ValueError("\x1b[2J" + "x" * 10_000)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 1000


class Breaks:
    """Raises from a call on."""

    def __init__(self, at: int, how: str = "raise") -> None:
        self.at, self.how, self.calls = at, how, 0

    def now(self) -> bool:
        self.calls += 1
        if self.calls < self.at:
            return False
        if self.how == "raise":
            raise ValueError("I have had enough")
        return True


def register(kind: str, at: int, how: str) -> None:
    """A component `breaking` of a kind, which breaks at a call; the counter outlives copies made for trials."""
    state = Breaks(at, how)

    class Gives(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, values: Tensor) -> Tensor:
            return values.clone()

        @staticmethod
        def backward(ctx: Any, slope: Tensor) -> Tensor:
            raise ValueError("I have had enough")

    if kind == "loss":

        @LOSSES.register("breaking")
        class Loss:
            def __deepcopy__(self, memo: object) -> Loss:
                return Trial()

            def __call__(self, embeddings: Tensor, labels: Tensor, tuples: Any) -> LossValue:
                broken = state.now()
                objective = (Gives.apply(embeddings) if broken and how == "backward" else embeddings).square().sum()
                return LossValue(objective, objective.detach(), torch.ones(()))

        class Trial(Loss):
            def __call__(self, embeddings: Tensor, labels: Tensor, tuples: Any) -> LossValue:
                objective = embeddings.square().sum()
                return LossValue(objective, objective.detach(), torch.ones(()))

    elif kind == "miner":

        @MINERS.register("breaking")
        class Miner:
            def __deepcopy__(self, memo: object) -> Miner:
                return Quiet()

            def __call__(self, embeddings: Tensor, labels: Tensor) -> Triplets:
                state.now()
                return Quiet()(embeddings, labels)

        class Quiet(Miner):
            def __call__(self, embeddings: Tensor, labels: Tensor) -> Triplets:
                return MINERS.build("all")(embeddings, labels)  # type: ignore[no-any-return]

    elif kind == "sampler":

        @SAMPLERS.register("breaking")
        class Sampler:
            def __init__(self, *, labels: Any, seed: int) -> None:
                self.inner = SAMPLERS.build("p-by-k", {"individuals": 2, "photos": 2}, labels=labels, seed=seed)

            def __len__(self) -> int:
                return len(self.inner)

            def epoch(self, epoch: int) -> Iterator[Batch]:
                for number, batch in enumerate(self.inner.epoch(epoch)):
                    if epoch == 2 and number == 1:
                        if how == "nonsense":
                            yield Batch(torch.tensor([10**6]), None)
                        raise ValueError("I have had enough")
                    yield batch

            if how == "mine":

                def mine(self, epoch: int, embed: Any) -> None:
                    if epoch == 2:
                        raise ValueError("I have had enough")

                def state_dict(self) -> dict[str, Any]:
                    return {}

                def load_state_dict(self, state: dict[str, Any]) -> None: ...

    else:

        @SCHEDULES.register("breaking")
        def breaking(*, steps: int) -> Callable[[int], float]:
            def factor(step: int) -> float:
                if how == "raise" and state.calls >= 0 and steps > 4 and step == 4:
                    raise ValueError("I have had enough")
                return 1.0

            return factor


SMALL = ("train.epochs=2", "evaluation.bootstrap=100", "encoder.train_from=layer4")


@pytest.mark.slow
@pytest.mark.usefixtures("no_traces")
@pytest.mark.parametrize(
    ("kind", "how", "says"),
    [
        ("loss", "raise", r"epoch 1, batch 3 \(photos .*\): loss 'breaking' of test_faults.py fails in Breaks.now at "
                          r"line \d+: ValueError: I have had enough"),
        ("loss", "backward", r"epoch 1, batch 3 \(photos .*\): loss 'breaking' of test_faults.py fails in "
                             r"register.Gives.backward at line \d+: ValueError: I have had enough"),
        ("miner", "raise", r"epoch 1, batch 3 \(photos .*\): miner 'breaking' of test_faults.py fails in Breaks.now at "
                           r"line \d+: ValueError: I have had enough"),
        ("sampler", "raise", r"planning epoch 2: sampler 'breaking' of test_faults.py fails in register.Sampler.epoch "
                             r"at line \d+: ValueError: I have had enough"),
        ("sampler", "nonsense", r"planning epoch 2: sampler 'breaking' of test_faults.py gives as batch 2 of epoch 2 "
                                r"one whose images go from 1000000 to 1000000; expected indices"),
        ("sampler", "mine", r"mining before epoch 2: sampler 'breaking' of test_faults.py fails in "
                            r"register.Sampler.mine at line \d+: ValueError: I have had enough"),
        ("schedule", "raise", r"epoch \d, batch \d+ \(photos .*\): schedule 'breaking' of test_faults.py fails in "
                              r"register.breaking.factor at line \d+: ValueError: I have had enough"),
    ],
)  # fmt: skip
def test_a_component_that_fails_in_training_is_named_and_the_run_can_go_on(
    kind: str, how: str, says: str, small_config: LoadConfig, tmp_path: Path
) -> None:
    register(kind, 3, how)
    chosen = {
        "loss": ("loss={name='breaking'}",),
        "miner": ("miner={name='breaking'}",),
        "sampler": ("sampler={name='breaking'}", "loss={name='contrastive'}"),
        "schedule": ("schedule={name='breaking'}",),
    }[kind]
    small = ("sampler={name='p-by-k', individuals=2, photos=2}",) if kind != "sampler" else ()
    config = small_config(*SMALL, *small, *chosen)
    with pytest.raises(RunError, match=rf"^{kind} 'breaking' failed in {says}"):
        run(config, tmp_path / "run", device="cpu", precision="fp32")
    if kind == "sampler":  # after an epoch there is a checkpoint
        assert any((tmp_path / "run/checkpoints").iterdir())


@pytest.mark.usefixtures("no_traces")
def test_a_loss_that_fails_on_the_test_photos_is_named_with_them(small_config: LoadConfig, tmp_path: Path) -> None:
    @LOSSES.register("breaking")
    class OnTest(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()

        def forward(self, embeddings: Tensor, labels: Tensor, tuples: Any) -> LossValue:
            if not self.training:
                raise ValueError("I have had enough")
            objective = embeddings.square().sum()
            return LossValue(objective, objective.detach(), torch.ones(()))

    del OnTest
    config = small_config(*SMALL, "sampler={name='p-by-k', individuals=2, photos=2}", "loss={name='breaking'}")
    with pytest.raises(RunError, match=r"loss 'breaking' failed in the test loss, batch 1 \(photos \S+, .*"):
        run(config, tmp_path / "run", device="cpu", precision="fp32")


@pytest.mark.usefixtures("no_traces")
@pytest.mark.parametrize("what", ["second batch", "equal embeddings", "smallest batch"])
def test_the_trial_before_training_finds_what_fails_later(what: str, small_config: LoadConfig, tmp_path: Path) -> None:
    sizes: set[int] = set()

    @LOSSES.register("breaking")
    class Loss:
        def __init__(self) -> None:
            self.kept: Tensor = torch.zeros(())

        def __call__(self, embeddings: Tensor, labels: Tensor, tuples: Any) -> LossValue:
            sizes.add(len(labels))
            if what == "equal embeddings" and len(embeddings.detach().unique(dim=0)) < len(embeddings):
                raise ValueError("two are equal")
            if what == "smallest batch" and len(labels) < max(sizes):
                raise ValueError("a small one")
            objective = embeddings.square().sum()
            if what == "second batch":
                objective = objective + self.kept
                self.kept = objective
            return LossValue(objective, objective.detach(), torch.ones(()))

    del Loss
    config = small_config(*SMALL, "sampler={name='random-triplets', batch_size=7}", "loss={name='breaking'}")
    with pytest.raises(UserError, match="do not work together on a batch of"):
        run(config, tmp_path / "run", device="cpu", precision="fp32")
    assert not (tmp_path / "run").exists()


def test_a_loss_that_wants_more_memory_than_there_is_ends_as_a_run_error() -> None:
    with pytest.raises(RunError, match="Out of memory"), naming_failures({}, []), failing_as("loss"):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")


def test_the_test_loss_names_the_batch_by_itself() -> None:
    def loss(*_: object) -> LossValue:
        raise ValueError("no")

    batches = (Batch(torch.tensor([0, 2, 3]), Triplets(*torch.tensor([[0], [1], [2]]))),)
    test = TestSet(
        torch.arange(4), torch.tensor([0, 0, 0, 1]).numpy(), Triplets(*torch.tensor([[0], [1], [3]])), None, batches
    )
    with pytest.raises(ComponentRunError) as caught:
        test.loss_and_accuracy(torch.rand(4, 2), loss, lambda a, b: (a - b).abs().sum(-1))
    assert caught.value.photos == [0, 2, 3]
