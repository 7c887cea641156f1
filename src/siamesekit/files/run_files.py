"""The files that belong to a run: plain files of exact names in its folder. No other file is ever moved or removed.

The `manifest.json` of a run lists them. Because it may have been edited or copied, a name in it counts only if it has
a form that this library writes and is a plain file, not behind a link.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from siamesekit.files.atomic import rename
from siamesekit.files.paths import is_own_folder, is_plain, is_there
from siamesekit.files.untrusted import fingerprint

CONFIG, MANIFEST, METRICS_FILE, EVALUATION, REPORT, SPLIT = (
    "config.toml",
    "manifest.json",
    "metrics.jsonl",
    "evaluation.json",
    "report.html",
    "split.json",
)
MODEL, CHECKPOINTS, PLUGINS, TENSORBOARD = "model", "checkpoints", "plugins", "tensorboard"
FOLDERS = (MODEL, CHECKPOINTS, PLUGINS, TENSORBOARD)
NAMES = frozenset({CONFIG, MANIFEST, METRICS_FILE, EVALUATION, REPORT, SPLIT, *FOLDERS})
"""Reserved names in a run's folder; files named by the user must have other names."""
MODEL_FILES = (f"{MODEL}/model.safetensors", f"{MODEL}/model.json")
FIXED = frozenset({CONFIG, METRICS_FILE, EVALUATION, REPORT, SPLIT, *MODEL_FILES})
BEST, DIGITS = "best-{}.safetensors", 16
"""File name of the best weights so far, in `checkpoints/`, with the first digits of their SHA-256, and their number."""
BEST_FORM = re.compile(re.escape(BEST).replace(r"\{\}", f"[0-9a-f]{{{DIGITS}}}"))
CHECKPOINT_FORMS = {
    f"{CHECKPOINTS}/NUMBER.json": re.compile(r"\d{6,}\.json"),
    f"{CHECKPOINTS}/NUMBER.safetensors": re.compile(r"\d{6,}\.safetensors"),
    f"{CHECKPOINTS}/best-DIGEST.safetensors": BEST_FORM,
}
"""Entries of a manifest for checkpoints and best weights, with the file names they stand for."""
EVENTS = f"{TENSORBOARD}/EVENTS"
"""Entry of a manifest for the event files of tracker `tensorboard`."""
FORMS = CHECKPOINT_FORMS | {EVENTS: re.compile(r"events\.out\.tfevents\.[\w.-]+")}
"""All entries of a manifest that stand for several files, with the names of these files."""
_PLUGIN = re.compile(re.escape(PLUGINS) + r"/([^/\\]+\.py)")
_PICKLE = (b"\x80", b"siamesekit", b"SiameseNetwork")
"""Beginning of a pickle of this library, and two names among its first bytes."""


def own_files(folder: Path, manifest: Mapping[str, Any]) -> list[str]:
    """Plain files in a run's folder that its manifest lists and whose names this library writes, sorted.

    A copy of a plugin must have the SHA-256 in the manifest, and a pickle the beginning of this library's pickles. The
    manifest itself is not included.
    """
    listed = manifest.get("files")
    plugins = manifest.get("plugins")
    found: set[str] = set()
    for name in listed if isinstance(listed, list) else []:
        if not isinstance(name, str):
            continue
        if name in FORMS:
            found.update(_of_form(folder, name))
        elif _is_plain_there(folder, name) and (
            name in FIXED
            or _is_plugin(folder, name, plugins if isinstance(plugins, dict) else {})
            or _is_pickle(folder, name)
        ):
            found.add(name)
    return sorted(found)


def strangers(folder: Path, names: Iterable[str], own: Iterable[str]) -> list[str]:
    """Files that a run is about to write but whose names are taken by files of the user, sorted."""
    own = set(own)
    taken = {name for name in names if name not in own and name not in FORMS and is_there(folder / name)}
    taken |= {name for name in FOLDERS if is_there(folder / name) and not is_own_folder(folder / name)}
    return sorted(taken)


def move(source: Path, names: Iterable[str], target: Path) -> None:
    """Move files from one folder into another, and remove sub-folders that become empty.

    Raises:
        OSError: a file cannot be moved, or its name is taken.
    """
    for name in names:
        above = (target / name).parent
        above.mkdir(exist_ok=True)
        for place, taken in ((above, not is_own_folder(above)), (target / name, is_there(target / name))):
            if taken:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(place))
        rename(source / name, target / name)
    remove_empty_folders(source)


def remove_files(folder: Path, names: Iterable[str]) -> None:
    """Remove files from a folder, and sub-folders that become empty.

    Raises:
        OSError: a file cannot be removed.
    """
    for name in names:
        (folder / name).unlink(missing_ok=True)
    remove_empty_folders(folder)


def remove_empty_folders(folder: Path) -> None:
    """Remove empty sub-folders of a run."""
    for name in FOLDERS:
        if is_own_folder(folder / name):
            with suppress(OSError):  # a folder with other files stays
                (folder / name).rmdir()


def _of_form(folder: Path, name: str) -> list[str]:
    """The plain files that an entry of `FORMS` stands for."""
    above, form = name.partition("/")[0], FORMS[name]
    if not is_own_folder(folder / above):
        return []
    files = (folder / above).iterdir()
    return [f"{above}/{file.name}" for file in files if form.fullmatch(file.name) and is_plain(file)]


def _is_plain_there(folder: Path, name: str) -> bool:
    """Whether a name is a plain file in the folder or in a sub-folder of a run that is not a link."""
    above, _, last = name.rpartition("/")
    if not last or last in (".", "..") or "\\" in name or "\0" in name or above not in ("", *FOLDERS):
        return False
    return (not above or is_own_folder(folder / above)) and is_plain(folder / name)


def _is_plugin(folder: Path, name: str, plugins: Mapping[str, Any]) -> bool:
    named = _PLUGIN.fullmatch(name)
    return named is not None and plugins.get(named[1]) == fingerprint(folder / name)


def _is_pickle(folder: Path, name: str) -> bool:
    if "/" in name or name.startswith(".") or name.lower() in NAMES:
        return False
    with (folder / name).open("rb") as file:
        begins = file.read(256)
    start, module, kind = _PICKLE
    return begins.startswith(start) and module in begins and kind in begins


def run_of(source: Path) -> Path:
    """The folder of the run from whose folder, or from whose `model/` folder, a model was loaded."""
    return source if (source / CONFIG).is_file() else source.parent
