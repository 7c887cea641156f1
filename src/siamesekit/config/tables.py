"""The tables of a config, one typed model per stage: its fields are the keys of the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, ConfigDict, Field

from siamesekit.config.toml import dump_toml
from siamesekit.data.photo_reading import Depth, Resampling, Truncated
from siamesekit.data.splits.split import Kind
from siamesekit.options import Count, Fraction, Index, NonNegative, OpenFraction
from siamesekit.registry import (
    AUGMENTATIONS,
    DISTANCES,
    ENCODERS,
    LOSSES,
    MATCHERS,
    MINERS,
    OPTIMIZERS,
    PROJECTIONS,
    READERS,
    SAMPLERS,
    SCHEDULES,
    TRACKERS,
    Registry,
)
from siamesekit.registry.plugin_files import PluginFile

Gibibytes = Annotated[float, Ge(0), Le(1_000_000)]
"""GiB of memory or disk."""
NAMED_WEIGHTS = ("imagenet", "random", "calibrated")
WEIGHT_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")


class Table(BaseModel):
    """Table of a stage: its fields are the keys of the table."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
    registry: ClassVar[Registry | None] = None
    component_key: ClassVar[str] = "name"
    sparse: ClassVar[bool] = False
    """Whether a config that is written has only those keys of the table that differ from their defaults."""


class ComponentTable(Table):
    """Table that names a component. It has keys of its own and the options of the component."""

    options: dict[str, Any] = Field(default_factory=dict, repr=False)
    named_by: ClassVar[Mapping[str, str]] = {}
    """Options that name the component if the key of the component is absent."""

    @property
    def component(self) -> str:
        """Registered name of the component."""
        return str(getattr(self, self.component_key))


class DataStandInTable(ComponentTable):
    """`[data.stand_in]`: the reader to use if the data set is missing."""

    registry = READERS
    component_key = "reader"
    reader: str
    hint: str = ""
    """How to get the real data; shown wherever the stand-in is named."""


class DataTable(ComponentTable):
    """`[data]`: source of the photos, and the image size."""

    registry = READERS
    component_key = "reader"
    reader: str
    size: Annotated[int, Ge(8), Le(4096)] = 128
    """Width and height of the images in pixels."""
    fit: Literal["squash", "pad", "crop"] = "squash"
    """How photos are made square: squashed, padded with black, or cropped to the middle."""
    resampling: Resampling = "bilinear"
    """Filter by which photos are resized: `bilinear`, or `bicubic`, with which most pretrained weights were judged."""
    crop_share: Fraction = 0.0
    """With `fit = "crop"`: share of the shorter side that is kept, 0.1 … 1, as `crop_pct` of timm. The shorter side is
    resized to size / share pixels, and the middle is kept, in whole pixels. 0: the whole middle square, to a fraction
    of a pixel."""
    singletons: Literal["refuse", "leave-out", "keep"] = "refuse"
    """Individuals with a single photo, which make no positive pair: an error, left out with a message, or kept as
    negatives, as classes of a loss over classes, and as candidates that queries are searched among."""
    memory_gib: Gibibytes = 2.0
    """GiB of memory for decoded photos; beyond that they are kept in a temporary file."""
    depth: Depth = "full"
    """Range of values that becomes 0 … 255 in photos of more than 8 bits per sample: `full`, that of the data type;
    `set`, from the smallest to the largest value of the training photos, which the model keeps; `photo`, from the
    smallest to the largest value of each photo."""
    truncated: Truncated = "refuse"
    """JPEGs that lack only their last bytes: `refuse`, or `accept` with a message."""
    max_megapixels: Annotated[int, Ge(1), Le(1000)] = 100
    """Largest photo that is read, in millions of pixels; it needs up to 20 bytes of memory per pixel."""
    quarantine: str | Path = ""
    """File with the names of photos that are left out whatever the reader: one on each line, as `siamesekit check
    --quarantine FILE` writes it. Empty: none."""
    stand_in: DataStandInTable | None = None


