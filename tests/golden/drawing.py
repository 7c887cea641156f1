"""Weights and inputs of the golden test, drawn by name: both sides draw the same numbers, only results are stored."""

import re
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

IMAGES, BATCHES, TRIPLETS, STEPS = 24, 5, 8, 20


def stream(name: str) -> np.random.Generator:
    """The generator that belongs to a name."""
    return np.random.default_rng(int.from_bytes(sha256(name.encode()).digest()[:8], "little"))


def weight(name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """A parameter or BatchNorm statistic, by its name in the PyTorch encoder and its PyTorch shape.

    Variances are kept near 1 through the network, so that all its parts matter to the result.
    """
    normal = stream(name).normal(size=shape)
    if name.endswith("running_mean"):
        return (0.1 * normal).astype(np.float32)
    if name.endswith("running_var"):
        return (1 + 0.2 * np.tanh(normal)).astype(np.float32)
    if name.endswith("bias"):
        return (0.05 * normal).astype(np.float32)
    if len(shape) == 1:  # BatchNorm's gamma; small at a residual branch's end, or depth would make all images alike
        branch_end = re.search(r"block(1\.rep\.4|(2|3|12)\.rep\.5|\d+\.rep\.8)\.", name) is not None
        return ((0.3 if branch_end else 1.0) * (1 + 0.1 * normal)).astype(np.float32)
    fan_in = int(np.prod(shape[1:]))
    gain = 1.0 if ".pointwise." in name else 2.0  # a pointwise convolution follows a depthwise one, without ReLU
    return (normal * np.sqrt(gain / fan_in)).astype(np.float32)


def images() -> NDArray[np.uint8]:
    """Colour blotches on a colour, uint8 `[24, 128, 128, 3]`."""
    rng = stream("images")
    colour = rng.integers(0, 256, (IMAGES, 1, 1, 3))
    blotches = rng.integers(-60, 61, (IMAGES, 8, 8, 3)).repeat(16, axis=1).repeat(16, axis=2)
    return np.clip(colour + blotches + rng.normal(0, 12, (IMAGES, 128, 128, 3)), 0, 255).astype(np.uint8)


def batches() -> NDArray[np.int64]:
    """Triplets of image indices, int64 `[5, 8, 3]`; the three of each are distinct."""
    rng = stream("batches")
    return np.array([[rng.choice(IMAGES, 3, replace=False) for _ in range(TRIPLETS)] for _ in range(BATCHES)])
