"""The public names, each with its docstring by mkdocstrings: a page for each topic, and their contents on one."""

from __future__ import annotations

import ast
import inspect
import re
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import siamesekit
from docs_site.rooms import modules
from docs_site.wording import cell
from siamesekit import errors, options
from siamesekit.registry import REGISTRIES, Registry
from siamesekit.registry.signatures import type_in_words

GROUPS = {
    "Run": ("Check a config and run it, as the command line does.",
            ("load_config", "check", "run", "Config", "Plan", "RunResult", "Progress")),
    "Use a model": ("Embed and compare photos, and find the nearest ones.",
                    ("load", "pretrained", "from_pretrained", "push_to_hub", "Pushed", "SimilarityModel",
                     "Preprocessing", "Comparison", "nearest", "Neighbours",
                     "k_reciprocal", "KReciprocal", "expand_queries", "QueryExpansion")),
    "Networks": ("The modules that are trained, for a training loop of your own.",
                 ("SiameseNetwork", "Encoder", "DistanceLayer", "Backbone")),
    "Losses": ("What training makes small.",
               ("TripletLoss", "ContrastiveLoss", "InfoNCELoss", "MultiSimilarityLoss", "ProxyAnchorLoss",
                "ArcFaceLoss", "CrossBatchMemory", "LossValue")),
    "Distances": ("How far two embeddings are from each other.",
                  ("SquaredEuclidean", "Euclidean", "Cosine", "Manhattan", "Dot", "pairwise")),
    "Miners": ("Which triplets of a batch the loss is of.",
               ("BatchHardMiner", "SemiHardMiner", "EasyPositiveMiner", "DistanceWeightedMiner", "AllTripletsMiner")),
    "Samplers": ("Which photos stand together in a batch.",
                 ("PByKSampler", "AllPairsSampler", "RandomTripletsSampler", "HierarchicalSampler", "MinedSampler",
                  "ShuffledSampler")),
    "Augmentations": ("Random views of photos for training.", ("PhotoId", "Flip", "Crop", "AugmentationSequence")),
    "Encoders and readers": ("Networks by name, and tables of photos.",
                             ("efficientnet_lite0", "miewid", "xception", "read_folder", "read_csv", "read_excel",
                              "read_parquet", "read_coco", "read_megadetector", "read_camtrap_dp",
                              "read_wildlife", "read_wildbook", "read_kaggle_whales", "read_happywhale",
                              "read_noaa_right_whale")),
    "Optimizers": ("How the weights move.", ("adam", "adamw", "sgd", "keras_adam", "KerasAdam")),
    "Schedules": ("How the learning rate changes from step to step.",
                  ("WarmupCosineSchedule", "WarmupLinearSchedule", "StepSchedule", "ExponentialSchedule")),
    "Write components": (
        "What components take and give.",
        ("Record", "Distance", "Loss", "mean_of", "Miner", "Sampler", "Batch", "Augmentation", "Streams", "Schedule",
         "Triplets", "Pairs", "Tuples", "as_pairs", "as_triplets", "positives_of", "count_triplets",
         "load_plugin_file", "Tracker", "TrackedRun", "Tracked", "Epoch"),
    ),
    "Judge a run": ("What its figures say of its training.", ("diagnose",)),
}  # fmt: skip
"""The pages of what is imported from the package: what each is for, and its names."""
BY_MODULE = {
    "components.tuples": ("Positives", "all_pairs"),
    "progress": ("ShownProgress",),
    "evaluation.retrieval": ("RetrievalMetrics", "retrieval_metrics"),
    "evaluation.ranking": ("triplet_accuracy",),
    "evaluation.intervals": ("Interval", "mean_with_interval"),
    "engine.doctor": ("Finding",),
    "experiment.stopping": ("Stop", "Stopped"),
    "plot": ("roc", "reliability", "cmc", "precision_at_k", "learning_curve", "pair_distances", "embedding_map"),
    "runtime": ("load", "OnnxModel"),
}
"""What is public beside `siamesekit.__all__`, `errors` and `options`: what components and scripts need further."""


INDENT = dict.fromkeys(map(ord, "│├└─"), " ")
"""A tree's branches as the indents of a list's items."""
METHODS = ("register", "names", "components", "get", "check", "build")
"""What a registry is asked for; they are all there, nobody makes one."""


@dataclass(frozen=True)
class Part:
    """A page of the reference.

    Attributes:
        slug: of its address, `reference/python/SLUG/`.
        title: its heading.
        about: what its names are for, a sentence.
        names: what is on it, as `(name, anchor, what it is)`, for the contents.
        body: Markdown, without the heading.
    """

    slug: str
    title: str
    about: str
    names: tuple[tuple[str, str, str], ...]
    body: str


def public_names() -> str:
    """The contents of the reference: a table for each of its pages, with a link to each name's entry."""
    lines = []
    for part in parts():
        lines += [f"## [{part.title}](python/{part.slug}.md)", "", part.about, "", "| name | what it is |",
                  "| --- | --- |"]  # fmt: skip
        lines += [f"| [`{name}`](python/{part.slug}.md#{anchor}) | {cell(said)} |" for name, anchor, said in part.names]
        lines.append("")
    return "\n".join(lines)


FOUND_FIRST = "---\nsearch:\n  boost: 2\n---\n"
"""Front matter: who types a function's name into the search sees its entry before the pages that use it."""


