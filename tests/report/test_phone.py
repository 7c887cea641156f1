"""The page in a browser as wide as a phone: nothing is cut, nothing needs to be moved sideways, names stay whole."""

import json
import re
import subprocess
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_html import report

from helpers import CHROMIUM
from siamesekit.report.content import Picture, Ranking
from siamesekit.report.html import render

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on the PATH")]
MEASURE = """<!doctype html><iframe srcdoc="PAGE" style="width: WIDTHpx; height: 900px; border: 0"></iframe><pre></pre>
<script>
document.querySelector("iframe").onload = ({ target }) => {
  const page = target.contentDocument, root = page.documentElement;
  const all = (chosen) => [...page.querySelectorAll(chosen)];
  const lines = (element) => element.getBoundingClientRect().height / parseFloat(getComputedStyle(element).lineHeight);
  const seen = (element) => element.getBoundingClientRect().width > 0;
  all(".photo")[1].open = true;
  const box = all(".photo[open] img")[0].getBoundingClientRect();
  document.querySelector("pre").textContent = JSON.stringify({
    wide: root.scrollWidth - root.clientWidth,
    broad: all(".broad").filter(seen).length, narrow: all(".narrow").filter(seen).length,
    cut: all(".wide, .chart").filter((element) => element.scrollWidth > element.clientWidth + 1).length,
    files: all(".file").map(lines), ends: all(".file span:last-child").map((end) => end.scrollWidth <= end.clientWidth
      || end.getBoundingClientRect().right <= end.closest("figure").getBoundingClientRect().right + 1),
    opened: [box.left, box.top, box.width, box.height],
  });
};
</script>"""


def measured(html: str, width: int, folder: Path) -> dict[str, Any]:
    page = html.replace("&", "&amp;").replace('"', "&quot;")
    file = folder / "measure.html"
    file.write_text(MEASURE.replace("WIDTH", str(width)).replace("PAGE", page), encoding="utf-8")
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
               "--disable-component-update", "--disable-sync", f"--user-data-dir={folder / 'profile'}",
               "--virtual-time-budget=4000", "--dump-dom", file.as_uri()]  # fmt: skip
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    told = re.search("<pre>(.+?)</pre>", dom)
    assert told is not None, dom[-2000:]
    found: dict[str, Any] = json.loads(unescape(told[1]))
    return found


@pytest.mark.parametrize(("width", "broad"), [(390, 0), (320, 0), (1200, 3)])
def test_the_page_fits_its_window(width: int, broad: int, tmp_path: Path) -> None:
    names = ("Hn-011/IMG_0558.jpg", f"a-long-{'folder-' * 6}name/a_{'very_' * 9}long_name_0007.jpeg")
    pictures = [Picture(name, name, np.full((40, 40, 3), 99, np.uint8)) for name in names]
    rankings = tuple(Ranking(each, tuple((other, 0.5) for other in pictures * 2)) for each in pictures)
    found = measured(render(replace(report(), name="whales", rankings=rankings)), width, tmp_path)
    assert found["wide"] == 0, "the page itself is never moved sideways"
    assert (found["broad"], found["narrow"]) == (broad, 3 - broad)
    assert found["cut"] <= (width < 360), "nor is a chart, or a table but on the smallest phones"
    assert len(found["files"]) > 20
    assert all(lines < 1.6 for lines in found["files"])
    assert all(found["ends"])
    left, top, across, down = found["opened"]
    assert across == pytest.approx(down)
    assert across > 0.7 * min(width, 900)
    assert 0 <= left <= width - across + 1
    assert 0 <= top <= 900 - down + 1
