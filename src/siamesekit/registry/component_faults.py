"""Error messages for a failing component: the component, its plugin, the method and the line.

```
augmentation 'my-views' of mine.py fails in MyViews.__call__ at line 12: TypeError: …
```
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, TracebackType
from typing import TYPE_CHECKING, Any

from siamesekit.errors import PluginError, SiamesekitError, out_of_memory
from siamesekit.wording import in_one_line, line_of_name

if TYPE_CHECKING:
    from siamesekit.registry.component import Component

SESSION = "__main__"
"""Origin of components that are defined in a notebook or at a prompt."""
LONGEST_MESSAGE = 500
"""Maximum number of characters shown of another package's message."""


def is_own(component: Component) -> bool:
    """Whether the library ships the component; all other components come from plugins."""
    return component.origin.startswith("siamesekit.")


def called(component: Component) -> str:
    """The component's name in messages: `loss 'triplet'`, or for a plugin's `loss 'my-loss' of mine.py`."""
    named = f"{component.kind} {component.name!r}"
    if is_own(component):
        return named
    return f"{named} of {place_of(component.origin)}"


def refuse_without(made: object, component: Component, methods: Sequence[str], expected: str) -> None:
    """Refuse the result of a plugin's component that is a class, or lacks a method.

    Args:
        made: the result.
        component: the component that built it.
        methods: names of the methods.
        expected: what it should be, for the message.

    Raises:
        PluginError: it is a class, or lacks one of them.
    """
    missing = [name for name in methods if not callable(getattr(made, name, None))]
    if isinstance(made, type) or missing:
        lacks = f", which has no method {missing[0]!r}" if missing else ""
        raise PluginError(f"{called(component)} gives {given(made)}{lacks}; expected {expected}")


def place_of(origin: str) -> str:
    """An origin's name in messages: `mine.py`, `package/mine.py`, a module's name, or `this session`."""
    if origin == SESSION:
        return "this session"
    file = Path(origin)
    if file.suffix != ".py":
        return line_of_name(origin)
    return line_of_name(f"{file.parent.name}/{file.name}" if (file.parent / "__init__.py").exists() else file.name)


def fault(error: BaseException, component: Component, method: str = "") -> str:
    """A component's error, in one line.

    Args:
        error: exception with its traceback.
        component: the component that raised it.
        method: the called method, named if the traceback has no line in the component's file, as for a wrong number of
            arguments.
    """
    line = line_in(error, component.origin) or (f"in {method}" if method else "")
    return f"{called(component)} fails{line and f' {line}'}: {told(error)}"


def told(error: BaseException) -> str:
    """An exception in one line, shortened: `ValueError: no such margin`."""
    message = in_one_line(" ".join(str(error).split()))
    if len(message) > LONGEST_MESSAGE:
        message = f"{message[:LONGEST_MESSAGE]} …"
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def line_in(error: BaseException, origin: str) -> str:
    """The deepest traceback line in a plugin's file: `in MyViews.__call__ at line 12`; empty if there is none.

    If the traceback has no line in the component's own file, the other files of its package count.

    Args:
        error: exception with its traceback.
        origin: path of a plugin file, or name of a module.
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
    """Code, line number and module of each call in a traceback, outermost first."""
    traceback: TracebackType | None = error.__traceback__
    while traceback is not None:
        frame = traceback.tb_frame
        yield frame.f_code, traceback.tb_lineno, str(frame.f_globals.get("__name__", ""))
        traceback = traceback.tb_next


@contextmanager
def naming(component: Component, method: str = "") -> Iterator[None]:
    """Convert exceptions of a plugin's component into a `PluginError` that names the component.

    The library's own errors and out-of-memory errors, which have their own remedies, pass unchanged.

    Args:
        component: the component that runs in the block.
        method: the method that is called.

    Raises:
        PluginError: The component failed.
    """
    try:
        yield
    except Exception as error:
        if passes(error) or is_own(component):
            raise
        raise PluginError(fault(error, component, method)) from error


def passes(error: Exception) -> bool:
    """Whether an exception is not a component's fault: an error of the library, or out of memory."""
    return isinstance(error, SiamesekitError) or out_of_memory(error)


def given(value: Any) -> str:
    """A component's return value in words: `a tensor float32 [3, 32, 32]`, `None`, `a list`."""
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
    """A function's qualified name, without the parts that Python adds for inner functions and comprehensions."""
    parts = [part for part in code.co_qualname.split(".") if not part.startswith("<") or part == "<lambda>"]
    return ".".join(parts) or code.co_name
