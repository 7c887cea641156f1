"""MkDocs' hooks of this site (`hooks` in mkdocs.yml): they call `docs_site`, which makes the generated parts.

In a page, `<!-- include: PATH -->` shows a file of the repository, `<!-- generate: NAME -->` something made from the
code, and `<!-- figure: NAME | CAPTION -->` a drawing of `docs/images`, written into the page so that its lines have the
page's colour, light or dark. `<!-- repository -->` shows the command that clones the repository.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from mkdocs.structure.files import File, Files

from docs_site.catalogue import catalogue
from docs_site.command_line import command_line
from docs_site.config_keys import config_keys
from docs_site.including import included, outward
from docs_site.public_names import public_names, reference_pages, with_linked_errors
from docs_site.rooms import house_drawing, house_table, module_tables
from docs_site.session import with_outputs

GENERATED = {
    "command-line": command_line,
    "config-keys": config_keys,
    "public-names": public_names,
    "modules": module_tables,
    "house": house_table,
}
DRAWN = {"house": house_drawing}
"""Drawings made from the code; all others are files."""
OPENINGS = {
    "benchmarks.md": "What this library takes in time and memory beside others, and how that was measured.",
    "threat-model.md": "What you may open from a stranger, and what you must not.",
}
"""First lines of pages that are written by programs, or for readers of the repository."""
FIGURE = re.compile(r"<!-- figure: (?P<name>[\w-]+) \| (?P<caption>.*?) -->", re.DOTALL)


REPOSITORY = "<!-- repository -->"


def on_config(config: Any, **_: Any) -> Any:
    """Link to the repository from every page, where its address is known (`extra.repository` in mkdocs.yml)."""
    if config["extra"].get("repository"):
        config["repo_url"] = config["extra"]["repository"]
    return config


def on_files(files: Files, config: Any, **_: Any) -> Files:
    """Add the pages of the catalogue and of the Python reference, and files that included pages link to."""
    for path, text in {**catalogue(), **reference_pages()}.items():
        files.append(File.generated(config, path, content=text))
    for page in Path(config["docs_dir"]).rglob("*.md"):
        path = page.relative_to(config["docs_dir"]).as_posix()
        for target, source in included(page.read_text(encoding="utf-8"), path)[1].items():
            if files.get_file_from_path(target) is None:
                files.append(File.generated(config, target, abs_src_path=str(source)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Fill in what is included, generated and printed."""
    path = page.file.src_uri
    markdown = outward(included(markdown, path)[0], path)
    markdown = re.sub(r"^<!-- generate: ([\w-]+) -->$", lambda match: GENERATED[match[1]](), markdown, flags=re.M)
    markdown = markdown.replace(REPOSITORY, clone(config["extra"].get("repository") or ""))
    if path in OPENINGS:
        markdown = re.sub(r"\A(# .*\n)", rf"\1\n{OPENINGS[path]}\n", markdown)
    return with_outputs(markdown, path) if page.meta.get("run") else markdown


def clone(address: str) -> str:
    """How to get the repository: with its address where that is known, else with a word in its place."""
    said = "" if address else ("\n\n`ADDRESS` stands for the address of the repository, which is where you found this "
                               "project: an address of the web, or a folder on a disk.")  # fmt: skip
    return f"```text\ngit clone {address or 'ADDRESS'} siamesekit\ncd siamesekit\n```{said}"


def on_page_content(html: str, page: Any, config: Any, **_: Any) -> str:
    """Put the drawings in, and link errors where they are raised."""

    def drawing(match: re.Match[str]) -> str:
        name = match["name"]
        file = Path(config["docs_dir"]) / "images" / f"{name}.svg"
        svg = DRAWN[name]() if name in DRAWN else file.read_text(encoding="utf-8")
        svg = re.sub(r"<\?xml.*?\?>|<!--.*?-->|<style.*?</style>", "", svg, flags=re.DOTALL).strip()
        return (
            f'<figure class="drawing"><div class="wide">{svg}</div><figcaption>{match["caption"]}</figcaption></figure>'
        )

    path = Path(page.file.src_uri)
    if path.parent.as_posix() == "reference/python":
        html = with_linked_errors(html, path.stem)
    return FIGURE.sub(drawing, html)
