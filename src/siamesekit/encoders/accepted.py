"""What a plugin's encoder is, checked: a `Backbone` whose features are as it says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from siamesekit.component_faults import called, given, naming
from siamesekit.components import Component
from siamesekit.encoders.backbone import Backbone
from siamesekit.errors import PluginError


def accepted(made: Any, component: Component, runtime: Mapping[str, Any]) -> Backbone:
    """What a plugin's component gave, unchanged; nothing is computed.

    Args:
        made: a backbone.
        component: which gave it.
        runtime: not used.

    Raises:
        PluginError: it is none, has no parameters, or its number of features is no whole number above 0.
    """
    if not isinstance(made, Backbone):
        raise PluginError(f"{called(component)} gives {given(made)}; expected Backbone(network, num_features, mean, "
                          "std)")  # fmt: skip
    features = made.num_features
    if not isinstance(features, int) or isinstance(features, bool) or features < 1:
        raise PluginError(
            f"{called(component)} has num_features {given(features)}; expected a whole number, at least 1"
        )
    if next(made.network.parameters(), None) is None:
        raise PluginError(f"{called(component)} gives a network without parameters; expected some to train")
    return made


@torch.no_grad()
def refuse_wrong_features(backbone: Backbone, component: Component, images: Tensor) -> None:
    """Refuse a plugin's encoder that fails on photos, or whose features are not `[N, num_features]`.

    Args:
        backbone: in inference mode.
        component: which gave it.
        images: a few, uint8 `[N, 3, S, S]`, on the network's device.

    Raises:
        PluginError: it is so.
    """
    with naming(component, "forward"):
        features = backbone(images)
    expected = [len(images), backbone.num_features]
    if not isinstance(features, Tensor) or list(features.shape) != expected or not features.is_floating_point():
        raise PluginError(f"{called(component)} gives {given(features)} for {given(images)}; expected features "
                          f"{expected}, as its num_features says")  # fmt: skip
    if not bool(features.isfinite().all()):
        raise PluginError(f"{called(component)} gives features that are not finite for {given(images)}")
