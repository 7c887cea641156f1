"""A component's own fault in words: which component, of which plugin, in which method and at which line.

```
augmentation 'my-views' of mine.py fails in MyViews.__call__ at line 12: TypeError: …
```
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, TracebackType
from typing import TYPE_CHECKING, Any

from siamesekit.errors import PluginError, SiamesekitError, in_one_line, line_of_name, out_of_memory

if TYPE_CHECKING:
    from siamesekit.components import Component

SESSION = "__main__"
"""The origin of what a notebook or a prompt defines."""
LONGEST_MESSAGE = 500
"""Characters that are shown of another package's message."""


def is_own(component: Component) -> bool:
    """Whether the library itself ships the component; all others are a plugin's."""
    return component.origin.startswith("siamesekit.")


def called(component: Component) -> str:
    """The component as a message names it: `loss 'triplet'`, or of a plugin `loss 'my-loss' of mine.py`."""
    named = f"{component.kind} {component.name!r}"
    if is_own(component):
        return named
    return f"{named} of {place_of(component.origin)}"


def place_of(origin: str) -> str:
    """An origin as a message names it: a plugin file's name, with its package's where it is of one; `this session`."""
    if origin == SESSION:
        return "this session"
    file = Path(origin)
    if file.suffix != ".py":
        return line_of_name(origin)
    return line_of_name(f"{file.parent.name}/{file.name}" if (file.parent / "__init__.py").exists() else file.name)


def fault(error: BaseException, component: Component, method: str = "") -> str:
    """What a component raised, in one line.

    Args:
        error: with its traceback.
        component: which raised it.
        method: what of the component was called, for an error that passed no line of the component's file, such as a
            wrong number of arguments.
    """
    line = line_in(error, component.origin) or (f"in {method}" if method else "")
    return f"{called(component)} fails{line and f' {line}'}: {told(error)}"


def told(error: BaseException) -> str:
    """An exception in one line, not too long: `ValueError: no such margin`."""
    message = in_one_line(" ".join(str(error).split()))
    if len(message) > LONGEST_MESSAGE:
        message = f"{message[:LONGEST_MESSAGE]} …"
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def line_in(error: BaseException, origin: str) -> str:
    """`in MyViews.__call__ at line 12`: the deepest of an error's lines in a plugin's file; empty where there is none.

    A component of a package may call the package's other files; their lines count where its own file has none.

    Args:
        error: with its traceback.
        origin: a plugin file's path, or a module's name.
    """
    file = Path(origin)
    package = file.parent if file.suffix == ".py" and (file.parent / "__init__.py").exists() else None
    own, near = "", ""
    for code, line, module in frames(error):
        if code.co_filename == origin or module == origin:
            own = f"in {_function(code)} at line {line}"
        elif package is not None and Path(code.co_filename).is_relative_to(package):
            near = f"in {_function(code)} of {place_of(code.co_filename)} at line {line}"
    return own or near


def frames(error: BaseException) -> Iterator[tuple[CodeType, int, str]]:
    """The code, line and module of each call that an error passed, the outermost first."""
    traceback: TracebackType | None = error.__traceback__
    while traceback is not None:
        frame = traceback.tb_frame
        yield frame.f_code, traceback.tb_lineno, str(frame.f_globals.get("__name__", ""))
        traceback = traceback.tb_next


@contextmanager
def naming(component: Component, method: str = "") -> Iterator[None]:
    """A block of work of a plugin's component: whatever it raises becomes an error that names the component.

    What is raised on purpose, and want of memory, which has its own remedies, pass unchanged.

    Args:
        component: does the work.
        method: what of it is called.

    Raises:
        PluginError: it failed.
    """
    try:
        yield
    except Exception as error:
        if passes(error) or is_own(component):
            raise
        raise PluginError(fault(error, component, method)) from error


def passes(error: Exception) -> bool:
    """Whether an exception is no component's fault: one raised on purpose, or want of memory."""
    return isinstance(error, SiamesekitError) or out_of_memory(error)


def given(value: Any) -> str:
    """What a component gave, in words: `a tensor float32 [3, 32, 32]`, `None`, `a list`."""
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    kind = type(value)
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        what = "a tensor" if any(base.__name__ == "Tensor" for base in kind.__mro__) else "an array"
        return f"{what} {str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if kind.__module__.startswith("PIL."):
        return "a Pillow image"
    return f"a{'n' if kind.__name__[0] in 'AEIOUaeiou' else ''} {kind.__name__}"


def _function(code: CodeType) -> str:
    """A function's name with its class's, without what Python adds for inner functions and comprehensions."""
    parts = [part for part in code.co_qualname.split(".") if not part.startswith("<") or part == "<lambda>"]
    return ".".join(parts) or code.co_name
