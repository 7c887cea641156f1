"""Levels of folders and names of photos: which of them is the individual."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from siamesekit.config.project.file_names import name_patterns
from siamesekit.config.project.folder_layout import folder_layout
from siamesekit.config.project.folder_levels import level_of_individuals, levels_of
from siamesekit.errors import DataError


def photos(*levels: list[str], count: int = 3) -> list[str]:
    """Photos in all folders whose levels have these names."""
    paths = [""]
    for names in levels:
        paths = [f"{path}{name}/" for path in paths for name in names]
    return [f"{path}{number}.jpg" for path in paths for number in range(count)]


SEALS = [f"seal{number}" for number in range(8)]
EACH_SITE = [*photos(["north"], SEALS[:4]), *photos(["south"], SEALS[4:])]
"""Photos at two sites, each of which has individuals of its own."""


@pytest.mark.parametrize(
    ("paths", "pattern"),
    [
        (photos(SEALS), None),
        (photos(SEALS, ["left", "right"]), "{individual}/{side}/"),
        (photos(SEALS, ["2019", "2020"]), "{individual}/{year}/"),
        (photos(SEALS, ["2019-03-04", "2019-03-05"]), "{individual}/{date}/"),
        (photos(SEALS, ["20190304", "20190305"]), "{individual}/{day}/"),
        (photos(SEALS, ["enc1", "enc2"]), "{individual}/{encounter}/"),
        (EACH_SITE, "{site}/{individual}/"),
        (photos(["north", "south"], SEALS), "{site}/{individual}/"),
        (photos(["2019", "2020"], SEALS), "{year}/{individual}/"),
        (photos(["train", "val", "test"], SEALS), "{split}/{individual}/"),
        (photos(["Train", "Test"], SEALS), "{split}/{individual}/"),
        (photos(["photos"], SEALS), "*/{individual}/"),
        (photos(["north", "south"], ["2019", "2020"], ["e1", "e2"], SEALS), "{site}/{year}/{encounter}/{individual}/"),
        (photos(["north", "south"], ["2019", "2020"], SEALS, ["left", "right"]), "{site}/{year}/{individual}/{side}/"),
        (photos([f"seal{number}" for number in range(40)], ["trip", "home"]), None),
        ([*EACH_SITE, "north/map.jpg"], "{site}/{individual}/"),
        ([*photos(SEALS), "seal0/deep/er/1.jpg"], None),
    ],
)  # fmt: skip
def test_the_level_of_the_individuals_is_recognised(paths: list[str], pattern: str | None) -> None:
    found = folder_layout(Path("all"), paths)
    assert found.options == ({} if pattern is None else {"pattern": pattern})


def test_other_levels_are_named_with_the_option_for_them() -> None:
    found = folder_layout(Path("all"), EACH_SITE)
    assert found.tree == (
        "all/",
        "  site: north, south (2 folders)",
        "    the individuals: seal0, seal1, seal2, … (8 folders)",
        "      24 photos",
    )
    assert found.others == (
        "the individuals are the folders of level 1, north, south: --set 'data.pattern={individual}/'",
    )


@pytest.mark.parametrize("above", [["north", "south"], ["train", "test"]])
def test_sites_and_parts_of_a_split_are_never_individuals_without_a_word(above: list[str]) -> None:
    """Also where the guess is another one, the tree or a note has the names."""
    for below in (SEALS, SEALS[:1], ["a", "b", "c"]):
        found = folder_layout(Path("all"), photos(above, below))
        said = " ".join((*found.tree, *found.others, *found.notes))
        assert all(name in said for name in above)
        if found.options != {"pattern": f"{{{'split' if 'test' in above else 'site'}}}/{{individual}}/"}:
            assert found.others


def test_one_level_of_a_split_with_photos_without_telling_names_is_refused() -> None:
    with pytest.raises(
        DataError, match=r"lie in test, train, which are no individuals.*--set 'data.pattern="
    ) as caught:
        folder_layout(Path("k"), photos(["train", "test"]))
    assert "{split}/{individual}_*" in str(caught.value)


def test_one_level_of_a_split_with_telling_names() -> None:
    paths = [f"{part}/seal{who}_{number}.jpg" for part in ("train", "test") for who in range(4) for number in range(3)]
    found = folder_layout(Path("k"), paths)
    assert found.options == {"pattern": "{split}/{individual}_*"}


def test_folders_called_like_years_are_taken_for_individuals_with_a_word() -> None:
    found = folder_layout(Path("all"), photos(["2019", "2020", "2021"]))
    assert found.options == {}
    assert found.notes == ("the individuals' folders look like years",)
    assert any("names of the photos" in line for line in found.others)


def test_general_names_among_the_individuals_are_told() -> None:
    found = folder_layout(Path("all"), photos(["photos", "store", "ann"]))
    assert found.notes == ("unusual names of individuals, which are folders in all: photos",)


def test_few_photos_that_lie_less_deep_do_not_count() -> None:
    deep = [PurePosixPath(path).parts for path in photos(["north", "south"], SEALS)]
    assert len(levels_of([*deep, ("map.jpg",), ("north", "map.jpg")])) == 2
    many = [("north", f"{number}.jpg") for number in range(20)]
    assert len(levels_of([*deep, *many])) == 1
    assert levels_of([]) == [] and level_of_individuals([]) is None


@pytest.mark.parametrize(
    ("names", "patterns"),
    [
        (["seal07_1", "seal07_2", "seal08_1", "seal08_2"], ["{individual}_*"]),
        (["seal07-1", "seal07-2", "seal08-1", "seal08-2"], ["{individual}-*"]),
        (["seal 7 (1)", "seal 7 (2)", "seal 8 (1)", "seal 8 (2)"], ["* {individual} *", "{individual} *"]),
        (["2019_ann_1", "2020_ann_2", "2019_bob_1", "2020_bob_2"], ["{year}_{individual}_*"]),
        (["ann_left_1", "ann_right_2", "bob_left_3", "bob_right_4"], ["{individual}_{side}_*"]),
        (["IMG_ann_1", "IMG_ann_2", "IMG_bob_1", "IMG_bob_2"], ["*_{individual}_*", "{individual}_*"]),
        (["012_1", "012_2", "013_1", "013_2"], ["{individual}_*"]),
        (["ann1", "ann2", "bob1", "bob2"], [r"(?P<individual>.*[A-Za-z])\d+"]),
        (["IMG_0001", "IMG_0002", "IMG_0003"], []),
        (["a", "b", "c"], []),
        (["DSC0001", "DSC0002", "DSC0003"], []),
    ],
)
def test_patterns_for_names_of_photos(names: list[str], patterns: list[str]) -> None:
    assert [each.pattern for each in name_patterns(names)][: len(patterns) or None] == patterns
