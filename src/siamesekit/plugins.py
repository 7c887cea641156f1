"""Plugin files: single Python files that register components when they are run.

Loading one runs its code, so a config is as trusted as a script; an artifact never names code to run.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from siamesekit.component_faults import frames, told
from siamesekit.errors import ComponentError, PluginError
from siamesekit.files import read_plain
from siamesekit.paths import resolved

LARGEST = 16 << 20
"""Bytes that a plugin file may have."""
_latest: dict[str, str] = {}
"""By a file's name without suffix, the module that was made of it last."""


@dataclass(frozen=True)
class PluginFile:
    """A plugin file as it was when it was loaded: what happens to the file afterwards changes nothing."""

    path: Path
    content: bytes = field(repr=False)

    @property
    def sha256(self) -> str:
        """The content's, in hexadecimal."""
        return sha256(self.content).hexdigest()


def load_plugin_file(file: Path) -> PluginFile:
    """Run one Python file as a plugin; content that was the last to be run under that file's name is not run again.

    The copy of a plugin in a run's folder is that plugin: which of the two is met first does not matter.

    Returns:
        The file with the content that was run.

    Raises:
        PluginError: there is no such file, or its code fails; the message has file and line.
        ComponentError: it registers something that cannot be registered.
    """
    try:
        file = resolved(file)
        if os.path.isdir(file):  # noqa: PTH112 - `is_dir` raises where the name is too long
            raise FileNotFoundError
        content = read_plain(file, LARGEST)
    except FileNotFoundError:
        raise PluginError(f"plugin {file.name!r}: there is no file {file}") from None
    except OSError as error:
        raise PluginError(f"plugin {file.name!r} cannot be read: {error.strerror}") from None
    plugin = PluginFile(file, content)
    # The module's name must be importable later in this process: functools.partial of its functions is pickled
    # by worker processes.
    name = f"siamesekit_plugin_{file.stem}_{plugin.sha256[:16]}"
    if name in sys.modules and _latest.get(file.stem) == name:
        return plugin
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None:
        raise PluginError(f"plugin {file.name!r}: {file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        # not the spec's loader: it would read the file again, or a compiled one from before
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
    """`line 12` of the plugin's own file, where the error passed through it."""
    if isinstance(error, SyntaxError) and error.lineno:
        return f"line {error.lineno}"
    lines = [line for code, line, _ in frames(error) if code.co_filename == str(file)]
    return f"line {lines[-1]}" if lines else "import"
