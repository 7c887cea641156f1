"""The house: its rooms in one order, and each imports from those before it only, as the files themselves say."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import siamesekit

ROOT = Path(siamesekit.__file__).parent
ROOMS = (
    "_version", "wording", "options", "errors", "progress", "randomness",
    "files", "hardware", "registry", "data", "config", "components", "model", "evaluation", "engine", "artifact",
    "runtime", "report", "audit", "gallery", "experiment", "plot", "cli", "__main__",
)  # fmt: skip
"""From the ground up: folders, and modules beside them. A room imports from itself and from those before it only."""
HEAVY = {"torch", "torchvision", "timm", "safetensors", "matplotlib", "PIL", "rich", "pyarrow"}
NO_TORCH = ("_version", "wording", "options", "errors", "progress", "randomness", "files", "registry", "config")
"""Rooms that a config is checked with: nothing heavy is imported there."""


def modules() -> dict[str, Path]:
    """All modules by dotted name without `siamesekit.`; a package by its own name."""
    names = {}
    for file in sorted(ROOT.rglob("*.py")):
        parts = file.relative_to(ROOT).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return names


MODULES = modules()


def statements(body: list[ast.stmt], deep: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    """The import statements that run; with `deep` also those inside functions."""
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from statements(node.orelse, deep)
        elif deep or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for block in ("body", "orelse", "finalbody"):
                yield from statements(getattr(node, block, []), deep)
            for inner in [*getattr(node, "handlers", []), *getattr(node, "cases", [])]:
                yield from statements(inner.body, deep)


@cache
def imported(module: str, deep: bool = True) -> frozenset[str]:
    """The full dotted names of what a module imports."""
    found: set[str] = set()
    for node in statements(ast.parse(MODULES[module].read_text(encoding="utf-8")).body, deep):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        else:
            assert node.level == 0, f"{module}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found)


@cache
def neighbours(module: str) -> frozenset[str]:
    """The library's own modules that a module imports."""
    own = {
        name.removeprefix("siamesekit").removeprefix(".")
        for name in imported(module)
        if name.partition(".")[0] == "siamesekit"
    }
    return frozenset(name if name in MODULES else name.rpartition(".")[0] for name in own)


def room(module: str) -> int:
    """The number of the room in which a module is; the package itself is above all."""
    return ROOMS.index(module.partition(".")[0]) if module else len(ROOMS)


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def reached(module: str) -> set[str]:
    """All modules that importing a module, or calling into it, brings with it."""
    found, open_ = set(), [module]
    while open_:
        new = neighbours(open_.pop()) - found
        found |= new
        open_ += new
    return found


