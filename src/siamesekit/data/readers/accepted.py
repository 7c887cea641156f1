"""What a plugin's reader gives, checked: records of photos, each with a name of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from siamesekit.component_faults import called, given, naming
from siamesekit.components import Component
from siamesekit.data.records import Record
from siamesekit.errors import PluginError, line_of_name


def accepted(made: Any, component: Component, runtime: Mapping[str, Any]) -> list[Record]:
    """What a plugin's reader gave, as a list; a generator is run to its end.

    Args:
        made: any iterable of records.
        component: which gave it.
        runtime: not used.

    Raises:
        PluginError: it fails, gives something else, no record, or two of one name.
    """
    if isinstance(made, str | bytes | Mapping | type) or not isinstance(made, Iterable):
        raise PluginError(f"{called(component)} gives {given(made)}; expected a list of Record, or a generator of them")
    with naming(component):
        records = list(made)
    if not records:
        raise PluginError(f"{called(component)} gives no records: is its folder or table the right one?")
    numbers: dict[str, int] = {}
    for number, record in enumerate(records, 1):
        for problem in _problems(record):
            raise PluginError(f"{called(component)} gives as record {number} of {len(records)} {problem}")
        first = numbers.setdefault(record.name, number)
        if first != number:
            raise PluginError(f"{called(component)} gives two records of the name {line_of_name(record.name)}, "
                              f"{first} and {number} of {len(records)}; expected a name for each")  # fmt: skip
    return records


def _problems(record: Any) -> Iterator[str]:
    """What is wrong with a record, in words."""
    if not isinstance(record, Record):
        yield f"{given(record)}; expected Record(name, individual, source)"
        return
    for key in ("name", "individual"):
        value = getattr(record, key)
        if not isinstance(value, str) or not value:
            shown = f"{given(value)} as its {key}" if value != "" else f"one whose {key} is empty"
            yield f"{shown}; expected text"
    if not isinstance(record.source, Path) and not callable(record.source):
        hint = ": wrap it in Path" if isinstance(record.source, str) else ""
        yield f"one whose source is {given(record.source)}; expected a Path, or a function that gives the pixels{hint}"
    if not isinstance(record.group, str):
        yield f"one whose group is {given(record.group)}; expected text, empty where there is none"