class SplitTable(Table):
    """`[split]`: which photos train, validate and test, and what is counted as a leak."""

    by: Kind = "identity"
    """`identity`: test individuals never train. `photo`: every individual is in all parts. `column`: the table says who
    trains and tests. `time`: later photos test. `encounter`: no encounter is in two parts. `open-set`: some individuals
    only test, the photos of the others are split. `similarity`: near-duplicates are in one part."""
    train: OpenFraction = 0.9
    """Share of the individuals (or of the photos or encounters of each individual) that train."""
    validation: Fraction = 0.0
    """Share of the *training* individuals (or photos, or encounters) set aside to select the best epoch."""
    test: tuple[str, ...] = ()
    """Test individuals, with `by = "identity"`; all others train, and `train` is not used."""
    column: str = "split"
    """With `by = "column"`: the column with `train`, `validation` (`val`, `valid`), `test` (`query`) or `gallery`
    (`database`: only searched) for each photo, or, with `folds`, with the name of its fold."""
    time: str = ""
    """With `by = "time"`: date from which photos test. Empty: of each individual's photos, the share `train` trains,
    and the later ones test."""
    encounter: str = "encounter"
    """Column with the encounter of each photo, a meeting with one or more individuals."""
    gap_seconds: Annotated[float, Ge(0), Le(1_000_000_000)] = 3600.0
    """Seconds between two photos of an individual from which they are two encounters, by the column `date`, if no photo
    has an encounter. 0: dates make no encounters."""
    unseen: OpenFraction = 0.2
    """With `by = "open-set"`: share of the individuals that only test (with `folds`: in each fold)."""
    unmatched: Literal["refuse", "leave-out", "new"] = "refuse"
    """With `by = "column"` or `"time"`: test photos of individuals without a photo outside the test part are an error,
    are left out with a message, or are new individuals in an open set."""
    embeddings: str | Path = ""
    """File of `siamesekit embed` (`.npz`) by which near-duplicates are found: counted, or with `by = "similarity"` kept
    in one part. Empty: none."""
    similarity: Annotated[float, Gt(0), Le(1)] = 0.95
    """Cosine similarity of their `embeddings` from which two photos are near-duplicates."""
    folds: Annotated[int, Ge(0), Le(1000)] = 0
    """Number of folds for cross-validation, instead of a share or date: each fold is the test part of one run. 0: no
    folds."""
    fold: Count = 1
    """With `folds`: the fold that tests, from 1."""


class AugmentationTable(ComponentTable):
    """`[augmentation]`: random views of the training photos; all other photos are unchanged.

    Without this table, the network trains on the photos themselves.
    """

    registry = AUGMENTATIONS
    name: str
    views: Annotated[int, Ge(1), Le(1000)] = 4
    """Number of views of each photo if the output of the frozen part is cached; epochs use them in turn."""


class HeadTable(Table):
    """`[encoder.head]`: dense layers from the features of the backbone to the embedding."""

    layers: tuple[Annotated[int, Ge(1), Le(65_536)], ...] = (512, 256)
    """Units of each layer; the last is the dimension of the embedding. Empty: the features are the embedding."""
    activation: Literal["relu", "gelu", "silu", "tanh", "none"] = "relu"
    last_activation: bool = True
    """Whether the activation also follows the last layer."""
    batchnorm: bool = True
    """Whether BatchNorm follows every layer but the last."""
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.0
    """Dropout rate after every layer but the last, behind the BatchNorm."""
    normalize: bool = True
    """Whether embeddings are scaled to length 1."""
    neck: Literal["none", "batchnorm"] = "none"
    """`batchnorm`: BatchNorm without a shift behind the layers (BNNeck). Training uses the statistics of each batch,
    whatever `encoder.batchnorm` is."""


class EncoderStandInTable(Table):
    """`[encoder.stand_in]`: the weights to use if the wanted ones are missing or cannot be downloaded."""

    weights: str | Path
    """As in `[encoder]`: `random`, `calibrated` or a file."""
    hint: str = ""
    """How to get the real weights; shown wherever the stand-in is named."""


class LoraTable(Table):
    """`[encoder.lora]`: small matrices beside linear layers train, and the weights of the backbone do not (LoRA).

    Without this table, the weights train. The saved model has the matrices merged into its weights.
    """

    rank: Annotated[int, Ge(1), Le(4096)] = 8
    """Rank of the product of the two matrices beside a layer: for a layer of `m` × `n` weights, `rank` (`m` + `n`)
    weights train."""
    alpha: Annotated[float, Gt(0), Le(65_536)] = 16.0
    """The product counts `alpha` / `rank` times."""
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.0
    """Dropout rate of what the matrices are given. Above 0, batches are encoded whole."""
    targets: tuple[str, ...] = ("qkv", "proj")
    """Linear layers that get matrices, by the end of their names: `qkv` or `attn.qkv` for `blocks.0.attn.qkv`. Those
    before `train_from` get none."""


