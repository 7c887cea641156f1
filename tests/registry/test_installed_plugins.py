"""Installed plugins: found without being asked for, and a failing one takes nothing else down."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from siamesekit.registry import LOSSES, installed_plugins
from siamesekit.registry.installed_plugins import GROUP, load_installed_plugins

pytestmark = pytest.mark.usefixtures("no_traces")


def test_installed_plugins_are_loaded_and_a_failing_one_takes_nothing_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "good_one.py").write_text("from siamesekit import LOSSES\n@LOSSES.register('good')\ndef g(): return 7")
    (tmp_path / "bad_one.py").write_text("1 / 0")
    (tmp_path / "leaving_one.py").write_text("raise SystemExit('bye')")
    monkeypatch.syspath_prepend(tmp_path)
    points = [
        EntryPoint(name, value, GROUP)
        for name, value in [("z", "good_one"), ("b", "bad_one"), ("a", "gone_one:f"), ("c", "leaving_one")]
    ]
    monkeypatch.setattr(installed_plugins, "entry_points", lambda group: points if group == GROUP else [])
    monkeypatch.setattr(installed_plugins, "_loaded", False)
    assert load_installed_plugins() == [
        "plugin 'a' (gone_one:f) fails: ModuleNotFoundError: No module named 'gone_one'",
        "plugin 'b' (bad_one) fails: ZeroDivisionError: division by zero",
        "plugin 'c' (leaving_one) fails: SystemExit: bye",
    ]
    assert load_installed_plugins() == []
    assert LOSSES.build("good") == 7


@pytest.mark.parametrize("looked_up", ["names", "components", "get"])
def test_a_registry_loads_installed_plugins_before_it_looks_anything_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, looked_up: str
) -> None:
    module = f"installed_{looked_up}"
    (tmp_path / f"{module}.py").write_text(
        "from siamesekit import LOSSES\n"
        f"@LOSSES.register('lazily-{looked_up}')\ndef g(): return 7\n"
        "assert 'triplet' in LOSSES.names()\n"  # a plugin may look things up itself
    )
    monkeypatch.syspath_prepend(tmp_path)
    points = [EntryPoint("b", "not_there", GROUP), EntryPoint("g", module, GROUP)]
    monkeypatch.setattr(installed_plugins, "entry_points", lambda group: points)
    monkeypatch.setattr(installed_plugins, "_loaded", False)
    with pytest.warns(UserWarning, match="plugin 'b' .not_there. fails: ModuleNotFoundError"):
        found = {
            "names": LOSSES.names,
            "components": lambda: [component.name for component in LOSSES.components()],
            "get": lambda: LOSSES.get(f"lazily-{looked_up}").name,
        }[looked_up]()
    assert f"lazily-{looked_up}" in found
