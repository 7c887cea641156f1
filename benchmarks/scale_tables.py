"""The tables of docs/scale.md: each figure is measured, published, assumed, or computed from these."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from benchmarks.harness import figure
from benchmarks.page import MACHINE, table
from benchmarks.scale_arithmetic import (
    BIT,
    HOUR,
    NUMBER,
    SPACE,
    Step,
    duration,
    efficiency,
    hours,
    nodes,
    scanned,
    short,
    size,
    slowest,
)

SIZES = {10**6: "10⁶", 10**8: "10⁸", 10**9: "10⁹"}
LITE, RESNET = "efficientnet-lite0", "timm/resnet50"
CORES = 16
"""Cores of a node, each as fast as one here."""
LINES = (10, 25, 100)
"""Gigabits per second of a network."""
PIXELS = 3 * 224**2
DIMENSIONS = 128
CODE = DIMENSIONS // 4 + 8
"""Bytes of a photo in the index of the store `lancedb`: a byte for every four numbers, and the photo's number."""
PROBED, FEWEST_PROBES = 8, 32
"""A query reads one of so many partitions of that index, and so many at the least."""
FILES = {"12": 4_000_000, "2": 700_000}
"""Bytes of a JPEG by megapixels, as cameras write them."""
ADDING = 3.139 / 10**6
SEARCH, COMPARED = 5.254 / 512, 10**6 * 256
"""Seconds of adding an embedding and of a query, in benchmark (f), and the numbers that the query compared."""
ENROLLED = 439.0 / (5 * 10**6)
"""Seconds of processor time in which `siamesekit enrol` takes an embedding of 128 numbers, of five million of them,
with the store `lancedb` without an index: benchmarks/millions.py."""
GPU = {LITE: 13_900.0, RESNET: 6_459.0}
"""Photos encoded per second, published: huggingface/pytorch-image-models, results, RTX PRO 6000 Max-Q, AMP."""
GPU_STEP = {LITE: GPU[LITE] / 3, RESNET: 2_470.0}
"""Photos per second forward and backward. ResNet-50 is published: NVIDIA/DeepLearningExamples, A100 80 GB, AMP."""
SPREADS = (0.1, 0.3)
RANKS = (2, 4, 8, 12, 24, 48, 64)
BATCH = 128


class Part(NamedTuple):
    """What is done with each photo."""

    what: str
    seconds: float
    kind: str = "measured"


def parts(costs: Any) -> dict[str, Part]:
    """What is done with each photo, and its seconds of one core."""
    found = {
        f"read {megapixels}": Part(f"read a JPEG of {megapixels} megapixels to 224 × 224", given["seconds"])
        for megapixels, given in costs["decoding"].items()
    }
    for name, given in costs["encoders"].items():
        found[f"forward {name}"] = Part(f"{name}: encode", given["forward"])
        found[f"frozen {name}"] = Part(f"{name}: the frozen part alone, once per photo", given["frozen"])
        found[f"rest {name}"] = Part(f"{name}: train the last part, forward and backward", given["rest"])
        found[f"step {name}"] = Part(f"{name}: train all layers, forward and backward", given["step"])
    found["add"] = Part("add an embedding of 256 numbers to the store `memory-mapped`", ADDING)
    return found


def times(costs: Any) -> str:
    """Time of two cores, and nodes for a day, by the number of photos."""
    lines = [["each photo once", "core time a photo", *(f"{n}, two cores" for n in SIZES.values()),
              *(f"{n}, nodes for a day" for n in SIZES.values()), "cost"]]  # fmt: skip
    for each in parts(costs).values():
        alone = [duration(hours(n, each.seconds, 2)) for n in SIZES]
        many = [f"{nodes(n, each.seconds, CORES):,}" for n in SIZES]
        lines.append([each.what, _seconds(each.seconds), *alone, *many, each.kind])
    return table(lines)