class EncoderTable(ComponentTable):
    """`[encoder]`: backbone, weights, and the part that trains."""

    registry = ENCODERS
    name: str
    weights: str | Path = "imagenet"
    """`imagenet` (the component's pretrained weights), `random`, `calibrated` (random, with BatchNorm statistics of the
    training photos) or a file."""
    train_from: str = ""
    """First block that trains, or a part of a block (`layer4.1`, `features.7`); everything before it is frozen.
    Empty: the whole encoder trains. `head`: only the head trains."""
    pooling: Literal["default", "avg", "max", "avg+max", "gem"] = "default"
    """How feature maps become one vector: the network's own way, their average, maximum, both one after the other, or
    the generalized mean `gem`, whose exponent is learnt, from 3. The exponent trains with the layer that holds it; with
    `train_from = "head"` it stays at 3."""
    batchnorm: Literal["inference", "train"] = "inference"
    """Whether BatchNorm layers that train use their stored statistics (`inference`) or those of the batch."""
    cache_gib: Gibibytes = 8.0
    """GiB for cached outputs of frozen parts in the user's cache folder, over all runs. An output that is larger is
    computed again each time. 0: no cache."""
    head: HeadTable = HeadTable()
    lora: LoraTable | None = None
    stand_in: EncoderStandInTable | None = None


class ProjectionTable(ComponentTable):
    """`[projection]`: a linear layer between backbone and head, fitted in closed form before training.

    With `train.epochs = 0` the fit is the whole training, and takes seconds: the layers of the head are then left out
    unless they are set. Otherwise training starts from the fit. Without this table, no layer is fitted.
    """

    registry = PROJECTIONS
    name: str
    normalize_features: bool = True
    """Whether the features are scaled to length 1 before the layer."""


class DistanceTable(ComponentTable):
    """`[distance]`: distance between two embeddings, in training and in use."""

    registry = DISTANCES
    name: str = "squared-euclidean"


class SamplerTable(ComponentTable):
    """`[sampler]`: which photos meet in a batch."""

    registry = SAMPLERS
    name: str = "all-pairs"
    batch_size: Count = 128
    """Number of items of the sampler in a batch: triplets for `all-pairs`. `p-by-k` has options of its own instead."""
    mirrored: Literal["none", "individuals"] = "none"
    """`individuals`: each training photo also trains mirrored left to right, as a photo of another individual: that of
    the mirrored photos. It doubles the individuals that train; it suits animals whose sides differ."""
    apart: tuple[str, ...] = ()
    """Columns such as `side`: an individual's photos with different values train as photos of different individuals,
    because a left and a right flank have no marking in common. The figures and the model know whole individuals."""


class MinerTable(ComponentTable):
    """`[miner]`: selects the triplets of each batch by its embeddings. Without this table, the sampler's are used."""

    registry = MINERS
    name: str


class LossOptimizerTable(ComponentTable):
    """`[loss.optimizer]`: optimizer of the parameters of the loss. Without this table, `[optimizer]` applies."""

    registry = OPTIMIZERS
    name: str = "adam"


class LossTable(ComponentTable):
    """`[loss]`: what training minimises. `[[loss.terms]]` is the sum of several losses."""

    registry = LOSSES
    named_by = {"terms": "sum"}
    name: str = "triplet"
    optimizer: LossOptimizerTable | None = None


class OptimizerTable(ComponentTable):
    """`[optimizer]`: how the weights are updated."""

    registry = OPTIMIZERS
    name: str = "adam"
    layer_decay: Annotated[float, Gt(0), Le(1)] = 1.0
    """Factor of the learning rate from each block of the backbone to the block before it, starting at the head. In deep
    backbones a block is a residual or transformer block."""
    clip_norm: NonNegative = 0.0
    """Maximum norm of the gradient over all weights; a larger gradient is scaled down. 0: no limit."""


class ScheduleTable(ComponentTable):
    """`[schedule]`: learning rate at each step. Without this table, it is constant."""

    registry = SCHEDULES
    name: str