def is_component(module: str) -> bool:
    """Whether the file registers something by a decorator."""
    decorators = [
        ast.unparse(decorator)
        for node in ast.parse(MODULES[module].read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        for decorator in node.decorator_list
    ]
    return any(".register(" in decorator for decorator in decorators)


COMPONENTS = {name for name in MODULES if is_component(name)}


def heavy(module: str, deep: bool = True) -> set[str]:
    """The heavy packages that a module imports."""
    return {name.partition(".")[0] for name in imported(module, deep)} & HEAVY


def test_the_imports_are_found() -> None:
    """The oracle itself: known imports at the top, inside a function, and under TYPE_CHECKING."""
    assert neighbours("components.losses.triplet") == {
        "components.batches", "components.distances.distance", "components.labels", "components.losses.batch_all",
        "components.losses.each_triplet", "components.losses.log_sum_exp", "components.losses.loss",
        "components.losses.pair_distances", "components.losses.remembered", "components.losses.triplet_blocks",
        "components.losses.triplet_terms", "components.tuples", "options", "registry",
    }  # fmt: skip
    assert "siamesekit.artifact.named_model.load" in imported("cli.app")
    assert "siamesekit.artifact.named_model.load" not in imported("cli.app", deep=False)
    assert "artifact.named_model" not in neighbours("cli.shell")
    assert {
        "components.losses.triplet",
        "components.distances.cosine",
        "components.readers.folder",
        "components.adapted.timm",
    } <= COMPONENTS


def test_every_module_is_in_a_room_and_every_room_is_there() -> None:
    assert {module.partition(".")[0] for module in MODULES} - {""} == set(ROOMS)
    assert len([path for path in ROOT.iterdir() if (path / "__init__.py").exists()]) <= 15
    assert len(list(ROOT.glob("*.py"))) <= 10


@pytest.mark.medium
def test_a_room_imports_from_the_rooms_before_it_only() -> None:
    assert {(module, name) for module in MODULES for name in neighbours(module) if room(name) > room(module)} == set()


def test_the_package_itself_imports_what_needs_nothing_and_no_module_the_package() -> None:
    assert neighbours("") == {"_version", "hardware.postponed_compiler"}
    assert not any(neighbours(module) or heavy(module) for module in neighbours(""))
    assert [module for module in MODULES if "" in neighbours(module)] == []


def test_no_module_imports_itself_by_a_detour() -> None:
    TopologicalSorter({module: neighbours(module) - {module} for module in MODULES}).prepare()  # or a CycleError


def test_what_a_config_is_checked_with_imports_nothing_heavy() -> None:
    light = [module for module in MODULES if module.partition(".")[0] in NO_TORCH]
    looks_at_photos = "config.project"
    assert [module for module in light if heavy(module) and not within(module, looks_at_photos)] == []


def test_the_command_line_imports_heavy_packages_only_when_a_command_runs() -> None:
    assert [name for name in ("__main__", "cli", "cli.app", "cli.shell") if heavy(name, deep=False)] == []


def test_the_command_line_computes_nothing_itself() -> None:
    """It reads configs, asks for runs and models, and prints."""
    asked = {name for module in MODULES if within(module, "cli") for name in neighbours(module)}
    computing = ("components", "model", "evaluation", "engine", "hardware")
    assert {name for name in asked if any(within(name, room) for room in computing)} <= {"hardware.allocator"}


def test_other_packages_sources_are_read_and_nothing_of_them_imported() -> None:
    """So that a config is checked without them: only the standard library and what is before the room."""
    adapted = [module for module in MODULES if within(module, "registry.adapted")]
    others = {name.partition(".")[0] for module in adapted for name in imported(module)} - sys.stdlib_module_names
    assert others <= {"siamesekit", "annotated_types"}


@pytest.mark.parametrize("package", ["pytorch_metric_learning", "torchvision"])
def test_another_package_is_imported_at_its_seam_only(package: str) -> None:
    """pytorch-metric-learning's classes are met in the seam and the families of its kinds, nowhere else."""
    seams = {
        "pytorch_metric_learning": {
            "components.adapted.pml.bridge",
            "components.adapted.pml.losses",
            "components.adapted.pml.samplers",
        },
        "torchvision": {"components.adapted.torchvision_augmentations", "components.adapted.torchvision_encoders"},
    }
    found = {module for module in MODULES if package in {name.partition(".")[0] for name in imported(module)}}
    assert found and found <= seams[package]


def test_components_are_asked_of_a_registry() -> None:
    assert {(module, name) for module in MODULES for name in neighbours(module) & COMPONENTS} == set()


@pytest.mark.parametrize("module", ["artifact.loading", "artifact.embedding_files"])
def test_inference_reaches_nothing_that_trains(module: str) -> None:
    training = (
        "components.losses", "components.miners", "components.optimizers", "components.samplers", "components.readers",
        "components.augmentations", "components.adapted", "data.splits", "engine.training", "engine.checkpoints",
        "config", "experiment", "registry.plugin_files", "components.tuples", "report",
    )  # fmt: skip
    reaching = {name for name in reached(module) if any(within(name, package) for package in training)}
    assert reaching == set()


def test_embedding_files_need_no_network() -> None:
    reaching = {name for name in reached("artifact.embedding_files") if name.partition(".")[0] not in NO_TORCH}
    light = (
        "folder_walk", "path_pattern", "photo_folders", "records", "spreadsheet_cells", "system_files",
        "unknown_names", "unusable",
    )  # fmt: skip
    told_by_suffix = ("foreign_formats", "passed_over", "photo_files", "photo_limits", "tiff_directories")
    elsewhere = ("remote.listing", "remote.photo_cache", "remote.servers")
    assert reaching == {f"data.{name}" for name in (*light, *told_by_suffix, *elsewhere)}
