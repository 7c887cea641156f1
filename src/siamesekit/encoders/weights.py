"""Weights of a backbone: from a file, or calibrated on photos."""

from __future__ import annotations

import os
import pickle
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from siamesekit.encoders.backbone import Backbone
from siamesekit.errors import MissingWeightsError, WeightsError, in_one_line, line_of_name, out_of_memory
from siamesekit.files import open_regular

CLASSIFIERS = (
    "fc.", "classifier.", "head.fc.", "last_linear.", "head.weight", "head.bias", "heads.head.", "aux1.", "aux2.",
    "AuxLogits."
)  # fmt: skip
"""Where networks keep their classifiers, which a backbone does not have."""
OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12])\.")
"""torchvision's files of DenseNets spell `norm.1` what its networks have called `norm1` since 2018."""
MAX_HEADER = 16 << 20
"""Bytes of a weights file that may describe its tensors: safetensors' header, or the pickle in a `.pth`."""
LONGEST_REASON = 200
"""Characters that are shown of what another library says of a file."""
MAX_TENSORS = 100_000
"""How many tensors a `.pth` may hold."""
DTYPES = {
    "BOOL": torch.bool, "U8": torch.uint8, "I8": torch.int8, "I16": torch.int16, "I32": torch.int32,
    "I64": torch.int64, "F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32, "F64": torch.float64,
}  # fmt: skip
"""safetensors' names of types, those that a network's state has."""


class Layout(NamedTuple):
    """A tensor in a file, unread; `dtype` None for a type that no network's state has."""

    shape: tuple[int, ...]
    dtype: torch.dtype | None


def safetensors_layouts(file: Path, inside: Path | None = None) -> dict[str, Layout]:
    """The tensors of a `.safetensors` file by name; only its header is read.

    The header's size is checked against `MAX_HEADER` and the file's, the tensors' sizes against the file's.

    Args:
        file: the file.
        inside: a folder out of which no link may lead.

    Raises:
        WeightsError: it cannot be read, or its header and its size contradict each other.
    """
    shown = line_of_name(str(file))
    with _reading_of(file):
        with open_regular(file, inside) as opened:
            length = int.from_bytes(opened.read(8), "little")
            rest = os.fstat(opened.fileno()).st_size - 8
        if length > rest or length > MAX_HEADER:
            raise WeightsError(f"{shown} is not a whole safetensors file: a header of {length:,} bytes in a file of "
                               f"{rest + 8:,}; fetch or save it again")  # fmt: skip
        with safe_open(file, framework="pt") as content:
            slices = {name: content.get_slice(name) for name in content.keys()}  # noqa: SIM118
            return {name: Layout(tuple(s.get_shape()), DTYPES.get(s.get_dtype())) for name, s in slices.items()}


def safetensors_state(file: Path) -> dict[str, Tensor]:
    """The tensors of a `.safetensors` file whose layouts were looked at; they stay in the file until they are read.

    Raises:
        WeightsError: it cannot be read.
    """
    with _reading_of(file):
        tensors: dict[str, Tensor] = load_file(file)
        return tensors


@contextmanager
def _reading_of(file: Path) -> Iterator[None]:
    """Whatever safetensors and torch raise while a file is read, as a `WeightsError`."""
    shown = line_of_name(str(file))
    try:
        yield
    except WeightsError:
        raise
    except OSError as error:
        raise WeightsError(f"{shown} cannot be read: {error.strerror or _shortly(error)}") from error
    except Exception as error:
        if out_of_memory(error):  # a file is mapped whole, and may be larger than a process may map
            raise WeightsError(f"{shown} is larger than this process may map into memory "
                               f"({file.stat().st_size:,} bytes)") from error  # fmt: skip
        raise WeightsError(f"{shown} is not a whole safetensors file: {_shortly(error)}; fetch or save it again"
                           ) from error  # fmt: skip


