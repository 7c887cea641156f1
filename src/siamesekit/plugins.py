"""Plugins: installed packages (entry-point group `siamesekit.plugins`) and single Python files.

A plugin registers its components when it is imported. Loading one runs its code, so a config is as trusted
as a script; an artifact never names code to run.
"""

from __future__ import annotations

import importlib.util
import sys
from hashlib import sha256
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from siamesekit.errors import ComponentError, PluginError

GROUP = "siamesekit.plugins"


def load_plugin_file(file: Path) -> None:
    """Import one Python file as a plugin; one whose content has been loaded is not run again.

    The copy of a plugin in a run's folder is that plugin: which of the two is met first does not matter.

    Raises:
        PluginError: there is no such file, or its code fails; the message has file and line.
        ComponentError: it registers something that cannot be registered.
    """
    file = file.resolve()
    try:
        if not file.is_file():
            raise PluginError(f"plugin {file.name!r}: there is no file {file}")
        content = file.read_bytes()
    except OSError as error:
        raise PluginError(f"plugin {file.name!r} cannot be read: {error.strerror}") from None
    # The module's name must be importable later in this process: functools.partial of its functions is pickled
    # by worker processes.
    name = f"siamesekit_plugin_{file.stem}_{sha256(content).hexdigest()[:16]}"
    if name in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise PluginError(f"plugin {file.name!r}: {file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except ComponentError:
        del sys.modules[name]
        raise
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise PluginError(
            f"plugin {file.name!r} fails at {_where(error, file)}: {type(error).__name__}: {error}"
        ) from error


def load_installed_plugins() -> list[str]:
    """Import all installed plugins; gives a line for each that fails, which takes nothing else down."""
    failures = []
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        try:
            point.load()
        except Exception as error:
            failures.append(f"plugin {point.name!r} ({_package(point)}) fails: {type(error).__name__}: {error}")
    return failures


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.value


def _where(error: BaseException, file: Path) -> str:
    """`line 12` of the plugin's own file, where the error passed through it."""
    if isinstance(error, SyntaxError) and error.lineno:
        return f"line {error.lineno}"
    traceback, line = error.__traceback__, 0
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == str(file):
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return f"line {line}" if line else "import"
