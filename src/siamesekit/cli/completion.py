"""Completion by Tab: kinds, components, families and their members. torch is not imported."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from siamesekit.errors import ComponentError, UserError

if TYPE_CHECKING:
    from siamesekit.registry import Registry


def plurals(incomplete: str) -> list[str]:
    """Arguments of `siamesekit list`: kinds in the plural, such as `losses`, and `tables`."""
    from siamesekit.registry import REGISTRIES

    offered = [*(registry.plural for registry in REGISTRIES), "tables"]
    return [plural for plural in offered if plural.startswith(incomplete)]


def kinds(incomplete: str) -> list[str]:
    """Arguments of `siamesekit show`: kinds in the singular, such as `loss`, and `table`."""
    from siamesekit.registry import REGISTRIES

    return [kind for kind in [*(registry.kind for registry in REGISTRIES), "table"] if kind.startswith(incomplete)]


def keys(context: typer.Context, incomplete: str) -> list[str]:
    """Values of `--set`, such as `train.epochs=`: keys of a table, and options of its component.

    The component is read from the config on the command line.
    """
    from siamesekit.config.key_places import TOP_KEYS, component_in, keys_of, table_names

    raw = _raw(context.params.get("config") or _typed_config())
    table = next(
        (name for name in sorted(table_names(), key=len, reverse=True) if incomplete.startswith(f"{name}.")), ""
    )
    offered = [*TOP_KEYS, *(f"{name}." for name in table_names())]
    if table:
        try:
            own = keys_of(table, component_in(raw, table))
        except ComponentError:
            own = keys_of(table)
        offered = [*own, *(f"{name}." for name in table_names() if name.startswith(f"{table}."))]
    return [key if key.endswith(".") else f"{key}=" for key in offered if key.startswith(incomplete)]


def _typed_config() -> str | None:
    """The config on the command line, for when the parser has not seen it, as after an option without a value."""
    typed = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS") or ""
    return next((word for word in typed.split() if word.endswith(".toml")), None)


def _raw(config: Any) -> dict[str, Any]:
    """The tables of a config, unchecked; empty if the config cannot be read."""
    from siamesekit.config.source import read_config_text
    from siamesekit.config.toml import parse_toml

    try:
        return {} if config is None or not Path(config).is_file() else parse_toml(read_config_text(Path(config))[0])
    except (ValueError, UserError):
        return {}


def families(context: typer.Context, incomplete: str) -> list[str]:
    """Families of the kind on the command line, such as `pml`."""
    return [name.removesuffix("/*") for name in _names(context) if name.endswith("/*") and name.startswith(incomplete)]


def components(context: typer.Context, incomplete: str) -> list[str]:
    """Components of the kind on the command line, such as `triplet`; for `table`, the tables of a config.

    A family is offered as its prefix, `pml/`; its members, up to a thousand, are offered after the prefix.
    """
    from siamesekit.config.describe.tables import WORDS
    from siamesekit.config.key_places import table_names
    from siamesekit.registry import registry_of

    if context.params.get("kind") in WORDS:
        return [name for name in table_names() if name.startswith(incomplete)]
    names = _names(context)
    return _offered(registry_of(context.params["kind"]), incomplete) if names else []


def encoders(incomplete: str) -> list[str]:
    """Encoders by name; the members of a family, such as `timm/resnet18`, are offered after its prefix."""
    from siamesekit.registry import ENCODERS

    return _offered(ENCODERS, incomplete)


def matchers(incomplete: str) -> list[str]:
    """Matchers by name."""
    from siamesekit.registry import MATCHERS

    return _offered(MATCHERS, incomplete)


def _offered(registry: Registry, incomplete: str) -> list[str]:
    prefix, slash, _ = incomplete.partition("/")
    names = [name.removesuffix("*") for name in registry.names()]
    if slash and f"{prefix}/" in names:
        names = [f"{prefix}/{member}" for member in registry.family(prefix).members() if "*" not in member]
    return [name for name in names if name.startswith(incomplete)]


def _names(context: typer.Context) -> list[str]:
    """Names of all components of the kind on the command line; empty for an unknown kind."""
    from siamesekit.registry import registry_of

    try:
        return registry_of(context.params.get("kind") or "").names()
    except ComponentError:
        return []
