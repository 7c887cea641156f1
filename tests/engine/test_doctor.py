"""The doctor: each finding on curves drawn for it, silence on those of a training that goes well."""

from typing import Any

import numpy as np
import pytest

from siamesekit.engine.doctor import Finding, above_random_layers, diagnose


def curve(epochs: int = 12, **figures: Any) -> list[dict[str, Any]]:
    """Lines of a training that goes well but for some figures: numbers, null, or functions of the epoch."""
    well = {
        "train_loss": lambda epoch: 0.7 * 0.8 ** (epoch - 1),
        "train_accuracy": lambda epoch: 1 - 0.3 * 0.8**epoch,
        "test_loss": lambda epoch: 0.5 + 0.2 * 0.8**epoch,
        "test_accuracy": lambda epoch: 0.8 - 0.1 * 0.8**epoch,
        "d_ap_mean": 0.2,
        "d_an_mean": 1.5,
        "active_triplets": lambda epoch: 0.02 + 0.9 * 0.8 ** (epoch - 1),
        "empty_batches": 0.0,
        "embedding_variance": 0.6,
        "gradient_norm": lambda epoch: 2 * 0.8**epoch,
    }
    return [
        {"epoch": epoch} | {k: v(epoch) if callable(v) else v for k, v in (well | figures).items()}
        for epoch in range(1, epochs + 1)
    ]


def names(lines: list[dict[str, Any]], margin: float | None = 1.0) -> list[str]:
    return [finding.name for finding in diagnose(lines, margin)]


def test_a_training_that_goes_well_has_no_finding_at_any_time() -> None:
    for epochs in range(61):
        for margin in (1.0, None):
            assert names(curve(epochs), margin) == []


def test_a_test_loss_that_creeps_up_for_long_is_overfitting() -> None:
    """Train loss 0.73 → 0.0035 in 60 epochs, active share 0.8 → 0.02, test loss 0.80 → 0.41 → 0.57."""
    lines = curve(
        60,
        train_loss=lambda epoch: 0.73 * (0.0035 / 0.73) ** ((epoch - 1) / 59),
        active_triplets=lambda epoch: 0.8 * (0.02 / 0.8) ** ((epoch - 1) / 59),
        test_loss=lambda epoch: 0.8 - 0.39 * epoch / 13 if epoch <= 13 else 0.41 + 0.16 * (epoch - 13) / 47,
        test_accuracy=lambda epoch: 0.67 + 0.19 * epoch / 13 if epoch <= 13 else 0.86 - 0.12 * (epoch - 13) / 47,
    )
    assert all(names(lines[:epochs]) == [] for epochs in range(24))
    [finding] = diagnose(lines, 1.0)
    assert (finding.name, finding.last) == ("overfitting", 60)
    assert finding.first == 18, "after the best five epochs, 13 to 17"
    assert "from 0.41" in finding.meaning and "to 0.56" in finding.meaning


def test_figures_that_are_null_or_lacking_tell_nothing() -> None:
    nothing = [{"epoch": line["epoch"], **dict.fromkeys(list(line)[1:])} for line in curve()]
    assert diagnose(nothing, 1.0) == diagnose([{"epoch": 1}] * 9, 1.0) == diagnose([], 1.0) == []
    test_alone = [{"epoch": epoch, "test_loss": 1 + abs(epoch - 5) / 10} for epoch in range(1, 21)]
    assert diagnose(test_alone, 1.0) == []


AT_MARGIN: dict[str, Any] = {"train_loss": lambda epoch: 0.7 if epoch < 4 else 0.98, "embedding_variance": 0.001}


@pytest.mark.parametrize(
    ("figures", "margin", "found"),
    [
        (AT_MARGIN, 1.0, (4, 8)),
        (AT_MARGIN | {"embedding_variance": 0.02}, 1.0, None),
        (AT_MARGIN, 2.0, None),
        (AT_MARGIN | {"embedding_variance": None, "d_ap_mean": 0.01, "d_an_mean": 0.04}, 1.0, (4, 8)),
        (AT_MARGIN | {"embedding_variance": None, "d_ap_mean": 0.01, "d_an_mean": 0.06}, 1.0, None),
        ({"embedding_variance": 0.001}, 1.0, None),
        ({"embedding_variance": 0.001}, None, None),
        ({"embedding_variance": 0.001, "train_loss": 5.0}, None, (2, 8)),
    ],
)
def test_collapse(figures: dict[str, Any], margin: float | None, found: tuple[int, int] | None) -> None:
    lines = curve(8, **figures)
    collapses = [f for f in diagnose(lines, margin) if f.name == "collapse"]
    assert [(f.first, f.last) for f in collapses] == ([] if found is None else [found])
    if found is not None:
        early = lines[: found[0] + 1]
        assert "collapse" not in names(early, margin), "two epochs may be chance"
        assert "flat-loss" not in names(lines, margin), "it follows from the collapse"


@pytest.mark.parametrize("sign", [{"empty_batches": 0.95}, {"active_triplets": 0.0, "train_loss": 0.0}])
def test_a_dead_miner(sign: dict[str, float]) -> None:
    [finding] = diagnose(curve(3, **sign))
    assert (finding.name, finding.first, finding.last) == ("dead-miner", 1, 3)
    assert diagnose(curve(2, **sign)) == []
    assert diagnose(curve(3, **sign, test_accuracy=0.95)) == [], "there is nothing left to learn"
    once = [line | (sign if line["epoch"] in (2, 3, 5, 6) else {}) for line in curve(7)]
    assert diagnose(once) == []


def test_a_miner_that_finds_little_is_not_dead() -> None:
    assert diagnose(curve(9, empty_batches=0.5, active_triplets=0.01)) == []


