"""Test-time augmentation: a photo's embedding is the mean over several views of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal, cast, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from siamesekit.components.encoders.head import L2Normalize
from siamesekit.errors import UserError
from siamesekit.wording import near

View = Literal["mirror", "crops"]
"""`mirror`: the photo mirrored left to right. `crops`: five crops, from the centre and the four corners."""
VIEWS: tuple[View, ...] = get_args(View)
CROP = 0.875
"""Side of a crop, as a share of the photo's."""


def checked_views(tta: Iterable[str]) -> tuple[View, ...]:
    """The names of views without repetitions, in the order of `VIEWS`.

    Raises:
        UserError: a name is unknown.
    """
    if isinstance(tta, str):
        raise UserError(f"tta must be a sequence of views, such as ({tta!r},), not a string")
    names = list(tta)
    for name in names:
        if name not in VIEWS:
            raise UserError(f"unknown view {name!r}{near(str(name), VIEWS)}; choices: {', '.join(VIEWS)}")
    return tuple(view for view in VIEWS if view in names)


def photo_views(images: Tensor, tta: Sequence[str]) -> list[Tensor]:
    """The views of images `[N, 3, S, S]`, each `[N, 3, S, S]`; the first is the images as they are.

    `mirror` and `crops` together also give the crops of the mirrored images. Crops are scaled to the size of the images
    bilinearly, as float32.
    """
    whole = [images, images.flip(-1)] if "mirror" in tta else [images]
    return [*whole, *(crop for view in whole for crop in _crops(view))] if "crops" in tta else whole


def _crops(images: Tensor) -> list[Tensor]:
    size = int(images.shape[-1])  # a tensor while torch.onnx traces
    side = max(1, round(CROP * size))
    middle, end = (size - side) // 2, size - side
    corners = [(middle, middle), (0, 0), (0, end), (end, 0), (end, end)]
    cut = [images[..., top : top + side, left : left + side].float() for top, left in corners]
    return [F.interpolate(crop, size=(size, size), mode="bilinear", align_corners=False) for crop in cut]


def embed_views(embed: Callable[[Tensor], Tensor], images: Tensor, tta: Sequence[str], unit_length: bool) -> Tensor:
    """Embeddings `[N, D]` of images `[N, 3, S, S]`: the mean over their views.

    Args:
        embed: function from images to embeddings.
        images: the images.
        tta: views in addition to the images as they are; none gives the plain embeddings.
        unit_length: whether embeddings have length 1; the mean is then scaled to length 1 too.
    """
    views = photo_views(images, tta)
    if len(views) == 1:
        return embed(images)
    return mean_of_views([embed(view).float() for view in views], unit_length)


def mean_of_views(embeddings: Sequence[Tensor], unit_length: bool) -> Tensor:
    """The mean `[N, D]` of the embeddings of each view, each `[N, D]`; of length 1 if `unit_length` says so."""
    mean = torch.stack(list(embeddings)).mean(0)
    return cast(Tensor, L2Normalize()(mean)) if unit_length else mean


def normalizes(head: nn.Module) -> bool:
    """Whether a head gives embeddings of length 1."""
    return isinstance(head, L2Normalize) or "normalize" in dict(head.named_children())
