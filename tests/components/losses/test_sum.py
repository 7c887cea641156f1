"""Loss `sum`: value and gradients are the weighted sum of the losses, computed one by one."""

from typing import Any

import pytest
import torch
from torch import nn

from siamesekit import LOSSES, ArcFaceLoss, ContrastiveLoss, CrossBatchMemory, SumOfLosses, TripletLoss, Triplets
from siamesekit.components.losses.traits import traits
from siamesekit.errors import ComponentError

LABELS = torch.tensor([0, 0, 1, 1, 2, 2, 2, 0])
TRIPLETS = Triplets(torch.tensor([0, 2, 4]), torch.tensor([1, 3, 6]), torch.tensor([2, 0, 7]))


def embeddings() -> nn.Parameter:
    return nn.Parameter(torch.randn(8, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))


def arcface() -> ArcFaceLoss:
    torch.manual_seed(0)
    return ArcFaceLoss(0.3, 8.0, embedding_dim=5, num_classes=3).double()


@pytest.mark.parametrize("tuples", [None, TRIPLETS], ids=["all", "given"])
def test_value_and_gradients_are_the_weighted_sum(tuples: Triplets | None) -> None:
    class_loss, triplet = arcface(), TripletLoss(0.7, "sum", distance="euclidean")
    total = SumOfLosses([class_loss, (triplet, 0.25)])
    together = embeddings()
    value = total(together, LABELS, tuples)
    value.backward()
    of_centers = class_loss.centers.grad.clone()
    class_loss.zero_grad()
    one, other = embeddings(), embeddings()
    first, second = class_loss(one, LABELS), triplet(other, LABELS, tuples)
    first.backward()
    second.backward()
    torch.testing.assert_close(value.objective, first.objective + 0.25 * second.objective)
    torch.testing.assert_close(value.mean, first.mean + 0.25 * second.mean)
    torch.testing.assert_close(value.active, (first.active + second.active) / 2)
    torch.testing.assert_close(together.grad, one.grad + 0.25 * other.grad)
    torch.testing.assert_close(of_centers, class_loss.centers.grad)


def test_names_tables_and_pairs_build_the_same_sum() -> None:
    value = SumOfLosses(["triplet", {"name": "contrastive", "weight": 2}])(embeddings(), LABELS)
    same = SumOfLosses([TripletLoss(), (ContrastiveLoss(), 2.0)])(embeddings(), LABELS)
    run = LOSSES.build_for_run(
        "sum", {"terms": [{"name": "triplet"}, {"name": "contrastive", "weight": 2.0}]}, distance="squared-euclidean"
    )
    torch.testing.assert_close(value.objective, same.objective)
    torch.testing.assert_close(run(embeddings(), LABELS).objective, same.objective)


def test_a_run_gives_its_values_to_every_term() -> None:
    table = {"terms": [{"name": "arcface"}, {"name": "triplet"}]}
    loss = LOSSES.build_for_run("sum", table, distance="cosine", embedding_dim=5, num_classes=3)
    assert loss.terms[0].centers.shape == (3, 5)
    assert type(loss.terms[1].distance).__name__ == "Cosine"
    assert [name for name, _ in loss.named_parameters()] == ["term0.centers"]


def test_a_sum_has_the_limits_of_its_terms() -> None:
    both = traits(SumOfLosses([arcface(), TripletLoss()]))
    assert (both.by_class, both.takes_tuples, both.measures_by, both.margin) == (True, True, "cosine", None)
    classes = traits(SumOfLosses([arcface()]))
    assert (classes.by_class, classes.takes_tuples) == (True, False)
    pairs = traits(SumOfLosses([TripletLoss(9.0), TripletLoss()]))
    assert (pairs.by_class, pairs.takes_tuples, pairs.measures_by) == (False, True, None)
    assert pairs.out_of_reach is not None
    assert str(pairs.out_of_reach(0, 4)).startswith("terms.0: margin = 9 is above 4")
    assert pairs.out_of_reach(0, 10) is None


def test_the_state_of_every_term_is_saved_and_loaded() -> None:
    def made() -> SumOfLosses:
        return SumOfLosses([arcface(), CrossBatchMemory(ContrastiveLoss(), 16, embedding_dim=5)])

    loss, other = made(), made()
    loss(embeddings(), LABELS)
    with torch.no_grad():
        loss.terms[0].centers.mul_(2)  # type: ignore[attr-defined]
    other.load_state_dict(loss.state_dict())
    torch.testing.assert_close(other(embeddings(), LABELS).objective, loss(embeddings(), LABELS).objective)
    assert other.state_dict().keys() == loss.state_dict().keys() >= {"term0.centers", "term1.embeddings"}


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ([], "at least one term"),
        ("triplet", "terms: must be a list"),
        ([{"name": "tripet"}], r"terms\.0\.name: unknown loss 'tripet'"),
        ([{"name": "triplet", "weight": 0}], r"terms\.0\.weight: must be a number above 0, not 0"),
        ([{"name": "triplet", "weight": "1"}], r"terms\.0\.weight: must be a number above 0"),
        ([(TripletLoss(), float("nan"))], r"terms\.0\.weight: must be a number above 0"),
        (["triplet", {"name": "triplet", "margn": 1}], r"terms\.1\.margn: unknown option .*did you mean 'margin'"),
    ],
)
def test_terms_that_are_none_are_refused(terms: Any, expected: str) -> None:
    with pytest.raises(ComponentError, match=f"(?s){expected}"):
        SumOfLosses(terms)


def test_a_memory_cannot_hold_a_sum() -> None:
    with pytest.raises(ComponentError, match="cannot hold SumOfLosses"):
        CrossBatchMemory(SumOfLosses([TripletLoss()]), embedding_dim=5)


def test_terms_that_compare_photos_take_the_embeddings_before_the_neck() -> None:
    class_loss, triplet = arcface(), TripletLoss(0.7, "sum", distance="euclidean")
    total = SumOfLosses([class_loss, (triplet, 0.25)])
    after, before = embeddings(), nn.Parameter(embeddings().detach() * 2 - 1)
    value = total(after, LABELS, None, before_neck=before).objective
    torch.testing.assert_close(value, class_loss(after, LABELS).objective + 0.25 * triplet(before, LABELS).objective)
    assert traits(total).takes_before_neck
    assert not traits(SumOfLosses([class_loss])).takes_before_neck
