"""Weights of a backbone, from a file or calibrated on photos."""

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

from siamesekit.components.encoders.backbone import Backbone
from siamesekit.components.encoders.pooling import learnt_by_pooling
from siamesekit.errors import MissingWeightsError, WeightsError, out_of_memory
from siamesekit.files.untrusted import open_regular
from siamesekit.wording import in_one_line, line_of_name

CLASSIFIER_PREFIXES = (
    "fc.", "classifier.", "head.fc.", "last_linear.", "head.weight", "head.bias", "heads.head.", "aux1.", "aux2.",
    "AuxLogits.", "final."
)  # fmt: skip
"""Prefixes of classifiers' parameter names; a backbone has no classifier."""
OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12])\.")
"""Old parameter names in torchvision's DenseNet files: `norm.1` for what networks since 2018 call `norm1`."""
MAX_HEADER = 16 << 20
"""Maximum bytes of a weights file's description of its tensors: safetensors' header, or the pickle in a `.pth`."""
LONGEST_REASON = 200
"""Maximum number of characters shown of another library's message about a file."""
MAX_TENSORS = 100_000
"""Maximum number of parts in the archive of a `.pth`."""
DTYPES = {
    "BOOL": torch.bool, "U8": torch.uint8, "I8": torch.int8, "I16": torch.int16, "I32": torch.int32,
    "I64": torch.int64, "F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32, "F64": torch.float64,
}  # fmt: skip
"""Safetensors' names of the dtypes that a network's state may have."""


class WeightLayout(NamedTuple):
    """Shape and dtype of an unread tensor in a file; `dtype` is None if no network's state has this dtype."""

    shape: tuple[int, ...]
    dtype: torch.dtype | None


def safetensors_layouts(file: Path, inside: Path | None = None) -> dict[str, WeightLayout]:
    """The tensors of a `.safetensors` file by name; only its header is read.

    The header's size is checked against `MAX_HEADER` and the file's size, the tensors' sizes against the file's size.

    Args:
        file: the file.
        inside: a folder that links must not leave.

    Raises:
        WeightsError: The file cannot be read, or its header contradicts its size.
    """
    shown = line_of_name(str(file))
    with _reading_of(file):
        with open_regular(file, inside) as opened:
            length = int.from_bytes(opened.read(8), "little")
            rest = os.fstat(opened.fileno()).st_size - 8
        if length > rest or length > MAX_HEADER:
            raise WeightsError(
                f"{shown} is not a complete safetensors file: a header of {length:,} bytes in a file of "
                f"{rest + 8:,}; download or save it again"
            )
        with safe_open(file, framework="pt") as content:
            slices = {name: content.get_slice(name) for name in content.keys()}  # noqa: SIM118
            return {name: WeightLayout(tuple(s.get_shape()), DTYPES.get(s.get_dtype())) for name, s in slices.items()}


def safetensors_state(file: Path) -> dict[str, Tensor]:
    """The tensors of a `.safetensors` file whose layouts were checked; their data stay in the file until read.

    Raises:
        WeightsError: The file cannot be read.
    """
    with _reading_of(file):
        tensors: dict[str, Tensor] = load_file(file)
        return tensors


@contextmanager
def _reading_of(file: Path) -> Iterator[None]:
    """Convert errors that safetensors and torch raise while reading a file into `WeightsError`."""
    shown = line_of_name(str(file))
    try:
        yield
    except WeightsError:
        raise
    except OSError as error:
        raise WeightsError(f"{shown} cannot be read: {error.strerror or _shortly(error)}") from error
    except Exception as error:
        if out_of_memory(error):  # the whole file is mapped, which may exceed a process's limit
            raise WeightsError(
                f"{shown} is larger than this process may map into memory ({file.stat().st_size:,} bytes)"
            ) from error
        raise WeightsError(
            f"{shown} is not a complete safetensors file: {_shortly(error)}; download or save it again"
        ) from error


def _shortly(error: Exception) -> str:
    """Another library's message about a file as one line, escaped and shortened."""
    line = in_one_line(str(error) or type(error).__name__)
    return line if len(line) <= LONGEST_REASON else f"{line[:LONGEST_REASON]} …"


def load_weights(backbone: Backbone, file: Path) -> None:
    """Load a network's state from `.safetensors`, or `.pth`, `.pt`, `.bin` read with `weights_only`.

    Names in the file are the network's own, such as timm's, or those of a model saved by this library. A classifier in
    the file is ignored; everything else must match exactly. The file may lack the exponent of `gem` pooling.

    Raises:
        MissingWeightsError: The file does not exist.
        WeightsError: The file cannot be read, or holds the weights of another network.
    """
    if not file.is_file():
        raise MissingWeightsError(f"no such weights file: {line_of_name(str(file))}")
    state = read_state(file)
    prefix = "backbone.network."
    if any(name.startswith(prefix) for name in state):
        state = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    state = {backbone.renamed.get(name, name): value for name, value in state.items()}
    own = backbone.network.state_dict()
    learnt = learnt_by_pooling(backbone.network) - set(backbone.renamed.values())
    state = {name if name in own else OLD_DENSENET.sub(r"\1\2.", name): value for name, value in state.items()}
    state = {k: v for k, v in state.items() if k in own or not k.startswith(CLASSIFIER_PREFIXES)}
    problems = [f"{name} is not in the file" for name in own if name not in state and not _may_lack(name, learnt)]
    problems += [f"the network has no {line_of_name(name[:100])}" for name in state if name not in own]
    problems += [problem for name in state if name in own for problem in differences(name, state[name], own[name])]
    if problems:
        raise WeightsError(
            f"{line_of_name(str(file))} holds another network's weights, {len(problems)} differences:", problems[:5]
        )
    backbone.network.load_state_dict(state, strict=False)


