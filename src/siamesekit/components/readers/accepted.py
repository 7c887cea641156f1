"""Validation of the records of a plugin's reader, which must have distinct names."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from siamesekit.data.records import Box, Record, Records
from siamesekit.errors import PluginError
from siamesekit.files.remote_address import RemotePhoto
from siamesekit.registry.component import Component
from siamesekit.registry.component_faults import called, given, naming
from siamesekit.wording import line_of_name


def accepted(made: Any, component: Component, runtime: Mapping[str, Any]) -> Records:
    """The records of a plugin's reader, as a list. A generator is exhausted.

    Args:
        made: an iterable of records.
        component: the component that built it.
        runtime: not used.

    Raises:
        PluginError: the reader fails, or gives something other than records, no record, or two of the same name. The
            individual of a record may be empty: unknown.
    """
    if isinstance(made, str | bytes | Mapping | type) or not isinstance(made, Iterable):
        raise PluginError(f"{called(component)} gives {given(made)}; expected a list of Record, or a generator of them")
    with naming(component):
        records = made if isinstance(made, Records) else Records(made)
    if not records:
        raise PluginError(f"{called(component)} gives no records: check its folder or table")
    numbers: dict[str, int] = {}
    for number, record in enumerate(records, 1):
        for problem in _problems(record):
            raise PluginError(f"{called(component)} gives as record {number} of {len(records)} {problem}")
        first = numbers.setdefault(record.name, number)
        if first != number:
            raise PluginError(
                f"{called(component)} gives two records of the name {line_of_name(record.name)}, "
                f"{first} and {number} of {len(records)}; expected distinct names"
            )
    return records


def _problems(record: Any) -> Iterator[str]:
    """What is wrong with a record, as messages."""
    if not isinstance(record, Record):
        yield f"{given(record)}; expected Record(name, individual, source)"
        return
    for key in ("name", "individual"):
        value = getattr(record, key)
        if not isinstance(value, str) or (not value and key == "name"):
            problem = f"{given(value)} as its {key}" if value != "" else f"one whose {key} is empty"
            yield f"{problem}; expected text"
    if not isinstance(record.source, Path | RemotePhoto) and not callable(record.source):
        hint = ": wrap it in Path" if isinstance(record.source, str) else ""
        yield f"one whose source is {given(record.source)}; expected a Path, or a function that gives the pixels{hint}"
    if not isinstance(record.group, str):
        yield f"one whose group is {given(record.group)}; expected text, empty for no group"
    if record.box is not None and not is_box(record.box):
        yield f"one whose box is {given(record.box)}; expected Box(x, y, width, height) of finite numbers, or None"
    if not isinstance(record.attributes, Mapping) or not all(
        isinstance(text, str) for pair in record.attributes.items() for text in pair
    ):
        yield f"one whose attributes are {given(record.attributes)}; expected a dict of texts"


def is_box(box: Any) -> bool:
    """Whether this is a box of finite numbers with an area."""
    numbers = [box.x, box.y, box.width, box.height, box.rotation] if isinstance(box, Box) else [None]
    return all(isinstance(number, int | float) and math.isfinite(number) for number in numbers) and (
        box.width > 0 and box.height > 0
    )
