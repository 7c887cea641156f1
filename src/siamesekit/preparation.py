"""What a run needs before it can train: photos read and split, the encoder built; stand-ins where asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from siamesekit.artifact import Architecture, build
from siamesekit.component_faults import is_own
from siamesekit.config import NAMED_WEIGHTS, Config
from siamesekit.data.loading import LOADED, Finding, load_usable, report
from siamesekit.data.pixel_store import GIB, keep_only
from siamesekit.data.records import Record, individuals_of
from siamesekit.data.splits import Split, split_records
from siamesekit.doctor import above_random_layers
from siamesekit.encoders.accepted import refuse_wrong_features
from siamesekit.encoders.weights import calibrate_batchnorm, load_weights
from siamesekit.engine.frozen_prefix import CHUNK
from siamesekit.engine.precision import Precision
from siamesekit.engine.random_state import drawing_from
from siamesekit.errors import DataError, MissingDataError, MissingWeightsError, UserError, out_of_memory
from siamesekit.files import fingerprint
from siamesekit.left_out import passed_over_by, told_of_bad, without_singletons
from siamesekit.model import Encoder
from siamesekit.progress import Progress
from siamesekit.randomness import torch_seed
from siamesekit.registry import ENCODERS, READERS
from siamesekit.report.data import StandIn


@dataclass(frozen=True)
class Data:
    """Photos, decoded, and their split.

    Attributes:
        records: N photos.
        images: uint8 `[N, 3, size, size]`, channels last; past a budget they are in a file (`empty_images`).
        individuals: the names behind the labels.
        labels: int64 `[N]`, indices into `individuals`.
        split: indices of photos.
        reader: the reader that gave them.
        stand_in: what took the place of the wanted data, if anything did.
        notes: what was left out, in words.
        left_out: photos that cannot be used, where `skip_bad` passed over them.
        singletons: photos that were left out because their individuals have no other.
        passed_over: how many files in the individuals' folders are no photos, by suffix.
    """

    records: tuple[Record, ...]
    images: Tensor
    individuals: tuple[str, ...]
    labels: NDArray[np.int64]
    split: Split
    reader: str
    stand_in: StandIn | None
    notes: tuple[str, ...]
    left_out: tuple[Finding, ...] = ()
    singletons: tuple[Finding, ...] = ()
    passed_over: Mapping[str, int] = field(default_factory=dict)

    def individuals_by_part(self) -> dict[str, tuple[str, ...]]:
        """The names of the individuals in each part of the split that is not empty."""
        return {
            name: tuple(self.individuals[label] for label in np.unique(self.labels[list(part)]))
            for name, part in self.split.parts().items()
        }

    def groups(self) -> NDArray[np.int64] | None:
        """The photos' groups, numbered, int64 `[N]`; None where the reader gives none."""
        names = [record.group for record in self.records]
        return np.unique(names, return_inverse=True)[1].astype(np.int64) if any(names) else None

    def fingerprint(self) -> str:
        """SHA-256 over names, individuals, groups where there are some, and pixels, as the network sees them."""
        digest = sha256()
        for record in self.records:
            told = f"{record.name}\0{record.individual}\0" + (f"{record.group}\0" if record.group else "")
            digest.update(told.encode(errors="surrogateescape"))
        for chunk in self.images.split(LOADED):
            digest.update(chunk.numpy().tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Built:
    """The encoder, ready to train.

    Attributes:
        encoder: on the CPU's or GPU's memory, channels last.
        architecture: what it is made of.
        weights: where its weights come from, and their fingerprint where they are a file.
        stand_in: what took the place of the wanted weights, if anything did.
    """

    encoder: Encoder
    architecture: Architecture
    weights: Mapping[str, str]
    stand_in: StandIn | None


def prepare_data(config: Config, progress: Progress, skip_bad: bool = False) -> Data:
    """Read, decode and split the photos.

    Args:
        config: the run's.
        progress: is shown the photos, and told of a stand-in.
        skip_bad: pass over photos that cannot be used; without it they are an error. Individuals that are left with
            a single photo are treated as `data.singletons` says.

    Raises:
        DataError: the photos cannot be used as asked.
    """
    records, reader, stand_in = _read(config)
    if stand_in is not None:
        progress.warn(announce(stand_in))
    others = passed_over_by(config, reader, stand_in is not None)
    records, singles, said = without_singletons(records, config.data.singletons)
    notes = [*([] if others is None else others.sentences()), *said]
    for note in notes:
        progress.say(note)
    split = _split(records, config)  # before anything is decoded: what it refuses need not be waited for
    budget = int(config.data.memory_gib * GIB)
    images, kept, findings = load_usable(records, config.data.size, config.data.fit, progress, budget)
    if findings:
        message, details = report(findings, len(records))
        if not skip_bad:
            raise DataError(f"{message}: fix them, or train on the rest with --skip-bad", details)
        progress.warn(f"{message} and are left out:", details)
        notes.append(told_of_bad(findings, len(records)))
        usable = [records[number] for number in kept]
        records, more, said = without_singletons(usable, config.data.singletons)
        for note in said:
            progress.say(note)
        singles, notes = [*singles, *more], [*notes, *said]
        names = {record.name for record in records}
        images = keep_only(images, [number for number, record in enumerate(usable) if record.name in names])
        split = _split(records, config)
    individuals = individuals_of(records)
    numbers = {name: number for number, name in enumerate(individuals)}
    labels = np.array([numbers[record.individual] for record in records], dtype=np.int64)
    return Data(
        tuple(records), images, tuple(individuals), labels, split, reader, stand_in, tuple(notes), findings,
        tuple(singles), {} if others is None else others.by_suffix,
    )  # fmt: skip


def prepare_encoder(
    config: Config,
    images: Tensor,
    precision: Precision,
    progress: Progress,
    weights_needed: bool = True,
    training: Sequence[int] | None = None,
) -> Built:
    """Build the encoder with its weights, freeze what does not train, move it to the device.

    Args:
        config: the run's.
        images: uint8 `[N, 3, size, size]`, for weights that are calibrated on them.
        precision: device and number format.
        progress: is told of stand-ins.
        weights_needed: False builds the same network, but with random weights where they are not a file.
        training: indices of the photos that train, and calibrate; all by default.

    Raises:
        MissingWeightsError: the weights cannot be had and there is no stand-in.
        WeightsError: a weights file does not fit.
    """
    table = config.encoder
    architecture = Architecture(table.name, table.options, table.head.model_dump(), table.batchnorm)
    seed = torch_seed(config.seed, "weights")

    def at_hand(weights: str | Path) -> str | Path:
        return weights if weights_needed or weights not in NAMED_WEIGHTS else "random"

    weights, stand_in = at_hand(table.weights), None
    try:
        encoder = _with_weights(architecture, weights, seed)
    except MissingWeightsError as error:
        if table.stand_in is None:
            raise
        weights, used = at_hand(table.stand_in.weights), f"{spell(table.stand_in.weights)} weights"
        why = str(error).partition(";")[0].partition(". ")[0].removesuffix(".")  # the first sentence of a hub's advice
        stand_in = StandIn("weights", spell(table.weights), used, why,
                           table.stand_in.hint or "encoder.weights = \"FILE.safetensors\"")  # fmt: skip
        random = above_random_layers(spell(table.stand_in.weights), table.train_from, config.train.epochs)
        progress.warn(announce(stand_in) + ("" if random is None else f". {random.meaning}"))
        encoder = _with_weights(architecture, weights, seed)
    encoder.to(precision.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    encoder.backbone.freeze_before(table.train_from)
    encoder.eval()
    component = ENCODERS.get(table.name)
    if not is_own(component):
        with memory_for("a pass over two photos", "lower data.size, or take a smaller encoder"):
            refuse_wrong_features(encoder.backbone, component, images[:2].to(precision.device))
    if weights == "calibrated":
        photos = torch.arange(len(images)) if training is None else torch.tensor(training)
        _calibrate(encoder, images, photos, precision, progress)
    source = {"source": spell(weights)}
    if weights not in NAMED_WEIGHTS:
        source["sha256"] = fingerprint(Path(weights))
    return Built(encoder, architecture, source, stand_in)


@contextmanager
def memory_for(what: str, advice: str) -> Iterator[None]:
    """A block of work whose want of memory is the config's fault.

    Args:
        what: takes the memory.
        advice: what to change.

    Raises:
        UserError: it does not fit.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        raise UserError(f"{what} does not fit into memory: {advice} ({error})") from error


def announce(stand_in: StandIn) -> str:
    """A stand-in in one line."""
    return (f"STAND-IN {stand_in.what}: {stand_in.used} in place of {stand_in.wanted}, because {stand_in.why}. "
            f"For the real thing: {stand_in.hint}")  # fmt: skip


def _read(config: Config) -> tuple[list[Record], str, StandIn | None]:
    table = config.data
    try:
        return READERS.build(table.reader, table.options, seed=config.seed), table.reader, None
    except MissingDataError as error:
        if table.stand_in is None:
            raise
        instead = table.stand_in
        hint = instead.hint or f"make what reader {table.reader!r} looks for"
        wanted = f"the data of reader {table.reader!r}"
        why = str(error).partition(":")[0]
        stand_in = StandIn("data", wanted, f"reader {instead.reader!r}", why, hint)
        return READERS.build(instead.reader, instead.options, seed=config.seed), instead.reader, stand_in


def _split(records: Sequence[Record], config: Config) -> Split:
    individuals = individuals_of(records)
    if len(individuals) < 2:
        raise DataError(f"{len(individuals)} individuals are there; training needs two at the very least")
    wanted = config.split
    return split_records(records, wanted.by, wanted.train, wanted.validation, wanted.test, config.seed)


def _with_weights(architecture: Architecture, weights: str | Path, seed: int) -> Encoder:
    advice = "lower encoder.head.layers or the encoder's own options"
    with drawing_from(seed), memory_for(f"encoder {architecture.encoder!r}", advice):
        encoder = build(architecture, pretrained=weights == "imagenet")
    if weights not in NAMED_WEIGHTS:
        load_weights(encoder.backbone, Path(weights))
    return encoder


def _calibrate(encoder: Encoder, images: Tensor, photos: Tensor, precision: Precision, progress: Progress) -> None:
    def scaled() -> Iterator[Tensor]:
        shown = progress.track(range(len(photos)), len(photos), "Calibrating BatchNorm", "images")
        for chunk in photos.split(CHUNK):
            channels_last = images[chunk].to(precision.device).contiguous(memory_format=torch.channels_last)
            yield encoder.backbone.scale(channels_last)
            for _ in range(len(chunk)):
                next(shown, None)
        next(shown, None)

    with precision.autocast():
        calibrate_batchnorm(encoder.backbone.network, scaled())


def spell(weights: str | Path) -> str:
    """Where weights come from, in words."""
    return "random, BatchNorm-calibrated" if weights == "calibrated" else str(weights)
