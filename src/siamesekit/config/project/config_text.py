"""The config of a new project: it fits the photos, and its comments give a reason for each choice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Literal

from siamesekit.config.project.choices import Choices
from siamesekit.config.project.encoder_choice import EncoderChoice
from siamesekit.config.project.recipes import FINE_TUNE, Recipe, key, recipe_lines
from siamesekit.config.project.survey import Survey, news
from siamesekit.config.toml import dump_toml
from siamesekit.data.records import Record
from siamesekit.data.splits import Split, SplitOptions, split_records
from siamesekit.data.splits.column import part_of
from siamesekit.errors import DataError

SCHEMA = "config.schema.json"
"""Name of the JSON Schema beside the config, for editors."""
SIZES = (64, 96, 128, 160, 192, 224)
"""Image sizes in pixels to choose from; ImageNet weights were trained at 224."""
SMALLEST_OF_SEED = 96
"""Least size for Xception, which takes no image below 71 pixels."""
UNMATCHED: tuple[Literal["refuse"], Literal["new"]] = ("refuse", "new")
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
LONG = 1.5
"""Median ratio of longer to shorter side from which photos are padded; squashed, they would look alike."""


def choose(found: Survey, recipe: Recipe = FINE_TUNE) -> Choices:
    """Choose split, sampler, size and epochs for the photos that were found.

    Args:
        found: the photos.
        recipe: `few-photos` has no epochs to choose from, so nothing validates; `seed` needs images of 96 pixels.

    Raises:
        DataError: there are too few photos or individuals.
    """
    kept = tuple(record for record in found.records if found.counts.get(record.individual, 0) > 1)
    split, by, train, validation, unmatched = _by_column(kept) or _by_share(found, kept, recipe)
    training = Counter(kept[index].individual for index in split.train)
    individuals = min(MOST_INDIVIDUALS, max(2, sum(count > 1 for count in training.values())))
    wanted = max(LEAST_PHOTOS, BATCH_PHOTOS // 2 // individuals)
    shorter = median(side for side, _ in found.sides)
    smallest = SMALLEST_OF_SEED if recipe == "seed" else SIZES[0]
    return Choices(
        size=max(smallest, SIZES[0], *(size for size in SIZES if size <= shorter)),
        fit="pad" if median(long / short for short, long in found.sides) >= LONG else "squash",
        by=by,
        train=train,
        validation=validation,
        split=split,
        kept=kept,
        individuals=individuals,
        photos=min(wanted, max(2, round(median(training.values())))),
        epochs=min(MOST_EPOCHS, max(FEWEST_EPOCHS, VISITS // len(split.train))),
        unmatched=unmatched,
    )


Chosen = tuple[Split, Literal["identity", "photo", "column"], float, float, Literal["refuse", "new"]]
"""The split, what is split, share that trains, share that validates, and what test photos of others are."""


def _by_column(kept: Sequence[Record]) -> Chosen | None:
    """The split that the photos themselves tell; None if they tell none that is sound."""
    if not kept or any(part_of(record.attributes.get("split", "")) is None for record in kept):
        return None
    for unmatched in UNMATCHED:
        try:
            split = split_records(kept, "column", 0.5, 0.0, (), 0, SplitOptions(unmatched=unmatched))
        except DataError:
            continue
        return split, "column", 0.5, 0.0, unmatched
    return None


def _by_share(found: Survey, kept: Sequence[Record], recipe: Recipe) -> Chosen:
    """A split by shares that the photos allow.

    Raises:
        DataError: there are too few photos or individuals.
    """
    usable = len({record.individual for record in kept})
    for fewest, by, train, validation in SPLITS:
        if usable < fewest:
            continue
        validation = 0.0 if recipe == "few-photos" else validation
        try:
            return split_records(kept, by, train, validation, (), seed=0), by, train, validation, "refuse"
        except DataError:
            continue
    more = "".join(f"; {line}" for line in (*found.tree[:2], *found.others, *found.notes))
    raise DataError(
        f"{found.place}: {len(found.records)} photos of {len(found.counts)} individuals, {usable} of them with two "
        "photos or more; training and testing need four individuals with two photos each, or two individuals with "
        f"four photos each{more}"
    )


def config_text(
    name: str, folder: Path, found: Survey, choices: Choices, encoder: EncoderChoice, recipe: Recipe = FINE_TUNE
) -> str:
    """The text of the config; its comments say what was found and what each choice means."""
    where = dump_toml({found.option: found.place.resolve()}, relative_to=folder).strip()
    relative = found.place.resolve().as_posix() not in where
    parts = {
        part: f"{len({choices.kept[i].individual for i in photos})} individuals, {len(photos)} photos"
        for part, photos in choices.split.parts().items()
    }
    lines = [
        f"#:schema {SCHEMA}",
        "# Who is on this photo? Written by `siamesekit init` for the photos below; everything may be changed.",
        "# Alternatives: siamesekit list; siamesekit show loss triplet. Editors complete keys by the first line.",
        key("name", name),
        "seed = 0                       # seed of all random numbers",
        "",
        "[data]",
        *(f"# Found: {line}" for line in news(found)),
        *(f"# Understood: {line}" for line in found.tree if len(found.tree) > 3 or found.options),
        *(f"# If wrong: {line}" for line in found.others),
        key("reader", found.reader, _kind_of_reader(found)),
        f"{where:30} # relative to this file" if relative else where,
        *(dump_toml({option: _resolved(value)}, relative_to=folder).strip() for option, value in found.options.items()),
        key("size", choices.size, "width and height of images in pixels; smaller is faster, larger shows more detail"),
        key("fit", choices.fit, 'how photos are made square: "squash", "pad" with black, or "crop" to the middle'),
        key("singletons", "leave-out" if found.singletons else "refuse",
             "individuals with one photo make no pair and are left out" if found.singletons else
             "an individual with one photo is an error"),
        "",
        "[split]",
        *(f"# {part}: {text}" for part, text in parts.items()),
        *_split_lines(choices),
        "",
        *recipe_lines(recipe, found, choices, encoder),
    ]  # fmt: skip
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _split_lines(choices: Choices) -> list[str]:
    """The keys of `[split]`."""
    if choices.by == "column":
        lines = [key("by", "column", 'the photos say in which part they are; by = "identity": a split by shares')]
        why = "test photos of individuals that only test are new individuals"
        return [*lines, *([key("unmatched", "new", why)] if choices.unmatched == "new" else [])]
    alone = choices.by == "identity"
    return [
        key("by", choices.by, "test individuals never train" if alone else
            "too few individuals for a test set of their own: the photos of each are split"),
        key("train", choices.train, f"share of the {'individuals' if alone else 'photos'}"),
        key("validation", choices.validation, "share of those that does not train, but selects the best epoch")
        if choices.validation else
        "# validation = 0.15            # share of those that selects the best epoch; useful from about 40 individuals",
    ]  # fmt: skip


def _kind_of_reader(found: Survey) -> str:
    if found.reader != "folder":
        return "a table of photos"
    return (
        "the layout of folders and names is the pattern" if "pattern" in found.options else "root/INDIVIDUAL/photo.jpg"
    )


def _resolved(value: object) -> object:
    """A path as an absolute path, so that it can be written relative to the config."""
    return value.resolve() if isinstance(value, Path) else value
