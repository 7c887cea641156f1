"""The tables of a config, one per stage, typed: their fields are the keys that may stand in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, ConfigDict, Field

from siamesekit.config.toml import dump_toml
from siamesekit.options import Count, Fraction, NonNegative, OpenFraction
from siamesekit.plugins import PluginFile
from siamesekit.registry import (
    AUGMENTATIONS,
    DISTANCES,
    ENCODERS,
    LOSSES,
    MINERS,
    OPTIMIZERS,
    READERS,
    SAMPLERS,
    SCHEDULES,
    Registry,
)

Gibibytes = Annotated[float, Ge(0), Le(1_000_000)]
"""Of memory or disk."""
NAMED_WEIGHTS = ("imagenet", "random", "calibrated")
WEIGHT_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")


class Table(BaseModel):
    """A stage's table: its fields are the keys that may stand in it."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
    registry: ClassVar[Registry | None] = None
    component_key: ClassVar[str] = "name"


class ComponentTable(Table):
    """A table that names a component; the component's options stand in it beside the table's own keys."""

    options: dict[str, Any] = Field(default_factory=dict, repr=False)

    @property
    def component(self) -> str:
        """The component's registered name."""
        return str(getattr(self, self.component_key))


class DataStandInTable(ComponentTable):
    """`[data.stand_in]`: the reader that takes over when the data set is not there."""

    registry = READERS
    component_key = "reader"
    reader: str
    hint: str = ""
    """How to get the real data: shown wherever the stand-in is named."""


class DataTable(ComponentTable):
    """`[data]`: where photos come from, and the square size in pixels that the network sees."""

    registry = READERS
    component_key = "reader"
    reader: str
    size: Annotated[int, Ge(8), Le(4096)] = 128
    """Width and height, in pixels, to which every photo is brought."""
    fit: Literal["squash", "pad", "crop"] = "squash"
    """A photo that is not square: squashed, padded with black, or cropped to its middle."""
    singletons: Literal["refuse", "leave-out"] = "refuse"
    """Individuals with a single photo make no positive pair: an error, or left out and said."""
    memory_gib: Gibibytes = 2.0
    """Decoded photos that take more GiB than this are kept in a temporary file in place of memory."""
    stand_in: DataStandInTable | None = None


class SplitTable(Table):
    """`[split]`: which individuals (or photos) train, validate and test."""

    by: Literal["identity", "photo"] = "identity"
    """`identity`: test individuals are never seen in training. `photo`: every individual is in all parts."""
    train: OpenFraction = 0.9
    """Share of the individuals (or of each individual's photos) that train."""
    validation: Fraction = 0.0
    """Share of the *training* individuals (or photos) set aside to select the epoch."""
    test: tuple[str, ...] = ()
    """With `by = "identity"`: these individuals test, all others train; `train` is then not used."""


class AugmentationTable(ComponentTable):
    """`[augmentation]`: the network trains on changing views of the training photos; all other photos stay as they are.

    Without the table it trains on the photos themselves.
    """

    registry = AUGMENTATIONS
    name: str
    views: Annotated[int, Ge(1), Le(1000)] = 4
    """Where the frozen part's output is cached: how many views of each photo, used in turn, an epoch each."""


class HeadTable(Table):
    """`[encoder.head]`: dense layers from the backbone's features to the embedding."""

    layers: tuple[Annotated[int, Ge(1), Le(65_536)], ...] = (512, 256)
    """Units of each layer; the last is the embedding's dimension. Empty: the features are the embedding."""
    activation: Literal["relu", "gelu", "silu", "tanh", "none"] = "relu"
    last_activation: bool = True
    """Whether the activation also follows the last layer."""
    batchnorm: bool = True
    """BatchNorm after every layer but the last."""
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.0
    """Share of the outputs of every layer but the last that training sets to 0, after the BatchNorm."""
    normalize: bool = True
    """Whether embeddings are scaled to length 1."""


class EncoderStandInTable(Table):
    """`[encoder.stand_in]`: the weights that take over when the wanted ones cannot be had."""

    weights: str | Path
    """As in `[encoder]`: `random`, `calibrated` or a file."""
    hint: str = ""
    """How to get the real weights: shown wherever the stand-in is named."""


class EncoderTable(ComponentTable):
    """`[encoder]`: backbone, weights, and what of it trains."""

    registry = ENCODERS
    name: str
    weights: str | Path = "imagenet"
    """`imagenet` (the component's pretrained weights), `random`, `calibrated` (random, with BatchNorm statistics of the
    training photos) or a file."""
    train_from: str = ""
    """The first block that trains, or a part inside one (`layer4.1`, `features.7`); everything before it is frozen.
    Empty: all of it trains. `head`: only the head."""
    batchnorm: Literal["inference", "train"] = "inference"
    """Whether BatchNorm layers that train use their stored statistics or the batch's."""
    cache_gib: Gibibytes = 8.0
    """GiB that the outputs of frozen parts may take in the user's cache folder, all runs' together. Where one run's
    alone would take more, it is computed again each time. 0: always."""
    head: HeadTable = HeadTable()
    stand_in: EncoderStandInTable | None = None


class DistanceTable(ComponentTable):
    """`[distance]`: how far two embeddings are apart, in training and in use."""

    registry = DISTANCES
    name: str = "squared-euclidean"


class SamplerTable(ComponentTable):
    """`[sampler]`: which photos meet in a batch."""

    registry = SAMPLERS
    name: str = "all-pairs"
    batch_size: Count = 128
    """How many a batch has of what the sampler enumerates: triplets for `all-pairs`. `p-by-k` makes batches by its own
    options."""


