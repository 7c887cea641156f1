"""Any loss with any miner and any distance: it runs, or is refused by name before training."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from siamesekit.components.samplers.batch import Batch
from siamesekit.config import Config, load_config
from siamesekit.errors import ConfigError, UserError
from siamesekit.experiment import compatibility
from siamesekit.experiment.compatibility import refuse_what_does_not_fit, try_on_a_batch
from siamesekit.registry import DISTANCES, LOSSES, MINERS, Registry

pytestmark = pytest.mark.usefixtures("plain_charts")

PEOPLE, PHOTOS, DIMENSIONS = 4, 4, 8
LABELS = torch.arange(PEOPLE).repeat_interleave(PHOTOS)
BATCH = Batch(torch.arange(PEOPLE * PHOTOS), None)
NEEDED: dict[str, str] = {
    "cross-batch-memory": 'loss = { name = "contrastive" }',
    "pml/cross-batch-memory": 'loss = { name = "pml/contrastive" }',
    "pml/multiple": 'losses = [{ name = "pml/contrastive" }, { name = "pml/nt-xent" }]',
    "pml/self-supervised": 'loss = { name = "pml/nt-xent" }',
    "pml/ranked-list": "margin = 0.4\nTn = 1.0",
    "sum": 'terms = [{ name = "contrastive" }, { name = "triplet", weight = 0.5 }]',
}
"""Options without a default."""
REFUSALS = ("takes no triplets or pairs from a miner", "measures by the cosine", "refuses these options")
"""What a refusal says; anything else is a failure."""


def names(registry: Registry) -> list[str]:
    """All that can be named: own components, and the members of families."""
    found = []
    for component in registry.components():
        if component.is_family:
            found += [f"{component.name.removesuffix('*')}{member}" for member in component.members()]
        elif component.origin.startswith("siamesekit."):
            found.append(component.name)
    return found


LOSS_NAMES, MINER_NAMES, DISTANCE_NAMES = names(LOSSES), ["", *names(MINERS)], names(DISTANCES)


def every_pair() -> Iterator[tuple[str, str, str]]:
    """A sample that holds every pair of loss and miner, of loss and distance, and of miner and distance."""
    for (i, loss), (j, miner) in itertools.product(enumerate(LOSS_NAMES), enumerate(MINER_NAMES)):
        yield loss, miner, DISTANCE_NAMES[(i + j) % len(DISTANCE_NAMES)]
    for loss, distance in itertools.product(LOSS_NAMES, DISTANCE_NAMES):  # a miner's refusal may hide the distance's
        yield loss, "", distance


def composed(folder: Path, loss: str, miner: str, distance: str) -> Config:
    text = (
        '[data]\nreader = "folder"\nroot = "photos"\n[encoder]\nname = "timm/test_resnet"\n'
        f'[distance]\nname = "{distance}"\n[loss]\nname = "{loss}"\n{NEEDED.get(loss, "")}\n'
    )
    if miner:
        text += f'[miner]\nname = "{miner}"\n'
    (folder / "c.toml").write_text(text)
    return load_config(folder / "c.toml")


def outcome(folder: Path, loss: str, miner: str, distance: str) -> str:
    """`ran`, or what refused."""
    runtime: dict[str, Any] = {"embedding_dim": DIMENSIONS, "num_classes": PEOPLE, "seed": 0}
    try:
        config = composed(folder, loss, miner, distance)
        refuse_what_does_not_fit(config)
    except (ConfigError, UserError) as error:
        told = [refusal for refusal in REFUSALS if refusal in str(error)]
        assert told, f"{loss} × {miner} × {distance}: {error}"
        assert loss in str(error) or distance in str(error)
        return told[0]
    measured = DISTANCES.build(config.distance.component, config.distance.options)
    built = LOSSES.build_for_run(config.loss.component, config.loss.options, distance=measured, **runtime)
    mines = None
    if config.miner is not None:
        mines = MINERS.build_for_run(config.miner.component, config.miner.options, distance=measured, seed=0)
    try_on_a_batch(config, built, mines, BATCH, LABELS, DIMENSIONS)
    return "ran"


def tally(folder: Path, combinations: list[tuple[str, str, str]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for loss, miner, distance in combinations:
        told = outcome(folder, loss, miner, distance)
        counts[told] = counts.get(told, 0) + 1
    print(f"{len(combinations)} combinations: {counts}")
    return counts


def test_the_sample_holds_every_pair() -> None:
    sample = list(every_pair())
    assert {(loss, miner) for loss, miner, _ in sample} == set(itertools.product(LOSS_NAMES, MINER_NAMES))
    assert {(loss, d) for loss, _, d in sample} == set(itertools.product(LOSS_NAMES, DISTANCE_NAMES))
    assert {(miner, d) for _, miner, d in sample} == set(itertools.product(MINER_NAMES, DISTANCE_NAMES))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning:pytorch_metric_learning")
def test_a_sample_with_every_pair_runs_or_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sample = list(every_pair())
    outcome(tmp_path, *sample[0])
    monkeypatch.setattr(compatibility, "_try_encoder", lambda config: None)  # it is the same encoder each time
    counts = tally(tmp_path, sample)
    assert counts["ran"] > 0.6 * sum(counts.values())
    assert counts["takes no triplets or pairs from a miner"] > 0
    assert counts["measures by the cosine"] > 0


@pytest.mark.huge
@pytest.mark.timeout(3600)
@pytest.mark.filterwarnings("ignore::UserWarning:pytorch_metric_learning")
def test_all_of_them_run_or_are_refused_by_name(tmp_path: Path) -> None:
    tally(tmp_path, list(itertools.product(LOSS_NAMES, MINER_NAMES, DISTANCE_NAMES)))
