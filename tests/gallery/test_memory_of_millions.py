"""Memory of a catalogue that is enrolled and searched by embeddings: they are mapped once, and never copied."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import millions
from benchmarks.harness import Contender, fresh
from made_stores import require

FEW, MANY = 1_000_000, 5_000_000
"""Numbers of photos, beyond what the sample of the probabilities and LanceDB's buffers need at the most."""
MAPPED, EACH = 4 * millions.DIMENSIONS, 300
"""Bytes of a photo's embedding, whose file may be mapped, and those for each photo beside it, at the most."""


@pytest.mark.huge
@pytest.mark.timeout(7200)
def test_memory_has_no_copy_of_the_embeddings(tmp_path: Path) -> None:
    require("lancedb")

    def run(function: str, **arguments: object) -> float:
        return float(fresh(Contender("", f"benchmarks.millions:{function}", arguments), tmp_path)["peak_mib"])

    run("model", folder=str(tmp_path))
    peaks = {}
    for photos in (FEW, MANY):
        names = (f"e-{photos}.parquet", f"q-{photos}.parquet", f"catalogue-{photos}")
        file, queries, place = (str(tmp_path / name) for name in names)
        run("write", file=file, photos=photos)
        run("write_queries", file=queries, photos=photos)
        enrol = ["enrol", str(tmp_path / "run"), file, "-o", place, "--device", "cpu", *millions.STORES["lancedb"]]
        search = ["search", place, queries, "--csv", str(tmp_path / "a.csv"), "--device", "cpu"]
        peaks[photos] = [run("command", arguments=arguments) for arguments in (enrol, search)]
    for few, many, mapped in zip(peaks[FEW], peaks[MANY], (0, MAPPED), strict=True):  # enrolling maps no embeddings
        assert (many - few) * 2**20 < (mapped + EACH) * (MANY - FEW), peaks
