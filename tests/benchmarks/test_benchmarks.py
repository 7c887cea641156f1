"""The benchmarks' command: its page has rows with figures, and ratios that are the quotients of its cells."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.harness import Headline, Outcome, Row

ROOT = Path(__file__).parents[2]


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "benchmarks", *arguments], cwd=ROOT, capture_output=True, text=True)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("benchmarks") / "new" / "page.md"
    done = command("--quick", "--only", "b,e", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert "round 1/" in done.stdout
    return out.read_text(encoding="utf-8")


def tables(page: str) -> dict[str, list[list[str]]]:
    """The lines of each benchmark's table, by its letter, without the header."""
    found = {}
    for letter, section in re.findall(r"^## \((\w)\)(.*?)(?=^## )", page, re.MULTILINE | re.DOTALL):
        lines = [line for line in section.splitlines() if line.startswith("|")][2:]
        found[letter] = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return found


@pytest.mark.slow
def test_every_benchmark_has_a_table_with_positive_figures(written: str) -> None:
    found = tables(written)
    assert {letter: [len(line) for line in lines] for letter, lines in found.items()} == {"b": [3, 3], "e": [4]}
    for line in [*found["b"], *found["e"]]:
        assert float(line[1]) > 0, line


@pytest.mark.slow
def test_a_ratio_is_the_quotient_of_its_cells(written: str) -> None:
    compared = 0
    for _, ours, *peers in [line for lines in tables(written).values() for line in lines]:
        for peer in peers:
            theirs, ratio = re.fullmatch(r"(\S+) \((\S+)\s×\)", peer).groups()
            assert float(ratio) == pytest.approx(float(theirs) / float(ours), rel=0.006)
            compared += 1
    assert compared == 4


@pytest.mark.slow
def test_a_headline_s_figures_are_those_of_its_rows() -> None:
    headline = Headline("{0.ours}, {0.theirs}, {0.ratio}; {1.ratio}", (("run", "A"), ("run", "B")))
    rows = [Row("x", "run, s", "A", 30.0, 12.0), Row("x", "run, s", "B", 6.0, 12.0)]
    assert headline.told(Outcome(rows)) == "12.00, 30.00, 2.50\N{NO-BREAK SPACE}×; 0.500\N{NO-BREAK SPACE}×"
    assert headline.told(Outcome(rows[:1])) == ""
    assert headline.told(Outcome([rows[0], Row("x", "run, s", "B", "not run", 12.0)])) == ""


@pytest.mark.slow
def test_the_peer_and_we_compute_the_same_loss(written: str) -> None:
    differences = re.findall(r"N = \d+: losses .* difference (\S+)\.", written)
    assert len(differences) == 1
    assert all(float(difference) < 1e-5 for difference in differences)


@pytest.mark.slow
def test_the_page_describes_the_machine_and_keeps_what_was_tried(written: str) -> None:
    for label in ("processor", "cores", "instructions", "memory", "torch", "timm", "faiss-cpu", "date"):
        assert f"| {label} | " in written
    assert written.endswith((ROOT / "benchmarks" / "tried.md").read_text(encoding="utf-8"))
    assert "quick run" in written


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("--only", "b,x"), ("--quick",), ("--only", "e")])
def test_the_page_in_docs_is_for_a_full_run(arguments: tuple[str, ...]) -> None:
    done = command(*arguments)
    assert done.returncode == 2
    assert "error" in done.stderr
