"""State in one file: nested plain values and tensors, as safetensors with the rest as JSON in its header.

Reading one runs no code. Tensors come back with their type, shape and memory format, floats to the last bit.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from siamesekit.component_faults import told
from siamesekit.errors import ArtifactError

KEY = "state"
"""The header's entry that holds the JSON."""
MAX_DEPTH = 64
"""Values nested deeper than this are refused."""


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write nested dicts, lists and tuples of tensors, numbers, strings, booleans and None.

    Args:
        path: the file; it is written in place, so give a temporary name (`siamesekit.files.write_atomic`).
        state: what to write; keys of dicts are strings or whole numbers.

    Raises:
        TypeError: a value of another type.
    """
    tensors: dict[str, Tensor] = {}
    text = json.dumps(_plain(state, tensors), allow_nan=False)
    save_file(tensors, path, metadata={KEY: text})


def weights_of(module: nn.Module) -> dict[str, Tensor]:
    """A module's state as safetensors takes it: on the CPU, contiguous."""
    return {name: value.detach().cpu().contiguous() for name, value in module.state_dict().items()}


def load_state(path: Path) -> dict[str, Any]:
    """Read what `save_state` wrote; tensors are on the CPU.

    Raises:
        ArtifactError: the file is no such file, or is damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            state = json.loads((file.metadata() or {})[KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        value = _live(state, tensors)
        if not isinstance(value, dict):
            raise ValueError("no table at the top")
    except (OSError, SafetensorError, KeyError, ValueError, TypeError, RuntimeError, MemoryError) as error:
        raise ArtifactError(f"{path} is damaged or no state file: {told(error)}") from error
    return value


def _plain(value: Any, tensors: dict[str, Tensor], depth: int = 0) -> Any:
    """A value as JSON has it; its tensors go into `tensors`, under names of their own."""
    if depth > MAX_DEPTH:
        raise TypeError(f"a state is nested more than {MAX_DEPTH} deep")
    if isinstance(value, Tensor):
        name = f"{len(tensors)}"
        detached = value.detach().cpu()
        channels_last = detached.ndim == 4 and not detached.is_contiguous() and detached.is_contiguous(
            memory_format=torch.channels_last
        )  # fmt: skip
        tensors[name] = detached.contiguous().clone()  # safetensors refuses tensors that share memory
        return {"tensor": name, "channels_last": channels_last}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, Mapping):
        return {"items": [[_key(key), _plain(inner, tensors, depth + 1)] for key, inner in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [_plain(inner, tensors, depth + 1) for inner in value]}
    if isinstance(value, list):
        return [_plain(inner, tensors, depth + 1) for inner in value]
    raise TypeError(f"a state is of tensors and plain values, not {type(value).__name__}")


def _key(key: Any) -> str | int:
    if type(key) not in (str, int):
        raise TypeError(f"a state's keys are strings and whole numbers, not {type(key).__name__}")
    return key  # type: ignore[no-any-return]


def _live(value: Any, tensors: Mapping[str, Tensor], depth: int = 0) -> Any:
    """The value behind what `_plain` made of it."""
    if depth > 2 * MAX_DEPTH:
        raise ValueError(f"nested more than {MAX_DEPTH} deep")
    if isinstance(value, list):
        return [_live(inner, tensors, depth + 1) for inner in value]
    if not isinstance(value, dict):
        return value
    match value:
        case {"tensor": str(name), "channels_last": bool(channels_last)}:
            return tensors[name].contiguous(memory_format=torch.channels_last) if channels_last else tensors[name]
        case {"float": "nan" | "inf" | "-inf" as text}:
            return float(text)
        case {"tuple": list(inner)}:
            return tuple(_live(each, tensors, depth + 1) for each in inner)
        case {"items": list(pairs)}:
            return {_key(key): _live(inner, tensors, depth + 1) for key, inner in pairs}
    raise ValueError(f"unknown kind of value: {', '.join(map(str, value))}")
