"""Training above frozen layers that are random: refused where the config asks for it, said before hours go into it."""

from __future__ import annotations

from siamesekit.config import Config
from siamesekit.doctor import Finding, above_random_layers
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


def tell_of_random_layers(config: Config, built: Built, progress: Progress) -> None:
    """Say that the layers below those that train are frozen and random, where the config itself asks for it.

    Where a stand-in leads to it, the warning that names the stand-in says so, and the report.

    Args:
        config: the run's.
        built: the encoder, with the weights that it trains from.
        progress: is told.
    """
    found = above_random_layers(built.weights["source"], config.encoder.train_from, config.train.epochs)
    if found is not None and built.stand_in is None:
        progress.say(_told(found))


def plan_random_layers(config: Config, built: Built, progress: Progress) -> None:
    """As `tell_of_random_layers`, of an encoder for which no weights have been fetched.

    Args:
        config: the run's.
        built: the encoder; its weights are random where the config names some that would have to be fetched.
        progress: is told, also where a stand-in for weights that cannot be had would be random.
    """
    table = config.encoder
    if built.stand_in is not None:
        return
    found = above_random_layers(spell(table.weights), table.train_from, config.train.epochs)
    if found is not None:
        progress.say(_told(found))
    elif table.stand_in is not None:
        otherwise = above_random_layers(spell(table.stand_in.weights), table.train_from, config.train.epochs)
        if otherwise is not None:
            progress.say(f"Where the weights {spell(table.weights)} cannot be had, a stand-in takes their place. "
                         f"{otherwise.meaning}")  # fmt: skip


def _told(finding: Finding) -> str:
    return f"{finding.meaning} Try: {finding.advice}"
