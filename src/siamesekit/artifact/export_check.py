"""Compare an exported network with the model: embeddings of random pixels, in batches of several sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from siamesekit.artifact.onnx_description import LONGEST_REASON
from siamesekit.artifact.similarity_model import SimilarityModel
from siamesekit.errors import UserError, out_of_memory
from siamesekit.randomness import generator
from siamesekit.wording import first_line

BATCHES = (1, 2, 7, 64)
"""Numbers of photos in the batches by which an exported network is compared with the model."""
MOST_APART = 1e-5
"""Largest 1 − cos between the embeddings of a photo by another runtime and by the model, and largest relative
difference of their lengths."""

Network = Callable[[NDArray[np.uint8]], Any]
"""An exported network: images uint8 `[N, 3, S, S]` → embeddings `[N, D]`, an array."""


@contextmanager
def refused(what: str) -> Iterator[None]:
    """Context in which errors of another library become a `UserError`: what could not be done, and the first line.

    Errors of this library, and those of memory, stay as they are.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # exporters and runtimes have errors of their own types
        if out_of_memory(error):
            raise
        raise UserError(f"{what}: {first_line(str(error), LONGEST_REASON)}") from error


def largest_difference(model: SimilarityModel, runtime: str, start: Callable[[], Network]) -> float:
    """The largest 1 − cos between embeddings of random pixels by another runtime and by the model, in float32.

    Args:
        model: the model, on the CPU.
        runtime: name of the runtime, for errors.
        start: loads the exported network.

    Raises:
        UserError: they differ by more than `MOST_APART`, or the runtime cannot run the network.
    """
    encoder, largest = f"encoder {model.description['encoder']['name']!r}", 0.0
    draw = generator(0, "export")
    with refused(f"{runtime} cannot run {encoder}"):
        network = start()
        for count in BATCHES:
            pixels = draw.integers(0, 256, (count, 3, model.size, model.size), dtype=np.uint8)
            found = np.asarray(network(pixels))
            wanted = model.embed(torch.from_numpy(pixels)).numpy()
            largest = max(largest, apart(found, wanted, runtime, f"{encoder} in a batch of {count}"))
    return largest


def apart(found: NDArray[Any], wanted: NDArray[Any], runtime: str, what: str) -> float:
    """Largest 1 − cos of corresponding rows of embeddings `[N, D]`.

    Raises:
        UserError: shapes differ, a value is NaN or infinite, or rows differ by more than `MOST_APART`.
    """
    if found.shape != wanted.shape:
        raise UserError(
            f"{what}: {runtime} gives {list(found.shape)} and torch {list(wanted.shape)} numbers; nothing is written"
        )
    a, b = found.astype(np.float64), wanted.astype(np.float64)
    if not np.isfinite(b).all():
        raise UserError(f"{what}: embeddings are NaN or infinite; train it again with a lower optimizer.lr")
    long_a, long_b = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
    zero = (long_a == 0) & (long_b == 0)
    with np.errstate(all="ignore"):
        turned = np.where(zero, 0, 1 - (a * b).sum(1) / (long_a * long_b))
        stretched = np.where(zero, 0, np.abs(long_a / long_b - 1))
    worst = float(np.maximum(turned, stretched).max())
    if not worst <= MOST_APART:  # also NaN
        raise UserError(
            f"{what}: embeddings by {runtime} differ from torch's by {worst:.2g}, as 1 − cos or relative length; "
            f"at most {MOST_APART:g} is allowed"
        )
    return float(turned.max())
