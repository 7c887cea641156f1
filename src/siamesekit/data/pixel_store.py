"""Where the pixels of all photos are kept: in memory, or past a budget in a file that is mapped into it."""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from siamesekit.errors import DataError
from siamesekit.figures import gibibytes

GIB = 2**30
DEFAULT_BUDGET = 2 * GIB
"""In bytes; 43,000 photos of 128 × 128 pixels."""


def empty_images(count: int, size: int, budget: int = DEFAULT_BUDGET) -> Tensor:
    """Room for photos, uint8 `[count, 3, size, size]`, channels last, its values not set.

    Past `budget` bytes it is a temporary file in the user's cache folder, mapped into memory: the tensor is used like
    any other, the system keeps in memory what is in use, and the file goes with the tensor, however the process ends.

    Raises:
        DataError: the file cannot be made, or the disk has no room for it.
    """
    size_in_bytes = count * 3 * size * size
    flat = torch.empty(size_in_bytes, dtype=torch.uint8) if size_in_bytes <= budget else _mapped(size_in_bytes)
    return flat.view(count, size, size, 3).permute(0, 3, 1, 2)


def keep_only(images: Tensor, kept: Sequence[int]) -> Tensor:
    """The photos `kept`, ascending, moved to the front of `images` `[N, ...]` in place: a second one might not fit."""
    for place, number in enumerate(kept):
        if place != number:
            images[place] = images[number]
    return images[: len(kept)]


def cache_folder() -> Path | None:
    """The user's folder for files that may go: `$XDG_CACHE_HOME/siamesekit` or its like; None for one without a home.

    The system's folder for temporary files takes no cache: others could put theirs there first.
    """
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    try:
        return Path(base or Path.home() / ".cache") / "siamesekit"
    except RuntimeError:  # no HOME, and nobody of this number among the system's users: a container
        return None


def _mapped(size_in_bytes: int) -> Tensor:
    folder = cache_folder() or Path(tempfile.gettempdir())  # a file without a name, which nobody else can put there
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:  # without a name: nothing to clean up
            if hasattr(os, "posix_fallocate"):  # a full disk is an error now, not a crash on a later write
                os.posix_fallocate(file.fileno(), 0, size_in_bytes)
            else:
                file.truncate(size_in_bytes)
            memory = mmap.mmap(file.fileno(), size_in_bytes)
    except OSError as error:
        raise DataError(
            f"the photos take {gibibytes(size_in_bytes)}, more than data.memory_gib, and cannot be kept in {folder} "
            f"({error.strerror}): free some space, set XDG_CACHE_HOME to a folder on another disk, raise "
            "data.memory_gib, or lower data.size"
        ) from None
    return torch.frombuffer(memory, dtype=torch.uint8)  # holds the map for as long as it lives
