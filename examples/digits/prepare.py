"""Write scikit-learn's handwritten digits, 1,797 scans of 8 × 8 pixels, as a photo folder: data/DIGIT/0.png …

    python examples/digits/prepare.py

Needs scikit-learn, which comes with the library's dependency pytorch-metric-learning.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits


def main() -> None:
    """Write the folder next to this script; existing files are kept."""
    root = Path(__file__).resolve().parent / "data"
    digits = load_digits()
    counts = [0] * 10
    for scan, digit in zip(digits.images, digits.target, strict=True):
        file = root / str(digit) / f"{counts[digit]}.png"
        counts[digit] += 1
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            grey = np.round(scan * (255 / 16)).astype(np.uint8)
            temporary = file.with_suffix(".tmp")
            Image.fromarray(grey).save(temporary, "PNG")
            temporary.replace(file)
    print(f"{sum(counts)} scans of {len(counts)} digits in {root}")


if __name__ == "__main__":
    main()
