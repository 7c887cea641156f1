"""Errors: the tree that the docstring draws, and the suggestions."""

import inspect
import re

import pytest

from siamesekit import errors


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


@pytest.mark.parametrize(
    ("word", "choices", "expected"),
    [
        ("tripel", ["triplet", "arcface"], " (did you mean 'triplet'?)"),
        ("zzz", ["triplet", "arcface"], ""),
        ("squared_euclidean", ["squared-euclidean"], " (did you mean 'squared-euclidean'?)"),
    ],
)
def test_near(word: str, choices: list[str], expected: str) -> None:
    assert errors.near(word, choices) == expected


def test_config_error_lists_every_problem() -> None:
    error = errors.ConfigError("x.toml", ["a: one", "b: two"])
    assert error.problems == ("a: one", "b: two")
    assert str(error) == "2 problems in x.toml\n  a: one\n  b: two"
