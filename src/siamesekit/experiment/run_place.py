"""The place of a run's folder: writable, separate, and without data, configs or repositories of the user's."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from siamesekit.config import Config
from siamesekit.errors import OutputError
from siamesekit.experiment.replaced_run import manifest_of
from siamesekit.files.atomic import PREFIX
from siamesekit.files.paths import is_there, resolved
from siamesekit.files.run_files import CONFIG, MANIFEST
from siamesekit.wording import first_of, line_of_name

SHOWN = 5
"""Most files of a folder that a message names."""
REPOSITORY = ".git"
HOMES = (Path("/home"), Path("/Users"))
"""Folders in which operating systems keep home folders."""
ELSEWHERE = "choose another --out, such as runs/NAME"


def refuse_above(folder: Path, kept: Iterable[tuple[str, Path]], name: str) -> None:
    """Refuse a folder that is, or holds, something of the user's: data, a config, a home folder, a repository.

    Args:
        folder: folder of the run; it need not exist.
        kept: descriptions and paths of what must not lie in the folder.
        name: name of the run, for the advice.

    Raises:
        OutputError: the folder is, or holds, one of these.
    """
    real = resolved(folder)
    advice = f"a run needs a folder of its own: --out {Path('runs') / name}"
    for what, path in (*kept, *_homes(real)):
        with suppress(OSError):  # links in a circle are reported where the path is read
            if _holds(real, resolved(path)):
                raise OutputError(f"{line_of_name(str(folder))} holds {what} ({line_of_name(str(path))}); {advice}")
    if is_there(real / REPOSITORY):
        raise OutputError(f"{line_of_name(str(folder))} is a repository (it holds {REPOSITORY}); {advice}")
    here = Path.cwd()
    for place in (here, *here.parents):
        if is_there(place / REPOSITORY) and _holds(real, place):
            raise OutputError(f"{line_of_name(str(folder))} holds the repository {place}; {advice}")


def refuse_unwritable(folder: Path, real: Path, inside: Iterable[str]) -> None:
    """Refuse a folder that is a file, cannot be made, or may not be written to.

    Args:
        folder: folder of the run, as the user named it.
        real: the folder with links resolved.
        inside: names of subfolders that the run also writes to.

    Raises:
        OutputError: the folder cannot be written to.
    """
    place = real
    while not is_there(place):
        place = place.parent
    if not place.is_dir():
        if place == real:
            raise OutputError(f"{folder} is a file; {ELSEWHERE}")
        raise OutputError(f"{folder} cannot be made: Not a directory; {ELSEWHERE} ({place} is a file)")
    for each in (place, *((place / name for name in inside) if place == real else ())):
        if each.is_dir() and not os.access(each, os.W_OK | os.X_OK):
            raise OutputError(f"{each} cannot be written to: make it writable, or {ELSEWHERE}")


def refuse_unmovable(folder: Path, real: Path) -> None:
    """Refuse to overwrite a run that cannot be kept beside its folder.

    Raises:
        OutputError: the parent folder may not be written to, or is on another file system.
    """
    beside = real.parent
    if not os.access(beside, os.W_OK | os.X_OK):
        raise OutputError(
            f"{beside} cannot be written to, but --overwrite keeps the previous run there: make it writable, "
            f"or {ELSEWHERE}"
        )
    if real.stat().st_dev != beside.stat().st_dev:
        raise OutputError(
            f"{folder} is a separate file system, so a run in it cannot be overwritten: choose a "
            f"folder inside it, --out {folder / 'NAME'}"
        )


def what_is_there(folder: Path) -> str:
    """Describe a non-empty folder without a run of this version, and say what to do."""
    manifest = manifest_of(folder)
    written = manifest.get("format") if manifest else None
    if isinstance(written, str) and written.startswith("siamesekit run "):
        return (
            f"{folder} holds a run of another version of siamesekit ({line_of_name(written[:60])}), which can neither "
            f"be resumed nor overwritten: {ELSEWHERE}"
        )
    if manifest is not None and "versions" in manifest and (folder / CONFIG).is_file():
        return (
            f"{folder} holds a run of an earlier version of siamesekit, without a list of its files, which can neither "
            f"be resumed nor overwritten: {ELSEWHERE}"
        )
    damaged = f", and its {MANIFEST} cannot be read" if manifest is None and is_there(folder / MANIFEST) else ""
    names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith(PREFIX))
    return (
        f"{folder} is not a run's folder{damaged}: its files ({first_of(names, SHOWN)}) are not overwritten; "
        f"{ELSEWHERE}"
    )


def _holds(folder: Path, path: Path) -> bool:
    """Whether a path is the folder or lies below it, under any name; both have links resolved."""
    if path.is_relative_to(folder):
        return True
    with suppress(OSError):
        found = folder.stat()
        for place in (path, *path.parents):
            with suppress(OSError):
                if os.path.samestat(found, place.stat()):
                    return True
    return False


def _homes(folder: Path) -> Iterator[tuple[str, Path]]:
    """The user's home folder, and the folder itself if it is the home folder of another user."""
    with suppress(RuntimeError):  # a user without a home folder
        yield "your home folder", Path.home()
    with suppress(ImportError, KeyError):
        import pwd

        yield "your home folder", Path(pwd.getpwuid(os.getuid()).pw_dir)
    if folder in HOMES or folder.parent in HOMES:
        yield "a home folder", folder


def refuse_place(folder: Path, config: Config, resume: bool) -> None:
    """Refuse a run's folder that holds the config, the photos or the weights; a resumed run may hold its own config.

    Raises:
        OutputError: the folder holds one of these, or is a home folder or a repository.
    """
    own = resume and resolved(folder / CONFIG) == config.source
    kept = [] if own else [("the config", config.source)]
    tables = (config.data, config.data.stand_in)
    kept += [("the data", place) for table in tables if table is not None for place in _places(table.options)]
    for weights in (config.encoder.weights, config.encoder.stand_in and config.encoder.stand_in.weights):
        if isinstance(weights, Path):
            kept.append(("the weights", weights))
    refuse_above(folder, kept, config.name)


def _places(value: Any) -> Iterator[Path]:
    """The folders that a reader's options name, and the folders of files that they name."""
    if isinstance(value, Path):
        yield value.parent if value.is_file() or value.suffix else value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _places(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _places(inner)
