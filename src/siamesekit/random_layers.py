"""Training above frozen layers that are random: refused where the config asks for it, said before hours go into it."""

from __future__ import annotations

from siamesekit.config import Config
from siamesekit.doctor import Finding
from siamesekit.errors import UserError
from siamesekit.preparation import Built, spell
from siamesekit.progress import Progress


def refuse_random_layers(config: Config) -> None:
    """Refuse to train above frozen layers that the config itself makes random: hours may go into it.

    Raises:
        UserError: with what to set instead.
    """
    table = config.encoder
    if table.weights == "random" and table.train_from not in ("", "head"):
        raise UserError(
            f'encoder.weights = "random" with encoder.train_from = "{table.train_from}": the layers before it would be '
            "frozen without ever having been trained, and what trains above them would learn from noise; set "
            'encoder.train_from = "" so that all layers train, or encoder.weights = "imagenet" or a file'
        )


def warn_of_random_layers(config: Config, built: Built, progress: Progress) -> None:
    """Say that the layers below those that train are frozen and random.

    Args:
        config: the run's.
        built: the encoder, with the weights that it trains from.
        progress: is told.
    """
    found = above_random_layers(built.weights["source"], config.encoder.train_from, config.train.epochs)
    if found is not None:
        progress.warn(_told(found))


def plan_random_layers(config: Config, built: Built, progress: Progress) -> None:
    """As `warn_of_random_layers`, of an encoder for which no weights have been fetched.

    Args:
        config: the run's.
        built: the encoder; its weights are random where the config names some that would have to be fetched.
        progress: is told, also where a stand-in for weights that cannot be had would be random.
    """
    table = config.encoder
    stand_in = None if table.stand_in is None else spell(table.stand_in.weights)
    weights = spell(table.weights) if built.stand_in is None or stand_in is None else stand_in
    found = above_random_layers(weights, table.train_from, config.train.epochs)
    otherwise = None if stand_in is None else above_random_layers(stand_in, table.train_from, config.train.epochs)
    if found is not None:
        progress.warn(_told(found))
    elif otherwise is not None:
        progress.say(f"Where the weights {weights} cannot be had, a stand-in takes their place. {otherwise.meaning}")


def above_random_layers(weights: str, train_from: str, epochs: int) -> Finding | None:
    """What is wrong where the layers below those that train are frozen and random.

    Args:
        weights: where the encoder's weights come from, in words.
        train_from: the first block that trains; empty: all do.
        epochs: of the training.
    """
    if not train_from or not weights.startswith("random"):
        return None
    return Finding(
        "random-layers", min(1, epochs), epochs,
        f"The layers before {train_from!r} are frozen and random: nobody has trained them, so what trains above "
        "them may never tell individuals apart, however long it runs.",
        'pretrained encoder.weights ("imagenet", once with a network connection; or a file), or encoder.train_from = '
        '"" so that all layers train.',
    )  # fmt: skip


def _told(finding: Finding) -> str:
    return f"{finding.meaning} Try: {finding.advice}"
