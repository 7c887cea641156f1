"""Make the example's photo folder from a Kaggle download: ROOT/INDIVIDUAL/0.jpg … 9.jpg, all of one size.

    python examples/whales/prepare.py DOWNLOAD

DOWNLOAD is the unzipped folder of "humpback-whale-identification" or "whale-categorization-playground" (train.csv with
Image,Id beside train/), or of "happy-whale-and-dolphin" (train.csv with image,species,individual_id beside
train_images/). A second call continues where the first one stopped.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError
from rich.console import Console
from rich.progress import track

UNKNOWN = ("new_whale", "new_individual")
SPECIES_MENDED = {"bottlenose_dolpin": "bottlenose_dolphin", "kiler_whale": "killer_whale"}
MAX_PIXELS = 200_000_000
RECORD = "prepare.json"


class InputError(Exception):
    """The download or the arguments are wrong; the message says what to do."""


@dataclass(frozen=True)
class Layout:
    """Folder and column names of a Kaggle data set."""

    name: str
    photos: str
    image: str
    individual: str
    species: str | None


LAYOUTS = (
    Layout("humpback whales (2018, 2019)", "train", "Image", "Id", None),
    Layout("whales and dolphins (2022)", "train_images", "image", "individual_id", "species"),
)


@dataclass(frozen=True)
class Settings:
    """Settings that decide which photos are chosen and how they look; stored in their folder."""

    individuals: int
    photos: int
    size: int
    fit: str
    species: str
    seed: int


@dataclass
class Catalogue:
    """The photos of each known individual, and the photos left out."""

    files: dict[str, list[Path]] = field(default_factory=dict)
    unknown: int = 0
    missing: list[str] = field(default_factory=list)
    repeated: int = 0


def read_catalogue(download: Path, species: str) -> Catalogue:
    """Read train.csv and find its photos.

    Raises:
        InputError: The folder is not such a download.
    """
    table = download / "train.csv"
    if not table.is_file():
        zips = ", ".join(sorted(file.name for file in download.glob("*.zip"))[:3])
        unzip = f"; unzip {zips} first" if zips else ""
        raise InputError(f"no such file: {table}{unzip}")
    with table.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        layout = _layout(rows.fieldnames or [], table)
        folder = download / layout.photos
        if not folder.is_dir():
            raise InputError(f"{table} belongs to {layout.name}, with photos in {folder}, but there is no such folder")
        catalogue, seen = Catalogue(), set()
        for number, row in enumerate(rows, 2):
            image, individual = (row[layout.image] or "").strip(), (row[layout.individual] or "").strip()
            for value in (image, individual):
                if not value or value in (".", "..") or "/" in value or "\\" in value or "\0" in value:
                    raise InputError(f"{table}, line {number}: {value!r} cannot name a file or an individual")
            kind = SPECIES_MENDED.get(row[layout.species], row[layout.species]) if layout.species else "all"
            if species != "all" and layout.species and kind != species:
                continue
            if individual in UNKNOWN:
                catalogue.unknown += 1
            elif image in seen:
                catalogue.repeated += 1
            elif not (folder / image).is_file():
                catalogue.missing.append(image)
            else:
                catalogue.files.setdefault(individual, []).append(folder / image)
            seen.add(image)
    return catalogue


def _layout(columns: object, table: Path) -> Layout:
    found = list(columns) if isinstance(columns, list | tuple) else []
    for layout in LAYOUTS:
        if {layout.image, layout.individual, *([layout.species] if layout.species else [])} <= set(found):
            return layout
    expected = " or ".join(
        ",".join(filter(None, (layout.image, layout.species, layout.individual))) for layout in LAYOUTS
    )
    raise InputError(f"{table} has columns {','.join(map(str, found)) or 'none'}; expected {expected}")


def candidates(catalogue: Catalogue, settings: Settings) -> Iterator[tuple[str, list[Path]]]:
    """Individuals with enough photos, and their photos, in an order given by the seed.

    Raises:
        InputError: Too few individuals have enough photos.
    """
    enough = sorted(name for name, files in catalogue.files.items() if len(files) >= settings.photos)
    if len(enough) < settings.individuals:
        counts = sorted((len(files) for files in catalogue.files.values()), reverse=True)
        most = counts[settings.individuals - 1] if len(counts) >= settings.individuals else 0
        raise InputError(
            f"{len(enough)} individuals have at least {settings.photos} photos, but {settings.individuals} are "
            f"requested; set --individuals {len(enough)}" + (f" or --photos {most}" if most else "")
        )
    rng = random.Random(settings.seed)
    rng.shuffle(enough)
    for name in enough:
        files = sorted(catalogue.files[name])
        random.Random(f"{settings.seed} {name}").shuffle(files)
        yield name, files


def convert(source: Path, settings: Settings) -> Image.Image:
    """Convert a photo to an upright RGB square.

    Raises:
        ValueError: The photo cannot be used; the message says why.
    """
    try:
        if source.stat().st_size == 0:
            raise ValueError("empty file")
        with Image.open(source, formats=("JPEG", "PNG")) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"{image.width} × {image.height} pixels are too many")
            upright = ImageOps.exif_transpose(image).convert("RGB")
    except UnidentifiedImageError:
        raise ValueError("not a JPEG or PNG image") from None
    except (OSError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise ValueError(str(error)) from None
    side = (settings.size, settings.size)
    if settings.fit == "pad":
        return ImageOps.pad(upright, side, Image.Resampling.LANCZOS)
    return upright.resize(side, Image.Resampling.LANCZOS)


def write_individual(root: Path, name: str, files: list[Path], settings: Settings, bad: dict[str, str]) -> bool:
    """Write an individual's photos, skipping bad ones; return False if too few photos are good.

    Complete individuals are kept. Others are written again from the first photo, because the numbering of the photos
    depends on the bad ones among them.
    """
    folder = root / name
    if all((folder / f"{number}.jpg").is_file() for number in range(settings.photos)):
        return True
    pictures = []
    for source in files:
        if len(pictures) == settings.photos:
            break
        try:
            pictures.append(convert(source, settings))
        except ValueError as error:
            bad[str(source)] = str(error)
    if len(pictures) < settings.photos:
        return False
    folder.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(pictures):
        temporary = folder / f".{number}.jpg.tmp"
        with temporary.open("wb") as file:
            picture.save(file, "JPEG", quality=95)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(folder / f"{number}.jpg")
    return True


def claim(root: Path, settings: Settings, download: Path) -> None:
    """Store the settings in the folder, so that the same call can continue and a different one is refused.

    Raises:
        InputError: The folder holds something else.
    """
    wanted = {"download": download.name, **vars(settings)}
    note = root / RECORD
    if note.is_file():
        began = json.loads(note.read_text(encoding="utf-8"))
        changed = sorted(key for key in wanted if began.get(key) != wanted[key])
        if changed:
            differences = ", ".join(f"{key} was {began.get(key)}, now {wanted[key]}" for key in changed)
            raise InputError(
                f"{root} was made with other settings ({differences}); choose another --out, or delete the folder"
            )
    elif root.exists() and any(root.iterdir()):
        raise InputError(f"{root} is not empty and was not made by this script; choose another --out")
    root.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps(wanted, indent=2) + "\n", encoding="utf-8")


def prepare(download: Path, root: Path, settings: Settings, console: Console) -> None:
    """Make the photo folder.

    Raises:
        InputError: The download, the folder or the settings do not match.
    """
    if not download.is_dir():
        raise InputError(f"no such folder: {download}")
    catalogue = read_catalogue(download, settings.species)
    chosen = candidates(catalogue, settings)
    first = next(chosen)
    claim(root, settings, download)
    bad: dict[str, str] = {}
    done = 0

    def rest() -> Iterator[tuple[str, list[Path]]]:
        yield first
        yield from chosen

    remaining = rest()
    for _ in track(range(settings.individuals), "Individuals", console=console):
        for name, files in remaining:
            if write_individual(root, name, files, settings, bad):
                done += 1
                break
    for source, reason in bad.items():
        console.print(f"left out {source}: {reason}", markup=False, soft_wrap=True)
    if catalogue.missing:
        console.print(f"{len(catalogue.missing)} photos of train.csv are missing: {', '.join(catalogue.missing[:3])} …")
    if done < settings.individuals:
        raise InputError(f"only {done} individuals have {settings.photos} readable photos; set a smaller --individuals")
    console.print(
        f"{done} individuals, {done * settings.photos} photos in {root}; left out: {catalogue.unknown} photos of "
        f"unknown individuals, {catalogue.repeated} repeated rows. Next: siamesekit run examples/whales/config.toml",
        markup=False,
        soft_wrap=True,
    )


def main() -> int:
    """Run the command; the exit code is 2 if the input is wrong."""
    here = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("download", type=Path, metavar="DOWNLOAD")
    parser.add_argument(
        "--out", type=Path, default=here / "data", help="folder to create (default: data, next to this script)"
    )
    parser.add_argument("--individuals", type=int, default=50, help="number of individuals")
    parser.add_argument("--photos", type=int, default=10, help="number of photos of each individual")
    parser.add_argument("--size", type=int, default=128, help="width and height in pixels")
    parser.add_argument("--fit", choices=("squash", "pad"), default="squash", help="pad keeps the aspect ratio")
    parser.add_argument("--species", default="humpback_whale", help="a species of the 2022 data set, or all")
    parser.add_argument("--seed", type=int, default=5)
    given = parser.parse_args()
    for name in ("individuals", "photos", "size"):
        if getattr(given, name) < 1:
            parser.error(f"--{name} must be at least 1")
    settings = Settings(given.individuals, given.photos, given.size, given.fit, given.species, given.seed)
    try:
        prepare(given.download, given.out, settings, Console())
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
