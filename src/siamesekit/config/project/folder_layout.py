"""How photos lie in a folder: in folders of individuals, below other levels, or in one folder with telling names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from siamesekit.config.project.file_names import name_patterns
from siamesekit.config.project.folder_levels import GENERAL, Level, fields_of_levels, level_of_individuals, levels_of
from siamesekit.config.project.understood import Understood, setting, some
from siamesekit.data.splits.column import WORDS
from siamesekit.errors import DataError

ONE_FOLDER = "{individual}/"
WHAT = {
    "split": "parts of a split",
    "year": "years",
    "date": "dates",
    "day": "dates",
    "side": "sides",
    "encounter": "encounters",
    "general": "say nothing",
    "single": "one folder",
}
"""What levels are, in words."""


def folder_layout(place: Path, photos: Sequence[str]) -> Understood:
    """How photos lie in a folder.

    Args:
        place: the folder.
        photos: paths of the photos below it, with slashes.

    Raises:
        DataError: nothing names the individuals: neither folders nor the photos' names.
    """
    parts = [PurePosixPath(photo).parts for photo in photos]
    levels = levels_of(parts)
    individuals = level_of_individuals(levels)
    if individuals is None:
        return _by_names(place, photos, levels)
    return _by_folders(place, photos, levels, individuals)


def _by_folders(place: Path, photos: Sequence[str], levels: Sequence[Level], individuals: int) -> Understood:
    """The individuals by the folders of a level."""
    fields = fields_of_levels(levels, individuals)
    pattern = "/".join(fields) + "/"
    others = [
        f"the individuals are the folders of level {number + 1}, {some(level.names)}: "
        f"{setting('pattern', '/'.join(fields_of_levels(levels, number)) + '/')}"
        for number, level in enumerate(levels)
        if number != individuals
        and level.kind not in ("split", "general")
        and not (level.kind == "single" and number < individuals)
    ]
    chosen = levels[individuals]
    if chosen.repeated and any(level.kind == "names" for level in levels[:individuals]):
        others.append(
            "folders of the same name show different individuals at different sites: "
            f"{setting('groups', 'of-individuals')} (with two levels of folders)"
        )
    options = {} if pattern == ONE_FOLDER else {"pattern": pattern}
    odd = [name for name in chosen.names if name.lower() in GENERAL | WORDS.keys()]
    unusual = [] if chosen.kind == "names" else [f"the individuals' folders look like {WHAT[chosen.kind]}"]
    unusual += [f"unusual names of individuals, which are folders in {place}: {some(odd)}"] if odd else []
    plain = [*others, *(["the names of the photos name the individuals: --set 'data.pattern=**/{individual}_*'"]
                        if unusual else [])]  # fmt: skip
    return Understood(
        "folder", "root", place, options, _tree(place, levels, fields, len(photos)), tuple(plain), tuple(unusual)
    )


def _tree(place: Path, levels: Sequence[Level], fields: Sequence[str], photos: int) -> tuple[str, ...]:
    """The levels, one below the other, with their counts."""
    lines = [f"{place.name or place}/"]
    for depth, (level, field) in enumerate(zip(levels, fields, strict=False), 1):
        what = "the individuals" if field == "{individual}" else field.strip("{}*") or "not used"
        names = f"{len(level.names)} names" if len(level.names) != level.folders else ""
        counted = f"{level.folders} folder{'' if level.folders == 1 else 's'}{names and f', {names}'}"
        lines.append(f"{'  ' * depth}{what}: {some(level.names)} ({counted})")
    return (*lines, f"{'  ' * (len(fields) + 1)}{photos} photos")


def _by_names(place: Path, photos: Sequence[str], levels: Sequence[Level]) -> Understood:
    """The individuals by the names of the photos.

    Raises:
        DataError: no pattern fits the names.
    """
    stems = [PurePosixPath(photo).stem for photo in photos if photo.count("/") >= len(levels)]
    found = [each for each in name_patterns(stems) if not (levels and each.pattern.startswith("(?P<"))]
    inside = "".join(f"{field}/" for field in fields_of_levels(levels, len(levels)))
    example = PurePosixPath(photos[0]).name if photos else "photo.jpg"
    if not found and levels and levels[-1].kind == "single":
        return _by_folders(place, photos, levels, len(levels) - 1)
    if not found:
        where = "lie directly in it" if not levels else f"lie in {some(levels[-1].names)}, which are no individuals"
        raise DataError(
            f"{place}: {len(photos)} photos {where}, and their names, such as {example}, do not tell the individuals: "
            f"give each individual a folder, {place / 'INDIVIDUAL' / 'photo.jpg'}; or say where a name has the "
            f"individual: {setting('pattern', inside + '{individual}_*')}; or name a table of photos: --photos FILE.csv"
        )
    best, *rest = found
    tree = [f"{place.name or place}/"]
    for depth, level in enumerate(levels, 1):
        tree.append(f"{'  ' * depth}{WHAT.get(level.kind, 'folders')}: {some(level.names)}")
    individuals = f"{some(best.individuals)} ({len(best.individuals)} individuals)"
    tree.append(
        f"{'  ' * (len(levels) + 1)}{len(stems)} photos, named such as {example}; the individuals: {individuals}"
    )
    others = [
        f"the individuals are {some(each.individuals)}: {setting('pattern', inside + each.pattern)}"
        for each in rest[:2]
    ]
    return Understood("folder", "root", place, {"pattern": inside + best.pattern}, tuple(tree), tuple(others))
