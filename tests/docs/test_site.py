"""The built site: nothing is warned of, every link and anchor leads somewhere, nothing is fetched from elsewhere."""

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest

import siamesekit
from building import ROOT, build, built
from docs_site.public_names import exceptions
from siamesekit.registry import REGISTRIES

pytestmark = pytest.mark.timeout(1200)

LOADED = {("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src"), ("source", "src")}
"""What a browser fetches by itself; a link is only followed by a person."""


class Page(HTMLParser):
    """What a page links to, loads, and can be linked to at."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.ids: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for key, value in attrs:
            if key in ("id", "name") and value:
                self.ids.add(value)
            if key in ("href", "src") and value:
                self.links.append(value)
                if (tag, key) in LOADED:
                    self.loads.append(value)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory)


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {file: Page(file.read_text(encoding="utf-8")) for file in site.rglob("*.html")}


def broken(site: Path, pages: dict[Path, Page]) -> Iterator[str]:
    """The links that lead nowhere."""
    for file, page in pages.items():
        for link in page.links:
            if re.match(r"\w+:", link):
                continue
            path, anchor = urldefrag(unquote(link))
            target = site / path.lstrip("/") if path.startswith("/") else file.parent / path
            target = (file if not path else target).resolve()
            if target.is_dir():
                target = target / "index.html"
            if not target.is_file():
                yield f"{file.relative_to(site)}: {link}: no such file"
            elif anchor and target.suffix == ".html" and anchor not in pages[target].ids | {"__skip"}:
                yield f"{file.relative_to(site)}: {link}: no such anchor"


@pytest.mark.slow
def test_every_link_and_anchor_leads_somewhere(site: Path, pages: dict[Path, Page]) -> None:
    assert len(pages) > 150
    assert sum(len(page.links) for page in pages.values()) > 5000
    assert list(broken(site, pages)) == []


@pytest.mark.slow
def test_a_broken_link_would_be_found(site: Path, pages: dict[Path, Page]) -> None:
    """The oracle itself."""
    place = site / "index.html"
    page = Page('<a href="quickstart/#no-such">x</a><a href="nowhere/">x</a><a href="quickstart/">x</a>')
    found = list(broken(site, {**pages, place: page}))
    assert [line.rpartition(": ")[2] for line in found if line.startswith("index.html")] == [
        "no such anchor",
        "no such file",
    ]


@pytest.mark.slow
def test_nothing_is_loaded_from_elsewhere(site: Path, pages: dict[Path, Page]) -> None:
    outside = {link for page in pages.values() for link in page.loads if re.match(r"(\w+:)?//", link)}
    assert outside == set()
    for style in site.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        assert not re.search(r"(url\(|@import)\s*[\"']?(https?:)?//", text), style


@pytest.mark.slow
def test_the_search_finds_components_and_words(site: Path) -> None:
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    documents = {document["location"]: document for document in index["docs"]}
    text = " ".join(f"{document['title']} {document['text']}" for document in documents.values())
    for term in ("multi-similarity", "semi-hard", "bootstrap", "STAND-IN", "photo-id"):
        assert term in text, term
    assert any(location.startswith("catalogue/losses/triplet/") for location in documents)


@pytest.mark.slow
def test_every_component_has_a_page_with_all_its_options(site: Path) -> None:
    for registry in REGISTRIES:
        for component in registry.components():
            if not component.origin.startswith("siamesekit."):
                continue
            place = site / "catalogue" / registry.plural / component.name.removesuffix("/*") / "index.html"
            page = place.read_text(encoding="utf-8")
            for option in component.options:
                assert f"<code>{option.name}</code>" in page, (component.name, option.name)


@pytest.mark.slow
def test_every_public_name_has_an_entry(site: Path, pages: dict[Path, Page]) -> None:
    ids = {each for file in (site / "reference" / "python").rglob("*.html") for each in pages[file].ids}
    assert {f"siamesekit.{name}" for name in siamesekit.__all__} <= ids


@pytest.mark.slow
def test_errors_and_types_of_signatures_lead_to_their_entries(site: Path) -> None:
    folder = site / "reference" / "python"
    page = "\n".join(file.read_text(encoding="utf-8") for file in sorted(folder.glob("*/index.html")))
    assert {f"siamesekit.errors.{name}" for name in exceptions()} <= Page(page).ids
    raised = re.findall(r"Raises:.*?</ul>", page, re.DOTALL)
    named = [
        re.sub(r"\s+", " ", code)
        for part in raised
        for code in re.findall(r"<li[^>]*>\s*(.*?</code>)", part, re.DOTALL)
    ]
    assert len(named) > 15
    own = [code for code in named if "<a " not in code]
    assert {re.sub(r"<[^>]+>", "", code) for code in own} <= {"ValueError"}
    assert re.search(r'href="[^"]*#siamesekit\.experiment\.plan\.Plan"', page)
    assert "blockquote" not in page  # an example's >>>


@pytest.mark.slow
def test_no_page_of_the_reference_is_endless(site: Path) -> None:
    """The whole reference on one page took 28,000 pixels."""
    sizes = {
        file.parent.name: len(re.sub(r"<[^>]+>|\s+", "", file.read_text(encoding="utf-8")))
        for file in (site / "reference" / "python").rglob("*.html")
    }
    assert max(sizes.values()) < 0.45 * sum(sizes.values())


@pytest.mark.slow
def test_the_quickstart_shows_what_its_commands_print(site: Path) -> None:
    text = re.sub(r"<[^>]+>", "", (site / "quickstart" / "index.html").read_text(encoding="utf-8"))
    for printed in (
        "100 photos of 20 individuals",
        "epoch   6/6",
        "trained network",
        "verdict     same individual",
        "verdict     different",
        "100 photos, 256 dimensions each: embeddings.npz",
        "torch.Size([2, 256])",
    ):
        assert printed in text, printed
    assert "not run in this build" not in text


@pytest.mark.huge
def test_every_page_that_shows_what_its_commands_print_shows_it(tmp_path: Path) -> None:
    docs = ROOT / "docs"
    pages = {page for page in docs.rglob("*.md") if page.read_text(encoding="utf-8").startswith("---\nrun: true\n")}
    assert len(pages) > 3
    done = build(tmp_path / "site")
    assert done.returncode == 0, done.stderr
    for page in pages:
        shown = tmp_path / "site" / page.relative_to(docs).with_suffix("") / "index.html"
        text = shown.read_text(encoding="utf-8")
        assert "output" in text and "not run in this build" not in text, page


@pytest.mark.slow
def test_what_was_included_and_drawn_is_there(site: Path) -> None:
    whales = (site / "whales" / "index.html").read_text(encoding="utf-8")
    assert "The figures, side by side" in whales
    assert "<!-- include" not in whales
    concepts = (site / "concepts" / "index.html").read_text(encoding="utf-8")
    assert concepts.count('<figure class="drawing"><div class="wide"><svg') == 7
    assert "<!-- figure" not in concepts
