"""torchvision, timm and PyTorch's optimizers without PyTorch's compiler, which takes as long to import as PyTorch.

A module of torchvision or timm asks for one function of `torch._dynamo` while it is imported, and an optimizer for two
while it works, and so each brings in the compiler, SymPy and Triton, which few programs use. While one of these modules
is imported, or a run computes (`compiler_postponed`), and only then, a stand-in takes the place of the compiler. It has
these functions, and gives way to the compiler itself if anything else is asked of it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.abc import Loader as Loader
else:
    Loader = object  # importlib.abc takes time to import, and Python asks loaders for their methods only

IMPORTERS = ("torchvision.ops.roi_align", "timm.models.naflexvit")
COMPILER = "torch._dynamo"
USED = f"{COMPILER}.utils"
MARK = "__dynamo_disable"
"""Attribute of a function of PyTorch: what the compiler has made of it."""
_marked: list[Any] = []
"""Functions that the stand-in was to hide from the compiler; for its own, PyTorch remembers what it was given."""


class PostponedCompiler(Loader):
    """A finder for `sys.meta_path` that imports `IMPORTERS` without the compiler.

    While a stand-in takes the place of the compiler, it also finds the compiler's modules, which ends that. All other
    modules are left alone.
    """

    def __init__(self) -> None:
        self._loaders: dict[str, Loader] = {}

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """The module as it is found otherwise, with this loader before its own."""
        if name.startswith(f"{COMPILER}.") and isinstance(sys.modules.get(COMPILER), _StandIn):
            _remove_stand_ins()
            return _found_in(importlib.import_module(COMPILER), name)
        if name not in IMPORTERS or COMPILER in sys.modules:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return None
        self._loaders[name], spec.loader = spec.loader, self
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """As the module's own loader does."""
        return self._loaders[spec.name].create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module with a stand-in of the compiler, which is gone afterwards."""
        loader = self._loaders.pop(module.__name__)
        module.__loader__ = loader
        if module.__spec__ is not None:
            module.__spec__.loader = loader
        with compiler_postponed():
            loader.exec_module(module)


class _There(Loader):
    """Gives a module that has been imported already, and gives it its own spec back."""

    def __init__(self, module: ModuleType) -> None:
        self._module, self._spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        vars(module)["__spec__"] = self._spec  # some modules let no attribute be set


@contextmanager
def compiler_postponed() -> Iterator[None]:
    """Inside, PyTorch's optimizers work without the compiler, unless it has been imported already."""
    if COMPILER in sys.modules:
        yield
        return
    package, used, rules = _StandIn(COMPILER), _StandIn(USED), _StandIn(f"{COMPILER}.trace_rules")
    vars(package).update(__path__=[], disable=_disable, graph_break=_nothing, trace_rules=rules)
    vars(rules).update(clear_lru_cache=_nothing)
    vars(used).update(is_compile_supported=_is_compile_supported)
    sys.modules |= {COMPILER: package, USED: used}
    try:
        yield
    finally:
        _remove_stand_ins()


class _StandIn(ModuleType):
    """A module that imports the real one of its name once an attribute is missing."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what the import system asks of any module
            raise AttributeError(name)
        _remove_stand_ins()
        return getattr(importlib.import_module(self.__name__), name)


def _found_in(package: ModuleType, name: str) -> ModuleSpec | None:
    """A module of a package; if it has been imported with the package, it is not imported a second time."""
    there = sys.modules.get(name)
    if there is None:
        return PathFinder.find_spec(name, package.__path__)
    spec = ModuleSpec(name, _There(there))
    vars(there)["__spec__"] = spec  # for a module that is there, Python takes its own spec, not the finder's
    return spec


def _nothing() -> None:
    """What a function of the compiler does where nothing is compiled."""


def _disable(function: Any = None, *options: Any, **further: Any) -> Any:
    """`torch._dynamo.disable`: the function as it is, and hidden from the compiler once that is there."""
    if function is None:
        return lambda given: _disable(given, *options, **further)
    _marked.append(function)
    hidden: list[Any] = []

    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        compiler = sys.modules.get(COMPILER)
        if compiler is None or isinstance(compiler, _StandIn):
            return function(*args, **kwargs)
        if not hidden:
            hidden.append(compiler.disable(function, *options, **further))
        return hidden[0](*args, **kwargs)

    return run


def _is_compile_supported(device: Any) -> Any:
    """`torch._dynamo.utils.is_compile_supported`."""
    return importlib.import_module(USED).is_compile_supported(device)


def _remove_stand_ins() -> None:
    while _marked:
        function = _marked.pop()
        if hasattr(function, MARK):
            delattr(function, MARK)
    for name in (COMPILER, USED):
        if isinstance(sys.modules.get(name), _StandIn):
            del sys.modules[name]
