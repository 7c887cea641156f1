"""A page with `run: true` in its front matter is run when the site is built; the output stands below each block.

Files with a title are written, commands and untitled Python run, all in one fresh folder, in the page's order. Weights
are never fetched, so the output is the same with and without a network.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from docs_site.blocks import FENCE, Block, blocks_of, commands_of

SECONDS = 900
_kept: dict[str, list[str]] = {}
"""Outputs of a page's blocks by its code, so that `mkdocs serve` runs a page anew only when its code has changed."""


def with_outputs(text: str, path: str) -> str:
    """The page with the output of each block that prints something below it.

    With the environment variable SIAMESEKIT_DOCS_RUN, only the pages that it names are run, separated by spaces, and
    the others say so: for writing, with 0, and for tests of the site.

    Raises:
        RuntimeError: a block fails; the message has its line and what it printed.
    """
    blocks = blocks_of(text)
    chosen = os.environ.get("SIAMESEKIT_DOCS_RUN")
    outputs = iter(_outputs(blocks) if chosen is None or path in chosen.split() else _unrun(blocks))

    def shown(match: re.Match[str]) -> str:
        if match["language"] not in ("python", "sh", "bash", "toml"):
            return match[0]
        output = next(outputs)
        if not output:
            return match[0]
        language = "toml" if re.fullmatch(r"cat \S+\.toml\n", match["code"]) else "text"
        return f"{match[0]}\n\n```{{ .{language} .output }}\n{output}\n```"

    return FENCE.sub(shown, text)


def _unrun(blocks: list[Block]) -> list[str]:
    return ["(not run in this build)" if block.language == "sh" else "" for block in blocks]


def _outputs(blocks: list[Block]) -> list[str]:
    key = repr([(block.language, block.title, block.code) for block in blocks])
    if key not in _kept:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "animals").mkdir()
            _kept[key] = [_output(block, Path(folder) / "animals", Path(folder) / "cache") for block in blocks]
    return _kept[key]


def _output(block: Block, folder: Path, cache: Path) -> str:
    if block.reason:
        return ""
    if block.title:
        (folder / block.title).write_text(block.code, encoding="utf-8")
        return ""
    command = [sys.executable, "-c", block.code] if block.language == "python" else ["bash", "-ec", block.code]
    if block.language == "toml":
        return ""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=SECONDS,
        env={**os.environ, "PATH": path, "COLUMNS": "100", "NO_COLOR": "1", "HF_HUB_OFFLINE": "1",
             "XDG_CACHE_HOME": str(cache)},
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"the block at line {block.line} fails:\n{block.code}\n{done.stdout}")
    lines = [line.rstrip() for line in done.stdout.splitlines()]
    return "\n".join(lines).strip("\n")


__all__ = ["blocks_of", "commands_of", "with_outputs"]
