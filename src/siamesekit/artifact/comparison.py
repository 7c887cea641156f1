"""The result of comparing two photos."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, repr=False)
class Comparison:
    """Result of comparing two photos.

    Attributes:
        distance: distance of the embeddings; smaller is more alike. At least 0, except for `dot`.
        similarity: probability 0 … 1 that both photos show one individual, if same and different pairs were equally
            frequent; None if the model has no threshold, or one whose verdicts may be no better than guessing.
        threshold: distance up to which the verdict is "same", or None.
        same: verdict, or None.
    """

    __module__ = "siamesekit"

    distance: float
    similarity: float | None
    threshold: float | None
    same: bool | None

    def __repr__(self) -> str:
        text = f"distance {self.distance:.4f}"
        text += ", similarity unknown" if self.similarity is None else f", similarity {self.similarity:.3f}"
        if self.same is not None and self.threshold is not None:
            text += f", {'same individual' if self.same else 'different individuals'} (threshold {self.threshold:.4f})"
        return f"Comparison({text})"
