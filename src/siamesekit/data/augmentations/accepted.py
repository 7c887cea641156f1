"""A plugin's augmentation as the library uses it: in either of two forms, and what it gives is checked."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from siamesekit.component_faults import called, given, naming
from siamesekit.components import Component
from siamesekit.data.augmentations.photo_by_photo import photo_by_photo
from siamesekit.errors import PluginError
from siamesekit.randomness import Streams

POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def accepted(made: Any, component: Component, runtime: Mapping[str, Any]) -> PluginAugmentation:
    """What a plugin's component gave, as an augmentation; its form is told by its signature.

    Args:
        made: a callable of photos and streams, or one of a single photo, such as a transform of torchvision.
        component: which gave it.
        runtime: not used.

    Raises:
        PluginError: it is neither.
    """
    if isinstance(made, type) or not callable(made):
        raise PluginError(f"{called(component)} gives {given(made)}; expected an augmentation: a callable of "
                          "(images, streams), or of one image")  # fmt: skip
    return PluginAugmentation(made, component, _takes_streams(made, component))


class PluginAugmentation:
    """A plugin's augmentation: uint8 `[N, 3, S, S]` → `[N, 3, S, S]`, whatever it raises or gives amiss told by name.

    Args:
        augmentation: the plugin's own.
        component: which gave it.
        takes_streams: whether it takes photos and streams, as the library's own do; else one photo, uint8 `[3, S, S]`
            in the computer's memory, and its random numbers come from torch's, Python's and NumPy's generators, which
            each photo's own stream seeds.
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
            PluginError: the plugin fails, or gives no such views.
        """
        with torch.autocast(images.device.type, enabled=False):
            if not self.takes_streams:
                return photo_by_photo(images.cpu(), streams, self._view).to(images.device)
            with naming(self.component, "__call__"):
                views = self.augmentation(images, streams)
        self._check(views, images, "[N, 3, S, S]")
        if views.untyped_storage().data_ptr() == images.untyped_storage().data_ptr():
            raise PluginError(f"{called(self.component)} gives the memory of the photos that it was given; expected a "
                              "new tensor: return images.clone() where nothing changes")  # fmt: skip
        if views.device != images.device:
            raise PluginError(f"{called(self.component)} gives views on {views.device}; expected them on the photos' "
                              f"device, {images.device}")  # fmt: skip
        return torch.as_tensor(views)

    def _view(self, image: Tensor) -> Tensor:
        """The view of a photo `[3, S, S]`."""
        with naming(self.component, "forward" if isinstance(self.augmentation, nn.Module) else "__call__"):
            view = self.augmentation(image)
        self._check(view, image, "[3, S, S]")
        return torch.as_tensor(view)

    def _check(self, views: Any, images: Tensor, shape: str) -> None:
        """Raises a PluginError: the views are not of the photos' kind and shape."""
        if isinstance(views, Tensor) and views.dtype == torch.uint8 and views.shape == images.shape:
            return
        advice = ""
        if isinstance(views, Tensor) and views.is_floating_point():
            advice = "; leave out ToDtype and Normalize (the encoder scales pixels), or end with ToDtype(torch.uint8)"
        elif isinstance(views, Tensor) and views.dtype == torch.uint8:
            advice = "; resize or crop to the photo's own size"
        elif not isinstance(views, Tensor) and views is not None:
            advice = "; convert it to such a tensor (torchvision's v2.PILToTensor takes a Pillow image)"
        raise PluginError(f"{called(self.component)} gives {given(views)} for {given(images)}; expected a uint8 tensor "
                          f"{shape} of the same shape{advice}")  # fmt: skip


def _takes_streams(made: Any, component: Component) -> bool:
    """Whether an augmentation takes (images, streams); else it takes one image.

    Raises:
        PluginError: it takes neither.
    """
    try:
        signature = inspect.signature(made.forward if isinstance(made, nn.Module) else made)
    except (TypeError, ValueError):  # compiled code that tells none
        return False
    parameters = [*signature.parameters.values()]
    positional = [parameter for parameter in parameters if parameter.kind in POSITIONAL]
    required = [parameter for parameter in positional if parameter.default is parameter.empty]
    variadic = any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters)
    lacking = [parameter for parameter in parameters
               if parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty]  # fmt: skip
    if len(required) > 2 or lacking or not (positional or variadic):
        raise PluginError(f"{called(component)} gives a callable of {signature}; expected one of (images, streams), or "
                          "of one image")  # fmt: skip
    return len(required) == 2 or any(parameter.name == "streams" for parameter in positional[1:2])
