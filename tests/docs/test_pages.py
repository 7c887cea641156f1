"""The pages, without building the site: each begins with what it is good for, links to what is there, lacks nothing."""

import ast
import posixpath
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import siamesekit
from docs_hooks import clone
from docs_site.blocks import blocks_of
from docs_site.catalogue import catalogue, sections
from docs_site.command_line import command_line, commands
from docs_site.config_keys import anchor, config_keys
from docs_site.doctests import with_fenced_examples
from docs_site.including import DIRECTIVE, LINK, ROOT, included, outward
from docs_site.public_names import (
    BY_MODULE,
    described_options,
    exceptions,
    public_names,
    reference_pages,
    with_linked_errors,
)
from docs_site.wording import cell, range_of, type_in_words
from siamesekit import errors, options
from siamesekit.cli import shell
from siamesekit.config import TABLES, load_config
from siamesekit.config.describe.tables import TOP, config_tables
from siamesekit.options import Limited
from siamesekit.registry import REGISTRIES, registry_of

DOCS = ROOT / "docs"
PAGES = sorted(page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md"))
OPENED_BY_THE_HOOK = {"benchmarks.md", "threat-model.md"}


@pytest.fixture(scope="module")
def generated() -> dict[str, str]:
    return catalogue()


def opening(text: str) -> str:
    """The first line below the title, of Markdown."""
    text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL).strip()
    title, _, rest = text.partition("\n")
    assert title.startswith("# ")
    lines = [line for line in rest.splitlines() if line.strip() and not line.startswith("[Catalogue]")]
    return lines[0]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_begins_with_what_it_is_about(page: str) -> None:
    if page not in OPENED_BY_THE_HOOK:
        first = opening((DOCS / page).read_text(encoding="utf-8"))
        assert re.match(r"[*A-Z]", first), "a sentence, no table, list or code"
        assert not first.startswith("After this page"), "that says nothing of it"


@pytest.mark.medium
def test_a_page_of_the_catalogue_begins_with_what_it_is_about(generated: dict[str, str]) -> None:
    for registry in REGISTRIES:
        assert opening(generated[f"catalogue/{registry.plural}/index.md"]).lower().startswith(f"{registry.purpose}. ")
        for component in registry.components():
            if component.origin.startswith("siamesekit."):
                page = component.name.replace("/*", "/index")
                assert opening(generated[f"catalogue/{registry.plural}/{page}.md"]) == component.summary
    assert not any("After this page" in text for text in generated.values())


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_a_link_leads_to_a_page_that_is_there_or_is_generated(page: str, generated: dict[str, str]) -> None:
    text, files = included((DOCS / page).read_text(encoding="utf-8"), page)
    assert all(source.is_file() for source in files.values())
    there = {file.relative_to(DOCS).as_posix() for file in DOCS.rglob("*.*")}
    known = there | set(PAGES) | set(generated) | set(reference_pages()) | set(files)
    prose = re.sub(r"```.*?```", "", outward(text, page), flags=re.DOTALL)
    for link in LINK.finditer(prose):
        if not re.match(r"\w+:", link["target"]):
            assert posixpath.normpath(posixpath.join(posixpath.dirname(page), link["target"])) in known, link[0]


def test_included_files_are_there() -> None:
    named = [path for page in PAGES for path in DIRECTIVE.findall((DOCS / page).read_text(encoding="utf-8"))]
    assert len(named) == 6
    assert all((ROOT / path).is_file() for path in named)


def test_every_page_and_kind_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    named = set(re.findall(r"(\S+\.md)$", navigation, re.M))
    assert not any(name.startswith("reference/python/") for name in named), "they are reached by their contents"
    assert named == set(PAGES) | {"catalogue/index.md"} | {f"catalogue/{r.plural}/index.md" for r in REGISTRIES}


