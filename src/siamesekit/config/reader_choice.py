"""The reader of photos that are named by a path alone."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from siamesekit.config.overrides import apply_override
from siamesekit.config.reading import Reading
from siamesekit.data.table_shards import CSV_SUFFIXES, PARQUET_SUFFIXES
from siamesekit.errors import ArtifactError, ConfigError, UserError
from siamesekit.files.remote_address import refuse_address
from siamesekit.files.untrusted import MAX_TABLE_BYTES
from siamesekit.files.untrusted_json import read_json

READER_OF = {".csv": "csv", ".tsv": "csv", ".xlsx": "excel", ".parquet": "parquet"}
"""Readers of tables, by suffix."""
SHARD_READER_OF = dict.fromkeys(CSV_SUFFIXES, "csv") | dict.fromkeys(PARQUET_SUFFIXES, "parquet")
"""Readers of tables in shards, by their suffix."""
FOLLOW_LINKS = "data.follow_links=true"
"""The override that `--follow-links` stands for."""


def reader_and_source(photos: Path, reader: str | None = None) -> dict[str, str]:
    """The keys `reader`, and `root` or `file`, of a config's table `[data]`.

    Args:
        photos: folder or table of photos, in one file or in shards, or annotations in COCO's format.
        reader: name of the reader; by default it follows from the kind of file.

    Raises:
        UserError: the kind is unknown or has boxes without individuals, and no reader is named.
    """
    refuse_address(photos, "name a table of this machine, with --set data.root=ADDRESS")
    if reader is None:
        reader = reader_of_table(photos) or ("folder" if photos.is_dir() else None)
    if reader is None and is_coco(photos):
        reader = "coco"
    if reader is None:
        refuse_detections([photos])
        raise UserError(
            f"{photos}: expected a folder of photos or a table ({', '.join(READER_OF)}, or .json in COCO's format); "
            "for other kinds, name the reader: --reader NAME, listed by: siamesekit list readers"
        )
    is_root = photos.is_dir() and reader not in READER_OF.values()
    return {"reader": reader, "root" if is_root else "file": str(photos)}


def reader_of_table(photos: Path) -> str | None:
    """The reader of a table in one file or in shards; None for anything else.

    A folder is a table in shards if all that is in it, hidden files and marks such as `_SUCCESS` aside, are two or more
    tables whose names differ in their numbers alone.
    """
    if not photos.is_dir():
        return READER_OF.get(photos.suffix.lower())
    with os.scandir(photos) as entries:
        shards = [entry for entry in entries if not entry.name.startswith((".", "_"))]
    names = {re.sub(r"\d+", "", entry.name) for entry in shards}
    if len(shards) < 2 or len(names) > 1 or any(entry.is_dir() for entry in shards):
        return None
    return SHARD_READER_OF.get(Path(names.pop()).suffix.lower())


def reader_options(
    photos: Path, reader: str | None = None, overrides: Sequence[str] = ()
) -> tuple[str, dict[str, Any]]:
    """The reader of photos, and its options.

    Args:
        photos: folder or table of photos, or annotations in COCO's format.
        reader: name of the reader; by default it follows from the kind of file.
        overrides: `data.KEY=VALUE` strings, as for the configs of runs; paths are relative to the current folder.

    Raises:
        UserError: the kind is unknown, and no reader is named.
        ConfigError: an override is invalid, or is of another table.
    """
    options = data_options(overrides)
    chosen: dict[str, Any] = {**reader_and_source(photos, options.pop("reader", reader)), **options}
    return str(chosen.pop("reader")), chosen


def data_options(overrides: Sequence[str]) -> dict[str, Any]:
    """The keys of `[data]` that `data.KEY=VALUE` strings set.

    Raises:
        ConfigError: an override is invalid, or is of another table.
    """
    raw: dict[str, Any] = {}
    reading = Reading(Path.cwd() / "config.toml", "")
    for override in overrides:
        if not override.strip().startswith("data."):
            reading.problems.append(f"--set {override}: here only keys of [data] can be set: data.KEY=VALUE")
        else:
            apply_override(raw, override, reading)
    if reading.problems:
        raise ConfigError("--set", reading.problems)
    return dict(raw.get("data", {}))


def is_coco(file: Path) -> bool:
    """Whether a file has annotations in COCO's format."""
    content = json_content(file)
    return isinstance(content.get("images"), list) and isinstance(content.get("annotations"), list)


def is_megadetector(file: Path) -> bool:
    """Whether a file has results of MegaDetector."""
    content = json_content(file)
    return isinstance(content.get("images"), list) and isinstance(content.get("detection_categories"), dict)


def refuse_detections(files: Sequence[Path]) -> None:
    """Refuse results of MegaDetector where photos, or individuals, are expected.

    Raises:
        UserError: one of the files has them; the message says how they are used.
    """
    for file in files:
        if is_megadetector(file):
            raise UserError(
                f"{about_detections(file)}, and let siamesekit init DIR --photos {file} write a config for both; or "
                f"use the photos whole: name {file.parent} in place of the file"
            )


def about_detections(file: Path) -> str:
    """What results of MegaDetector lack."""
    return (
        f"{file} has boxes of MegaDetector, which name no individuals: put a table of photos and individuals into "
        f"{file.parent}, such as photos.csv with the columns photo and individual"
    )


def json_content(file: Path) -> dict[str, Any]:
    """The table in a JSON file; empty for any other file."""
    if file.suffix.lower() != ".json":
        return {}
    try:
        content = read_json(file, most=MAX_TABLE_BYTES)
    except (ArtifactError, OSError):
        return {}
    return content if isinstance(content, dict) else {}
