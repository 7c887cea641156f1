"""The training doctor: problems of a training, found in the figures of its epochs, and what to try."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any, Literal

Name = Literal["collapse", "dead-miner", "exploding", "flat-loss", "not-numbers", "overfitting", "random-layers"]
Line = Mapping[str, Any]

LASTING = 3
"""Epochs in a row that must show a problem, since a single one may show it by chance."""
WINDOW = 5
"""Epochs over which a curve is smoothed; shorter curves are not judged."""
ALIKE = 0.01
"""Embeddings with a variance below this share of their mean squared length all point the same way."""
NEAR_MARGIN = 0.1
"""A triplet loss this near its margin, as a share of the margin, ranks nothing: d_ap ≈ d_an."""
POOR = 0.9
"""Share of test triplets ranked right; below it, there is something left to learn."""
NOTHING = 0.001
"""A share of active terms up to this counts as none."""
MOST = 0.9
"""A share of batches from which on they count as nearly all."""
LOSS_GROWS, GRADIENT_GROWS = 3.0, 100.0
"""Factors from which a figure explodes: over the first epoch's, and for gradients also over the median of the epochs
before."""
FALLEN = 0.98
"""A loss that stays above this share of the first epoch's loss has not fallen."""
RISEN = 1.5
"""A test loss this many times its lowest value rises, whatever its scatter."""
RISES, SIGNIFICANT, FALLS = 0.1, 5.0, 2.0
"""A test loss also rises if it exceeds its lowest value by the share `RISES` and by `SIGNIFICANT` standard errors of
its scatter from epoch to epoch. A training loss falls if it falls by `FALLS` standard errors. Of flat curves with
independent scatter, checked after each of 60 epochs, at most 2 % give this finding
(`test_flat_noisy_curves_hardly_ever_overfit`)."""


@dataclass(frozen=True)
class Finding:
    """A problem of a training.

    Attributes:
        name: name of the problem.
        first: first epoch that shows it.
        last: last epoch that shows it.
        meaning: what the problem means.
        advice: what to try, the most promising first.
    """

    name: Name
    first: int
    last: int
    meaning: str
    advice: str

    def __str__(self) -> str:
        epochs = f"epoch {self.first}" if self.first == self.last else f"epochs {self.first} to {self.last}"
        return f"{self.name} ({epochs}): {self.meaning} Try: {self.advice}"


def diagnose(lines: Sequence[Line], margin: float | None = None) -> list[Finding]:
    """Find the problems of a training in its lines of metrics.jsonl.

    - `collapse`: over 3 epochs embeddings are alike (`embedding_variance` below 0.01, or distances below a twentieth of
      the margin), while the loss is within 10 % of the margin; without a margin, while the loss has not fallen below
      98 % of the first epoch's.
    - `dead-miner`: over 3 epochs the miner finds nothing in 9 of 10 batches, or no term has a loss, while less than
      90 % of the test triplets are ranked right.
    - `exploding`: the loss is 3 times the first epoch's, or the gradient is 3 times the first epoch's and 100 times
      the median of the epochs before.
    - `flat-loss`: after 5 epochs the loss has never been below 98 % of the first epoch's, and the test accuracy is
      below 90 % and has not risen by 0.01 over the first.
    - `overfitting`: the mean test loss of the last 5 epochs is above that of its 5 best consecutive epochs, 1.5 times,
      or by a tenth and by 5 standard errors of its scatter, while the training loss kept falling.

    Figures that are missing or null are ignored.

    Args:
        lines: lines of the epochs so far, in order.
        margin: a triplet's loss at d_ap = d_an; None if the loss has no such margin.
    """
    collapse = _lasting(lines, _collapsed(lines, margin))
    dead = _lasting(lines, _dead)
    found = [
        collapse
        and Finding(
            "collapse",
            *collapse,
            "All embeddings are nearly alike, so no distance tells individuals apart, and the gradient is nearly 0.",
            'a smaller optimizer.lr, [schedule] name = "warmup-cosine", all triplets or miner semi-hard in place of '
            "hard ones, a larger batch.",
        ),
        dead
        and Finding(
            "dead-miner",
            *dead,
            "Hardly any batch has a triplet or pair with a loss above 0, so the network no longer trains, although it "
            "does not yet tell the test photos apart.",
            "more individuals and photos in a batch, a larger loss.margin, a miner that selects more, stronger "
            "[augmentation] if the training photos are already ranked right.",
        ),
        _exploding(lines),
        None if collapse or dead else _flat(lines),
        _overfitting(lines),
    ]
    return [finding for finding in found if finding]


def above_random_layers(weights: str, train_from: str, epochs: int, lora: bool = False) -> Finding | None:
    """The finding that layers train above frozen random layers; None if they do not.

    Args:
        weights: source of the encoder's weights, in words.
        train_from: first block that trains; empty if all train.
        epochs: number of epochs of the training.
        lora: whether matrices beside the layers train, and none of the backbone's weights.
    """
    if not (train_from or lora) or not weights.startswith("random"):
        return None
    frozen = (
        f"The layers before {train_from!r} are frozen and random: they were never trained, so the layers above them"
    )
    meaning = f"{frozen} may never learn to tell individuals apart, however long they train."
    otherwise = 'encoder.train_from = "" so that all layers train.'
    if lora:
        frozen = (
            "The weights of the backbone are frozen and random: they were never trained, and LoRA changes them only"
        )
        meaning = f"{frozen} a little, so the network may never learn to tell individuals apart."
        otherwise = "no encoder.lora, so that the weights train."
    return Finding(
        "random-layers",
        min(1, epochs),
        epochs,
        meaning,
        'pretrained encoder.weights ("imagenet", which needs a network connection once; or a file), or ' + otherwise,
    )


