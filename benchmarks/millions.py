"""Catalogues of millions: `python -m benchmarks.millions [--photos 100000,1000000] [--quick] [--out FILE]`.

Drawn embeddings go through the same commands that a user has: `siamesekit enrol` of a file of embeddings, and
`siamesekit search` of another; each in a fresh process, whose peak memory is VmHWM. What a search of the store finds is
compared with exact nearest neighbours. The text of a section is written.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.harness import Contender, Setting, figure, fresh
from benchmarks.page import machine, section, table

OUT = Path(__file__).with_name("millions.md")
DIMENSIONS, EACH = 128, 10
"""Length of an embedding, and photos of an individual."""
NOISE = 1.0
"""Spread of the photos of an individual, as a share of that of the individuals."""
BLOCK = 10_000
"""Individuals that are drawn at a time."""
QUERIES, NEAREST = 1_000, 10
PROBES = (1, 16, 64, 256, 1024)
STORES: dict[str, tuple[str, ...]] = {
    "memory-mapped": (),
    "lancedb": ("--store", "lancedb"),
    "lancedb, index": ("--store", "lancedb", "--store-option", "exact=false"),
}
"""The stores that are measured, with the options of `enrol`."""
HEADER = [
    "store", "photos", "enrol, photos/s", "of it index, s", "enrol, peak MiB", "disk, GiB", "disk of the store, GiB",
    f"search of {QUERIES:,} queries, s", "search, peak MiB",
]  # fmt: skip
RECALL = ["photos", "probes", f"recall@{NEAREST}", f"{QUERIES:,} queries at once, ms each", "one query alone, ms"]
ALONE = 50
"""Queries that are searched one by one."""
TEXT = (
    f"Drawn embeddings, no photos: {DIMENSIONS} numbers, {EACH} for each individual around a middle of its own, with "
    f"{NOISE} times the spread of the middles, of length 1; the queries are further ones of the same individuals. "
    "Enrolling is `siamesekit enrol RUN embeddings.parquet`, searching is `siamesekit search CATALOGUE queries.parquet "
    "-k 12 --csv answers.csv`. Seconds are processor time of all threads, from the start of the process to its end, so "
    "that other work on the machine counts little: the search opens the catalogue, checks the checksums of all "
    "embeddings, and fits the probabilities, before its first answer. Peak memory is that of the "
    "whole process (VmHWM); with `memory-mapped` it includes the pages of the file that are mapped, which the system "
    "takes back when it needs them. Disk is that of the whole catalogue, with the database and the file of embeddings; "
    "every store but `memory-mapped` holds the embeddings once more."
)
TEXT_OF_RECALL = (
    f"The index of `lancedb` by itself, with the default `refine`: the share of the {NEAREST} exact nearest that are "
    "found, and processor time for a query of many at once, and of one alone; *exact* compares all photos, as the "
    "store `memory-mapped` does, with the embeddings in memory. The less a model separates individuals, the more "
    "probes are needed."
)


def drawn(individuals: int, seed: int = 1, each: int = EACH) -> Iterator[tuple[Any, Any]]:
    """Individuals `[B]` and embeddings `[B, DIMENSIONS]` of length 1, a block at a time.

    Args:
        individuals: number of individuals.
        seed: another one gives other photos of the same individuals.
        each: photos of each individual.
    """
    import numpy as np

    spread = (1 / np.sqrt(1 + np.arange(DIMENSIONS) / 8)).astype(np.float32)
    for first in range(0, individuals, BLOCK):
        count = min(BLOCK, individuals - first)
        middles = np.random.default_rng([0, first]).standard_normal((BLOCK, DIMENSIONS), dtype=np.float32)[:count]
        owner = np.repeat(np.arange(count), each)
        photos = np.random.default_rng([seed, first]).standard_normal((count * each, DIMENSIONS), dtype=np.float32)
        rows = (middles[owner] + NOISE * photos) * spread
        yield first + owner, rows / np.linalg.norm(rows, axis=1, keepdims=True)


def write(file: str, photos: int, seed: int = 1, each: int = EACH) -> dict[str, Any]:
    """Write a file of drawn embeddings, as `siamesekit embed` writes them."""
    import pyarrow
    from pyarrow import parquet

    form = pyarrow.schema(
        [("path", pyarrow.string()), ("individual", pyarrow.string()), ("embedding", pyarrow.list_(pyarrow.float32()))]
    )
    left = photos
    with parquet.ParquetWriter(file, form) as opened:
        for owner, rows in drawn(-(-photos // each), seed, each):
            count = min(left, len(rows))
            left -= count
            names = [f"animal-{number:07}" for number in owner[:count].tolist()]
            paths = [f"photos/{name}/{seed}-{place % each}.jpg" for place, name in enumerate(names)]
            offsets = pyarrow.array(range(0, (count + 1) * DIMENSIONS, DIMENSIONS), pyarrow.int32())
            lists = pyarrow.ListArray.from_arrays(offsets, pyarrow.array(rows[:count].ravel()))
            opened.write_table(pyarrow.table([paths, names, lists], schema=form))
    return {}


def write_queries(file: str, photos: int) -> dict[str, Any]:
    """Write further photos, one of each of the first individuals."""
    return write(file, min(QUERIES, photos // EACH), seed=2, each=1)


def model(folder: str) -> dict[str, Any]:
    """A run whose model gives embeddings of this length: a moment's training on drawn photos."""
    import numpy as np
    from PIL import Image

    place = Path(folder)
    for number in range(48):
        file = place / f"photos/animal-{number // 4}/{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng([number // 4, number]).integers(0, 256, (32, 32, 3), np.uint8)
        Image.fromarray(pixels).save(file)
    (place / "config.toml").write_text(CONFIG)
    return command(["run", str(place / "config.toml"), "--out", str(place / "run"), "--device", "cpu"])


