"""Tries the export of one small encoder of each family of timm and torchvision: python scripts/export_families.py

    python scripts/export_families.py onnx found.csv

A family is a file of its package in which models are defined, and its member that is tried is the one with the fewest
parameters. It has random weights and the smallest photos that it takes. Each export has a process of its own, which is
ended after ten minutes. A family takes 5 to 200 seconds on one core, and there are 115. The result is a table: what was
exported, and why the others were not.
"""

from __future__ import annotations

import csv
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import torch

from siamesekit.artifact.onnx_export import export_onnx
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
"""Longest time of one export."""
EXPORTERS = {"onnx": export_onnx, "torch-export": export_torch}


class Tried(NamedTuple):
    """One export.

    Attributes:
        name: the encoder, as a config names it.
        size: side of its photos; 0 if unknown.
        seconds: time of the export.
        outcome: `exported`, `refused` or `failed`; only the library's own errors count as refused.
        why: the reason, or the largest 1 − cos.
    """

    name: str
    size: int
    seconds: float
    outcome: str
    why: str


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
                parameter += 0.1 * torch.randn_like(parameter)
    images = torch.randint(0, 256, (8, 3, side, side)).float()
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


def export(name: str, format: str) -> Tried:
    """Export one encoder."""
    started, size = time.monotonic(), 0
    try:
        model = random_model(name)
        size = model.size
        with TemporaryDirectory() as folder:
            made = EXPORTERS[format](model, Path(folder, f"model.{format}"))
        outcome, why = "exported", f"{made.largest_difference:.1e}"
    except SiamesekitError as error:
        outcome, why = "refused", str(error)
    except Exception as error:  # what networks raise while they are built
        outcome, why = "failed", f"{type(error).__name__}: {error}"
    return Tried(name, size, time.monotonic() - started, outcome, " ".join(why.split()))


def _send(pipe: Connection, name: str, format: str) -> None:
    torch.set_num_threads(1)
    pipe.send(export(name, format))


def tried(names: list[str], format: str) -> Iterator[Tried]:
    """Export encoders one after another, each in a process of its own."""
    forked = multiprocessing.get_context("fork")
    for name in names:
        ours, theirs = forked.Pipe(duplex=False)
        process = forked.Process(target=_send, args=(theirs, name, format))
        process.start()
        theirs.close()
        found = Tried(name, 0, SECONDS, "failed", f"took more than {SECONDS} seconds")
        try:
            if ours.poll(SECONDS):
                found = ours.recv()
        except EOFError:
            found = Tried(name, 0, 0, "failed", "the process died")
        process.kill()
        process.join()
        yield found


def main() -> None:
    """Export all families, or the encoders that are named, and write the table."""
    format, file, *names = sys.argv[1:]
    count: Counter[str] = Counter()
    with Path(file).open("w", encoding="utf-8", newline="") as opened:
        table = csv.writer(opened, lineterminator="\n")
        table.writerow(Tried._fields)
        for found in tried(names or smallest_of_families(), format):
            table.writerow([found.name, found.size, f"{found.seconds:.0f}", found.outcome, found.why])
            opened.flush()
            count[found.outcome] += 1
            print(
                dict(count),
                found.name,
                found.size,
                f"{found.seconds:.0f} s",
                found.outcome,
                found.why[:200],
                flush=True,
            )


if __name__ == "__main__":
    main()
