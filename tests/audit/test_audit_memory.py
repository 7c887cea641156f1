"""The audit holds the facts of the photos, and little else that grows with their number."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from planted import saved, scene

import peak_memory
from siamesekit.audit.facts import HASH, THUMBNAIL

CODE = """
import json, sys
from dataclasses import replace
import numpy as np
from siamesekit.audit.gathering import Gathering
from siamesekit.audit.near_copies import near_pairs
from siamesekit.data.records import Record
from siamesekit.progress import Progress

FILE, BITS, PIXELS = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])


def gathered(photos):
    with Gathering() as gathering:
        gathering.begin([Record(f"{photo}.jpg", "w", FILE) for photo in range(photos)], ())
        gathering.read(Progress())
    return list(gathering.facts.values())


def grown(work):
    forget_peak()
    before = peak_memory()
    kept = work()
    return (peak_memory() - before) / 2**20


rng = np.random.default_rng(0)
first = gathered(60)
drawn = [replace(first[0], hash=rng.bytes(BITS // 8), thumbnail=rng.bytes(PIXELS)) for _ in range(4500)]
near_pairs(drawn[:2000])
print(json.dumps([grown(lambda: gathered(300)), grown(lambda: near_pairs(drawn))]))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of the memory")
def test_the_memory_of_the_audit_does_not_grow_with_the_photos(tmp_path: Path) -> None:
    """300 photos after 60: their facts are 1 MiB, their pixels would be 17 MiB.

    The hashes of 4,500 photos after those of 2,000: blocks of fixed size, 20 MiB (32 at times, under
    load). With hashes in float32, larger blocks and copies of all thumbnails it was 110 MiB.
    """
    record = saved(scene(0), tmp_path, "w/1.jpg", quality=95)
    (tmp_path / "no folder").write_text("facts are not kept")
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "no folder")}
    sizes = [str(record.source), str(2 * HASH**2), str(THUMBNAIL**2)]
    done = subprocess.run(
        [sys.executable, "-c", Path(peak_memory.__file__).read_text() + CODE, *sizes],
        check=True, capture_output=True, text=True, env=environment,
    )  # fmt: skip
    of_facts, of_pairs = json.loads(done.stdout)
    assert of_facts < 5 and of_pairs < 50, (of_facts, of_pairs)