@pytest.mark.medium
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
    of_triplet = {option.name: option for option in registry_of("loss").get("triplet").options}
    assert type_in_words(of_triplet["margin"].annotation) == "number"
    assert range_of(of_triplet["margin"].annotation) == "≥\N{NO-BREAK SPACE}0"
    assert range_of(Limited) == "≥\N{NO-BREAK SPACE}1, ≤\N{NO-BREAK SPACE}1,000,000"
    assert cell(f"a | b\n  {range_of(Limited)}") == f"a \\| b {range_of(Limited)}"
    assert type_in_words(of_triplet["hinge"].annotation) == '`"linear"`, `"squared"` or `"soft"`'
    jitter = registry_of("augmentation").get("torchvision/color-jitter").options[0]
    assert type_in_words(jitter.annotation) == "number or list of 2 numbers or not set"
    assert type_in_words(tuple[str, ...]) == "list of texts"


def test_a_docstring_falls_into_its_sections() -> None:
    body, rest = sections("First.\n\nMore.\n\nArgs:\n    a: one.\n        On.\n\nRaises:\n    E: bad.\nAfter.")
    assert body == "First.\n\nMore.\n\nAfter."
    assert rest["Args"].strip() == "a: one.\n        On."
    assert rest["Raises"].strip() == "E: bad."


def test_a_component_s_page_tells_its_table_s_keys_from_what_the_run_supplies(generated: dict[str, str]) -> None:
    pages = {name: generated[f"catalogue/{name}.md"] for name in ("samplers/all-pairs", "samplers/p-by-k", "encoders/"
             "xception", "optimizers/torch/adam", "losses/pml/nca", "reducers/pml/mean")}  # fmt: skip
    keys = {
        name: re.search(r"^Keys of the table \[`(.*?)`\]\((.*?)\), whatever .*?: (.*)\.$", text, re.M)
        for name, text in pages.items()
    }
    found = {name: match.groups() for name, match in keys.items() if match}
    assert found == {
        "samplers/all-pairs": ("[sampler]", "../../reference/config.md#sampler", "`batch_size`, `mirrored`, `apart`"),
        "samplers/p-by-k": ("[sampler]", "../../reference/config.md#sampler",
                            "`batch_size` (not used by this one), `mirrored`, `apart`"),
        "encoders/xception": ("[encoder]", "../../reference/config.md#encoder",
                              "`weights`, `train_from`, `pooling`, `batchnorm`, `cache_gib`"),
        "optimizers/torch/adam": ("[optimizer]", "../../../reference/config.md#optimizer",
                                  "`layer_decay`, `clip_norm`"),
    }  # fmt: skip
    supplied = {
        name: re.findall(r"^Supplied by the run, not set in a config: (.*)\.$", text, re.M)
        for name, text in pages.items()
    }
    assert supplied["samplers/all-pairs"] == ["`labels`, `seed`"]
    for text in generated.values():
        assert not re.search(r"^Supplied .*`(batch_size|clip_norm|train_from)`", text, re.M)


def test_a_component_in_a_component_has_its_true_default(generated: dict[str, str]) -> None:
    page = generated["catalogue/losses/pml/nca.md"]
    assert "| `distance` | table of a [distance](../../distances/index.md) or not set | " in page
    assert "| [`pml/lp`](../../distances/pml/lp.md) with `power = 2.0` |" in page
    assert "A table that is called one possible choice is an example" in page
    for name, text in generated.items():
        said = "A table that is called one possible choice" in text
        assert said == ("; one possible choice" in text), name


def test_addresses_in_foreign_words_are_links_that_may_be_broken_anywhere(generated: dict[str, str]) -> None:
    page = generated["catalogue/augmentations/index.md"]
    assert '(<a class="address" href="https://arxiv.org/abs/1912.02781">arxiv.org/abs/1912.02781</a>). |' in page
    assert not re.search(r"(?<!\")https?://(?!\S*\">)", page)
    assert "a.address { overflow-wrap: anywhere; }" in (DOCS / "stylesheets" / "site.css").read_text(encoding="utf-8")


