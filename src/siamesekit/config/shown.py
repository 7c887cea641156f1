"""A config in a few lines: the values that differ from the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from siamesekit.config.toml import dump_toml
from siamesekit.errors import ComponentError

if TYPE_CHECKING:
    from siamesekit.config.tables import Config, Table


def in_short(config: Config) -> str:
    """Name, file and seed, and a line for each table that differs from its defaults.

    Nothing is hidden, because a config contains no secrets.
    """
    lines = [f"Config {config.name!r} of {config.source}, seed {config.seed}; all values: print(config.to_toml())"]
    if config.plugins:
        lines.append(f"  plugins = {[plugin.path.name for plugin in config.plugins]}")
    for name in config.tables():
        differences = _differences(getattr(config, name), config)
        if differences:
            lines.append(f"  [{name}] {differences}")
    return "\n".join(lines)


def _differences(table: Table, config: Config) -> str:
    """The values of a table that differ from the defaults, as one line of TOML."""
    found: dict[str, Any] = {}
    nested = []
    for key, field in type(table).model_fields.items():
        value = getattr(table, key)
        if key == "options" or value is None:
            continue
        if hasattr(type(value), "model_fields"):
            inner = _differences(value, config)
            nested += [f"{key} = {{ {inner} }}"] if inner else []
        elif field.is_required() or value != field.get_default(call_default_factory=True):
            found[key] = value
    defaults = _defaults_of_options(table)
    for key, value in getattr(table, "options", {}).items():
        if value is not None and (key not in defaults or value != defaults[key]):
            found[key] = value
    spelt = dump_toml({key: _flat(value) for key, value in found.items()}, config.source.parent)
    return ", ".join([*spelt.strip().splitlines(), *nested])


def _flat(value: Any) -> Any:
    """The name of a nested component in place of its table."""
    return value.get("name", "…") if isinstance(value, Mapping) else value


def _defaults_of_options(table: Table) -> dict[str, Any]:
    registry = type(table).registry
    if registry is None:
        return {}
    try:
        component = registry.get(getattr(table, type(table).component_key))
    except ComponentError:  # its plugin is not loaded
        return {}
    return {option.name: option.default for option in component.options if not option.required}
