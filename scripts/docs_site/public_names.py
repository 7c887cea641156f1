"""The public names, each with its docstring by mkdocstrings: `siamesekit.__all__`, then what modules offer beside."""

from __future__ import annotations

import ast
import inspect
import re
from itertools import pairwise
from typing import Any

import siamesekit
from docs_site.modules import modules
from docs_site.wording import cell
from siamesekit import errors, options
from siamesekit.registry import REGISTRIES
from siamesekit.signatures import in_words

GROUPS = {
    "Run": ("load_config", "check", "run", "Config", "Plan", "RunResult", "Progress"),
    "Use a model": ("load", "SimilarityModel", "Comparison", "nearest", "Neighbours"),
    "Networks": ("SiameseNetwork", "Encoder", "DistanceLayer", "Backbone"),
    "Losses": ("TripletLoss", "ContrastiveLoss", "InfoNCELoss", "MultiSimilarityLoss", "ProxyAnchorLoss", "ArcFaceLoss",
               "CrossBatchMemory", "LossValue"),
    "Distances": ("SquaredEuclidean", "Euclidean", "Cosine", "Manhattan", "Dot", "pairwise"),
    "Miners": ("BatchHardMiner", "SemiHardMiner", "EasyPositiveMiner", "DistanceWeightedMiner", "AllTripletsMiner"),
    "Samplers": ("PByKSampler", "AllPairsSampler", "RandomTripletsSampler", "HierarchicalSampler", "MinedSampler"),
    "Augmentations": ("PhotoId", "Flip", "Crop", "AugmentationSequence"),
    "Encoders, readers": ("xception", "read_folder", "read_csv"),
    "Optimizers": ("adam", "adamw", "sgd", "keras_adam", "KerasAdam"),
    "Schedules": ("WarmupCosineSchedule", "WarmupLinearSchedule", "StepSchedule", "ExponentialSchedule"),
    "Write components": (
        "Record", "Distance", "Loss", "mean_of", "Miner", "Sampler", "Batch", "Augmentation", "Streams", "Schedule",
        "Triplets", "Pairs", "Tuples", "as_pairs", "as_triplets", "positives_of", "count_triplets", "load_plugin_file",
    ),
    "Judge a run": ("diagnose",),
}  # fmt: skip
BY_MODULE = {
    "triplets": ("Positives", "all_pairs"),
    "progress": ("ShownProgress",),
    "metrics": ("RetrievalMetrics", "retrieval", "triplet_accuracy", "Interval", "mean_with_interval"),
    "doctor": ("Finding",),
    "stopping": ("Stop", "Stopped"),
}
"""What is public beside `siamesekit.__all__`, `errors` and `options`: what components and scripts need further."""


INDENT = dict.fromkeys(map(ord, "│├└─"), " ")
"""A tree's branches as the indents of a list's items."""
METHODS = ("register", "names", "components", "get", "check", "build")
"""What a registry is asked for; they are all there, nobody makes one."""


def public_names() -> str:
    """A section for each group, an entry with its own anchor for each name; what is in no group comes last."""
    registries = {registry.variable: registry for registry in REGISTRIES if registry.variable in siamesekit.__all__}
    grouped = {name for names in GROUPS.values() for name in names} | set(registries) | {"Registry", *exceptions()}
    groups = {**GROUPS, "More": tuple(name for name in siamesekit.__all__ if name not in grouped | {"__version__"})}
    parts = []
    for title, names in groups.items():
        entries = [_public(name) for name in names if name in siamesekit.__all__]
        if entries:
            parts += [f"## {title}", *entries]
    rows = "\n".join(f"| <span id=\"siamesekit.{variable}\">`siamesekit.{variable}`</span> | {registry.purpose} "
                     f"| [{registry.plural}](../catalogue/{registry.plural}/index.md) |"
                     for variable, registry in registries.items())  # fmt: skip
    parts += [
        "## Registries",
        "One of each kind of component that a plugin may write.",
        f"| name | such a component is | catalogue |\n| --- | --- | --- |\n{rows}",
        '<span id="siamesekit.Registry"></span>',
        _entry("registry.Registry", 3, "members: false", "show_signature: false"),
        *(_entry(f"registry.Registry.{name}", 4) for name in METHODS),
        *_errors(),
        "## Also public, by module",
        "Imported from the module: `from siamesekit.triplets import all_pairs`.",
        *_option_types(),
    ]
    for module, names in BY_MODULE.items():
        parts += [f"### `siamesekit.{module}` {{ #siamesekit.{module} }}", _about(module),
                  *(_entry(f"{module}.{name}", 4) for name in names)]  # fmt: skip
    parts += [
        "## Version",
        '<span id="siamesekit.__version__">`siamesekit.__version__`</span> is the installed version, as a string.',
    ]
    return "\n\n".join(parts)


def with_linked_errors(html: str) -> str:
    """The page with the names of exceptions linked to their entries, also where a module does not import them."""
    places = {name: f"siamesekit.errors.{name}" for name in exceptions()} | {"Stopped": "siamesekit.stopping.Stopped"}
    names = re.compile(rf"(?<!\">)<code>({'|'.join(places)})</code>")  # none that is a link already
    return names.sub(lambda match: f'<a href="#{places[match[1]]}">{match[0]}</a>', html)


def exceptions() -> list[str]:
    """The names of all exceptions, as the module has them: each after the one it is a kind of."""
    return [name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, Exception)]


def described_options() -> dict[str, tuple[Any, str]]:
    """The types that options are made of: what each is, and the string below it."""
    found = {}
    body = ast.parse(inspect.getsource(options)).body
    for node, below in pairwise(body):
        match node, below:
            case ast.Assign(targets=[ast.Name(id=name)]), ast.Expr(value=ast.Constant(value=str(text))):
                found[name] = (getattr(options, name), text)
    return found


def _errors() -> list[str]:
    drawn = inspect.cleandoc(errors.__doc__ or "").partition("```\n")[2].partition("\n```")[0]
    tree = []
    for line in drawn.splitlines():
        branches, name, said = re.fullmatch(r"([ │├└─]*)(\w+) *(.*)", line).groups()  # type: ignore[union-attr]
        tree.append(f"{branches.translate(INDENT)}- [`{name}`](#siamesekit.errors.{name}){': ' if said else ''}{said}")
    return [
        "## Errors",
        "Everything that is raised on purpose is a `SiamesekitError`. Catch `UserError` for what the user can mend.",
        "\n".join(tree),
        *(_public(name) if name in siamesekit.__all__ else _entry(f"errors.{name}", 3) for name in exceptions()),
    ]


def _option_types() -> list[str]:
    rows = [f"| <span id=\"siamesekit.options.{name}\">`{name}`</span> | {cell(in_words(kind))} | {cell(said)} |"
            for name, (kind, said) in described_options().items()]  # fmt: skip
    return [
        "### `siamesekit.options` { #siamesekit.options }",
        _about("options"),
        "\n".join(["| name | admits | |", "| --- | --- | --- |", *rows]),
        _entry("options.Nested", 4),
    ]


def _about(name: str) -> str:
    """The first sentence of a module's docstring."""
    return next(module.line for module in modules() if module.name == name)


def _public(name: str) -> str:
    return f'<span id="siamesekit.{name}"></span>\n\n' + _entry(f"{siamesekit._PUBLIC[name]}.{name}", 3)


def _entry(place: str, level: int, *more: str) -> str:
    chosen = [f"heading_level: {level}", "show_root_heading: true", *more]
    return "\n".join([f"::: siamesekit.{place}", "    options:", *(f"      {option}" for option in chosen)])
