"""Write observations in a format: choose it, check that it can be written, and write its files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from siamesekit.data.unknown_names import UNKNOWN, UnknownNames
from siamesekit.errors import DataError, OutputError, UserError
from siamesekit.files.atomic import write_atomic, write_several
from siamesekit.files.paths import is_own_folder, is_there
from siamesekit.gallery.exchange.camtrap_dp import OWN, camtrap_dp
from siamesekit.gallery.exchange.camtrap_fields import CALLED, TABLES
from siamesekit.gallery.exchange.camtrap_package import FACTS, PackageFacts, package_facts
from siamesekit.gallery.exchange.coco import coco
from siamesekit.gallery.exchange.observation import Observation, note_of
from siamesekit.gallery.exchange.sources import Source
from siamesekit.gallery.exchange.wildbook import check_library, wildbook
from siamesekit.gallery.exchange.wildlife_frame import wildlife_frame
from siamesekit.gallery.exchange.written_tables import Written
from siamesekit.wording import line_of_name, near

CAMTRAP = "camtrap-dp"
SUFFIXES: dict[str, tuple[str, ...]] = {
    CAMTRAP: (),
    "wildlife": (".csv",),
    "coco": (".json",),
    "wildbook": (".xlsx", ".csv"),
}
"""Format → suffixes of its file; none for a format that is a folder."""
PACKAGE = ("datapackage.json", *(f"{name}.csv" for name in TABLES))
"""Files of a package."""
ROOT_OPTION = {CAMTRAP: "photos"}
"""Format → option of its reader for the folder at which paths begin, if it is not `root`."""
ATTRIBUTES = ("date", "encounter", "side", "species", "site", "latitude", "longitude")


@dataclass(frozen=True)
class Converted:
    """What was written.

    Attributes:
        photos: number of observations.
        individuals: number of individuals.
        files: the files.
        notes: what was left out, assumed or could not be held, in sentences.
    """

    photos: int
    individuals: int
    files: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Wanted:
    """What is to be written, checked.

    Attributes:
        form: the format.
        output: its file, or its folder.
        facts: attributes of all photos that lack them.
        package: facts about the whole, by name.
        base: folder at which paths begin; None to choose it.
    """

    form: str
    output: Path
    facts: Mapping[str, str]
    package: Mapping[str, str]
    base: Path | None = None


def wanted(form: str, output: Path, facts: Sequence[str] = (), base: Path | None = None) -> Wanted:
    """Check, before any work, what is to be written.

    Args:
        form: the format.
        output: its file, or its folder.
        facts: `NAME=TEXT`: facts about all photos that lack them, or about the whole.
        base: folder at which paths begin; None to choose it.

    Raises:
        UserError: there is no such format or fact.
        OutputError: something is there already, or the folder that it would be in is missing.
    """
    if form not in SUFFIXES:
        raise UserError(f"--to {form}{near(form, SUFFIXES)}; formats: {', '.join(SUFFIXES)}")
    _check_output(form, output)
    if base is not None and not base.is_dir():
        raise UserError(f"--photos {line_of_name(str(base))}: there is no such folder")
    known = [*ATTRIBUTES, *FACTS, *(each.name for table in TABLES.values() for each in table if each.name not in OWN)]
    given: dict[str, str] = {}
    for fact in facts:
        name, equals, text = (part.strip() for part in fact.partition("="))
        if not equals or not text:
            raise UserError(f"--fact {fact}: expected NAME=TEXT, such as species=Panthera onca")
        if name not in known:
            raise UserError(f"--fact {fact}: no fact {name!r}{near(name, known)}; facts: {', '.join(ATTRIBUTES)}, …")
        given[CALLED.get(name, name)] = text
    package = {name: given.pop(name) for name in FACTS if name in given}
    if package and form != CAMTRAP:
        raise UserError(f"--fact {next(iter(package))}=… is about a package of {CAMTRAP}, not of {form}")
    package_facts(package, "")
    return Wanted(form, output, given, package, base)


def convert(source: Source, asked: Wanted, skip_bad: bool = False) -> Converted:
    """Write observations in a format.

    Args:
        source: the observations.
        asked: what is written, and where.
        skip_bad: whether to leave out photos that lack what the format requires, instead of an error.

    Raises:
        DataError: the photos cannot be written in this format.
        OutputError: a file cannot be written; an interrupted call leaves whole files only.
    """
    strange = [each.record.name for each in source.observations if not isinstance(each.record.source, Path)]
    if strange:
        raise DataError(f"{line_of_name(strange[0])} is not a file: formats refer to files")
    observations = [each.with_attributes(_with_facts(each, asked.facts)) for each in source.observations]
    base = _base(observations, asked)
    made = _made(observations, asked, base, package_facts(asked.package, source.title), skip_bad)
    gone = [each.record.name for each in observations if not os.path.isfile(each.file)]  # noqa: PTH113
    notes = [
        *source.notes,
        *made.notes,
        *note_of(_unknown(observations), "have individuals whose names readers take for unknown ones: rename them"),
        *note_of(gone, "are not where they were; their paths are written all the same"),
        *_where(asked, base),
    ]
    files = _write(asked.output, made)
    individuals = {each.record.individual for each in observations} - {""}
    return Converted(len(observations), len(individuals), files, tuple(notes))


def _made(
    observations: Sequence[Observation], asked: Wanted, base: Path, package: PackageFacts, skip_bad: bool
) -> Written:
    """The files of the format."""
    if asked.form == "wildlife":
        return wildlife_frame(observations, base)
    if asked.form == "coco":
        return coco(observations, base)
    if asked.form == "wildbook":
        return wildbook(observations, base, asked.output.suffix.lower())
    return camtrap_dp(observations, base, package, skip_bad)


def _unknown(observations: Sequence[Observation]) -> list[str]:
    """Photos of individuals that are called as unknown ones are."""
    unknown = UnknownNames(UNKNOWN)
    return [each.record.name for each in observations if each.record.individual and each.record.individual in unknown]


def _check_output(form: str, output: Path) -> None:
    """Refuse an output that is there: nothing is replaced.

    Raises:
        OutputError: it is, or the folder that it would be in is missing.
    """
    shown, parent = line_of_name(str(output)), output.absolute().parent
    if not parent.is_dir():
        raise OutputError(f"{shown}: there is no folder {line_of_name(str(parent))}")
    suffixes = SUFFIXES[form]
    if suffixes:
        if output.suffix.lower() not in suffixes:
            raise OutputError(f"{shown}: {form} is a file that ends in {' or '.join(suffixes)}")
        check_library(output.suffix.lower())
        refuse_existing(output)
        return
    if is_there(output) and not is_own_folder(output):
        raise OutputError(f"{shown} is not a folder; {form} is written into a folder: choose another name")
    for name in PACKAGE:
        refuse_existing(output / name)


def refuse_existing(file: Path) -> None:
    """Refuse to write a file that is there.

    Raises:
        OutputError: it is.
    """
    if is_there(file):
        raise OutputError(f"{line_of_name(str(file))} exists, and nothing is replaced: choose another name")


def _with_facts(observation: Observation, facts: Mapping[str, str]) -> dict[str, str]:
    """The attributes of an observation, with facts in place of those that are not known."""
    own = {name: text for name, text in observation.record.attributes.items() if text}
    fields = {attribute: name for name, attribute in CALLED.items()}
    return own | {name: text for name, text in facts.items() if not {name, fields.get(name, name)} & set(own)}


def _base(observations: Sequence[Observation], asked: Wanted) -> Path:
    """The folder at which paths begin: as asked, else that of the output if all photos are in it, else the deepest.

    Raises:
        DataError: the photos have no folder in common.
    """
    if asked.base is not None:
        return asked.base.absolute()
    folders = {str(each.file.absolute().parent) for each in observations}
    try:
        common = Path(os.path.commonpath(folders))
    except ValueError:
        raise DataError("the photos are on several drives; paths in a format begin at one folder") from None
    place = asked.output.absolute() if not SUFFIXES[asked.form] else asked.output.absolute().parent
    return place if common.is_relative_to(place) else common


def _where(asked: Wanted, base: Path) -> list[str]:
    """Where paths begin, if that is not where the output is."""
    place = asked.output.absolute() if not SUFFIXES[asked.form] else asked.output.absolute().parent
    if base == place:
        return []
    option = ROOT_OPTION.get(asked.form, "root")
    return [
        f"paths begin at {line_of_name(str(base))}: to read it again, --set data.{option}={line_of_name(str(base))}"
    ]


def _write(output: Path, made: Written) -> tuple[str, ...]:
    """Write the files; return their paths."""
    if set(made.files) == {""}:
        write_atomic(output, made.files[""])
        return (str(output),)
    try:
        output.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"{line_of_name(str(output))} cannot be created: {error.strerror}") from error
    write_several(output, made.files)
    return tuple(str(output / name) for name in made.files)
