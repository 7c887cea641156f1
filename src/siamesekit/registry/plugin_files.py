"""Plugin files: single Python files that register components.

Loading a plugin file runs its code, so treat a config that names one like a script. An artifact never names code.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from siamesekit.errors import ComponentError, PluginError
from siamesekit.files.paths import resolved
from siamesekit.files.untrusted import MAX_TEXT_BYTES, read_plain
from siamesekit.registry.component_faults import frames, told

_latest: dict[str, str] = {}
"""Name of the module last loaded for each file name without suffix."""


@dataclass(frozen=True)
class PluginFile:
    """Path and content of a plugin file at the time of loading; later changes of the file have no effect."""

    path: Path
    content: bytes = field(repr=False)

    @property
    def sha256(self) -> str:
        """SHA-256 of the content, in hexadecimal."""
        return sha256(self.content).hexdigest()


def load_plugin_file(file: Path) -> PluginFile:
    """Run a Python file as a plugin, unless the last file loaded under this name had the same content.

    A plugin and its copy in a run's folder count as the same plugin, in whichever order they are loaded.

    Returns:
        The file with the content that was run.

    Raises:
        PluginError: The file does not exist, or its code fails; the message names file and line.
        ComponentError: The file registers an invalid component.
    """
    try:
        file = resolved(file)
        if os.path.isdir(file):  # noqa: PTH112 - `is_dir` raises if the name is too long
            raise FileNotFoundError
        content = read_plain(file, MAX_TEXT_BYTES)
    except FileNotFoundError:
        raise PluginError(f"plugin {file.name!r}: no such file: {file}") from None
    except OSError as error:
        raise PluginError(f"plugin {file.name!r} cannot be read: {error.strerror}") from None
    plugin = PluginFile(file, content)
    # The module must stay importable by this name: worker processes unpickle functools.partial of its functions.
    name = f"siamesekit_plugin_{file.stem}_{plugin.sha256[:16]}"
    if name in sys.modules and _latest.get(file.stem) == name:
        return plugin
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None:
        raise PluginError(f"plugin {file.name!r}: {file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        # not the spec's loader: it would read the file again, or an older compiled one
        exec(compile(content, str(file), "exec"), vars(module))
    except BaseException as error:
        del sys.modules[name]
        if not isinstance(error, Exception | SystemExit):
            raise
        where = f"plugin {file.name!r} fails at {_where(error, file)}"
        if isinstance(error, ComponentError):
            raise ComponentError(f"{where}: {error}") from error
        raise PluginError(f"{where}: {told(error)}") from error
    _latest[file.stem] = name
    return plugin


def _where(error: BaseException, file: Path) -> str:
    """The deepest line of the plugin's own file in the traceback, `line 12`, or else `import`."""
    if isinstance(error, SyntaxError) and error.lineno:
        return f"line {error.lineno}"
    lines = [line for code, line, _ in frames(error) if code.co_filename == str(file)]
    return f"line {lines[-1]}" if lines else "import"
