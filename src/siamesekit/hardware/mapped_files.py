"""Tensors in files: mapped into memory, where the system keeps as much of them as it has room for."""

from __future__ import annotations

import mmap
from pathlib import Path

import torch
from torch import Tensor


class MappedFiles:
    """Files whose contents are tensors; pages that were used can be taken out of the process again.

    Used pages of a mapped file count as memory of the process, although the system can take them back at any time.
    """

    def __init__(self) -> None:
        self._mapped: list[mmap.mmap] = []

    def tensor(self, file: Path, size_in_bytes: int) -> Tensor:
        """The first bytes of a file as a tensor, uint8 `[size_in_bytes]`; writing to it writes to the file.

        Raises:
            OSError: the file cannot be opened.
            ValueError: the file is shorter, or `size_in_bytes` is 0.
        """
        with file.open("rb+") as opened:
            mapped = mmap.mmap(opened.fileno(), size_in_bytes)
        self._mapped.append(mapped)
        return torch.frombuffer(mapped, dtype=torch.uint8)  # keeps the mapping alive

    def release(self) -> None:
        """Take the used pages out of this process, where the system supports it; the values stay in the files."""
        for mapped in self._mapped:
            if hasattr(mmap, "MADV_DONTNEED"):
                mapped.madvise(mmap.MADV_DONTNEED)
