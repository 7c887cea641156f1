"""What is known of torch.optim without loading it: complete, and true of its live classes."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter

from siamesekit.errors import ComponentError
from siamesekit.registry import registry_of
from siamesekit.registry.adapted import pml, torch_optim
from siamesekit.registry.adapted.torch_optim import UNFIT, class_of, optimizers, schedules
from siamesekit.registry.adapted.torchvision_transforms import augmentations
from siamesekit.registry.signatures import Parameter

OPTIONS = [
    pytest.param(option, id=f"{name}-{option.name}")
    for table in (optimizers(), schedules())
    for name, member in table.items()
    for option in member.options
]


def classes(module: Any, base: type) -> set[str]:
    return {
        name
        for name, value in vars(module).items()
        if inspect.isclass(value) and issubclass(value, base) and value is not base
    }


def test_every_optimizer_and_schedule_is_a_component_or_unfit_with_a_reason() -> None:
    """So that a new version's class is noticed."""
    found = {member.source.rpartition(".")[2] for member in optimizers().values()}
    live = classes(torch.optim, torch.optim.Optimizer)
    assert live == found | (set(UNFIT) & live)
    found = {member.source.rpartition(".")[2] for member in schedules().values()}
    live = classes(torch.optim.lr_scheduler, torch.optim.lr_scheduler.LRScheduler)
    assert live == found | (set(UNFIT) & live)
    assert all(UNFIT.values())


def test_names() -> None:
    assert {"sgd", "adam", "adamw", "rmsprop", "nadam", "radam"} <= set(optimizers())
    assert {"cosine-annealing", "cosine-annealing-warm-restarts", "one-cycle", "multi-step", "step", "linear",
            "polynomial", "cyclic", "constant", "exponential"} <= set(schedules())  # fmt: skip
    for name, member in optimizers().items():
        assert member.source == f"torch.optim.{class_of('Optimizer', name)}"
    for name, member in schedules().items():
        assert member.source == f"torch.optim.lr_scheduler.{class_of('LRScheduler', name)}"
    assert registry_of("optimizer").family("torch").members() == list(optimizers())
    assert registry_of("schedule").family("torch").members() == list(schedules())


@pytest.mark.parametrize("option", OPTIONS)
def test_a_default_is_of_its_option_s_type(option: Parameter) -> None:
    if not option.required:
        checked = TypeAdapter(option.annotation).validate_python(option.default, strict=True)
        assert (checked, type(checked)) == (option.default, type(option.default))


def test_all_that_is_installed_is_understood() -> None:
    """A member that is not takes no other down, so nothing else would tell."""
    kinds = ("losses", "miners", "distances", "reducers", "regularizers", "samplers")
    tables = [optimizers(), schedules(), augmentations(), *(pml.members(kind) for kind in kinds)]
    assert [member.problem for table in tables for member in table.values() if member.problem] == []


def test_a_class_with_a_parameter_of_unknown_type_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    added = [torch_optim.ClassParameter("preconditioner", "none", "Preconditioner")]
    known = torch_optim.parameters_of
    monkeypatch.setattr(
        torch_optim, "parameters_of", lambda name, classes: known(name, classes) + (added if name == "Adam" else [])
    )
    found = torch_optim.optimizers.__wrapped__()
    assert {name for name, member in found.items() if member.problem} == {"adam"}
    assert found["adam"].problem == (
        "torch.optim.Adam cannot be used: the type of Adam's parameter 'preconditioner' is not known: add it to "
        "siamesekit.registry.adapted.torch_optim"
    )


def test_a_parameter_of_unknown_type_is_refused_by_name() -> None:
    with pytest.raises(ComponentError, match="the type of SGD's parameter 'novelty' is not known"):
        torch_optim._option("SGD", torch_optim.ClassParameter("novelty", None, "Callable"))
