"""Feature maps cached on disk for later runs, under a key of all that their values depend on.

A feature set is a folder `KEY/` in the user's cache folder: raw tensors `0.bin`, `1.bin`, … and `header.json` with
their shapes and SHA-256. The folder gets its name when it is complete, and is read only if everything fits. Stale or
damaged values are computed again, never used.

While a set is written, its folder is `.making-…/`. A lock `.making-….lock` beside it is created before the folder and
removed after it. The next process that makes a set removes what a process that died has left.
"""

from __future__ import annotations

import json
import math
import os
import re
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from siamesekit.errors import OutputError
from siamesekit.files.atomic import PREFIX, sweep, write_json
from siamesekit.files.locks import held, release
from siamesekit.files.paths import is_own_folder, is_plain
from siamesekit.files.untrusted import fingerprint
from siamesekit.hardware.mapped_files import MappedFiles

FORMAT = 1
HEADER = "header.json"
MAKING, LOCK = ".making-", ".lock"
"""Prefix of the folder in which a set is made, and suffix of its lock file."""
TENSOR = re.compile(r"(0|[1-9]\d*)\.bin")
"""Name of a tensor's file."""
DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.uint8, torch.int64)
}


class Layout(NamedTuple):
    """Shape `[N, …]` and type of a tensor of a feature set; four-dimensional tensors are stored channels last."""

    shape: tuple[int, ...]
    dtype: torch.dtype

    @property
    def bytes(self) -> int:
        """Size on disk or in memory."""
        return math.prod(self.shape) * self.dtype.itemsize

    def view(self, flat: Tensor) -> Tensor:
        """A view of flat storage `[E]` as a tensor of this shape; E is the product of the shape."""
        if len(self.shape) != 4:
            return flat.view(self.shape)
        n, c, h, w = self.shape
        return flat.view(n, h, w, c).permute(0, 3, 1, 2)

    def empty(self) -> Tensor:
        """An uninitialized tensor in memory."""
        return self.view(torch.empty(math.prod(self.shape), dtype=self.dtype))


