"""Names of the models that other packages have, read from their sources without importing them (and torch)."""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path


@cache
def timm_models() -> tuple[str, ...]:
    """The names of all timm models, sorted, without weights tags."""
    spec = find_spec("timm")
    if spec is None or not spec.submodule_search_locations:
        return ()
    folder = Path(spec.submodule_search_locations[0]) / "models"
    found: set[str] = set()
    for file in folder.glob("*.py"):
        found.update(re.findall(r"^@register_model\s+def (\w+)\(", file.read_text(encoding="utf-8"), re.MULTILINE))
    return tuple(sorted(found))
