"""A new project: photos looked at, and a config written that fits them, with the reason for each choice beside it.

```
photos ─ survey ─ Survey ─ choose ─ Choices ─ config_text ─ config.toml
```
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from siamesekit.config.schema import schema_text
from siamesekit.errors import OutputError
from siamesekit.files import write_atomic
from siamesekit.paths import resolved
from siamesekit.photo_survey import is_table, locate, news, survey
from siamesekit.project_config import SCHEMA, choose, config_text

CONFIG, IGNORE, RUNS = "config.toml", ".gitignore", "runs"
PURPOSES = {
    CONFIG: "the config, each choice with its reason",
    SCHEMA: "for editors, which complete and check the config by it",
    IGNORE: f"keeps {RUNS}/ in this folder out of git",
}
"""What each of a project's files is for."""


@dataclass(frozen=True)
class Project:
    """What was made.

    Attributes:
        folder: the project's.
        photos: where they are.
        files: that were written.
        found: what was found there, a line each.
        commands: to go on with.
        run: the folder that the run will make, below the current one.
        later: commands for when it is there.
    """

    folder: Path
    photos: Path
    files: tuple[Path, ...]
    found: tuple[str, ...]
    commands: tuple[str, ...]
    run: Path
    later: tuple[str, ...]


def make_project(folder: Path, photos: Path | None = None) -> Project:
    """Write `config.toml`, its schema and, where there is none, a `.gitignore` for photos.

    Args:
        folder: the project's; made if it is not there.
        photos: a folder with a sub-folder per individual, or a `.csv` table of photos (reader `csv`); without it
            `folder` itself, or `photos` or `data` in it, whichever looks like that.

    Raises:
        OutputError: the config or its schema is there, or a file cannot be written; then none is.
        DataError: there are no photos, or too few of too few individuals to train.
    """
    try:
        real = resolved(folder)
    except OSError as error:
        raise OutputError(f"{folder} cannot be a project's folder: {error.strerror}; choose another DIR") from None
    if folder.exists() and not folder.is_dir():
        table = f"; for a table of photos: siamesekit init DIR --photos {_quoted(folder)}" if is_table(folder) else ""
        raise OutputError(f"{folder} is a file; a project is a folder: choose another DIR{table}")
    there = [name for name in (CONFIG, SCHEMA) if os.path.lexists(folder / name)]
    if there:
        raise OutputError(f"{' and '.join(str(folder / name) for name in there)} {'is' if len(there) == 1 else 'are'} "
                          "already there, and nothing is overwritten: choose another DIR, or move it away")  # fmt: skip
    found = survey(locate(folder) if photos is None else photos)
    choices = choose(found)
    name = re.sub(r"[^\w.-]+", "-", real.name).strip("-.") or "project"
    texts = {CONFIG: config_text(name, folder, found, choices), SCHEMA: schema_text()}
    notes = list(found.notes)
    if os.path.lexists(folder / IGNORE):
        notes.append(f"{folder / IGNORE} is there and stays as it is: you may want to add a line runs/ to it")
    else:
        texts[IGNORE] = "runs/\n"
    _write(folder, texts)
    config, run = folder / CONFIG, Path(RUNS) / name
    shots = found.place if found.place.is_dir() else found.place.parent
    return Project(
        folder=folder,
        photos=found.place,
        files=tuple(folder / name for name in texts),
        found=(*news(found), *notes),
        commands=(f"siamesekit check {_quoted(config)}", f"siamesekit run {_quoted(config)}"),
        run=run,
        later=(
            f"siamesekit compare {_quoted(run)} A.jpg B.jpg",
            f"siamesekit embed {_quoted(run)} {_quoted(shots)} -o embeddings.npz",
        ),
    )


def _write(folder: Path, texts: dict[str, str]) -> None:
    """Write all files, or none."""
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).open("xb").close()  # what has come there since it was looked at is not replaced
            written.append(folder / name)
            write_atomic(folder / name, text)
    except BaseException as error:
        for path in written:
            path.unlink(missing_ok=True)
        with suppress(OSError):  # it is not there, or something else is in it by now
            for each in made:
                each.rmdir()
        if isinstance(error, OSError):
            raise OutputError(f"{folder} cannot be written to: {error.strerror}; choose another DIR") from None
        raise


def _quoted(path: Path) -> str:
    """A path as a shell takes it."""
    if os.name == "nt":
        return subprocess.list2cmdline([str(path)])
    return shlex.quote(str(path))
