"""What is measured for `python -m benchmarks.scale`: processor seconds and bytes of a photo, and runs of processes.

Everything but the runs is measured as processor time of one thread, so that other work on the machine counts little.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.harness import ROOT

SIDE = 224
"""Side of the squares that an encoder gets, in pixels."""
CONFIG = ROOT / "examples" / "whales" / "modern.toml"
EPOCHS = 4
RUN = {
    "data.stand_in.individuals": 20,
    "data.stand_in.photos": 5,
    "sampler.individuals": 9,
    "encoder.weights": "random",
    "encoder.batchnorm": "inference",
    "train.epochs": EPOCHS,
    "evaluation.bootstrap": 100,
}
"""The run of several processes: overrides of `CONFIG`. All layers of the encoder train."""


def decoding(width: int, height: int, rounds: int) -> dict[str, Any]:
    """Processor seconds in which a JPEG file becomes a square, and the size of the file."""
    import numpy as np
    from PIL import Image

    from siamesekit.data.images import read_square
    from siamesekit.data.records import Record

    drawn = np.random.default_rng(0)
    small = drawn.integers(0, 256, (height // 40, width // 40, 3), np.uint8)
    soft = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
    noise = drawn.normal(0, 4, (height, width, 1)).astype(np.float32)
    pixels = (np.asarray(soft, np.float32) + noise).clip(0, 255).astype(np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "photo.jpg"
        Image.fromarray(pixels).save(file, quality=90)
        record = Record("photo.jpg", "animal", file)
        seconds = _seconds(lambda: read_square(record, SIDE, "squash"), rounds)
        return {"seconds": min(seconds), "bytes": file.stat().st_size}


def encoder(name: str, train_from: str, photos: int, rounds: int) -> dict[str, Any]:
    """Processor seconds of a photo by part of the encoder, with random weights in fp32; its sizes; the spread of steps.

    Args:
        name: name of the encoder.
        train_from: first part that trains where a part is frozen.
        photos: number of photos per step.
        rounds: number of steps, of which the fastest counts.
    """
    import torch

    from siamesekit.engine.frozen.prefix import frozen_part, stored_images
    from siamesekit.engine.frozen.product_choice import products_pay
    from siamesekit.hardware.compute import choose_compute
    from siamesekit.model import Architecture, build

    torch.set_num_threads(1)
    torch.manual_seed(0)
    chosen = choose_compute("cpu", "fp32")
    compute = replace(chosen, products=products_pay(chosen))
    network = build(Architecture(name, {}, {"layers": [128]}, "inference"))
    pixels = torch.randint(0, 256, (photos, 3, SIDE, SIDE), dtype=torch.uint8).contiguous(
        memory_format=torch.channels_last
    )
    stored, every = stored_images(network, pixels, None, compute, ""), torch.arange(photos)

    def forward() -> Any:
        with torch.no_grad():
            return stored.features_of(every, compute)

    parameters = sum(each.numel() for each in network.backbone.parameters())
    found: dict[str, Any] = {"parameters": parameters, "features": forward().shape[1]}
    network.eval()
    found["forward"] = min(_seconds(forward, rounds)) / photos
    network.train()
    found["step"] = min(_seconds(lambda: stored.features_of(every, compute).sum().backward(), rounds)) / photos

    network.backbone.freeze_before(train_from)
    part = frozen_part(network, compute)
    outputs = part.outputs(pixels)
    found["frozen_bytes"] = sum(each.numel() * each.element_size() for each in outputs) / photos
    found["frozen"] = min(_seconds(lambda: part.outputs(pixels), rounds)) / photos
    network.train()
    seconds = _seconds(lambda: part.features(outputs).sum().backward(), 4 * rounds)
    found["rest"] = min(seconds) / photos
    found["spread"] = _spread(seconds)
    found["trained"] = sum(each.numel() for each in network.backbone.parameters() if each.requires_grad)
    return found


def processes(nproc: int, threads: int) -> dict[str, Any]:
    """Seconds of the fastest epoch of a run, and processor seconds of the whole run with all its processes.

    Args:
        nproc: number of processes.
        threads: threads of all processes together.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        given = {**RUN, "data.root": f"{folder}/none"}
        sets = [part for name, value in given.items() for part in ("--set", f"{name}={value}")]
        command = [sys.executable, "-m", "siamesekit", "run", str(CONFIG), *sets, "--out", str(out)]
        done = subprocess.run(
            [*command, "--nproc", str(nproc), "--device", "cpu", "--precision", "fp32"],
            env={**os.environ, "OMP_NUM_THREADS": str(threads), "SIAMESEKIT_SILENCE": "300"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        seconds = [float(line["seconds"]) for line in lines]
        loss = float(lines[-1]["train_loss"])
    return {"epoch": min(seconds), "slowest": max(seconds), "cpu": used.ru_utime + used.ru_stime, "loss": loss}


def _seconds(call: Callable[[], object], rounds: int) -> list[float]:
    """Processor seconds of each of some calls, after a call that is not counted."""
    call()
    found = []
    for _ in range(rounds):
        start = time.process_time()
        call()
        found.append(time.process_time() - start)
    return found


def _spread(values: list[float]) -> float:
    """The standard deviation as a share of the mean."""
    mean = sum(values) / len(values)
    deviation: float = (sum((value - mean) ** 2 for value in values) / (len(values) - 1)) ** 0.5
    return deviation / mean
