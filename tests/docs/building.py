"""The site, built once for all tests that look at it."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

ROOT = Path(__file__).parents[2]


_kept: list[TemporaryDirectory[str]] = []


@cache
def built() -> Path:
    """The site's folder: built strictly, so that a warning fails it, and with the Quickstart's commands really run.

    It goes when the tests are over.
    """
    pytest.importorskip("mkdocs", reason="the site needs: pip install '.[docs]'")
    folder = TemporaryDirectory()
    _kept.append(folder)
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder.name],
        cwd=ROOT, capture_output=True, text=True, timeout=900, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    told = done.stdout + done.stderr
    assert done.returncode == 0, told
    assert "WARNING" not in told, told
    return Path(folder.name)
