"""Checkpoints: what a run needs to go on as if it had never stopped, after an epoch or within one.

`checkpoints/000012.safetensors` is a state (`siamesekit.engine.state_files`), `checkpoints/000012.json` its size and
SHA-256, written after it: only with that is it a checkpoint. The last few are kept, and where the newest is damaged the
one before is taken.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from siamesekit.component_faults import told
from siamesekit.engine.state_files import load_state, save_state
from siamesekit.errors import ArtifactError
from siamesekit.files import fingerprint, write_atomic, write_json
from siamesekit.json_files import read_json

KEEP = 2
"""So many checkpoints are kept: the newest, and those before it to fall back to."""


class Stateful(Protocol):
    """Anything whose state is tensors and plain values: a module, an optimizer, a sampler that plans by embeddings."""

    def state_dict(self) -> Any:
        """The state."""
        ...

    def load_state_dict(self, state: Any, /) -> Any:
        """Go on from a saved state."""
        ...


def save_checkpoint(folder: Path, parts: Mapping[str, Stateful], rest: Mapping[str, Any]) -> None:
    """Write a checkpoint; those before stay until it is whole.

    Args:
        folder: the run's `checkpoints/`.
        parts: encoder, optimizers and whatever else has a state, by name.
        rest: more state, of tensors, plain numbers, strings, lists and dicts.

    Raises:
        OutputError: it cannot be written; the ones before are unchanged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    numbers = _numbers(folder)
    number = max([*numbers, *_numbers(folder, ".safetensors")], default=0) + 1
    file = folder / f"{number:06d}.safetensors"
    state = {"parts": {name: part.state_dict() for name, part in parts.items()}, "rest": dict(rest)}
    told: dict[str, Any] = {}

    def write(path: Path) -> None:
        save_state(path, state)
        told.update(bytes=path.stat().st_size, sha256=fingerprint(path))

    write_atomic(file, write)
    write_json(file.with_suffix(".json"), told)
    kept = [*numbers, number][-KEEP:]
    for old in {*numbers, *_numbers(folder, ".safetensors")} - {*kept}:
        for suffix in (".json", ".safetensors"):  # in this order: what has no .json is no checkpoint
            with suppress(OSError):
                (folder / f"{old:06d}{suffix}").unlink(missing_ok=True)


def load_checkpoint(folder: Path, parts: Mapping[str, Stateful], warn: Callable[[str], None]) -> dict[str, Any] | None:
    """Put the newest whole checkpoint's state into `parts`; gives the rest of it. Reading it runs no code.

    Args:
        folder: the run's `checkpoints/`.
        parts: as they were saved, by name.
        warn: is told where a damaged checkpoint is passed over.

    Returns:
        None where there is no checkpoint.

    Raises:
        ArtifactError: all are damaged, or the newest whole one is of another network or loss.
    """
    numbers = _numbers(folder)
    for number in reversed(numbers):
        file = folder / f"{number:06d}.safetensors"
        try:
            state = _read(file)
        except (ArtifactError, OSError) as error:
            warn(f"the checkpoint {file} is damaged ({error}); going on from the one before")
            continue
        try:
            for name, part in parts.items():
                part.load_state_dict(state["parts"][name])
            return dict(state["rest"])
        except Exception as error:  # a component's own load_state_dict may raise anything
            raise ArtifactError(f"the checkpoint {file} is another network's or loss's ({told(error)}); start again "
                                "with --overwrite") from error  # fmt: skip
    if numbers:
        raise ArtifactError(f"all checkpoints in {folder} are damaged; start again with --overwrite")
    return None


def _read(file: Path) -> dict[str, Any]:
    """A checkpoint's state, its size and digest compared first."""
    told = read_json(file.with_suffix(".json"))
    if not isinstance(told, dict) or told.get("bytes") != file.stat().st_size:
        raise ArtifactError("its size is not the one written down")
    if told.get("sha256") != fingerprint(file):
        raise ArtifactError("its SHA-256 is not the one written down")
    return load_state(file)


def _numbers(folder: Path, suffix: str = ".json") -> list[int]:
    """The numbers of the checkpoints in a folder, ascending."""
    if not folder.is_dir():
        return []
    return sorted(int(file.stem) for file in folder.iterdir()
                  if file.suffix == suffix and re.fullmatch(r"\d{6,}", file.stem))  # fmt: skip
