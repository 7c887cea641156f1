"""The test photos' embeddings, with test-time augmentation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from siamesekit.components.encoders.views import embed_views, mean_of_views, normalizes
from siamesekit.engine.frozen.stored import Stored, pixel_chunk
from siamesekit.engine.training import embed_stored
from siamesekit.hardware.compute import Compute
from siamesekit.model import Encoder


@torch.no_grad()
def embed_test(
    encoder: Encoder, stored: Stored, images: Tensor, photos: Tensor, compute: Compute, tta: Sequence[str]
) -> Tensor:
    """Embeddings `[n, D]` of the test photos in inference mode, on the CPU.

    Args:
        encoder: the encoder, on the device of `compute`.
        stored: the stored images, from which photos without further views are embedded; several processes that encode
            them together also encode the views.
        images: all images, uint8 `[N, 3, S, S]`.
        photos: the test photos, as indices into the images, int64 `[n]`.
        compute: device and number format.
        tta: views of each photo in addition to the photo itself.
    """
    if not tta:
        return embed_stored(encoder, stored, photos, compute)
    encoder.eval()
    embedded, unit_length = [], normalizes(encoder.head)
    if stored.team is not None:
        for features in stored.team.view_features(photos, tta):
            views = [encoder.embed_features(each).float() for each in features.unbind(1)]
            embedded.append(mean_of_views(views, unit_length).cpu())
        return torch.cat(embedded)
    for chunk in photos.split(pixel_chunk(images)):
        pixels = images[chunk].to(compute.device).contiguous(memory_format=torch.channels_last)
        with compute.autocast():
            embedded.append(embed_views(encoder, pixels, tta, unit_length).float().cpu())
    return torch.cat(embedded)
