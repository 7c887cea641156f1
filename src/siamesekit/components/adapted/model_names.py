"""Names of the models in timm and torchvision, read from their sources without importing them or torch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

HUB_MODELS = "hf-hub:*/*"
"""Pattern for any model of the Hugging Face hub that timm can build: `hf-hub:ORG/NAME`."""


@cache
def timm_models() -> Mapping[str, tuple[str, ...]]:
    """All timm models, sorted, each with the tags of its weights, and `HUB_MODELS`.

    A few models get their tags when timm is imported. Their tags are not listed.
    """
    names: set[str] = set()
    tags: dict[str, set[str]] = {}
    for source in _sources("timm"):
        names.update(re.findall(r"^@register_model\s+def (\w+)\(", source, re.MULTILINE))
        for name, tag in re.findall(r"""^\s+['"](\w+)\.([\w.-]+)\*?['"]: """, source, re.MULTILINE):
            tags.setdefault(name, set()).add(tag)
    found = {name: tuple(sorted(tags.get(name, ()))) for name in sorted(names)}
    return {**found, HUB_MODELS: ()} if found else {}


@cache
def torchvision_models() -> Mapping[str, tuple[str, ...]]:
    """All classification models of torchvision, sorted, each with the tags of its weights."""
    model = r"^@register_model\(\)\s+(?:@.*\n)*def (\w+)\(\s*\*,\s*weights: [^\n=]*?(\w+_Weights)\b"
    enum = r"^class (\w+_Weights)\(WeightsEnum\):\n((?:(?:[ \t].*)?\n)*)"
    weights_of: dict[str, str] = {}
    tags: dict[str, tuple[str, ...]] = {}
    for source in _sources("torchvision"):  # subfolders hold models for other tasks
        weights_of.update(re.findall(model, source, re.MULTILINE))
        for name, body in re.findall(enum, source, re.MULTILINE):
            tags[name] = tuple(re.findall(r"^    (\w+) = Weights\(", body, re.MULTILINE))
    return {name: tags[weights_of[name]] for name in sorted(weights_of)}


def _sources(package: str) -> Iterator[str]:
    """The text of each file in a package's folder `models`; nothing if the package is not installed."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return
    for file in (Path(spec.submodule_search_locations[0]) / "models").glob("*.py"):
        yield file.read_text(encoding="utf-8")