class TrainTable(Table):
    """`[train]`: length of the training, and which weights are kept."""

    epochs: Index = 60
    """Number of passes over the training photos (or triplets). 0: no training beyond `[projection]`."""
    select: Literal["last", "validation"] = "last"
    """Epoch whose weights are kept: the last, or the best on the validation individuals, never on the test set."""
    accumulate: Count = 1
    """Number of batches whose mean gradient makes one step of the optimizer; the last step of an epoch may take fewer.
    It is not a larger batch: photos of different batches are never compared (`sampler.batch_size` sets that)."""
    average: Annotated[float, Ge(0), Lt(1)] = 0.0
    """Decay of a running average of the weights, such as 0.999; the average is tested and kept. 0: no average."""
    checkpoint_activations: bool = False
    """Whether the activations within the blocks of the backbone are computed again in the backward pass instead of
    being held: less memory, one more forward pass, the same gradients. It helps if a batch cannot be encoded in chunks
    or a single photo takes too much memory."""
    shard_encoder: bool = False
    """Whether the processes of a run of several divide the weights of the encoder and their gradients among them, by
    PyTorch's FSDP2: for networks that one GPU does not hold. A block is gathered when it runs. The first process keeps
    the whole weights and the optimizer in the machine's memory. One process alone holds all weights in any case."""
    memory_gib: Gibibytes = 0.0
    """GiB for the activations of a step; of a batch that needs more, some photos are encoded twice. 0: half the memory
    of the machine or the container."""
    shard_centers: bool = False
    """Whether the processes of a run of several (`--nproc`, torchrun) share the centres of `arcface` or `cosface`, for
    very many individuals: each holds those of some individuals, with the state of their optimizer. The losses are the
    same. One process holds all centres in any case."""


class AcceptTable(Table):
    """`[check.accept]`: findings of `siamesekit check` that are accepted: they are counted, and not listed.

    Each key is a kind of finding. Its values are names of photos or individuals; `*` stands for any characters.
    """

    sparse = True
    unreadable: tuple[str, ...] = ()
    copy_of_another_individual: tuple[str, ...] = ()
    near_copy_of_another_individual: tuple[str, ...] = ()
    copy_across_split: tuple[str, ...] = ()
    near_copy_across_split: tuple[str, ...] = ()
    burst_across_split: tuple[str, ...] = ()
    exact_copy: tuple[str, ...] = ()
    near_copy: tuple[str, ...] = ()
    mislabelled: tuple[str, ...] = ()
    one_individual_two_names: tuple[str, ...] = ()
    similar_names: tuple[str, ...] = ()
    no_name: tuple[str, ...] = ()
    one_colour: tuple[str, ...] = ()
    few_grey_levels: tuple[str, ...] = ()
    tiny: tuple[str, ...] = ()
    dark: tuple[str, ...] = ()
    bright: tuple[str, ...] = ()
    blurred: tuple[str, ...] = ()
    extreme_shape: tuple[str, ...] = ()
    few_photos: tuple[str, ...] = ()
    oversized: tuple[str, ...] = ()
    skipped_files: tuple[str, ...] = ()

    def patterns(self) -> dict[str, tuple[str, ...]]:
        """The accepted names by kind."""
        return {kind: getattr(self, kind) for kind in type(self).model_fields}


class CheckTable(Table):
    """`[check]`: what the audit of the photos may pass over."""

    accept: AcceptTable = AcceptTable()


class EvaluationTable(Table):
    """`[evaluation]`: who is searched among whom, confidence intervals, and the threshold."""

    gallery: Literal["auto", "test", "train", "all"] = "auto"
    """Photos among which each test photo is searched: the other test photos (`test`), all photos that do not test
    (`train`), or both (`all`). `auto`: `test` for `split.by = "identity"`, else `train`."""
    exclude: tuple[str, ...] = ()
    """Columns such as `encounter`: a test photo is not compared with photos that share its values in all of them."""
    groups: tuple[str, ...] = ("species", "side", "site")
    """Columns whose values get figures of their own, if the photos have these columns."""
    bootstrap: Annotated[int, Ge(100), Le(100_000)] = 1000
    """Number of bootstrap samples of the individuals for each interval."""
    confidence: OpenFraction = 0.95
    tta: tuple[Literal["mirror", "crops"], ...] = ()
    """Views of which each test photo's embedding is the mean, in addition to the photo itself: mirrored, and five
    crops. The saved model uses the same views, because its threshold is measured with them."""
    false_accept_rate: Fraction = 0.0
    """Share of different pairs that the threshold accepts. 0: threshold where same and different are equally likely."""


