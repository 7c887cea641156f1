"""torchvision and timm without PyTorch's compiler, which makes a third of the time of their import.

A module of either asks for one function of `torch._dynamo` while it is imported, and so brings in the compiler, SymPy
and Triton, which few programs use. While one of these modules is imported, and only then, a stand-in takes the place of
the compiler. It has these functions, which import the compiler when they are called, and becomes the compiler itself if
anything else is asked of it.
"""

from __future__ import annotations

import importlib
import sys
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


class PostponedCompiler(Loader):
    """A finder for `sys.meta_path` that imports `IMPORTERS` without the compiler; all other modules are left alone."""

    def __init__(self) -> None:
        self._loaders: dict[str, Loader] = {}

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """The module as it is found otherwise, with this loader before its own."""
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
        if COMPILER not in sys.modules:
            package, used = _StandIn(COMPILER), _StandIn(USED)
            vars(package).update(__path__=[], disable=_disable)
            vars(used).update(is_compile_supported=_is_compile_supported)
            sys.modules |= {COMPILER: package, USED: used}
        try:
            loader.exec_module(module)
        finally:
            _remove_stand_ins()


class _StandIn(ModuleType):
    """A module that imports the real one of its name once an attribute is missing."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what the import system asks of any module
            raise AttributeError(name)
        _remove_stand_ins()
        return getattr(importlib.import_module(self.__name__), name)


def _disable(function: Any = None, recursive: bool = True, **options: Any) -> Any:
    """`torch._dynamo.disable`, as PyTorch postpones it for its own optimizers."""
    return importlib.import_module("torch._compile")._disable_dynamo(function, recursive)


def _is_compile_supported(device: Any) -> Any:
    """`torch._dynamo.utils.is_compile_supported`."""
    return importlib.import_module(USED).is_compile_supported(device)


def _remove_stand_ins() -> None:
    for name in (COMPILER, USED):
        if isinstance(sys.modules.get(name), _StandIn):
            del sys.modules[name]
