"""Hundreds of configs of any components with extreme options: each is planned or refused, soon and in bounded memory.

They are checked in a process of its own with a limit of memory: what would take absurdly much of it must be refused.
"""

from __future__ import annotations

import json
import random
import sys
import types
import typing
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fuzzing import bound_memory, bound_time, run_child
from siamesekit.config.tables import NESTED_TABLES, TABLES, Table
from siamesekit.config.toml import dump_toml
from siamesekit.errors import UserError
from siamesekit.registry import REGISTRIES, Registry, registry_of

COUNT, FIRST = 600, 150
SECONDS = 20.0
"""Of CPU time that one check may take."""
WALL = 120
"""Seconds after which a check counts as hanging, however busy the machine is."""
ROOM = 2 << 30
"""Bytes of address space beyond what checking the good config has taken."""
TINY = """\
from torch import nn

from siamesekit import ENCODERS, Backbone
from siamesekit.options import Count


@ENCODERS.register("tiny")
def tiny(width: Count = 4, *, pretrained: bool = False) -> Backbone:
    network = nn.Sequential(nn.Conv2d(3, width, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return Backbone(network, width, (127.5,) * 3, (127.5,) * 3)
"""
GOOD: dict[str, Any] = {
    "plugins": ["tiny.py"],
    "data": {"reader": "folder", "root": "photos", "size": 8},
    "split": {"train": 0.7},
    "encoder": {"name": "tiny", "weights": "random", "head": {"layers": [6]}},
    "sampler": {"name": "p-by-k", "individuals": 3, "photos": 2},
    "train": {"epochs": 2},
}
FLOATS = (0.0, 1e-320, 1e-30, 1e-3, 0.5, 1.0, 1.5, 3.0, 1e4, 1e30, 1e308, -1e-3, -1.0, -1e308)
INTEGERS = (0, 1, 2, 3, 5, 8, 100, 10**4, 10**6, 10**9, 2**31, 2**62, -1)
TEXTS = ("", "x", "0", "conv1", "head", "a/b", "\n", "ü" * 300)


def photos(folder: Path) -> None:
    """Six individuals with four photos of 8 × 8 pixels each."""
    for individual in range(6):
        (folder / f"i{individual}").mkdir(parents=True)
        for photo in range(4):
            pixels = np.random.default_rng([individual, photo]).integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"i{individual}" / f"{photo}.png")


def extreme(annotation: Any, rng: random.Random) -> Any:
    """A value of a type, often at the edge of what it can be, or beyond; None where a key is better left out."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return extreme(inner[0], rng)
    if origin is typing.Literal:
        return rng.choice(inner)
    if origin in (typing.Union, types.UnionType):
        return extreme(rng.choice(inner), rng)
    if origin is tuple and inner[-1:] != (...,):
        return [extreme(part, rng) for part in inner]
    if origin in (tuple, list):
        return [extreme(inner[0], rng) for _ in range(rng.choice((0, 1, 2, 4, 40)))]
    choices: dict[Any, tuple[Any, ...]] = {float: FLOATS, int: INTEGERS, bool: (True, False), str: TEXTS}
    return rng.choice(choices.get(annotation, (None,)))


def any_component(registry: Registry, rng: random.Random, key: str = "name", depth: int = 0) -> dict[str, Any]:
    """A table of any component of a kind, a few of its options extreme, nested ones any components again."""
    names = [name for component in registry.components()
             for name in ([f"{component.name.removesuffix('*')}{member}" for member in component.members()]
                          if component.is_family else [component.name])]  # fmt: skip
    name = rng.choice(names)
    table: dict[str, Any] = {key: name}
    for option in registry.get(name).options:
        if option.nested is not None:
            if (option.required or rng.random() < 0.4) and depth < 3:
                several = [
                    any_component(registry_of(option.nested.kind), rng, depth=depth + 1)
                    for _ in range(rng.choice((0, 1, 2)) if option.many else 1)
                ]
                table[option.name] = several if option.many else several[0]
        elif option.required or rng.random() < 0.3:
            table[option.name] = extreme(option.annotation, rng)
    return table


def own_keys(model: type[Table], rng: random.Random) -> dict[str, Any]:
    """One or two of a table's own keys, extreme."""
    hints = typing.get_type_hints(model, include_extras=True)
    others = ("options", model.component_key, "stand_in", "head", "weights")
    keys = [
        key
        for key in model.model_fields
        if key not in others and not (isinstance(hints[key], type) and issubclass(hints[key], Table))
    ]
    return {key: extreme(hints[key], rng) for key in rng.sample(keys, min(len(keys), rng.choice((1, 1, 2))))}


