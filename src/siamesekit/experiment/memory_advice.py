"""Advice for a batch that does not fit into memory: options of this config that help."""

from __future__ import annotations

from siamesekit.config import Config
from siamesekit.registry import SAMPLERS

SIZES = ("individuals", "photos", "groups_per_batch", "m", "samples_per_class", "super_classes_per_batch")
"""Options of samplers that set the size of their batches."""


def smaller_batches(config: Config) -> str:
    """How to make the config's batches smaller: `lower sampler.individuals or sampler.photos`."""
    component = SAMPLERS.get(config.sampler.component)
    options = [option.name for option in component.options if option.name in SIZES]
    if any(parameter.name == "batch_size" for parameter in component.runtime):
        options = ["batch_size"]
    if not options:
        return f"make the batches of sampler {component.name!r} smaller"
    return f"lower {' or '.join(f'sampler.{name}' for name in options)}"


def let_batches_be_cut(config: Config, whole: str | None) -> str | None:
    """Options that would let batches be split into chunks; None if no option does.

    Args:
        config: config of the run.
        whole: why batches are encoded whole (`siamesekit.engine.chunking.why_whole`).
    """
    if whole is None:
        return None
    found = []
    if config.encoder.batchnorm == "train":
        found.append('encoder.batchnorm = "inference"')
    if config.encoder.head.dropout > 0:
        found.append("encoder.head.dropout = 0.0")
    if config.encoder.lora is not None and config.encoder.lora.dropout > 0:
        found.append("encoder.lora.dropout = 0.0")
    for name, value in config.encoder.options.items():
        if "drop" in name and isinstance(value, int | float) and value > 0:
            found.append(f"encoder.{name} = 0.0")
    return f"set {' and '.join(found)}" if found else None


def for_memory(config: Config, whole: str | None) -> str:
    """All advice for a batch whose activations exceed `train.memory_gib`, in words."""
    steps = [smaller_batches(config), "raise train.memory_gib", *_checkpointing(config)]
    if (cuttable := let_batches_be_cut(config, whole)) is not None:
        steps.append(cuttable)
    return f"{', '.join(steps[:-1])}, or {steps[-1]}"


def for_one_photo(config: Config) -> str:
    """Advice if the activations of a single photo exceed `train.memory_gib`, in words."""
    steps = ["raise it", *_checkpointing(config)]
    return f"{', '.join(steps)}, or lower data.size"


def _checkpointing(config: Config) -> list[str]:
    """Activation checkpointing as a step, unless it is on already or BatchNorm prevents it."""
    can = not config.train.checkpoint_activations and config.encoder.batchnorm == "inference"
    return ["set train.checkpoint_activations = true"] if can else []
