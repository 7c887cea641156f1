"""A plugin's matcher: what it gives is checked, and its errors name it."""

from typing import Any

import numpy as np
import pytest

from siamesekit import MATCHERS, Keypoints, PointMatches
from siamesekit.components.matchers.accepted import PluginMatcher
from siamesekit.errors import PluginError

PHOTO = np.zeros((4, 6, 3), np.uint8)
ONE = Keypoints(np.zeros((1, 2), np.float32), np.ones((1, 3), np.float32), (6, 4))


class Mine:
    """Gives what it is told to."""

    def __init__(self, described: Any = ONE, matched: Any = None) -> None:
        self.described, self.matched = described, matched

    def describe(self, photo: Any) -> Any:
        return self.described

    def match(self, first: Any, second: Any) -> Any:
        return self.matched


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(MATCHERS, "_components", dict(MATCHERS._components))
    monkeypatch.setattr(MATCHERS, "_factories", dict(MATCHERS._factories))

    def make(gives: Any) -> PluginMatcher:
        @MATCHERS.register("mine")
        def mine() -> Any:
            return gives

        built: PluginMatcher = MATCHERS.build("mine", {})
        return built

    return make


def test_a_sound_one_works(build: Any) -> None:
    pairs = PointMatches(np.zeros((2, 2), np.float32), np.ones((2, 2), np.float32))
    matcher = build(Mine(matched=pairs))
    assert matcher.describe(PHOTO) is ONE
    assert matcher.match(ONE, ONE) is pairs
    assert "Mine" in repr(matcher)


def test_what_is_no_matcher_is_refused(build: Any) -> None:
    with pytest.raises(PluginError, match=r"matcher 'mine' of .* which has no method 'describe'; expected a matcher"):
        build(object())
    with pytest.raises(PluginError, match="expected a matcher"):
        build(Mine)


def test_what_it_gives_is_checked(build: Any) -> None:
    with pytest.raises(PluginError, match=r"describe of matcher 'mine' .* expected Keypoints"):
        build(Mine(described=3)).describe(PHOTO)
    odd = Keypoints(np.zeros((2, 2), np.float32), np.ones((1, 3), np.float32), (6, 4))
    with pytest.raises(PluginError, match="expected Keypoints with points"):
        build(Mine(described=odd)).describe(PHOTO)
    with pytest.raises(PluginError, match=r"match of matcher 'mine' .* expected PointMatches"):
        build(Mine(matched=[1])).match(ONE, ONE)
    with pytest.raises(PluginError, match=r"match of matcher 'mine' .* expected PointMatches"):
        build(Mine(matched=None)).match(ONE, ONE)
    uneven = PointMatches(np.zeros((2, 2), np.float32), np.ones((3, 2), np.float32))
    with pytest.raises(PluginError, match="expected PointMatches with first and second"):
        build(Mine(matched=uneven)).match(ONE, ONE)


def test_its_errors_name_it(build: Any) -> None:
    class Failing(Mine):
        def describe(self, photo: Any) -> Any:
            raise ValueError("no skin")

    with pytest.raises(PluginError, match=r"(?s)matcher 'mine'.*no skin"):
        build(Failing()).describe(PHOTO)