class FeatureStore:
    """Feature sets in a folder; beyond a limit, the least recently used ones are removed.

    Args:
        folder: the folder, created when needed.
        limit: most bytes of all sets together.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder = folder
        self.limit = limit
        self._files = MappedFiles()

    def release(self) -> None:
        """Take pages of the sets out of this process's memory; they are read again from the files when used."""
        self._files.release()

    def load(self, key: str, expected: Sequence[Layout] | None = None) -> tuple[Tensor, ...] | None:
        """Load the tensors of a key, mapped into memory; None if the set is missing, incomplete or damaged.

        Args:
            key: key of the set.
            expected: layouts of the tensors, if known; a set with other layouts is not loaded.
        """
        place = self.folder / key
        try:
            header = json.loads((place / HEADER).read_text(encoding="utf-8"))
            layouts = [_layout(each) for each in header["tensors"]]
            if header["format"] != FORMAT or (expected is not None and layouts != list(expected)):
                return None
            for number, (layout, each) in enumerate(zip(layouts, header["tensors"], strict=True)):
                file = place / f"{number}.bin"
                if file.stat().st_size != layout.bytes or fingerprint(file) != each["sha256"]:
                    return None
            os.utime(place)
            return tuple(self._mapped(place / f"{number}.bin", layout) for number, layout in enumerate(layouts))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, OverflowError, MemoryError):
            return None  # an invalid header may raise any of these; the set is computed again

    def make(
        self, key: str, layouts: Sequence[Layout], fill: Callable[[Sequence[Tensor]], object]
    ) -> tuple[Tensor, ...]:
        """Make the tensors of a key; `fill` writes their values.

        If the folder cannot be written, or the set exceeds the limit, the tensors are in memory only.
        """
        if sum(layout.bytes for layout in layouts) > self.limit:
            return _in_memory(layouts, fill)
        place = self.folder / f"{MAKING}{secrets.token_hex(8)}"
        lock: int | None = None
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._sweep()
            self._make_room(sum(layout.bytes for layout in layouts))
            lock = held(_lock_of(place))
            place.mkdir()
        except OSError:
            if lock is not None:
                release(_lock_of(place), lock)
            return _in_memory(layouts, fill)
        try:
            try:
                for number, layout in enumerate(layouts):
                    with (place / f"{number}.bin").open("wb") as file:
                        if hasattr(os, "posix_fallocate"):  # a full disk is an error here, not a crash on a write
                            os.posix_fallocate(file.fileno(), 0, layout.bytes)
                        else:
                            file.truncate(layout.bytes)
            except OSError:
                return _in_memory(layouts, fill)
            tensors = tuple(self._mapped(place / f"{number}.bin", layout) for number, layout in enumerate(layouts))
            fill(tensors)
            with suppress(OSError, OutputError):  # without a cached set, the tensors are still valid
                self._keep(place, key, layouts)
            return tensors
        finally:
            _remove(place)  # a mapped file stays readable after its removal
            if lock is not None:
                release(_lock_of(place), lock)

    def _mapped(self, file: Path, layout: Layout) -> Tensor:
        flat = self._files.tensor(file, layout.bytes) if layout.bytes else torch.empty(0, dtype=torch.uint8)
        return layout.view(flat.view(layout.dtype))

    def _keep(self, place: Path, key: str, layouts: Sequence[Layout]) -> None:
        header: dict[str, Any] = {"format": FORMAT, "tensors": []}
        for number, layout in enumerate(layouts):
            file = place / f"{number}.bin"
            with file.open("rb+") as opened:
                os.fsync(opened.fileno())
            described = {"shape": list(layout.shape), "dtype": str(layout.dtype).removeprefix("torch.")}
            header["tensors"].append({**described, "sha256": fingerprint(file)})
        write_json(place / HEADER, header)
        _remove(self.folder / key)  # a damaged set of this key
        place.rename(self.folder / key)

    def _make_room(self, wanted: int) -> None:
        """Remove the least recently used sets until `wanted` more bytes stay within the limit.

        Sets that other processes are making count towards the limit and are not removed.
        """
        places = [place for place in self.folder.iterdir() if _holds_a_set(place)]
        sizes = {place: sum(file.stat().st_size for file in place.iterdir()) for place in places}
        total = sum(sizes.values()) + wanted
        whole = [place for place in places if (place / HEADER).is_file() and not place.name.startswith(MAKING)]
        for place in sorted(whole, key=_last_used):
            if total <= self.limit:
                break
            total -= sizes[place]
            _remove(place)

    def _sweep(self) -> None:
        """Remove what dead processes have left, except on Windows, where no locks show which ones are dead."""
        if os.name != "posix":
            return
        left = {
            self.folder / entry.name.removesuffix(LOCK)
            for entry in self.folder.iterdir()
            if entry.name.startswith(MAKING)
        }
        for place in left:
            with suppress(OSError):
                lock = held(_lock_of(place))
                if lock is not None:
                    sweep(place)
                    _remove(place)
                    release(_lock_of(place), lock)


def _is_of_a_set(file: Path) -> bool:
    return is_plain(file) and (file.name == HEADER or TENSOR.fullmatch(file.name) is not None)


def _holds_a_set(place: Path) -> bool:
    """Whether a path is a folder that holds only files of a set and files being written."""
    return is_own_folder(place) and all(_is_of_a_set(file) or file.name.startswith(PREFIX) for file in place.iterdir())


def _remove(place: Path) -> None:
    """Remove the files of a set, and its folder if that is then empty."""
    with suppress(OSError):
        if is_own_folder(place):
            for file in place.iterdir():
                if _is_of_a_set(file):
                    file.unlink()
            place.rmdir()


def _lock_of(place: Path) -> Path:
    return place.with_name(place.name + LOCK)


def _last_used(place: Path) -> float:
    return place.stat().st_mtime


def _layout(described: Any) -> Layout:
    """The layout of a tensor from its entry in the header.

    Raises:
        ValueError: the shape is invalid.
    """
    shape = described["shape"]
    if not isinstance(shape, list) or any(type(side) is not int or side < 0 for side in shape):
        raise ValueError(f"{shape!r} is not a shape")
    return Layout(tuple(shape), DTYPES[described["dtype"]])


def _in_memory(layouts: Sequence[Layout], fill: Callable[[Sequence[Tensor]], object]) -> tuple[Tensor, ...]:
    tensors = tuple(layout.empty() for layout in layouts)
    fill(tensors)
    return tensors
