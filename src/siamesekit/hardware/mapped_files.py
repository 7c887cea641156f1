"""Tensors in files: mapped into memory, where the system keeps as much of them as it has room for."""

from __future__ import annotations

import mmap
import os
import tempfile
from pathlib import Path
from typing import IO

import torch
from torch import Tensor

from siamesekit.files.cache_folder import cache_folder


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


def folder_of_nameless_files() -> Path:
    """The folder of files without a name: the user's cache folder, or else the system's for temporary files.

    The latter is safe for a file without a name, which nobody else can open by one.
    """
    return cache_folder() or Path(tempfile.gettempdir())


def nameless_file(size_in_bytes: int) -> IO[bytes]:
    """A new file without a name, with room for its content; it is gone once all processes have closed it.

    Raises:
        OSError: the file cannot be created, or the disk has no room for it.
    """
    folder = folder_of_nameless_files()
    folder.mkdir(parents=True, exist_ok=True)
    file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - the caller closes it
    try:
        if hasattr(os, "posix_fallocate") and size_in_bytes:  # a full disk fails here and does not crash a later write
            os.posix_fallocate(file.fileno(), 0, size_in_bytes)
        else:
            file.truncate(size_in_bytes)
    except OSError:
        file.close()
        raise
    return file


def bytes_of(file: IO[bytes], size_in_bytes: int) -> Tensor:
    """The first bytes of an open file as a tensor, uint8 `[size_in_bytes]`, which keeps them when the file is closed.

    Raises:
        OSError: the file cannot be mapped.
    """
    if not size_in_bytes:
        return torch.empty(0, dtype=torch.uint8)
    return torch.frombuffer(mmap.mmap(file.fileno(), size_in_bytes), dtype=torch.uint8)
