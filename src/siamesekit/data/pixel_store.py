"""Storage for the pixels of all photos: in memory, or beyond a budget in a memory-mapped file."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from siamesekit.errors import DataError
from siamesekit.hardware.mapped_files import bytes_of, folder_of_nameless_files, nameless_file
from siamesekit.wording import gibibytes

GIB = 2**30
DEFAULT_BUDGET = 2 * GIB
"""Default budget in bytes; enough for 43,000 photos of 128 × 128 pixels."""


def empty_images(count: int, size: int, budget: int = DEFAULT_BUDGET) -> Tensor:
    """Allocate an uninitialized tensor for photos, uint8 `[count, 3, size, size]`, channels last.

    Beyond `budget` bytes it is a memory-mapped temporary file in the user's cache folder. The tensor behaves like any
    other, the system keeps the used parts in memory, and the file disappears with the tensor or the process.

    Raises:
        DataError: the file cannot be created, or the disk has no room for it.
    """
    size_in_bytes = count * 3 * size * size
    flat = torch.empty(size_in_bytes, dtype=torch.uint8) if size_in_bytes <= budget else _mapped(size_in_bytes)
    return flat.view(count, size, size, 3).permute(0, 3, 1, 2)


def keep_only(images: Tensor, kept: Sequence[int]) -> Tensor:
    """Move the photos `kept`, ascending, to the front of `images` `[N, ...]`, in place since a copy might not fit."""
    for place, number in enumerate(kept):
        if place != number:
            images[place] = images[number]
    return images[: len(kept)]


def _mapped(size_in_bytes: int) -> Tensor:
    try:
        with nameless_file(size_in_bytes) as file:
            return bytes_of(file, size_in_bytes)
    except OSError as error:
        raise DataError(
            f"cannot store the photos in {folder_of_nameless_files()} ({error.strerror}): they take "
            f"{gibibytes(size_in_bytes)}, more than data.memory_gib; free some space, set XDG_CACHE_HOME to a folder "
            "on another disk, raise data.memory_gib, or lower data.size"
        ) from None
