"""The result of comparing two photos."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from siamesekit.data.photo_inputs import Photo


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

    def of(self, *photos: Photo) -> Comparison:
        """This comparison, which shows the photos in a notebook; they are not among its fields."""
        object.__setattr__(self, "_photos", tuple(photo for photo in photos if not hasattr(photo, "read")))
        return self

    def _repr_html_(self) -> str:
        """The comparison as a notebook shows it: the photos if they can be read again, verdict and similarity."""
        from siamesekit.data.thumbnails import thumbnail

        photos: tuple[Photo, ...] = getattr(self, "_photos", ())
        cells = "".join(f"<td>{thumbnail(photo)}</td>" for photo in photos)
        pictures = f"<table><tbody><tr>{cells}</tr></tbody></table>" if cells else ""
        verdict = {None: "No verdict", True: "Same individual", False: "Different individuals"}[self.same]
        limit = "" if self.threshold is None else f" (threshold {self.threshold:.4f})"
        known = (
            "similarity unknown"
            if self.similarity is None
            else f"similarity {self.similarity:.3f} {_bar(self.similarity)}"
        )
        return f"<div>{pictures}<p><strong>{verdict}</strong>{limit}: distance {self.distance:.4f}, {known}</p></div>"


def _bar(share: float) -> str:
    """A bar of so much of its length, in colours for light and dark."""
    shape = "height:.7em;border-radius:.3em"
    inside = f"<span style='display:block;width:{100 * share:.1f}%;background:#3b82c4;{shape}'></span>"
    return f"<span style='display:inline-block;width:8em;background:rgba(128,128,128,.3);{shape}'>{inside}</span>"
