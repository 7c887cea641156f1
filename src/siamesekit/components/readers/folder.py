"""Reader `folder`: root/INDIVIDUAL/photo.jpg."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from siamesekit.data.photo_folders import PHOTO_SUFFIXES, folders_in, is_folder, photos_below, photos_in
from siamesekit.data.records import Record
from siamesekit.errors import DataError, MissingDataError
from siamesekit.registry import READERS

TABLE_SUFFIXES = (".csv", ".tsv", ".txt")
"""Suffixes of tables."""
Groups = Literal["none", "of-photos", "of-individuals"]


@READERS.register("folder")
def read_folder(root: Path, groups: Groups = "none") -> list[Record]:
    """A folder of photos with a sub-folder per individual: `root/INDIVIDUAL/photo.jpg`.

    An individual's folder may have sub-folders. Hidden files and files without an image suffix are ignored. Photos are
    in natural order (`2.jpg` before `10.jpg`).

    Args:
        root: the folder; relative to the config's file.
        groups: the level of group folders, `root/GROUP/INDIVIDUAL/photo.jpg`. `none`: no such level. `of-photos`
            (sites, encounters): folders of the same name in several groups show the same individual. `of-individuals`
            (species, families): they show different individuals, which are named `GROUP/INDIVIDUAL`.

    Returns:
        A list of N records, one per photo, sorted by group, individual and name.

    Raises:
        MissingDataError: the folder does not exist.
        DataError: the folder has no photos, or none in an individual's folder.
    """
    place = f"{root}/INDIVIDUAL/photo.jpg" if groups == "none" else f"{root}/GROUP/INDIVIDUAL/photo.jpg"
    if not is_folder(root) and not root.exists():
        raise MissingDataError(f"there is no folder {root}: put photos at {place}")
    if not is_folder(root):
        is_table = root.suffix.lower() in TABLE_SUFFIXES
        table = f'; for a table of photos: reader = "csv", file = {json.dumps(str(root))}' if is_table else ""
        raise DataError(f"{root} is a file; expected a folder with a sub-folder per individual{table}")
    records, loose = [], 0
    for above in [root] if groups == "none" else folders_in(root):
        group = "" if groups == "none" else above.name
        for individual in folders_in(above):
            name = f"{group}/{individual.name}" if groups == "of-individuals" else individual.name
            files = photos_below(individual)
            records += [Record(file.relative_to(root).as_posix(), name, file, group, root) for file in files]
        loose += len(photos_in(above))
    if not records:
        if groups != "none":
            loose += len(photos_in(root))
        found = f"{loose} photos lie directly in it" if loose else "no photos are in it"
        if loose and groups != "none":
            found += " or in a group's folder"
        raise DataError(
            f"{root}: {found}; photos belong into a sub-folder per individual: {place} ({', '.join(PHOTO_SUFFIXES)})"
        )
    return records
