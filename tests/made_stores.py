"""Stores for tests: every registered one, and a plugin's."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from siamesekit.registry import STORES

PACKAGES = {"memory-mapped": "torch", "lancedb": "lancedb", "qdrant": "qdrant_client", "full-sort": "numpy"}
PLUGIN = Path(__file__).parent / "plugin_store.py"
NAMES = [*STORES.names(), "full-sort"]


def with_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register the plugin's store, for one test."""
    for attribute in ("_components", "_factories"):
        monkeypatch.setattr(STORES, attribute, dict(getattr(STORES, attribute)))
    spec = importlib.util.spec_from_file_location("plugin_store", PLUGIN)
    assert spec is not None and spec.loader is not None
    spec.loader.exec_module(importlib.util.module_from_spec(spec))


def require(name: str, monkeypatch: pytest.MonkeyPatch | None = None) -> None:
    """Skip a store whose package is missing; register the plugin's."""
    package = PACKAGES[name]
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    if name == "full-sort" and monkeypatch is not None:
        with_plugin(monkeypatch)


def opened(name: str, folder: Path, dimensions: int = 8, distance: str = "euclidean", **options: Any) -> Any:
    """A store in a folder."""
    return STORES.build(name, folder=folder, collection="rows", dimensions=dimensions, distance=distance, **options)
