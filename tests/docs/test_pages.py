"""The pages, without building the site: each begins with what it is good for, and links to what is there."""

import posixpath
import re
from pathlib import Path

import pytest

from docs_site.catalogue import catalogue, range_of, sections, type_in_words
from docs_site.command_line import command_line, commands
from docs_site.including import DIRECTIVE, LINK, ROOT, included, outward
from siamesekit.config import TABLES, load_config
from siamesekit.registry import REGISTRIES, registry_of

DOCS = ROOT / "docs"
PAGES = sorted(page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md"))
OPENED_BY_THE_HOOK = {"benchmarks.md", "threat-model.md"}


@pytest.fixture(scope="module")
def generated() -> dict[str, str]:
    return catalogue()


def opening(text: str) -> str:
    """The first line below the title."""
    text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL).strip()
    title, _, rest = text.partition("\n")
    assert title.startswith("# ")
    lines = [line for line in rest.splitlines() if line.strip() and not line.startswith("[Catalogue]")]
    return lines[0]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_begins_with_what_its_reader_can_do(page: str) -> None:
    if page not in OPENED_BY_THE_HOOK:
        assert opening((DOCS / page).read_text(encoding="utf-8")).startswith("After this page you ")


def test_a_page_of_the_catalogue_does_too(generated: dict[str, str]) -> None:
    for page, text in generated.items():
        assert opening(text).startswith("After this page you can "), page


@pytest.mark.parametrize("page", PAGES)
def test_a_link_leads_to_a_page_that_is_there_or_is_generated(page: str, generated: dict[str, str]) -> None:
    text, files = included((DOCS / page).read_text(encoding="utf-8"), page)
    assert all(source.is_file() for source in files.values())
    known = set(PAGES) | set(generated) | set(files) | {f.relative_to(DOCS).as_posix() for f in DOCS.rglob("*.*")}
    prose = re.sub(r"```.*?```", "", outward(text, page), flags=re.DOTALL)
    for link in LINK.finditer(prose):
        if not re.match(r"\w+:", link["target"]):
            assert posixpath.normpath(posixpath.join(posixpath.dirname(page), link["target"])) in known, link[0]


def test_included_files_are_there() -> None:
    named = [path for page in PAGES for path in DIRECTIVE.findall((DOCS / page).read_text(encoding="utf-8"))]
    assert len(named) == 5
    assert all((ROOT / path).is_file() for path in named)


def test_every_page_and_kind_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    named = set(re.findall(r"(\S+\.md)$", navigation, re.M))
    assert named == set(PAGES) | {"catalogue/index.md"} | {f"catalogue/{r.plural}/index.md" for r in REGISTRIES}


def test_every_command_stands_in_the_reference() -> None:
    text = command_line()
    assert {"init", "run", "check", "compare", "embed", "list", "show", "schema"} <= set(commands())
    for command in commands():
        assert f"## {command}\n\n```text\nUsage: siamesekit {command} " in text
    assert "--false-accept" not in text


def test_every_component_and_member_has_a_page(generated: dict[str, str]) -> None:
    for registry in REGISTRIES:
        for component in registry.components():
            if not component.origin.startswith("siamesekit."):
                continue
            members = component.members() if component.members_from else []
            prefix = component.name.removesuffix("/*")
            place = f"{prefix}/index" if component.is_family else component.name
            assert f"catalogue/{registry.plural}/{place}.md" in generated
            for member in members:
                assert f"catalogue/{registry.plural}/{prefix}/{member}.md" in generated


def test_a_snippet_of_the_catalogue_is_a_config(generated: dict[str, str], tmp_path: Path) -> None:
    """All that need no value but those shown; the places of files are the only ones that are made up."""
    (tmp_path / "photos").mkdir()
    counted = 0
    for text in generated.values():
        found = re.search(r"```toml\n(\[(\w+)[.\]].*?)```", text, re.DOTALL)
        if not found or found[2] not in TABLES or found[1].startswith(("[loss.", "[data")):
            continue
        base = {"data": '[data]\nreader = "folder"\nroot = "photos"\n', "encoder": '[encoder]\nname = "xception"\n'}
        base.pop(found[2], None)
        (tmp_path / "c.toml").write_text("".join(base.values()) + found[1], encoding="utf-8")
        if "…" in re.sub(r"#.*", "", found[1]):
            continue
        load_config(tmp_path / "c.toml")
        counted += 1
    assert counted > 120


def test_types_are_said_in_words() -> None:
    options = {option.name: option for option in registry_of("loss").get("triplet").options}
    assert type_in_words(options["margin"].annotation) == "number"
    assert range_of(options["margin"].annotation) == "≥ 0"
    assert type_in_words(options["hinge"].annotation) == '`"linear"`, `"squared"` or `"soft"`'
    jitter = registry_of("augmentation").get("torchvision/color-jitter").options[0]
    assert type_in_words(jitter.annotation) == "number or list of 2 numbers or not set"
    assert type_in_words(tuple[str, ...]) == "list of texts"


def test_a_docstring_falls_into_its_sections() -> None:
    body, rest = sections("First.\n\nMore.\n\nArgs:\n    a: one.\n        On.\n\nRaises:\n    E: bad.\nAfter.")
    assert body == "First.\n\nMore.\n\nAfter."
    assert rest["Args"].strip() == "a: one.\n        On."
    assert rest["Raises"].strip() == "E: bad."
