"""Growth: the fitted exponent against numpy, and memory that does not grow with the square of the photos."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.growth import CURVES, PREPARED, TOLD, fitted
from benchmarks.harness import Contender, fresh


def test_exponent_and_error_are_those_of_numpy() -> None:
    values, found = [100, 200, 400, 800], [0.3, 1.4, 3.9, 21.0]
    (slope, _), covariance = np.polyfit(np.log(values), np.log(found), 1, cov=True)
    fit = fitted(values, found)
    assert fit.exponent == pytest.approx(slope, rel=1e-12)
    assert fit.error == pytest.approx(np.sqrt(covariance[0, 0]), rel=1e-9)


def test_every_curve_doubles_and_can_be_measured() -> None:
    for curve in CURVES:
        assert curve.what in PREPARED
        assert curve.what in TOLD
        assert len(curve.values) >= 3
        assert all(after == 2 * before for before, after in zip(curve.values, curve.values[1:], strict=False))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "photos", "fixed"),
    [
        ("reading", 2_000, {}),
        ("sampling", 100_000, {"individuals": 1_000}),
        ("search", 25_000, {"dimensions": 64}),
    ],
)
def test_memory_is_at_most_linear_in_the_photos(what: str, photos: int, fixed: dict[str, int], tmp_path: Path) -> None:
    """Four times the photos take less than six times the memory, and eight MiB; their square would take sixteen."""
    least, most = (
        fresh(Contender("", "benchmarks.growth:measured", {"what": what, "photos": n, **fixed}), tmp_path)["memory_mib"]
        for n in (photos, 4 * photos)
    )
    assert most < 6 * least + 8
