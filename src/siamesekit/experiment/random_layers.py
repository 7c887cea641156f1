"""Training above frozen random layers: refused if the config asks for it, else announced before hours are spent."""

from __future__ import annotations

from siamesekit.config import Config
from siamesekit.engine.doctor import Finding, above_random_layers
from siamesekit.errors import UserError
from siamesekit.experiment.prepared_encoder import PreparedEncoder, spell
from siamesekit.progress import Progress


def refuse_random_layers(config: Config) -> None:
    """Refuse to train above frozen layers that the config itself makes random, before hours are spent.

    Raises:
        UserError: the config does so; the message says what to set instead.
    """
    table = config.encoder
    if table.weights == "random" and table.lora is not None:
        raise UserError(
            'encoder.weights = "random" with encoder.lora: the weights would be frozen without ever having been '
            "trained, and LoRA changes them only a little; remove encoder.lora so that all layers train, or set "
            'encoder.weights = "imagenet" or a file'
        )
    if table.weights == "random" and table.train_from not in ("", "head"):
        raise UserError(
            f'encoder.weights = "random" with encoder.train_from = "{table.train_from}": the layers before it would be '
            "frozen without ever having been trained, and the layers above them would learn from noise; set "
            'encoder.train_from = "" so that all layers train, or encoder.weights = "imagenet" or a file'
        )


def tell_of_random_layers(config: Config, built: PreparedEncoder, progress: Progress) -> None:
    """Say that layers train above frozen random layers, if the config itself asks for it.

    If a stand-in is the cause, the warning about the stand-in and the report say so.

    Args:
        config: config of the run.
        built: the encoder with its initial weights.
        progress: shows the message.
    """
    found = above_random_layers(
        built.weights["source"], config.encoder.train_from, config.train.epochs, config.encoder.lora is not None
    )
    if found is not None and built.stand_in is None:
        progress.say(_in_words(found))


def plan_random_layers(config: Config, built: PreparedEncoder, progress: Progress) -> None:
    """Like `tell_of_random_layers`, for an encoder whose weights have not been downloaded.

    Args:
        config: config of the run.
        built: the encoder, with random weights unless they are a file.
        progress: shows the message, also if a stand-in for missing weights would be random.
    """
    table = config.encoder
    if built.stand_in is not None:
        return
    lora = table.lora is not None
    found = above_random_layers(spell(table.weights), table.train_from, config.train.epochs, lora)
    if found is not None:
        progress.say(_in_words(found))
    elif table.stand_in is not None:
        otherwise = above_random_layers(spell(table.stand_in.weights), table.train_from, config.train.epochs, lora)
        if otherwise is not None:
            progress.say(
                f"If the weights {spell(table.weights)} are missing, a stand-in takes their place. {otherwise.meaning}"
            )


def _in_words(finding: Finding) -> str:
    return f"{finding.meaning} Try: {finding.advice}"