def gpus(costs: Any) -> str:
    """GPUs for a day, and what feeds one of them."""
    read = {megapixels: given["seconds"] for megapixels, given in costs["decoding"].items()}
    lines = [["on one GPU", "photos a second", *(f"{n}, GPUs for a day" for n in SIZES.values()),
              *(f"cores that read {m} MP for one GPU" for m in read), *(f"Gb/s of files of {m} MP" for m in read),
              "throughput"]]  # fmt: skip
    for what, rates, kinds in (
        ("encode", GPU, {LITE: "published", RESNET: "published"}),
        ("train all layers", GPU_STEP, {LITE: "assumed: a third of encoding", RESNET: "published"}),
    ):
        for name, rate in rates.items():
            cells = [f"{nodes(n, 1 / rate):,}" for n in SIZES]
            feeding = [f"{rate * seconds:,.0f}" for seconds in read.values()]
            line = [short(rate * FILES[megapixels] * BIT / 1e9) for megapixels in read]
            lines.append([f"{name}: {what}", f"{rate:,.0f}", *cells, *feeding, *line, kinds[name]])
    return table(lines)


def disks(costs: Any) -> str:
    """Bytes of all photos by stage."""
    frozen = {name: given["frozen_bytes"] for name, given in costs["encoders"].items()}
    given: list[tuple[str, float, str]] = [
        *((f"JPEG files of {m} megapixels", float(each), "assumed") for m, each in FILES.items()),
        ("pixels of 224 × 224, one view", PIXELS, "counted"),
        *((f"frozen features of {name}, one view", each, "counted") for name, each in frozen.items()),
        (f"embeddings of {DIMENSIONS} numbers, float32: also the memory of an exact search", NUMBER * DIMENSIONS,
         "counted"),
        ("codes and numbers of the index of `lancedb` (IVF-PQ): also the memory of its search", CODE, "counted"),
    ]  # fmt: skip
    lines = [["stored", "a photo", *SIZES.values(), "bytes a photo"]]
    lines += [[what, size(each), *(size(each * n) for n in SIZES), kind] for what, each, kind in given]
    return table(lines)


def query(photos: int) -> float:
    """Seconds of one core of an exact search for the nearest photos of a new one."""
    return scanned(photos * DIMENSIONS, SEARCH, COMPARED)