CONFIG = f"""\
name = "millions"

[data]
reader = "folder"
root = "photos"
size = 32

[split]
train = 0.5

[encoder]
name = "timm/test_resnet"
weights = "calibrated"
train_from = "layer3"

[encoder.head]
layers = [{DIMENSIONS}]

[sampler]
photos = 2
batch_size = 8

[train]
epochs = 1

[evaluation]
bootstrap = 100
"""


def command(arguments: list[str]) -> dict[str, Any]:
    """Run a command of siamesekit in this process; its processor time, and of it that of the store's index."""
    from siamesekit.cli import main
    from siamesekit.components.stores.lancedb import LanceDB

    spent = [0.0]
    settle = LanceDB.settle

    def clocked(store: LanceDB) -> None:
        start = time.process_time()
        settle(store)
        spent[0] += time.process_time() - start

    setattr(LanceDB, "settle", clocked)  # noqa: B010 - a method that is put in another's place
    sys.argv = ["siamesekit", *arguments]
    try:
        main()
    except SystemExit as ended:
        if ended.code:
            raise
    return {"seconds": time.process_time(), "index_s": spent[0]}


def recall(catalogue: str, queries: str, photos: int) -> dict[str, Any]:
    """Share of the exact nearest that the store of a catalogue finds, and milliseconds for a query, by probes."""
    import numpy as np
    import torch

    from siamesekit import Catalogue
    from siamesekit.artifact.embedding_reading import read_embeddings
    from siamesekit.components.distances.nearest import PreparedGallery

    asked = np.concatenate([rows.embeddings for rows in read_embeddings(Path(queries), DIMENSIONS)])

    def each(search: Callable[[Any], Any]) -> tuple[Any, float, float]:
        """What is found, and milliseconds for a query of all at once, and of one alone."""
        search(asked[:64])
        start = time.process_time()
        found = search(asked)
        middle = time.process_time()
        for row in asked[:ALONE]:
            search(row[None])
        return found, (middle - start) / len(asked) * 1000, (time.process_time() - middle) / ALONE * 1000

    lines: list[list[Any]] = []
    with Catalogue(catalogue, "cpu") as opened:
        storage = opened._storage
        whole = PreparedGallery(torch.from_numpy(storage.matrix.read(photos)), opened.model.distance)
        exact, *times = each(lambda some: whole.nearest(torch.from_numpy(some), NEAREST).index)
        lines.append(["exact", 1.0, *times])
        wanted = [set((row + 1).tolist()) for row in exact]
        store: Any = storage.searched.opened()
        for probes in PROBES:
            store.probes = probes
            ids, *times = each(lambda some: store.search(some, NEAREST).ids)
            share = np.mean([len(one & set(row.tolist())) / NEAREST for one, row in zip(wanted, ids, strict=True)])
            lines.append([probes, float(share), *times])
    return {"found": lines}


