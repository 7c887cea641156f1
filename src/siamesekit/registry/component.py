"""A component's description: name, options, runtime values, docstring and, for a family, its members."""

from __future__ import annotations

import importlib
import json
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

from pydantic import BaseModel, ValidationError

from siamesekit.errors import ComponentError
from siamesekit.registry.component_faults import naming, place_of
from siamesekit.registry.problems import as_json, is_json, is_utf8, must_be, problems_of
from siamesekit.registry.signatures import Parameter, options_model
from siamesekit.wording import near


@dataclass(frozen=True)
class Member:
    """A family's member with its own options: an adapted class of another package.

    Attributes:
        options: parameters that a config can set.
        doc: description.
        source: the adapted class, `package.module.Class`.
        problem: why the member cannot be built, such as a parameter of unknown type in a newer version of the package;
            empty if it can.
    """

    options: tuple[Parameter, ...]
    doc: str
    source: str
    problem: str = ""


@dataclass(frozen=True, repr=False)
class Component:
    """One registered component: its name, options, runtime values, docstring and origin."""

    kind: str
    name: str
    options: tuple[Parameter, ...]
    runtime: tuple[Parameter, ...]
    doc: str
    origin: str
    """Name of a module, or path of a plugin file."""
    names_from: str | None = None
    """For a family `prefix/*`: the `module:function` that lists the models' names."""
    members_from: str | None = None
    """For a family whose members have their own options: the `module:function` that returns `Member`s by name."""
    qualname: str = ""
    family: str = ""
    """For a family's member with its own options: the family's name."""
    source: str = ""
    """For an adapted class: its place in its package, `package.module.Class`."""
    plural: str = ""
    """Plural of the kind, as in `siamesekit list KINDS`."""

    def __repr__(self) -> str:
        return f"Component({self.kind} {self.name!r} ({self.signature()}) of {place_of(self.origin)})"

    @property
    def summary(self) -> str:
        """The docstring's first line."""
        return self.doc.partition("\n")[0]

    @property
    def is_family(self) -> bool:
        """Whether the name stands for many models: `timm/*`."""
        return self.name.endswith("/*")

    def signature(self) -> str:
        """The options as a signature spells them: `margin: Positive = 1.0, …`."""
        return ", ".join(str(option) for option in self.options)

    def options_type(self) -> type[BaseModel]:
        """The pydantic model of the options."""
        return self._model

    @cached_property
    def _model(self) -> type[BaseModel]:
        return options_model(self.name, self.options)

    def check_plain(self, options: Mapping[str, Any]) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        """Validate the options that are not nested components.

        Returns:
            These options with defaults filled in, and the problems as pairs (option, what is wrong).
        """
        kinds = {option.name: option.annotation for option in self.options if option.nested is None}
        plain = list(kinds)
        given = {name: options[name] for name in plain if name in options}
        if objects := {name: value for name, value in given.items() if not is_json(value)}:
            return self._check_objects(given, objects)
        broken = [
            (name, f"must be valid UTF-8 text, not {value!r}") for name, value in given.items() if not is_utf8(value)
        ]
        if broken:
            return {}, broken
        try:
            checked = self.options_type().model_validate_json(json.dumps(given, default=as_json))
        except ValidationError as error:
            return {}, problems_of(map(dict, error.errors()), kinds, given)
        return dict(zip(plain, (value for _, value in checked), strict=True)), []

    def _check_objects(
        self, given: Mapping[str, Any], objects: Mapping[str, Any]
    ) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        """Validate options that include Python objects, which only options of type `Any` accept."""
        taken = {option.name: option for option in self.options if option.name in objects}
        rest = replace(self, options=tuple(option for option in self.options if option.name not in objects))
        checked, problems = rest.check_plain({name: value for name, value in given.items() if name not in objects})
        problems += [
            (name, must_be(option.annotation, objects[name]))
            for name, option in taken.items()
            if "Any" not in option.shown
        ]
        return ({} if problems else {**checked, **objects}), problems

    def check_runtime(self, values: Mapping[str, Any]) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        """Validate the runtime values that are plain numbers.

        Returns:
            All values, with NumPy numbers converted to Python's, and the problems as pairs (name, what is wrong).
        """
        given = {option.name: values[option.name] for option in self._numbers.options if option.name in values}
        checked, problems = self._numbers.check_plain(given)
        return {**values, **{name: checked.get(name, value) for name, value in given.items()}}, problems

    @cached_property
    def _numbers(self) -> Component:
        """This component with its numeric runtime values in place of its options."""
        return replace(
            self,
            options=tuple(
                replace(parameter, default=None) for parameter in self.runtime if _is_number(parameter.annotation)
            ),
        )

    def members(self) -> list[str]:
        """The models of a family, without its prefix; empty for a single component."""
        if self.members_from is not None:
            members: Mapping[str, Member] = self._listed(self.members_from)
            return [name for name, member in members.items() if not member.problem]
        return [] if self.names_from is None else list(self._listed(self.names_from))

    def problem_with(self, model: str) -> str:
        """What is wrong with the name of a family's model; empty if the name is valid.

        A tag of its weights may follow the model's name after a dot.
        """
        known = self._listed(self.names_from or str(self.members_from))
        known = known if isinstance(known, Mapping) else list(known)
        name, dot, tag = (model, "", "") if self.members_from else model.partition(".")
        if any(fnmatchcase(model, form) for form in known if "*" in form):
            return ""
        if isinstance(known, Mapping) and isinstance(known.get(name), Member) and known[name].problem:
            return str(known[name].problem)
        if name not in known:
            prefix = self.name.removesuffix("/*")
            return (
                f"{prefix} has no {model!r}{near(model, known)}; {len(known)} choices: "
                f"siamesekit list {self.plural} {prefix}"
            )
        tags = known[name] if dot and isinstance(known, Mapping) else ()
        if tags and tag not in tags:
            return f"{name} has no weights {tag!r}{near(tag, tags)}; choices: {', '.join(tags)}"
        return ""

    def _listed(self, place: str) -> Any:
        """The result of `module:function`, which lists a family's models."""
        with naming(self):
            return named_function(place)()

    def member(self, model: str) -> Component:
        """The component of a family's member; the family itself if its members have no options of their own."""
        if self.members_from is None:
            return self
        member: Member = self._listed(self.members_from)[model]
        name = f"{self.name.removesuffix('*')}{model}"
        return replace(
            self,
            name=name,
            options=member.options,
            doc=member.doc,
            members_from=None,
            family=self.name,
            source=member.source,
        )


