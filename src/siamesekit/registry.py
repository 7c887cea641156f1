"""Registries: components by name, their signatures as schemas.

A component is a plain callable registered under a kebab-case name:

```python
@LOSSES.register("triplet")
class Triplet:
    def __init__(self, margin: Positive = 1.0, *, distance: Distance) -> None: ...
```

Its options are the parameters of its signature, checked against their types. A few parameters are *runtime
values* (here `distance`): each registry names its own, the library supplies them, and a config cannot set them.

The components that ship with the library are read from their source files without importing them
(`signatures.py`), so names, options and docstrings are known, and every config error is found, before torch
is loaded. The module is imported when a component is built.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from siamesekit.components import Component, Member, refuse_parameters
from siamesekit.errors import ComponentError, near
from siamesekit.installed_plugins import load_installed_plugins
from siamesekit.nested import build_nested, check_nested
from siamesekit.signatures import REQUIRED, Parameter, live_parameters, read_source

__all__ = [
    "AUGMENTATIONS", "DISTANCES", "ENCODERS", "LOSSES", "MINERS", "OPTIMIZERS", "READERS", "REDUCERS", "REGISTRIES",
    "REGULARIZERS", "SAMPLERS", "SCHEDULES", "Component", "Member", "Registry", "registry_of",
]  # fmt: skip

Factory = TypeVar("Factory", bound=Callable[..., Any])
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*(/(\*|[\w.-]+))?")


@dataclass
class Registry:
    """The components of one kind.

    Args:
        kind: singular name, as in `siamesekit show KIND NAME`.
        plural: as in `siamesekit list KINDS`.
        purpose: what such a component does, in half a line.
        package: the library's package whose files register the shipped components.
        variable: the registry's name in source files.
        runtime: parameter names that the library supplies and a config cannot set.
    """

    kind: str
    plural: str
    purpose: str
    package: str
    variable: str
    runtime: frozenset[str]
    _components: dict[str, Component] = field(default_factory=dict, repr=False)
    _factories: dict[str, Callable[..., Any]] = field(default_factory=dict, repr=False)
    _shipped_read: bool = field(default=False, repr=False)

    def register(
        self, name: str, *, names: str | None = None, members: str | None = None
    ) -> Callable[[Factory], Factory]:
        """Register the decorated callable under `name` (kebab-case; `prefix/*` for a family).

        Args:
            name: as a config names it.
            names: of a family of models, `module:function` that lists their names, or maps them to the tags of their
                weights (an empty tuple: not known); the callable takes `model`. A name with `*` stands for all of its
                form.
            members: of a family whose members have options of their own, `module:function` that gives a `Member` for
                each name; the callable takes `model` and `options`.

        Raises:
            ComponentError: the name is malformed or taken, or the signature has `*args` or `**kwargs`, which would
                let a misspelt option pass, or an option of unknown type, which would let a wrong value pass.
        """

        def decorate(factory: Factory) -> Factory:
            self._read_shipped()
            origin = _origin(factory)
            owner = self._components.get(name)
            if not _NAME.fullmatch(name):
                raise ComponentError(f"{self.kind} name {name!r} is not kebab-case (letters, digits, hyphens)")
            if name.endswith("/*") and names is None and members is None:
                raise ComponentError(f"{self.kind} family {name!r} of {origin} needs names=\"MODULE:FUNCTION\", "
                                     "which lists its models")  # fmt: skip
            if owner is not None and (owner.origin, owner.qualname) != (origin, factory.__qualname__):
                raise ComponentError(
                    f"{self.kind} {name!r} of {origin} is already registered by {owner.origin}: choose another name"
                )
            self._add(name, live_parameters(factory), inspect.getdoc(factory) or "", origin, names, members,
                      factory.__qualname__)  # fmt: skip
            self._factories[name] = factory
            return factory

        return decorate

    def names(self) -> list[str]:
        """All registered names, sorted; a family stands as `prefix/*`."""
        self._look_up()
        return sorted(self._components)

    def components(self) -> list[Component]:
        """All registered components, sorted by name."""
        self._look_up()
        return [self._components[name] for name in sorted(self._components)]

    def get(self, name: str) -> Component:
        """The component of this name; `timm/resnet18` gives the family `timm/*`.

        Raises:
            ComponentError: there is none; the message has near matches and all choices.
        """
        self._look_up()
        prefix, slash, model = name.partition("/")
        family = self._components.get(f"{prefix}/*") if slash else None
        if name in self._components and not name.endswith("*"):
            return self._components[name]
        if family is None:
            choices = ", ".join(self.names()) or "none"
            raise ComponentError(f"unknown {self.kind} {name!r}{self._near(name)}; choices: {choices}")
        problem = family.problem_with(model)
        if problem:
            raise ComponentError(f"unknown {self.kind} {name!r}: {problem}")
        return family.member(model)

    def family(self, prefix: str) -> Component:
        """The family `prefix/*`.

        Raises:
            ComponentError: there is none.
        """
        families = {c.name.removesuffix("/*"): c for c in self.components() if c.is_family}
        if prefix not in families:
            raise ComponentError(f"{self.plural} have no family {prefix!r}; families: {', '.join(families) or 'none'}")
        return families[prefix]

    def check(
        self, name: str, options: Mapping[str, Any], also: Iterable[str] = ()
    ) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        """Validate options against the component's signature.

        Args:
            name: the component's name, which must exist.
            options: as they come from TOML.
            also: other keys that may stand in the same table, for suggestions.

        Returns:
            All options with defaults filled in, and the problems as pairs (option, what is wrong).
        """
        component = self.get(name)
        by_name = {option.name: option for option in component.options}
        problems: list[tuple[str, str]] = []
        for key in options:
            if key in by_name:
                continue
            if key in self.runtime:
                problems.append((key, f"{key!r} is supplied by the library and cannot be set"))
            else:
                choices = ", ".join([*also, *by_name])
                problems.append((key, f"unknown option of {self.kind} {name!r}{near(key, [*also, *by_name])}; "
                                      f"choices: {choices}"))  # fmt: skip
        resolved, wrong = component.check_plain({key: value for key, value in options.items() if key in by_name})
        problems += wrong
        for option in component.options:
            if option.nested is not None:
                registry, value = registry_of(option.nested.kind), options.get(option.name, REQUIRED)
                resolved[option.name], wrong = check_nested(option, value, registry)
                problems += wrong
        if problems:
            return dict(options), problems
        return {option.name: resolved[option.name] for option in component.options}, problems

    def build(self, name: str, options: Mapping[str, Any] | None = None, **runtime: Any) -> Any:
        """Build a component, and those nested in it, from options and the runtime values that its signature asks for.

        Raises:
            ComponentError: unknown name or option, wrong type or value, or a runtime value that is lacking.
        """
        component = self.get(name)
        resolved, problems = self.check(name, options or {})
        if problems:
            lines = "\n".join(f"  {option}: {problem}" for option, problem in problems)
            raise ComponentError(f"{self.kind} {name!r} cannot be built:\n{lines}")
        for option in component.options:
            if option.nested is not None and resolved[option.name] is not None:
                registry = registry_of(option.nested.kind)
                resolved[option.name] = build_nested(option, resolved[option.name], registry, runtime)
        if component.family:
            resolved = {"options": resolved}
        if component.is_family or component.family:
            runtime["model"] = name.partition("/")[2]
        supplied = {p.name: runtime[p.name] for p in component.runtime if p.name in runtime}
        lacking = [p.name for p in component.runtime if p.name not in runtime and p.required and p.name != "options"]
        if lacking:
            raise ComponentError(f"{self.kind} {name!r} needs {', '.join(lacking)}, which is not there")
        return self.factory(name)(**resolved, **supplied)

    def factory(self, name: str) -> Callable[..., Any]:
        """The registered callable of this name, its module imported.

        Raises:
            ComponentError: there is none.
        """
        component = self.get(name)
        registered = component.family or component.name
        if registered not in self._factories:
            importlib.import_module(component.origin)
        return self._factories[registered]

    def _near(self, name: str) -> str:
        """Near matches of a name that is not there, families' members included."""
        members = [f"{family.name.removesuffix('*')}{member}" for family in self.components() if family.is_family
                   for member in family.members()]  # fmt: skip
        plain = [member for member in members if member.partition("/")[2] == name]
        return f" (did you mean {plain[0]!r}?)" if plain else near(name, [*self.names(), *members])

    def _add(
        self, name: str, parameters: list[Parameter], doc: str, origin: str, names: str | None, members: str | None,
        qualname: str,
    ) -> None:  # fmt: skip
        runtime = self.runtime | ({"model"} if name.endswith("/*") else set()) | ({"options"} if members else set())
        refuse_parameters(f"{self.kind} {name!r} of {origin}", parameters, runtime)
        self._components[name] = Component(
            kind=self.kind,
            plural=self.plural,
            name=name,
            options=tuple(p for p in parameters if p.name not in runtime),
            runtime=tuple(p for p in parameters if p.name in runtime),
            doc=doc,
            origin=origin,
            names_from=names,
            members_from=members,
            qualname=qualname,
        )

    def _look_up(self) -> None:
        """Before a name is looked up: the library's own components are read, and installed plugins loaded."""
        self._read_shipped()
        for failure in load_installed_plugins():
            warnings.warn(failure, stacklevel=3)

    def _read_shipped(self) -> None:
        if self._shipped_read:
            return
        self._shipped_read = True
        folder = Path(__file__).parent.joinpath(*self.package.split(".")[1:])
        for file in sorted(folder.glob("[!_]*.py")):
            for found in read_source(file, self.variable):
                self._add(found.name, found.parameters, found.doc, f"{self.package}.{file.stem}", found.names,
                          found.members, found.qualname)  # fmt: skip