def _shortly(error: Exception) -> str:
    """What another library says of a file: a line, in which the file's own text is escaped and not too long."""
    line = in_one_line(str(error) or type(error).__name__)
    return line if len(line) <= LONGEST_REASON else f"{line[:LONGEST_REASON]} …"


def load_weights(backbone: Backbone, file: Path) -> None:
    """Load a network's state from `.safetensors`, or `.pth`, `.pt`, `.bin` read with `weights_only`.

    The file's names are the network's own (timm's, for one), or a saved model's of this library. A classifier in
    the file is left out; anything else must match exactly.

    Raises:
        MissingWeightsError: there is no such file.
        WeightsError: it cannot be read, or is of another network.
    """
    if not file.is_file():
        raise MissingWeightsError(f"there is no weights file {line_of_name(str(file))}")
    state = _read(file)
    prefix = "backbone.network."
    if any(name.startswith(prefix) for name in state):
        state = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    own = backbone.network.state_dict()
    state = {name if name in own else OLD_DENSENET.sub(r"\1\2.", name): value for name, value in state.items()}
    state = {k: v for k, v in state.items() if k in own or not k.startswith(CLASSIFIERS)}
    problems = [f"{name} is not in the file" for name in own if name not in state and "num_batches" not in name]
    problems += [f"the network has no {line_of_name(name[:100])}" for name in state if name not in own]
    problems += [problem for name in state if name in own for problem in _differences(name, state[name], own[name])]
    if problems:
        raise WeightsError(
            f"{line_of_name(str(file))} holds another network's weights, {len(problems)} differences:", problems[:5]
        )
    backbone.network.load_state_dict(state, strict=False)


def _differences(name: str, value: Tensor, own: Tensor) -> list[str]:
    """Why a tensor of a file cannot be copied into the network's."""
    if (
        type(value) not in (Tensor, nn.Parameter)
        or value.is_nested
        or value.layout != torch.strided
        or value.device.type != "cpu"
        or value.is_quantized
    ):
        return [f"{name} is no plain tensor in the file"]
    if value.shape != own.shape:
        return [f"{name} is {list(value.shape)} in the file and {list(own.shape)} in the network"]
    if value.is_complex() or value.is_floating_point() != own.is_floating_point():
        return [f"{name} is {value.dtype} in the file and {own.dtype} in the network"]
    return []


def _read(file: Path) -> Mapping[str, Tensor]:
    """The names and tensors of a file, which stay in the file until they are copied, where its format has that."""
    shown = line_of_name(str(file))
    if file.suffix == ".safetensors":
        safetensors_layouts(file)
        return safetensors_state(file)
    try:
        with open_regular(file) as opened:
            archive = opened.read(4) == b"PK\x03\x04"
            if archive:
                _check_archive(opened)
        loaded = torch.load(file, map_location="cpu", weights_only=True, mmap=archive)
    except Exception as error:  # torch.load raises many kinds; all mean that the file is not plain weights
        raise WeightsError(f"{shown} cannot be read as plain weights ({_why_unread(error)}); files that need code to "
                           "be run are not loaded: save the state_dict alone") from error  # fmt: skip
    for key in ("state_dict", "model"):
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
    if not isinstance(loaded, Mapping) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in loaded.items()
    ):
        raise WeightsError(f"{shown} does not hold a state_dict: names and tensors")
    return loaded


