"""The benchmarks' command: its page has rows with figures, and ratios that are the quotients of its cells."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

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


def rows(page: str) -> list[list[str]]:
    """The cells of the table of figures."""
    lines = [line for line in page.splitlines() if re.match(r"\| \([a-e]\)", line)]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_benchmark_has_rows_with_positive_figures(written: str) -> None:
    table = rows(written)
    assert {row[0] for row in table} == {"(b)", "(e)"}
    assert len(table) == 4
    for row in table:
        assert float(row[3]) > 0, row
        assert float(row[4]) > 0, row


def test_a_ratio_is_the_quotient_of_its_cells(written: str) -> None:
    for row in rows(written):
        assert float(row[5].removesuffix(" ×")) == pytest.approx(float(row[3]) / float(row[4]), rel=0.006)


def test_the_peer_and_we_compute_the_same_loss(written: str) -> None:
    differences = re.findall(r"N = \d+: losses .* difference (\S+)\.", written)
    assert len(differences) == 1
    assert all(float(difference) < 1e-5 for difference in differences)


def test_the_page_describes_the_machine_and_keeps_what_was_tried(written: str) -> None:
    for label in ("processor", "cores", "instructions", "memory", "torch", "timm", "faiss-cpu", "date"):
        assert f"| {label} | " in written
    assert written.endswith((ROOT / "benchmarks" / "tried.md").read_text(encoding="utf-8"))
    assert "quick run" in written


@pytest.mark.parametrize("arguments", [("--only", "b,x"), ("--quick",), ("--only", "e")])
def test_the_page_in_docs_is_for_a_full_run(arguments: tuple[str, ...]) -> None:
    done = command(*arguments)
    assert done.returncode == 2
    assert "error" in done.stderr
