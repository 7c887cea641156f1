"""Validation of a plugin's matcher."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from siamesekit.components.matchers.matcher import Keypoints, Matcher, PointMatches
from siamesekit.errors import PluginError
from siamesekit.registry.component import Component
from siamesekit.registry.component_faults import called, given, naming, refuse_without


def accepted(made: Any, component: Component, runtime: Mapping[str, Any]) -> PluginMatcher:
    """Wrap the result of a plugin's component as a matcher.

    Args:
        made: an object with the methods `describe` and `match`.
        component: the component that built it.
        runtime: not used.

    Raises:
        PluginError: it lacks one of them.
    """
    expected = "a matcher: an object with the methods describe and match"
    refuse_without(made, component, ("describe", "match"), expected)
    return PluginMatcher(made, component)


class PluginMatcher:
    """A plugin's matcher, with errors that name the plugin.

    Args:
        matcher: the matcher of the plugin.
        component: the component that built it.
    """

    def __init__(self, matcher: Matcher, component: Component) -> None:
        self.matcher = matcher
        self.component = component

    def __repr__(self) -> str:
        return repr(self.matcher)

    def describe(self, photo: NDArray[np.uint8]) -> Keypoints:
        """Find the keypoints of a photo, uint8 RGB `[height, width, 3]`.

        Raises:
            PluginError: the matcher fails, or gives something other than `Keypoints`.
        """
        with naming(self.component):
            found = self.matcher.describe(photo)
        if not isinstance(found, Keypoints) or np.shape(found.points) != (len(found.descriptors), 2):
            raise PluginError(
                f"describe of {called(self.component)} gives {given(found)}; expected Keypoints with points [K, 2] and "
                "descriptors [K, D]"
            )
        return found

    def match(self, first: Keypoints, second: Keypoints) -> PointMatches:
        """Find the points that two photos share.

        Raises:
            PluginError: the matcher fails, or gives something other than `PointMatches`.
        """
        with naming(self.component):
            found = self.matcher.match(first, second)
        if not isinstance(found, PointMatches) or {np.shape(found.first), np.shape(found.second)} != {(len(found), 2)}:
            raise PluginError(
                f"match of {called(self.component)} gives {given(found)}; expected PointMatches with first and second "
                "[M, 2]"
            )
        return found
