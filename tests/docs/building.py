"""The site, built once for all tests that look at it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).parents[2]
RUN = "quickstart.md"
"""The page whose commands are run as they stand and printed in the site; `test_code_blocks.py` runs the others' in a
short form, without loading torch for each."""


def build(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Build the site strictly, so that a warning fails it."""
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT, capture_output=True, text=True, timeout=1200,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", **environment},
    )  # fmt: skip


def built(temporary: pytest.TempPathFactory) -> Path:
    """The site's folder, with the Quickstart's commands really run.

    All processes that share the tests look at the same one.
    """
    pytest.importorskip("mkdocs", reason="the site needs: pip install '.[docs]'")
    base = temporary.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, told = shared / "site", shared / "site.txt"
    with FileLock(shared / "site.lock"):
        if not told.exists():
            done = build(folder, SIAMESEKIT_DOCS_RUN=RUN)
            told.write_text(f"{done.returncode}\n{done.stdout}{done.stderr}", encoding="utf-8")
    status, _, said = told.read_text(encoding="utf-8").partition("\n")
    assert status == "0", said
    assert "WARNING" not in said, said
    return folder
