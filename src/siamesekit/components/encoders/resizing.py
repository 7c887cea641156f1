"""How the photos were made square on which the pretrained weights of an encoder were judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from siamesekit.data.photo_geometry import Fit
from siamesekit.data.photo_reading import LEAST_SHARE, Reading, Resampling


@dataclass(frozen=True)
class Resizing:
    """The resizing of photos before a network, by the terms of timm.

    Attributes:
        sides: width and height of the images, in pixels.
        mode: `center`: the shorter side is resized to side / share pixels, and the middle is taken; `squash`: both
            sides are, and the middle is taken; `border`: the longer side is, and the rest is padded.
        share: part of the resized side that is taken, `crop_pct` of timm.
        method: filter by which photos are resized, such as `bicubic`.
    """

    sides: tuple[int, int]
    mode: Literal["center", "squash", "border"] = "center"
    share: float = 1.0
    method: str = "bilinear"

    def told(self) -> str:
        """The resizing in words; empty if photos are squashed by a bilinear filter, as ready encoders do by default."""
        width, height = self.sides
        across, down = self._resized()
        if self.mode == "squash":
            if self.share == 1 and self.method == "bilinear":
                return ""
            squashed = f"squashed to {across} × {down} pixels ({self.method})"
            same = (across, down) == self.sides
            return squashed if same else f"{squashed}, of which the middle {width} × {height} was taken"
        if self.mode == "border":
            return f"padded to a square and resized to {width} × {height} pixels ({self.method})"
        return (
            f"resized to a shorter side of {across} pixels ({self.method}), of which the middle {width} × {height} was "
            "taken"
        )

    def obstacle(self) -> str:
        """Why photos cannot be prepared so here, as a sentence after "because"; empty if they can."""
        if self.sides[0] != self.sides[1]:
            return f"their images are {self.sides[0]} × {self.sides[1]} pixels, and images are square here"
        if self.mode == "border":
            return "their photos were padded with the mean colour, and are padded with black here"
        if self.method not in get_args(Resampling):
            return f"their photos were resized by the filter {self.method}; here: {', '.join(get_args(Resampling))}"
        if self.mode == "squash":
            cut = self._resized() != self.sides
            return "their photos were squashed to more pixels than the middle that was taken" if cut else ""
        if not LEAST_SHARE <= self.share <= 1:
            return f"their share of the shorter side is {self.share:g}, and must be {LEAST_SHARE} to 1 here"
        return ""

    def fit(self) -> Fit:
        """How photos are made square, where there is no obstacle."""
        return "crop" if self.mode == "center" else "squash"

    def reading(self) -> Reading:
        """How photos are resized, where there is no obstacle."""
        method: Resampling = "bicubic" if self.method == "bicubic" else "bilinear"
        return Reading(resampling=method, crop_share=self.share if self.mode == "center" else None)

    def _resized(self) -> tuple[int, int]:
        return int(self.sides[0] / self.share), int(self.sides[1] / self.share)
