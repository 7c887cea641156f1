"""Which component is at fault: the plugin's whose code raised, however deep in another one it was called."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
import torch

from siamesekit.errors import DataError, PluginError, RunError
from siamesekit.registry import DISTANCES, LOSSES
from siamesekit.registry.component_faults import fault
from siamesekit.registry.culprits import culprit, plugins_named
from siamesekit.registry.plugin_files import load_plugin_file

pytestmark = pytest.mark.usefixtures("no_traces")

CODE = """\
from siamesekit import DISTANCES, LOSSES

def shared():
    raise IndexError("shared")

@DISTANCES.register("far")
class Far:
    def __init__(self, how: int = 0) -> None:
        self.how = how

    def __call__(self, a, b):
        return shared() if self.how else a.oops

@LOSSES.register("near")
def near(*, distance: object):
    def loss(embeddings, labels, tuples):
        return distance(embeddings, embeddings) if labels is None else shared()
    return loss
"""


@pytest.fixture(autouse=True)
def plugin(tmp_path: Path, no_traces: None) -> None:
    (tmp_path / "two.py").write_text(CODE)
    load_plugin_file(tmp_path / "two.py")


def test_the_component_that_raised_is_named_and_not_the_one_that_called_it() -> None:
    """Also where the library's own loss called it, and where the loss is another plugin's."""
    for name in ("near", "contrastive"):
        loss = LOSSES.build(name, {}, distance=DISTANCES.build("far"))
        with pytest.raises(AttributeError) as error:
            loss(torch.ones(4, 2), None if name == "near" else torch.tensor([0, 0, 1, 1]), None)
        found = culprit(error.value)
        assert found is not None
        assert fault(error.value, found).startswith(
            "distance 'far' of two.py fails in Far.__call__ at line 12: AttributeError: "
        )


def test_of_a_function_that_two_components_share_the_one_that_called_it_is_named() -> None:
    with pytest.raises(IndexError) as error:
        DISTANCES.build("far", {"how": 1})(torch.ones(1), torch.ones(1))
    found = culprit(error.value)
    assert found is not None
    assert fault(error.value, found) == ("distance 'far' of two.py fails in shared at line 4: IndexError: shared")
    with pytest.raises(IndexError) as error:
        LOSSES.build("near", {}, distance=DISTANCES.build("far"))(None, 1, None)
    found = culprit(error.value)
    assert found is not None and (found.kind, found.name) == ("loss", "near")


def test_without_a_plugin_s_line_the_component_that_was_used_is_named() -> None:
    error = TypeError("takes 3 positional arguments but 4 were given")
    assert culprit(error) is None
    near, triplet = LOSSES.get("near"), LOSSES.get("triplet")
    assert fault(error, near, "__call__") == f"loss 'near' of two.py fails in __call__: TypeError: {error}"
    assert fault(error, triplet) == f"loss 'triplet' fails: TypeError: {error}"


def test_a_block_names_what_a_plugin_raised_and_lets_all_else_pass() -> None:
    with (
        pytest.raises(RunError, match=r"^distance 'far' of two.py fails in Far.__call__ at line 12: "),
        plugins_named(RunError),
    ):
        DISTANCES.build("far")(1, 1)
    with pytest.raises(ZeroDivisionError), plugins_named():
        1 / 0  # noqa: B018
    with pytest.raises(DataError, match="on purpose"), plugins_named():
        raise DataError("on purpose")


def test_code_of_a_plugin_that_belongs_to_no_component_is_named_by_its_file() -> None:
    shared = inspect.unwrap(LOSSES.factory("near")).__globals__["shared"]
    with (
        pytest.raises(PluginError, match=r"^plugin two.py fails in shared at line 4: IndexError: shared$"),
        plugins_named(),
    ):
        shared()
