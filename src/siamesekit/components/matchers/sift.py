"""Matcher `sift`: OpenCV's SIFT keypoints, and one transformation on which they agree."""

from __future__ import annotations

import os
from types import ModuleType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from siamesekit.components.matchers.matcher import NO_MATCHES, Keypoints, PointMatches
from siamesekit.components.matchers.mutual import mutual_nearest
from siamesekit.errors import UserError
from siamesekit.options import Limited, OpenFraction, Positive
from siamesekit.registry import MATCHERS

NEEDED = {"similarity": 2, "affine": 3, "homography": 4}
"""Pairs of points that determine a transformation."""
CHANGED = "LD_LIBRARY_PATH"
"""Environment variable that OpenCV changes when it is imported; programs that are started later would inherit it."""
LARGEST = 10.0
"""A transformation that scales a photo by more than this in any direction, up or down, shows no animal."""


@MATCHERS.register("sift")
class Sift:
    """SIFT keypoints of both photos, and the pairs of them that one transformation explains.

    Lowe 2004, "Distinctive image features from scale-invariant keypoints", by OpenCV, with descriptors as in
    Arandjelović and Zisserman 2012 (RootSIFT): the square roots of a descriptor divided by its sum. Pairs are each
    other's nearest and pass Lowe's ratio test; RANSAC (Fischler and Bolles 1981) then finds the transformation with the
    most pairs. It needs no weights, and OpenCV: `pip install 'siamesekit[matchers]'`.

    Shapes: a photo, uint8 RGB `[height, width, 3]` → K keypoints `[K, 2]` with descriptors `[K, 128]`.

    Args:
        size: photos are scaled so that the longer side has so many pixels; smaller ones are not enlarged.
        keypoints: most keypoints of a photo, the strongest.
        contrast: least contrast of a keypoint; lower finds more of them on smooth skin, and weaker ones.
        ratio: a pair's distance is at most this share of that to the second-nearest descriptor.
        transformation: what maps one photo to the other: `similarity` (turned, scaled and shifted), `affine` (also
            sheared, as a flank that turns away), or `homography` (a plane in perspective).
        tolerance: largest distance between a point and where the transformation puts it, as a share of the photo's
            longer side: skin bends.
    """

    __module__ = "siamesekit"

    def __init__(
        self,
        size: Limited = 400,
        keypoints: Limited = 1000,
        contrast: Positive = 0.02,
        ratio: OpenFraction = 0.85,
        transformation: Literal["similarity", "affine", "homography"] = "affine",
        tolerance: OpenFraction = 0.05,
    ) -> None:
        self.size = size
        self.keypoints = keypoints
        self.contrast = contrast
        self.ratio = ratio
        self.transformation = transformation
        self.tolerance = tolerance
        _opencv()

    def describe(self, photo: NDArray[np.uint8]) -> Keypoints:
        """Find the keypoints of a photo, uint8 RGB `[height, width, 3]`."""
        cv2 = _opencv()
        height, width = photo.shape[:2]
        scale = min(1.0, self.size / max(height, width))
        grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
        if scale < 1:
            wanted = max(1, round(width * scale)), max(1, round(height * scale))
            grey = cv2.resize(grey, wanted, interpolation=cv2.INTER_AREA)
        detector = cv2.SIFT_create(nfeatures=self.keypoints, contrastThreshold=self.contrast)
        found, descriptors = detector.detectAndCompute(grey, None)
        if not found:
            return Keypoints(np.empty((0, 2), np.float32), np.empty((0, 128), np.float32), (width, height))
        points = np.array([point.pt for point in found], np.float32)
        points = (points + 0.5) / np.array([grey.shape[1] / width, grey.shape[0] / height]) - 0.5  # from pixel centres
        sums = np.maximum(descriptors.sum(1, keepdims=True), np.finfo(np.float32).tiny)
        return Keypoints(points.astype(np.float32), np.sqrt(descriptors / sums), (width, height))

    def match(self, first: Keypoints, second: Keypoints) -> PointMatches:
        """Find the points that two photos share."""
        one, other = mutual_nearest(first.descriptors, second.descriptors, self.ratio)
        if len(one) <= NEEDED[self.transformation]:  # so many points agree with any transformation
            return NO_MATCHES
        start, end = first.points[one], second.points[other]
        kept = self._agreeing(start / max(first.size), end / max(second.size))
        return PointMatches(start[kept], end[kept]) if kept.sum() > NEEDED[self.transformation] else NO_MATCHES

    def _agreeing(self, start: NDArray[np.floating], end: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Which pairs of points, `[M, 2]` each, the transformation with the most pairs explains: `[M]`."""
        cv2, error = _opencv(), self.tolerance
        if self.transformation == "homography":
            matrix, inside = cv2.findHomography(start, end, cv2.RANSAC, error)
        elif self.transformation == "affine":
            matrix, inside = cv2.estimateAffine2D(start, end, method=cv2.RANSAC, ransacReprojThreshold=error)
        else:
            matrix, inside = cv2.estimateAffinePartial2D(start, end, method=cv2.RANSAC, ransacReprojThreshold=error)
        if matrix is None or _distorts(matrix):
            return np.zeros(len(start), np.bool_)
        agreeing: NDArray[np.bool_] = inside[:, 0].astype(np.bool_)
        return agreeing


def _distorts(matrix: NDArray[np.float64]) -> bool:
    """Whether a transformation, `[2, 3]` or `[3, 3]`, scales by more than `LARGEST`, as if all points lay on a line."""
    large, small = np.linalg.svd(matrix[:2, :2], compute_uv=False)
    return not (small > 1 / LARGEST and large < LARGEST)


def _opencv() -> ModuleType | Any:
    """OpenCV.

    Raises:
        UserError: it is not installed.
    """
    before = os.environ.get(CHANGED)
    try:
        import cv2
    except ImportError:
        raise UserError("matcher 'sift' needs OpenCV: pip install 'siamesekit[matchers]'") from None
    if os.environ.get(CHANGED) != before:
        os.environ.pop(CHANGED)
        if before is not None:
            os.environ[CHANGED] = before
    return cv2