class ReportTable(ComponentTable):
    """`[report]`: a matcher whose shared points are drawn in the report, between photos that are found or confused.

    Without this table, no points are drawn. Training and figures do not depend on it.
    """

    registry = MATCHERS
    component_key = "matcher"
    matcher: str


class TrackTable(ComponentTable):
    """`[track]`: where the figures of the run are shown while it trains. `[[track.trackers]]` names several places.

    Without this table, metrics.jsonl and the report have the figures. Trackers do not change them; a run goes on if its
    tracker fails.
    """

    registry = TRACKERS
    named_by = {"trackers": "several"}
    name: str


class SaveTable(Table):
    """`[save]`: additional files of a run, and the interval of checkpoints."""

    pickle: str = ""
    """File name for a pickle of the `SiameseNetwork`. Empty: no pickle."""
    every_seconds: NonNegative = 600.0
    """Seconds between checkpoints within an epoch; each epoch also ends with one. 0: a checkpoint after every batch."""


TABLES: dict[str, type[Table]] = {
    "data": DataTable,
    "check": CheckTable,
    "split": SplitTable,
    "augmentation": AugmentationTable,
    "encoder": EncoderTable,
    "projection": ProjectionTable,
    "distance": DistanceTable,
    "sampler": SamplerTable,
    "miner": MinerTable,
    "loss": LossTable,
    "optimizer": OptimizerTable,
    "schedule": ScheduleTable,
    "train": TrainTable,
    "evaluation": EvaluationTable,
    "report": ReportTable,
    "track": TrackTable,
    "save": SaveTable,
}
REQUIRED_TABLES = ("data", "encoder")
OPTIONAL_TABLES = ("augmentation", "projection", "miner", "schedule", "report", "track")
"""Tables without which the stage is left out. If another table is absent, its defaults apply."""
NESTED_TABLES: dict[tuple[str, ...], type[Table]] = {
    ("data", "stand_in"): DataStandInTable,
    ("check", "accept"): AcceptTable,
    ("encoder", "head"): HeadTable,
    ("encoder", "lora"): LoraTable,
    ("encoder", "stand_in"): EncoderStandInTable,
    ("loss", "optimizer"): LossOptimizerTable,
}


@dataclass(frozen=True, repr=False)
class Config:
    """The checked config of a run: all defaults are filled in, and all paths are absolute."""

    __module__ = "siamesekit"

    name: str
    seed: int
    plugins: tuple[PluginFile, ...]
    source: Path
    data: DataTable
    check: CheckTable
    split: SplitTable
    augmentation: AugmentationTable | None
    encoder: EncoderTable
    projection: ProjectionTable | None
    distance: DistanceTable
    sampler: SamplerTable
    miner: MinerTable | None
    loss: LossTable
    optimizer: OptimizerTable
    schedule: ScheduleTable | None
    train: TrainTable
    evaluation: EvaluationTable
    report: ReportTable | None
    track: TrackTable | None
    save: SaveTable

    def __repr__(self) -> str:
        from siamesekit.config.shown import in_short

        return in_short(self)

    def tables(self) -> dict[str, dict[str, Any]]:
        """All tables as nested plain values with defaults, in the order of a run, without absent optional tables."""
        return {name: _plain(table) for name in TABLES if (table := getattr(self, name)) is not None}

    def to_toml(self, relative_to: Path | None = None, plugins: Sequence[str] | None = None) -> str:
        """The config as TOML with all defaults; it repeats the run.

        Args:
            relative_to: folder that paths are relative to, unless they are on another drive.
            plugins: plugin entries to write instead of those of this config, which are relative to its folder.
        """
        own = [plugin.path.relative_to(self.source.parent).as_posix() for plugin in self.plugins]
        names = own if plugins is None else list(plugins)
        top = {"name": self.name, "seed": self.seed, "plugins": names}
        return dump_toml({**top, **self.tables()}, relative_to)


def _plain(table: Table) -> dict[str, Any]:
    """A table as plain values: its own keys, then the options of its component, then its nested tables."""
    own: dict[str, Any] = {}
    nested: dict[str, Any] = {}
    for key in type(table).model_fields:
        value = getattr(table, key)
        if key == "options" or value is None or (table.sparse and value == type(table).model_fields[key].default):
            continue
        (nested if isinstance(value, Table) else own)[key] = _plain(value) if isinstance(value, Table) else value
    return {**own, **getattr(table, "options", {}), **nested}