ENCODERS = Registry(
    "encoder", "encoders", "image to feature vector", "siamesekit.encoders", "ENCODERS",
    frozenset({"pretrained"}),
)  # fmt: skip
DISTANCES = Registry(
    "distance", "distances", "how far two embeddings are apart", "siamesekit.distances", "DISTANCES",
    frozenset(),
)  # fmt: skip
MINERS = Registry(
    "miner", "miners", "which triplets of a batch train", "siamesekit.miners", "MINERS",
    frozenset({"distance", "seed"}),
)  # fmt: skip
LOSSES = Registry(
    "loss", "losses", "what training minimises", "siamesekit.losses", "LOSSES",
    frozenset({"distance", "embedding_dim", "num_classes"}),
)  # fmt: skip
AUGMENTATIONS = Registry(
    "augmentation", "augmentations", "what view of a photo trains", "siamesekit.data.augmentations", "AUGMENTATIONS",
    frozenset(),
)  # fmt: skip
SAMPLERS = Registry(
    "sampler", "samplers", "which photos meet in a batch", "siamesekit.data.samplers", "SAMPLERS",
    frozenset({"labels", "groups", "batch_size", "seed", "distance"}),
)  # fmt: skip
READERS = Registry(
    "reader", "readers", "where photos and individuals come from", "siamesekit.data.readers", "READERS",
    frozenset({"seed"}),
)  # fmt: skip
REDUCERS = Registry(
    "reducer", "reducers", "from a loss's terms to one number", "siamesekit.reducers", "REDUCERS",
    frozenset(),
)  # fmt: skip
REGULARIZERS = Registry(
    "regularizer", "regularizers", "what a loss adds for embeddings or weights", "siamesekit.regularizers",
    "REGULARIZERS", frozenset({"embedding_dim", "num_classes"}),
)  # fmt: skip
SCHEDULES = Registry(
    "schedule", "schedules", "how the learning rate goes", "siamesekit.schedules", "SCHEDULES",
    frozenset({"steps", "steps_per_epoch", "lr"}),
)  # fmt: skip
OPTIMIZERS = Registry(
    "optimizer", "optimizers", "how weights move", "siamesekit.optimizers", "OPTIMIZERS",
    frozenset({"params"}),
)  # fmt: skip