def reference_pages() -> dict[str, str]:
    """The pages of the reference, by their path below `docs/`."""
    return {
        f"reference/python/{part.slug}.md": f"{FOUND_FIRST}# {part.title}\n\n"
        f"[Python reference](../python.md)\n\n{part.about}\n\n{part.body}\n"
        for part in parts()
    }


@cache
def parts() -> tuple[Part, ...]:
    """The pages: one for each group, then registries, errors, and what modules offer beside."""
    registries = {registry.variable: registry for registry in REGISTRIES if registry.variable in siamesekit.__all__}
    grouped = {name for _, names in GROUPS.values() for name in names} | set(registries) | {"Registry", *exceptions()}
    rest = tuple(name for name in siamesekit.__all__ if name not in grouped | {"__version__"})
    groups = {**GROUPS, "More": ("What is imported from the package as well.", rest)}
    found = []
    for title, (about, names) in groups.items():
        there = [name for name in names if name in siamesekit.__all__]
        if there:
            told = tuple((name, f"siamesekit.{name}", _first_line(name)) for name in there)
            found.append(Part(_slug(title), title, about, told, "\n\n".join(_public(name) for name in there)))
    return (*found, _registries(registries), _errors(), _by_module())


def with_linked_errors(html: str, slug: str) -> str:
    """A page with the names of exceptions linked to their entries, also where a module does not import them.

    Args:
        html: the page.
        slug: the page's, as in `Part`.
    """
    places = {name: ("errors", f"siamesekit.errors.{name}") for name in exceptions()}
    places["Stopped"] = ("modules", "siamesekit.experiment.stopping.Stopped")
    names = re.compile(rf"(?<!\">)<code>({'|'.join(places)})</code>")  # none that is a link already

    def linked(match: re.Match[str]) -> str:
        page, anchor = places[match[1]]
        return f'<a href="{"" if page == slug else f"../{page}/"}#{anchor}">{match[0]}</a>'

    return names.sub(linked, html)


def _registries(registries: dict[str, Registry]) -> Part:
    rows = "\n".join(
        f'| <span id="siamesekit.{variable}">`siamesekit.{variable}`</span> | {registry.purpose} '
        f"| [{registry.plural}](../../catalogue/{registry.plural}/index.md) |"
        for variable, registry in registries.items()
    )
    body = [
        f"| name | such a component is | catalogue |\n| --- | --- | --- |\n{rows}",
        '<span id="siamesekit.Registry"></span>',
        _entry("registry.Registry", 3, "members: false", "show_signature: false"),
        *(_entry(f"registry.Registry.{name}", 4) for name in METHODS),
    ]
    told = tuple((name, f"siamesekit.{name}", registry.purpose) for name, registry in registries.items())
    return Part(
        "registries",
        "Registries",
        "One of each kind of component that a plugin may write.",
        (*told, ("Registry", "siamesekit.registry.Registry", "What each of them is")),
        "\n\n".join(body),
    )


def _by_module() -> Part:
    body = _option_types()
    told = [("siamesekit.options", "siamesekit.options", _about("options"))]
    for module, names in BY_MODULE.items():
        body += [
            f"### `siamesekit.{module}` {{ #siamesekit.{module} }}",
            _about(module),
            *(_entry(f"{module}.{name}", 4) for name in names),
        ]
        told.append(
            (
                f"siamesekit.{module}",
                f"siamesekit.{module}",
                f"{_about(module)} {', '.join(f'`{name}`' for name in names)}",
            )
        )
    body += [
        "### Version",
        '<span id="siamesekit.__version__">`siamesekit.__version__`</span> is the installed version, as a string.',
    ]
    told.append(("siamesekit.__version__", "siamesekit.__version__", "The installed version"))
    return Part(
        "modules",
        "Also public, by module",
        "Imported from the module: `from siamesekit.components.tuples import all_pairs`.",
        tuple(told),
        "\n\n".join(body),
    )


def _first_line(name: str) -> str:
    """The first line of a public name's docstring; empty of one that has none of its own."""
    value = getattr(siamesekit, name)
    return inspect.cleandoc(getattr(value, "__doc__", None) or "").partition("\n")[0]


def _slug(title: str) -> str:
    return title.lower().replace(" ", "-")


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


def _errors() -> Part:
    drawn = inspect.cleandoc(errors.__doc__ or "").partition("```\n")[2].partition("\n```")[0]
    tree, told = [], []
    for line in drawn.splitlines():
        branches, name, said = re.fullmatch(r"([ │├└─]*)(\w+) *(.*)", line).groups()  # type: ignore[union-attr]
        tree.append(f"{branches.translate(INDENT)}- [`{name}`](#siamesekit.errors.{name}){': ' if said else ''}{said}")
        told.append((name, f"siamesekit.errors.{name}", said))
    body = [
        "Everything that is raised on purpose is a `SiamesekitError`. Catch `UserError` for what the user can mend.",
        "\n".join(tree),
        *(_public(name) if name in siamesekit.__all__ else _entry(f"errors.{name}", 3) for name in exceptions()),
    ]
    return Part("errors", "Errors", "What is raised on purpose.", tuple(told), "\n\n".join(body))


def _option_types() -> list[str]:
    rows = [
        f'| <span id="siamesekit.options.{name}">`{name}`</span> | {cell(type_in_words(kind))} | {cell(said)} |'
        for name, (kind, said) in described_options().items()
    ]
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
