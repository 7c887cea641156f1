"""Reader `csv`: what a table says, and everything that can be wrong with one."""

import csv as tables
import gc
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers import touched, written
from siamesekit.components.readers.csv import read_csv
from siamesekit.components.readers.tables import SHOWN_PROBLEMS
from siamesekit.config import load_config
from siamesekit.data.records import Box, Record
from siamesekit.errors import ComponentError, ConfigError, DataError, MissingDataError
from siamesekit.registry import READERS


def made(root: Path, text: str | bytes, *photos: str) -> Path:
    """A table in a folder with photos."""
    touched(root, *photos)
    return written(root, text.encode() if isinstance(text, str) else text, "table.csv")


def names(records: list[Record]) -> list[tuple[str, str, str]]:
    return [(record.name, record.individual, record.group) for record in records]


def test_each_row_is_a_record_in_the_tables_order(tmp_path: Path) -> None:
    table = made(tmp_path, "individual,photo\nbob,x/2.jpg\nann,1.jpg\n", "x/2.jpg", "1.jpg")
    assert read_csv(table) == [
        Record("x/2.jpg", "bob", tmp_path / "x/2.jpg"),
        Record("1.jpg", "ann", tmp_path / "1.jpg"),
    ]


def test_kaggles_whales(tmp_path: Path) -> None:
    text = "Image,Id\n0000e88ab.jpg,w_f48451c\n0001f9222.jpg,new_whale\n00029d126.jpg,w_f48451c\n"
    table = made(tmp_path, text, "train/0000e88ab.jpg", "train/0001f9222.jpg", "train/00029d126.jpg")
    options = {
        "file": str(table),
        "photo": "Image",
        "individual": "Id",
        "root": str(tmp_path / "train"),
        "leave_out": ["new_whale"],
    }
    records = READERS.build("csv", options, seed=0)
    assert names(records) == [("0000e88ab.jpg", "w_f48451c", ""), ("00029d126.jpg", "w_f48451c", "")]
    assert all(record.source == tmp_path / "train" / record.name for record in records)


def test_groups_come_from_their_column(tmp_path: Path) -> None:
    table = made(tmp_path, "photo,individual,site\n1.jpg,ann,A\n2.jpg,ann,B\n", "1.jpg", "2.jpg")
    assert names(read_csv(table, group="site")) == [("1.jpg", "ann", "A"), ("2.jpg", "ann", "B")]
    assert [record.group for record in read_csv(table)] == ["", ""]


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte order mark"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["unix", "windows", "old mac"])
def test_encodings_and_line_ends(tmp_path: Path, start: bytes, end: str) -> None:
    text = end.join(["photo,individual", "Ünï🐋.jpg,Zoë", "", "2.jpg,Zoë"])
    table = made(tmp_path, start + text.encode(), "Ünï🐋.jpg", "2.jpg")
    assert names(read_csv(table)) == [("Ünï🐋.jpg", "Zoë", ""), ("2.jpg", "Zoë", "")]
    (tmp_path / "2.jpg").unlink()
    with pytest.raises(DataError, match=r"line 4: no such photo: 2\.jpg"):
        read_csv(table)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"], ids=repr)
def test_delimiters_quotes_and_space(tmp_path: Path, delimiter: str) -> None:
    rows = ['photo, "individual"', '"a, b;|.jpg", "the ""big"" one"', " 2.jpg , ann ", " , "]
    table = made(
        tmp_path,
        "\n".join(rows).replace(", ", f"{delimiter} ").replace(f"a{delimiter} b", "a, b"),
        "a, b;|.jpg",
        "2.jpg",
    )
    found = READERS.build("csv", {"file": str(table), "delimiter": delimiter}, seed=0)
    assert names(found) == [("a, b;|.jpg", 'the "big" one', ""), ("2.jpg", "ann", "")]


Cells = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
    lambda cell: cell == cell.strip() and not cell.startswith("\ufeff")
)