def _why_unread(error: Exception) -> str:
    """Why a `.pth` cannot be read, never in torch's words: they quote the file, and advise to trust it."""
    if isinstance(error, _UnfitArchiveError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if out_of_memory(error):
        return "it does not fit into memory"
    if isinstance(error, pickle.UnpicklingError):
        return "it holds more than tensors and plain values, or is damaged"
    return "it is damaged, or of another format"


class _UnfitArchiveError(ValueError):
    """What is wrong with a `.pth` that is an archive, in this library's words."""


def _check_archive(opened: BinaryIO) -> None:
    """A `.pth` is a zip archive without compression: what it unpacks to cannot be larger than itself.

    Raises:
        _UnfitArchiveError: it is compressed, or its parts overlap, or there are too many, or its pickle is too large.
    """
    with zipfile.ZipFile(opened) as archive:
        parts = archive.infolist()
    if any(part.compress_type != zipfile.ZIP_STORED or part.file_size != part.compress_size for part in parts):
        raise _UnfitArchiveError("it is compressed, which torch.save does not do")
    if len(parts) > MAX_TENSORS or sum(part.file_size for part in parts) > os.fstat(opened.fileno()).st_size:
        raise _UnfitArchiveError("it unpacks to more than it holds")
    if any(part.file_size > MAX_HEADER for part in parts if part.filename.endswith(".pkl")):
        raise _UnfitArchiveError(f"its pickle has more than {MAX_HEADER:,} bytes")


@torch.no_grad()
def calibrate_batchnorm(network: nn.Module, scaled: Iterator[Tensor]) -> None:
    """Set BatchNorm statistics to those of images, by one pass; with random weights this makes features usable.

    A layer's mean and variance are those of all that it is given, as if in one batch, whatever the batches' sizes.
    What it is given is normalised by the batch's own statistics in the layers before. So a last batch that is smaller
    than the one before it shares that one's images evenly: one of a single image would have hardly any, or none.

    Args:
        network: images to features; its parameters do not change.
        scaled: batches `[n, 3, H, W]` as the network takes them.
    """
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    modes = [(norm.training, norm.momentum) for norm in norms]
    pooled = [_Pooled(norm) for norm in norms]
    hooks = [norm.register_forward_hook(each.add) for norm, each in zip(norms, pooled, strict=True)]
    try:
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = 1.0  # after a batch its running statistics are that batch's
            norm.training = True  # alone: timm's norms have dropout inside
        for batch in _even_at_the_end(scaled):
            network(batch)
        for each in pooled:
            each.put_in()
    finally:
        for hook in hooks:
            hook.remove()
        for norm, (training, momentum) in zip(norms, modes, strict=True):
            norm.training, norm.momentum = training, momentum


def _even_at_the_end(batches: Iterator[Tensor]) -> Iterator[Tensor]:
    """The batches, the last two of equal size, to within one, where the last has fewer images."""
    last: Tensor | None = None
    for batch in batches:
        if last is None:
            last = batch
        elif len(batch) < len(last):
            pair = torch.cat([last, batch])
            yield pair[: -(-len(pair) // 2)]
            last = pair[-(-len(pair) // 2) :]
        else:
            yield last
            last = batch
    if last is not None:
        yield last


class _Pooled:
    """Mean and variance of what a BatchNorm is given in several batches, as of one (Chan et al. 1979), in float64."""

    def __init__(self, norm: _BatchNorm) -> None:
        self.running = cast(tuple[Tensor, Tensor], (norm.running_mean, norm.running_var))
        """The norm's own: after a batch, the batch's."""
        self.count = 0
        self.mean, self.squares = (torch.zeros_like(values, dtype=torch.float64) for values in self.running)
        """Of each channel; Σ (x − mean)²."""

    def add(self, _: nn.Module, given: tuple[Tensor, ...], __: Tensor) -> None:
        """Take in a batch `[n, C, ...]`, which the norm has just been given."""
        count = given[0].numel() // given[0].shape[1]
        mean, variance = (values.double() for values in self.running)
        apart, total = mean - self.mean, self.count + count
        self.squares += variance * (count - 1) + apart.square() * (self.count * count / total)
        self.mean += apart * (count / total)
        self.count = total

    def put_in(self) -> None:
        """Make these the norm's statistics; of no batch it has none."""
        if self.count:
            for running, values in zip(self.running, (self.mean, self.squares / (self.count - 1)), strict=True):
                running.copy_(values)
