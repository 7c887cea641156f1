"""`python -m benchmarks [--quick] [--only a,c] [--device cpu] [--out FILE]`."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType

from benchmarks import batch_all, embedding, retrieval, start_to_report, startup, stores, whales
from benchmarks.harness import ROOT, Outcome, Setting
from benchmarks.page import page

BENCHMARKS: dict[str, ModuleType] = {
    "a": whales,
    "b": batch_all,
    "c": retrieval,
    "d": embedding,
    "e": startup,
    "f": stores,
    "g": start_to_report,
}
OUT = ROOT / "docs" / "benchmarks.md"


def main() -> None:
    """Run the benchmarks and rewrite the page after each of them."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Benchmarks of siamesekit against common alternatives."
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, to check that everything runs")
    parser.add_argument(
        "--only", default=",".join(BENCHMARKS), metavar="LETTERS", help="letters of the benchmarks to run, such as a,c"
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="device of (a), (b) and (d)")
    parser.add_argument("--out", type=Path, help="file to write (default for a full run: docs/benchmarks.md)")
    given = parser.parse_args()
    letters = given.only.split(",")
    if unknown := set(letters) - set(BENCHMARKS):
        parser.error(
            f"--only {given.only}: unknown benchmark {', '.join(sorted(unknown))}; choices: {', '.join(BENCHMARKS)}"
        )
    full = not given.quick and set(letters) == set(BENCHMARKS) and given.device == "cpu"
    if given.out is None and not full:
        parser.error(
            "docs/benchmarks.md is for a full run on the CPU: with --quick, --only or --device give --out FILE"
        )
    out: Path = given.out or OUT
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    outcomes: dict[str, Outcome] = {}
    titles = {letter: BENCHMARKS[letter].TITLE for letter in letters}
    headlines = {letter: BENCHMARKS[letter].HEADLINE for letter in letters}
    measures = {letter: BENCHMARKS[letter].MEASURES for letter in letters}
    with tempfile.TemporaryDirectory() as folder:
        for letter in letters:
            own = Path(folder) / letter
            own.mkdir()
            setting = Setting(given.quick, given.device, own, lambda text: print(text, flush=True))
            print(f"({letter}) {titles[letter]}", flush=True)
            start = time.perf_counter()
            outcomes[letter] = BENCHMARKS[letter].measure(setting)
            for note in outcomes[letter].notes:
                print(f"  {note}", flush=True)
            print(f"  took {time.perf_counter() - start:.0f} s", flush=True)
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(page(outcomes, titles, headlines, measures, setting, load), encoding="utf-8")
    print(f"written: {out}", flush=True)
    without = [letter for letter, outcome in outcomes.items() if not outcome.complete()]
    if without:
        sys.exit(f"benchmark ({'), ('.join(without)}) lacks figures of siamesekit; the page says why")


if __name__ == "__main__":
    main()
