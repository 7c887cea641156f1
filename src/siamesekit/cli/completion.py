"""What the shell offers after Tab: kinds, components, families and their members; torch is not loaded for it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import typer

from siamesekit.errors import ComponentError, UserError


def plurals(incomplete: str) -> list[str]:
    """Kinds as `siamesekit list` takes them: `losses`; and a config's `tables`."""
    from siamesekit.registry import REGISTRIES

    offered = [*(registry.plural for registry in REGISTRIES), "tables"]
    return [plural for plural in offered if plural.startswith(incomplete)]


def kinds(incomplete: str) -> list[str]:
    """Kinds as `siamesekit show` takes them: `loss`; and a `table` of a config."""
    from siamesekit.registry import REGISTRIES

    return [kind for kind in [*(registry.kind for registry in REGISTRIES), "table"] if kind.startswith(incomplete)]


def keys(context: typer.Context, incomplete: str) -> list[str]:
    """Keys of the config as `--set` takes them, `train.epochs=`: a table's own, and its component's options.

    The component is the one that the config on the command line names.
    """
    from siamesekit.config.key_places import TOP, component_in, keys_of, table_names

    raw = _raw(context.params.get("config") or _typed_config())
    table = next(
        (name for name in sorted(table_names(), key=len, reverse=True) if incomplete.startswith(f"{name}.")), ""
    )
    offered = [*TOP, *(f"{name}." for name in table_names())]
    if table:
        try:
            own = keys_of(table, component_in(raw, table))
        except ComponentError:
            own = keys_of(table)
        offered = [*own, *(f"{name}." for name in table_names() if name.startswith(f"{table}."))]
    return [key if key.endswith(".") else f"{key}=" for key in offered if key.startswith(incomplete)]


def _typed_config() -> str | None:
    """The config that stands on the line: behind an option that still lacks its value the parser gives up on it."""
    typed = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS") or ""
    return next((word for word in typed.split() if word.endswith(".toml")), None)


def _raw(config: Any) -> dict[str, Any]:
    """A config's tables, unchecked; none where it cannot be read."""
    from siamesekit.config.source import read_config_text
    from siamesekit.config.toml import parse_toml

    try:
        return {} if config is None or not Path(config).is_file() else parse_toml(read_config_text(Path(config))[0])
    except (ValueError, UserError):
        return {}


def families(context: typer.Context, incomplete: str) -> list[str]:
    """The families of the kind that is already on the command line: `pml`."""
    return [name.removesuffix("/*") for name in _names(context) if name.endswith("/*") and name.startswith(incomplete)]


def components(context: typer.Context, incomplete: str) -> list[str]:
    """The components of the kind that is already on the command line: `triplet`; of `table` a config's tables.

    A family is offered by its prefix, `pml/`, and its members, which may be a thousand, once that is there.
    """
    from siamesekit.cli.config_keys import WORDS
    from siamesekit.config.key_places import table_names
    from siamesekit.registry import registry_of

    if context.params.get("kind") in WORDS:
        return [name for name in table_names() if name.startswith(incomplete)]
    prefix, slash, _ = incomplete.partition("/")
    names = [name.removesuffix("*") for name in _names(context)]
    if slash and incomplete.startswith(tuple(name for name in names if name.endswith("/"))):
        family = registry_of(context.params["kind"]).family(prefix)
        names = [f"{prefix}/{member}" for member in family.members() if "*" not in member]
    return [name for name in names if name.startswith(incomplete)]


def _names(context: typer.Context) -> list[str]:
    """All of the kind; none where there is no such kind."""
    from siamesekit.registry import registry_of

    try:
        return registry_of(context.params.get("kind") or "").names()
    except ComponentError:
        return []
