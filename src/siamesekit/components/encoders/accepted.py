"""Checks of a plugin's encoder: a `Backbone` whose features have the declared shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from siamesekit.components.encoders.backbone import Backbone
from siamesekit.errors import PluginError
from siamesekit.registry.component import Component
from siamesekit.registry.component_faults import called, given, naming


def accepted(made: Any, component: Component, runtime: Mapping[str, Any]) -> Backbone:
    """Check the backbone that a plugin's component returned, and return it unchanged; nothing is computed.

    Args:
        made: the returned object.
        component: the component that returned it.
        runtime: unused.

    Raises:
        PluginError: The object is not a `Backbone`, has no parameters, or its `num_features` is not a positive integer.
    """
    if not isinstance(made, Backbone):
        raise PluginError(
            f"{called(component)} gives {given(made)}; expected Backbone(network, num_features, mean, std)"
        )
    features = made.num_features
    if not isinstance(features, int) or isinstance(features, bool) or features < 1:
        raise PluginError(
            f"{called(component)} has num_features {given(features)}; expected a whole number, at least 1"
        )
    if next(made.network.parameters(), None) is None:
        raise PluginError(f"{called(component)} gives a network without parameters; expected trainable parameters")
    return made


@torch.no_grad()
def refuse_wrong_features(backbone: Backbone, component: Component, images: Tensor) -> None:
    """Refuse a plugin's encoder that fails on photos, or whose features are not `[N, num_features]`.

    Args:
        backbone: the encoder's backbone, in inference mode.
        component: the component that returned it.
        images: a few images, uint8 `[N, 3, S, S]`, on the network's device.

    Raises:
        PluginError: The encoder fails, or its features have a wrong shape or type, or are not finite.
    """
    with naming(component, "forward"):
        features = backbone(images)
    expected = [len(images), backbone.num_features]
    if not isinstance(features, Tensor) or list(features.shape) != expected or not features.is_floating_point():
        raise PluginError(
            f"{called(component)} gives {given(features)} for {given(images)}; expected features "
            f"{expected}, as its num_features says"
        )
    if not bool(features.isfinite().all()):
        raise PluginError(f"{called(component)} gives features that are not finite for {given(images)}")
