"""A component's own fault in words: the component, its plugin, the method and the line."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from siamesekit.errors import DataError, PluginError
from siamesekit.registry import DISTANCES, LOSSES, registry_of
from siamesekit.registry.component_faults import called, fault, given, naming, told
from siamesekit.registry.plugin_files import load_plugin_file

pytestmark = pytest.mark.usefixtures("no_traces")

CODE = """\
from siamesekit import LOSSES

def helper(x):
    return x / 0

@LOSSES.register("broken")
class Broken:
    def __init__(self, fine: bool = True) -> None:
        if not fine:
            raise ValueError("not\\nfine")

    def __call__(self, x):
        return [helper(each) for each in [x]]

    def later(self, x):
        return (lambda y: y.no_such_thing)(x)
"""


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., None]:
    """Writes a plugin file and loads it."""

    def load(code: str, name: str = "mine.py") -> None:
        (tmp_path / name).write_text(code)
        load_plugin_file(tmp_path / name)

    return load


def raised_by(work: Callable[[], Any]) -> BaseException:
    try:
        work()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def test_what_fails_while_it_is_built_names_plugin_component_method_and_line(load: Callable[..., None]) -> None:
    load(CODE)
    with pytest.raises(PluginError) as error:
        LOSSES.build("broken", {"fine": False})
    assert str(error.value) == ("loss 'broken' of mine.py fails in Broken.__init__ at line 10: ValueError: not fine")
    assert isinstance(error.value.__cause__, ValueError)


def test_the_deepest_line_of_the_plugin_s_own_file_is_named(load: Callable[..., None]) -> None:
    load(CODE)
    made, component = LOSSES.build("broken"), LOSSES.get("broken")
    assert fault(raised_by(lambda: made(1)), component) == (
        "loss 'broken' of mine.py fails in helper at line 4: ZeroDivisionError: division by zero"
    )
    assert fault(raised_by(lambda: made.later(1)), component) == (
        "loss 'broken' of mine.py fails in Broken.later.<lambda> at line 16: "
        "AttributeError: 'int' object has no attribute 'no_such_thing'"
    )


def test_a_wrong_number_of_arguments_names_the_method_that_was_called(load: Callable[..., None]) -> None:
    load(CODE)
    made, component = LOSSES.build("broken"), LOSSES.get("broken")
    assert fault(raised_by(lambda: made(1, 2, 3)), component, "__call__") == (
        "loss 'broken' of mine.py fails in __call__: "
        "TypeError: Broken.__call__() takes 2 positional arguments but 4 were given"
    )


def test_a_package_s_component_is_named_with_its_package_and_the_line_in_its_other_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "siamesekit_gulls_x"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "inner.py").write_text("def inner():\n    raise KeyError('k')\n")
    (package / "loss.py").write_text(
        "from siamesekit import LOSSES\nfrom siamesekit_gulls_x.inner import inner\n"
        "@LOSSES.register('packaged')\ndef packaged():\n    return inner\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import siamesekit_gulls_x.loss  # type: ignore[import-not-found]  # noqa: F401

    error = raised_by(LOSSES.build("packaged"))
    assert fault(error, LOSSES.get("packaged")) == (
        "loss 'packaged' of siamesekit_gulls_x/loss.py fails in inner of siamesekit_gulls_x/inner.py at line 2: "
        "KeyError: 'k'"
    )


def test_a_component_of_a_session_is_named_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a notebook's cell registers has no file."""
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(
        compile(
            "from siamesekit import LOSSES\n@LOSSES.register('of-a-cell')\ndef cell():\n    1 / 0", "<cell>", "exec"
        ),
        namespace,
    )
    with pytest.raises(PluginError, match=r"^loss 'of-a-cell' of this session fails in cell at line 4: ZeroDivision"):
        LOSSES.build("of-a-cell")


def test_an_own_component_is_named_without_a_place_and_its_faults_pass_as_they_are() -> None:
    component = DISTANCES.get("cosine")
    assert called(component) == "distance 'cosine'"
    with pytest.raises(ZeroDivisionError), naming(component):
        1 / 0  # noqa: B018


@pytest.mark.parametrize(
    "error",
    [DataError("on purpose"), MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")],
)
def test_errors_on_purpose_and_want_of_memory_pass(load: Callable[..., None], error: Exception) -> None:
    load(CODE)
    with pytest.raises(type(error)) as found, naming(LOSSES.get("broken")):
        raise error
    assert found.value is error


def test_an_interruption_is_no_fault(load: Callable[..., None]) -> None:
    load(CODE)
    with pytest.raises(KeyboardInterrupt), naming(LOSSES.get("broken")):
        raise KeyboardInterrupt


def test_a_long_message_with_control_characters_is_one_short_line() -> None:
    shown = told(ValueError("a\n\x1b[31m" + "x" * 5000))
    assert shown.isprintable()
    assert len(shown) < 600
    assert told(ValueError()) == "ValueError"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "None"),
        (3.5, "3.5"),
        (torch.zeros(2, 3), "a tensor float32 [2, 3]"),
        (np.zeros((4, 5), np.uint8), "an array uint8 [4, 5]"),
        (Image.new("RGB", (2, 2)), "a Pillow image"),
        ([1, 2], "a list"),
        (object(), "an object"),
        (Path, "the class Path"),
        ("text", "a str"),
    ],
)
def test_what_a_component_gave_is_told_by_its_kind(value: object, expected: str) -> None:
    assert given(value) == expected


def test_a_family_that_cannot_list_its_members_is_named(load: Callable[..., None], monkeypatch: Any) -> None:
    load(
        "from siamesekit import ENCODERS\n"
        "@ENCODERS.register('nets/*', names='family_of_nets:names')\n"
        "def net(*, model: str, pretrained: bool = False): ...\n"
    )
    module = type(sys)("family_of_nets")
    exec("def names():\n    raise OSError('no list')", vars(module))
    monkeypatch.setitem(sys.modules, "family_of_nets", module)
    with pytest.raises(PluginError, match=r"^encoder 'nets/\*' of mine.py fails: OSError: no list$"):
        registry_of("encoder").get("nets/one")
