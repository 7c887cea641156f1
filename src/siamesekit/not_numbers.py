"""Networks whose weights or embeddings are not numbers: NaN or infinite. What is said of them, in words."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from siamesekit.doctor import Finding
from siamesekit.model import Encoder

NETWORKS = {"trained": "the trained network", "untrained": "the untrained network", "raw_pixels": "raw pixels"}


def broken_weights(encoder: Encoder, epoch: int) -> list[Finding]:
    """What the doctor says of an encoder whose weights have left the range of numbers; nothing of a sound one.

    Args:
        encoder: as the run keeps it.
        epoch: whose weights it has.
    """
    values = [value for value in encoder.state_dict().values() if value.is_floating_point()]
    broken = sum(int((~value.isfinite()).sum()) for value in values)
    if not broken:
        return []
    total = sum(value.numel() for value in values)
    return [
        Finding(
            "not-numbers",
            epoch,
            epoch,
            f"{broken:,} of the model's {total:,} weights and statistics are NaN or infinite: the model is of no use.",
            "lower optimizer.lr; set optimizer.clip_norm = 1.0; weights that are numbers (encoder.weights).",
        )
    ]


def broken_embeddings(networks: Mapping[str, Tensor]) -> list[str]:
    """A note on each network that gives some test photos embeddings `[N, D]` that are not numbers."""
    notes = []
    for name, embeddings in networks.items():
        broken = int((~embeddings.isfinite().all(dim=1)).sum())
        if broken:
            notes.append(
                f"Of {len(embeddings):,} test photos {broken:,} have embeddings that are not numbers (NaN or infinite) "
                f"by {NETWORKS[name]}: a distance that is not a number ranks after all others, and the figures of "
                f"{NETWORKS[name]} say nothing."
            )
    return notes