def _may_lack(name: str, learnt: set[str]) -> bool:
    """Whether a file may lack a tensor: a count of batches, or what the pooling learns, which then starts anew."""
    return "num_batches" in name or name in learnt


def differences(name: str, value: Tensor, own: Tensor) -> list[str]:
    """Why a tensor of a file cannot be copied into a tensor of the network, both `[...]`; empty if it can."""
    if (
        type(value) not in (Tensor, nn.Parameter)
        or value.is_nested
        or value.layout != torch.strided
        or value.device.type != "cpu"
        or value.is_quantized
    ):
        return [f"{name} is not a plain tensor in the file"]
    if value.shape != own.shape:
        return [f"{name} is {list(value.shape)} in the file and {list(own.shape)} in the network"]
    if value.is_complex() or value.is_floating_point() != own.is_floating_point():
        return [f"{name} is {value.dtype} in the file and {own.dtype} in the network"]
    return []


def read_state(file: Path) -> Mapping[str, Tensor]:
    """The tensors of a weights file by name; if the format allows it, their data stay in the file until copied.

    Raises:
        WeightsError: The file cannot be read, or holds more than names and plain values.
    """
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
    except Exception as error:  # any error of torch.load means that the file is not plain weights
        raise WeightsError(
            f"{shown} cannot be read as plain weights ({_why_unread(error)}); files that would run "
            "code are not loaded: save only the state_dict"
        ) from error
    for key in ("state_dict", "model", "extractor"):
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
    if not isinstance(loaded, Mapping) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in loaded.items()
    ):
        raise WeightsError(f"{shown} does not hold a state_dict: names and tensors")
    return loaded


def _why_unread(error: Exception) -> str:
    """Why a `.pth` cannot be read. torch's own message is not shown: it quotes the file and advises to trust it."""
    if isinstance(error, _UnfitArchiveError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if out_of_memory(error):
        return "it does not fit into memory"
    if isinstance(error, pickle.UnpicklingError):
        return "it holds more than tensors and plain values, or is damaged"
    return "it is damaged or in another format"


class _UnfitArchiveError(ValueError):
    """Why the archive of a `.pth` is refused, in the library's own words."""


def _check_archive(opened: BinaryIO) -> None:
    """Check that a `.pth` is a zip archive without compression, which cannot unpack to more bytes than its size.

    Raises:
        _UnfitArchiveError: The archive is compressed, its parts overlap or are too many, or its pickle is too large.
    """
    with zipfile.ZipFile(opened) as archive:
        parts = archive.infolist()
    if any(part.compress_type != zipfile.ZIP_STORED or part.file_size != part.compress_size for part in parts):
        raise _UnfitArchiveError("it is compressed, which torch.save does not do")
    if len(parts) > MAX_TENSORS or sum(part.file_size for part in parts) > os.fstat(opened.fileno()).st_size:
        raise _UnfitArchiveError("its parts overlap, or are too many")
    if any(part.file_size > MAX_HEADER for part in parts if part.filename.endswith(".pkl")):
        raise _UnfitArchiveError(f"its pickle has more than {MAX_HEADER:,} bytes")


@torch.no_grad()
def calibrate_batchnorm(network: nn.Module, scaled: Iterator[Tensor]) -> None:
    """Set BatchNorm statistics to those of images, in one pass; this makes the features of random weights usable.

    A layer's mean and variance are those of all its inputs, as in one batch, whatever the batch sizes. Earlier layers
    normalise these inputs by each batch's own statistics, which a single image would hardly have. So the images of a
    smaller last batch and of the batch before it are divided evenly between the two.

    Args:
        network: network from images to features; its parameters do not change.
        scaled: batches `[n, 3, H, W]`, scaled to the network's input.
    """
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    modes = [(norm.training, norm.momentum) for norm in norms]
    pooled = [_Pooled(norm) for norm in norms]
    hooks = [norm.register_forward_hook(each.add) for norm, each in zip(norms, pooled, strict=True)]
    try:
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = 1.0  # running statistics become those of the last batch
            norm.training = True  # not norm.train(): timm's norms contain dropout
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
    """The batches; if the last is smaller, the last two get equal sizes, to within one image."""
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
    """Mean and variance of a BatchNorm's inputs over several batches, in float64 (Chan et al. 1979)."""

    def __init__(self, norm: _BatchNorm) -> None:
        self.running = cast(tuple[Tensor, Tensor], (norm.running_mean, norm.running_var))
        """Running mean and variance of the norm; after a batch, those of the batch."""
        self.count = 0
        self.mean, self.squares = (torch.zeros_like(values, dtype=torch.float64) for values in self.running)
        """Mean, and Σ (x − mean)², of each channel."""

    def add(self, _: nn.Module, given: tuple[Tensor, ...], __: Tensor) -> None:
        """Add a batch `[n, C, ...]` that the norm has just processed."""
        count = given[0].numel() // given[0].shape[1]
        mean, variance = (values.double() for values in self.running)
        apart, total = mean - self.mean, self.count + count
        self.squares += variance * (count - 1) + apart.square() * (self.count * count / total)
        self.mean += apart * (count / total)
        self.count = total

    def put_in(self) -> None:
        """Store the pooled statistics in the norm, unless there was no batch."""
        if self.count:
            for running, values in zip(self.running, (self.mean, self.squares / (self.count - 1)), strict=True):
                running.copy_(values)
