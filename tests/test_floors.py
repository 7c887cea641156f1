"""The house's floors: a module imports from its own floor and the ones below, as the files themselves say."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

import siamesekit

ROOT = Path(siamesekit.__file__).parent
FLOORS: tuple[tuple[str, ...], ...] = (
    ("adapted", "run_place", "own_files", "replaced_run", "locks", "paths", "replaceable", "construction", "figures",
     "component_faults", "culprits", "allocator", "errors", "quiet", "stopping", "registry", "components", "nested",
     "problems",
     "signatures", "options", "config", "plugins", "installed_plugins", "files", "json_files", "progress", "randomness",
     "run_folder", ""),
    ("encoders", "distances", "losses", "miners", "optimizers", "schedules", "reducers", "regularizers", "pml",
     "triplets", "labels", "batches", "processor", "retrieval", "metrics", "calibration"),
    ("data", "model"),
    ("engine", "evaluation", "baselines", "doctor"),
    ("artifact", "artifact_description", "embedding_files"),
    ("report",),
    ("compatibility", "memory_advice", "left_out", "random_layers", "report_facts", "planning", "preparation",
     "fitting", "checkpoint_form", "learning", "results", "experiment", "projects", "resuming", "not_numbers",
     "split_file", "photo_survey", "project_config", "cli", "__main__"),
)  # fmt: skip
"""From the ground up; a package stands for all its modules, `""` for the package itself and its version."""
INTERFACES = {
    "distances.distance",
    "losses.loss",
    "losses.batch_all",
    "losses.class_cosines",
    "losses.each_triplet",
    "losses.log_sum_exp",
    "losses.measure",
    "losses.pair_distances",
    "miners.miner",
    "encoders.backbone",
    "encoders.downloads",
    "encoders.timm_weights",
    "data.augmentations.augmentation",
    "data.augmentations.photo_by_photo",
    "data.augmentations.warp",
    "data.foreign_formats",
    "data.images",
    "data.photo_files",
    "data.photo_folders",
    "data.photo_headers",
    "data.pixel_store",
    "data.photo_colours",
    "data.photo_geometry",
    "data.photo_inputs",
    "data.records",
    "data.samplers.batch",
    "data.samplers.dealing",
    "triplets",
    "optimizers.fused",
    "schedules.schedule",
    "schedules.warmup",
}
"""What the components of floors 1 and 2 are written against."""
NEIGHBOURS = {
    ("batches", "labels"),
    ("batches", "triplets"),
    ("triplets", "labels"),
    ("losses", "batches"),
    ("losses", "labels"),
    ("miners", "batches"),
    ("miners", "labels"),
    ("metrics", "labels"),
    ("calibration", "labels"),
    ("retrieval", "processor"),
    ("retrieval", "distances.distance"),
    ("metrics", "distances.distance"),
    ("metrics", "retrieval"),
    ("calibration", "distances.distance"),
    ("calibration", "metrics"),
    ("losses", "distances.distance"),
    ("losses", "triplets"),
    ("losses", "miners.miner"),
    ("miners", "distances.distance"),
    ("miners", "triplets"),
    ("pml", "distances.distance"),
    ("pml", "triplets"),
    ("distances", "pml"),
    ("losses", "pml"),
    ("miners", "pml"),
    ("reducers", "pml"),
    ("regularizers", "pml"),
}
"""Who may look at whom across floor 1."""
BY_NAME: set[tuple[str, str]] = set()
"""The only imports of a component by its module; everything else asks a registry."""
HEAVY = {"torch", "torchvision", "timm", "safetensors", "matplotlib", "PIL", "rich", "pyarrow"}


LONG = {
    "retrieval": "one algorithm, exact top-k: its bf16 scan, the proof of its error bound, and ties",
    "artifact": "reading a model and using it: each check stands beside what it guards",
    "calibration": "one model, fitted, cross-fitted and judged",
    "registry": "the class, and the registries that everything imports from here",
    "config.tables": "a table of keys with their meaning for every stage, nothing else",
    "config.schema": "one translation, of tables and components to JSON Schema",
    "experiment": "check and run, step by step, and what each step leaves behind",
    "data.images": "one photo, from the bytes of its file to its pixels",
    "run_folder": "a run's folder from its claim to its completion: each step with what a crash there leaves",
    "learning": "one training, from its data to the numbers of each epoch and the checkpoint they go to",
    "triplets": "two kinds of tuples, and what turns labels and either kind into the other",
    "report.html": "one page, part by part",
    "cli.app": "every command's arguments and help, a few lines each",
}
"""Modules of over 300 lines, and why they are not two."""


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


def neighbours(module: str) -> set[str]:
    """The library's own modules that a module imports."""
    own = {name.removeprefix("siamesekit").removeprefix(".") for name in imported(module) if
           name.partition(".")[0] == "siamesekit"}  # fmt: skip
    return {name if name in MODULES else name.rpartition(".")[0] for name in own}


def floor(module: str) -> int:
    """The floor on which a module is."""
    [found] = [number for number, names in enumerate(FLOORS) if module.partition(".")[0] in names]
    return found


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


def each(names: Iterable[str]) -> pytest.MarkDecorator:
    """A test for each of these modules."""
    return pytest.mark.parametrize("module", [pytest.param(name, id=name or "siamesekit") for name in names])


def on(*floors: int) -> list[str]:
    """The modules on some floors."""
    return [name for name in MODULES if floor(name) in floors]


