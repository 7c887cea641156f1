"""The return type of every encoder component: a network to feature vectors, with the scaling of its input."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call

from siamesekit.components.encoders.resizing import Resizing
from siamesekit.errors import MissingWeightsError, OutputError, UserError
from siamesekit.wording import in_one_line, near

STALL_SECONDS = 20.0
"""Seconds without data after which a download of weights fails."""

Made = TypeVar("Made")


@torch.no_grad()
def run_on_meta(network: nn.Module, height: int, width: int) -> Tensor:
    """What a network makes of two images of this size, on the meta device, which computes shapes only.

    Tensors are replaced module by module, each module once: otherwise a module that stands in the network twice, as in
    CoaT, would keep those of the meta device.
    """
    tensors = {
        f"{place}.{name}".removeprefix("."): tensor.to("meta")
        for place, module in network.named_modules()
        for name, tensor in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False))
    }
    images = torch.empty(2, 3, height, width, device="meta")
    features: Tensor = functional_call(network, tensors, images, tie_weights=False)
    return features


class Backbone(nn.Module):
    """A network from images to feature vectors.

    Args:
        network: module, float images `[N, 3, H, W]` → features `[N, num_features]`.
        num_features: dimension of the features.
        mean: mean of each of the three channels, in pixel values 0 … 255; it is subtracted.
        std: standard deviation of each channel, in pixel values; the difference is divided by it.
        size: the only H and W that the network takes; None if it takes any.
        may_take_others: whether the network may take other sizes than `size`. If so, a trial on the meta device decides
            whether another size is refused.
        default_size: H and W of the photos where no other size is wanted, such as that of the pretrained weights; None
            if unknown.

    Attributes:
        origin: where the loaded pretrained weights come from, for the manifest of a run, such as a package and a
            SHA-256; empty if unknown.
        renamed: names of tensors in files of weights that differ from those of the network, with the network's.
        resizing: how the photos were resized on which the pretrained weights were judged; None if unknown.
    """

    __module__ = "siamesekit"

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: nn.Module,
        num_features: int,
        mean: Sequence[float],
        std: Sequence[float],
        size: int | None = None,
        may_take_others: bool = False,
        default_size: int | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.num_features = num_features
        self.size = size
        self.may_take_others = may_take_others
        self.default_size = size if default_size is None else default_size
        self.origin: Mapping[str, str] = {}
        self.renamed: Mapping[str, str] = {}
        self.resizing: Resizing | None = None
        self._taken: dict[tuple[int, int], bool] = {}
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def scale(self, images: Tensor) -> Tensor:
        """Scale pixel values 0 … 255 `[N, 3, H, W]`, of any dtype, to the network's input.

        Raises:
            UserError: The network does not take images of this size.
        """
        self.check_size(*images.shape[-2:])
        dtype = next(self.network.parameters()).dtype
        return (images.to(dtype) - self.mean.to(dtype)) / self.std.to(dtype)

    def check_size(self, height: int, width: int) -> None:
        """Refuse a size that the network does not take.

        Raises:
            UserError: The network does not take images of this size.
        """
        if not self.takes(height, width):
            only = "" if self.may_take_others else " only"
            raise UserError(
                f"data.size: the encoder takes photos of {self.size} × {self.size} pixels{only}, not of "
                f"{height} × {width}: set data.size = {self.size}"
            )

    def takes(self, height: int, width: int) -> bool:
        """Whether the network takes images of this size, by what it declares, and if need be by a trial."""
        if self.size is None or (height, width) == (self.size, self.size):
            return True
        if not self.may_take_others:
            return False
        if (height, width) not in self._taken:
            # a network that fails even at its own size cannot be tried: let it decide itself
            self._taken[height, width] = self.runs(height, width) or not self.runs(self.size, self.size)
        return self._taken[height, width]

    def runs(self, height: int, width: int) -> bool:
        """Whether the network runs on images of this size, tried on the meta device, which computes shapes only."""
        try:
            run_on_meta(self.network, height, width)
        except Exception:  # networks raise errors of any type
            return False
        return True

    def forward(self, images: Tensor) -> Tensor:
        """Images `[N, 3, H, W]` with values 0 … 255 → features `[N, num_features]`."""
        features: Tensor = self.network(self.scale(images))
        return features

    def blocks(self) -> list[str]:
        """Valid values of `train_from`: the names of the network's parts with parameters, in order."""
        return _parts(self.network)

    def freeze_before(self, block: str) -> None:
        """Train only `block` and what follows it; `""` trains the whole backbone, `"head"` none of it.

        Args:
            block: name of a part from `blocks()`, or a dotted name inside one of them.

        Raises:
            UserError: The network has no such block.
        """
        names = [name for name, _ in self.network.named_parameters()]
        if block == "":
            first = 0
        elif block == "head":
            first = len(names)
        else:
            inside = [index for index, name in enumerate(names) if name.startswith(f"{block}.")]
            if not inside:
                raise UserError(f"encoder.train_from: the network has no block {block!r}{self._choices(block)}")
            first = inside[0]
        for index, parameter in enumerate(self.network.parameters()):
            parameter.requires_grad_(index >= first)

    def _choices(self, block: str) -> str:
        """Near matches and all choices for `train_from`, including those inside the block's parents."""
        choices = [*self.blocks(), "head"]
        shown = [f"choices: {', '.join(choices)}"]
        parent, network = "", self.network
        for name in block.split(".")[:-1]:
            if name not in _parts(network):
                break
            parent, network = f"{parent}{name}.", network.get_submodule(name)
            inside = [f"{parent}{part}" for part in _parts(network)]
            if inside:
                choices += inside
                shown.append(f"inside {parent[:-1]}: {', '.join(inside)}")
        return f"{near(block, choices)}; {'; '.join(shown)}"


def has_parameters(module: nn.Module) -> bool:
    """Whether a module, or any of its parts, has parameters."""
    return next(module.parameters(), None) is not None


def _parts(module: nn.Module) -> list[str]:
    """The names of a module's direct parts that have parameters, in order."""
    return [name for name, part in module.named_children() if has_parameters(part)]


FILE_INSTEAD = 'connect to the internet once, or name a file: encoder.weights = "FILE.safetensors" (or .pth)'
LONGEST_REASON = 300
"""Maximum number of characters shown of another library's message."""


def fetch(create: Callable[[], Made], what: str, advice: str = FILE_INSTEAD) -> Made:
    """Create a network with downloaded weights, or what it gives beside; errors say what to do.

    Args:
        create: function that creates it. Its downloads have timeouts
            (`siamesekit.components.encoders.downloads`).
        what: name of the model in the error message: "the pretrained weights of `what`".
        advice: what to do if the download fails.

    Raises:
        MissingWeightsError: The weights are not in the cache and cannot be downloaded, or they cannot be loaded.
    """
    try:
        return create()
    except MissingWeightsError:
        raise
    except Exception as error:  # transports and networks raise errors of any type
        reason = in_one_line(str(error))[:LONGEST_REASON]
        failure = f"cannot be downloaded: {reason}"
        if not isinstance(error, DownloadError | OutputError):
            failure = f"cannot be loaded ({type(error).__name__}: {reason})"
        raise MissingWeightsError(f"the pretrained weights of {what} {failure}; {advice}") from error


class DownloadError(Exception):
    """A failed download; the message continues "… cannot be downloaded: "."""
