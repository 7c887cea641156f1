"""Test-time augmentation, against an explicit loop over photos and views."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from siamesekit.components.encoders.views import checked_views, embed_views, photo_views
from siamesekit.errors import UserError

IMAGES = torch.randint(0, 256, (3, 3, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def embed(images: Tensor) -> Tensor:
    """Embeddings of length 1 that depend on where things are."""
    flat = images.double().flatten(1) @ torch.randn(768, 4, generator=torch.Generator().manual_seed(1)).double()
    return flat / flat.norm(dim=1, keepdim=True)


def cropped(image: Tensor, top: int, left: int) -> Tensor:
    """14 × 14 pixels scaled to 16 × 16 by Pillow, channel by channel in float."""
    cut = image[:, top : top + 14, left : left + 14].float().numpy()
    planes = [np.asarray(Image.fromarray(plane).resize((16, 16), Image.Resampling.BILINEAR)) for plane in cut]
    return torch.from_numpy(np.stack(planes))


@pytest.mark.parametrize(("tta", "count"), [((), 1), (("mirror",), 2), (("crops",), 6), (("mirror", "crops"), 12)])
@pytest.mark.parametrize("unit_length", [True, False])
def test_an_embedding_is_the_mean_over_the_views_of_its_photo(
    tta: tuple[str, ...], count: int, unit_length: bool
) -> None:
    found = embed_views(embed, IMAGES, tta, unit_length)
    for image, embedding in zip(IMAGES, found, strict=True):
        views = [image.float()]
        if "mirror" in tta:
            views.append(torch.from_numpy(image.float().numpy()[:, :, ::-1].copy()))
        if "crops" in tta:
            corners = [(1, 1), (0, 0), (0, 2), (2, 0), (2, 2)]
            views += [cropped(view, top, left) for view in views for top, left in corners]
        assert len(views) == count
        mean = torch.stack([embed(view[None])[0] for view in views]).mean(0)
        expected = mean / mean.norm() if unit_length else mean
        torch.testing.assert_close(embedding.double(), expected, atol=1e-5, rtol=0)


def test_the_first_view_is_the_photo_itself() -> None:
    for tta in ((), ("mirror",), ("mirror", "crops")):
        assert torch.equal(photo_views(IMAGES, tta)[0], IMAGES)


def test_views_are_named_once_in_one_order() -> None:
    assert checked_views(["crops", "mirror", "crops"]) == ("mirror", "crops")
    with pytest.raises(UserError, match=r"unknown view 'miror' \(did you mean 'mirror'\?\); choices: mirror, crops"):
        checked_views(["miror"])
    with pytest.raises(UserError, match="not a string"):
        checked_views("mirror")
