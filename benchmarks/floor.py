"""How near training comes to its own matrix products: `python -m benchmarks.floor [--quick] [--out FILE]`.

The part of the whale experiment's Xception that trains is timed beside the plain products of its matrices, in one
process and in turn: what is left is the time of everything else. The ways of 1 × 1 convolutions are both measured, so
that a run of this on each kind of processor says which pays there.
"""

from __future__ import annotations

import argparse
import math
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.harness import Contender, Setting, figure, fresh
from benchmarks.page import machine, section

OUT = Path(__file__).with_name("floor.md")
TRAIN_FROM = "block11"
ROUNDS = 5
TOLD = {
    "modules": "as the modules of the network",
    "convolutions": "BatchNorm folded",
    "products": "BatchNorm folded, 1 × 1 convolutions as products",
}
TEXT = (
    "Seconds of the part that trains in the whale experiment (Xception from `block11` on, the head 512, 256; "
    "{images} photos of {size} × {size} in chunks of 86, random weights), and of its matrix products alone: one "
    "`torch.mm` for each convolution that is not depthwise and each layer of the head, two more for its backward "
    "pass, with operands that lie ready. The share is products alone / time taken; 1 is the floor. Fastest of {rounds} "
    "rounds, in each of which all take turns in one process. A run takes the way marked *here*."
)


class Product(NamedTuple):
    """A product of matrices `[rows, depth]` and `[depth, columns]`."""

    rows: int
    depth: int
    columns: int


def measured(images: int, size: int, precision: str, rounds: int = ROUNDS) -> dict[str, Any]:
    """Seconds of the trained part by way, and of its products, forward and forward with backward; and the way here."""
    import torch

    from siamesekit.engine.chunked_encoding import TRAINED_CHUNK
    from siamesekit.engine.frozen.prefix import frozen_part
    from siamesekit.engine.frozen.product_choice import products_pay
    from siamesekit.hardware.compute import choose_compute

    torch.manual_seed(0)
    compute = choose_compute("cpu", "bf16" if precision == "bf16" else "fp32")
    encoder = _encoder()
    pixels = torch.randint(0, 256, (images, 3, size, size), dtype=torch.uint8).contiguous(
        memory_format=torch.channels_last
    )
    ways: dict[str, Callable[[Sequence[Any]], Any]] = {}
    for way in ("convolutions", "products"):
        part = frozen_part(encoder, replace(compute, products=way == "products"))
        ways[way] = partial(_through, encoder, part)
    stored = [torch.cat(chunks) for chunks in zip(*map(part.outputs, pixels.split(64)), strict=True)]
    chunks = list(zip(*(each.split(TRAINED_CHUNK) for each in stored), strict=True))
    ways["modules"] = _unfolded(encoder)
    encoder.train()
    found = [shape for chunk in chunks for shape in products_of(encoder, ways["modules"], chunk, compute)]
    alone = _multiplications(found, torch.bfloat16 if compute.bf16 else torch.float32)
    tasks: dict[str, Callable[[], None]] = {}
    for way, embed in ways.items():
        tasks[f"{way} forward"] = _forward(embed, chunks, compute)
        tasks[f"{way} both"] = _both(embed, chunks, compute)
    tasks |= {"alone forward": lambda: alone(False), "alone both": lambda: alone(True)}
    seconds = dict.fromkeys(tasks, math.inf)
    for number in range(rounds + 1):
        for name, task in tasks.items():
            start = time.perf_counter()
            task()
            if number:  # the first round warms up
                seconds[name] = min(seconds[name], time.perf_counter() - start)
    return {"seconds": seconds, "here": "products" if products_pay(compute) else "convolutions"}


def _encoder() -> Any:
    from siamesekit.model import Architecture, build

    encoder = build(Architecture("xception", {}, {"layers": [512, 256]}, "inference"))
    encoder.backbone.freeze_before(TRAIN_FROM)
    return encoder


def _through(encoder: Any, part: Any, tensors: Sequence[Any]) -> Any:
    """Embeddings before the neck from the frozen part's outputs."""
    return encoder.before_neck(part.features(tensors))


def _unfolded(encoder: Any) -> Callable[[Sequence[Any]], Any]:
    from siamesekit.engine.frozen.cutting import cut

    encoder.train()
    _, tail = cut(encoder.backbone.network)
    return lambda tensors: encoder.before_neck(tail(*tensors))