REGISTRIES: tuple[Registry, ...] = (
    READERS, AUGMENTATIONS, SAMPLERS, ENCODERS, DISTANCES, MINERS, LOSSES, REDUCERS, REGULARIZERS, OPTIMIZERS,
    SCHEDULES,
)  # fmt: skip
"""All registries, in the order in which a run meets them."""


def _origin(factory: Callable[..., Any]) -> str:
    """Where a component comes from: the library's module, or its own file; a session's cells are `__main__`.

    What a notebook or a prompt defines anew takes the place of what it defined before.
    """
    module = getattr(factory, "__module__", None) or "?"
    if module.startswith("siamesekit.") or (module == "__main__" and not hasattr(sys.modules[module], "__file__")):
        return module
    try:
        return inspect.getsourcefile(factory) or module
    except (OSError, TypeError):  # code without a file, a callable that is neither a function nor a class
        return module


def registry_of(kind: str) -> Registry:
    """The registry called `kind`, singular or plural.

    Raises:
        ComponentError: there is no such kind.
    """
    for registry in REGISTRIES:
        if kind in (registry.kind, registry.plural):
            return registry
    plurals = [registry.plural for registry in REGISTRIES]
    raise ComponentError(f"unknown kind {kind!r}{near(kind, plurals)}; choices: {', '.join(plurals)}")
