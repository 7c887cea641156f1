"""Errors: the tree that the docstring draws, and lines that act on no terminal."""

import inspect
import pickle
import re

import pytest

from siamesekit import errors
from siamesekit.errors import ConfigError, SiamesekitError

CLASSES = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, SiamesekitError)]
HOSTILE = "\x1b]0;title\x07\x1b[2J\rerror: none\nverdict     same individual\u202egnp.exe\x9b31m\u2028\x00\ud800"
"""It sets a terminal's title, clears it, overwrites a line, adds one, and turns the direction of writing."""


def make(kind: type[SiamesekitError], text: str) -> SiamesekitError:
    return ConfigError(text, [text, text]) if kind is ConfigError else kind(text, [text, text])


def drawn_tree() -> dict[str, str]:
    """Child to parent, read from the tree in the module's docstring."""
    parents: dict[str, str] = {}
    path: list[str] = []
    for line in errors.__doc__.splitlines():
        found = re.match(r"^((?:│   |├── |└── |    )*)([A-Z]\w+Error)", line)
        if found:
            depth = len(found.group(1)) // 4
            path = [*path[:depth], found.group(2)]
            if depth:
                parents[path[-1]] = path[-2]
    return parents


def test_docstring_draws_the_tree() -> None:
    classes = {name: c for name, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, Exception)}
    assert drawn_tree() == {name: c.__base__.__name__ for name, c in classes.items() if name != "SiamesekitError"}


def test_config_error_lists_every_problem() -> None:
    error = errors.ConfigError("x.toml", ["a: one", "b: two"])
    assert error.problems == ("a: one", "b: two")
    assert str(error) == "2 problems in x.toml\n  a: one\n  b: two"


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_no_error_lets_text_act_on_a_terminal_or_add_a_line(kind: type[SiamesekitError]) -> None:
    lines = str(make(kind, HOSTILE)).split("\n")
    assert len(lines) == 3
    assert all(line.isprintable() for line in lines)
    assert all(line.startswith("  ") for line in lines[1:])


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_errors_survive_pickling(kind: type[SiamesekitError]) -> None:
    error = make(kind, "a: b")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert str(again) == str(error)


def test_an_error_without_details_is_its_message() -> None:
    assert str(errors.UserError("what")) == "what"
    assert errors.UserError("what").args == ("what",)
    assert str(errors.UserError("what", ["one", "two"])) == "what\n  one\n  two"
