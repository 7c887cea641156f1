"""Which component is at fault where an error arises: the plugins' components are looked up in all registries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from siamesekit.component_faults import fault, frames, is_own, line_in, passes, place_of, told
from siamesekit.components import Component
from siamesekit.errors import PluginError, SiamesekitError
from siamesekit.registry import REGISTRIES


def culprit(error: BaseException) -> Component | None:
    """The plugin's component whose code an error passed last; None where it is not known.

    Args:
        error: with its traceback.
    """
    plugins = _plugins()
    passed = list(frames(error))
    packages = {registry.package: registry.kind for registry in REGISTRIES}
    of_library = [packages.get(module.rpartition(".")[0]) for _, _, module in passed]
    for depth, (code, _, module) in reversed(list(enumerate(passed))):
        there = [each for each in plugins if each.origin in (code.co_filename, module)]
        for component in there:
            if f"{code.co_qualname}.".startswith(f"{component.qualname}."):
                return component
        if len(there) == 1:
            return there[0]
        kind = next((kind for kind in reversed(of_library[:depth]) if kind), None)  # as of what called the plugin
        of_kind = [each for each in there if each.kind == kind]
        if len(of_kind) == 1:
            return of_kind[0]
    return None


def _plugins() -> list[Component]:
    return [each for registry in REGISTRIES for each in registry.components() if not is_own(each)]


@contextmanager
def plugins_named(raising: type[SiamesekitError] = PluginError) -> Iterator[None]:
    """A block of work in which plugins have a part: what a plugin's code raises becomes an error that names it.

    All other exceptions pass unchanged.

    Args:
        raising: the error's class.
    """
    try:
        yield
    except Exception as error:
        if passes(error):
            raise
        if (component := culprit(error)) is not None:
            raise raising(fault(error, component)) from error
        for origin in sorted({each.origin for each in _plugins()}):
            if line := line_in(error, origin):
                raise raising(f"plugin {place_of(origin)} fails {line}: {told(error)}") from error
        raise