def _figure(line: Line, key: str) -> float:
    """A figure of a line; NaN if it is missing or null."""
    value = line.get(key)
    return math.nan if value is None else float(value)


def _curve(lines: Sequence[Line], key: str) -> list[tuple[int, float]]:
    """The epochs that have a figure, with the figure."""
    return [(line["epoch"], value) for line in lines if not math.isnan(value := _figure(line, key))]


def _lasting(lines: Sequence[Line], shows: Callable[[Line], bool]) -> tuple[int, int] | None:
    """The first and last epoch of the last stretch of at least `LASTING` lines for which `shows` is true."""
    stretch: list[int] = []
    found = None
    for line in lines:
        stretch = [*stretch, line["epoch"]] if shows(line) else []
        if len(stretch) >= LASTING:
            found = stretch[0], stretch[-1]
    return found


def _collapsed(lines: Sequence[Line], margin: float | None) -> Callable[[Line], bool]:
    first = _figure(lines[0], "train_loss") if lines else math.nan

    def shows(line: Line) -> bool:
        loss, variance = _figure(line, "train_loss"), _figure(line, "embedding_variance")
        if margin is None or margin == 0:
            return variance < ALIKE and line is not lines[0] and loss > FALLEN * first
        far = max(_figure(line, "d_ap_mean"), _figure(line, "d_an_mean"))
        return abs(loss - margin) < NEAR_MARGIN * margin and (variance < ALIKE or far < NEAR_MARGIN / 2 * margin)

    return shows


def _dead(line: Line) -> bool:
    accuracy = _figure(line, "test_accuracy")
    empty, active = _figure(line, "empty_batches"), _figure(line, "active_triplets")
    return accuracy < POOR and (empty >= MOST or active <= NOTHING)


def _exploding(lines: Sequence[Line]) -> Finding | None:
    losses, gradients = _curve(lines, "train_loss"), _curve(lines, "gradient_norm")
    grown = [epoch for epoch, loss in losses if loss > LOSS_GROWS * losses[0][1] > 0]
    for place, (epoch, norm) in enumerate(gradients):
        usual = median(value for _, value in gradients[:place]) if place >= LASTING else math.nan
        if norm > GRADIENT_GROWS * usual > 0 and norm > LOSS_GROWS * gradients[0][1]:
            grown.append(epoch)
    if not grown:
        return None
    return Finding(
        "exploding",
        min(grown),
        max(grown),
        "The loss or its gradient has grown out of hand: steps are too large.",
        'a smaller optimizer.lr, optimizer.clip_norm = 1.0, [schedule] name = "warmup-cosine", '
        "encoder.head.normalize = true.",
    )


def _flat(lines: Sequence[Line]) -> Finding | None:
    losses, accuracies = _curve(lines, "train_loss"), _curve(lines, "test_accuracy")
    if len(losses) <= WINDOW or losses[0][1] <= 0 or min(loss for _, loss in losses[1:]) < FALLEN * losses[0][1]:
        return None
    if accuracies and (max(a for _, a in accuracies) > accuracies[0][1] + 0.01 or accuracies[-1][1] >= POOR):
        return None
    return Finding(
        "flat-loss",
        losses[0][0],
        losses[-1][0],
        "The loss does not fall, and the test photos are ranked no better.",
        "a larger optimizer.lr (or a smaller one, where the loss jumps), an earlier encoder.train_from, an easier "
        "miner or none, a check that the individuals are labelled right.",
    )


def _overfitting(lines: Sequence[Line]) -> Finding | None:
    test = _curve(lines, "test_loss")
    if len(test) < 2 * WINDOW:
        return None
    values = [value for _, value in test]
    means = [fmean(values[end - WINDOW : end]) for end in range(WINDOW, len(test) + 1)]
    best = means.index(min(means))
    if best + WINDOW >= len(means):
        return None
    error = math.sqrt(2 / WINDOW)  # standard error of a difference of two means, in units of the scatter
    rise, lowest = means[-1] - means[best], means[best]
    beyond_noise = rise > max(RISES * abs(lowest), SIGNIFICANT * error * _scatter(values, lag=2))
    if not beyond_noise and not means[-1] > RISEN * lowest:
        return None
    train = dict(_curve(lines, "train_loss"))
    then, now = (
        [train.get(epoch, math.nan) for epoch, _ in part] for part in (test[best : best + WINDOW], test[-WINDOW:])
    )
    if not fmean(then) - fmean(now) > FALLS * error * _scatter(list(train.values()), lag=1):
        return None
    return Finding(
        "overfitting",
        test[best + WINDOW - 1][0] + 1,
        test[-1][0],
        f"The test loss rises from {lowest:.3g} to {means[-1]:.3g} while the training loss falls: the network learns "
        "the training photos by heart.",
        'train.select = "validation" with split.validation = 0.1, [augmentation], a later encoder.train_from, fewer '
        "train.epochs, more individuals.",
    )


def _scatter(values: Sequence[float], lag: int) -> float:
    """The standard deviation of a curve's scatter about its trend, from differences of figures `lag` apart.

    The median of the differences hardly depends on a steep beginning of the curve. A lag of 2 also captures scatter
    that lasts from one epoch to the next.
    """
    differences = [abs(later - earlier) for earlier, later in zip(values, values[lag:], strict=False)]
    return 1.4826 * median(differences) / math.sqrt(2) if differences else 0.0
