"""Each adapted class is told in a sentence, in tables of names and on its page."""

import re

import pytest

from siamesekit.config.describe.components import summary_of_member
from siamesekit.config.schema import concrete
from siamesekit.registry import REGISTRIES, Component
from siamesekit.registry.adapted.summaries import PML, TORCH, introduction

ADAPTED = [
    pytest.param(component, id=f"{component.kind}-{component.name}")
    for registry in REGISTRIES
    for component in concrete(registry)
    if component.source
]


@pytest.mark.parametrize("component", ADAPTED)
def test_a_member_says_what_it_does(component: Component) -> None:
    adapted, colon, said = summary_of_member(component).partition(": ")
    assert component.source.endswith(f".{adapted}")
    assert colon, f"{adapted} needs a sentence in adapted/summaries.py"
    assert len(said.split()) >= 4
    assert not re.match(r"(Implement|modified from|Issue)", said), "that says where it is from and not what it does"


def test_only_classes_that_are_there_are_described() -> None:
    names = {component.values[0].source.rpartition(".")[2] for component in ADAPTED}
    assert set(PML) | set(TORCH) <= names


@pytest.mark.parametrize("sentence", [*PML.values(), *TORCH.values()])
def test_a_sentence_is_one_line_that_ends(sentence: str) -> None:
    assert re.fullmatch(r"[A-Z][^\n]{15,119}\.", sentence)


def test_a_class_that_is_not_known_is_named_alone() -> None:
    assert introduction("New", "PyTorch", TORCH) == "`New` of PyTorch."
    assert introduction("SGD", "PyTorch", TORCH).startswith("`SGD` of PyTorch. Stochastic gradient descent,")