@given(st.lists(st.tuples(Cells, Cells), min_size=1, max_size=5))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_pythons_writer_writes_is_read_again(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    """Whatever individuals and groups are called, line breaks and quotes included."""
    (tmp_path / "photos").mkdir(exist_ok=True)
    with (tmp_path / "table.csv").open("w", newline="", encoding="utf-8") as file:
        writer = tables.writer(file, quoting=tables.QUOTE_ALL)
        writer.writerow(["photo", "individual", "group"])
        for number, row in enumerate(rows):
            writer.writerow([f"{number}.jpg", *row])
            (tmp_path / "photos" / f"{number}.jpg").touch()
    found = read_csv(tmp_path / "table.csv", group="group", root=tmp_path / "photos", unknown=())
    assert names(found) == [(f"{number}.jpg", *row) for number, row in enumerate(rows)]


def test_names_are_paths_below_the_root_in_one_spelling(tmp_path: Path) -> None:
    text = f"photo,individual\n./a/../1.jpg,ann\n{tmp_path}/photos/b/2.jpg,ann\n"
    table = made(tmp_path, text, "photos/1.jpg", "photos/b/2.jpg")
    assert [record.name for record in read_csv(table, root=tmp_path / "photos")] == ["1.jpg", "b/2.jpg"]


def test_all_rows_that_cannot_be_used_are_told_with_their_lines(tmp_path: Path) -> None:
    text = (
        "photo,individual,site\n1.jpg,ann,A\n,bob,A\n1.jpg,ann,B\n./1.jpg,bob,B\n2.jpg,bob\n\n"
        '../secret.jpg,bob,A\nabsent.jpg,"b\nob",A\n/etc/passwd,bob,A\n3.jpg,bob,A,B\nfolder,cy,A\n'
    )
    table = made(tmp_path / "photos", text, "1.jpg", "2.jpg", "3.jpg", "folder/x.jpg")
    (tmp_path / "secret.jpg").touch()
    with pytest.raises(DataError) as caught:
        read_csv(table, group="site")
    assert str(caught.value).splitlines() == [
        f"9 problems in {table}",
        "  line 3: no photo in column 'photo'",
        "  line 4: photo 1.jpg is already on line 2",
        "  line 5: photo 1.jpg is already on line 2",
        "  line 6: no group in column 'site'",
        f"  line 8: photo ../secret.jpg is outside {tmp_path / 'photos'}",
        "  line 9: no such photo: absent.jpg",
        f"  line 11: photo /etc/passwd is outside {tmp_path / 'photos'}",
        "  line 12: 4 cells under 3 columns: quote a cell that holds the delimiter",
        "  line 13: no such photo: folder",
    ]
    assert not isinstance(caught.value, MissingDataError)


@pytest.mark.parametrize("count", [1, SHOWN_PROBLEMS, SHOWN_PROBLEMS + 1, 300])
def test_of_many_problems_the_first_are_shown_and_all_counted(tmp_path: Path, count: int) -> None:
    table = made(tmp_path, "photo,individual\n" + "".join(f"{i}.jpg,ann\n" for i in range(count)))
    with pytest.raises(DataError) as caught:
        read_csv(table)
    first, *lines = str(caught.value).splitlines()
    assert first == f"{count} problem{'' if count == 1 else 's'} in {table}"
    shown = [f"  line {i + 2}: no such photo: {i}.jpg" for i in range(min(count, SHOWN_PROBLEMS))]
    more = [f"  and {count - SHOWN_PROBLEMS} more"] if count > SHOWN_PROBLEMS else []
    where = f"  photos were looked for in {tmp_path}: if they are elsewhere, set data.root"
    assert lines == [*shown, *more, where]


@pytest.mark.parametrize("name", ["a\nb.jpg", "a\0b.jpg", "x" * 5000], ids=["line break", "NUL", "too long"])
def test_odd_names_are_photos_that_are_not_there(tmp_path: Path, name: str) -> None:
    table = made(tmp_path, f'photo,individual\n"{name}",ann\n')
    with pytest.raises(DataError) as caught:
        read_csv(table)
    assert len(str(caught.value).splitlines()) == 3
    assert str(caught.value).splitlines()[1].startswith("  line 2: no such photo: ")


@pytest.mark.parametrize(
    ("header", "options", "message"),
    [
        (
            "Photo,Id",
            {},
            r"no column 'photo' \(option 'photo'\) \(did you mean 'Photo'\?\); no column 'individual' "
            r"\(option 'individual'\); its columns: Photo, Id$",
        ),
        ("photo,individual", {"group": "sight"}, r"no column 'sight' \(option 'group'\); its columns"),
        ("photo,photo,individual", {}, r"2 columns 'photo' \(option 'photo'\): rename all but one"),
        ("photo;individual", {"delimiter": ","}, r"its columns: photo;individual; check the delimiter"),
    ],
    ids=["near", "group", "twice", "delimiter"],
)
def test_columns_that_are_not_there(tmp_path: Path, header: str, options: dict[str, str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_csv(made(tmp_path, f"{header}\n1.jpg,ann\n", "1.jpg"), **options)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; a table with a header is needed"),
        (b"\n\n , \n", "is empty"),
        (b"photo,individual\n", "has a header but no photos"),
        ("photo,individual\n1.jpg,Zoë".encode() + b" Zo\xeb\n", "line 2: not UTF-8; save the table as UTF-8"),
        (b"photo,individual\n1.jpg,Zo\x81\n", "line 2: not UTF-8; save the table as UTF-8"),
        ("photo,individual\n".encode("utf-16")[:-1], "begins like UTF-16, and is not"),
        (b'photo,individual\n1.jpg,ann\n1.jpg,"ann\nx,bob\n', "line 3: .*; close all quotes"),
        (b'photo,individual\n"1"x.jpg,ann\n', "line 2: .*; close all quotes"),
    ],
    ids=[
        "empty",
        "blank",
        "no rows",
        "two encodings",
        "no encoding",
        "half of utf-16",
        "open quote",
        "text after a quote",
    ],
)
def test_a_file_that_is_no_such_table(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_csv(made(tmp_path, content, "1.jpg"))
    assert not isinstance(caught.value, MissingDataError)


def test_what_is_not_there_at_all_is_missing_data(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"there is no file .*absent\.csv: put a table"):
        read_csv(tmp_path / "absent.csv")
    with pytest.raises(MissingDataError, match=r"there is no folder .*absent: put the photos of .* or set data\.root"):
        read_csv(made(tmp_path, "photo,individual\n"), root=tmp_path / "absent")
    with pytest.raises(DataError, match=r'is a folder without shards .*; for a folder of photos: reader = "folder"'):
        read_csv(touched(tmp_path / "photos", "1.jpg"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="makes POSIX's special files")
def test_a_table_is_a_plain_file_of_bounded_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    for file in (tmp_path / "pipe.csv", Path("/dev/zero")):
        with pytest.raises(DataError, match="cannot be read: not a plain file"):
            read_csv(file)
    monkeypatch.setattr("siamesekit.components.readers.tables.MAX_TABLE_BYTES", 20)
    with pytest.raises(DataError, match="cannot be read: larger than 20 bytes"):
        read_csv(made(tmp_path, "photo,individual\n1.jpg,ann\n", "1.jpg"))


def test_individuals_to_leave_out_have_to_be_there_and_their_photos_do_not(tmp_path: Path) -> None:
    table = made(tmp_path, "photo,individual\n1.jpg,ann\n2.jpg,unknown\n", "1.jpg")
    assert names(read_csv(table, leave_out=("unknown",))) == [("1.jpg", "ann", "")]
    (tmp_path / "2.jpg").touch()
    with pytest.raises(DataError, match=r"^leave_out: .* has no individual 'unknwon' \(did you mean 'unk"):
        read_csv(table, leave_out=("unknwon",))


def test_in_a_config_paths_are_relative_to_it_and_a_wrong_delimiter_is_found(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    rest = '[encoder]\nname = "timm/resnet18"\nweights = "random"\n'
    config.write_text(f'[data]\nreader = "csv"\nfile = "table.csv"\nroot = "photos"\nleave_out = ["x"]\n{rest}')
    options = load_config(config).data.options
    assert (options["file"], options["root"]) == (tmp_path / "table.csv", tmp_path / "photos")
    assert (options["delimiter"], tuple(options["leave_out"])) == ("auto", ("x",))
    config.write_text(f'[data]\nreader = "csv"\nfile = "table.csv"\n{rest}')
    assert load_config(config).data.options["root"] is None
    (tmp_path / "again.toml").write_text(load_config(config).to_toml())
    assert load_config(tmp_path / "again.toml").data.options == load_config(config).data.options
    config.write_text(f'[data]\nreader = "csv"\nfile = "table.csv"\ndelimiter = ":"\n{rest}')
    with pytest.raises(ConfigError, match="delimiter"):
        load_config(config)
    with pytest.raises(ComponentError, match="file: is required"):
        READERS.build("csv", {}, seed=0)


def facts(records: list[Record]) -> list[dict[str, str]]:
    return [dict(record.attributes) for record in records]


def test_all_further_columns_are_attributes_and_all_cells_are_text(tmp_path: Path) -> None:
    text = "photo,individual,split,age,,site\n1.jpg,0012,train,007,x, A \n2.jpg,12,,,,\n3.jpg,1e3\n"
    records = read_csv(made(tmp_path, text, "1.jpg", "2.jpg", "3.jpg"))
    assert [record.individual for record in records] == ["0012", "12", "1e3"]
    assert facts(records) == [
        {"split": "train", "site": "A", "age": "007"},
        {"split": "", "site": "", "age": ""},
        {"split": "", "site": "", "age": ""},
    ]


def test_well_known_attributes_may_come_from_other_columns(tmp_path: Path) -> None:
    text = "photo,individual,timestamp,flank,date\n1.jpg,ann,2021:03:04 10:15:00,left,March\n"
    table = made(tmp_path, text, "1.jpg")
    with pytest.raises(DataError, match=r"column 'date', and column 'timestamp' \(option 'date'\), would both be"):
        read_csv(table, date="timestamp")
    table.write_text(text.replace(",date\n", ",note\n"))
    assert facts(read_csv(table, date="timestamp", side="flank")) == [
        {"date": "2021:03:04 10:15:00", "side": "left", "note": "March"}
    ]
    with pytest.raises(DataError, match=r"no column 'time' \(option 'date'\) \(did you mean 'timestamp'\?\)"):
        read_csv(table, date="time")
    table.write_text(text)
    assert "date" not in read_csv(table, date="")[0].attributes
    table.write_text("photo,individual,note,note\n1.jpg,ann,a,b\n")
    with pytest.raises(DataError, match="2 columns 'note': rename all but one"):
        read_csv(table)


def test_a_group_is_an_attribute_too(tmp_path: Path) -> None:
    table = made(tmp_path, "photo,individual,site\n1.jpg,ann,A\n", "1.jpg")
    (record,) = read_csv(table, group="site")
    assert (record.group, dict(record.attributes)) == ("A", {"site": "A"})


def test_unknown_individuals_are_kept_without_a_name(tmp_path: Path) -> None:
    rows = ["ann", "", "unknown", "new_whale", "new_individual", "Unknown", "?", "nan", "NA", "None", "-1", "x"]
    text = "photo,individual\n" + "".join(f"{i}.jpg,{name}\n" for i, name in enumerate(rows))
    table = made(tmp_path, text, *(f"{i}.jpg" for i in range(len(rows))))
    assert [record.individual for record in read_csv(table)] == ["ann", *[""] * 10, "x"]
    assert [record.individual for record in read_csv(table, unknown=("", "?"))][2:8] == [*rows[2:6], "", "nan"]
    with pytest.raises(DataError, match="line 3: no individual in column 'individual'"):
        read_csv(table, unknown=("?",))


def test_boxes_in_one_column_or_four_with_rotation_and_margin(tmp_path: Path) -> None:
    text = 'photo,individual,box,turn,x,y,w,h\n1.jpg,ann,"[10, 20, 30, 40]",15,1,2,3,4\n2.jpg,bob,,,,,,\n'
    table = made(tmp_path, text, "1.jpg", "2.jpg")
    first, second = read_csv(table, box="box", rotation="turn", margin=0.5)
    assert (first.box, second.box) == (Box(-5, 0, 60, 80, rotation=15), None)
    assert list(first.attributes) == ["x", "y", "w", "h"]
    first, second = read_csv(table, box=("x", "y", "w", "h"))
    assert (first.box, second.box) == (Box(1, 2, 3, 4), None)
    assert list(first.attributes) == ["box", "turn"]
    table.write_text("photo,individual,box\n1.jpg,ann,0.1 0.2 0.3 0.4\n")
    assert read_csv(table, box="box", box_units="relative")[0].box == Box(0.1, 0.2, 0.3, 0.4, relative=True)
    with pytest.raises(DataError, match=r"no column 'bbox' \(option 'box'\) \(did you mean 'box'\?\)"):
        read_csv(table, box="bbox")


def test_several_animals_on_a_photo_are_several_records(tmp_path: Path) -> None:
    text = (
        "photo,individual,box\n1.jpg,ann,0 0 5 5\n2.jpg,ann,0 0 5 5\n./1.jpg,bob,5 0 5 5\n1.jpg,cy,0 5 5 5\n"
        "1.jpg,dan,\n1.jpg#2,eve,0 0 5 5\n"
    )
    table = made(tmp_path, text, "1.jpg", "2.jpg", "1.jpg#2")
    found = [(record.name, record.individual) for record in read_csv(table, box="box")]
    assert found == [
        ("1.jpg", "ann"), ("2.jpg", "ann"), ("1.jpg#2", "bob"), ("1.jpg#3", "cy"), ("1.jpg#4", "dan"),
        ("1.jpg#2#2", "eve"),
    ]  # fmt: skip
    kept = read_csv(table, box="box", leave_out=("bob",))  # names do not depend on what is left out
    assert [(record.name, record.individual) for record in kept] == [pair for pair in found if pair[1] != "bob"]
    table.write_text(text + "1.jpg,bob,5.0 0 5 5\n")
    with pytest.raises(DataError, match=r"line 8: photo 1\.jpg with this box is already on line 4"):
        read_csv(table, box="box")


def test_rows_with_bad_boxes_and_dates_are_told_with_their_lines(tmp_path: Path) -> None:
    text = (
        "photo,individual,date,box\n1.jpg,ann,2021-03-04,0 0 5 5\n1.jpg,ann,03/04/2021,5 5 5 5\n"
        "1.jpg,ann,NaT,0 0 0 5\n1.jpg,ann,2021-02-30,1 1 2 2\n1.jpg,ann,,1 2\n1.jpg,ann,NA,1 2 3 4\n"
    )
    table = made(tmp_path, text, "1.jpg")
    with pytest.raises(DataError) as caught:
        read_csv(table, box="box")
    assert str(caught.value).splitlines() == [
        f"4 problems in {table}",
        "  line 3: date '03/04/2021' is none of the accepted forms (2021-03-04, 2021/3/4, 2021.03.04, 2021:03:04, "
        "each alone or with a time: 10:15, 10:15:30, 10:15:30Z)",
        "  line 4: box '0 0 0 5' has no area: width and height must be above 0",
        "  line 5: date '2021-02-30' is none of the accepted forms (2021-03-04, 2021/3/4, 2021.03.04, 2021:03:04, "
        "each alone or with a time: 10:15, 10:15:30, 10:15:30Z)",
        "  line 6: box '1 2' has 2 values; expected four numbers: x y width height",
    ]
    table.write_text("photo,individual,date\n1.jpg,ann,NaT\n")
    assert facts(read_csv(table)) == [{"date": ""}]


def test_the_columns_of_boxes_in_a_config(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    rest = '[encoder]\nname = "timm/resnet18"\nweights = "random"\n'
    for spelt, value in (('"bbox"', "bbox"), ('["x", "y", "w", "h"]', ("x", "y", "w", "h"))):
        config.write_text(f'[data]\nreader = "csv"\nfile = "table.csv"\nbox = {spelt}\n{rest}')
        assert load_config(config).data.options["box"] == value
        (tmp_path / "again.toml").write_text(load_config(config).to_toml())
        assert load_config(tmp_path / "again.toml").data.options["box"] == value
    config.write_text(f'[data]\nreader = "csv"\nfile = "table.csv"\nbox = ["x", "y"]\n{rest}')
    with pytest.raises(ConfigError, match=r"data\.box"):
        load_config(config)


def test_the_search_for_cycles_goes_on_after_a_table_and_after_its_errors(tmp_path: Path) -> None:
    table = made(tmp_path, "photo,individual\n1.jpg,ann\n", "1.jpg")
    read_csv(table)
    assert gc.isenabled()
    table.write_text('photo,individual\n1.jpg,"ann\n')
    with pytest.raises(DataError):
        read_csv(table)
    assert gc.isenabled()
    gc.disable()
    try:
        with pytest.raises(DataError):
            read_csv(table)
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_boxes_with_decimal_commas(tmp_path: Path) -> None:
    text = "photo;individual;box;x;y;w;h\n1.jpg;ann;10,5 5 40,25 40;1,5;2;3;4,5\n2.jpg;bob;10,5,40,41;1;2;3;4\n"
    table = made(tmp_path, text, "1.jpg", "2.jpg")
    assert [record.box for record in read_csv(table, box="box")] == [Box(10.5, 5, 40.25, 40), Box(10, 5, 40, 41)]
    assert read_csv(table, box=("x", "y", "w", "h"))[0].box == Box(1.5, 2, 3, 4.5)


def test_what_was_understood_otherwise_is_told(tmp_path: Path) -> None:
    text = "photo;individual\nA\\1.JPG;Zo\xeb\na\\2.jpg;new_whale\n3.jpg;calf\n"
    table = made(tmp_path, text.encode("cp1252"), "a/1.jpg", "a/2.jpg", "3.jpg")
    records = READERS.build("csv", {"file": str(table), "leave_out": ["calf"]}, seed=0)
    assert names(records) == [("a/1.jpg", "Zo\xeb", ""), ("a/2.jpg", "", "")]
    encoding, spelled, left_out, unknown = records.notes
    assert "was read as Windows-1252" in encoding
    assert spelled.endswith("2 written as Windows paths, 1 in other upper or lower case than on the disk")
    assert left_out == "left out as data.leave_out says: 1 photos of calf"
    assert unknown == "names for unknown individuals (data.unknown): 'new_whale' on 1 photo"


def test_a_name_without_its_suffix_is_suggested(tmp_path: Path) -> None:
    table = made(tmp_path, "photo,individual\na/1,ann\n2.jpg,ann\n", "a/1.jpg", "2.jpg")
    with pytest.raises(DataError, match=r"no such photo: a/1 \(did you mean '1.jpg'\?\)"):
        read_csv(table)


def test_a_key_in_an_address_is_shown_nowhere(tmp_path: Path) -> None:
    """Of an address on the web that leads out of a folder here, and of one without a root there."""
    rows = ["https://host/../../../../../../x.jpg?sig=hidden", "https://host/1.jpg?sig=hidden", "1.jpg?sig=hidden"]
    table = made(tmp_path, "photo,individual\n" + "".join(f"{row},ann\n" for row in rows))
    with pytest.raises(DataError) as caught:
        read_csv(table)
    assert "hidden" not in str(caught.value) and str(caught.value).count("…") == 3
