"""Everything this library raises on purpose.

```
SiamesekitError
├── UserError               the input is wrong; the command line exits with 2
│   ├── ConfigError         a config file or an override, all problems at once
│   ├── ComponentError      a component's registration, name or options
│   ├── PluginError         a plugin that cannot be loaded, or whose component fails
│   ├── DataError           photos, folders, splits
│   │   └── MissingDataError    the data set is missing (a stand-in may take its place)
│   ├── WeightsError        a weights file that does not fit
│   │   └── MissingWeightsError the weights are missing (a stand-in may take their place)
│   ├── OutputError         the folder for results
│   └── ArtifactError       a saved model or a run's folder
└── RunError                the work failed while running; exits with 1
```
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from siamesekit.wording import in_one_line

TOO_MUCH = re.compile("allocate memory|not enough memory|out of memory|calculation overflowed|unable to mmap")
"""Messages of torch's out-of-memory errors on different systems."""


class SiamesekitError(Exception):
    """Root of all errors raised on purpose: a message says what, where, and what to do.

    A message may quote anything: the name of a photo, a key of a file, the words of another library. `in_one_line`
    makes each line printable, so that no quoted text breaks the line or acts on a terminal.

    Args:
        message: first line.
        details: further lines, indented below the first.
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
        """The lines below the first."""
        return tuple(line for lines in self.args[1:] for line in lines)

    def __str__(self) -> str:
        return "\n  ".join([self.message, *self.details])


class UserError(SiamesekitError):
    """The user's input is wrong: config, data or arguments."""


class ConfigError(UserError):
    """A config has problems: `problems` holds one line per problem, and the message lists them all."""

    def __init__(self, source: str, problems: Iterable[str]) -> None:
        self.source = source
        self.problems = tuple(map(in_one_line, problems))
        count = f"{len(self.problems)} problem{'s' if len(self.problems) > 1 else ''}"
        super().__init__(f"{count} in {source}", self.problems)

    def __reduce__(self) -> tuple[type[ConfigError], tuple[str, tuple[str, ...]]]:
        return type(self), (self.source, self.problems)  # unpickling calls `__init__`, which makes the message


class ComponentError(UserError):
    """A component's registration, name or options are wrong."""


class PluginError(UserError):
    """A plugin is missing or fails to load, or one of its components fails or returns an unusable value."""


class DataError(UserError):
    """The data cannot be used as asked: unreadable photos, too few individuals, …"""


class MissingDataError(DataError):
    """The data set is missing; a `stand_in` table may take its place."""


class WeightsError(UserError):
    """A weights file cannot be read or does not fit the network."""


class MissingWeightsError(WeightsError):
    """The weights are missing or cannot be downloaded; a `stand_in` table may take their place."""


class OutputError(UserError):
    """The folder for results cannot be used."""


class ArtifactError(UserError):
    """A run's folder or saved model cannot be read."""


class RunError(SiamesekitError):
    """The run failed while running."""


def out_of_memory(error: BaseException) -> bool:
    """Whether an error means that a device or the machine is out of memory."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's, without importing it
        return True
    return isinstance(error, RuntimeError) and TOO_MUCH.search(str(error)) is not None
