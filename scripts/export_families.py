"""Tries the export of one small encoder of each family of timm and torchvision: python scripts/export_families.py

    python scripts/export_families.py onnx found.csv

A family is a file of its package in which models are defined, and its member that is tried is the one with the fewest
parameters. It has random weights and the smallest photos that it takes. An export to ONNX is followed by one in int8,
whose ranges of activations and whose cost are measured on drawn photos: clouds of colours, of which all have others.
Each encoder has a process of its own, which is ended after ten minutes of processor time (`--seconds` sets another
limit). A family takes 5 to 200 seconds on one core, and there are 115. The result is a table: what was exported, how
far it is from the model, and why the others were not exported.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import resource
import signal
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from siamesekit.artifact.onnx_export import export_onnx, onnx_network
from siamesekit.artifact.onnx_int8 import int8_graph
from siamesekit.artifact.saving import Preprocessing
from siamesekit.artifact.similarity_model import SimilarityModel
from siamesekit.artifact.torch_export import export_torch
from siamesekit.components.encoders.backbone import Backbone
from siamesekit.components.encoders.weights import calibrate_batchnorm
from siamesekit.errors import SiamesekitError
from siamesekit.model import Architecture, build
from siamesekit.registry import DISTANCES

FIGURES = Path(__file__).parent.parent / "docs" / "data" / "encoders.csv"
SIDES = (32, 48, 64, 96, 128, 160, 192, 224, 256, 320, 384, 512)
"""Sides of the photos that are tried, in pixels."""
SECONDS = 600
"""Longest processor time of one encoder. It does not depend on what else the machine does."""
HANGING = 20
"""Longest time by the clock without a result, in multiples of the processor time."""
CALIBRATION, COMPARED, CHUNK = 64, 32, 16
"""Drawn photos by which ranges of activations are measured, those on which int8 is compared, and those of a batch."""
EXPORTERS = {"onnx": export_onnx, "torch-export": export_torch}


class Tried(NamedTuple):
    """One export.

    Attributes:
        name: the encoder, as a config names it.
        format: what it was exported to.
        size: side of its photos; 0 if unknown.
        seconds: processor time of the export.
        outcome: `exported`, `refused` or `failed`; only the library's own errors count as refused.
        apart: largest 1 − cos, from the model's embeddings; in int8 from those in float32.
        photos_apart: in int8, the median 1 − cos of two different photos, beside which `apart` is large or small.
        why: the reason, if it was not exported.
    """

    name: str
    format: str
    size: int
    seconds: float
    outcome: str
    apart: float | None = None
    photos_apart: float | None = None
    why: str = ""

    def cells(self) -> list[str]:
        """The row of the table."""
        differences = ["" if each is None else f"{each:.1e}" for each in (self.apart, self.photos_apart)]
        return [self.name, self.format, str(self.size), f"{self.seconds:.0f}", self.outcome, *differences, self.why]


def smallest_of_families() -> list[str]:
    """The encoder with the fewest parameters of each family, as a config names it."""
    with FIGURES.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    smallest: dict[tuple[str, str], dict[str, str]] = {}
    for row in sorted(rows, key=lambda row: int(row["parameters"])):
        smallest.setdefault((row["name"].partition("/")[0], row["family"]), row)
    return [row["name"] for row in smallest.values()]


def side_of(backbone: Backbone) -> int:
    """The smallest side that a network takes."""
    own = backbone.default_size or 224
    return next(
        (side for side in SIDES if side < own and backbone.takes(side, side) and backbone.runs(side, side)), own
    )


def drawn_photos(count: int, side: int, seed: int) -> Tensor:
    """Clouds of colours, uint8 `[count, 3, side, side]`: random grids of 2 to 32 points, the finer the fainter."""
    draw = torch.Generator().manual_seed(seed)
    clouds = torch.zeros(count, 3, side, side)
    for points in (2, 4, 8, 16, 32):
        grid = torch.rand(count, 3, points, points, generator=draw) - 0.5
        clouds += torch.nn.functional.interpolate(grid, (side, side), mode="bilinear") * 2 / points
    low, high = clouds.amin((1, 2, 3), True), clouds.amax((1, 2, 3), True)
    return ((clouds - low) / (high - low) * 255).round().to(torch.uint8)


def random_model(name: str) -> SimilarityModel:
    """An encoder with random weights, none of them constant, so that each part of the network has an effect."""
    torch.manual_seed(0)
    architecture = Architecture(name, {}, {"layers": []}, "inference")
    encoder = build(architecture).eval()
    side = side_of(encoder.backbone)
    with torch.no_grad():
        for parameter in encoder.parameters():
            if (
                parameter.numel() > 1
                and parameter.is_floating_point()
                and bool((parameter == parameter.flatten()[0]).all())
            ):
                parameter.add_(0.1 * torch.randn_like(parameter))
    noise = torch.randint(0, 256, (8, 3, side, side), dtype=torch.uint8)  # exports are compared on such photos
    images = torch.cat([noise, drawn_photos(8, side, 0)]).float()
    calibrate_batchnorm(encoder.backbone.network, iter([encoder.backbone.scale(images)]))
    description = {
        "encoder": {"name": name, "options": {}},
        "distance": {"name": "cosine", "options": {}},
        "weights_sha256": "0" * 64,
        "stand_ins": [],
    }
    return SimilarityModel(
        encoder.eval(), DISTANCES.build("cosine"), Preprocessing(side, "squash"), None, description, "cpu"
    )


def exports(name: str, format: str) -> Iterator[Tried]:
    """Export one encoder, and in int8 if it was exported to ONNX."""
    started, size = time.process_time(), 0
    content = b""
    try:
        model = random_model(name)
        size = model.size
        with TemporaryDirectory() as folder:
            made = EXPORTERS[format](model, Path(folder, f"model.{format}"))
            content = made.file.read_bytes()
        yield Tried(name, format, size, time.process_time() - started, "exported", made.largest_difference)
    except Exception as error:  # what networks raise while they are built
        yield _not_exported(error, name, format, size, time.process_time() - started)
    if content and format == "onnx":
        started = time.process_time()
        try:
            apart, photos_apart = int8_apart(content, size)
            yield Tried(name, "int8", size, time.process_time() - started, "exported", apart, photos_apart)
        except Exception as error:  # what onnxruntime raises
            yield _not_exported(error, name, "int8", size, time.process_time() - started)


def _not_exported(error: Exception, name: str, format: str, size: int, seconds: float) -> Tried:
    refused = isinstance(error, SiamesekitError)
    why = str(error) if refused else f"{type(error).__name__}: {error}"
    return Tried(name, format, size, seconds, "refused" if refused else "failed", why=" ".join(why.split()))


def int8_apart(content: bytes, size: int) -> tuple[float, float]:
    """The largest 1 − cos between embeddings in int8 and in float32, and the median between photos in float32."""
    ranges = np.split(drawn_photos(CALIBRATION, size, 1).numpy(), CALIBRATION // CHUNK)
    graph = int8_graph(content, ranges)
    photos = np.split(drawn_photos(COMPARED, size, 2).numpy(), COMPARED // CHUNK)
    wanted, found = (_embedded(each, photos) for each in (content, graph))
    between = (1 - wanted @ wanted.T)[np.triu_indices(COMPARED, 1)]
    return float((1 - (wanted * found).sum(1)).max()), float(np.median(between))


def _embedded(content: bytes, photos: list[NDArray[np.uint8]]) -> NDArray[np.float64]:
    """Embeddings of length 1, `[N, D]`."""
    network = onnx_network(content)
    rows: NDArray[np.float64] = np.concatenate([network(chunk) for chunk in photos]).astype(np.float64)
    if not np.isfinite(rows).all():
        raise ValueError("embeddings are NaN or infinite")
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def _send(pipe: Connection, name: str, format: str, seconds: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 10))  # the first ends it
    torch.set_num_threads(1)
    for found in exports(name, format):
        pipe.send(found)


def _why_ended(exitcode: int, seconds: int) -> str:
    if exitcode == -signal.SIGXCPU:
        return f"took more than {seconds} seconds of processor time"
    return f"the process died with {exitcode}"


def tried(names: list[str], format: str, seconds: int) -> Iterator[Tried]:
    """Export encoders one after another, each in a process of its own."""
    forked = multiprocessing.get_context("fork")
    for name in names:
        ours, theirs = forked.Pipe(duplex=False)
        process = forked.Process(target=_send, args=(theirs, name, format, seconds))
        process.start()
        theirs.close()
        for each in ("onnx", "int8") if format == "onnx" else (format,):
            try:
                if not ours.poll(seconds * HANGING):
                    yield Tried(name, each, 0, 0, "failed", why=f"no result in {seconds * HANGING} seconds")
                    break
                yield ours.recv()
            except EOFError:
                process.join()
                if process.exitcode:
                    yield Tried(name, each, 0, 0, "failed", why=_why_ended(process.exitcode, seconds))
                break
        process.kill()
        process.join()


def main() -> None:
    """Export all families, or the encoders that are named, and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("format", choices=EXPORTERS)
    parser.add_argument("file", type=Path, help="the table, CSV")
    parser.add_argument("encoders", nargs="*", help="default: the smallest of each family")
    parser.add_argument("--seconds", type=int, default=SECONDS, help="longest processor time of one encoder")
    asked = parser.parse_args()
    count: Counter[str] = Counter()
    with asked.file.open("w", encoding="utf-8", newline="") as opened:
        table = csv.writer(opened, lineterminator="\n")
        table.writerow(Tried._fields)
        for found in tried(asked.encoders or smallest_of_families(), asked.format, asked.seconds):
            table.writerow(found.cells())
            opened.flush()
            count[f"{found.format} {found.outcome}"] += 1
            print(dict(count), *found.cells()[:-1], found.why[:200], flush=True)


if __name__ == "__main__":
    main()
