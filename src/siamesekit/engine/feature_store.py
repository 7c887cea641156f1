"""Feature maps on disk, kept for the next run, under a key that names all that decides their values.

A feature set is a folder `KEY/` in the user's cache folder: raw tensors `0.bin`, `1.bin`, … and `header.json` with
their shapes and SHA-256. It is written under another name and renamed when it is whole, and read only if everything
fits; a stale or damaged value is computed again, never used.

While it is written it is `.making-…/`, with a lock `.making-….lock` beside it that is made before it and goes after it.
What a process that died has left is removed by the next one that makes a set.
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
from siamesekit.files import PREFIX, fingerprint, sweep, write_json
from siamesekit.locks import held, release
from siamesekit.paths import is_own_folder, is_plain

FORMAT = 1
HEADER = "header.json"
MAKING, LOCK = ".making-", ".lock"
"""How the folder is called in which a set is made, and what its lock's file is called more."""
TENSOR = re.compile(r"(0|[1-9]\d*)\.bin")
"""How a tensor's file is called."""
DTYPES = {str(dtype).removeprefix("torch."): dtype for dtype in (torch.float32, torch.float64, torch.bfloat16,
                                                                torch.float16, torch.uint8, torch.int64)}  # fmt: skip


class Layout(NamedTuple):
    """One tensor of a feature set: its shape `[N, …]`, four-dimensional ones stored channels last."""

    shape: tuple[int, ...]
    dtype: torch.dtype

    @property
    def bytes(self) -> int:
        """Size on disk or in memory."""
        return math.prod(self.shape) * self.dtype.itemsize

    def view(self, flat: Tensor) -> Tensor:
        """The tensor over its flat storage: `[E]`, E being the product of its shape → its shape."""
        if len(self.shape) != 4:
            return flat.view(self.shape)
        n, c, h, w = self.shape
        return flat.view(n, h, w, c).permute(0, 3, 1, 2)

    def empty(self) -> Tensor:
        """Room in memory."""
        return self.view(torch.empty(math.prod(self.shape), dtype=self.dtype))


class FeatureStore:
    """Feature sets below a folder, the least recently used of them removed beyond a limit.

    Args:
        folder: made when it is needed.
        limit: bytes of all sets together.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder = folder
        self.limit = limit

    def load(self, key: str, expected: Sequence[Layout] | None = None) -> tuple[Tensor, ...] | None:
        """The tensors under a key, mapped into memory; None where they are not there whole and undamaged.

        Args:
            key: theirs.
            expected: their layouts, where they are known: tensors of others are not loaded.
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
            return tuple(_mapped(place / f"{number}.bin", layout) for number, layout in enumerate(layouts))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, OverflowError, MemoryError):
            return None  # whatever a header says that nobody here wrote, it is computed again

    def make(
        self, key: str, layouts: Sequence[Layout], fill: Callable[[Sequence[Tensor]], object]
    ) -> tuple[Tensor, ...]:
        """Make the tensors of a key: `fill` writes their values.

        Where the folder cannot be written, or the set is over the limit, they are in memory only.
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
            tensors = tuple(_mapped(place / f"{number}.bin", layout) for number, layout in enumerate(layouts))
            fill(tensors)
            with suppress(OSError, OutputError):  # what could not be kept is still in hand
                self._keep(place, key, layouts)
            return tensors
        finally:
            _remove(place)  # a map stays readable without its file's name
            if lock is not None:
                release(_lock_of(place), lock)

    def _keep(self, place: Path, key: str, layouts: Sequence[Layout]) -> None:
        header: dict[str, Any] = {"format": FORMAT, "tensors": []}
        for number, layout in enumerate(layouts):
            file = place / f"{number}.bin"
            with file.open("rb+") as opened:
                os.fsync(opened.fileno())
            described = {"shape": list(layout.shape), "dtype": str(layout.dtype).removeprefix("torch.")}
            header["tensors"].append({**described, "sha256": fingerprint(file)})
        write_json(place / HEADER, header)
        _remove(self.folder / key)  # a damaged one of this key
        place.rename(self.folder / key)

    def _make_room(self, wanted: int) -> None:
        """Remove the least recently used sets until `wanted` bytes more stay within the limit.

        What others are making counts and stays.
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
        """Remove what processes that died have left; where there are no locks (on Windows) that cannot be told."""
        if os.name != "posix":
            return
        left = {self.folder / entry.name.removesuffix(LOCK) for entry in self.folder.iterdir()
                if entry.name.startswith(MAKING)}  # fmt: skip
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
    """Whether a folder is there with a set's files, and nothing else but what is being written."""
    return is_own_folder(place) and all(_is_of_a_set(file) or file.name.startswith(PREFIX) for file in place.iterdir())


def _remove(place: Path) -> None:
    """Remove a set: its own files, and the folder where nothing else is in it."""
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
    """A tensor as the header describes it.

    Raises:
        ValueError: its shape is none.
    """
    shape = described["shape"]
    if not isinstance(shape, list) or any(type(side) is not int or side < 0 for side in shape):
        raise ValueError(f"{shape!r} is no shape")
    return Layout(tuple(shape), DTYPES[described["dtype"]])


def _mapped(file: Path, layout: Layout) -> Tensor:
    flat = torch.from_file(str(file), shared=True, size=math.prod(layout.shape), dtype=layout.dtype)
    return layout.view(flat)


def _in_memory(layouts: Sequence[Layout], fill: Callable[[Sequence[Tensor]], object]) -> tuple[Tensor, ...]:
    tensors = tuple(layout.empty() for layout in layouts)
    fill(tensors)
    return tensors
