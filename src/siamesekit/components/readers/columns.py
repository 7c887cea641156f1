"""Columns of a table: which of them are the photo, the individual and the box, and which become attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from siamesekit.components.readers.tables import Table
from siamesekit.errors import DataError
from siamesekit.wording import first_of, near

USUAL = {name: name for name in ("split", "date", "encounter", "side", "species", "site")}
"""Attributes with an option in the readers of tables, each with its usual column."""
MOST_SHOWN = 40
"""Maximum number of columns that a message lists."""


@dataclass(frozen=True)
class Columns:
    """The columns that a reader's options name; an empty name stands for no column.

    Attributes:
        photo: column of the photos' files.
        individual: column of the individuals.
        group: column of the groups.
        box: column of the boxes, or four columns.
        rotation: column of the boxes' rotation.
        attributes: attribute → its column, of the attributes that have an option, such as `date`.
        usual: option → the column that is its default, and may be absent from the table.
    """

    photo: str
    individual: str
    group: str = ""
    box: str | Sequence[str] = ""
    rotation: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    usual: Mapping[str, str] = field(default_factory=dict)

    def in_table(self, table: Table) -> Places:
        """The indices of the columns in a table.

        Raises:
            DataError: a column is missing, two have the same name, or two would be the same attribute.
        """
        header = list(table.header)
        boxes = [name for name in ([self.box] if isinstance(self.box, str) else self.box) if name]
        named = [*self._single().items(), *(("box", name) for name in boxes)]
        wanted = {name: option for option, name in reversed(named) if name in header or self.usual.get(option) != name}
        of_attributes = {attribute: name for attribute, name in self.attributes.items() if name in header}
        own = {self.photo, self.individual, self.rotation, *boxes, *of_attributes.values()}
        others = [name for name in header if name and name not in own and self.attributes.get(name) != ""]
        problems = [
            *(f"no column {name!r} (option {wanted[name]!r}){near(name, header)}" for _, name in named
              if name in wanted and name not in header),
            *(f"{header.count(name)} columns {name!r}{_of_option(wanted.get(name))}: rename all but one"
              for name in dict.fromkeys(header) if name and header.count(name) > 1),
            *(f"column {name!r}, and column {of_attributes[name]!r} (option {name!r}), would both be the attribute "
              f"{name!r}: rename the first" for name in others if name in of_attributes),
        ]  # fmt: skip
        if problems:
            hint = "; check the delimiter" if len(header) == 1 else ""
            raise DataError(f"{table.name}: {'; '.join(problems)}; its columns: {first_of(header, MOST_SHOWN)}{hint}")
        attributes = of_attributes | {name: name for name in others}
        place = {name: number for number, name in enumerate(header)}
        return Places(
            place[self.photo],
            place.get(self.individual) if self.individual else None,
            place.get(self.group) if self.group else None,
            tuple(place[name] for name in boxes if name in place),
            place.get(self.rotation) if self.rotation else None,
            tuple(attributes),
            tuple(place[name] for name in attributes.values()),
        )

    def _single(self) -> dict[str, str]:
        """Option → its column, of all options that name one column."""
        main = {"photo": self.photo, "individual": self.individual, "group": self.group, "rotation": self.rotation}
        return {option: name for option, name in {**main, **self.attributes}.items() if name}


@dataclass(frozen=True)
class Places:
    """Indices of a table's columns; None for a column that is not asked for.

    Attributes:
        photo: index of the photos' column.
        individual: index of the individuals' column.
        group: index of the groups' column.
        box: indices of no column, or of one or four columns of boxes.
        rotation: index of the column of rotations.
        names: names of the attributes.
        attributes: indices of their columns.
    """

    photo: int
    individual: int | None
    group: int | None
    box: tuple[int, ...]
    rotation: int | None
    names: tuple[str, ...]
    attributes: tuple[int, ...]


def _of_option(option: str | None) -> str:
    return "" if option is None else f" (option {option!r})"