def test_every_key_of_a_config_is_on_its_page() -> None:
    text = config_keys()
    parts = dict(re.findall(r"^##+ `\[([\w.]+)\]` \{ #[\w-]+ \}\n(.*?)(?=^##|\Z)", text, re.M | re.DOTALL))
    assert list(parts) == [each.name for each in config_tables()]
    for each in config_tables():
        assert f"{{ #{anchor(each.name)} }}" in text
        assert re.findall(r"^\| `(\w+)` \|", parts[each.name], re.M) == [k.parameter.name for k in each.every_key]
        for key in each.every_key:
            assert cell(key.meaning) in parts[each.name]
        if each.registry is not None:
            assert f"[{each.registry.plural}](../catalogue/{each.registry.plural}/index.md)" in parts[each.name]
    head = text.partition("## `[data]`")[0]
    assert re.findall(r"^\| `(\w+)` \|", head, re.M) == [key.parameter.name for key in TOP]
    assert '| `batchnorm` | `"inference"` or `"train"` | `"inference"` | Whether BatchNorm layers that train' in text


def test_exit_codes_are_those_that_the_shell_has() -> None:
    said = shell.Shell.__doc__ or ""
    page = (DOCS / "reference" / "command-line.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| (\d+) \|", page, re.M) == re.findall(r"\b\d+\b", said.partition("\n\n")[2].splitlines()[0])


def names_used(code: str) -> set[str]:
    """The names of `siamesekit` that Python code imports, or reaches through an imported module."""
    found, modules = set(), {}
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "siamesekit":
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            modules |= {
                alias.asname or alias.name: alias.name
                for alias in node.names
                if alias.name.partition(".")[0] == "siamesekit"
            }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in modules:
            found.add(f"{modules[ast.unparse(node.value)]}.{node.attr}")
    return found


def shown_code() -> Iterator[tuple[str, str]]:
    """All Python that readers are shown: blocks of pages, and the files of examples."""
    pages = [ROOT / "README.md", *DOCS.rglob("*.md"), *ROOT.glob("examples/*/README.md")]
    for page in pages:
        for block in blocks_of(page.read_text(encoding="utf-8")):
            if block.language == "python":
                yield f"{page.relative_to(ROOT)}:{block.line}", block.code
    for file in ROOT.glob("examples/**/*.py"):
        yield str(file.relative_to(ROOT)), file.read_text(encoding="utf-8")


def reference() -> str:
    """All pages of the Python reference."""
    return "\n\n".join(reference_pages().values())


def documented() -> set[str]:
    """The names that have a place in the Python reference, by every name under which they are public."""
    text = reference()
    found = set(re.findall(r"^::: (siamesekit[\w.]+)|id=\"(siamesekit[\w.]+)\"", text, re.M))
    names = {name for pair in found for name in pair if name}
    registries = {f"siamesekit.registry.{registry.variable}" for registry in REGISTRIES}
    return names | registries | {"siamesekit.options.Path"}


@pytest.mark.slow
def test_every_name_that_readers_are_shown_is_in_the_reference() -> None:
    known = documented()
    used = {name: place for place, code in shown_code() for name in names_used(code)}
    assert len(used) > 25
    assert {"siamesekit.count_triplets", "siamesekit.diagnose", "siamesekit.options.Count"} <= set(used)
    assert {name: place for name, place in used.items() if name not in known} == {}
    prose = {
        name
        for page in DOCS.rglob("*.md")
        for name in re.findall(r"`(siamesekit\.[a-z_.]+\.\w+)`", page.read_text(encoding="utf-8"))
    }
    assert "siamesekit.evaluation.retrieval.retrieval_metrics" in prose
    assert prose <= known


