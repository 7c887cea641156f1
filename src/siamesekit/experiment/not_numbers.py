"""Findings and notes about networks whose weights or embeddings are NaN or infinite."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from siamesekit.engine.doctor import Finding
from siamesekit.model import Encoder

NETWORKS = {"trained": "the trained network", "untrained": "the untrained network", "raw_pixels": "raw pixels"}


def broken_weights(encoder: Encoder, epoch: int) -> list[Finding]:
    """The doctor's finding on an encoder whose weights have overflowed (NaN or Inf); an empty list if all are finite.

    Args:
        encoder: the encoder that the run keeps.
        epoch: epoch of its weights.
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
            f"{broken:,} of the model's {total:,} weights and statistics are NaN or infinite: the model is unusable.",
            "a smaller optimizer.lr, optimizer.clip_norm = 1.0, finite encoder.weights.",
        )
    ]


def broken_embeddings(networks: Mapping[str, Tensor]) -> list[str]:
    """A note on each network with NaN or infinite embeddings `[N, D]` of some test photos."""
    notes = []
    for name, embeddings in networks.items():
        broken = int((~embeddings.isfinite().all(dim=1)).sum())
        if broken:
            notes.append(
                f"{broken:,} of {len(embeddings):,} test photos have NaN or infinite embeddings by {NETWORKS[name]}: "
                f"their distances rank after all others, and the figures of {NETWORKS[name]} mean nothing."
            )
    return notes
