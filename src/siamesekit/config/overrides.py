"""Overrides of a config: `table.key=value`."""

from __future__ import annotations

import tomllib
from datetime import date, time
from itertools import pairwise
from typing import Any

from siamesekit.config.reading import Reading
from siamesekit.config.toml import UnparsableError, parse_toml
from siamesekit.config.toml_mistakes import shortened
from siamesekit.config.value_mistakes import value_mistake


def value_of(text: str) -> Any:
    """A value of the command line: as TOML, or text without quotes, which a bare date is, too.

    Raises:
        TOMLDecodeError: it begins with a quotation mark and is not TOML.
        UnparsableError: it is nested too deeply, or a number has too many digits.
    """
    try:
        parsed = parse_toml(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        if text.strip().startswith(("'", '"')):  # meant as TOML
            raise
        return text.strip()
    return text.strip() if isinstance(parsed, date | time) else parsed


def apply_override(raw: dict[str, Any], override: str, reading: Reading) -> None:
    """Apply one `table.key=value` to the raw tables of a config; problems are added to `reading`."""
    dotted, equals, value = override.partition("=")
    keys = dotted.strip().split(".")
    if not equals or not all(keys):
        reading.problems.append(f"--set {override}: must be table.key=value")
        return
    try:
        parsed = value_of(value)
    except tomllib.TOMLDecodeError:
        reading.overridden.add(".".join(keys))
        said = value_mistake(value.strip())
        why = f": {said}" if said else ""
        reading.problem(keys, f"must be TOML, or text without quotes, not {shortened(value.strip())}{why}")
        return
    except UnparsableError as error:
        reading.problems.append(f"--set {dotted}: {error}")
        return
    table: Any = raw
    for key, inner in pairwise(keys):
        table = table[int(key)] if isinstance(table, list) else table.setdefault(key, {})
        if isinstance(table, list):  # `augmentation.steps.0.p`: items of a list are numbered
            if not inner.isdecimal() or int(inner) >= len(table):
                one = f"an item of the list {key!r} must be addressed by its number, {key}.0"
                empty = f"the list {key!r} is empty and must be set as a whole"
                reading.problems.append(f"--set {dotted}: {one if table else empty}")
                return
        elif not isinstance(table, dict):
            reading.problems.append(f"--set {override}: {key!r} is not a table")
            return
    table[int(keys[-1]) if isinstance(table, list) else keys[-1]] = parsed
    reading.overridden.add(".".join(keys))