def test_the_imports_are_found() -> None:
    """The oracle itself: known imports at the top, inside a function, and under TYPE_CHECKING."""
    assert neighbours("losses.triplet") == {
        "batches", "distances.distance", "labels", "losses.batch_all", "losses.each_triplet", "losses.log_sum_exp",
        "losses.loss", "losses.pair_distances", "options", "registry", "triplets"
    }  # fmt: skip
    assert "siamesekit.artifact.load" in imported("cli.app")
    assert "siamesekit.artifact.load" not in imported("cli.app", deep=False)
    assert "artifact" not in neighbours("cli.shell")
    assert {"losses.triplet", "distances.cosine", "data.readers.folder", "encoders.timm"} <= COMPONENTS


def test_every_module_has_a_floor_and_every_name_a_module() -> None:
    assert {module for module in MODULES if not any(module.partition(".")[0] in names for names in FLOORS)} == set()
    assert {name for names in FLOORS for name in names} <= set(MODULES)


def test_contributing_has_the_same_floors() -> None:
    """Each row of its table names the modules of a floor, packages with a slash; the package itself goes without."""
    text = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = [line.split("|")[2] for line in text.splitlines() if re.match(r"\| \d, ", line)]
    told = [set(re.findall(r"`([^`]+)`", row)) for row in rows]
    packages = {name for name, file in MODULES.items() if file.name == "__init__.py"}
    assert told == [
        {f"{name}/" if name in packages else name for name in names if name not in ("", "__main__")} for names in FLOORS
    ]


@each(MODULES)
def test_a_module_imports_from_its_own_floor_and_below(module: str) -> None:
    assert {name for name in neighbours(module) if floor(name) > floor(module)} == set()


@each(MODULES)
def test_of_the_package_itself_only_the_version_is_imported(module: str) -> None:
    names = {name for name in imported(module) if name.partition(".")[0] == "siamesekit"}
    assert {name for name in names if name.count(".") == 1 and name.split(".")[1] not in MODULES} <= {
        "siamesekit.__version__"
    }


@each(MODULES)
def test_no_module_imports_itself_by_a_detour(module: str) -> None:
    assert module not in reached(module)


@each(on(0))
def test_the_ground_floor_imports_nothing_heavy(module: str) -> None:
    assert {name.partition(".")[0] for name in imported(module)} & HEAVY == set()


@each(["__main__", "cli", "cli.app", "cli.shell"])
def test_the_command_line_imports_heavy_packages_only_when_a_command_runs(module: str) -> None:
    assert {name.partition(".")[0] for name in imported(module, deep=False)} & HEAVY == set()


@each(name for name in MODULES if within(name, "cli"))
def test_the_command_line_computes_nothing_itself(module: str) -> None:
    assert {name for name in neighbours(module) if floor(name) in range(1, 6)} <= {"artifact", "embedding_files"}


@each(on(1))
def test_floor_one_looks_across_only_at_interfaces(module: str) -> None:
    package = module.partition(".")[0]
    across = {name for name in neighbours(module) if floor(name) == 1 and not within(name, package)}
    assert {(package, name) for name in across} <= NEIGHBOURS


@each(name for name in on(1, 2) if "." in name)
def test_siblings_on_floors_one_and_two_share_only_interfaces(module: str) -> None:
    siblings = {name for name in neighbours(module) if within(name, module.partition(".")[0])}
    assert {name for name in siblings - INTERFACES if (module, name) not in BY_NAME} == set()


@each(name for name in MODULES if within(name, "adapted"))
def test_other_packages_sources_are_read_and_nothing_of_them_imported(module: str) -> None:
    """So that a config is checked without them: only the standard library and the ground floor."""
    others = {name.partition(".")[0] for name in imported(module)} - sys.stdlib_module_names
    assert others <= {"siamesekit", "annotated_types"}
    assert {name for name in neighbours(module) if not within(name, "adapted")} <= {
        "components", "errors", "options", "signatures"
    }  # fmt: skip


@pytest.mark.parametrize("package", ["pytorch_metric_learning", "torchvision"])
def test_another_package_is_imported_at_its_seam_only(package: str) -> None:
    """pytorch-metric-learning's classes are met in the seam and the families of its kinds, nowhere else."""
    seams = {
        "pytorch_metric_learning": {"pml", "losses.pml", "data.samplers.pml"},
        "torchvision": {"data.augmentations.torchvision", "encoders.torchvision"},
    }
    found = {module for module in MODULES if package in {name.partition(".")[0] for name in imported(module)}}
    assert found and found <= seams[package]


def test_components_are_asked_of_a_registry() -> None:
    """Exactly these exceptions: one that is no longer needed must go from the list."""
    direct = {(module, name) for module in MODULES for name in neighbours(module) & COMPONENTS}
    assert direct == BY_NAME


@pytest.mark.parametrize("module", ["artifact", "embedding_files"])
def test_inference_reaches_nothing_that_trains(module: str) -> None:
    training = (
        "losses", "miners", "optimizers", "data.samplers", "data.readers", "data.splits", "data.augmentations",
        "engine.training",
        "engine.checkpoints", "evaluation", "config", "plugins", "run_folder", "triplets", "report",
    )  # fmt: skip
    assert {name for name in reached(module) if any(within(name, package) for package in training)} == set()


def test_embedding_files_need_no_network() -> None:
    assert reached("embedding_files") == {"errors", "files", "paths", "replaceable", "data.photo_folders"}


def test_long_modules_have_a_reason() -> None:
    long = {name for name, file in MODULES.items() if len(file.read_text(encoding="utf-8").splitlines()) > 300}
    assert long == set(LONG)
