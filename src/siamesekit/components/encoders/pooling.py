"""Global pooling of a backbone's feature maps: average, maximum, both, or GeM, in place of the network's own."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from siamesekit.components.encoders.backbone import Backbone, run_on_meta
from siamesekit.errors import UserError
from siamesekit.hardware.float32 import at_least_float32
from siamesekit.wording import in_one_line

Pooling = Literal["default", "avg", "max", "avg+max", "gem"]
GEM_START = 3.0
"""Exponent p of GeM before training, as in the paper."""
GEM_LEAST = 1e-6
"""Least value that GeM takes from a map, since powers of negative numbers are undefined."""
TRIED_SIZE = 224
"""Side of the images on which a network is tried if it takes any size."""


def gem(maps: Tensor, p: Tensor, least: float = GEM_LEAST) -> Tensor:
    """Generalized mean of each map, (mean of max(x, least)ᵖ)^(1/p): `[N, C, h, w]`, p `[1]` → `[N, C]`.

    p = 1 is the average, p → ∞ the maximum. Radenović, Tolias and Chum 2019 (arXiv:1711.02512), equation 3.

    Computed in float32 or better; the result has the dtype of the maps. Each map is divided by its maximum before the
    power, so that no power overflows; the result is multiplied by it.
    """
    values = at_least_float32(maps).clamp_min(least)
    peak = values.detach().amax((2, 3), keepdim=True)
    p = p.to(values.dtype)
    means = (values / peak).pow(p).mean((2, 3)).pow(1 / p)
    return (means * peak.flatten(1)).to(maps.dtype)


class GlobalPooling(nn.Module):
    """Pools feature maps `[N, C, h, w]` to `[N, C]`, or to `[N, 2C]` for `avg+max`: the averages, then the maxima.

    Args:
        kind: `avg`, `max`, `avg+max`, or `gem`, whose exponent `p` `[1]` is a parameter.
        flat: whether the result is `[N, C]`; if not, it has two further dimensions of size 1 in place of h and w.
        channels_last: whether maps are `[N, h, w, C]`, as in Swin transformers.
    """

    __module__ = "siamesekit"

    def __init__(
        self, kind: Literal["avg", "max", "avg+max", "gem"], flat: bool = True, channels_last: bool = False
    ) -> None:
        super().__init__()
        self.kind = kind
        self.flat = flat
        self.channels_last = channels_last
        if kind == "gem":
            self.p = nn.Parameter(torch.full((1,), GEM_START))

    def forward(self, maps: Tensor) -> Tensor:
        """Pool a batch of maps."""
        if self.channels_last:
            maps = maps.permute(0, 3, 1, 2)
        if self.kind == "gem":
            pooled = gem(maps, self.p)
        else:
            means = [maps.mean((2, 3))] if "avg" in self.kind else []
            # amax: adaptive max-pooling is not deterministic on a GPU
            pooled = torch.cat([*means, *([maps.amax((2, 3))] if "max" in self.kind else [])], dim=1)
        if self.flat:
            return pooled
        return pooled[:, None, None, :] if self.channels_last else pooled[:, :, None, None]

    def extra_repr(self) -> str:
        """The arguments; `cache_key` depends on them."""
        return f"kind={self.kind!r}, flat={self.flat}, channels_last={self.channels_last}"


def set_pooling(backbone: Backbone, pooling: Pooling, encoder: str) -> None:
    """Replace the global pooling layer of a backbone's network, in place, and set the number of features.

    The layer is timm's `SelectAdaptivePool2d`, or an `AdaptiveAvgPool2d` to 1 × 1 that is a part of the network or of
    one of its parts. Layers behind it stay. The exponent of `gem` is a parameter of the new layer, at the place of the
    old one, so `blocks()` names the layer, or the part that holds it, among the blocks that may train.

    Args:
        backbone: the backbone, with the pooling of its network.
        pooling: kind of pooling; `default` changes nothing.
        encoder: name of the encoder, for errors.

    Raises:
        UserError: the network has no such layer, or several, or layers behind it do not take its output.
    """
    if pooling == "default":
        return
    network = backbone.network
    place = _place(network, encoder)
    parent, _, name = place.rpartition(".")
    old: Any = network.get_submodule(place)
    flat = channels_last = False
    if not isinstance(old, nn.AdaptiveAvgPool2d):  # timm's, which is one of several kinds inside
        flat = isinstance(old.flatten, nn.Flatten) or getattr(old.pool, "flatten", False) is True
        channels_last = getattr(old.pool, "dim", None) == (1, 2)
    setattr(network.get_submodule(parent), name, GlobalPooling(pooling, flat, channels_last))
    expected = backbone.num_features * (2 if pooling == "avg+max" else 1)
    problem = _problem(network, backbone.size or TRIED_SIZE, expected)
    if problem:
        raise UserError(
            f'encoder.pooling: encoder {encoder!r} does not take pooling = "{pooling}" in place of its layer {place} '
            f'({problem}): set encoder.pooling to another kind, or to "default"'
        )
    backbone.num_features = expected


def _place(network: nn.Module, encoder: str) -> str:
    """The dotted name of a network's global pooling layer.

    Raises:
        UserError: the network has none, or several.
    """
    from timm.layers.adaptive_avgmax_pool import SelectAdaptivePool2d  # timm takes seconds to import

    modules: dict[str, Any] = dict(network.named_modules())
    of_timm = [name for name, module in modules.items() if isinstance(module, SelectAdaptivePool2d)]
    plain = [
        name
        for name, module in modules.items()
        if isinstance(module, nn.AdaptiveAvgPool2d) and module.output_size in (1, (1, 1)) and name.count(".") < 2
    ]
    found = [name for name in of_timm if not modules[name].is_identity()] if of_timm else plain
    if len(found) == 1:
        return found[0]
    what = f"has {len(found)} layers that may be it: {', '.join(found)}" if found else "has no such layer"
    raise UserError(
        "encoder.pooling replaces the network's layer from feature maps to one vector (AdaptiveAvgPool2d), but encoder "
        f'{encoder!r} {what}: set encoder.pooling = "default", or choose a convolutional network of timm'
    )


@torch.no_grad()
def _problem(network: nn.Module, size: int, expected: int) -> str:
    """Why the features of images are not `[N, expected]`, tried on the meta device; empty if they are."""
    training = network.training
    network.eval()
    try:
        features = run_on_meta(network, size, size)
    except Exception as error:  # networks raise errors of any type
        return in_one_line(f"{type(error).__name__}: {error}")[:200]
    finally:
        network.train(training)
    shape = list(features.shape)
    return "" if shape == [2, expected] else f"the features of two images are {shape}, not {[2, expected]}"


def learnt_by_pooling(network: nn.Module) -> set[str]:
    """The names of the parameters of a network's pooling layers, which files of pretrained weights do not have."""
    return {
        f"{place}.{name}" if place else name
        for place, module in network.named_modules()
        if isinstance(module, GlobalPooling)
        for name, _ in module.named_parameters()
    }
