"""The config of a new project, written to fit its photos, with the reason for each choice beside it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Literal

from siamesekit.config.toml import dump_toml
from siamesekit.data.records import Record
from siamesekit.data.splits import Split, split_records
from siamesekit.errors import DataError
from siamesekit.photo_survey import Survey, news

SCHEMA = "config.schema.json"
"""The file beside the config that editors know it by."""
SIZES = (64, 96, 128, 160, 192, 224)
"""Sides in pixels to choose from; networks with ImageNet's weights have seen 224."""
SPLITS: tuple[tuple[int, Literal["identity", "photo"], float, float], ...] = (
    (40, "identity", 0.8, 0.15),
    (10, "identity", 0.8, 0.0),
    (4, "identity", 0.6, 0.0),
    (2, "photo", 0.75, 0.0),
    (2, "photo", 0.5, 0.0),
)
"""From how many individuals on: what is split, the share that trains, the share of it that validates."""
VISITS, FEWEST_EPOCHS, MOST_EPOCHS = 12_000, 3, 60
"""About so many photos are trained on in a run, all epochs together: minutes on two cores."""
BATCH_PHOTOS, MOST_INDIVIDUALS, LEAST_PHOTOS = 64, 16, 4
AUGMENTED = 1_000
"""Up to so many photos views of them are worth their time: each is stored 1 + 4 times."""
LONG = 1.5
"""Photos this many times as long as wide, in the middle, are padded: squashed they would look alike."""


@dataclass(frozen=True)
class Choices:
    """What fits it.

    Attributes:
        size: side in pixels that the network sees.
        fit: how photos are made square.
        by: what is split.
        train: share that trains.
        validation: share of it that validates.
        split: the photos of each part, indices into `kept`.
        kept: the photos of individuals with two or more.
        individuals: P of the sampler.
        photos: K of the sampler.
        epochs: of training.
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
    """Split, sampler, size and epochs that fit what was found.

    Raises:
        DataError: too few photos of too few individuals.
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
        raise DataError(f"{found.place}: {len(found.records)} photos of {len(found.counts)} individuals, {usable} of "
                        "them with two photos or more; to train and to test takes four individuals with two photos "
                        f"each, or two with four each{deeper}")  # fmt: skip
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
    """The config: what was found and what each choice means stand in its comments."""
    where = dump_toml({found.option: found.place.resolve()}, relative_to=folder).strip()
    relative = found.place.resolve().as_posix() not in where
    parts = {part: f"{len({choices.kept[i].individual for i in photos})} individuals, {len(photos)} photos"
             for part, photos in choices.split.parts().items()}  # fmt: skip
    off = "" if len(found.records) <= AUGMENTED else "# "
    lines = [
        f"#:schema {SCHEMA}",
        "# Who is on this photo? Written by `siamesekit init` for the photos below; everything may be changed.",
        "# What else there is: siamesekit list; siamesekit show loss triplet; an editor knows it from the first line.",
        _key("name", name),
        "seed = 0                       # all random numbers follow from it",
        "",
        "[data]",
        *(f"# Found: {line}" for line in news(found)),
        _key("reader", found.reader, "root/INDIVIDUAL/photo.jpg" if found.reader == "folder" else "a table of photos"),
        f"{where:30} # relative to this file" if relative else where,
        *(_key(option, value) for option, value in found.options.items()),
        _key("size", choices.size, "the network sees squares of so many pixels; fewer is faster, more shows more"),
        _key("fit", choices.fit, 'how photos are made square: "squash", "pad" with black, or "crop" to the middle'),
        _key("singletons", "leave-out" if found.singletons else "refuse",
             "an individual with one photo makes no pair of the same: left out" if found.singletons else
             "an individual with one photo would be an error"),
        "",
        "[split]",
        *(f"# {part}: {text}" for part, text in parts.items()),
        _key("by", choices.by, "test individuals are never seen in training" if choices.by == "identity" else
             "too few individuals to keep some for the test: each one's photos are split"),
        _key("train", choices.train, f"share of the {'individuals' if choices.by == 'identity' else 'photos'}"),
        _key("validation", choices.validation, "share of those that chooses the epoch in place of training")
        if choices.validation else
        "# validation = 0.15            # share of those that chooses the epoch; from some 40 individuals on",
        "",
        "[encoder]",
        _key("name", "timm/resnet18", "small; all there are: siamesekit list encoders timm"),
        _key("weights", "imagenet", "fetched once, 45 MB; or a file, or \"random\""),
        _key("train_from", "layer4", 'the last block trains, all before it is computed once; "head": the head alone'),
        "",
        "[encoder.stand_in]             # used, and said loudly, when the weights cannot be fetched",
        _key("weights", "calibrated", "random: good for trying things out, not for results"),
        _key("hint", "run once with a network connection, or set encoder.weights to a file"),
        "",
        "[encoder.head]",
        _key("layers", [256], "dimensions of the embedding"),
        _key("last_activation", False),
        "",
        f"{off}[augmentation]{' ' * (17 - len(off))}# trains on changing views: turned, shifted, lit otherwise, partly "
        "covered",
        f"{off}{_key('name', 'photo-id')}",
        f"{off}{_key('flip', 0.0, '0.5 where left and right look the same; an individual is often known by one side')}",
        "",
        "[distance]",
        _key("name", "cosine", "0: same direction, 2: opposite"),
        "",
        "[sampler]",
        _key("name", "p-by-k", "a batch: some individuals with some photos each"),
        _key("individuals", choices.individuals),
        _key("photos", choices.photos),
        "",
        "[loss]",
        _key("name", "triplet", 'all triplets of a batch; worth a try: "multi-similarity", without the two below'),
        _key("margin", 0.2, "nearer to the same individual than to another by so much"),
        _key("reduction", "mean-nonzero", "over the triplets that are not yet so"),
        "",
        "[optimizer]",
        _key("name", "adamw"),
        _key("lr", 3e-4, "lower where the loss jumps"),
        "",
        "[train]",
        _key("epochs", choices.epochs, f"so often it trains on all {len(choices.split.train)} training photos; "
                                       "`siamesekit check` estimates the time"),
        _key("select", "validation", "keeps the epoch that is best on the validation individuals")
        if choices.validation else _key("select", "last", "keeps the last epoch"),
    ]  # fmt: skip
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _key(key: str, value: object, why: str = "") -> str:
    written = dump_toml({key: value}).strip()
    return f"{written:30} # {why}" if why else written
