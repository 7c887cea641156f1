"""Values that are allowed, and far beyond what is usual."""

from __future__ import annotations

from pathlib import Path

import pytest

from siamesekit.config import load_config
from siamesekit.config.doubts import doubts


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], []),
        (["optimizer.lr=0.05"], []),
        (["optimizer.lr=10"], ["optimizer.lr = 10 is 10,000 times the default of 'adam', 0.001"]),
        (["loss.optimizer.lr=1"], ["loss.optimizer.lr = 1 is 1,000 times"]),
    ],
)
def test_a_learning_rate_far_beyond_the_usual_gets_a_word(
    tmp_path: Path, overrides: list[str], expected: list[str]
) -> None:
    (tmp_path / "c.toml").write_text('[data]\nreader = "folder"\nroot = "x"\n[encoder]\nname = "xception"\n')
    found = doubts(load_config(tmp_path / "c.toml", overrides))
    assert [line[: len(start)] for line, start in zip(found, expected, strict=True)] == expected