def _forward(embed: Callable[[Sequence[Any]], Any], chunks: Sequence[Any], compute: Any) -> Callable[[], None]:
    import torch

    def task() -> None:
        with torch.no_grad(), compute.autocast():
            for chunk in chunks:
                embed(chunk)

    return task


def _both(embed: Callable[[Sequence[Any]], Any], chunks: Sequence[Any], compute: Any) -> Callable[[], None]:
    def task() -> None:
        for chunk in chunks:
            with compute.autocast():
                embeddings = embed(chunk)
            embeddings.float().square().sum().backward()

    return task


def products_of(encoder: Any, embed: Callable[[Sequence[Any]], Any], chunk: Sequence[Any], compute: Any) -> list[Any]:
    """The products of the modules that train: convolutions that are not depthwise, and linear layers."""
    import torch
    from torch import nn

    found: list[Product] = []

    def note(module: Any, inputs: Any, output: Any) -> None:
        if isinstance(module, nn.Linear):
            found.append(Product(output.shape[:-1].numel(), module.in_features, module.out_features))
        elif module.groups == 1:
            depth = module.in_channels * math.prod(module.kernel_size)
            found.append(Product(len(output) * output.shape[2:].numel(), depth, module.out_channels))

    hooks = [
        module.register_forward_hook(note)
        for module in encoder.modules()
        if isinstance(module, nn.Conv2d | nn.Linear) and module.weight.requires_grad
    ]
    with torch.no_grad(), compute.autocast():
        embed(chunk)
    for hook in hooks:
        hook.remove()
    return found


def _multiplications(products: Sequence[Product], dtype: Any) -> Callable[[bool], None]:
    """A function that multiplies plain matrices of these sizes; with those of the backward pass if it is asked for."""
    import torch

    sizes = {*(shape for p in products for shape in ((p.rows, p.depth), (p.depth, p.columns), (p.rows, p.columns)))}
    held = {shape: torch.ones(shape, dtype=dtype) for shape in sizes}

    def multiply(backward: bool) -> None:
        for p in products:
            maps, weight = held[p.rows, p.depth], held[p.depth, p.columns]
            torch.mm(maps, weight)
            if backward:
                gradient = held[p.rows, p.columns]
                torch.mm(gradient, weight.t())
                torch.mm(maps.t(), gradient)

    return multiply


def rows_of(found: dict[str, Any], precision: str) -> list[list[str]]:
    """The lines of the table of one precision."""
    seconds = found["seconds"]
    forward, both = (figure(seconds[f"alone {part}"], 3) for part in ("forward", "both"))
    lines = [[precision, "its products alone", forward, "", both, ""]]
    for way, told in TOLD.items():
        cells = []
        for part in ("forward", "both"):
            taken = seconds[f"{way} {part}"]
            cells += [figure(taken, 3), f"{seconds[f'alone {part}'] / taken:.2f}"]
        lines.append([precision, told + (" (*here*)" if way == found["here"] else ""), *cells])
    return lines


def main() -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.floor", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few small photos, whose figures mean nothing")
    parser.add_argument("--out", type=Path, help=f"file to write (default for a full run: {OUT.name})")
    given = parser.parse_args()
    if given.quick and given.out is None:
        parser.error("--quick needs --out FILE")
    images, size, rounds = (8, 71, 1) if given.quick else (258, 128, ROUNDS)
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    lines = [["", "computed", "forward, s", "share", "forward and backward, s", "share"]]
    with tempfile.TemporaryDirectory() as folder:
        facts = dict(machine(Setting(given.quick, "cpu", Path(folder), print), load))
        native = "bf16 yes" in facts["instructions"]
        for precision in ("fp32", "bf16") if native else ("fp32",):
            arguments = {"images": images, "size": size, "precision": precision, "rounds": rounds}
            found = fresh(Contender("", "benchmarks.floor:measured", arguments), Path(folder))
            lines += rows_of(found, precision)
            print("\n".join("  ".join(line) for line in lines), flush=True)
    text = TEXT.format(images=images, size=size, rounds=rounds)
    (given.out or OUT).write_text(section(lines, text, facts, words=2), encoding="utf-8")


if __name__ == "__main__":
    main()
