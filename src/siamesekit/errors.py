"""Everything this library raises on purpose.

```
SiamesekitError
├── UserError               the input is wrong; the command line exits with 2
│   ├── ConfigError         a config file or an override, all problems at once
│   ├── ComponentError      a component's registration, name or options
│   ├── PluginError         a plugin that cannot be loaded, or whose component fails
│   ├── DataError           photos, folders, splits
│   │   └── MissingDataError    the data set is not there at all (a stand-in may take its place)
│   ├── WeightsError        a weights file that does not fit
│   │   └── MissingWeightsError the weights cannot be had here (a stand-in may take their place)
│   ├── OutputError         where results should go
│   └── ArtifactError       a saved model or a run's folder
└── RunError                the work failed while running; exits with 1
```
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

TOO_MUCH = re.compile("allocate memory|not enough memory|out of memory|calculation overflowed|unable to mmap")
"""What torch says where memory is not enough, on one system or another."""
LONGEST_LINE = 4000
"""Characters that are shown of a message's line: the names of all components of a kind take some thousand."""


class SiamesekitError(Exception):
    """Root of all errors raised on purpose: a message says what, where, and what to do.

    A message may quote anything: the name of a photo, a key of a file, the words of another library. So nothing in it
    can break its line or act on a terminal: each part is made printable by `in_one_line`.

    Args:
        message: one line.
        details: more lines, which are indented below the first.
    """

    def __init__(self, message: str = "", details: Iterable[str] = ()) -> None:
        lines = [in_one_line(line) for line in (message, *details)]
        super().__init__(lines[0], *([tuple(lines[1:])] if lines[1:] else []))

    @property
    def message(self) -> str:
        """The first line."""
        return str(self.args[0])

    @property
    def details(self) -> tuple[str, ...]:
        """The lines below it."""
        return tuple(line for lines in self.args[1:] for line in lines)

    def __str__(self) -> str:
        return "\n  ".join([self.message, *self.details])


class UserError(SiamesekitError):
    """The user's input is wrong: config, data or arguments."""


class ConfigError(UserError):
    """One or more problems of a config; `problems` holds a line each, the message all of them."""

    def __init__(self, source: str, problems: Iterable[str]) -> None:
        self.source = source
        self.problems = tuple(map(in_one_line, problems))
        count = f"{len(self.problems)} problem{'s' if len(self.problems) > 1 else ''}"
        super().__init__(f"{count} in {source}", self.problems)

    def __reduce__(self) -> tuple[type[ConfigError], tuple[str, tuple[str, ...]]]:
        return type(self), (self.source, self.problems)  # the arguments, of which the message is made


class ComponentError(UserError):
    """A component's registration, name or options are wrong."""


class PluginError(UserError):
    """A plugin cannot be found, fails while it is loaded, or one of its components fails or gives what does not fit."""


class DataError(UserError):
    """The data cannot be used as asked: unreadable photos, too few individuals, …"""


class MissingDataError(DataError):
    """The data set is not there at all; a `stand_in` table may take its place."""


class WeightsError(UserError):
    """A weights file cannot be read or does not fit the network."""


class MissingWeightsError(WeightsError):
    """The weights cannot be had here; a `stand_in` table may take their place."""


class OutputError(UserError):
    """The place for results cannot be used."""


class ArtifactError(UserError):
    """A run's folder or saved model cannot be read."""


class RunError(SiamesekitError):
    """The work itself failed while running."""


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that a device, or the machine, has no memory left, or never had as much."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's, without importing it
        return True
    return isinstance(error, RuntimeError) and TOO_MUCH.search(str(error)) is not None


def near(word: str, choices: Iterable[str]) -> str:
    """Suggest spellings: `" (did you mean 'triplet'?)"`, or an empty string where nothing is near."""
    return did_you_mean(get_close_matches(word, list(choices), n=3, cutoff=0.6))


def did_you_mean(found: Iterable[str]) -> str:
    """`" (did you mean 'a' or 'b'?)"`, or an empty string where nothing is found."""
    shown = " or ".join(map(repr, found))
    return f" (did you mean {shown}?)" if shown else ""


def first_of(names: Sequence[str], most: int) -> str:
    """Some names as they stand in a message, the others counted: `a.jpg, b.jpg and 30 more`."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(line_of_name, names[:most])) + more


def in_one_line(text: str, longest: int = LONGEST_LINE) -> str:
    """Text of unknown origin as one printable line of bounded length.

    What would break the line or act on a terminal (control characters, escape sequences, marks that turn the direction
    of writing) is replaced by Python's escapes. Longer text keeps its beginning and its end.

    >>> in_one_line("a\\x1b[2Jb\\nc")
    'a\\\\x1b[2Jb\\\\nc'
    """
    if len(text) > 2 * longest:  # escapes only make it longer
        text = text[:longest] + text[-longest:]
    shown = printable(text)
    half = (longest - 3) // 2
    return shown if len(shown) <= longest else f"{shown[:half]} … {shown[-half:]}"


def printable(text: str) -> str:
    """Text of unknown origin without characters that act on a terminal or end a line: they are Python's escapes."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def line_of_name(name: str) -> str:
    """A file's name as it stands in a message: itself, or quoted with escapes where it would break the line."""
    return name if name.isprintable() else repr(name)
