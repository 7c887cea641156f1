"""Checkpoints: the state from which a run continues as if it had never stopped, after an epoch or within one.

`checkpoints/000012.safetensors` is a state (`siamesekit.engine.state_files`). `checkpoints/000012.json`, written after
it, holds its size and SHA-256; a state without this file is no checkpoint. The last few checkpoints are kept. If the
newest is damaged, the one before is used.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from siamesekit.engine.state_files import load_state, save_state
from siamesekit.errors import ArtifactError
from siamesekit.files.atomic import write_atomic, write_json
from siamesekit.files.untrusted import fingerprint
from siamesekit.files.untrusted_json import read_json
from siamesekit.registry.component_faults import told

KEEP = 2
"""Number of checkpoints kept: the newest, and older ones to fall back to."""


class Stateful(Protocol):
    """An object whose state is tensors and plain values: a module, an optimizer, a sampler that plans by embeddings."""

    def state_dict(self) -> Any:
        """The object's state."""
        ...

    def load_state_dict(self, state: Any, /) -> Any:
        """Continue from a saved state."""
        ...


def save_checkpoint(folder: Path, parts: Mapping[str, Stateful], rest: Mapping[str, Any]) -> None:
    """Write a checkpoint; earlier ones stay until it is complete.

    Args:
        folder: the run's `checkpoints/`.
        parts: encoder, optimizers and whatever else has a state, by name.
        rest: further state: tensors, plain numbers, strings, lists and dicts.

    Raises:
        OutputError: the checkpoint cannot be written; earlier ones are unchanged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    numbers = _numbers(folder)
    number = max([*numbers, *_numbers(folder, ".safetensors")], default=0) + 1
    file = folder / f"{number:06d}.safetensors"
    state = {"parts": {name: part.state_dict() for name, part in parts.items()}, "rest": dict(rest)}
    digest: dict[str, Any] = {}

    def write(path: Path) -> None:
        save_state(path, state)
        digest.update(bytes=path.stat().st_size, sha256=fingerprint(path))

    write_atomic(file, write)
    write_json(file.with_suffix(".json"), digest)
    kept = [*numbers, number][-KEEP:]
    for old in {*numbers, *_numbers(folder, ".safetensors")} - {*kept}:
        for suffix in (".json", ".safetensors"):  # in this order: without its .json a state is no checkpoint
            with suppress(OSError):
                (folder / f"{old:06d}{suffix}").unlink(missing_ok=True)


def load_checkpoint(folder: Path, parts: Mapping[str, Stateful], warn: Callable[[str], None]) -> dict[str, Any] | None:
    """Load the newest undamaged checkpoint into `parts`. Reading it runs no code.

    Args:
        folder: the run's `checkpoints/`.
        parts: the same parts as were saved, by name.
        warn: receives a warning for each damaged checkpoint that is skipped.

    Returns:
        The `rest` of the checkpoint; None if there is no checkpoint.

    Raises:
        ArtifactError: all checkpoints are damaged, or the newest undamaged one does not fit the network or the loss.
    """
    numbers = _numbers(folder)
    for number in reversed(numbers):
        file = folder / f"{number:06d}.safetensors"
        try:
            state = _read(file)
        except (ArtifactError, OSError) as error:
            warn(f"the checkpoint {file} is damaged ({error}); continuing from the one before")
            continue
        try:
            for name, part in parts.items():
                part.load_state_dict(state["parts"][name])
            return dict(state["rest"])
        except Exception as error:  # a component's own load_state_dict may raise anything
            raise ArtifactError(
                f"the checkpoint {file} does not fit this network or loss ({told(error)}); start again with --overwrite"
            ) from error
    if numbers:
        raise ArtifactError(f"all checkpoints in {folder} are damaged; start again with --overwrite")
    return None


def _read(file: Path) -> dict[str, Any]:
    """Read a checkpoint's state, after a check of its size and digest."""
    digest = read_json(file.with_suffix(".json"))
    if not isinstance(digest, dict) or digest.get("bytes") != file.stat().st_size:
        raise ArtifactError("its size differs from the recorded one")
    if digest.get("sha256") != fingerprint(file):
        raise ArtifactError("its SHA-256 differs from the recorded one")
    return load_state(file)


def _numbers(folder: Path, suffix: str = ".json") -> list[int]:
    """The numbers of the checkpoints in a folder, ascending."""
    if not folder.is_dir():
        return []
    return sorted(
        int(file.stem) for file in folder.iterdir() if file.suffix == suffix and re.fullmatch(r"\d{6,}", file.stem)
    )
