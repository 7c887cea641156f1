"""Patterns of paths: what each of their parts takes, and patterns that are none."""

from __future__ import annotations

import pytest

from siamesekit.data.path_pattern import PathPattern


@pytest.mark.parametrize(
    ("pattern", "path", "fields"),
    [
        ("{individual}/", "seal/1.jpg", {"individual": "seal"}),
        ("{individual}/", "seal/left/1.jpg", {"individual": "seal"}),
        ("{individual}/", "1.jpg", None),
        ("{site}/{individual}/", "north/seal/deep/er/1.jpg", {"site": "north", "individual": "seal"}),
        ("{site}/{individual}/", "north/1.jpg", None),
        ("*/{individual}/", "photos/seal/1.jpg", {"individual": "seal"}),
        ("photos/{individual}/", "photos/seal/1.jpg", {"individual": "seal"}),
        ("photos/{individual}/", "others/seal/1.jpg", None),
        ("{individual}_*", "seal_left_3.jpg", {"individual": "seal_left"}),
        ("{individual}_{side}_*", "seal_left_3.jpg", {"individual": "seal", "side": "left"}),
        ("{individual}_*", "north/seal_3.jpg", None),
        ("**/{individual}_*", "north/2019/seal_3.jpg", {"individual": "seal"}),
        ("**/{individual}_*", "seal_3.jpg", {"individual": "seal"}),
        ("{individual}", "seal.with.points.jpg", {"individual": "seal.with.points"}),
        ("{individual} (*)", "seal (3).jpg", {"individual": "seal"}),
        ("{individual}_*", " seal _3.jpg", {"individual": "seal"}),
        (r"(?P<individual>[a-z]+)\d+", "seal07.jpg", {"individual": "seal"}),
        (r"(?P<individual>[^/]+/[^/]+)/.*", "north/7/1.jpg", {"individual": "north/7"}),
    ],
)
def test_fields_are_taken_from_a_path(pattern: str, path: str, fields: dict[str, str] | None) -> None:
    assert PathPattern(pattern).fields_of(path) == fields


def test_an_encounter_is_the_path_of_its_folder(tmp_path: object) -> None:
    """The first encounters of two sites are two encounters."""
    pattern = PathPattern("{site}/{encounter}/{individual}/")
    assert [pattern.fields_of(f"{site}/e1/seal/1.jpg") for site in ("north", "south")] == [
        {"site": site, "encounter": f"{site}/e1", "individual": "seal"} for site in ("north", "south")
    ]
    assert PathPattern("{individual}_{encounter}_*").fields_of("seal_e1_1.jpg") == {
        "individual": "seal", "encounter": "e1"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("{site}/", "names no individual: write {individual}"),
        ("{individual}{side}", "nothing between two of its parts"),
        ("{individual}*", "nothing between two of its parts"),
        ("{individual}/{site}/{site}/", "has {site} twice"),
        ("{individual", "single '{'"),
        ("{in dividual}/", "'in dividual' is no name"),
        ("(?P<individual>[)", "is no regular expression"),
    ],
)
def test_patterns_that_are_none(pattern: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        PathPattern(pattern)
    assert message in str(caught.value)
