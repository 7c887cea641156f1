"""Draw contact strips of invented gull rings, a stand-in for photos: six individuals with six photos each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

SIZE, PHOTOS, INDIVIDUALS = 32, 6, 6


def main() -> None:
    """Write `data/INDIVIDUAL.png` next to this file."""
    folder = Path(__file__).parent / "data"
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    for individual in range(INDIVIDUALS):
        rings = rng.integers(0, 256, (4, 3))
        strip = np.zeros((SIZE, SIZE * PHOTOS, 3), dtype=np.uint8)
        for photo in range(PHOTOS):
            noise = rng.normal(0, 20, (SIZE, SIZE, 3))
            bands = np.repeat(rings, SIZE // len(rings), axis=0)[:, None]
            strip[:, photo * SIZE : (photo + 1) * SIZE] = np.clip(bands + noise, 0, 255)
        Image.fromarray(strip).save(folder / f"ring{individual}.png")


if __name__ == "__main__":
    main()
