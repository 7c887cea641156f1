"""Mistakes of beginners in TOML: the line, what stands there, the cause, and a spelling that is TOML."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from siamesekit.config import load_config
from siamesekit.config.toml_mistakes import mistake_of, other_format
from siamesekit.errors import ConfigError

HEAD = '[data]\nreader = "folder"\nroot = "photos"\n\n[loss]\n'
LINE = HEAD.count("\n") + 1

SPELT = {
    "margin = 0,2": ("write a decimal number with a point", 0.2),
    "margin = -0,25e-1": ("write a decimal number with a point", -0.025),
    "train = 90%": ("a share must be from 0 to 1", 0.9),
    "train = 12,5 %": ("a share must be from 0 to 1", 0.125),
    "size = 128px": ("without a unit", 128),
    "memory_gib = 2 GB": ("without a unit", 2),
    "lr = 0.1f": ("without a unit", 0.1),
    "epochs = 1,000,000": ("without thousands separators", 1_000_000),
    "epochs = 1.000.000": ("without thousands separators", 1_000_000),
    "epochs = 1 000": ("without thousands separators", 1000),
    "epochs = 1'000": ("without thousands separators", 1000),
    "epochs = 1.000,5": ("without thousands separators", 1000.5),
    "lr = .5": ("both sides of a decimal point", 0.5),
    "lr = 5.": ("both sides of a decimal point", 5.0),
    "epochs = 05": ("without leading zeros", 5),
    "train = 1/2": ("does not calculate", 0.5),
    "lr = 10^-4": ("does not calculate", 1e-4),
    "size = 2**7": ("does not calculate", 128),
    "lr = −0.1": ("write a minus sign as a hyphen", -0.1),
    "normalize = True": ("write true or false", True),
    "normalize = FALSE": ("write true or false", False),
    "normalize = yes": ("write true or false", True),
    "normalize = off": ("write true or false", False),
    "name = triplet": ("write text in quotes", "triplet"),
    "name = timm/resnet18  # small": ("write text in quotes", "timm/resnet18"),
    "root = ~/my photos": ("write text in quotes", "~/my photos"),
    r"root = C:\Users\me": ("write text in quotes", r"C:\Users\me"),
    "root = $HOME/photos": ("variables are not filled in", "$HOME/photos"),
    "name = seal’s": ("write text in quotes", "seal’s"),
    "name = “triplet”": ("TOML needs straight quotes", "triplet"),
    "name = «triplet»": ("TOML needs straight quotes", "triplet"),
    "name = `triplet`": ("TOML needs straight quotes", "triplet"),
    'name = "triplet': ("the string is not closed", "triplet"),
    'name = triplet"': ("a string begins with a quote", "triplet"),
    "name = 'triplet\"": ("the quote that begins it", "triplet"),
    "name = 'don't'": ("a string in single quotes cannot contain", "don't"),
    'name = "say "hi""': ("in double quotes is written", 'say "hi"'),
    'hint = r"a b"': ("remove the letter before the quotes", "a b"),
    'root = Path("photos")': ("TOML has no functions", "photos"),
    "layers = 512, 256": ("write a list in brackets", [512, 256]),
    "layers = 512,256": ("write a list in brackets", [512, 256]),
    "layers = (512, 256)": ("square brackets", [512, 256]),
    "layers = [512 256]": ("write commas between", [512, 256]),
    "layers = [512; 256]": ("write commas between", [512, 256]),
    "test = [ann, bob]": ("write text in quotes", ["ann", "bob"]),
    'test = ["ann" "bob"]': ("write commas between", ["ann", "bob"]),
    "epochs = 3,": ("remove the , at the end", 3),
    'name = "a";': ("remove the ; at the end", "a"),
    "epochs = 3 // three": ("a comment begins with #", 3),
    "head = {layers = [1],}": ("remove the comma after the last key", {"layers": [1]}),
    'head = {"layers": [1], "activation": "relu"}': ("write = between", {"layers": [1], "activation": "relu"}),
}
"""A line, a part of what is said of it, and the value that the suggested spelling has."""
WHOLE = {
    "lr: 0.1": "lr = 0.1",
    '"lr": 0.1,': "lr = 0.1",
    "name: triplet": 'name = "triplet"',
    "lr := 0.1": "lr = 0.1",
    "lr == 0.1": "lr = 0.1",
    "epochs 3": "epochs = 3",
    "epochs\t3": "epochs = 3",
    "[encoder.head": "[encoder.head]",
    "encoder.head]": "[encoder.head]",
    "[[steps]": "[[steps]]",
    "(train)": "[train]",
    "train:": "[train]",
    "[train]:": "[train]",
    "[encoder/head]": "[encoder.head]",
}
"""A line, and the one that is suggested in its place."""
SAID = {
    r'root = "C:\Users\me"': r"write 'C:\Users\me' in single quotes, or "
    '"C:/Users/me"',
    'root = "C:\\photos\\"': 'or "C:/photos/"',
    "margin = 1\nmargin = 2": "margin is already set on line 6: keep one of the two",
    "[loss]": "[loss] is already on line 5: merge the two tables",
    "[data]": "[data] is already on line 1: merge the two tables",
    "head = 3\n[loss.head]": "head is already set on line 6",
    "x = None": "TOML has no null value: leave the key out",
    "epochs =": "a value is missing after =",
    "epochs": "a value is missing: epochs = VALUE, or [epochs] if it is a table's name",
    "epochs = 1,000": "1000 or 1.000",
    "layers = [512, 256": "the [ is not closed",
    'layers = [512, 256\nactivation = "relu"': "the [ is not closed",
    'test = [\n "ann",\n "bob"\n "eve"\n]': "a comma is missing before this item",
    'hint = """abc\nx = 1': 'the """ is not closed',
    "head = {\n layers = [1]\n}": "a table in { } must be on one line",
    'name = "a" margin = 0.2': "two keys on one line: write 'margin = 0.2' on the next line",
    "[train] epochs = 3": "write a key on its own line, below [train]",
    "// comment": "a comment begins with #",
    "batch size = 3": "a key is one word of letters a to z, digits, - and _: batch_size",
    "größe = 3": "a key is one word of letters",
    "<<<<<<< HEAD": "a conflict marker of git",
    "x =\u00a03": "the character U+00A0, which is invisible, is in the value: remove it",
    "x = NaN": "a number must be finite",
    "x = 2024-13-45": "not a valid date",
    "= 3": "a key is missing before =",
}


def told(lines: str) -> tuple[int, str, str]:
    text = f"{HEAD}{lines}\n"
    with pytest.raises(tomllib.TOMLDecodeError) as error:
        tomllib.loads(text)
    return mistake_of(text, error.value, {"layers", "test"})


@pytest.mark.parametrize(("line", "cause", "value"), [(line, *rest) for line, rest in SPELT.items()])
def test_the_suggested_value_is_toml_and_what_was_meant(line: str, cause: str, value: object) -> None:
    number, excerpt, what = told(line)
    assert (number, excerpt) == (LINE, line.strip())
    assert cause in what
    spelling = what.partition(": ")[2] or what.rpartition(", ")[2]
    spelling = spelling.removeprefix("write only the value, ").removeprefix("write the result, ")
    assert tomllib.loads(f"x = {spelling}")["x"] == value


@pytest.mark.parametrize(("line", "meant"), WHOLE.items())
def test_the_suggested_line_is_toml(line: str, meant: str) -> None:
    number, excerpt, what = told(line)
    assert (number, excerpt) == (LINE, line)
    assert what.endswith(meant)
    tomllib.loads(meant)


@pytest.mark.parametrize(("lines", "expected"), SAID.items())
def test_the_cause_is_said(lines: str, expected: str) -> None:
    number, excerpt, what = told(lines)
    assert expected in what
    assert excerpt in [line.strip() for line in lines.split("\n")]
    assert f"{HEAD}{lines}\n".split("\n")[number - 1].strip() == excerpt


@pytest.mark.parametrize("line", ["x = ==", "x = 0.1..0.5", "x = ,", "n = <5"])
def test_of_what_is_not_known_the_parser_s_words_are_told(line: str) -> None:
    number, excerpt, what = told(line)
    assert (number, excerpt) == (LINE, line)
    assert what.startswith("is not TOML: ") and "column" in what


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"data": {"reader": "folder"}}', "is JSON"),
        ('{\n  "data": {"reader": "folder",}\n}', "is JSON"),
        ("data:\n  reader: folder\n  root: photos\n", "is YAML"),
        ("---\ndata:\n  - a\n", "is YAML"),
        ("photo,individual\na.jpg,ann\nb.jpg,bob\n", "is a table"),
        ("photo;individual\na.jpg;ann\n", "is a table"),
        ("<!DOCTYPE html>\n<html>", "is XML or HTML"),
        ("import siamesekit\nsiamesekit.run()\n", "is Python"),
    ],
)
def test_a_text_of_another_format_is_named(text: str, expected: str) -> None:
    found = other_format(text)
    assert found is not None and found.startswith(expected)


@pytest.mark.parametrize("line", [*SPELT, *WHOLE, *SAID])
def test_a_config_with_one_mistake_is_not_taken_for_another_format(line: str) -> None:
    assert other_format(f"{HEAD}{line}\n") is None


def test_the_message_has_file_line_and_text(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(f"{HEAD}margin = 0,2\n", encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        load_config(tmp_path / "c.toml")
    assert error.value.problems == (f"c.toml:{LINE}  margin = 0,2: write a decimal number with a point: 0.2",)


def test_a_long_broken_text_is_answered_soon(tmp_path: Path) -> None:
    text = HEAD + "".join(f"k{number} = [\n" for number in range(5000))
    (tmp_path / "c.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"the \[ is not closed|is not TOML"):
        load_config(tmp_path / "c.toml")
