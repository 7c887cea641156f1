"""The files that a run calls its own: of exact names, plain, inside its folder. No other file is ever moved or removed.

A run's `manifest.json` lists them, but may have been edited or copied: a name in it counts only where it has a form
that this library writes, and where a plain file of that name is there, behind no link.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from siamesekit.files import fingerprint, rename
from siamesekit.paths import is_own_folder, is_plain, is_there

CONFIG, MANIFEST, METRICS, EVALUATION, REPORT, SPLIT = (
    "config.toml",
    "manifest.json",
    "metrics.jsonl",
    "evaluation.json",
    "report.html",
    "split.json",
)
MODEL, CHECKPOINTS, PLUGINS = "model", "checkpoints", "plugins"
FOLDERS = (MODEL, CHECKPOINTS, PLUGINS)
NAMES = frozenset({CONFIG, MANIFEST, METRICS, EVALUATION, REPORT, SPLIT, *FOLDERS})
"""All that a run's folder holds by itself: a file that the user names is called otherwise."""
MODEL_FILES = (f"{MODEL}/model.safetensors", f"{MODEL}/model.json")
FIXED = frozenset({CONFIG, METRICS, EVALUATION, REPORT, SPLIT, *MODEL_FILES})
BEST, DIGITS = "best-{}.safetensors", 16
"""The best weights so far, in `checkpoints/`, by the first digits of their SHA-256: other weights are another file."""
BEST_FORM = re.compile(re.escape(BEST).replace(r"\{\}", f"[0-9a-f]{{{DIGITS}}}"))
CHECKPOINT_FORMS = {
    f"{CHECKPOINTS}/NUMBER.json": re.compile(r"\d{6,}\.json"),
    f"{CHECKPOINTS}/NUMBER.safetensors": re.compile(r"\d{6,}\.safetensors"),
    f"{CHECKPOINTS}/best-DIGEST.safetensors": BEST_FORM,
}
"""How checkpoints and the best weights stand in a manifest's list, and which names that means."""
_PLUGIN = re.compile(re.escape(PLUGINS) + r"/([^/\\]+\.py)")
_PICKLE = (b"\x80", b"siamesekit.model", b"SiameseNetwork")
"""How a pickle of this library begins, and what stands in its first bytes."""


def own_files(folder: Path, manifest: Mapping[str, Any]) -> list[str]:
    """The plain files in a run's folder that its manifest lists and that have a form of this library's, sorted.

    A plugin's copy counts while it has the SHA-256 that the manifest has of it, a pickle by how it begins. The manifest
    itself is not among them.
    """
    listed = manifest.get("files")
    plugins = manifest.get("plugins")
    found: set[str] = set()
    for name in listed if isinstance(listed, list) else []:
        if not isinstance(name, str):
            continue
        if name in CHECKPOINT_FORMS:
            found.update(_of_form(folder, CHECKPOINT_FORMS[name]))
        elif _is_plain_there(folder, name) and (
            name in FIXED
            or _is_plugin(folder, name, plugins if isinstance(plugins, dict) else {})
            or _is_pickle(folder, name)
        ):
            found.add(name)
    return sorted(found)


def strangers(folder: Path, names: Iterable[str], own: Iterable[str]) -> list[str]:
    """Of the files that a run is about to write: those whose places are taken by something that is not its own."""
    own = set(own)
    taken = {name for name in names if name not in own and name not in CHECKPOINT_FORMS and is_there(folder / name)}
    taken |= {name for name in FOLDERS if is_there(folder / name) and not is_own_folder(folder / name)}
    return sorted(taken)


def move(source: Path, names: Iterable[str], target: Path) -> None:
    """Move files from one folder into another; sub-folders that are left empty go.

    Raises:
        OSError: one cannot be moved, or something of its name is there.
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
    """Remove files from a folder; sub-folders that are left empty go.

    Raises:
        OSError: one cannot be removed.
    """
    for name in names:
        (folder / name).unlink(missing_ok=True)
    remove_empty_folders(folder)


def remove_empty_folders(folder: Path) -> None:
    """Remove a run's sub-folders where nothing is in them."""
    for name in FOLDERS:
        if is_own_folder(folder / name):
            with suppress(OSError):  # something else is in it: it stays
                (folder / name).rmdir()


def _of_form(folder: Path, form: re.Pattern[str]) -> list[str]:
    place = folder / CHECKPOINTS
    if not is_own_folder(place):
        return []
    return [f"{CHECKPOINTS}/{file.name}" for file in place.iterdir() if form.fullmatch(file.name) and is_plain(file)]


def _is_plain_there(folder: Path, name: str) -> bool:
    """Whether a plain file is there, right in the folder or in a sub-folder of a run's that is no link."""
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
