"""Docstrings in reStructuredText as plain text: by hand for each mark, and no mark is left in any adapted class."""

import inspect
import re

import pytest

from siamesekit.config.schema import argument_docs, concrete
from siamesekit.registry import REGISTRIES, Component
from siamesekit.registry.adapted.class_chain import classes_of
from siamesekit.registry.adapted.prose import formula, plain

ADAPTED = [
    pytest.param(component, id=f"{component.kind}-{component.name}")
    for registry in REGISTRIES
    for component in concrete(registry)
    if component.source
]
MARKS = re.compile(r":\w+:`|``|`_(?!\w)|^\s*\.\. |\\[a-z]{2,}|\w:: *$", re.MULTILINE)
"""Of reStructuredText, and of TeX."""


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("A :class:`torch.Tensor` or :py:func:`f`.", "A `torch.Tensor` or `f`."),
        ("A :class:`~torchvision.tv_tensors.Image`.", "A `Image`."),
        (":meth:`the step <torch.optim.Optimizer.step>` first", "`the step` first"),
        ("``torch.uint8`` and `p`, ``a\nb``", "`torch.uint8` and `p`, `a\nb`"),
        ('By `"A Paper" <https://a.org/1>`_.', 'By "A Paper" (https://a.org/1).'),
        ("By `two\nlines\n<https://a.org/1>`__ here", "By two lines (https://a.org/1) here"),
        ("See `SGDR\\: Warm`_.\n\n.. _SGDR\\: Warm:\n    https://a.org/2\n", "See SGDR\\: Warm."),
        ("See `SGDR: Warm`_.\n\n.. _SGDR\\: Warm:\n    https://a.org/2\n", "See SGDR: Warm (https://a.org/2)."),
        ("See `filters`_.\n\n.. _filters: https://a.org/3", "See filters (https://a.org/3)."),
        ("A.\n\n.. note::\n    Said\n    on.\n\nB.", "A.\n\nNote:\n    Said\n    on.\n\nB."),
        ("    .. warning:: Take care.\nB.", "    Warning: Take care.\nB."),
        ("A.\n\n.. versionadded:: 0.3\n\nB.", "A.\n\nB."),
        ("A.\n\n.. image:: a.png\n   :width: 3\n\nB.", "A.\n\nB."),
        ("A.\n\n.. a comment\n   that goes on\n\nB.", "A.\n\nB."),
        ("A:\n\n.. code-block:: python\n   :linenos:\n\n   f(**options)", "A:\n\n   f(**options)"),
        ("Example::\n\n    f()", "Example:\n\n    f()"),
        ("**without restarts**, 2 ** 3, f(**a, **b)", "without restarts, 2 ** 3, f(**a, **b)"),
        ("#. One.\n#. Two.", "- One.\n- Two."),
        ("So:\n\n.. math::\n    \\eta_t = \\frac{1}{2}\n    \\eta_{max}\n\nB.", "So:\n\n    η_t = 1/2 η_max\n\nB."),
        ("It is :math:`+\\infty`, $$\\lambda_C * x$$.", "It is `+∞`, λ_C * x."),
        ("So:\n\n  \\mathcal{L} = \\cos\\theta_{i,j}\n\nB.", "So:\n\n  L = cosθ_(i,j)\n\nB."),
        ("A slice a[::2], a ratio 1:2, `x`.", "A slice a[::2], a ratio 1:2, `x`."),
        ("Costs $5 or $6.", "Costs $5 or $6."),
    ],
)
def test_a_mark_becomes_plain_text(written: str, shown: str) -> None:
    assert plain(written) == shown
    assert plain(shown) == shown, "and plain text stays as it is"


@pytest.mark.parametrize(
    ("tex", "shown"),
    [
        (r"\frac{1}{2}", "1/2"),
        (r"\eta_{t+1} = \eta_{\min}", "η_(t+1) = η_min"),
        (r"\frac{1 + \cos\left(\frac{T_{cur} \pi}{T_{max}}\right)} {1 + x}", "(1 + cos((T_cur π)/T_max))/(1 + x)"),
        (r"\text{gamma}^{\text{cycle iterations}}", "gamma^(cycle iterations)"),
        (r"\mathcal{L}_i = \sum_{j=1}^{K} x", "L_i = Σ_(j=1)^K x"),
    ],
)
def test_a_formula_is_a_line_of_letters(tex: str, shown: str) -> None:
    assert formula(tex) == shown


@pytest.mark.parametrize("component", ADAPTED)
def test_no_mark_is_left_in_an_adapted_class(component: Component) -> None:
    assert MARKS.findall(component.doc) == []
    assert all(MARKS.findall(said) == [] for said in argument_docs(component.doc).values())


def test_the_marks_are_there_before() -> None:
    """The oracle itself: torchvision's own docstrings have many."""
    classes = classes_of("torchvision.transforms.v2")
    docs = [
        inspect.cleandoc(part.value.value)
        for node in classes.values()
        for part in node.body[:1]
        if hasattr(part, "value") and isinstance(getattr(part.value, "value", None), str)
    ]
    assert sum(len(MARKS.findall(doc)) for doc in docs) > 100
    assert not any(MARKS.findall(plain(doc)) for doc in docs)


@pytest.mark.parametrize("component", ADAPTED)
def test_arguments_are_the_same_with_and_without_marks(component: Component) -> None:
    """The docstring's shape, by which `Args:` is read, stays: each option keeps what is said of it."""
    said = argument_docs(component.doc)
    assert argument_docs(plain(component.doc)) == said
