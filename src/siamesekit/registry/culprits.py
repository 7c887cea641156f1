"""Which plugin component caused an error: a search of all registries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from siamesekit.errors import PluginError, SiamesekitError
from siamesekit.registry import REGISTRIES
from siamesekit.registry.component import Component
from siamesekit.registry.component_faults import fault, frames, is_own, line_in, passes, place_of, told


def culprit(error: BaseException) -> Component | None:
    """The plugin component with the deepest line in an error's traceback; None if unknown.

    Args:
        error: exception with its traceback.
    """
    plugins = _plugins()
    passed = list(frames(error))
    packages = {registry.package: registry.kind for registry in REGISTRIES if registry.package}
    adapters = {each.origin: each.kind for registry in REGISTRIES for each in registry.components() if is_own(each)}
    of_library = [adapters.get(module) or packages.get(module.rpartition(".")[0]) for _, _, module in passed]
    for depth, (code, _, module) in reversed(list(enumerate(passed))):
        candidates = [each for each in plugins if each.origin in (code.co_filename, module)]
        for component in candidates:
            if f"{code.co_qualname}.".startswith(f"{component.qualname}."):
                return component
        if len(candidates) == 1:
            return candidates[0]
        kind = next((kind for kind in reversed(of_library[:depth]) if kind), None)  # the kind that called the plugin
        of_kind = [each for each in candidates if each.kind == kind]
        if len(of_kind) == 1:
            return of_kind[0]
    return None


def _plugins() -> list[Component]:
    return [each for registry in REGISTRIES for each in registry.components() if not is_own(each)]


@contextmanager
def plugins_named(raising: type[SiamesekitError] = PluginError) -> Iterator[None]:
    """Convert exceptions from plugin code into errors that name the plugin.

    All other exceptions pass unchanged.

    Args:
        raising: class of the error.
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
