"""docs/threat-model.md: each test that a promise names is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "threat-model.md"


@pytest.mark.slow
def test_the_tests_that_promises_name_are_there() -> None:
    trees = {
        file.relative_to(TESTS).as_posix(): ast.parse(file.read_text(encoding="utf-8"))
        for file in TESTS.rglob("test_*.py")
    }
    functions = {
        name: {node.name for node in tree.body if isinstance(node, ast.FunctionDef)} for name, tree in trees.items()
    }
    named = re.findall(r"`(?:([\w/]+\.py)::)?(test_\w+)`", PAGE.read_text(encoding="utf-8"))
    assert len(named) > 20
    everywhere = set().union(*functions.values())
    missing = [name for file, name in named if name not in (functions.get(file, set()) if file else everywhere)]
    assert missing == []
    files = re.findall(r"`(?:tests/)?([\w/]*test_\w+\.py)[`:]", PAGE.read_text(encoding="utf-8"))
    assert [file for file in files if file not in functions] == []
