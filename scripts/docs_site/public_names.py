"""The public names, `siamesekit.__all__`, each with its docstring by mkdocstrings."""

from __future__ import annotations

import siamesekit
from siamesekit.registry import REGISTRIES

GROUPS = {
    "Run": ("load_config", "check", "run", "Config", "Plan", "RunResult", "Progress"),
    "Use a model": ("load", "SimilarityModel", "Comparison", "nearest", "Neighbours"),
    "Networks": ("SiameseNetwork", "Encoder", "DistanceLayer", "Backbone"),
    "Write components": ("Record", "Distance", "Triplets", "Pairs", "LossValue"),
    "Errors": ("SiamesekitError",),
}


def public_names() -> str:
    """A section for each group, an entry with its own anchor for each name; what is in no group comes last."""
    registries = {registry.variable: registry for registry in REGISTRIES if registry.variable in siamesekit.__all__}
    grouped = {name for names in GROUPS.values() for name in names} | set(registries) | {"__version__"}
    groups = {**GROUPS, "More": tuple(name for name in siamesekit.__all__ if name not in grouped)}
    parts = []
    for title, names in groups.items():
        entries = [_entry(name) for name in names if name in siamesekit.__all__]
        if entries:
            parts += [f"## {title}", *entries]
    rows = "\n".join(f"| <span id=\"siamesekit.{variable}\">`siamesekit.{variable}`</span> | {registry.purpose} "
                     f"| [{registry.plural}](../catalogue/{registry.plural}/index.md) |"
                     for variable, registry in registries.items())  # fmt: skip
    parts += [
        "## Registries",
        "One of each kind of component that a plugin may write.",
        f"| name | such a component is | catalogue |\n| --- | --- | --- |\n{rows}",
        "::: siamesekit.registry.Registry\n    options:\n      heading_level: 3\n      show_root_heading: true\n"
        "      members: [register, names, components, get, check, build]",
        "## Version",
        '<span id="siamesekit.__version__">`siamesekit.__version__`</span> is the installed version, as a string.',
    ]
    return "\n\n".join(parts)


def _entry(name: str) -> str:
    place = f"siamesekit.{siamesekit._PUBLIC[name]}.{name}"
    return f'<span id="siamesekit.{name}"></span>\n\n::: {place}\n    options:\n      show_root_heading: true\n' \
           "      heading_level: 3"  # fmt: skip
