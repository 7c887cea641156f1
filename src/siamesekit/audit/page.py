"""The page of an audit: the findings by kind, with small pictures of the photos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from string import Template

import numpy as np
from PIL import Image

from siamesekit._version import __version__
from siamesekit.audit.auditing import Audit
from siamesekit.audit.finding import KINDS, Finding, in_words
from siamesekit.data.images import read_square
from siamesekit.data.photo_colours import Decoded
from siamesekit.data.photo_files import UnreadableError
from siamesekit.data.photo_geometry import Edges
from siamesekit.data.photo_reading import FOR_PICTURES
from siamesekit.data.records import Record
from siamesekit.data.thumbnails import data_uri
from siamesekit.files.atomic import write_atomic
from siamesekit.files.replaceable import refuse_unwritable
from siamesekit.wording import printable

_PAGE = Path(__file__).with_name("page.html")
SHOWN = 24
"""Most findings of a kind that the page shows."""
PICTURES = 2
"""Most pictures of a finding: the photo, and those that it is compared with."""
LONGEST, QUALITY, DECODED_FOR = 240, 80, 60
"""Longest side of a picture in pixels, quality of its JPEG, and size for which the photo is decoded."""


def check_page(path: Path) -> None:
    """Check, before any work, that a page can be written.

    Raises:
        OutputError: the folder is missing, or the file holds something else.
    """
    refuse_unwritable(path, "the page of a check", _PAGE.read_bytes().partition(b"$title")[0])


def write_page(path: Path, title: str, audit: Audit, records: Sequence[Record]) -> None:
    """Write the page.

    Args:
        path: file of the page.
        title: what was checked.
        audit: what was found.
        records: records of all photos.

    Raises:
        OutputError: the file cannot be written.
    """
    write_atomic(path, render(title, audit, records).encode(errors="backslashreplace"))


def render(title: str, audit: Audit, records: Sequence[Record]) -> str:
    """The page as HTML; all names are escaped, and it runs no script."""
    by_name = {record.name: record for record in records}
    counts = audit.counts()
    body = [f"<p class=answer>{escape(audit.sentence())}.</p>", _summary(audit)]
    for kind, count in counts.items():
        shown = [finding for finding in audit.findings if finding.kind == kind][:SHOWN]
        more = f"<p class=small>{count - SHOWN:,} more are in the table of --csv.</p>" if count > SHOWN else ""
        cards = "".join(_card(finding, by_name) for finding in shown)
        body.append(
            f"<section id={kind}><h2>{escape(in_words(kind)).capitalize()} <span class={KINDS[kind].severity}>{count:,}"
            f"</span></h2><p>{escape(_sentence(KINDS[kind].why))} <b>What to do:</b> "
            f"{escape(_sentence(KINDS[kind].mend))}</p><div class=findings>{cards}</div>{more}</section>"
        )
    page = Template(_PAGE.read_text(encoding="utf-8"))
    created = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return page.substitute(title=escape(printable(title)), created=created, version=__version__, body="".join(body))


def _summary(audit: Audit) -> str:
    rows = "".join(
        f"<tr><td><a href='#{kind}'>{escape(in_words(kind))}</a></td><td class='count {KINDS[kind].severity}'>{count:,}"
        f"</td><td class={KINDS[kind].severity}>{KINDS[kind].severity}</td>"
        f"<td class=do>{escape(KINDS[kind].mend)}</td></tr>"
        for kind, count in audit.counts().items()
    )
    accepted = ", ".join(f"{count:,} {in_words(kind)}" for kind, count in audit.accepted.items())
    head = "<tr><th>finding</th><th class=count>number</th><th></th><th class=do>what to do</th></tr>"
    table = f"<div class=wide><table>{head}{rows}</table></div>" if rows else ""
    return table + (f"<p class=small>Accepted by the config: {escape(accepted)}.</p>" if accepted else "")


def _card(finding: Finding, records: Mapping[str, Record]) -> str:
    names = [name for name in (finding.file, *finding.others) if name][:PICTURES]
    pictures = "".join(_figure(records[name]) for name in names if name in records)
    individual = f"<b>{escape(printable(finding.individual))}</b>: " if not names and finding.individual else ""
    remedy = f"<br><b>What to do:</b> {escape(_sentence(finding.remedy))}" if finding.remedy else ""
    photos = f"<div class=photos>{pictures}</div>" if pictures else ""
    return f"<div class=finding>{photos}{individual}{escape(_sentence(printable(finding.what)))}{remedy}</div>"


def _figure(record: Record) -> str:
    source = picture(record)
    name, who = escape(printable(record.name)), escape(printable(record.individual))
    image = f"<img src='{source}' alt='{name}' loading=lazy>" if source else "<div class=none>cannot be read</div>"
    return f"<figure>{image}<figcaption><b>{who or 'unknown'}</b>{name}</figcaption></figure>"


def picture(record: Record) -> str:
    """A small picture of a photo as the address of a JPEG; empty if the photo cannot be read."""
    found: list[Image.Image] = []

    def look(_: Record, __: bytes, photo: Decoded, edges: Edges) -> None:
        image = photo if isinstance(photo, Image.Image) else Image.fromarray(photo)
        scale = LONGEST / max(edges[2] - edges[0], edges[3] - edges[1])
        sides = [max(1, round(length * min(1, scale))) for length in (edges[2] - edges[0], edges[3] - edges[1])]
        found.append(image.resize((sides[0], sides[1]), Image.Resampling.BILINEAR, edges))

    with suppress(UnreadableError):
        read_square(record, DECODED_FOR, "squash", FOR_PICTURES, look=look)
    return data_uri(np.asarray(found[-1]), LONGEST, QUALITY) if found else ""


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
