"""Everything this library raises on purpose.

```
SiamesekitError
├── UserError               the input is wrong; the command line exits with 2
│   ├── ConfigError         a config file or an override, all problems at once
│   ├── ComponentError      a component's registration, name or options
│   ├── PluginError         a plugin that cannot be loaded
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

from collections.abc import Iterable
from difflib import get_close_matches

LONGEST_PROBLEM = 4000
"""Characters that are shown of a config's problem: all choices of a kind take some thousand."""


class SiamesekitError(Exception):
    """Root of all errors raised on purpose: a message says what, where, and what to do."""


class UserError(SiamesekitError):
    """The user's input is wrong: config, data or arguments."""


class ConfigError(UserError):
    """One or more problems of a config; `problems` holds a line each, the message all of them."""

    def __init__(self, source: str, problems: Iterable[str]) -> None:
        self.source = source
        self.problems = tuple(map(in_one_line, problems))
        count = f"{len(self.problems)} problem{'s' if len(self.problems) > 1 else ''}"
        super().__init__(f"{count} in {source}\n" + "\n".join(f"  {problem}" for problem in self.problems))


class ComponentError(UserError):
    """A component's registration, name or options are wrong."""


class PluginError(UserError):
    """A plugin cannot be found or fails while it is loaded."""


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


def near(word: str, choices: Iterable[str]) -> str:
    """Suggest spellings: `" (did you mean 'triplet'?)"`, or an empty string where nothing is near."""
    found = get_close_matches(word, list(choices), n=3, cutoff=0.6)
    return f" (did you mean {' or '.join(map(repr, found))}?)" if found else ""


def in_one_line(text: str) -> str:
    """A message that quotes anything: what would break the line, or act on a terminal, as escapes, and not too long."""
    shown = "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
    half = LONGEST_PROBLEM // 2
    return shown if len(shown) <= LONGEST_PROBLEM else f"{shown[:half]} … {shown[-half:]}"


def line_of_name(name: str) -> str:
    """A file's name as it stands in a message: itself, or quoted with escapes where it would break the line."""
    return name if name.isprintable() else repr(name)