def bytes_in(folder: Path) -> int:
    """Bytes of the files in a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def measured(
    photos: int, store: str, run: Path, place: Path, tell: Callable[[str], None]
) -> tuple[list[str], list[list[str]]]:
    """A line of the table, and lines of the recall of an index."""
    file, queries, catalogue = place / f"{photos}.parquet", place / f"{photos}-queries.parquet", place / "catalogue"
    if not file.exists():
        fresh(Contender("", "benchmarks.millions:write", {"file": str(file), "photos": photos}), place)
        fresh(Contender("", "benchmarks.millions:write_queries", {"file": str(queries), "photos": photos}), place)
        tell(f"{photos:,} embeddings: {file.stat().st_size / 2**30:.2f} GiB")

    def commanded(*arguments: str) -> dict[str, Any]:
        return fresh(Contender("", "benchmarks.millions:command", {"arguments": arguments}), place)

    enrolled = commanded("enrol", str(run), str(file), "-o", str(catalogue), "--device", "cpu", *STORES[store])
    tell(f"enrol {enrolled}")
    searched = commanded(
        "search", str(catalogue), str(queries), "-k", "12", "--csv", str(place / "answers.csv"), "--device", "cpu"
    )
    tell(f"search {searched}")
    disk, of_store = bytes_in(catalogue), bytes_in(catalogue / "stores")
    lines = []
    if enrolled["index_s"] > 1 and "index" in store:
        arguments = {"catalogue": str(catalogue), "queries": str(queries), "photos": photos}
        found = fresh(Contender("", "benchmarks.millions:recall", arguments), place)["found"]
        tell(f"recall {found}")
        lines = [
            [f"{photos:,}", str(probes), f"{share:.3f}", figure(many, 2), figure(alone, 2)]
            for probes, share, many, alone in found
        ]
    line = [
        store, f"{photos:,}", f"{photos / enrolled['seconds']:,.0f}", figure(enrolled["index_s"], 2),
        f"{enrolled['peak_mib']:.0f}", f"{disk / 2**30:.2f}", f"{of_store / 2**30:.2f}",
        f"{searched['seconds']:.0f}", f"{searched['peak_mib']:.0f}",
    ]  # fmt: skip
    return line, lines


def main() -> None:
    """Measure all stores and sizes, and write the section."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.millions", description="Catalogues of millions.")
    parser.add_argument("--photos", default="100000,1000000", metavar="N,N", help="sizes of the catalogues")
    parser.add_argument("--stores", default=";".join(STORES), metavar="NAME;NAME", help="stores that are measured")
    parser.add_argument("--work", type=Path, help="folder for the files, which are removed (default: a temporary one)")
    parser.add_argument("--quick", action="store_true", help="2,000 photos, whose figures mean nothing")
    parser.add_argument("--out", type=Path, help=f"file to write (default for a full run: {OUT.name})")
    given = parser.parse_args()
    if given.quick and given.out is None:
        parser.error("--quick needs --out FILE")
    sizes = [2_000] if given.quick else [int(size) for size in given.photos.split(",")]
    stores = given.stores.split(";")
    if unknown := set(stores) - set(STORES):
        parser.error(f"--stores: unknown {', '.join(sorted(unknown))}; choices: {'; '.join(STORES)}")
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    lines, found = [HEADER], [RECALL]
    with tempfile.TemporaryDirectory(dir=given.work) as work:
        fresh(Contender("", "benchmarks.millions:model", {"folder": work}), Path(work))
        run = Path(work) / "run"
        for photos in sizes:
            for store in stores:
                with tempfile.TemporaryDirectory(dir=work) as place:
                    line, of_index = measured(photos, store, run, Path(place), lambda text: print(text, flush=True))
                lines.append(line)
                found += of_index
                print("  ".join(line), flush=True)
        facts = dict(machine(Setting(given.quick, "cpu", Path(work), print), load))
    text = section(lines, TEXT, facts)
    if len(found) > 1:
        text += f"\n{table(found)}\n\n{TEXT_OF_RECALL}\n"
    (given.out or OUT).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
