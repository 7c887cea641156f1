"""Make the examples' tables and photo folders from the public download of nyalas and lions.

    python examples/animals/prepare.py DOWNLOAD

DOWNLOAD is the unpacked folder of https://github.com/tvanzyl/wildlife_reidentification, or any folder that holds its
Nyala_Data_Zero (train and test, ID/N_leftphoto.jpg) or its Lion_Data_Zero (train and val, NAME/NAME_PART.png) or both.
The photos are copied to data/nyala and data/lions beside this script, each with a table photos.csv. Of each
individual's photos, a fifth are marked test, the others train; an individual with one photo trains.
"""

from __future__ import annotations

import argparse
import csv
import random
import re
import shutil
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

SUFFIXES = (".jpg", ".jpeg", ".png")
COLUMNS = ("photo", "individual", "split", "encounter", "side", "view", "folder")
TESTED_OF = 5
"""One of so many photos of an individual is marked test, rounded up."""


class InputError(Exception):
    """The download or the arguments are wrong; the message says what to do."""


@dataclass(frozen=True)
class Photo:
    """A photo of the download.

    Attributes:
        file: the file.
        individual: name of its folder.
        encounter: sighting in which both flanks were photographed, or empty.
        side: `left`, `right` or empty.
        view: part of the animal, or empty.
        folder: folder of the download's own split.
    """

    file: Path
    individual: str
    encounter: str
    side: str
    view: str
    folder: str


def nyala(file: Path, folder: str) -> Photo:
    """`ID/N_leftphoto.jpg`: sighting N of individual ID.

    Raises:
        InputError: The name has another form.
    """
    found = re.fullmatch(r"(\d+)_(left|right)photo", file.stem.lower())
    if found is None:
        raise InputError(f"{file}: expected a name such as 14_leftphoto.jpg")
    return Photo(file, file.parent.name, found[1], found[2], "", folder)


def lion(file: Path, folder: str) -> Photo:
    """`NAME/NAME_PART.png`: a part of lion NAME, such as Left_Face."""
    name = file.parent.name
    part = file.stem[len(name) :] if file.stem.lower().startswith(name.lower()) else file.stem
    view = " ".join(re.split(r"[\s_]+", part.lower())).strip()
    side = next((word for word in view.split() if word in ("left", "right")), "")
    return Photo(file, name, "", side, view, folder)


SETS = {"nyala": ("Nyala_Data_Zero", nyala), "lions": ("Lion_Data_Zero", lion)}


def photos_of(download: Path, name: str) -> list[Photo]:
    """The photos of a set, by individual and name; empty without its folder.

    Raises:
        InputError: A file has an unexpected name, or two files would get one name.
    """
    wanted, read = SETS[name]
    root = download if download.name == wanted else next(iter(sorted(download.rglob(wanted))), download / wanted)
    found: dict[tuple[str, str], Photo] = {}
    for file in sorted(root.glob("*/*/*")) if root.is_dir() else []:
        if file.suffix.lower() not in SUFFIXES:
            continue
        photo = read(file, file.parent.parent.name)
        first = found.setdefault((photo.individual, file.name), photo)
        if first is not photo:
            raise InputError(f"{first.file} and {file} have the same individual and name: rename one")
    return [found[key] for key in sorted(found)]


def test_photos(photos: list[Photo], seed: int) -> set[Photo]:
    """A fifth of the photos of each individual, rounded up; none of an individual with one photo."""
    of: dict[str, list[Photo]] = defaultdict(list)
    for photo in photos:
        of[photo.individual].append(photo)
    chosen: set[Photo] = set()
    for individual, own in of.items():
        if len(own) > 1:
            shuffled = random.Random(f"{seed} {individual}").sample(own, len(own))
            chosen.update(shuffled[: -(-len(own) // TESTED_OF)])
    return chosen


def write(photos: list[Photo], out: Path, seed: int) -> str:
    """Copy the photos of a set and write its table; return what was written."""
    tested = test_photos(photos, seed)
    rows = []
    for photo in photos:
        place = Path("photos") / photo.individual / photo.file.name
        target = out / place
        if not target.is_file() or target.stat().st_size != photo.file.stat().st_size:
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = target.with_name(f".{target.name}.tmp")
            shutil.copyfile(photo.file, temporary)
            temporary.replace(target)
        part = "test" if photo in tested else "train"
        rows.append((place.as_posix(), photo.individual, part, photo.encounter, photo.side, photo.view, photo.folder))
    temporary = out / ".photos.csv.tmp"
    with temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    temporary.replace(out / "photos.csv")
    individuals = len({photo.individual for photo in photos})
    return f"{len(rows)} photos of {individuals} individuals, {len(tested)} of them to test: {out / 'photos.csv'}"


def main() -> int:
    """Run the command; the exit code is 2 if the input is wrong."""
    here = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("download", type=Path, metavar="DOWNLOAD")
    parser.add_argument("--out", type=Path, default=here / "data", help="folder to create (default: data, beside this)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the split")
    given = parser.parse_args()
    try:
        if not given.download.is_dir():
            raise InputError(f"no such folder: {given.download}")
        found = {name: photos_of(given.download, name) for name in SETS}
        if not any(found.values()):
            folders = " or ".join(folder for folder, _ in SETS.values())
            raise InputError(f"{given.download} contains neither {folders} with photos: unzip the download first")
        for name, photos in found.items():
            if photos:
                print(f"{name}: {write(photos, given.out / name, given.seed)}")
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {error.filename or given.out}: {error.strerror or error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
