"""Recipes of a new project: what is trained, and how, from `[encoder]` to the end of the config."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

from siamesekit.config.project.choices import Choices
from siamesekit.config.project.encoder_choice import EncoderChoice
from siamesekit.config.project.survey import Survey
from siamesekit.config.toml import dump_toml

Recipe = Literal["fine-tune", "few-photos", "seed"]
RECIPES: tuple[Recipe, ...] = get_args(Recipe)
FINE_TUNE: Recipe = "fine-tune"
AUGMENTED = 1_000
"""Most photos for which augmentation is switched on: each photo is stored 1 + 4 times."""


def recipe_lines(recipe: Recipe, found: Survey, choices: Choices, encoder: EncoderChoice) -> list[str]:
    """The lines of a config after `[split]`.

    Args:
        recipe: `fine-tune` trains the last part of a pretrained encoder by triplets; `few-photos` computes a projection
            of its features in closed form, in seconds; `seed` is the siamese network of the whale experiment.
        found: the photos.
        choices: values that fit the photos.
        encoder: the encoder; `seed` has its own.
    """
    lines: Callable[[Survey, Choices, EncoderChoice], list[str]] = {
        "fine-tune": _fine_tune,
        "few-photos": _few_photos,
        "seed": _seed,
    }[recipe]
    return lines(found, choices, encoder)


def _fine_tune(found: Survey, choices: Choices, encoder: EncoderChoice) -> list[str]:
    off = "" if len(found.records) <= AUGMENTED else "# "
    return [
        *_encoder(encoder, encoder.train_from, encoder.trains),
        "[encoder.head]",
        key("layers", [256], "dimensions of the embedding"),
        key("last_activation", False),
        "",
        f"{off}[augmentation]{' ' * (17 - len(off))}# trains on random views: turned, shifted, brighter or darker, "
        "partly covered",
        f"{off}{key('name', 'photo-id')}",
        f"{off}{key('flip', 0.0, '0.5 if left and right look the same; often an individual is known by one side')}",
        "",
        "[distance]",
        key("name", "cosine", "0: same direction, 2: opposite directions"),
        "",
        "[sampler]",
        key("name", "p-by-k", "a batch: some individuals with some photos each"),
        key("individuals", choices.individuals),
        key("photos", choices.photos),
        "",
        "[loss]",
        key("name", "triplet", 'all triplets of a batch; try also "multi-similarity", without the next two keys'),
        key("margin", 0.2, "how much nearer the same individual must be than another"),
        key("reduction", "mean-nonzero", "mean over the triplets that violate the margin"),
        "",
        "[optimizer]",
        key("name", "adamw"),
        key("lr", 3e-4, "lower it if the loss jumps"),
        "",
        "[train]",
        key("epochs", choices.epochs, f"passes over the {len(choices.split.train)} training photos; "
                                       "`siamesekit check` estimates the time"),
        key("select", "validation", "keep the epoch that is best on the validation individuals")
        if choices.validation else key("select", "last", "keep the last epoch"),
    ]  # fmt: skip


def _few_photos(found: Survey, choices: Choices, encoder: EncoderChoice) -> list[str]:
    return [
        *_encoder(encoder, "head", "nothing of the encoder trains"),
        "[projection]                   # a linear layer that is computed, in seconds, instead of trained",
        key("name", "lda", 'directions in which individuals differ most; try also "wccn" and "whitening"'),
        key("dimensions", 128, "dimensions of the embedding, at most; fewer than individuals"),
        key("shrinkage", 0.5, "0 … 1: more for fewer photos"),
        "",
        "[distance]",
        key("name", "cosine", "0: same direction, 2: opposite directions"),
        "",
        "[train]",
        key("epochs", 0, "no training; with epochs and [encoder.head] layers, training starts from the projection"),
    ]


def _encoder(encoder: EncoderChoice, train_from: str, trains: str) -> list[str]:
    return [
        "[encoder]",
        key("name", encoder.name, "list all: siamesekit list encoders"),
        key("weights", "imagenet", f'{encoder.weights}; or a file, or "random"'),
        key("train_from", train_from, trains),
        *_stand_in(encoder.hint),
    ]


def _stand_in(hint: str) -> list[str]:
    return [
        "",
        "[encoder.stand_in]             # used, with a warning, if the weights are missing",
        key("weights", "calibrated", "random weights: for trying things out, not for results"),
        key("hint", hint),
        "",
    ]


def _seed(found: Survey, choices: Choices, encoder: EncoderChoice) -> list[str]:
    return [
        "[encoder]",
        key("name", "xception"),
        key("weights", "imagenet", 'converted from Keras; or a file, or "random"'),
        key("train_from", "block11", "the blocks before it are computed once"),
        key("batchnorm", "inference", "BatchNorm keeps the statistics of its weights"),
        *_stand_in("run once with a network connection, or set encoder.weights to a file"),
        "[encoder.head]",
        key("layers", [512, 256], "dense layers with ReLU; the last is the embedding, of length 1"),
        "",
        "[distance]",
        key("name", "squared-euclidean"),
        "",
        "[sampler]",
        key("name", "all-pairs", "each pair of photos of an individual, with a photo of another"),
        key("photos", 10, "of each individual, at most"),
        key("batch_size", 128, "triplets"),
        "",
        "[loss]",
        key("name", "triplet"),
        key("margin", 1.0),
        key("reduction", "sum"),
        "",
        "[optimizer]",
        key("name", "keras-adam"),
        key("lr", 1e-3),
        key("epsilon", 0.1),
        "",
        "[train]",
        key("epochs", choices.epochs, "passes over the triplets; `siamesekit check` estimates the time"),
        key("select", "validation", "keep the epoch that is best on the validation individuals")
        if choices.validation
        else key("select", "last", "keep the last epoch"),
    ]


def key(name: str, value: object, why: str = "") -> str:
    """A line `name = value`, with a comment that says why."""
    written = dump_toml({name: value}).strip()
    return f"{written:30} # {why}" if why else written
