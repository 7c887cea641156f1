"""Checked calls of registered callables from Python, and a `__repr__` that shows their arguments.

`Registry.register` wraps a class's constructor, or a function, so that wrong arguments are refused as in a config.
Signature, types, docstring, pickling, copying and subclassing do not change.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from siamesekit.registry.nested import COMPONENT, brief

MADE_OF = "_made_of"
"""Attribute of a component: the arguments that it does not store under their own names."""

Check = Callable[[inspect.Signature, tuple[Any, ...], dict[str, Any]], inspect.BoundArguments]
"""Function that binds arguments to a signature, checks them and builds nested components. Raises `ComponentError`."""


@dataclass(frozen=True)
class Registered:
    """Kind and parameter names of a registered class or function."""

    kind: str
    parameters: tuple[str, ...]


@dataclass(frozen=True)
class MadeOf:
    """Arguments from which an object was built.

    Attributes:
        arguments: arguments by name.
        name: name of a family's member, `pml/triplet-margin`; empty if the object's class says what it is.
    """

    arguments: dict[str, Any]
    name: str = ""


def with_checks(factory: Any, registered: Registered, check: Check) -> Any:
    """A callable that checks its arguments: the same class with a checking constructor, or a wrapped function.

    Other callables, and classes that take their arguments in `__new__` (named tuples), are not changed.
    """
    if inspect.isclass(factory):
        if factory.__new__ is object.__new__:
            _check_constructor(factory, check)
            _show_arguments(factory)
        setattr(factory, COMPONENT, registered)
        return factory
    if not inspect.isfunction(factory):
        return factory
    signature = inspect.signature(factory)

    @functools.wraps(factory)
    def checked(*args: Any, **kwargs: Any) -> Any:
        bound = check(signature, args, kwargs)
        return factory(*bound.args, **bound.kwargs)

    setattr(checked, COMPONENT, registered)
    return checked


def remember_member(made: Any, name: str, arguments: Mapping[str, Any]) -> None:
    """Store the arguments of a family's member on its adapter, if its `__repr__` is `member_repr`."""
    if getattr(type(made), "__repr__", None) is member_repr:
        vars(made)[MADE_OF] = MadeOf(dict(arguments), name)


def member_repr(self: Any) -> str:
    """The `__repr__` of a family's adapter: `pml/triplet-margin(margin=0.05, …)`."""
    made_of = vars(self).get(MADE_OF, MadeOf({}, type(self).__name__))
    return f"{made_of.name}({', '.join(f'{name}={brief(value)}' for name, value in made_of.arguments.items())})"


def _check_constructor(cls: type, check: Check) -> None:
    signature = inspect.signature(cls)
    inherited = "__init__" not in vars(cls)
    original: Any = cls.__init__  # type: ignore[misc]

    def construct(self: Any, /, *args: Any, **kwargs: Any) -> None:
        if inherited and type(self) is not cls:  # a subclass passes on another base's arguments
            parent: Any = super(cls, self)
            parent.__init__(*args, **kwargs)
            return
        bound = check(signature, args, kwargs)
        original(self, *bound.args, **bound.kwargs)
        _remember(self, bound)

    if original is object.__init__:  # its signature accepts anything
        own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        construct.__signature__ = inspect.Signature([own])  # type: ignore[attr-defined]
        construct.__name__, construct.__qualname__ = "__init__", f"{cls.__qualname__}.__init__"
        construct.__module__, construct.__doc__ = cls.__module__, original.__doc__
    else:
        functools.update_wrapper(construct, original)
    cls.__init__ = construct  # type: ignore[misc]


def _remember(made: Any, bound: inspect.BoundArguments) -> None:
    """Store, for `__repr__`, the arguments that the object does not store itself; arrays abbreviated."""
    bound.apply_defaults()
    stored = _attributes(made)
    lacking = {name: value for name, value in bound.arguments.items() if name not in stored}
    if lacking and hasattr(made, "__dict__"):
        arguments = {name: _Brief(brief(value)) if _is_bulky(value) else value for name, value in lacking.items()}
        vars(made)[MADE_OF] = MadeOf(arguments)


class _Brief(str):
    """An abbreviated value, shown without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _is_bulky(value: Any) -> bool:
    return not isinstance(value, str) and (hasattr(value, "shape") or hasattr(value, "__len__"))


def _show_arguments(cls: Any) -> None:
    """Give a class a `__repr__`, or a PyTorch module an `extra_repr`, if it does not define one."""
    if cls.__repr__ is object.__repr__:
        cls.__repr__ = _repr
    elif getattr(getattr(cls, "extra_repr", None), "__module__", "").startswith("torch."):
        cls.extra_repr = _shown_arguments


def _repr(self: Any) -> str:
    return f"{type(self).__name__}({_shown_arguments(self)})"


def _shown_arguments(self: Any) -> str:
    """Current arguments, `margin=0.2, distance=Cosine()`, in the signature's order, without submodules."""
    registered: Registered = getattr(type(self), COMPONENT)
    made_of = getattr(self, "__dict__", {}).get(MADE_OF, MadeOf({}))
    values = {**made_of.arguments, **_attributes(self)}
    parts = getattr(self, "_modules", {})
    return ", ".join(
        f"{name}={brief(values[name])}" for name in registered.parameters if name in values and name not in parts
    )


def _attributes(made: Any) -> dict[str, Any]:
    """An object's own attributes, including a PyTorch module's submodules, parameters and buffers."""
    found = dict(getattr(made, "__dict__", {}))
    for kind in ("_parameters", "_buffers", "_modules"):
        if isinstance(inner := found.get(kind), dict):
            found |= inner
    return found
