"""The facts of a run for the report: data, network, training."""

from __future__ import annotations

from typing import Any

from siamesekit.audit.auditing import Audit
from siamesekit.audit.finding import in_words
from siamesekit.config import ComponentTable
from siamesekit.experiment.setup import Setup
from siamesekit.registry import DISTANCES, LOSSES, MINERS, OPTIMIZERS, PROJECTIONS, SAMPLERS, SCHEDULES, Registry

READ_FROM = {
    "folder": "a folder for each individual",
    "csv": "a table of photos and individuals",
    "parquet": "a table of photos and individuals",
}
"""What the readers of a user's own photos read."""


def facts_of(setup: Setup) -> tuple[tuple[str, str], ...]:
    """The facts of a run, as pairs of label and text."""
    config, data, encoder = setup.config, setup.dataset, setup.encoder
    parts = data.split.parts()
    photos = ", ".join(f"{len(part)} {name}" for name, part in parts.items())
    individuals = ", ".join(f"{len(names)} {part}" for part, names in data.individuals_by_part().items())
    parameters = sum(parameter.numel() for parameter in encoder.parameters())
    trainable = sum(parameter.numel() for parameter in encoder.trainable())
    trains = f"trained from {config.encoder.train_from}" if config.encoder.train_from else "all of it trained"
    if (lora := setup.prepared.lora) is not None:  # merged into the weights by now
        trainable, trains = trainable + lora.parameters, f"trained by LoRA of {lora}"
    if config.train.epochs == 0:
        trainable, trains = 0, "not trained"
    size, sampler = config.data.size, config.sampler

    def in_short(value: Any) -> str:
        """The value of an option; of a list of components, their names and weights."""
        if isinstance(value, list) and value and all(isinstance(each, dict) and "name" in each for each in value):
            return " + ".join((f"{each['weight']:g} " if "weight" in each else "") + each["name"] for each in value)
        return str(value)

    def component(table: ComponentTable, registry: Registry) -> str:
        """A component with its numeric options, and with other options that differ from their defaults."""
        usual = {option.name: option.default for option in registry.get(table.component).options}
        options = [
            key if value is True else f"{key} {in_short(value)}"
            for key, value in table.options.items()
            if (isinstance(value, int | float) and not isinstance(value, bool)) or usual.get(key, table) != value
        ]
        return f"{table.component} ({', '.join(options)})" if options else table.component

    batches = component(sampler, SAMPLERS)
    if any(parameter.name == "batch_size" for parameter in SAMPLERS.get(sampler.component).runtime):
        batches += f", batches of {sampler.batch_size}"
    projection = () if config.projection is None else (("Projection", component(config.projection, PROJECTIONS)),)
    miner = () if config.miner is None else (("Miner", component(config.miner, MINERS)),)
    schedule = () if config.schedule is None else (("Schedule", component(config.schedule, SCHEDULES)),)
    own = (
        ()
        if config.loss.optimizer is None
        else (("Optimizer of the loss", component(config.loss.optimizer, OPTIMIZERS)),)
    )
    shared = () if setup.matcher is None else (("Shared points", f"by {setup.matcher!r}"),)
    optimizer = component(config.optimizer, OPTIMIZERS)
    if config.optimizer.layer_decay < 1:
        optimizer += f", layer by layer {config.optimizer.layer_decay} times the rate"
    if config.optimizer.clip_norm > 0:
        optimizer += f", gradients clipped to {config.optimizer.clip_norm}"
    if config.train.average > 0:
        optimizer += f", weights averaged with decay {config.train.average}"
    training = (
        ("Sampler", batches),
        *miner,
        ("Loss", component(config.loss, LOSSES)),
        ("Optimizer", optimizer),
        *own,
        *schedule,
    )
    return (
        ("Photos", photos),
        *(() if setup.audit is None else (("Photos checked", _checked(setup.audit)),)),
        ("Read from", READ_FROM.get(data.reader, f"reader {data.reader}")),
        ("Individuals", f"{individuals}; split by {config.split.by}"),
        ("Encoder", f"{config.encoder.component}, {trains}; {setup.prepared.weights['source']} weights"),
        ("Parameters", f"{trainable:,} of {parameters:,} trained"),
        ("Embedding", f"{encoder.head.embedding_dim} dimensions, photos at {size} × {size}"),
        *projection,
        ("Distance", component(config.distance, DISTANCES)),
        *(training if config.train.epochs > 0 else ()),
        *shared,
        ("Computed on", f"{setup.compute.device.type}, {setup.compute.name}; seed {config.seed}"),
    )


def _checked(audit: Audit) -> str:
    """The findings of the audit by kind."""
    kinds = ", ".join(f"{count} {in_words(kind)}" for kind, count in audit.counts().items())
    return audit.sentence() + (f": {kinds}" if kinds else "")
