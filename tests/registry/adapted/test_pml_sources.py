"""What is known of pytorch-metric-learning without importing it: complete, and true of its live classes."""

from __future__ import annotations

import ast
import inspect
from importlib import import_module
from typing import Any, get_args

import pytest
from pydantic import TypeAdapter

from siamesekit.errors import ComponentError
from siamesekit.registry import registry_of
from siamesekit.registry.adapted import pml
from siamesekit.registry.adapted.pml import BASES, PACKAGE, UNFIT, facts, members, name_of
from siamesekit.registry.signatures import Parameter

EXPECTED_NAMES = {
    "losses": {
        "AngularLoss": "angular", "ArcFaceLoss": "arcface", "CosFaceLoss": "cosface", "SphereFaceLoss": "sphereface",
        "NTXentLoss": "nt-xent", "NCALoss": "nca", "NPairsLoss": "n-pairs", "FastAPLoss": "fast-ap",
        "SmoothAPLoss": "smooth-ap", "ProxyNCALoss": "proxy-nca", "PNPLoss": "pnp", "MultipleLosses": "multiple",
        "CrossBatchMemory": "cross-batch-memory", "MultiSimilarityLoss": "multi-similarity", "VICRegLoss": "vicreg",
        "P2SGradLoss": "p2s-grad", "SupConLoss": "supcon", "SoftTripleLoss": "soft-triple",
        "SignalToNoiseRatioContrastiveLoss": "signal-to-noise-ratio-contrastive",
    },
    "miners": {"HDCMiner": "hdc", "BatchEasyHardMiner": "batch-easy-hard", "PairMarginMiner": "pair-margin"},
    "distances": {"LpDistance": "lp", "SNRDistance": "snr", "CosineSimilarity": "cosine-similarity"},
    "reducers": {"AvgNonZeroReducer": "avg-non-zero", "MeanReducer": "mean"},
    "regularizers": {"LpRegularizer": "lp", "SparseCentersRegularizer": "sparse-centers"},
    "samplers": {"MPerClassSampler": "m-per-class", "FixedSetOfTriplets": "fixed-set-of-triplets"},
}  # fmt: skip
ABSTRACT = {
    "BaseMetricLossFunction", "BaseLossWrapper", "BaseMiner", "BaseDistance", "BaseReducer", "BaseRegularizer",
    "EmbeddingRegularizerMixin", "WeightRegularizerMixin",
}  # fmt: skip
"""What is exported and is nothing by itself."""
OPTIONS = [
    pytest.param(kind, name, option, id=f"{kind}-{name}-{option.name}")
    for kind in BASES
    for name, member in members(kind).items()
    for option in member.options
]


def exported(kind: str) -> set[str]:
    """The classes that a package of pytorch-metric-learning exports, as Python sees it."""
    module = import_module(f"{PACKAGE}.{kind}")
    return {name for name, value in vars(module).items() if inspect.isclass(value)}


@pytest.mark.parametrize("kind", BASES)
def test_every_exported_class_is_a_component_or_unfit_with_a_reason(kind: str) -> None:
    """So that a new version's class is noticed."""
    components = {member.source.rpartition(".")[2] for member in members(kind).values()}
    unfit = {name for name, reason in UNFIT.items() if reason}
    assert exported(kind) - ABSTRACT == components | (unfit & exported(kind))
    assert components & (unfit | ABSTRACT) == set()


def test_every_unfit_class_is_there() -> None:
    """One that is gone from pytorch-metric-learning must go from the list."""
    assert set(UNFIT) <= {name for kind in BASES for name in exported(kind)}


@pytest.mark.parametrize("kind", BASES)
def test_a_class_has_one_name_in_kebab_case(kind: str) -> None:
    for class_name, name in EXPECTED_NAMES[kind].items():
        assert members(kind)[name].source == f"{PACKAGE}.{kind}.{class_name}"
        assert name_of(kind, class_name) == name
    sources = [member.source for member in members(kind).values()]
    assert len(set(sources)) == len(sources)


@pytest.mark.parametrize("kind", BASES)
def test_the_registry_has_the_members(kind: str) -> None:
    assert registry_of(kind).family("pml").members() == list(members(kind))
    assert getattr(pml, kind)() is members(kind)


@pytest.mark.parametrize(("kind", "name", "option"), OPTIONS)
def test_a_default_is_of_its_option_s_type(kind: str, name: str, option: Parameter) -> None:
    """To the type itself: 1 is no default of a float."""
    if not option.required and option.nested is None:
        checked = TypeAdapter(option.annotation).validate_python(option.default, strict=True)
        assert (checked, type(checked)) == (option.default, type(option.default))


@pytest.mark.parametrize(("kind", "name", "option"), OPTIONS)
def test_a_type_is_told_in_words_and_is_no_guess(kind: str, name: str, option: Parameter) -> None:
    assert option.annotation is not Any
    assert option.shown
    if option.default is None:
        assert option.shown.endswith("| None")


