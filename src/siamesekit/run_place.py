"""Where a run's folder may be: writable, a folder of its own, and never one that holds what is not the run's."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from siamesekit.errors import OutputError, first_of, line_of_name
from siamesekit.files import PREFIX
from siamesekit.own_files import CONFIG, MANIFEST
from siamesekit.paths import is_there, resolved
from siamesekit.replaced_run import manifest_of

SHOWN = 5
"""So many of a folder's files are named."""
REPOSITORY = ".git"
HOMES = (Path("/home"), Path("/Users"))
"""The folders in which systems keep home folders."""
ELSEWHERE = "choose another --out, such as runs/NAME"


def refuse_above(folder: Path, kept: Iterable[tuple[str, Path]], name: str) -> None:
    """Refuse a folder that is, or holds, something of the user's: data, a config, a home folder, a repository.

    Args:
        folder: the run's; it need not be there.
        kept: what must not lie in it, and where that is.
        name: the run's, for the advice.

    Raises:
        OutputError: it is one of them or lies above it.
    """
    real = resolved(folder)
    advice = f"a run's folder is one of its own: --out {Path('runs') / name}"
    for what, path in (*kept, *_homes(real)):
        with suppress(OSError):  # links in a circle: whoever reads it says so
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
        folder: the run's, as it is called.
        real: its links resolved.
        inside: names of sub-folders that are written to as well.

    Raises:
        OutputError: it is none that a run can write to.
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
    """Refuse to overwrite a run that cannot wait beside its folder.

    Raises:
        OutputError: the folder above may not be written to, or is on another file system.
    """
    beside = real.parent
    if not os.access(beside, os.W_OK | os.X_OK):
        raise OutputError(
            f"{beside} cannot be written to, and a run that is overwritten waits there: make it writable, "
            f"or {ELSEWHERE}"
        )
    if real.stat().st_dev != beside.stat().st_dev:
        raise OutputError(
            f"{folder} is a file system of its own, and a run in it cannot be overwritten: choose a "
            f"folder in it, --out {folder / 'NAME'}"
        )


def what_is_there(folder: Path) -> str:
    """What a folder is that holds something and no run of this version, and what to do."""
    manifest = manifest_of(folder)
    written = manifest.get("format") if manifest else None
    if isinstance(written, str) and written.startswith("siamesekit run "):
        return (
            f"{folder} holds a run of another version of siamesekit ({line_of_name(written[:60])}); it is neither "
            f"resumed nor overwritten, and stays as it is: {ELSEWHERE}"
        )
    if manifest is not None and "versions" in manifest and (folder / CONFIG).is_file():
        return (
            f"{folder} holds a run of an earlier siamesekit, which kept no list of its files; it is neither resumed "
            f"nor overwritten, and stays as it is: {ELSEWHERE}"
        )
    damaged = f", and its {MANIFEST} cannot be read" if manifest is None and is_there(folder / MANIFEST) else ""
    names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith(PREFIX))
    return (
        f"{folder} is not a run's folder{damaged}: it is not overwritten, and what is in it stays as it is "
        f"({first_of(names, SHOWN)}); {ELSEWHERE}"
    )


def _holds(folder: Path, path: Path) -> bool:
    """Whether a path is a folder or lies below it, by whatever name: both have their links resolved."""
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
    """The user's home folder; and the folder itself, where it is one of another user."""
    with suppress(RuntimeError):  # a user without one
        yield "your home folder", Path.home()
    with suppress(ImportError, KeyError):
        import pwd

        yield "your home folder", Path(pwd.getpwuid(os.getuid()).pw_dir)
    if folder in HOMES or folder.parent in HOMES:
        yield "a home folder", folder
