"""What every encoder component gives: a network to feature vectors, and how its input is scaled."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from siamesekit.errors import MissingWeightsError, OutputError, UserError, in_one_line, near

STALL_SECONDS = 20.0
"""How long a download of weights may stand still."""


class Backbone(nn.Module):
    """A network from images to feature vectors.

    Args:
        network: module, float images `[N, 3, H, W]` → features `[N, num_features]`.
        num_features: the features' dimension.
        mean: what is subtracted from each of the three channels, in pixel values 0 … 255.
        std: what each channel is then divided by, in pixel values.
        size: the only H and W that the network takes; None: it takes others too.
        may_take_others: whether that is uncertain: then another size is tried, without memory, before it is refused.
    """

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
    ) -> None:
        super().__init__()
        self.network = network
        self.num_features = num_features
        self.size = size
        self.may_take_others = may_take_others
        self._taken: dict[tuple[int, int], bool] = {}
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def scale(self, images: Tensor) -> Tensor:
        """Pixel values 0 … 255 `[N, 3, H, W]`, of any dtype, to the network's input.

        Raises:
            UserError: the network takes another size only.
        """
        height, width = images.shape[-2:]
        if not self._takes(height, width):
            only = "" if self.may_take_others else " only"
            raise UserError(f"data.size: the encoder takes photos of {self.size} × {self.size} pixels{only}, not of "
                            f"{height} × {width}: set data.size = {self.size}")  # fmt: skip
        dtype = next(self.network.parameters()).dtype
        return (images.to(dtype) - self.mean.to(dtype)) / self.std.to(dtype)

    def _takes(self, height: int, width: int) -> bool:
        if self.size is None or (height, width) == (self.size, self.size):
            return True
        if not self.may_take_others:
            return False
        if (height, width) not in self._taken:
            # a network that cannot be tried at all has the last word itself
            self._taken[height, width] = self._runs(height, width) or not self._runs(self.size, self.size)
        return self._taken[height, width]

    def _runs(self, height: int, width: int) -> bool:
        """Whether the network gives features of images of a size; on the meta device, which computes shapes alone."""
        tensors = (*self.network.named_parameters(), *self.network.named_buffers())
        images = torch.empty(2, 3, height, width, device="meta")
        try:
            with torch.no_grad():
                functional_call(self.network, {name: tensor.to("meta") for name, tensor in tensors}, images)
        except Exception:  # what a network raises is its own affair
            return False
        return True

    def forward(self, images: Tensor) -> Tensor:
        """Images `[N, 3, H, W]` with values 0 … 255 → features `[N, num_features]`."""
        features: Tensor = self.network(self.scale(images))
        return features

    def blocks(self) -> list[str]:
        """The names that `train_from` may take: the network's parts with parameters, in order."""
        return _parts(self.network)

    def freeze_before(self, block: str) -> None:
        """Let only `block` and what follows it train; `""` all, `"head"` nothing of the backbone.

        Args:
            block: a part's name from `blocks()`, or a dotted name inside one of them.

        Raises:
            UserError: there is no such block.
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
        """What `train_from` could have meant: near matches and all choices, those inside the block's parents too."""
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


def _parts(module: nn.Module) -> list[str]:
    """The names of a module's direct parts that have parameters, in order."""
    return [name for name, part in module.named_children() if any(True for _ in part.parameters())]


FILE_INSTEAD = 'connect to the network once, or name a file: encoder.weights = "FILE.safetensors" (or .pth)'
LONGEST_REASON = 300
"""Characters that are shown of what another library says."""


def fetch(create: Callable[[], nn.Module], what: str, advice: str = FILE_INSTEAD) -> nn.Module:
    """Create a network with what must be downloaded for it; a failure says what to do.

    Args:
        create: makes the network; its waits for the network are bounded (`siamesekit.encoders.downloads`).
        what: what is downloaded, in the error's words: "the pretrained weights of `what`".
        advice: what to do where it fails.

    Raises:
        MissingWeightsError: the weights are not in the cache and cannot be downloaded, or they cannot be loaded.
    """
    try:
        return create()
    except MissingWeightsError:
        raise
    except Exception as error:  # whatever a transport or a network raises: the weights are not to be had
        reason = in_one_line(str(error))[:LONGEST_REASON]
        failure = f"cannot be downloaded: {reason}"
        if not isinstance(error, DownloadError | OutputError):
            failure = f"cannot be loaded ({type(error).__name__}: {reason})"
        raise MissingWeightsError(f"the pretrained weights of {what} {failure}; {advice}") from error


class DownloadError(Exception):
    """Why a file cannot be downloaded, in words that continue "… cannot be downloaded: "."""