def compared_with(class_name: str, kind: str, attribute: str) -> set[str]:
    """The strings that a class's code compares an attribute or parameter with."""
    tree = ast.parse(inspect.getsource(getattr(import_module(f"{PACKAGE}.{kind}"), class_name)))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and ast.unparse(node.left).removeprefix("self.") == attribute:
            found |= {
                each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str)
            }
    return found


def choices_of(kind: str, name: str, option: str) -> set[str]:
    """The strings that an option of ours may be."""
    (found,) = [each for each in members(kind)[name].options if each.name == option]
    return {
        each
        for part in (found.annotation, *get_args(found.annotation))
        for each in get_args(part)
        if isinstance(each, str)
    }


def test_choices_are_all_that_the_classes_know() -> None:
    """Read off their own code, so that a choice that a new version adds is noticed."""
    assert choices_of("miners", "triplet-margin", "type_of_triplets") == {
        "all",
        *compared_with("TripletMarginMiner", "miners", "type_of_triplets"),
    }
    strategies = import_module(f"{PACKAGE}.miners").BatchEasyHardMiner.all_batch_mining_strategies
    for option in ("pos_strategy", "neg_strategy"):
        assert choices_of("miners", "batch-easy-hard", option) == set(strategies)
    assert choices_of("losses", "pnp", "variant") == set(import_module(f"{PACKAGE}.losses").PNPLoss.VARIANTS)
    for name in ("triplet-margin", "margin"):
        assert choices_of("losses", name, "triplets_per_anchor") == {"all"}
    assert choices_of("samplers", "hierarchical", "samples_per_class") == {
        *compared_with("HierarchicalSampler", "samplers", "samples_per_class")
    }


LIMITS = {
    ("losses", "ranked-list", "imbalance"): [0.0, 1.0],
    ("losses", "ranked-list", "Tn"): [-3.0, 0.0, 3.0],
    ("losses", "ranked-list", "Tp"): [-3.0, 0.0, 3.0],
    ("losses", "contrastive", "pos_margin"): [-1.0, 2.0],
    ("losses", "contrastive", "neg_margin"): [-1.0, 2.0],
    ("losses", "triplet-margin", "margin"): [-1.0, 3.0],
    ("losses", "multi-similarity", "base"): [-1.0, 1.0],
    ("miners", "triplet-margin", "margin"): [-1.0, 3.0],
    ("miners", "hdc", "filter_percentage"): [0.0, 1.0],
    ("regularizers", "sparse-centers", "centers_per_class"): [2],
}
"""Values at the ends of what makes sense to a class, which its option takes."""


@pytest.mark.parametrize(("kind", "name", "option"), LIMITS)
def test_an_option_takes_what_its_class_takes(kind: str, name: str, option: str) -> None:
    (found,) = [each for each in members(kind)[name].options if each.name == option]
    for value in LIMITS[kind, name, option]:
        assert TypeAdapter(found.annotation).validate_python(value, strict=True) == value


def test_facts_say_what_a_class_takes() -> None:
    by_class = {name for name in members("losses") if facts("losses", name).by_class}
    assert by_class == {
        "arcface", "cosface", "sphereface", "sub-center-arcface", "large-margin-softmax", "normalized-softmax",
        "p2s-grad", "proxy-anchor", "proxy-nca", "soft-triple", "manifold",
    }  # fmt: skip
    assert {name for name in members("losses") if facts("losses", name).two_views} == {"vicreg", "self-supervised"}
    assert {name for name in members("losses") if not facts("losses", name).takes_labels} == {
        "vicreg",
        "self-supervised",
        "manifold",
    }
    no_tuples = {name for name in members("losses") if not facts("losses", name).takes_tuples}
    assert no_tuples == by_class | {"vicreg", "self-supervised", "pnp", "ranked-list"}
    assert facts("losses", "margin").runtime == ("num_classes",)
    assert set(facts("losses", "cross-batch-memory").runtime) == {"embedding_size"}
    assert set(facts("samplers", "m-per-class").runtime) == {"labels", "batch_size"}


def test_without_the_package_the_families_are_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(package: str) -> Any:
        raise ComponentError(f"the package {package} is not installed")

    monkeypatch.setattr(pml, "package_folder", missing)
    members.cache_clear()
    try:
        assert members("losses") == {}
    finally:
        members.cache_clear()


def test_a_parameter_of_unknown_type_is_refused_by_name() -> None:
    """As a new version's may be: nothing is guessed."""
    unknown = pml.ClassParameter("novelty", None, "")
    with pytest.raises(ComponentError, match="the type of TripletMarginLoss's parameter 'novelty' is not known"):
        pml._option("TripletMarginLoss", unknown)
