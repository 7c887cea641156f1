"""State in one file: tensors as safetensors, and nested plain values as JSON in the header.

Reading a file runs no code. Tensors keep their type, shape and memory format; floats are exact to the last bit.
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

from siamesekit.errors import ArtifactError
from siamesekit.registry.component_faults import told

KEY = "state"
"""Entry of the header that holds the JSON."""
MAX_DEPTH = 64
"""Deepest nesting of values; deeper ones are refused."""


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write nested dicts, lists and tuples of tensors, numbers, strings, booleans and None.

    Args:
        path: the file, written in place; give a temporary name (`siamesekit.files.atomic.write_atomic`).
        state: the state to write; keys of dicts are strings or whole numbers.

    Raises:
        TypeError: a value has another type.
    """
    tensors: dict[str, Tensor] = {}
    text = json.dumps(_plain(state, tensors), allow_nan=False)
    save_file(tensors, path, metadata={KEY: text})


def weights_of(module: nn.Module) -> dict[str, Tensor]:
    """A module's state as safetensors needs it: on the CPU, contiguous."""
    return {name: value.detach().cpu().contiguous() for name, value in module.state_dict().items()}


def load_state(path: Path) -> dict[str, Any]:
    """Read what `save_state` wrote; tensors are on the CPU.

    Raises:
        ArtifactError: the file is damaged or not a state file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            state = json.loads((file.metadata() or {})[KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        value = _live(state, tensors)
        if not isinstance(value, dict):
            raise ValueError("the top level is not a table")
    except (OSError, SafetensorError, KeyError, ValueError, TypeError, RuntimeError, MemoryError) as error:
        raise ArtifactError(f"{path} is damaged or not a state file: {told(error)}") from error
    return value


def _plain(value: Any, tensors: dict[str, Tensor], depth: int = 0) -> Any:
    """A value as plain JSON; its tensors go into `tensors`, each under a new name."""
    if depth > MAX_DEPTH:
        raise TypeError(f"the state is nested more than {MAX_DEPTH} deep")
    if isinstance(value, Tensor):
        name = f"{len(tensors)}"
        detached = value.detach().cpu()
        channels_last = (
            detached.ndim == 4
            and not detached.is_contiguous()
            and detached.is_contiguous(memory_format=torch.channels_last)
        )
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
    raise TypeError(f"a state may hold only tensors and plain values, not {type(value).__name__}")


def _key(key: Any) -> str | int:
    if type(key) not in (str, int):
        raise TypeError(f"keys of a state must be strings or whole numbers, not {type(key).__name__}")
    return key  # type: ignore[no-any-return]


def _live(value: Any, tensors: Mapping[str, Tensor], depth: int = 0) -> Any:
    """The inverse of `_plain`."""
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