class MinerTable(ComponentTable):
    """`[miner]`: chooses the triplets of each batch by its embeddings; without the table the sampler's are taken."""

    registry = MINERS
    name: str


class LossOptimizerTable(ComponentTable):
    """`[loss.optimizer]`: moves the loss's own parameters; without it they have the settings of `[optimizer]`."""

    registry = OPTIMIZERS
    name: str = "adam"


class LossTable(ComponentTable):
    """`[loss]`: what training minimises."""

    registry = LOSSES
    name: str = "triplet"
    optimizer: LossOptimizerTable | None = None


class OptimizerTable(ComponentTable):
    """`[optimizer]`: how the weights move."""

    registry = OPTIMIZERS
    name: str = "adam"
    layer_decay: Annotated[float, Gt(0), Le(1)] = 1.0
    """Each block of the backbone, in deep ones each residual or transformer block, has the learning rate of the block
    after it times this; the last that of the head."""
    clip_norm: NonNegative = 0.0
    """Gradients are scaled down to this norm, all weights' together. 0: they are not."""


class ScheduleTable(ComponentTable):
    """`[schedule]`: how the learning rate goes, step by step; without the table it stays."""

    registry = SCHEDULES
    name: str


class TrainTable(Table):
    """`[train]`: how long training lasts, and which weights it leaves."""

    epochs: Count = 60
    """How often each training photo (or triplet) is gone through."""
    select: Literal["last", "validation"] = "last"
    """Which epoch's weights are kept: the last, or the best on the validation individuals. Never the test's."""
    average: Annotated[float, Ge(0), Lt(1)] = 0.0
    """Decay of the weights' running average, which is tested and kept in place of the weights: 0.999 say. 0: none."""
    memory_gib: Gibibytes = 0.0
    """GiB that a step's activations may take; of a larger batch some photos are encoded twice. 0: half the memory of
    the machine or the container."""


class EvaluationTable(Table):
    """`[evaluation]`: intervals and the operating point."""

    bootstrap: Annotated[int, Ge(100), Le(100_000)] = 1000
    """Resamples of the individuals for each interval."""
    confidence: OpenFraction = 0.95
    false_accept_rate: Fraction = 0.0
    """Threshold at this share of different pairs accepted; 0: where same and different are equally likely."""


class SaveTable(Table):
    """`[save]`: what is written beside the standard files of a run."""

    pickle: str = ""
    """File name for a pickle of the `SiameseNetwork`; empty: none."""
    every_seconds: NonNegative = 600.0
    """A checkpoint is written after every epoch, and within one when the last is so many seconds old. 0: every step."""


TABLES: dict[str, type[Table]] = {
    "data": DataTable,
    "split": SplitTable,
    "augmentation": AugmentationTable,
    "encoder": EncoderTable,
    "distance": DistanceTable,
    "sampler": SamplerTable,
    "miner": MinerTable,
    "loss": LossTable,
    "optimizer": OptimizerTable,
    "schedule": ScheduleTable,
    "train": TrainTable,
    "evaluation": EvaluationTable,
    "save": SaveTable,
}
REQUIRED_TABLES = ("data", "encoder")
OPTIONAL_TABLES = ("augmentation", "miner", "schedule")
"""Without such a table there is no such stage; without any other one its defaults hold."""
NESTED_TABLES: dict[tuple[str, ...], type[Table]] = {
    ("data", "stand_in"): DataStandInTable,
    ("encoder", "head"): HeadTable,
    ("encoder", "stand_in"): EncoderStandInTable,
    ("loss", "optimizer"): LossOptimizerTable,
}


@dataclass(frozen=True, repr=False)
class Config:
    """A whole run's config, checked: every default filled in, every path absolute."""

    name: str
    seed: int
    plugins: tuple[PluginFile, ...]
    source: Path
    data: DataTable
    split: SplitTable
    augmentation: AugmentationTable | None
    encoder: EncoderTable
    distance: DistanceTable
    sampler: SamplerTable
    miner: MinerTable | None
    loss: LossTable
    optimizer: OptimizerTable
    schedule: ScheduleTable | None
    train: TrainTable
    evaluation: EvaluationTable
    save: SaveTable

    def __repr__(self) -> str:
        from siamesekit.config.shown import in_short

        return in_short(self)

    def tables(self) -> dict[str, dict[str, Any]]:
        """All tables that are there as nested plain values, defaults included, in the order of a run."""
        return {name: _plain(table) for name in TABLES if (table := getattr(self, name)) is not None}

    def to_toml(self, relative_to: Path | None = None, plugins: Sequence[str] | None = None) -> str:
        """The config as TOML, every default written out; it reruns the run.

        Args:
            relative_to: write paths relative to this folder, where they lie below its drive's root.
            plugins: the plugin entries to write in place of this config's own, which are relative to its folder.
        """
        own = [plugin.path.relative_to(self.source.parent).as_posix() for plugin in self.plugins]
        names = own if plugins is None else list(plugins)
        top = {"name": self.name, "seed": self.seed, "plugins": names}
        return dump_toml({**top, **self.tables()}, relative_to)


def _plain(table: Table) -> dict[str, Any]:
    """A table as plain values: its own keys first, then its component's options, then its nested tables."""
    own: dict[str, Any] = {}
    nested: dict[str, Any] = {}
    for key in type(table).model_fields:
        value = getattr(table, key)
        if key == "options" or value is None:
            continue
        (nested if isinstance(value, Table) else own)[key] = _plain(value) if isinstance(value, Table) else value
    return {**own, **getattr(table, "options", {}), **nested}
