"""Tables to which a key belongs, such as `optimizer.lr` for `lr`: for suggestions and completion."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any, get_args

from siamesekit.config.tables import NESTED_TABLES, TABLES, ComponentTable, Table

TOP_KEYS = ("name", "seed", "plugins")
"""The top-level keys."""
OTHER_WORDS = {
    "learning_rate": "optimizer.lr", "optim": "optimizer.name", "opt": "optimizer.name", "epoch": "train.epochs",
    "num_epochs": "train.epochs", "n_epochs": "train.epochs", "max_epochs": "train.epochs", "bs": "sampler.batch_size",
    "batch": "sampler.batch_size", "train_batch_size": "sampler.batch_size", "image_size": "data.size",
    "img_size": "data.size", "imgsz": "data.size", "resolution": "data.size", "input_size": "data.size",
    "model": "encoder.name", "backbone": "encoder.name", "arch": "encoder.name", "architecture": "encoder.name",
    "network": "encoder.name", "pretrained": "encoder.weights", "checkpoint": "encoder.weights",
    "data_dir": "data.root", "data_root": "data.root", "dataset": "data.root", "photos": "data.root",
    "images": "data.root", "folder": "data.root", "csv": "data.file", "table": "data.file",
    "embedding_dim": "encoder.head.layers", "embedding_size": "encoder.head.layers", "dim": "encoder.head.layers",
    "scheduler": "schedule.name", "lr_scheduler": "schedule.name", "augment": "augmentation.name",
    "random_seed": "seed", "freeze": "encoder.train_from", "val_split": "split.validation", "ema": "train.average",
    "gradient_accumulation_steps": "train.accumulate", "accumulate_grad_batches": "train.accumulate",
    "gradient_checkpointing": "train.checkpoint_activations", "grad_checkpointing": "train.checkpoint_activations",
    "fsdp": "train.shard_encoder",
    "lora_rank": "encoder.lora.rank", "lora_alpha": "encoder.lora.alpha", "target_modules": "encoder.lora.targets",
    "clip_grad": "optimizer.clip_norm", "gradient_clip": "optimizer.clip_norm", "wd": "optimizer.weight_decay",
}  # fmt: skip
"""Names of keys in other programs, each with the key here."""


def keys_of(table: str, component: str | None = None) -> list[str]:
    """The dotted keys of a table: its own keys, and the options of a component.

    Args:
        table: dotted name of the table.
        component: component whose options are included; None: those of all components except families.
    """
    registry, options = _models()[table].registry, []
    for each in () if registry is None else registry.components():
        wanted = each.name == component if component is not None else not each.is_family
        options += [f"{table}.{option.name}" for option in each.options if wanted and option.nested is None]
    return list(dict.fromkeys([*_own_keys(table), *options]))


def _own_keys(table: str) -> list[str]:
    fields = _models()[table].model_fields.items()
    return [f"{table}.{key}" for key, field in fields if key != "options" and not holds_a_table(field.annotation)]


@cache
def every_key() -> tuple[str, ...]:
    """All dotted keys of a config: first those of the tables, then options of components."""
    own = [key for name in _models() for key in _own_keys(name)]
    return tuple(dict.fromkeys([*TOP_KEYS, *own, *(key for name in _models() for key in keys_of(name))]))


@cache
def _by_name() -> dict[str, list[str]]:
    """The dotted keys with each last part, those of outer tables first."""
    found: dict[str, list[str]] = {}
    for key in sorted(every_key(), key=lambda key: key.count(".")):
        found.setdefault(key.rpartition(".")[2], []).append(key)
    return found


def places_of(name: str) -> list[str]:
    """The dotted keys for a name, which may be a name from another program; at most three."""
    return _by_name().get(name, [OTHER_WORDS[name]] if name in OTHER_WORDS else [])[:3]


def key_places(word: str) -> list[str]:
    """The dotted keys that a word may mean: a key, a table, a name from another program, or a similar name.

    At most three, those of outer tables first.
    """
    name = word.strip("-").replace("-", "_").lower()
    if name in every_key():
        return [name]
    if name in _by_name():
        return places_of(name)
    model = _models().get(name)
    if model is not None and issubclass(model, ComponentTable):
        return [f"{name}.{model.component_key}"]
    if name in OTHER_WORDS:
        return places_of(name)
    if "." in name:
        return get_close_matches(name, every_key(), n=2, cutoff=0.75)
    near = get_close_matches(name, [*_by_name()], n=1, cutoff=0.75)
    return places_of(near[0]) if near else []


def component_in(raw: Mapping[str, Any], table: str) -> str | None:
    """The component that a table of a config names, or its default component."""
    model = _models()[table]
    if not issubclass(model, ComponentTable):
        return None
    inner: Any = raw
    for key in table.split("."):
        inner = inner.get(key) if isinstance(inner, Mapping) else None
    default = model.model_fields[model.component_key].default
    named = inner.get(model.component_key, default) if isinstance(inner, Mapping) else default
    return named if isinstance(named, str) else None


def table_names() -> list[str]:
    """The dotted names of all tables, each nested table after its outer one: `encoder`, `encoder.head`."""
    nested = [".".join(place) for place in NESTED_TABLES]
    return [name for outer in TABLES for name in [outer, *(inner for inner in nested if inner.startswith(f"{outer}."))]]


@cache
def _models() -> dict[str, type[Table]]:
    return {**TABLES, **{".".join(place): model for place, model in NESTED_TABLES.items()}}


def holds_a_table(annotation: Any) -> bool:
    """Whether a key of this type can hold a table."""
    return any(isinstance(part, type) and issubclass(part, Table) for part in (annotation, *get_args(annotation)))