def mutant(number: int) -> dict[str, Any]:
    """A config of any components with a few extreme options: the same for the same number."""
    rng = random.Random(number)
    document: dict[str, Any] = json.loads(json.dumps(GOOD))
    stages = ["distance", "sampler", "miner", "loss", "optimizer", "schedule", "augmentation", "projection"]
    for stage in rng.sample(stages, rng.choice((1, 1, 2, 3))):
        registry = TABLES[stage].registry
        assert registry is not None
        document[stage] = any_component(registry, rng)
    if rng.random() < 0.4:
        stage = rng.choice(list(TABLES))
        if stage in document or stage in ("distance", "loss", "optimizer", "evaluation", "save"):
            document.setdefault(stage, {}).update(own_keys(TABLES[stage], rng))
    if rng.random() < 0.25:
        document["encoder"]["head"].update(own_keys(NESTED_TABLES["encoder", "head"], rng))
    if rng.random() < 0.1:
        document["encoder"]["width"] = rng.choice(INTEGERS)
    return document


def outcome(folder: Path, document: dict[str, Any]) -> str:
    """What checking gives: "planned", "refused", or in words what must not be."""
    import torch

    from siamesekit.components.augmentations.augmentation import augment
    from siamesekit.config import load_config
    from siamesekit.experiment.plan import Plan
    from siamesekit.experiment.running import check
    from siamesekit.registry import AUGMENTATIONS, OPTIMIZERS, SCHEDULES

    (folder / "c.toml").write_text(dump_toml(document), encoding="utf-8")
    try:
        config = load_config(folder / "c.toml")
        plan = check(config, "cpu", "fp32")
        if not isinstance(plan, Plan):
            return f"BAD gives {plan!r}"
        # what `check` leaves to `run`
        weight = torch.nn.Parameter(torch.ones(4, 3))
        for table in (config.optimizer, config.loss.optimizer):
            if table is not None:
                optimizer = OPTIMIZERS.build(table.component, table.options, params=[weight])
                weight.grad = torch.ones_like(weight)
                optimizer.step()
        if config.schedule is not None:
            schedule = SCHEDULES.build(
                config.schedule.component, config.schedule.options, steps=40, steps_per_epoch=8, lr=0.1
            )
            for step in range(40):
                if not schedule(step) >= 0:
                    return f"BAD factor {schedule(step)} at step {step}"
        if config.augmentation is not None:
            augmentation = AUGMENTATIONS.build(config.augmentation.component, config.augmentation.options)
            images = torch.randint(0, 256, (3, 3, 8, 8), dtype=torch.uint8)
            views = augment(augmentation, images, torch.arange(3), 1, 0, config.seed)
            if views.shape != images.shape:
                return f"BAD views {tuple(views.shape)}"
    except UserError as error:
        told = str(error)
        return "refused" if told.strip() and "Traceback" not in told else f"BAD words: {told!r}"
    except BaseException as error:
        return f"BAD {type(error).__name__}: {error}"
    return "planned"


def child(folder: Path, first: int, last: int) -> dict[str, Any]:
    """Check mutants `first` … `last` − 1: counts by outcome, what must not be, the longest time."""
    import torch

    torch.set_num_threads(1)
    photos(folder / "photos")
    (folder / "tiny.py").write_text(TINY)
    assert outcome(folder, GOOD) == "planned"
    bound_memory(ROOM)
    timed = bound_time(WALL)
    counts: Counter[str] = Counter()
    bad, slowest = [], (0.0, -1)
    for number in range(first, last):
        document = mutant(number)
        found, seconds = timed(partial(outcome, folder, document))
        slowest = max(slowest, (seconds, number))
        counts["BAD" if found.startswith("BAD") else found] += 1
        if found.startswith("BAD") or seconds > SECONDS:
            shown = json.dumps({key: value for key, value in document.items() if value != GOOD.get(key)})
            bad.append(f"{number}, {seconds:.1f} s: {found[:300]} | {shown[:600]}")
            print(bad[-1], file=sys.stderr, flush=True)
    return {"counts": dict(counts), "bad": bad, "slowest": slowest}


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory by RLIMIT_AS")
@pytest.mark.parametrize(
    ("first", "last"),
    [
        pytest.param(0, FIRST, marks=[pytest.mark.slow, pytest.mark.timeout(600)]),
        pytest.param(FIRST, COUNT, marks=[pytest.mark.huge, pytest.mark.timeout(1200)]),
    ],
    ids=["first", "the rest"],
)
def test_any_options_are_planned_or_refused(tmp_path: Path, first: int, last: int) -> None:
    told, _ = run_child(__file__, tmp_path / "project", first, last)
    assert told["bad"] == []
    assert min(told["counts"]["planned"], told["counts"]["refused"]) > 0.1 * (last - first)


PLAIN = ("evaluation", "report", "check", "save", "track")
"""Tables whose options other tests vary."""


def test_the_mutants_have_components_of_every_stage() -> None:
    used = Counter(stage for number in range(COUNT) for stage in mutant(number))
    assert all(used[stage] > 0.1 * COUNT for stage in TABLES if stage not in PLAIN)
    losses = {mutant(number).get("loss", {}).get("name") for number in range(COUNT)}
    assert len(losses) > 25
    assert {registry.kind for registry in REGISTRIES} >= {"loss", "miner"}


if __name__ == "__main__":
    print(json.dumps(child(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