def codes_read(photos: int) -> float:
    """Codes that the index of `lancedb` reads for a query, with as many partitions and probes as by default."""
    partitions = 1 << math.isqrt(photos).bit_length() - 1
    return photos * max(FEWEST_PROBES, partitions // PROBED) / partitions


def bottlenecks(costs: Any) -> str:
    """The part that takes longest, by the number of photos."""
    each = {name: part.seconds for name, part in parts(costs).items()}
    read, encode, sending = each["read 2"], each[f"forward {LITE}"], FILES["2"] * BIT / 1e10
    lines = [["photos", "encode all, on nodes", "encode all, on GPUs with a node each", "train 10 epochs on 8 nodes",
              "find a new photo, exact search", "the exact search alone, one core",
              "codes that the index reads", "enrol all embeddings, one process"]]  # fmt: skip
    for n, name in SIZES.items():
        on_nodes = slowest({"backbone": encode / CORES, "reading": read / CORES, "network": sending})
        on_gpus = slowest({"backbone": 1 / GPU[LITE], "reading": read / CORES, "network": sending})
        training = slowest(
            {
                "backbone": 10 * each[f"step {LITE}"] / (8 * CORES),
                "reading by rank 0": read / CORES,
                "network": 7 * PIXELS * BIT / 1e10,
            }
        )
        found = slowest({"backbone": encode, "reading": read, "search": query(n)})
        figures = [_seconds(query(n)), f"{codes_read(n):,.0f}", duration(hours(n, ENROLLED))]
        lines.append([name, on_nodes, on_gpus, training, found, *figures])
    return table(lines, words=5)


def leader(costs: Any) -> str:
    """What rank 0 does alone before a training on several machines begins."""
    read = costs["decoding"]["2"]["seconds"]
    lines = [["photos", "rank 0 reads files of 2 MP, 16 cores", "pixels, on each machine",
              "rank 0 sends them to one machine, 10 Gb/s", "to seven machines",
              f"an epoch of 8 nodes, all layers of {LITE}"]]  # fmt: skip
    for n, name in SIZES.items():
        sending = PIXELS * n * BIT / 1e10 / HOUR
        epoch = hours(n, costs["encoders"][LITE]["step"], 8 * CORES)
        cells = (duration(value) for value in (sending, 7 * sending, epoch))
        lines.append([name, duration(hours(n, read, CORES)), size(PIXELS * n), *cells])
    return table(lines)


def steps(costs: Any) -> list[tuple[str, Step]]:
    """Steps of training by ranks of two cores, and of one GPU."""
    found = []
    for name, given in costs["encoders"].items():
        for layers, parameters, seconds in (("last part", "trained", "rest"), ("all layers", "parameters", "step")):
            step = Step(given[parameters], given["features"], BATCH, given[seconds] / 2)
            found.append((f"{name}, {layers}; rank: two cores", step))
    for name, given in costs["encoders"].items():
        step = Step(given["parameters"], given["features"], 8 * BATCH, 1 / GPU_STEP[name])
        found.append((f"{name}, all layers; rank: one GPU", step))
    return found


def traffic(costs: Any) -> str:
    """Bytes and seconds of a step's messages."""
    lines = [["training", "parameters", "photos", "bytes, 2 ranks", "8 ranks", "64 ranks",
              *(f"8 ranks, {line} Gb/s" for line in LINES)]]  # fmt: skip
    for what, step in steps(costs):
        passing = [f"{_seconds(step.pipelined(8, line))} to {_seconds(step.in_turn(8, line))}" for line in LINES]
        sent = [size(step.sent(ranks)) for ranks in (2, 8, 64)]
        lines.append([what, f"{step.parameters:,}", f"{step.photos:,}", *sent, *passing])
    return table(lines)


def limits(costs: Any) -> str:
    """Ranks at which messages take as long as computing."""
    lines = [["training", "photos", "computing on one rank", *(f"ranks, {line} Gb/s" for line in LINES)]]

    def told(ranks: int | None, step: Step) -> str:
        return f"over {step.photos:,}" if ranks is None else f"{ranks:,}"

    for what, step in steps(costs):
        cells = []
        for line in LINES:
            least, most = told(step.equal(line, False), step), told(step.equal(line, True), step)
            cells.append(least if least == most else f"{least} to {most}")
        lines.append([what, f"{step.photos:,}", _seconds(step.computing(1)), *cells])
    return table(lines)


def waiting(costs: Any) -> str:
    """Efficiency where a step waits for the slowest rank."""
    here = costs["encoders"][LITE]["spread"]
    spreads = [(0.0, "none: uneven shares alone"), (here, "measured"), *((each, "assumed") for each in SPREADS)]
    lines = [["spread of a rank's time", "", *(f"{ranks} ranks" for ranks in RANKS)]]
    for spread, kind in spreads:
        lines.append([f"{spread:.1%}", kind, *(f"{efficiency(BATCH, ranks, spread):.0%}" for ranks in RANKS)])
    return table(lines, words=2)


def runs(costs: Any) -> str:
    """Runs of one and of two processes on the machine of the measurements."""
    lines = [["processes", "threads of each", "seconds of an epoch: fastest of each run",
              "processor seconds of the whole run", "loss of the last epoch"]]  # fmt: skip
    for nproc, rounds in costs["processes"].items():
        epochs, used = ([figure(each[key], 3) for each in rounds] for key in ("epoch", "cpu"))
        losses = sorted({f"{each['loss']:.6f}" for each in rounds})
        lines.append([nproc, str(2 // int(nproc)), ", ".join(epochs), ", ".join(used), ", ".join(losses)])
    return table(lines)


def of_machine(costs: Any) -> str:
    """The machine of the measurements, in a sentence."""
    told = "; ".join(f"{name} {costs['machine'][name]}" for name in MACHINE)
    return f"The machine of the measurements: {told}."


TABLES: dict[str, Callable[[Any], str]] = {
    "times": times,
    "gpus": gpus,
    "disks": disks,
    "bottlenecks": bottlenecks,
    "leader": leader,
    "traffic": traffic,
    "limits": limits,
    "waiting": waiting,
    "runs": runs,
    "machine": of_machine,
}
"""What is written into the page, by the name of its place."""
PLACE = re.compile(r"(<!-- scale: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def with_tables(page: str, costs: Any) -> str:
    """The page with its tables written anew, between `<!-- scale: NAME -->` and `<!-- end -->`."""
    return PLACE.sub(lambda place: f"{place[1]}\n{TABLES[place[2]](costs)}\n\n{place[3]}", page)


def _seconds(value: float) -> str:
    for limit, unit, name in ((1e-3, 1e-6, "µs"), (1.0, 1e-3, "ms")):
        if value < limit:
            return f"{short(value / unit)}{SPACE}{name}"
    return f"{short(value)}{SPACE}s"
