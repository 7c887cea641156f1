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
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from siamesekit.errors import ComponentError, near
from siamesekit.signatures import Parameter, live_parameters, options_model, read_source

Factory = TypeVar("Factory", bound=Callable[..., Any])
_WORDS = {
    "Input should be": "must be",
    "a valid integer": "a whole number",
    "a valid array": "a list",
    "a valid ": "a ",
}
"""Pydantic's words and ours."""
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*(/(\*|[\w.-]+))?")


@dataclass(frozen=True)
class Component:
    """One registered component: its name, options, runtime values, docstring and where it comes from."""

    kind: str
    name: str
    options: tuple[Parameter, ...]
    runtime: tuple[Parameter, ...]
    doc: str
    origin: str
    """A module's name, or a plugin file's path."""
    names: str | None = None
    """Of a family `prefix/*`: `module:function` that lists the models' names."""
    qualname: str = ""

    @property
    def summary(self) -> str:
        """The docstring's first line."""
        return self.doc.partition("\n")[0]

    @property
    def is_family(self) -> bool:
        """Whether the name stands for many models: `timm/*`."""
        return self.name.endswith("/*")

    def signature(self) -> str:
        """The options as they would be written: `margin: Positive = 1.0, …`."""
        return ", ".join(str(option) for option in self.options)

    def model(self) -> type[BaseModel]:
        """The pydantic model of the options."""
        return options_model(self.name, self.options)

    def members(self) -> list[str]:
        """The models of a family, without its prefix; empty for a single component."""
        if self.names is None:
            return []
        module, _, function = self.names.partition(":")
        return list(getattr(importlib.import_module(module), function)())


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

    def register(self, name: str, *, names: str | None = None) -> Callable[[Factory], Factory]:
        """Register the decorated callable under `name` (kebab-case; `prefix/*` for a family of models).

        Args:
            name: as a config names it.
            names: of a family, `module:function` that lists the models' names.

        Raises:
            ComponentError: the name is malformed or taken, or the signature has `*args` or `**kwargs`, which would
                let a misspelt option pass, or an option of unknown type, which would let a wrong value pass.
        """

        def decorate(factory: Factory) -> Factory:
            self._read_shipped()
            module = getattr(factory, "__module__", "?")
            origin = module
            if not module.startswith("siamesekit."):
                origin = inspect.getsourcefile(factory) or module
            owner = self._components.get(name)
            if not _NAME.fullmatch(name):
                raise ComponentError(f"{self.kind} name {name!r} is not kebab-case (letters, digits, hyphens)")
            if name.endswith("/*") and names is None:
                raise ComponentError(f"{self.kind} family {name!r} of {origin} needs names=\"MODULE:FUNCTION\", "
                                     "which lists its models")  # fmt: skip
            if owner is not None and (owner.origin, owner.qualname) != (origin, factory.__qualname__):
                raise ComponentError(
                    f"{self.kind} {name!r} of {origin} is already registered by {owner.origin}: choose another name"
                )
            self._add(name, live_parameters(factory), inspect.getdoc(factory) or "", origin, names,
                      factory.__qualname__)  # fmt: skip
            self._factories[name] = factory
            return factory

        return decorate

    def names(self) -> list[str]:
        """All registered names, sorted; a family stands as `prefix/*`."""
        self._read_shipped()
        return sorted(self._components)

    def components(self) -> list[Component]:
        """All registered components, sorted by name."""
        self._read_shipped()
        return [self._components[name] for name in sorted(self._components)]

    def get(self, name: str) -> Component:
        """The component of this name; `timm/resnet18` gives the family `timm/*`.

        Raises:
            ComponentError: there is none; the message has near matches and all choices.
        """
        self._read_shipped()
        prefix, slash, model = name.partition("/")
        family = self._components.get(f"{prefix}/*") if slash else None
        if name in self._components and not name.endswith("*"):
            return self._components[name]
        if family is None:
            choices = ", ".join(self.names()) or "none"
            raise ComponentError(f"unknown {self.kind} {name!r}{near(name, self.names())}; choices: {choices}")
        members = family.members()
        if model.partition(".")[0] not in members:
            hint = near(model, members)
            raise ComponentError(f"unknown {self.kind} {name!r}: {prefix} has no model {model!r}{hint}; "
                                 f"{len(members)} models: siamesekit list {self.plural} {prefix}")  # fmt: skip
        return family

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
        known = [option.name for option in component.options]
        problems: list[tuple[str, str]] = []
        for key in options:
            if key in self.runtime:
                problems.append((key, f"{key!r} is supplied by the library and cannot be set"))
            elif key not in known:
                choices = ", ".join([*also, *known])
                problems.append((key, f"unknown option of {self.kind} {name!r}{near(key, [*also, *known])}; "
                                      f"choices: {choices}"))  # fmt: skip
        given = {key: value for key, value in options.items() if key in known}
        try:
            model = component.model().model_validate_json(json.dumps(given, default=str))
        except ValidationError as error:
            problems += [(str(next(iter(e["loc"]), "options")), explain(dict(e))) for e in error.errors()]
            return dict(options), problems
        return dict(zip(known, (value for _, value in model), strict=True)), problems

    def build(self, name: str, options: Mapping[str, Any] | None = None, **runtime: Any) -> Any:
        """Build a component from options and the runtime values that its signature asks for.

        Raises:
            ComponentError: unknown name or option, wrong type or value, or a runtime value that is lacking.
        """
        component = self.get(name)
        resolved, problems = self.check(name, options or {})
        if problems:
            lines = "\n".join(f"  {option}: {problem}" for option, problem in problems)
            raise ComponentError(f"{self.kind} {name!r} cannot be built:\n{lines}")
        if component.is_family:
            runtime["model"] = name.partition("/")[2]
        supplied = {p.name: runtime[p.name] for p in component.runtime if p.name in runtime}
        lacking = [p.name for p in component.runtime if p.name not in runtime and p.required]
        if lacking:
            raise ComponentError(f"{self.kind} {name!r} needs {', '.join(lacking)}, which is not there")
        if component.name not in self._factories:
            importlib.import_module(component.origin)
        return self._factories[component.name](**resolved, **supplied)

    def _add(
        self, name: str, parameters: list[Parameter], doc: str, origin: str, names: str | None, qualname: str
    ) -> None:
        for parameter in parameters:
            if parameter.variadic:
                raise ComponentError(
                    f"{self.kind} {name!r} of {origin} takes {parameter.name}: name every option, "
                    "so that a misspelt one is noticed"
                )
        runtime = self.runtime | ({"model"} if name.endswith("/*") else set())
        for parameter in parameters:
            if parameter.name not in runtime and parameter.annotation is Any and "Any" not in parameter.shown:
                raise ComponentError(
                    f"{self.kind} {name!r} of {origin}: the type {parameter.shown} of option {parameter.name!r} is "
                    "not known: import it where the code runs, not for type checking only"
                )
        self._components[name] = Component(
            kind=self.kind,
            name=name,
            options=tuple(p for p in parameters if p.name not in runtime),
            runtime=tuple(p for p in parameters if p.name in runtime),
            doc=doc,
            origin=origin,
            names=names,
            qualname=qualname,
        )

    def _read_shipped(self) -> None:
        if self._shipped_read:
            return
        self._shipped_read = True
        folder = Path(__file__).parent.joinpath(*self.package.split(".")[1:])
        for file in sorted(folder.glob("[!_]*.py")):
            for found in read_source(file, self.variable):
                self._add(found.name, found.parameters, found.doc, f"{self.package}.{file.stem}", found.names,
                          found.qualname)  # fmt: skip


def explain(error: Mapping[str, Any]) -> str:
    """One of pydantic's errors in our words, with the value that was given."""
    if error["type"] == "missing":
        return "is required"
    inner = ".".join(str(part) for part in error["loc"][1:])
    what = str(error["msg"])
    for theirs, ours in _WORDS.items():
        what = what.replace(theirs, ours)
    given = json.dumps(error.get("input"), default=str)
    shown = given if len(given) <= 60 else given[:57] + "..."
    return f"{'item ' + inner + ' ' if inner else ''}{what}, not {shown}"


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
    frozenset({"labels", "groups", "batch_size", "seed"}),
)  # fmt: skip
READERS = Registry(
    "reader", "readers", "where photos and individuals come from", "siamesekit.data.readers", "READERS",
    frozenset({"seed"}),
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
    READERS, AUGMENTATIONS, SAMPLERS, ENCODERS, DISTANCES, MINERS, LOSSES, OPTIMIZERS, SCHEDULES,
)  # fmt: skip
"""All registries, in the order in which a run meets them."""


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
