"""Reader `folder`: root/INDIVIDUAL/photo.jpg, or any layout of folders and names that a pattern describes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from siamesekit.data.folder_walk import Walk, sentence_of_links, walk
from siamesekit.data.passed_over import passed_over, sentence_of_pictures
from siamesekit.data.path_pattern import GROUP, INDIVIDUAL, PathPattern
from siamesekit.data.photo_folders import PHOTO_SUFFIXES, is_folder, is_photo
from siamesekit.data.records import Attributes, Record, Records
from siamesekit.data.remote.listing import RemoteWalk, remote_walk
from siamesekit.data.unknown_names import UNKNOWN, UnknownNames, sentence_of_unknown
from siamesekit.data.unusable import UnusablePhoto, UnusablePhotosError
from siamesekit.errors import DataError, MissingDataError
from siamesekit.files.places import Place
from siamesekit.files.remote_address import RemoteFolder, RemotePhoto
from siamesekit.registry import READERS
from siamesekit.wording import line_of_name, near

TABLE_SUFFIXES = (".csv", ".tsv", ".txt")
"""Suffixes of tables."""
Groups = Literal["none", "of-photos", "of-individuals"]


@READERS.register("folder")
def read_folder(
    root: Place,
    groups: Groups = "none",
    pattern: str = "",
    unknown: tuple[str, ...] = UNKNOWN,
    leave_out: tuple[str, ...] = (),
    follow_links: bool = False,
) -> list[Record]:
    """A folder of photos with a sub-folder per individual: `root/INDIVIDUAL/photo.jpg`.

    An individual's folder may have sub-folders. Hidden files, folders of systems (`@eaDir`, `#recycle`, `__MACOSX`, …)
    and files without an image suffix are ignored, and counted. Photos are in natural order (`2.jpg` before `10.jpg`).

    Other layouts are described by a `pattern`, such as `{site}/{year}/{individual}/` for folders of sites and years
    above those of the individuals, `{split}/{individual}/` for folders `train` and `test`, or `{individual}_*` for
    photos `seal07_3.jpg` in one folder. Its further parts become attributes of the photos; photos that do not match it
    are left out, and counted.

    Args:
        root: the folder, relative to the config's file; or its address on another machine, such as
            `s3://bucket/photos`.
        groups: the level of group folders, `root/GROUP/INDIVIDUAL/photo.jpg`. `none`: no such level. `of-photos`
            (sites, encounters): folders of the same name in several groups show the same individual. `of-individuals`
            (species, families): they show different individuals, which are named `GROUP/INDIVIDUAL`.
        pattern: the layout; `{individual}` is the part of the path that names the individual, `{group}` the group for
            the sampler `hierarchical`, any other `{name}` an attribute, and `*` any text. A pattern that ends in a
            slash is about folders, and photos may lie in them at any depth. A regular expression with
            `(?P<individual>…)` is a pattern, too. Empty for `root/INDIVIDUAL/photo.jpg`.
        unknown: names, in upper or lower case, that stand for unknown individuals. Their photos are kept apart: they
            are no class, and in no part of the split.
        leave_out: individuals whose photos are left out altogether.
        follow_links: whether links that lead out of the folder are followed; otherwise they are an error.

    Returns:
        A list of N records, one per photo, sorted by group, individual and name.

    Raises:
        MissingDataError: the folder does not exist.
        DataError: the folder has no photos, or none in an individual's folder; links lead out of it; or its server does
            not serve or list it.
    """
    layout = _layout(root, groups, pattern)
    found = remote_walk(root) if isinstance(root, RemoteFolder) else _walked(root, layout, follow_links)
    photos = _Sorted(found, layout, UnknownNames(unknown), frozenset(leave_out), follow_links)
    for name in leave_out:
        if name not in photos.left_out:
            raise DataError(f"leave_out: {root} has no individual {name!r}{near(name, photos.individuals)}")
    records = Records(photos.records, photos.notes(), photos.others.by_suffix)
    if found.links_out:
        link, target = found.links_out[0]
        raise UnusablePhotosError(
            sentence_of_links(len(found.links_out), str(root), link, target),
            records=records,
            findings=[
                UnusablePhoto(name, f"is a link to {line_of_name(where)}, outside {root}", "set data.follow_links")
                for name, where in found.links_out
            ],
        )
    if not records:
        pictures = "" if photos.left_out or photos.loose else sentence_of_pictures(found.files)
        raise DataError(f"{root}: {pictures or f'{photos.why_none()}; {layout.remedy}'}")
    return records


def _walked(root: Path, layout: _Layout, follow_links: bool) -> Walk:
    """The files below a folder of this machine.

    Raises:
        MissingDataError: there is no such folder.
        DataError: it is a file, or cannot be read.
    """
    if not is_folder(root) and not root.exists():
        raise MissingDataError(f"there is no folder {root}: put photos at {layout.place}")
    if not is_folder(root):
        is_table = root.suffix.lower() in TABLE_SUFFIXES
        table = f'; for a table of photos: reader = "csv", file = {json.dumps(str(root))}' if is_table else ""
        raise DataError(f"{root} is a file; expected a folder with a sub-folder per individual{table}")
    return walk(root, follow_links)


class Said(NamedTuple):
    """What the path of a photo says about it."""

    individual: str
    group: str = ""
    attributes: dict[str, str] | None = None


class _Layout(NamedTuple):
    """How photos lie in a folder.

    Attributes:
        place_of: what a path, relative and with slashes, says about the photo; None if it does not fit the layout.
        place: where a photo belongs, for messages.
        remedy: what to do if no photo fits.
        loose: why a photo does not fit.
    """

    place_of: Callable[[str], Said | None]
    place: str
    remedy: str
    loose: str


def _layout(root: Place, groups: Groups, pattern: str) -> _Layout:
    """The layout that the options describe.

    Raises:
        DataError: the pattern cannot be understood, or there are groups as well.
    """
    if not pattern:
        place = f"{root}/INDIVIDUAL/photo.jpg" if groups == "none" else f"{root}/GROUP/INDIVIDUAL/photo.jpg"
        remedy = (
            f"photos belong into a sub-folder per individual: {place} ({', '.join(PHOTO_SUFFIXES)}); for other layouts "
            'set data.pattern, such as "{individual}_*" for seal07_3.jpg'
        )
        return _Layout(_by_level(groups), place, remedy, "no individual's folder holds")
    if groups != "none":
        raise DataError(f'pattern = {pattern!r} and groups = "{groups}" exclude each other: write {{group}} in pattern')
    try:
        compiled = PathPattern(pattern)
    except ValueError as error:
        raise DataError(str(error)) from None

    def place_of(path: str) -> Said | None:
        fields = compiled.fields_of(path)
        if fields is None or not fields[INDIVIDUAL]:
            return None
        individual, group = fields.pop(INDIVIDUAL), fields.get(GROUP, "")
        return Said(individual, group, fields)

    where = f"{root}/{pattern}{'photo' * pattern.endswith('/')}.jpg"
    return _Layout(place_of, where, "correct data.pattern", f"the pattern {pattern!r} does not match")


def _by_level(groups: Groups) -> Callable[[str], Said | None]:
    """The layout by levels of folders."""

    def place_of(path: str) -> Said | None:
        above = path.split("/")[:-1]
        if len(above) < (1 if groups == "none" else 2):
            return None
        if groups == "none":
            return Said(above[0])
        return Said(above[1] if groups == "of-photos" else f"{above[0]}/{above[1]}", above[0])

    return place_of


class _Sorted:
    """The files of a folder, sorted by the individual that they belong to."""

    def __init__(
        self,
        found: Walk | RemoteWalk,
        layout: _Layout,
        unknown: UnknownNames,
        leave_out: frozenset[str],
        follow_links: bool,
    ) -> None:
        self.found, self.layout = found, layout
        self.records: list[Record] = []
        self.loose: list[str] = []
        self.left_out: Counter[str] = Counter()
        self.unknown: Counter[str] = Counter()
        self.individuals: dict[str, None] = {}
        others: list[tuple[str, Path | RemotePhoto]] = []
        names: dict[tuple[str, ...], tuple[str, ...]] = {}
        for file in found.files:
            path = file.below if isinstance(file, RemotePhoto) else file.relative_to(str(found.root)).as_posix()
            place = layout.place_of(path)
            if not is_photo(file.name):
                if place is not None and place.individual not in leave_out:
                    others.append((place.individual, file))
                continue
            if place is None:
                self.loose.append(path)
                continue
            self.individuals[place.individual] = None
            if place.individual in leave_out:
                self.left_out[place.individual] += 1
                continue
            individual = place.individual
            if individual in unknown:
                self.unknown[individual] += 1
                individual = ""
            root = None if follow_links or isinstance(found, RemoteWalk) else found.root
            fields = place.attributes or {}
            keys = names.setdefault(tuple(fields), tuple(fields))
            self.records.append(
                Record(path, individual, file, place.group, root, None, Attributes(keys, tuple(fields.values())))
                if fields
                else Record(path, individual, file, place.group, root)
            )
        self.others = passed_over(others, self.individuals)

    def notes(self) -> list[str]:
        """What was left out or left alone, in sentences."""
        out = self.left_out
        return [
            *self._told_of_loose(),
            *([f"left out as data.leave_out says: {out.total()} photos of {_few(list(out))}"] if out else []),
            *sentence_of_unknown(self.unknown),
            *self.others.sentences(),
            *self.found.notes(),
        ]

    def why_none(self) -> str:
        """Why there are no records."""
        if self.left_out:
            return "all photos are of individuals in leave_out"
        if not self.loose:
            return "no photos are in it"
        if self.layout.place_of("a/b.jpg"):
            return f"{len(self.loose)} photos lie directly in it"
        if self.layout.place_of("a/b/c.jpg") and self.layout.place.endswith("GROUP/INDIVIDUAL/photo.jpg"):
            return f"{len(self.loose)} photos lie directly in it or in a group's folder"
        return f"{self.layout.loose} any of its {len(self.loose)} photos, such as {line_of_name(self.loose[0])}"

    def _told_of_loose(self) -> list[str]:
        if not self.loose:
            return []
        count, shown = len(self.loose), _few(self.loose)
        if count == 1:
            return [f"1 photo was left out, because {self.layout.loose} it: {shown}"]
        return [f"{count} photos were left out, because {self.layout.loose} them: {shown}"]


def _few(names: Sequence[str]) -> str:
    """The first names of a list."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(map(line_of_name, names[:3])) + more
