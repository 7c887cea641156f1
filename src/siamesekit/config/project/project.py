"""A new project: a survey of the photos, and a config that fits them, with a reason for each choice.

```
photos ─ survey ─ Survey ─ choose ─ Choices ─┬─ config_text ─ config.toml
              choose_encoder ─ EncoderChoice ─┘
```
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from siamesekit.config.project.config_text import SCHEMA, choose, config_text
from siamesekit.config.project.encoder_choice import choose_encoder
from siamesekit.config.project.recipes import FINE_TUNE, Recipe
from siamesekit.config.project.survey import locate, news, survey
from siamesekit.config.project.table_layout import is_table
from siamesekit.config.schema import schema_text
from siamesekit.errors import OutputError
from siamesekit.files.atomic import write_atomic
from siamesekit.files.paths import resolved
from siamesekit.files.run_files import CONFIG

IGNORE, RUNS = ".gitignore", "runs"
PURPOSES = {
    CONFIG: "the config, with a reason for each choice",
    SCHEMA: "the JSON Schema by which editors complete and check the config",
    IGNORE: f"keeps {RUNS}/ in this folder out of git",
}
"""Purpose of each file of a project."""


@dataclass(frozen=True)
class Project:
    """A project that was created.

    Attributes:
        folder: folder of the project.
        photos: folder or table of the photos.
        files: files that were written.
        understood: what was understood of the photos' layout, a line for each level of folders or column.
        unusual: whether the layout is another one than a folder per individual.
        others: what else the photos could mean, each with the option for it.
        found: findings about the photos, one line each.
        encoder: the encoder, and why it was chosen.
        commands: the next commands.
        run: folder that the run will create, relative to the current folder.
        later: commands for the finished run.
    """

    folder: Path
    photos: Path
    files: tuple[Path, ...]
    understood: tuple[str, ...]
    unusual: bool
    others: tuple[str, ...]
    found: tuple[str, ...]
    encoder: str
    commands: tuple[str, ...]
    run: Path
    later: tuple[str, ...]


def make_project(
    folder: Path,
    photos: Path | None = None,
    encoder: str | None = None,
    recipe: Recipe = FINE_TUNE,
    reader: str | None = None,
    overrides: Sequence[str] = (),
    skip_bad: bool = False,
) -> Project:
    """Write `config.toml`, its schema and, if missing, a `.gitignore` for photos.

    Args:
        folder: folder of the project; created if missing.
        photos: folder or table of photos, of any layout that is understood. Default: the first of `folder`, `photos`
            in it and `data` in it that has a sub-folder per individual, or else photos.
        encoder: name of the encoder. Default: `timm/resnet18` if the hub with its weights answers, else
            `efficientnet-lite0`.
        recipe: what is trained, and how (`siamesekit.config.project.recipes`).
        reader: name of the reader; by default it follows from the photos' layout.
        overrides: options of the reader, as `data.KEY=VALUE` strings, which the config gets.
        skip_bad: whether to leave out missing photos, and links that are not followed, instead of an error.

    Raises:
        ComponentError: no encoder has this name.
        OutputError: the config or its schema exists, or a file cannot be written; then no file is written.
        DataError: there are no photos, or too few photos or individuals to train.
    """
    named = None if encoder is None else choose_encoder(encoder)
    try:
        real = resolved(folder)
    except OSError as error:
        raise OutputError(f"{folder} cannot be the folder of a project: {error.strerror}; choose another DIR") from None
    if folder.exists() and not folder.is_dir():
        table = f"; for a table of photos: siamesekit init DIR --photos {_quoted(folder)}" if is_table(folder) else ""
        raise OutputError(f"{folder} is a file, but a project is a folder: choose another DIR{table}")
    existing = [name for name in (CONFIG, SCHEMA) if os.path.lexists(folder / name)]
    if existing:
        raise OutputError(
            f"{' and '.join(str(folder / name) for name in existing)} already exist{'s' * (len(existing) == 1)}, "
            "and nothing is overwritten: choose another DIR, or move the existing files away"
        )
    found = survey(locate(folder) if photos is None else photos, reader, overrides, skip_bad)
    choices, chosen = choose(found, recipe), named or choose_encoder()
    name = re.sub(r"[^\w.-]+", "-", real.name).strip("-.") or "project"
    texts = {CONFIG: config_text(name, folder, found, choices, chosen, recipe), SCHEMA: schema_text()}
    notes = list(found.notes)
    if os.path.lexists(folder / IGNORE):
        notes.append(f"{folder / IGNORE} exists and is not changed: you may want to add the line runs/ to it")
    else:
        texts[IGNORE] = "runs/\n"
    _write(folder, texts)
    config, run = folder / CONFIG, Path(RUNS) / name
    shots = found.place if found.place.is_dir() else found.place.parent
    return Project(
        folder=folder,
        photos=found.place,
        files=tuple(folder / name for name in texts),
        understood=found.tree,
        unusual=bool(found.others or (found.tree and found.options) or found.reader != "folder"),
        others=found.others,
        found=(*news(found), *notes),
        encoder=f"{chosen.name}, {chosen.why}",
        commands=tuple(f"siamesekit {each} {_quoted(config)}{' --skip-bad' * skip_bad}" for each in ("check", "run")),
        run=run,
        later=(
            f"siamesekit compare {_quoted(run)} A.jpg B.jpg",
            f"siamesekit embed {_quoted(run)} {_quoted(shots)} -o embeddings.npz",
        ),
    )


def _write(folder: Path, texts: dict[str, str]) -> None:
    """Write all files or none."""
    created = [each for each in (folder, *folder.parents) if not each.exists()]
    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).open("xb").close()  # do not replace a file that appeared meanwhile
            written.append(folder / name)
            write_atomic(folder / name, text)
    except BaseException as error:
        for path in written:
            path.unlink(missing_ok=True)
        with suppress(OSError):  # the folder is missing or no longer empty
            for each in created:
                each.rmdir()
        if isinstance(error, OSError):
            raise OutputError(f"{folder} cannot be written to: {error.strerror}; choose another DIR") from None
        raise


def _quoted(path: Path) -> str:
    """A path quoted for a shell."""
    if os.name == "nt":
        return subprocess.list2cmdline([str(path)])
    return shlex.quote(str(path))
