"""What a GPU must do: `python -m benchmarks.gpu [--quick] [--device cuda] [--out FILE]` writes the text of a section.

Four figures, each in a fresh process: photos embedded from memory, a training run's share of the products that the
device can do, the batch-all loss of a large batch, and an exact search for neighbours.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.harness import ROOT, Contender, FailedError, Setting, device_peak, fastest, figure, fresh
from benchmarks.page import machine, section

OUT = Path(__file__).with_name("gpu.md")
CONFIG = ROOT / "examples" / "whales" / "modern.toml"
FULL: dict[str, dict[str, Any]] = {
    "embedding": {"encoder": "timm/resnet50", "photos": 8_192, "side": 224, "seconds": 5.0},
    "training": {"encoder": "efficientnet-lite0", "side": 128, "epochs": 8, "square": 8_192},
    "batch_all": {"n": 32_768, "seconds": 2.0},
    "neighbours": {"n": 100_000, "dimensions": 256, "k": 12, "seconds": 2.0},
}
QUICK: dict[str, dict[str, Any]] = {
    "embedding": {"encoder": "timm/test_resnet", "photos": 32, "side": 32, "seconds": 0.1},
    "training": {"encoder": "timm/test_resnet", "side": 32, "epochs": 2, "square": 128},
    "batch_all": {"n": 128, "seconds": 0.1},
    "neighbours": {"n": 500, "dimensions": 16, "k": 3, "seconds": 0.1},
}
WANTED = {
    "embedding": ("photos embedded a second, {photos:,} of {side} × {side} in memory, {encoder}, bf16", "12,000"),
    "training": ("share of the device's bf16 products, a run of {encoder} at {side} × {side}, all triplets", "0.50"),
    "batch_all": ("seconds of a step of the loss, all triplets of {n:,} embeddings of dimension 128", "at most 0.1"),
    "neighbours": ("seconds, the {k} nearest of each of {n:,} embeddings of dimension {dimensions}, exact", "0.1"),
}
TEXT = (
    "*Embedding* is `SimilarityModel.embed` of one tensor of photos, copies from and to the device included. "
    "*Training* is examples/whales/modern.toml from random weights, which trains all layers: the operations of a "
    "forward and backward pass of the network, counted by PyTorch, times the photos a second of the fastest epoch, "
    "divided by the operations a second of a plain product of {square:,} × {square:,} matrices in bf16 in the same "
    "process; everything else that a step does counts as time lost. *Loss* is forward and backward. *Neighbours* is "
    "`siamesekit.nearest` with the cosine distance. Fastest of several calls after a warm-up; peak memory is that of "
    "the device."
)


def embedding(encoder: str, photos: int, side: int, device: str, seconds: float) -> dict[str, Any]:
    """Photos embedded a second, in bf16."""
    import torch

    from siamesekit.artifact.saving import Preprocessing
    from siamesekit.artifact.similarity_model import SimilarityModel
    from siamesekit.components.distances.cosine import Cosine
    from siamesekit.model import Architecture, build

    torch.manual_seed(0)
    network = build(Architecture(encoder, {}, {"layers": []}, "inference"))
    given: Any = device
    model = SimilarityModel(network, Cosine(), Preprocessing(side, "squash"), None, {}, given, "bf16")
    images = torch.randint(0, 256, (photos, 3, side, side), dtype=torch.uint8)

    def embed() -> float:
        return float(model.embed(images)[0, 0])

    return {"figure": photos / fastest(embed, device, seconds)} | device_peak(device)


def training(encoder: str, side: int, epochs: int, square: int, device: str) -> dict[str, Any]:
    """Share of the device's products in the fastest epoch of a run."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from siamesekit import run
    from siamesekit.config.loading import load_config
    from siamesekit.model import Architecture, build
    from siamesekit.progress import Progress

    a, b = (torch.ones(square, square, dtype=torch.bfloat16, device=device) for _ in range(2))
    most = 2 * square**3 / fastest(lambda: float((a @ b)[0, 0]), device, 0.5)
    network = build(Architecture(encoder, {}, {"layers": [256]}, "train")).train()
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(2, 3, side, side)).square().sum().backward()
    with tempfile.TemporaryDirectory() as folder:
        overrides = [f"encoder.name={encoder}", "encoder.weights=random", f"data.size={side}", f"train.epochs={epochs}"]
        config = load_config(CONFIG, [*overrides, f"data.root={folder}/none"])
        chosen: Any = device
        result = run(config, Path(folder) / "run", device=chosen, precision="bf16", progress=Progress())
        lines = (result.folder / "metrics.jsonl").read_text().splitlines()
    rate = max(json.loads(line)["images_per_second"] for line in lines)
    share = counter.get_total_flops() / 2 * rate / most
    return {"figure": share, "photos": rate, "flops": most} | device_peak(device)


def batch_all(n: int, device: str, seconds: float) -> dict[str, Any]:
    """Seconds of the loss over all triplets."""
    from benchmarks.batch_all import siamesekit

    found = siamesekit(n, device, seconds)
    return {"figure": found["seconds"]} | found


def neighbours(n: int, dimensions: int, k: int, device: str, seconds: float) -> dict[str, Any]:
    """Seconds of an exact search among all."""
    import torch

    from siamesekit import nearest
    from siamesekit.components.distances.cosine import Cosine

    torch.manual_seed(0)
    embeddings = torch.randn(n, dimensions, device=device)
    own = torch.arange(n, device=device)

    def search() -> float:
        return float(nearest(embeddings, embeddings, k, Cosine(), own=own).distance[0, 0])

    return {"figure": fastest(search, device, seconds)} | device_peak(device)


def rows_of(sizes: dict[str, dict[str, Any]], device: str, folder: Path) -> list[list[str]]:
    """A line of the table for each figure; one that fails says why."""
    lines = []
    for name, arguments in sizes.items():
        what, wanted = WANTED[name]
        try:
            found = fresh(Contender(name, f"benchmarks.gpu:{name}", {**arguments, "device": device}), folder)
        except FailedError as error:
            lines.append([what.format(**arguments), f"failed: {error}", wanted, ""])
            continue
        cells = [figure(float(found["figure"]), 3), wanted, f"{found['peak_mib']:.0f}"]
        lines.append([what.format(**arguments), *cells])
        print("  ".join(lines[-1]), flush=True)
    return lines


def main() -> None:
    """Measure all and write the section."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small sizes, whose figures mean nothing")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda", help="cpu only to try the script")
    parser.add_argument("--out", type=Path, help=f"file to write (default for a full run on a GPU: {OUT.name})")
    given = parser.parse_args()
    if given.out is None and (given.quick or given.device == "cpu"):
        parser.error("--quick and --device cpu need --out FILE")
    sizes = QUICK if given.quick else FULL
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    with tempfile.TemporaryDirectory() as folder:
        lines = [["", "figure", "wanted", "peak MiB"], *rows_of(sizes, given.device, Path(folder))]
        facts = dict(machine(Setting(given.quick, given.device, Path(folder), print), load))
    text = TEXT.format(square=sizes["training"]["square"])
    facts["processor"] = f"{facts['device']} beside {facts['processor']}"
    (given.out or OUT).write_text(section(lines, text, facts), encoding="utf-8")


if __name__ == "__main__":
    main()
