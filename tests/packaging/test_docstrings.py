"""Every public thing says what it is, what takes tensors says their shapes, and the examples are run."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

import siamesekit

ROOT = Path(siamesekit.__file__).parent
FILES = {
    ".".join(("siamesekit", *file.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): file
    for file in sorted(ROOT.rglob("*.py"))
}
TENSOR = re.compile(r"\b(Tensor|NDArray|ndarray|Floats)\b")
SHAPE = re.compile(r"`[^`]*\[[^`]*\][^`]*`")
"""A shape in backticks: `[N, D]`, or after a name, `a [N, D]`."""
NO_TENSORS = {
    "siamesekit.engine.frozen.feature_cache.FeatureStore.make": "takes no tensors but a function that is to fill some",
}
"""What has a tensor in its annotations and takes none."""


class Definition(NamedTuple):
    """A public class, function or method."""

    name: str
    doc: str | None
    of_class: str
    """The docstring of the class it belongs to, or an empty string."""
    takes: str
    """The annotations of its arguments."""


def definitions(body: list[ast.stmt], name: str, of_class: str) -> Iterator[Definition]:
    """All that are public; of those with underscores only `__call__`, whose class may speak for it."""
    for node in body:
        if isinstance(node, ast.If | ast.Try):
            yield from definitions([*node.body, *node.orelse], name, of_class)
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if node.name.startswith("_") and node.name != "__call__":
            continue
        full, doc = f"{name}.{node.name}", ast.get_docstring(node)
        if isinstance(node, ast.ClassDef):
            yield Definition(full, doc, "", "")
            yield from definitions(node.body, full, doc or "")
        else:
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            taken = " ".join(ast.unparse(each.annotation) for each in arguments if each.annotation)
            yield Definition(full, doc, of_class, taken)


@cache
def public() -> dict[str, Definition]:
    """All public definitions of the package by their dotted names."""
    return {
        found.name: found
        for module, file in FILES.items()
        for found in definitions(ast.parse(file.read_text(encoding="utf-8")).body, module, "")
    }


def lacks_shape(found: Definition) -> bool:
    """Whether it takes tensors and says no shape; for `__call__` and `forward` the class may say it."""
    by_class = found.name.endswith((".__call__", ".forward"))
    said = (found.doc or "") + (found.of_class if by_class else "")
    return TENSOR.search(found.takes) is not None and SHAPE.search(said) is None


@pytest.mark.medium
def test_the_walk_finds_what_is_there() -> None:
    """The oracle itself: known definitions, and one of each kind that is at fault."""
    assert {"siamesekit.components.losses.triplet.TripletLoss.__call__", "siamesekit.model.Encoder.forward"} <= set(
        public()
    )
    assert len(public()) > 400
    bad = ast.parse(
        "def f(a: Tensor) -> None:\n    'No [N, D].'\n"
        "class C:\n    def g(self, a: NDArray[int]): ...\n    def _h(self): ...\n"
        "def good(a: Tensor) -> None:\n    'A sum: `[N]`.'\n"
    )
    found = {each.name: each for each in definitions(bad.body, "m", "")}
    assert list(found) == ["m.f", "m.C", "m.C.g", "m.good"]
    assert [name for name, each in found.items() if each.doc is None] == ["m.C", "m.C.g"]
    assert [name for name, each in found.items() if lacks_shape(each)] == ["m.f", "m.C.g"]


@pytest.mark.medium
def test_every_public_thing_has_a_docstring() -> None:
    assert [name for name, found in public().items() if not (found.doc or "").strip()] == []
    assert [module for module, file in FILES.items() if not ast.get_docstring(ast.parse(file.read_text("utf-8")))] == []


def test_what_takes_tensors_says_their_shapes() -> None:
    """Exactly these exceptions: one that is no longer needed must go from the list."""
    assert {name for name, found in public().items() if lacks_shape(found)} == set(NO_TENSORS)


class Finder(doctest.DocTestFinder):
    """Finds the examples of public classes too, which say that they are of `siamesekit` itself."""

    def _from_module(self, module: object, object: object) -> bool:
        written_here = f"class {getattr(object, '__name__', '')}" in inspect.getsource(module)  # type: ignore[arg-type]
        public = getattr(object, "__module__", "") == "siamesekit"
        return written_here if public else bool(super()._from_module(module, object))


EXAMPLES = [module for module, file in FILES.items() if ">>> " in file.read_text(encoding="utf-8")]


@pytest.mark.medium
@pytest.mark.parametrize("module", EXAMPLES)
def test_the_examples_of_docstrings_print_what_they_say(module: str) -> None:
    runner, found = doctest.DocTestRunner(), importlib.import_module(module)
    for test in Finder().find(found, module):
        runner.run(test)
    result = runner.summarize()
    assert result.attempted > 0
    assert result.failed == 0, "see the output above"


def test_the_main_functions_have_examples() -> None:
    shown = {name for name, found in public().items() if ">>> " in (found.doc or "")}
    assert {
        "siamesekit.components.distances.cosine.cosine",
        "siamesekit.components.distances.distance.pairwise",
        "siamesekit.components.distances.euclidean.euclidean",
        "siamesekit.components.losses.contrastive.contrastive_loss",
        "siamesekit.components.losses.triplet.triplet_loss",
        "siamesekit.evaluation.retrieval.retrieval_metrics",
        "siamesekit.components.miners.batch_hard.batch_hard",
        "siamesekit.components.distances.nearest.nearest",
        "siamesekit.components.tuples.as_pairs",
        "siamesekit.components.tuples.as_triplets",
        "siamesekit.components.tuples.count_triplets",
    } <= shown
