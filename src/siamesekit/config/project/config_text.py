"""The config of a new project: it fits the photos, and its comments give a reason for each choice."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Literal

from siamesekit.config.project.survey import Survey, news
from siamesekit.config.toml import dump_toml
from siamesekit.data.records import Record
from siamesekit.data.splits import Split, split_records
from siamesekit.errors import DataError

SCHEMA = "config.schema.json"
"""Name of the JSON Schema beside the config, for editors."""
SIZES = (64, 96, 128, 160, 192, 224)
"""Image sizes in pixels to choose from; ImageNet weights were trained at 224."""
SPLITS: tuple[tuple[int, Literal["identity", "photo"], float, float], ...] = (
    (40, "identity", 0.8, 0.15),
    (10, "identity", 0.8, 0.0),
    (4, "identity", 0.6, 0.0),
    (2, "photo", 0.75, 0.0),
    (2, "photo", 0.5, 0.0),
)
"""Least number of individuals, what is split, share that trains, and share of that share that validates."""
VISITS, FEWEST_EPOCHS, MOST_EPOCHS = 12_000, 3, 60
"""Number of training images over all epochs of a run (minutes on two cores), and bounds of the epochs."""
BATCH_PHOTOS, MOST_INDIVIDUALS, LEAST_PHOTOS = 64, 16, 4
AUGMENTED = 1_000
"""Most photos for which augmentation is switched on: each photo is stored 1 + 4 times."""
LONG = 1.5
"""Median ratio of longer to shorter side from which photos are padded; squashed, they would look alike."""


@dataclass(frozen=True)
class Choices:
    """Values of the config that fit the photos.

    Attributes:
        size: image size in pixels.
        fit: how photos are made square.
        by: what is split: individuals or photos.
        train: share that trains.
        validation: share of the training part that validates.
        split: photos of each part, as indices into `kept`.
        kept: records of the individuals with two photos or more.
        individuals: P of the sampler.
        photos: K of the sampler.
        epochs: number of epochs.
    """

    size: int
    fit: Literal["squash", "pad"]
    by: Literal["identity", "photo"]
    train: float
    validation: float
    split: Split
    kept: tuple[Record, ...]
    individuals: int
    photos: int
    epochs: int


def choose(found: Survey) -> Choices:
    """Choose split, sampler, size and epochs for the photos that were found.

    Raises:
        DataError: there are too few photos or individuals.
    """
    kept = tuple(record for record in found.records if found.counts[record.individual] > 1)
    usable = len({record.individual for record in kept})
    for fewest, by, train, validation in SPLITS:
        if usable < fewest:
            continue
        try:
            split = split_records(kept, by, train, validation, (), seed=0)
        except DataError:
            continue
        break
    else:
        deeper = "".join(f"; {note}" for note in found.notes)
        raise DataError(
            f"{found.place}: {len(found.records)} photos of {len(found.counts)} individuals, {usable} of them with two "
            "photos or more; training and testing need four individuals with two photos each, or two individuals with "
            f"four photos each{deeper}"
        )
    training = Counter(kept[index].individual for index in split.train)
    individuals = min(MOST_INDIVIDUALS, max(2, sum(count > 1 for count in training.values())))
    wanted = max(LEAST_PHOTOS, BATCH_PHOTOS // 2 // individuals)
    shorter = median(side for side, _ in found.sides)
    return Choices(
        size=max([size for size in SIZES if size <= shorter], default=SIZES[0]),
        fit="pad" if median(long / short for short, long in found.sides) >= LONG else "squash",
        by=by,
        train=train,
        validation=validation,
        split=split,
        kept=kept,
        individuals=individuals,
        photos=min(wanted, max(2, round(median(training.values())))),
        epochs=min(MOST_EPOCHS, max(FEWEST_EPOCHS, VISITS // len(split.train))),
    )


def config_text(name: str, folder: Path, found: Survey, choices: Choices) -> str:
    """The text of the config; its comments say what was found and what each choice means."""
    where = dump_toml({found.option: found.place.resolve()}, relative_to=folder).strip()
    relative = found.place.resolve().as_posix() not in where
    parts = {
        part: f"{len({choices.kept[i].individual for i in photos})} individuals, {len(photos)} photos"
        for part, photos in choices.split.parts().items()
    }
    off = "" if len(found.records) <= AUGMENTED else "# "
    lines = [
        f"#:schema {SCHEMA}",
        "# Who is on this photo? Written by `siamesekit init` for the photos below; everything may be changed.",
        "# Alternatives: siamesekit list; siamesekit show loss triplet. Editors complete keys by the first line.",
        _key("name", name),
        "seed = 0                       # seed of all random numbers",
        "",
        "[data]",
        *(f"# Found: {line}" for line in news(found)),
        _key("reader", found.reader, "root/INDIVIDUAL/photo.jpg" if found.reader == "folder" else "a table of photos"),
        f"{where:30} # relative to this file" if relative else where,
        *(_key(option, value) for option, value in found.options.items()),
        _key("size", choices.size, "width and height of images in pixels; smaller is faster, larger shows more detail"),
        _key("fit", choices.fit, 'how photos are made square: "squash", "pad" with black, or "crop" to the middle'),
        _key("singletons", "leave-out" if found.singletons else "refuse",
             "individuals with one photo make no pair and are left out" if found.singletons else
             "an individual with one photo is an error"),
        "",
        "[split]",
        *(f"# {part}: {text}" for part, text in parts.items()),
        _key("by", choices.by, "test individuals never train" if choices.by == "identity" else
             "too few individuals for a test set of their own: the photos of each are split"),
        _key("train", choices.train, f"share of the {'individuals' if choices.by == 'identity' else 'photos'}"),
        _key("validation", choices.validation, "share of those that does not train, but selects the best epoch")
        if choices.validation else
        "# validation = 0.15            # share of those that selects the best epoch; useful from about 40 individuals",
        "",
        "[encoder]",
        _key("name", "timm/resnet18", "a small network; list all: siamesekit list encoders timm"),
        _key("weights", "imagenet", "downloaded once, 45 MB; or a file, or \"random\""),
        _key("train_from", "layer4", 'the last block trains, all before it is computed once; "head": only the head'),
        "",
        "[encoder.stand_in]             # used, with a warning, if the weights cannot be downloaded",
        _key("weights", "calibrated", "random weights: for trying things out, not for results"),
        _key("hint", "run once with a network connection, or set encoder.weights to a file"),
        "",
        "[encoder.head]",
        _key("layers", [256], "dimensions of the embedding"),
        _key("last_activation", False),
        "",
        f"{off}[augmentation]{' ' * (17 - len(off))}# trains on random views: turned, shifted, brighter or darker, "
        "partly covered",
        f"{off}{_key('name', 'photo-id')}",
        f"{off}{_key('flip', 0.0, '0.5 if left and right look the same; often an individual is known by one side')}",
        "",
        "[distance]",
        _key("name", "cosine", "0: same direction, 2: opposite directions"),
        "",
        "[sampler]",
        _key("name", "p-by-k", "a batch: some individuals with some photos each"),
        _key("individuals", choices.individuals),
        _key("photos", choices.photos),
        "",
        "[loss]",
        _key("name", "triplet", 'all triplets of a batch; try also "multi-similarity", without the next two keys'),
        _key("margin", 0.2, "how much nearer the same individual must be than another"),
        _key("reduction", "mean-nonzero", "mean over the triplets that violate the margin"),
        "",
        "[optimizer]",
        _key("name", "adamw"),
        _key("lr", 3e-4, "lower it if the loss jumps"),
        "",
        "[train]",
        _key("epochs", choices.epochs, f"passes over the {len(choices.split.train)} training photos; "
                                       "`siamesekit check` estimates the time"),
        _key("select", "validation", "keep the epoch that is best on the validation individuals")
        if choices.validation else _key("select", "last", "keep the last epoch"),
    ]  # fmt: skip
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _key(key: str, value: object, why: str = "") -> str:
    written = dump_toml({key: value}).strip()
    return f"{written:30} # {why}" if why else written
