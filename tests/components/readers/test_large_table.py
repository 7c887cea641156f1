"""Up to a million photos of ten for each individual: read, split, sampled, in bounded time and memory of a process."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import peak_memory

FOLDERS = 100
TIMES, BYTES = 25, 1600
"""Limits: of the processor time of reading, the slowest split and sampling, in times of a plain reading of the same
table in the same process (it takes 9 to 13 of these); and of the memory of a row, in bytes.
"""
START = 0.5
"""GiB that the process may have for its libraries."""
READING = (
    Path(peak_memory.__file__).read_text()
    + """
import csv, json, sys, time
import numpy as np
from siamesekit.data.splits import SplitOptions, split_records
from siamesekit.registry import READERS, SAMPLERS
def plain_reading():
    start = time.process_time()
    with open(sys.argv[1], encoding="utf-8") as file:
        for row in csv.DictReader(file):
            row["photo"], row["individual"], dict(row), tuple(map(float, row["box"].split()))
    return time.process_time() - start
plain = plain_reading()
start = time.process_time()
records = READERS.build("csv", {"file": sys.argv[1], "box": "box"}, seed=0)
read = time.process_time() - start
parts = {}
for by in ("column", "identity", "photo", "encounter", "time", "open-set"):
    begun = time.process_time()
    split = split_records(records, by, 0.8, 0.0, (), 0, SplitOptions())
    parts[by] = [len(split.train), len(split.test), time.process_time() - begun]
labels = np.unique([record.individual for record in records], return_inverse=True)[1]
begun, planned = time.process_time(), {}
for name in ("p-by-k", "shuffled"):
    sampler = SAMPLERS.build(name, {}, labels=labels, seed=0, batch_size=64)
    photos = np.concatenate([batch.images.numpy() for batch in sampler.epoch(1)])
    planned[name] = [len(photos), len(np.unique(photos))]
sampled = time.process_time() - begun
seconds = read + max(seconds for _, _, seconds in parts.values()) + sampled
print(json.dumps({
    "plain": (plain + plain_reading()) / 2, "seconds": seconds, "read": read, "sampled": sampled,
    "parts": parts, "planned": planned,
    "GiB": peak_memory() / 2**30,
    "records": len(records),
    "photos": len({str(record.source) for record in records[::1000]}),
    "individuals": len({record.individual for record in records}),
    "last": [records[-1].name, records[-1].individual, records[-1].box.x, dict(records[-1].attributes)],
}))
"""
)


@pytest.mark.timeout(1200)
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of the memory")
@pytest.mark.parametrize(
    "rows", [pytest.param(250_000, marks=pytest.mark.slow), pytest.param(1_000_000, marks=pytest.mark.huge)]
)
def test_many_photos_are_read_split_and_sampled_in_bounded_time_and_memory(tmp_path: Path, rows: int) -> None:
    """Each photo shows fifty animals, so that few files are made and no row is spared anything."""
    individuals = rows // 10
    photos = [f"f{number % FOLDERS:02}/{number}.jpg" for number in range(rows // 50)]
    for folder in range(FOLDERS):
        (tmp_path / f"f{folder:02}").mkdir()
    for photo in photos:
        (tmp_path / photo).touch()
    with (tmp_path / "table.csv").open("w") as file:
        file.write("photo,individual,box,split,encounter,side,species,site,date\n")
        for row in range(rows):
            photo, individual = photos[row % len(photos)], row % individuals
            file.write(
                f"{photo},{individual:06},{row // len(photos)} 0 40 30,{'test' if row % 5 else 'train'},e{row // 7},"
                f"left,nyala,s{row % 40},2021-0{row % 9 + 1}-04 {row % 24:02}:15:{row % 60:02}\n"
            )
    command = [sys.executable, "-c", READING, str(tmp_path / "table.csv")]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert (found["records"], found["individuals"]) == (rows, individuals)
    last = rows - 1
    assert found["last"][:3] == [f"{photos[-1]}#50", f"{last % individuals:06}", 49]
    assert found["last"][3]["encounter"] == f"e{last // 7}"
    assert found["parts"].keys() == {"column", "identity", "photo", "encounter", "time", "open-set"}
    assert found["parts"]["column"][:2] == [rows // 5, rows * 4 // 5]
    assert all(train + test == rows for train, test, _ in found["parts"].values())
    assert found["planned"] == {"p-by-k": [rows, rows], "shuffled": [rows, rows]}
    assert found["seconds"] < TIMES * found["plain"], found
    assert found["GiB"] < START + BYTES * rows / 2**30