def test_an_exploding_loss_and_an_exploding_gradient() -> None:
    [finding] = diagnose(curve(6, train_loss=lambda epoch: 50.0 if epoch == 5 else 0.7 * 0.9**epoch))
    assert (finding.name, finding.first, finding.last) == ("exploding", 5, 5)
    [finding] = diagnose(curve(6, gradient_norm=lambda epoch: 300.0 if epoch > 4 else 1.0 + 0.5 * epoch))
    assert (finding.name, finding.first, finding.last) == ("exploding", 5, 6)
    assert diagnose(curve(6, gradient_norm=lambda epoch: 20.0 if epoch > 4 else 1.0)) == []
    assert diagnose(curve(6, gradient_norm=lambda epoch: 0.0 if epoch < 5 else 1.0)) == []
    assert diagnose(curve(6, gradient_norm=lambda epoch: {1: 5.0, 6: 10.0}.get(epoch, 0.01))) == [], "as in the first"


def test_a_loss_that_does_not_fall() -> None:
    flat: dict[str, Any] = {"train_loss": lambda epoch: 0.7 + 0.01 * (epoch % 2), "test_accuracy": 0.6}
    assert names(curve(5, **flat)) == []
    [finding] = diagnose(curve(6, **flat), 1.0)
    assert (finding.name, finding.first, finding.last) == ("flat-loss", 1, 6)
    assert names(curve(6, **flat | {"test_accuracy": lambda epoch: 0.6 + 0.01 * epoch})) == [], (
        "hard triplets stay hard"
    )
    assert names(curve(6, **flat | {"test_accuracy": 0.93})) == []
    assert names(curve(9, **flat | {"train_loss": lambda epoch: 0.7 - 0.1 * (epoch == 9)})) == []


def test_a_test_loss_that_rises_while_training_goes_on() -> None:
    rising: dict[str, Any] = {"test_loss": lambda epoch: 0.5 if epoch < 8 else 0.5 + 0.1 * (epoch - 8)}
    lines = curve(20, **rising)
    [finding] = diagnose(lines)
    assert (finding.name, finding.last) == ("overfitting", 20)
    assert 5 < finding.first < 12
    first = next(end for end in range(21) if diagnose(lines[:end]))
    assert sum(line["test_loss"] for line in lines[first - 5 : first]) / 5 > 1.1 * 0.5
    assert diagnose(curve(20, **rising, train_loss=lambda epoch: 0.5 + 0.02 * epoch)) == [], "training does not fall"
    assert diagnose(curve(20, test_loss=lambda epoch: 0.5 + 0.05 * (epoch % 7 == 0))) == []


def noisy(seed: int, epochs: int, correlation: float, scatter: float) -> np.ndarray:
    """Noise about 1, a share of which lasts from epoch to epoch."""
    rng = np.random.default_rng(seed)
    noise = [rng.normal()]
    for _ in range(epochs - 1):
        noise.append(correlation * noise[-1] + (1 - correlation**2) ** 0.5 * rng.normal())
    return 1 + scatter * np.array(noise)


@pytest.mark.medium
@pytest.mark.parametrize(("correlation", "most"), [(0.0, 1), (0.3, 3)])
@pytest.mark.parametrize("scatter", [0.02, 0.1])
def test_flat_noisy_curves_hardly_ever_overfit(correlation: float, most: int, scatter: float) -> None:
    """Looked at after every epoch of 40, as a run does."""
    alarms = 0
    for seed in range(40):
        test, train = noisy(seed, 40, correlation, scatter), noisy(seed + 999, 40, 0.0, 0.03)
        lines = curve(
            40,
            test_loss=lambda epoch, test=test: (0.5 + 0.3 * 0.8**epoch) * test[epoch - 1],
            train_loss=lambda epoch, train=train: 0.6 * 0.92**epoch * train[epoch - 1],
        )
        alarms += any("overfitting" in names(lines[:epochs]) for epochs in range(10, 41))
    assert alarms <= most


@pytest.mark.parametrize("scatter", [0.0, 0.02, 0.05])
def test_a_test_loss_that_rises_beyond_its_noise_is_overfitting(scatter: float) -> None:
    """Train 0.20 → 0.12, test 0.15 in epoch 16, 0.21 in epoch 30."""
    found = 0
    for seed in range(40):
        test, train = noisy(seed, 30, 0.0, scatter), noisy(seed + 999, 30, 0.0, 0.02)
        lines = curve(
            30,
            test_loss=lambda epoch, test=test: (
                (0.15 + 0.06 * (0.8 ** max(epoch, 1) if epoch < 16 else (epoch - 16) / 14)) * test[epoch - 1]
            ),
            train_loss=lambda epoch, train=train: (0.12 + 0.08 * 0.9**epoch) * train[epoch - 1],
        )
        found += "overfitting" in names(lines)
    assert found >= 38


def test_layers_that_are_frozen_and_random_are_a_finding() -> None:
    for weights in ("random", "random, BatchNorm-calibrated"):
        found = above_random_layers(weights, "layer4", 30)
        assert found is not None
        assert (found.name, found.first, found.last) == ("random-layers", 1, 30)
        assert "'layer4'" in found.meaning
        assert above_random_layers(weights, "", 30) is None, "all layers train"
    for weights in ("imagenet", "/photos/random.safetensors"):
        assert above_random_layers(weights, "layer4", 30) is None


def test_a_finding_is_told_with_its_epochs_and_what_to_try() -> None:
    assert str(Finding("collapse", 3, 5, "All alike.", "less.")) == "collapse (epochs 3 to 5): All alike. Try: less."
    assert str(Finding("collapse", 3, 3, "All alike.", "less.")).startswith("collapse (epoch 3):")
