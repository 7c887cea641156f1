"""What an audit writes: page, table, list of photos in quarantine; and what a config accepts."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from planted import audited, saved, scene

from siamesekit.audit.finding import KINDS, Finding
from siamesekit.audit.page import check_page, render, write_page
from siamesekit.audit.quarantine_file import check_quarantine, write_quarantine
from siamesekit.audit.tables import COLUMNS, check_table, write_findings
from siamesekit.config.tables import AcceptTable
from siamesekit.data.quarantine import names_in, without_quarantined
from siamesekit.data.records import Record
from siamesekit.errors import DataError, OutputError

HOSTILE = "<script>alert(1)</script>\x1b[2J"


def two_copies(folder: Path) -> list[Record]:
    records = [saved(scene(seed), folder, f"w{seed}/{name}.jpg") for seed in range(2) for name in ("a", "b")]
    return [*records, saved(scene(5), folder, "w0/c.jpg")]


def test_each_kind_can_be_accepted_and_no_other() -> None:
    assert set(AcceptTable.model_fields) == set(KINDS)


def test_accepted_findings_are_counted_and_not_listed(tmp_path: Path) -> None:
    records = two_copies(tmp_path)
    assert audited(records).counts() == {"exact_copy": 2}
    by_file = audited(records, accept={"exact_copy": ["w0/b.jpg"]})
    assert (by_file.counts(), by_file.accepted) == ({"exact_copy": 1}, {"exact_copy": 1})
    by_pattern = audited(records, accept={"exact_copy": ["w*/b.jpg"], "near_copy": ["*"]})
    assert (by_pattern.findings, by_pattern.accepted) == ((), {"exact_copy": 2})
    by_individual = audited(records, accept={"exact_copy": ["w1"]})
    assert [each.file for each in by_individual.findings] == ["w0/b.jpg"]
    assert by_individual.copies.groups == audited(records).copies.groups
    assert by_pattern.sentence() == "No findings in 5 photos; 2 more are accepted"


def test_the_list_of_photos_in_quarantine_leaves_them_out(tmp_path: Path) -> None:
    records = two_copies(tmp_path)
    file = tmp_path / "list.txt"
    assert write_quarantine(file, audited(records).findings) == 2
    kept, left_out, strange = without_quarantined(records, file)
    assert left_out == ["w0/b.jpg", "w1/b.jpg"] and strange == 0
    assert [each.kind for each in audited(kept).findings] == ["few_photos"]
    assert write_quarantine(file, audited(kept).findings) == 2  # what is listed stays listed


@pytest.mark.parametrize(
    "name", ["a.jpg", "# no comment.jpg", '"quoted".jpg', " spaces .jpg", "two\nlines", "\udcff.jpg"]
)
def test_any_name_survives_the_list(name: str, tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    write_quarantine(file, [Finding("exact_copy", name, "w", "")])
    assert names_in(file) == (name,)


def test_a_list_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"quarantine, .*gone.txt, cannot be read: No such file"):
        names_in(tmp_path / "gone.txt")
    (tmp_path / "latin.txt").write_bytes("Zoë".encode("latin-1"))
    with pytest.raises(DataError, match="not UTF-8"):
        names_in(tmp_path / "latin.txt")
    (tmp_path / "quote.txt").write_text('# x\n"unfinished\n')
    with pytest.raises(DataError, match="line 2: a name in quotes must be a JSON string"):
        names_in(tmp_path / "quote.txt")


@pytest.mark.parametrize("check", [check_page, check_table, check_quarantine])
def test_a_file_of_the_user_is_not_replaced(check, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    check(tmp_path / "new")
    (tmp_path / "diary").write_text("dear diary")
    with pytest.raises(OutputError, match="is not replaced"):
        check(tmp_path / "diary")
    with pytest.raises(OutputError, match="there is no folder"):
        check(tmp_path / "gone" / "file")


def test_earlier_output_is_replaced(tmp_path: Path) -> None:
    found = audited(two_copies(tmp_path))
    write_page(tmp_path / "page.html", "seals", found, [])
    write_findings(tmp_path / "table.csv", found.findings)
    write_quarantine(tmp_path / "list.txt", found.findings)
    check_page(tmp_path / "page.html")
    check_table(tmp_path / "table.csv")
    check_quarantine(tmp_path / "list.txt")


def test_the_table_has_a_row_for_each_finding(tmp_path: Path) -> None:
    found = audited(two_copies(tmp_path)).findings
    write_findings(tmp_path / "t.csv", [*found, Finding("no_name", "", "=1+1", "what")])
    header, *rows = csv.reader((tmp_path / "t.csv").open(encoding="utf-8"))
    assert tuple(header) == COLUMNS and len(rows) == 3
    assert rows[0][:4] == ["exact_copy", "warning", "w0/b.jpg", "w0"] and all(rows[0])
    assert rows[2][3] == "'=1+1"


def test_the_page_shows_each_kind_and_escapes_names(tmp_path: Path) -> None:
    records = two_copies(tmp_path)
    renamed = [Record(f"{HOSTILE}{record.name}", HOSTILE, record.source) for record in records]
    found = audited(renamed)
    page = render(HOSTILE, found, renamed)
    assert "<script" not in page and "\x1b" not in page
    assert page.count("<section") == len(found.counts()) and page.count("data:image/jpeg") == 4
    (tmp_path / "w0" / "b.jpg").unlink()
    assert "cannot be read" in render("x", audited(records), records)


def test_every_kind_says_why_and_what_to_do() -> None:
    texts = [text for kind in KINDS.values() for text in (kind.why, kind.mend)]
    assert all(text and text[0].islower() and not text.endswith(".") for text in texts)
