"""Validation of a plugin's augmentation, which takes photos and streams, or a single photo."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from siamesekit.components.augmentations.photo_by_photo import photo_by_photo
from siamesekit.errors import PluginError
from siamesekit.randomness import Streams
from siamesekit.registry.component import Component
from siamesekit.registry.component_faults import called, given, naming

POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def accepted(made: Any, component: Component, runtime: Mapping[str, Any]) -> PluginAugmentation:
    """Wrap the result of a plugin's component as an augmentation. The signature determines its form.

    Args:
        made: a callable of photos and streams, or of a single photo, such as a transform of torchvision.
        component: the component that built it.
        runtime: not used.

    Raises:
        PluginError: the result is neither.
    """
    if isinstance(made, type) or not callable(made):
        raise PluginError(
            f"{called(component)} gives {given(made)}; expected an augmentation: a callable of "
            "(images, streams), or of one image"
        )
    return PluginAugmentation(made, component, _takes_streams(made, component))


class PluginAugmentation:
    """A plugin's augmentation: uint8 `[N, 3, S, S]` → `[N, 3, S, S]`, with errors that name the plugin.

    Args:
        augmentation: the augmentation of the plugin.
        component: the component that built it.
        takes_streams: whether it takes photos and streams. If not, it takes one photo, uint8 `[3, S, S]` on the CPU,
            and draws from the global generators of torch, Python and NumPy, which the stream of each photo seeds.
    """

    def __init__(self, augmentation: Callable[..., Any], component: Component, takes_streams: bool) -> None:
        self.augmentation = augmentation
        self.component = component
        self.takes_streams = takes_streams

    def __repr__(self) -> str:
        return repr(self.augmentation)

    @torch.no_grad()
    def __call__(self, images: Tensor, streams: Streams) -> Tensor:
        """A view of each photo `[N, 3, S, S]`.

        Raises:
            PluginError: the plugin fails, or its views are invalid.
        """
        with torch.autocast(images.device.type, enabled=False):
            if not self.takes_streams:
                return photo_by_photo(images.cpu(), streams, self._view).to(images.device)
            with naming(self.component, "__call__"):
                views = self.augmentation(images, streams)
        self._check(views, images, "[N, 3, S, S]")
        if views.untyped_storage().data_ptr() == images.untyped_storage().data_ptr():
            raise PluginError(
                f"{called(self.component)} gives the tensor of photos that it received; expected a "
                "new tensor: return images.clone() if nothing changes"
            )
        if views.device != images.device:
            raise PluginError(
                f"{called(self.component)} gives views on {views.device}; expected them on the photos' "
                f"device, {images.device}"
            )
        return torch.as_tensor(views)

    def _view(self, image: Tensor) -> Tensor:
        """The view of a photo `[3, S, S]`."""
        with naming(self.component, "forward" if isinstance(self.augmentation, nn.Module) else "__call__"):
            view = self.augmentation(image)
        self._check(view, image, "[3, S, S]")
        return torch.as_tensor(view)

    def _check(self, views: Any, images: Tensor, shape: str) -> None:
        """Raise a PluginError if the views differ from the photos in type or shape."""
        if isinstance(views, Tensor) and views.dtype == torch.uint8 and views.shape == images.shape:
            return
        advice = ""
        if isinstance(views, Tensor) and views.is_floating_point():
            advice = "; leave out ToDtype and Normalize (the encoder scales pixels), or end with ToDtype(torch.uint8)"
        elif isinstance(views, Tensor) and views.dtype == torch.uint8:
            advice = "; resize or crop to the photo's own size"
        elif not isinstance(views, Tensor) and views is not None:
            advice = "; convert it to such a tensor (torchvision's v2.PILToTensor takes a Pillow image)"
        raise PluginError(
            f"{called(self.component)} gives {given(views)} for {given(images)}; expected a uint8 tensor "
            f"{shape} of the same shape{advice}"
        )


def _takes_streams(made: Any, component: Component) -> bool:
    """Whether an augmentation takes (images, streams); else it takes one image.

    Raises:
        PluginError: it takes neither.
    """
    try:
        signature = inspect.signature(made.forward if isinstance(made, nn.Module) else made)
    except (TypeError, ValueError):  # compiled code without a signature
        return False
    parameters = [*signature.parameters.values()]
    positional = [parameter for parameter in parameters if parameter.kind in POSITIONAL]
    required = [parameter for parameter in positional if parameter.default is parameter.empty]
    variadic = any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters)
    lacking = [
        parameter
        for parameter in parameters
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty
    ]
    if len(required) > 2 or lacking or not (positional or variadic):
        raise PluginError(
            f"{called(component)} gives a callable of {signature}; expected one of (images, streams), or of one image"
        )
    return len(required) == 2 or any(parameter.name == "streams" for parameter in positional[1:2])
