"""The global generators: what draws is noticed, and GPUs that a run does not use sleep on."""

import random
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from siamesekit.config import Config
from siamesekit.engine.random_state import (
    OwnRandomness,
    all_left_as_found,
    drawing_from,
    drawn_by,
    random_state,
    restore_random_state,
    seed_all,
)
from siamesekit.experiment.running import check, run


@pytest.mark.parametrize(
    ("work", "draws"),
    [
        (lambda: torch.rand(3), True),
        (lambda: np.random.random(), True),  # noqa: NPY002
        (random.random, True),
        (lambda: torch.zeros(3), False),
        (lambda: torch.rand(3, generator=torch.Generator()), False),
    ],
    ids=["torch", "numpy", "python", "nothing", "a generator of its own"],
)
def test_who_draws_is_noticed_and_leaves_no_trace(work: Callable[[], object], draws: bool) -> None:
    def next_ones() -> tuple[float, float, float]:
        return float(torch.rand(())), float(np.random.random()), random.random()  # noqa: NPY002

    seed_all(3, "a test")
    expected = next_ones()
    seed_all(3, "a test")
    assert drawn_by(work)[1] == draws
    assert next_ones() == expected


def test_a_generator_that_is_seeded_for_a_while_goes_on_afterwards() -> None:
    before = torch.get_rng_state()
    with pytest.raises(KeyError), drawing_from(7):
        seeded = torch.rand(4)
        raise KeyError
    assert torch.equal(seeded, torch.rand(4, generator=torch.Generator().manual_seed(7)))
    assert torch.equal(torch.get_rng_state(), before)
    with drawing_from():
        assert torch.equal(torch.get_rng_state(), before), "without a seed it goes on from where it is"
        torch.rand(1)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_states_of_gpus_that_sleep_are_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def woken(*given: object) -> object:
        raise AssertionError("a GPU is woken")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    for name in ("get_rng_state_all", "set_rng_state_all"):
        monkeypatch.setattr(torch.cuda, name, woken)
    state = random_state()
    assert state["cuda"] == []
    restore_random_state(state)


@pytest.mark.slow
def test_a_check_and_a_run_fork_no_generator_of_devices_they_do_not_use(
    monkeypatch: pytest.MonkeyPatch, small_config: Callable[..., Config], tmp_path: Path
) -> None:
    """`fork_rng` without a list of devices takes into use all that a machine has."""
    real = torch.random.fork_rng

    def fork(devices: list[torch.device] | None = None, **options: object) -> object:
        assert devices == [], "of the CPU alone"
        return real(devices, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(torch.random, "fork_rng", fork)
    config = small_config("loss.name=proxy-anchor", "distance.name=cosine", "sampler.name=p-by-k", "train.epochs=1")
    check(config, "cpu", "fp32")
    run(config, tmp_path / "run", device="cpu", precision="fp32")


def draws() -> list[float]:
    """A number from each of the global generators."""
    return [float(torch.rand(())), float(np.random.random()), random.random()]  # noqa: NPY002


def test_the_global_generators_are_left_as_they_were_found_also_after_an_error() -> None:
    before = random_state()
    expected = draws()
    restore_random_state(before)
    with pytest.raises(ZeroDivisionError), all_left_as_found():
        seed_all(3, "anything")
        draws()
        raise ZeroDivisionError
    assert draws() == expected


DRAWING: dict[str, Callable[[], torch.Tensor]] = {
    "rand": lambda: torch.rand(9),
    "randn": lambda: torch.randn(9),
    "randn, float64": lambda: torch.randn((3, 3), dtype=torch.float64, device="cpu"),
    "randint": lambda: torch.randint(10**9, (9,)),
    "randint, from": lambda: torch.randint(5, 10**9, (9,)),
    "randperm": lambda: torch.randperm(99),
    "rand_like": lambda: torch.rand_like(torch.empty(9)),
    "randint_like": lambda: torch.randint_like(torch.empty(9), 5, 10**6),
    "normal": lambda: torch.normal(0.0, 1.0, (9,)),
    "normal_": lambda: torch.empty(9).normal_(),
    "uniform_": lambda: torch.empty(9).uniform_(),
    "bernoulli": lambda: torch.bernoulli(torch.full((99,), 0.5)),
    "bernoulli_": lambda: torch.empty(99).bernoulli_(0.5),
    "exponential_": lambda: torch.empty(9).exponential_(),
    "random_": lambda: torch.empty(9).random_(),
    "multinomial": lambda: torch.multinomial(torch.ones(99), 9),
    "trunc_normal_": lambda: torch.nn.init.trunc_normal_(torch.empty(9)),
    "orthogonal_": lambda: torch.nn.init.orthogonal_(torch.empty(3, 3)),
    "kaiming_uniform_": lambda: torch.nn.Linear(4, 4).weight,
    "out": lambda: torch.rand(9, out=torch.empty(9)),
}


@pytest.mark.parametrize("draw", DRAWING.values(), ids=DRAWING)
def test_what_is_drawn_from_a_generator_of_its_own_leaves_torchs_alone(draw: Callable[[], torch.Tensor]) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    with OwnRandomness():
        first, second = draw(), draw()
    assert not torch.equal(first, second), "they are random"
    assert torch.equal(torch.get_rng_state(), before)
    draw()
    assert not torch.equal(torch.get_rng_state(), before), "else this shows nothing"


def test_a_generator_that_is_given_and_other_threads_draws_are_left_alone() -> None:
    given = torch.Generator().manual_seed(5)
    expected = torch.rand(4, generator=torch.Generator().manual_seed(5))
    torch.manual_seed(2)
    drawn: list[torch.Tensor] = []
    with OwnRandomness():
        assert torch.equal(torch.rand(4, generator=given), expected)
        thread = threading.Thread(target=lambda: drawn.append(torch.rand(4)))
        thread.start()
        thread.join()
    torch.manual_seed(2)
    assert torch.equal(drawn[0], torch.rand(4))
