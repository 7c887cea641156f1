"""The global generators: what draws is noticed, and GPUs that a run does not use sleep on."""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from siamesekit.config import Config
from siamesekit.engine.random_state import drawing_from, drawn_by, random_state, restore_random_state, seed_all
from siamesekit.experiment import check, run


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
