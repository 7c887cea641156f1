"""The glossary: each word once, and what stands in the code where it says so."""

import dataclasses
import re
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROWS = re.findall(
    r"^\| ([^|]+) \| ([^|]+) \| `([\w./]+)` \|$", (ROOT / "docs/glossary.md").read_text(encoding="utf-8"), re.M
)


def found(place: str) -> object | None:
    """The file or folder of the package, or the class, function or field with a dotted name."""
    if "/" in place:
        path = ROOT / "src" / "siamesekit" / place
        return path if path.exists() else None
    parts = place.split(".")
    for length in range(len(parts), 0, -1):
        try:
            thing: object = import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for name in parts[length:]:
            fields = {field.name for field in dataclasses.fields(thing)} if dataclasses.is_dataclass(thing) else set()
            thing = name if name in fields else getattr(thing, name)
        return thing
    raise LookupError(place)


def test_each_word_stands_once_with_a_sentence() -> None:
    words = [word.strip() for row in ROWS for word in row[0].split(",")]
    assert len(words) > 40
    assert len(words) == len(set(words))
    for word, meaning, _ in ROWS:
        assert re.match(r"[A-Z]", meaning) and meaning.endswith("."), word


def test_what_it_names_is_in_the_code() -> None:
    for word, _, place in ROWS:
        assert found(place) is not None, word


def test_every_row_of_its_tables_is_read_here() -> None:
    text = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("|") and not re.match(r"\| (word|---) \|", line)]
    assert len(rows) == len(ROWS)


def test_the_site_leads_to_it() -> None:
    assert "- Glossary: glossary.md" in (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