def test_the_names_of_code_are_found() -> None:
    """The oracle itself."""
    code = (
        "import siamesekit.evaluation.retrieval as m\nimport siamesekit\n"
        "from siamesekit.a import b, c\nm.x(siamesekit.load)"
    )
    assert names_used(code) == {
        "siamesekit.evaluation.retrieval.x",
        "siamesekit.load",
        "siamesekit.a.b",
        "siamesekit.a.c",
    }


@pytest.mark.slow
def test_what_is_public_by_module_is_there_with_all_errors_and_types_of_options() -> None:
    for module, names in BY_MODULE.items():
        assert all(hasattr(import_module(f"siamesekit.{module}"), name) for name in names)
    assert set(described_options()) == set(options.__all__) - {"Nested", "Path", "Weighted"}
    text = reference()
    listed = re.findall(r"^( *)- \[`(\w+)`\]\(#siamesekit.errors.(\w+)\)", text, re.M)
    assert [name for _, name, _ in listed] == exceptions()
    parents: list[type] = []
    for indent, name, place in listed:  # a class below another in the list is a kind of it
        parents[len(indent) // 4 :] = [getattr(errors, name)]
        assert name == place
        assert all(issubclass(parents[-1], each) for each in parents)
        assert parents[-1].__bases__ == ((parents[-2],) if len(parents) > 1 else (Exception,))


def test_an_error_that_is_raised_links_to_its_entry() -> None:
    html = '<li><code>UserError</code> <code><a href="#x">DataError</a></code> <code>Stopped</code> <code>x</code>'
    linked = with_linked_errors(html, "run")
    assert '<a href="../errors/#siamesekit.errors.UserError"><code>UserError</code></a>' in linked
    assert '<a href="../modules/#siamesekit.experiment.stopping.Stopped"><code>Stopped</code></a>' in linked
    assert linked.count("<a ") == 3
    assert with_linked_errors(linked, "run") == linked
    assert '<a href="#siamesekit.errors.UserError">' in with_linked_errors(html, "errors")


@pytest.mark.slow
def test_the_reference_s_contents_lead_to_every_entry() -> None:
    pages = reference_pages()
    assert len(pages) >= 7
    links = re.findall(r"\]\((python/[\w-]+\.md)(?:#([\w.]+))?\)", public_names())
    assert {f"reference/{page}" for page, _ in links} == set(pages)
    for page, place in links:
        entry = rf'id="{place}"|^::: \S+\.{place.rpartition(".")[2]}$|#{place} }}'
        assert not place or re.search(entry, pages[f"reference/{page}"], re.M), place
    listed = {place for _, place in links}
    for name in siamesekit.__all__:
        assert {f"siamesekit.{place}{name}" for place in ("", "errors.", "registry.")} & listed, name


def test_examples_of_docstrings_are_code() -> None:
    doc = "One.\n\n>>> f(\n...     1)\narray([[1],\n       [2]])\n\nMore."
    assert with_fenced_examples(doc) == (
        "One.\n\n```pycon\n>>> f(\n...     1)\narray([[1],\n       [2]])\n```\n\nMore."
    )
    assert with_fenced_examples("No > example >> here.") == "No > example >> here."


def test_components_are_chosen_before_they_are_written() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("- Guides:")[2]
    places = [
        navigation.index(f"guides/{name}.md")
        for name in ("data", "catalogue", "losses", "report", "enough", "components")
    ]
    assert places == sorted(places)


def test_the_repository_s_address_stands_in_one_place() -> None:
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert re.search(r'^  repository: "', settings, re.M)
    page = (DOCS / "guides" / "install.md").read_text(encoding="utf-8")
    assert "<!-- repository -->" in page
    assert not re.search(r"https?://", page)
    assert clone("https://a.org/x.git").startswith("```text\ngit clone https://a.org/x.git siamesekit\n")
    assert "`ADDRESS` stands for the address of the repository" in clone("")
    for file in (ROOT / "README.md", DOCS / "index.md", DOCS / "quickstart.md"):
        assert "guides/install.md" in file.read_text(encoding="utf-8"), file
