"""Registries: components by name, their signatures as schemas.

A component is a plain callable registered under a kebab-case name:

```python
@LOSSES.register("triplet")
class TripletLoss:
    def __init__(self, margin: Positive = 1.0, *, distance: Distance) -> None: ...
```

Its options are the parameters of its signature. Their types are checked in configs and in Python alike:
`TripletLoss(margin=-1)` is refused just as `margin = -1` is. A few parameters are *runtime values*, here `distance`:
each registry names its own, a run supplies them, and a config cannot set them.

The library's own components are read from their source files without importing them (`signatures.py`). So names,
options and docstrings are known, and every config error is found, before torch is loaded. A component's module is
imported when the component is built.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from siamesekit.errors import ComponentError
from siamesekit.registry.component import Component, Member, named_function, refuse_parameters
from siamesekit.registry.component_faults import is_own, naming
from siamesekit.registry.construction import Registered, remember_member, with_checks
from siamesekit.registry.installed_plugins import load_installed_plugins
from siamesekit.registry.nested import Problem, brief, build_nested, check_nested, component_from
from siamesekit.registry.signatures import REQUIRED, Parameter, live_parameters, read_source
from siamesekit.wording import did_you_mean, near

__all__ = [
    "AUGMENTATIONS", "DISTANCES", "ENCODERS", "LOSSES", "MINERS", "OPTIMIZERS", "PROJECTIONS", "READERS", "REDUCERS",
    "REGISTRIES", "REGULARIZERS", "SAMPLERS", "SCHEDULES", "STORES", "TRACKERS", "Component", "Member", "Registry",
    "registry_of",
]  # fmt: skip

Factory = TypeVar("Factory", bound=Callable[..., Any])
ADAPTED = "siamesekit.components.adapted"
OF_PML = f"{ADAPTED}.pml"
"""Packages whose files register components of other libraries, for several kinds."""
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*(/(\*|[\w.-]+))?")


@dataclass(repr=False)
class Registry:
    """The components of one kind.

    Args:
        kind: singular name, as in `siamesekit show KIND NAME`.
        plural: plural name, as in `siamesekit list KINDS`.
        purpose: what the components do, in half a line.
        package: package whose files register the library's own components; empty if there is none.
        variable: name of the registry in source files.
        runtime: names of the parameters that the library supplies and a config cannot set.
        refuses_left: `module:function` that refuses unused runtime values which must not be ignored. It is called with
            a component's name, the built component, and the runtime values from Python that the component does not
            take.
        accept: `module:function` that checks or converts what a plugin's component returned. It is called with the
            returned object, the component, and the runtime values.
        adapters: package whose files register components of other libraries, for several kinds.
    """

    __module__ = "siamesekit"

    kind: str
    plural: str
    purpose: str
    package: str
    variable: str
    runtime: frozenset[str]
    refuses_left: str = ""
    accept: str = ""
    adapters: str = ""
    _components: dict[str, Component] = field(default_factory=dict, repr=False)
    _factories: dict[str, Callable[..., Any]] = field(default_factory=dict, repr=False)
    _shipped_read: bool = field(default=False, repr=False)

    def __repr__(self) -> str:
        return f"Registry({len(self.names())} {self.plural}: {self.purpose})"

    def register(
        self, name: str, *, names: str | None = None, members: str | None = None
    ) -> Callable[[Factory], Factory]:
        """Register the decorated callable under `name` (kebab-case; `prefix/*` for a family).

        Each call then checks its arguments: options as in a config, and the runtime value `distance` may be a name.
        Objects of a registered class show their arguments, unless the class has its own `__repr__`.

        Args:
            name: name in configs.
            names: for a family of models, the `module:function` that lists their names, or maps them to the tags of
                their weights (an empty tuple if unknown). The callable takes `model`. A name with `*` is a pattern.
            members: for a family whose members have their own options, the `module:function` that returns a `Member`
                for each name. The callable takes `model` and `options`.

        Raises:
            ComponentError: The name is malformed or taken, or the signature has `*args` or `**kwargs`, which would let
                misspelt options pass, or an option of unknown type, which would let wrong values pass.
        """

        def decorate(factory: Factory) -> Factory:
            self._read_shipped()
            origin = _origin(factory, sys._getframe(1).f_globals["__name__"])
            owner = self._components.get(name)
            if not _NAME.fullmatch(name):
                raise ComponentError(f"{self.kind} name {name!r} is not kebab-case (letters, digits, hyphens)")
            if name.endswith("/*") and names is None and members is None:
                raise ComponentError(
                    f'{self.kind} family {name!r} of {origin} needs names="MODULE:FUNCTION", which lists its models'
                )
            if owner is not None and (owner.origin, owner.qualname) != (origin, factory.__qualname__):
                raise ComponentError(
                    f"{self.kind} {name!r} of {origin} is already registered by {owner.origin}: choose another name"
                )
            component = self._add(
                name,
                live_parameters(factory),
                inspect.getdoc(factory) or "",
                origin,
                names,
                members,
                factory.__qualname__,
            )
            checked: Factory = factory
            if not component.is_family:
                registered = Registered(self.kind, tuple(inspect.signature(factory).parameters))
                checked = with_checks(factory, registered, lambda *given: self._bind(component, *given))
            self._factories[name] = checked
            return checked

        return decorate

    def names(self) -> list[str]:
        """All registered names, sorted; a family is listed as `prefix/*`."""
        self._look_up()
        return sorted(self._components)

    def components(self) -> list[Component]:
        """All registered components, sorted by name."""
        self._look_up()
        return [self._components[name] for name in sorted(self._components)]

    def get(self, name: str) -> Component:
        """The component of this name; `timm/resnet18` gives the family `timm/*`.

        Raises:
            ComponentError: No component has this name; the message lists near matches and all choices.
        """
        self._look_up()
        if not isinstance(name, str):
            raise ComponentError(f"{self.kind} must be named by a string, not {brief(name)}")
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
            ComponentError: No family has this prefix.
        """
        families = {c.name.removesuffix("/*"): c for c in self.components() if c.is_family}
        if prefix not in families:
            raise ComponentError(f"{self.plural} have no family {prefix!r}; families: {', '.join(families) or 'none'}")
        return families[prefix]

    def check(
        self, name: str, options: Mapping[str, Any], also: Iterable[str] = (), in_python: bool = False
    ) -> tuple[dict[str, Any], list[Problem]]:
        """Validate options against the component's signature.

        Args:
            name: name of an existing component.
            options: options as parsed from TOML.
            also: other keys allowed in the same table, for suggestions.
            in_python: whether the options come from Python, where a name or a built component may replace the table of
                a nested component.

        Returns:
            All options with defaults filled in, and the problems as pairs (option, what is wrong).
        """
        return self._check(self.get(name), options, also, in_python)

    def build(self, name: str, options: Mapping[str, Any] | None = None, **keywords: Any) -> Any:
        """Build a component and its nested components from options and runtime values.

        `LOSSES.build("triplet", margin=0.2, distance="cosine")` is `TripletLoss(margin=0.2, distance="cosine")`. The
        runtime value `distance` and nested components may be given by name or as a table with a name.

        Args:
            name: name of the component.
            options: options as a table; keywords may give them as well.
            keywords: options, and runtime values of the kind (`runtime`). A component ignores runtime values that its
                signature does not name, so all components of a kind can be built alike.

        Raises:
            ComponentError: The name, an option or a keyword is unknown, an option is given twice or has a wrong type or
                value, or a runtime value is missing or must not be ignored.
            PluginError: A plugin's component fails, or does not return a component of its kind.
        """
        component = self.get(name)
        if options is not None and not isinstance(options, Mapping):
            raise ComponentError(f"options of {self.kind} {name!r} must be a table or keywords, not {brief(options)}")
        table = dict(options or {})
        own = {option.name for option in component.options}
        keywords = {key: value for key, value in keywords.items() if value is not None or key not in self.runtime & own}
        runtime = {key: value for key, value in keywords.items() if key in self.runtime - own}
        runtime = self._named(component, runtime)
        twice = [(key, "is given twice, in the table and as a keyword") for key in keywords if key in table]
        table |= {key: value for key, value in keywords.items() if key not in runtime}
        made = self._build(component, name, table, runtime, twice)
        left = {key: value for key, value in runtime.items() if key not in {p.name for p in component.runtime}}
        if left and self.refuses_left:
            named_function(self.refuses_left)(name, made, left)
        return made

    def build_for_run(self, name: str, options: Mapping[str, Any], **offered: Any) -> Any:
        """Build a component as a run does: with options from a table and the offered values that its signature names.

        Raises:
            ComponentError: See `build`.
        """
        return self._build(self.get(name), name, options, offered, [])

    def _check(
        self, component: Component, options: Mapping[str, Any], also: Iterable[str], in_python: bool, name: str = ""
    ) -> tuple[dict[str, Any], list[Problem]]:
        by_name = {option.name: option for option in component.options}
        choices = [*by_name, *also] if in_python else [*also, *by_name]
        problems: list[Problem] = []
        for key in options:
            if key in by_name:
                continue
            if key in self.runtime:
                how = ": give it as a keyword" if in_python and key in choices else ""
                problems.append((key, f"{key!r} is supplied by the library and cannot be set{how}"))
            else:
                problems.append((key, self._unknown(name or component.name, key, choices)))
        resolved, wrong = component.check_plain({key: value for key, value in options.items() if key in by_name})
        problems += wrong
        for option in component.options:
            if option.nested is not None:
                registry, value = registry_of(option.nested.kind), options.get(option.name, REQUIRED)
                resolved[option.name], wrong = check_nested(option, value, registry, in_python)
                problems += wrong
        if problems:
            return dict(options), problems
        return {option.name: resolved[option.name] for option in component.options}, problems

    def _unknown(self, name: str, key: str, choices: Sequence[str]) -> str:
        return f"unknown option of {self.kind} {name!r}{near(key, choices)}; choices: {', '.join(choices) or 'none'}"

    def _build(
        self,
        component: Component,
        name: str,
        options: Mapping[str, Any],
        offered: Mapping[str, Any],
        problems: Sequence[Problem],
    ) -> Any:
        runtime = [p for p in component.runtime if p.name in self.runtime]
        named = [p.name for p in runtime]
        also = [*named, *sorted(self.runtime.difference(named))]
        resolved, wrong = self._check(component, options, also, in_python=True, name=name)
        self._refuse(name, [*problems, *wrong])
        offered, wrong = component.check_runtime(self._named(component, offered))
        self._refuse(name, wrong)
        # Omitted options keep the defaults of the callable's signature; a family's callable has none for its members.
        given = resolved if component.family else {key: resolved[key] for key in options}
        arguments = {**given, **self._nested(component, resolved, offered)}
        supplied = {p.name: offered[p.name] for p in runtime if p.name in offered}
        if lacking := [p.name for p in runtime if p.name not in offered and p.required]:
            raise ComponentError(f"{self.kind} {name!r} needs {', '.join(lacking)}, which is not given")
        if not component.is_family and not component.family:
            return self._made(component, name, arguments | supplied, offered)
        packed = {"options": arguments} if component.family else arguments
        made = self._made(component, name, {"model": name.partition("/")[2], **packed, **supplied}, offered)
        remember_member(made, name, arguments | supplied)
        return made

    def _made(self, component: Component, name: str, arguments: Mapping[str, Any], offered: Mapping[str, Any]) -> Any:
        """Call the component's factory; for a plugin's, errors name it and the result is checked."""
        factory = self.factory(name)
        if is_own(component):
            return factory(**arguments)
        with naming(component):
            made = factory(**arguments)
        return named_function(self.accept)(made, component, offered) if self.accept else made

    def _bind(
        self, component: Component, signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> inspect.BoundArguments:
        """Check the arguments of a call in Python like a table's, and build components given by name."""
        choices = list(signature.parameters)
        self._refuse(
            component.name, [(key, self._unknown(component.name, key, choices)) for key in kwargs if key not in choices]
        )
        try:
            bound = signature.bind_partial(*args, **kwargs)
        except TypeError as error:  # too many arguments, or one twice
            raise ComponentError(
                f"{self.kind} {component.name!r} cannot be built: {error}; its arguments: "
                f"{', '.join(choices) or 'none'}"
            ) from None
        own = {option.name for option in component.options}
        options = {key: value for key, value in bound.arguments.items() if key in own}
        resolved, problems = self._check(component, options, (), in_python=True)
        self._refuse(component.name, problems)
        runtime = self._named(component, {key: value for key, value in bound.arguments.items() if key not in own})
        runtime, problems = component.check_runtime(runtime)
        self._refuse(component.name, problems)
        if lacking := [p.name for p in component.runtime if p.required and p.name not in runtime]:
            raise ComponentError(f"{self.kind} {component.name!r} needs {', '.join(lacking)}, which is not given")
        bound.arguments.update(runtime, **{key: resolved[key] for key in options})
        bound.arguments.update(self._nested(component, resolved, runtime))
        return bound

    def _refuse(self, name: str, problems: Sequence[Problem]) -> None:
        if problems:
            raise ComponentError(
                f"{self.kind} {name!r} cannot be built:", [f"{option}: {problem}" for option, problem in problems]
            )

    @staticmethod
    def _named(component: Component, runtime: Mapping[str, Any]) -> dict[str, Any]:
        """The runtime values, with components given by name or as a table built."""
        kinds = {registry.kind: registry for registry in REGISTRIES}
        needed = {parameter.name for parameter in component.runtime if parameter.default is not None}
        wanted = [key for key, value in runtime.items() if key in kinds and (value is not None or key in needed)]
        return {**runtime, **{key: component_from(runtime[key], kinds[key], key) for key in wanted}}

    @staticmethod
    def _nested(component: Component, resolved: Mapping[str, Any], offered: Mapping[str, Any]) -> dict[str, Any]:
        """The nested components among the checked options, built."""
        return {
            option.name: build_nested(option, resolved[option.name], registry_of(option.nested.kind), offered)
            for option in component.options
            if option.nested is not None and resolved[option.name] is not None
        }

    def factory(self, name: str) -> Callable[..., Any]:
        """The callable registered under this name; its module is imported.

        Raises:
            ComponentError: No component has this name.
        """
        component = self.get(name)
        registered = component.family or component.name
        if registered not in self._factories:
            importlib.import_module(component.origin)
        return self._factories[registered]

    def _near(self, name: str) -> str:
        """Near matches of an unknown name, including members of families."""
        members = [
            f"{family.name.removesuffix('*')}{member}"
            for family in self.components()
            if family.is_family
            for member in family.members()
        ]
        plain = [member for member in members if member.partition("/")[2] == name]
        return did_you_mean(plain[:1]) or near(name, [*self.names(), *members])

    def _add(
        self,
        name: str,
        parameters: list[Parameter],
        doc: str,
        origin: str,
        names: str | None,
        members: str | None,
        qualname: str,
    ) -> Component:
        runtime = self.runtime | ({"model"} if name.endswith("/*") else set()) | ({"options"} if members else set())
        refuse_parameters(f"{self.kind} {name!r} of {origin}", parameters, runtime)
        component = self._components[name] = Component(
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
        return component

    def _look_up(self) -> None:
        """Read the library's own components and load installed plugins, before a name is looked up."""
        self._read_shipped()
        for failure in load_installed_plugins():
            warnings.warn(failure, stacklevel=3)

    def _read_shipped(self) -> None:
        if self._shipped_read:
            return
        self._shipped_read = True
        for package in filter(None, (self.package, self.adapters)):
            folder = Path(__file__).parents[1].joinpath(*package.split(".")[1:])
            for file in sorted(folder.glob("[!_]*.py")):
                for found in read_source(file, self.variable):
                    self._add(
                        found.name,
                        found.parameters,
                        found.doc,
                        f"{package}.{file.stem}",
                        found.names,
                        found.members,
                        found.qualname,
                    )


ENCODERS = Registry(
    "encoder",
    "encoders",
    "image to feature vector",
    "siamesekit.components.encoders",
    "ENCODERS",
    frozenset({"pretrained"}),
    accept="siamesekit.components.encoders.accepted:accepted",
    adapters=ADAPTED,
)
PROJECTIONS = Registry(
    "projection",
    "projections",
    "linear layer fitted in closed form",
    "siamesekit.components.projections",
    "PROJECTIONS",
    frozenset(),
)
DISTANCES = Registry(
    "distance",
    "distances",
    "how far two embeddings are apart",
    "siamesekit.components.distances",
    "DISTANCES",
    frozenset(),
    adapters=OF_PML,
)
MINERS = Registry(
    "miner",
    "miners",
    "which triplets of a batch train",
    "siamesekit.components.miners",
    "MINERS",
    frozenset({"distance", "seed"}),
    adapters=OF_PML,
)
MATCHERS = Registry(
    "matcher",
    "matchers",
    "which points two photos share",
    "siamesekit.components.matchers",
    "MATCHERS",
    frozenset(),
    accept="siamesekit.components.matchers.accepted:accepted",
)
STORES = Registry(
    "store",
    "stores",
    "where a catalogue's embeddings are searched",
    "siamesekit.components.stores",
    "STORES",
    frozenset({"folder", "collection", "dimensions", "distance"}),
    accept="siamesekit.components.stores.accepted:accepted",
)
LOSSES = Registry(
    "loss",
    "losses",
    "what training minimises",
    "siamesekit.components.losses",
    "LOSSES",
    frozenset({"distance", "embedding_dim", "num_classes", "class_counts"}),
    "siamesekit.components.losses.measure:refuse_another_measure",
    adapters=OF_PML,
)
AUGMENTATIONS = Registry(
    "augmentation",
    "augmentations",
    "random views of photos for training",
    "siamesekit.components.augmentations",
    "AUGMENTATIONS",
    frozenset(),
    accept="siamesekit.components.augmentations.accepted:accepted",
    adapters=ADAPTED,
)
SAMPLERS = Registry(
    "sampler",
    "samplers",
    "which photos meet in a batch",
    "siamesekit.components.samplers",
    "SAMPLERS",
    frozenset({"labels", "groups", "batch_size", "seed", "distance"}),
    accept="siamesekit.components.samplers.accepted:accepted",
    adapters=OF_PML,
)
READERS = Registry(
    "reader",
    "readers",
    "where photos and individuals come from",
    "siamesekit.components.readers",
    "READERS",
    frozenset({"seed"}),
    accept="siamesekit.components.readers.accepted:accepted",
)
REDUCERS = Registry(
    "reducer",
    "reducers",
    "how a loss's terms become one number",
    "",
    "REDUCERS",
    frozenset(),
    adapters=OF_PML,
)
REGULARIZERS = Registry(
    "regularizer",
    "regularizers",
    "terms that a loss adds for embeddings or weights",
    "",
    "REGULARIZERS",
    frozenset({"embedding_dim", "num_classes"}),
    adapters=OF_PML,
)
SCHEDULES = Registry(
    "schedule",
    "schedules",
    "how the learning rate changes",
    "siamesekit.components.schedules",
    "SCHEDULES",
    frozenset({"steps", "steps_per_epoch", "lr"}),
    accept="siamesekit.components.schedules.accepted:accepted",
    adapters=ADAPTED,
)
TRACKERS = Registry(
    "tracker",
    "trackers",
    "where a run's figures are shown while it trains",
    "siamesekit.components.trackers",
    "TRACKERS",
    frozenset(),
    accept="siamesekit.components.trackers.accepted:accepted",
)
OPTIMIZERS = Registry(
    "optimizer",
    "optimizers",
    "how weights are updated",
    "siamesekit.components.optimizers",
    "OPTIMIZERS",
    frozenset({"params"}),
    accept="siamesekit.components.optimizers.accepted:accepted",
    adapters=ADAPTED,
)

REGISTRIES: tuple[Registry, ...] = (
    READERS, AUGMENTATIONS, SAMPLERS, ENCODERS, PROJECTIONS, DISTANCES, MINERS, LOSSES, REDUCERS, REGULARIZERS,
    OPTIMIZERS, SCHEDULES, TRACKERS, MATCHERS, STORES,
)  # fmt: skip
"""All registries, in the order in which a run uses them; a catalogue uses matchers and stores."""


def _origin(factory: Callable[..., Any], registering: str) -> str:
    """Where a component comes from: a module of the library, a plugin's file, or `__main__` for a notebook or prompt.

    A new definition in a notebook or at a prompt replaces the previous one.

    Args:
        factory: the registered callable.
        registering: the module that registers it. The library's public classes have the `__module__` `siamesekit`.
    """
    module = getattr(factory, "__module__", None) or "?"
    if module == "siamesekit":
        return registering
    if module.startswith("siamesekit.") or (module == "__main__" and not hasattr(sys.modules[module], "__file__")):
        return module
    try:
        return inspect.getsourcefile(factory) or module
    except (OSError, TypeError):  # code without a file, a callable that is neither a function nor a class
        return module


def registry_of(kind: str) -> Registry:
    """The registry called `kind`, singular or plural.

    Raises:
        ComponentError: No registry has this kind.
    """
    for registry in REGISTRIES:
        if kind in (registry.kind, registry.plural):
            return registry
    plurals = [registry.plural for registry in REGISTRIES]
    raise ComponentError(f"unknown kind {kind!r}{near(kind, plurals)}; choices: {', '.join(plurals)}")