def refuse_parameters(component: str, parameters: Sequence[Parameter], runtime: Collection[str]) -> None:
    """Refuse a signature that would let a wrong option pass.

    Args:
        component: the component's name in messages.
        parameters: parameters of its signature.
        runtime: names of the parameters that the library supplies.

    Raises:
        ComponentError: The signature has `*args` or `**kwargs`, an option called `name`, or an option of unknown type.
    """
    for parameter in parameters:
        if parameter.variadic:
            raise ComponentError(
                f"{component} has the variadic parameter {parameter.name!r}: name every option, so that a misspelt "
                "one is refused"
            )
        if parameter.name == "name":
            raise ComponentError(
                f"{component} has an option 'name', a key that configs use for the component: rename it"
            )
    for parameter in parameters:
        if parameter.name not in runtime and parameter.annotation is Any and "Any" not in parameter.shown:
            raise ComponentError(
                f"{component}: the type {parameter.shown} of option {parameter.name!r} is not known: import it at run "
                "time, not under TYPE_CHECKING only"
            )
    options = [parameter for parameter in parameters if parameter.name not in runtime]
    data = [
        option for option in options if getattr(option.annotation, "__name__", "") in ("Tensor", "ndarray", "Image")
    ]
    if not data and all(option.required and option.shown == "Any" for option in options):
        data = options
    if data:
        raise ComponentError(
            f"{component} has a parameter {data[0].name!r} that no config can set. A registered callable receives the "
            "options and returns the component: register a class with __call__, or a function that returns a callable, "
            "and annotate each option"
        )


def _is_number(annotation: Any) -> bool:
    base = typing.get_args(annotation)[0] if typing.get_origin(annotation) is typing.Annotated else annotation
    return base in (int, float, bool)


def named_function(place: str) -> Callable[..., Any]:
    """The function at `module:function`."""
    module, _, function = place.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return found
