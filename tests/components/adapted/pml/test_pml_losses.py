"""Losses `pml/*`: what pytorch-metric-learning gives when it is called directly, and what a run asks of a loss."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pytorch_metric_learning import distances, losses, miners
from pytorch_metric_learning.distances import BaseDistance
from pytorch_metric_learning.utils import common_functions
from torch import Tensor, nn

from oracles import triplets_of
from siamesekit.components.adapted.pml.losses import PmlLoss, two_views
from siamesekit.components.tuples import Pairs, Triplets
from siamesekit.errors import ComponentError
from siamesekit.registry import LOSSES, MINERS

CLASSES, DIMENSIONS = 4, 8
NAMES = LOSSES.family("pml").members()
REQUIRED: dict[str, dict[str, Any]] = {
    "cross-batch-memory": {"loss": {"name": "pml/contrastive"}, "memory_size": 40},
    "self-supervised": {"loss": {"name": "pml/nt-xent"}},
    "multiple": {"losses": [{"name": "pml/contrastive"}, {"name": "pml/proxy-anchor"}], "weights": [1.0, 0.5]},
    "ranked-list": {"margin": 0.8, "Tn": 10.0},
}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "CrossBatchMemory": {"embedding_size": DIMENSIONS, "memory_size": 40},
    "P2SGradLoss": {"descriptors_dim": DIMENSIONS, "num_classes": CLASSES},
    "ManifoldLoss": {"l": DIMENSIONS, "K": CLASSES},
    "RankedListLoss": {"margin": 0.8, "Tn": 10.0},
    **{
        name: {"num_classes": CLASSES, "embedding_size": DIMENSIONS}
        for name in ("ArcFaceLoss", "CosFaceLoss", "SphereFaceLoss", "SubCenterArcFaceLoss", "LargeMarginSoftmaxLoss",
                     "NormalizedSoftmaxLoss", "ProxyAnchorLoss", "ProxyNCALoss", "SoftTripleLoss")
    },
}  # fmt: skip
"""What their constructors cannot do without."""


def ours(name: str, **options: Any) -> PmlLoss:
    options = {**REQUIRED.get(name, {}), **options}
    loss = LOSSES.build(f"pml/{name}", options, embedding_dim=DIMENSIONS, num_classes=CLASSES, distance=None)
    assert isinstance(loss, PmlLoss)
    return loss


def theirs(name: str, **arguments: Any) -> nn.Module:
    """The same loss, constructed by hand."""
    class_name = LOSSES.get(f"pml/{name}").source.rpartition(".")[2]
    arguments = {**ARGUMENTS.get(class_name, {}), **arguments}
    if name == "cross-batch-memory":
        return losses.CrossBatchMemory(losses.ContrastiveLoss(), **arguments)
    if name == "self-supervised":
        return losses.SelfSupervisedLoss(losses.NTXentLoss())
    if name == "multiple":
        anchors = losses.ProxyAnchorLoss(num_classes=CLASSES, embedding_size=DIMENSIONS)
        return losses.MultipleLosses([losses.ContrastiveLoss(), anchors], weights=[1.0, 0.5])
    made: nn.Module = getattr(losses, class_name)(**arguments)
    return made


def batch(seed: int = 0, photos: int = 16, shuffled: bool = False) -> tuple[Tensor, Tensor]:
    """Embeddings near their individuals' middles, and the individuals, each with as many photos, in order or not."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(CLASSES), photos // CLASSES)
    labels = rng.permutation(labels) if shuffled else labels
    middles = np.random.default_rng(99).normal(size=(CLASSES, DIMENSIONS))
    embeddings = middles[labels] + rng.normal(size=(photos, DIMENSIONS))
    return torch.from_numpy(embeddings).requires_grad_(), torch.from_numpy(labels)


def called(
    module: nn.Module, name: str, embeddings: Tensor, labels: Tensor, tuples: tuple[Tensor, ...] | None
) -> Tensor:
    """Their loss as their documentation calls it, their generator seeded as our adapter seeds it."""
    before = common_functions.NUMPY_RANDOM
    common_functions.NUMPY_RANDOM = np.random.RandomState(int(torch.randint(2**31, ())))
    try:
        if name in ("vicreg", "self-supervised"):
            rows = [[i for i in range(len(labels)) if labels[i] == label][:2] for label in labels.unique()]
            pairs = sorted(row for row in rows if len(row) == 2)
            first, second = zip(*pairs, strict=True)
            value: Tensor = module(embeddings[list(first)], ref_emb=embeddings[list(second)])
        elif name == "manifold":
            value = module(embeddings, indices_tuple=labels)
        else:
            value = module(embeddings, labels, tuples)
    finally:
        common_functions.NUMPY_RANDOM = before
    return value.sum()


def assert_same(
    name: str,
    loss: PmlLoss,
    reference: nn.Module,
    embeddings: Tensor,
    labels: Tensor,
    tuples: Triplets | Pairs | None = None,
) -> float:
    """Value and gradient, of embeddings and of weights, equal to 1e-12; gives the value."""
    reference.load_state_dict(loss.module.state_dict())
    torch.manual_seed(5)
    objective = loss(embeddings, labels, tuples).objective
    torch.manual_seed(5)
    expected = called(reference, name, embeddings, labels, None if tuples is None else tuple(tuples))
    assert objective.item() == pytest.approx(expected.item(), rel=1e-12, abs=1e-12)
    inputs = [[embeddings, *module.parameters()] for module in (loss, reference)]
    found = torch.autograd.grad(objective, inputs[0], allow_unused=True)
    wanted = torch.autograd.grad(expected, inputs[1], allow_unused=True) if expected.requires_grad else [None] * 9
    for mine, their in zip(found, wanted, strict=False):
        assert (their is None and (mine is None or mine.abs().max() == 0)) or torch.allclose(mine, their, 1e-12, 1e-12)
    return objective.item()


@pytest.mark.parametrize("name", NAMES)
def test_value_and_gradient_equal_pytorch_metric_learning_s(name: str) -> None:
    embeddings, labels = batch()
    assert assert_same(name, ours(name), theirs(name), embeddings, labels) != 0


ORDER_MATTERS = {"n-pairs": "draws a positive of each anchor", "vicreg": "compares two photos", "self-supervised": ""}


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(ORDER_MATTERS)))
def test_the_order_of_the_photos_changes_nothing(name: str) -> None:
    """Sampled photos come in any order; pytorch-metric-learning's SmoothAPLoss by itself wants individuals together."""
    embeddings, labels = batch()
    order = torch.randperm(16, generator=torch.Generator().manual_seed(0))
    loss = ours(name)
    values = []
    for chosen in (torch.arange(16), order):
        torch.manual_seed(5)
        objective = copy.deepcopy(loss)(embeddings[chosen], labels[chosen], None).objective
        (gradient,) = torch.autograd.grad(objective, embeddings)
        values.append((objective, gradient))
    (one, first), (two, second) = values
    assert one.item() == pytest.approx(two.item(), rel=1e-6)  # some compute in float32
    torch.testing.assert_close(first, second, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("labels", [[0, 0, 1, 1, 1], [0, 0, 1, 1, 2, 2], [0, 0, 0, 1, 1, 1]])
def test_smooth_ap_refuses_batches_on_which_theirs_is_wrong(labels: list[int]) -> None:
    """Theirs takes the photos of an individual for the number of individuals."""
    with pytest.raises(ComponentError, match="needs batches of n individuals with n photos each, not of"):
        ours("smooth-ap")(torch.randn(len(labels), DIMENSIONS), torch.tensor(labels), None)


def test_smooth_ap_equals_the_loop() -> None:
    embeddings, labels = batch(shuffled=True)
    unit = nn.functional.normalize(embeddings.detach())
    similar = (unit @ unit.T).tolist()
    mean = 0.0
    for query in range(16):
        own = [photo for photo in range(16) if labels[photo] == labels[query]]
        precision = 0.0
        for photo in own:

            def rank(among: Any, photo: int = photo, query: int = query) -> float:
                ahead = ((similar[query][other] - similar[query][photo]) / 0.01 for other in among if other != photo)
                return 1 + sum(1 / (1 + np.exp(-x)) for x in ahead)

            precision += rank(own) / rank(range(16)) / len(own)
        mean += (1 - precision) / 16
    assert ours("smooth-ap")(embeddings, labels, None).objective.item() == pytest.approx(mean, rel=1e-5)


def test_smooth_ap_orders_its_tuples_too() -> None:
    embeddings, labels = batch()
    rng = np.random.default_rng(0)
    triplets = torch.tensor([row for row in triplets_of(labels) if rng.random() < 0.05]).T
    order = torch.randperm(16, generator=torch.Generator().manual_seed(0))
    moved = order.argsort()[triplets]
    found = ours("smooth-ap")(embeddings[order], labels[order], Triplets(*moved)).objective
    assert found.item() == pytest.approx(theirs("smooth-ap")(embeddings, labels, tuple(triplets)).item(), rel=1e-6)
    nested = ours("multiple", losses=[{"name": "pml/smooth-ap"}], weights=None)
    again = nested(embeddings[order], labels[order], Triplets(*moved)).objective
    assert again.item() == pytest.approx(found.item(), rel=1e-12)


TAKES_TUPLES = [name for name in NAMES if ours(name).takes_tuples]
MINERS_HERE = MINERS.family("pml").members()
PRODUCT = [
    pytest.param(
        loss, miner, marks=[] if (row + column) % len(MINERS_HERE) in (0, 4) else pytest.mark.slow, id=f"{loss}-{miner}"
    )
    for row, loss in enumerate(TAKES_TUPLES)
    for column, miner in enumerate(MINERS_HERE)
]
"""Every loss that takes tuples with every miner; each with two of the others every day."""


@pytest.mark.medium
@pytest.mark.parametrize(("name", "miner"), PRODUCT)
def test_with_a_miner_s_tuples_it_equals_pytorch_metric_learning(name: str, miner: str) -> None:
    embeddings, labels = batch()
    torch.manual_seed(1)
    tuples = MINERS.build(f"pml/{miner}")(embeddings.detach(), labels)
    assert sum(len(index) for index in tuples) > 0, "a miner that finds nothing shows nothing"
    assert_same(name, ours(name), theirs(name), embeddings, labels, tuples)


def test_every_loss_is_tried_with_every_miner() -> None:
    assert len(PRODUCT) == len(TAKES_TUPLES) * len(MINERS_HERE) >= 20 * 9
    everyday = [param for param in PRODUCT if not param.marks]
    assert {param.values[0] for param in everyday} == set(TAKES_TUPLES)
    assert {param.values[1] for param in everyday} == set(MINERS_HERE)


class Formula(BaseDistance):  # type: ignore[misc]
    """A distance of ours, written out as one of theirs."""

    def __init__(self, name: str) -> None:
        super().__init__(normalize_embeddings=False)
        self.name = name

    def compute_mat(self, query_emb: Tensor, ref_emb: Tensor) -> Tensor:
        if self.name == "cosine":
            return 1 - nn.functional.normalize(query_emb) @ nn.functional.normalize(ref_emb).T
        if self.name == "squared-euclidean":
            return (query_emb[:, None] - ref_emb[None]).square().sum(-1)
        return torch.cdist(query_emb, ref_emb, compute_mode="donot_use_mm_for_euclid_dist")

    def pairwise_distance(self, query_emb: Tensor, ref_emb: Tensor) -> Tensor:
        return self.compute_mat(query_emb, ref_emb).diagonal()


WITH_DISTANCE = [name for name in NAMES if "distance" in {option.name for option in LOSSES.get(f"pml/{name}").options}]
FIXED = {
    "angular", "arcface", "circle", "cosface", "dynamic-soft-margin", "fast-ap", "large-margin-softmax", "pnp",
    "signal-to-noise-ratio-contrastive", "smooth-ap", "soft-triple", "sphereface", "sub-center-arcface",
    "threshold-consistent-margin", "tuplet-margin",
}  # fmt: skip
"""Losses that take no distance but their own kind."""


@pytest.mark.medium
@pytest.mark.parametrize("distance", ["squared-euclidean", "euclidean", "cosine"])
@pytest.mark.parametrize("name", WITH_DISTANCE)
def test_with_a_distance_of_ours_it_equals_the_written_out_one(name: str, distance: str) -> None:
    """What it refuses is refused by name when it is built."""
    try:
        reference = theirs(name, distance=Formula(distance))
    except Exception:
        reference = None
    assert (reference is None) == (name in FIXED)
    if reference is None:
        with pytest.raises(ComponentError, match=rf"^pml/{name} refuses these options: .+"):
            ours(name, distance={"name": distance})
        return
    embeddings, labels = batch()
    if name == "histogram":  # it takes distances up to 1
        embeddings = (embeddings.detach() * 0.05 + 1).requires_grad_()
    loss = ours(name, distance={"name": distance})
    assert_same(name, loss, reference, embeddings, labels)


def test_a_distance_of_theirs_is_handed_on_as_it_is() -> None:
    loss = ours("triplet-margin", distance={"name": "pml/cosine-similarity"})
    embeddings, labels = batch()
    assert_same(
        "triplet-margin", loss, theirs("triplet-margin", distance=distances.CosineSimilarity()), embeddings, labels
    )


def test_angular_refuses_a_similarity_by_name() -> None:
    with pytest.raises(ComponentError, match=r"pml/angular refuses these options: .*LpDistance"):
        ours("angular", distance={"name": "pml/cosine-similarity"})


@pytest.mark.parametrize("name", NAMES)
def test_three_batches_go_forward_and_back_also_with_copies_of_photos(name: str) -> None:
    """Through one object, with its weights moved: what a batch left behind is no part of the next one's graph."""
    loss = ours(name).float()
    for number in range(3):
        embeddings, labels = batch(seed=number)
        embeddings = embeddings.detach().float()
        if number:
            embeddings[1], embeddings[5] = embeddings[0], -embeddings[0]
        embeddings.requires_grad_()
        torch.manual_seed(number)
        loss(embeddings, labels, None).objective.backward()
        assert embeddings.grad is not None
        assert embeddings.grad.isfinite().all()
        with torch.no_grad():
            for weight in loss.parameters():
                assert weight.grad is None or weight.grad.isfinite().all()


@pytest.mark.medium
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_narrow_embeddings_count_as_float32(name: str, dtype: torch.dtype) -> None:
    embeddings, labels = batch()
    narrow = embeddings.detach().to(dtype).requires_grad_()
    wide = narrow.detach().float().requires_grad_()
    torch.manual_seed(0)
    loss = ours(name).float()
    again = copy.deepcopy(loss)
    values = []
    for module, side in ((loss, narrow), (again, wide)):
        torch.manual_seed(5)
        value = module(side, labels, None).objective
        value.backward()
        values.append(value.item())
    assert values[0] == values[1]
    assert narrow.grad is not None
    assert wide.grad is not None
    assert torch.equal(narrow.grad, wide.grad.to(dtype))


def test_histogram_counts_equal_embeddings_as_its_limit_does() -> None:
    """Its density is continuous: a similarity of 1 weighs as one that nears it."""
    embeddings, labels = batch()
    copies = embeddings.detach().clone()
    copies[1], copies[9] = copies[0], copies[8]
    near = copies.clone()
    near[1] = near[1] + 2e-3 * torch.randn(DIMENSIONS, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    near[9] = near[9] + 2e-3 * torch.randn(DIMENSIONS, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = ours("histogram")(copies, labels, None).objective.item()
    assert found == pytest.approx(losses.HistogramLoss()(near, labels).item(), rel=1e-3)
    opposite = embeddings.detach().clone()
    opposite[4] = -opposite[0]
    assert np.isfinite(ours("histogram")(opposite, labels, None).objective.item())
    with pytest.raises(ComponentError, match="takes similarities from -1 to 1"):
        ours("histogram", distance={"name": "euclidean"})(10 * embeddings, labels, None)


def test_dynamic_soft_margin_s_later_batches_are_theirs_with_a_histogram_of_numbers() -> None:
    """Theirs dies at its second backward pass; with its histogram detached by hand the values are equal."""
    loss, reference = ours("dynamic-soft-margin"), theirs("dynamic-soft-margin")
    for number in range(3):
        embeddings, labels = batch(seed=number)
        found = torch.autograd.grad(loss(embeddings, labels, None).objective, embeddings)[0]
        expected = torch.autograd.grad(reference(embeddings, labels), embeddings)[0]
        reference.hist_ = reference.hist_.detach()
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(loss.module.hist_, reference.hist_, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("temperature", [-1.0, 0.0, 2.0])
def test_ranked_list_takes_temperatures_of_either_sign(temperature: float) -> None:
    embeddings, labels = batch()
    options = {"margin": 0.8, "Tn": temperature, "Tp": -temperature}
    assert_same("ranked-list", ours("ranked-list", **options), losses.RankedListLoss(**options), embeddings, labels)


def test_multiple_losses_have_a_miner_each() -> None:
    embeddings, labels = batch()
    tables = [{"name": "pml/triplet-margin", "type_of_triplets": "easy", "margin": 0.1}, {"name": "pml/batch-hard"}]
    loss = ours("multiple", losses=[{"name": "pml/contrastive"}, {"name": "pml/triplet-margin"}], miners=tables)
    reference = losses.MultipleLosses(
        [losses.ContrastiveLoss(), losses.TripletMarginLoss()],
        [miners.TripletMarginMiner(margin=0.1, type_of_triplets="easy"), miners.BatchHardMiner()],
        [1.0, 0.5],
    )
    assert assert_same("multiple", loss, reference, embeddings, labels) != 0
    assert not loss.takes_tuples
    with pytest.raises(ComponentError, match="1 miners for 2 losses"):
        ours("multiple", miners=[{"name": "pml/batch-hard"}])


STATEFUL: dict[str, dict[str, Any]] = {
    "cross-batch-memory": {},
    "dynamic-soft-margin": {},
    "margin": {"learn_beta": True, "nu": 0.1},
    **{name: {} for name in ("proxy-anchor", "proxy-nca", "soft-triple", "arcface", "normalized-softmax", "multiple")},
}


def trained(loss: PmlLoss, numbers: range) -> list[tuple[float, list[list[float]]]]:
    """The objectives of some batches and the gradients, the loss's own weights moved after each."""
    found = []
    for number in numbers:
        embeddings, labels = batch(seed=number)
        embeddings = embeddings.detach().float().requires_grad_()
        torch.manual_seed(number)
        objective = loss(embeddings, labels, None).objective
        weights = list(loss.parameters())
        gradient, *others = torch.autograd.grad(objective, [embeddings, *weights])
        with torch.no_grad():
            for weight, slope in zip(weights, others, strict=True):
                weight -= 0.1 * slope
        found.append((objective.item(), gradient.tolist()))
    return found


@pytest.mark.medium
@pytest.mark.parametrize("name", STATEFUL)
def test_a_saved_and_loaded_loss_goes_on_exactly(name: str, tmp_path: Path) -> None:
    """Bit for bit, through a file that is loaded with weights_only."""
    torch.manual_seed(0)
    loss = ours(name, **STATEFUL[name])
    before = copy.deepcopy(loss)
    whole = trained(loss, range(6))
    torch.save(before.state_dict(), tmp_path / "start.pt")
    first = trained(before, range(3))
    torch.save(before.state_dict(), tmp_path / "half.pt")
    torch.manual_seed(99)
    fresh = ours(name, **STATEFUL[name])
    fresh.load_state_dict(torch.load(tmp_path / "half.pt", weights_only=True))
    assert first + trained(fresh, range(3, 6)) == whole
    other = ours(name, **STATEFUL[name])
    other.load_state_dict(torch.load(tmp_path / "start.pt", weights_only=True))
    assert trained(other, range(3, 6)) != whole[3:], "the state of three batches makes a difference"


def frozen(state: dict[str, Any]) -> dict[str, Any]:
    """A state as plain values, to compare."""
    return {
        key: frozen(value) if isinstance(value, dict) else value.tolist() if isinstance(value, Tensor) else value
        for key, value in state.items()
    }


@pytest.mark.parametrize("name", NAMES)
def test_in_eval_mode_nothing_in_it_changes(name: str) -> None:
    loss = ours(name)
    fresh = frozen(loss.state_dict())
    loss.eval()(*batch(seed=1), None)
    assert frozen(loss.train().state_dict()) == fresh
    trained_on, labels = batch(seed=1)
    loss(trained_on, labels, None)
    loss.eval()
    before = frozen(loss.state_dict())
    for seed in (2, 3):
        assert torch.isfinite(loss(*batch(seed=seed), None).objective)
    assert frozen(loss.state_dict()) == before
    loss.train()
    changes = {"cross-batch-memory", "dynamic-soft-margin"}
    loss(*batch(seed=4), None)
    assert frozen(loss.state_dict()) != before or name not in changes


def test_in_eval_mode_a_memory_inside_another_loss_stays_as_it_is() -> None:
    memory = {"name": "pml/cross-batch-memory", "memory_size": 40, "loss": {"name": "pml/contrastive"}}
    loss = ours("multiple", losses=[memory], weights=None)
    loss(*batch(seed=1), None)
    before = frozen(loss.eval().state_dict())
    loss(*batch(seed=2), None)
    assert frozen(loss.state_dict()) == before
    loss.train()(*batch(seed=2), None)
    assert frozen(loss.state_dict()) != before


def test_in_eval_mode_a_memory_is_left_out() -> None:
    loss = ours("cross-batch-memory")
    loss(*batch(seed=1), None)
    embeddings, labels = batch(seed=2)
    with_memory = copy.deepcopy(loss)(embeddings, labels, None).objective
    found = loss.eval()(embeddings, labels, None).objective
    assert found.item() == pytest.approx(losses.ContrastiveLoss()(embeddings, labels).item(), rel=1e-12)
    assert found.item() != pytest.approx(with_memory.item(), rel=1e-3)


def test_the_active_share_is_that_of_the_terms_above_zero() -> None:
    embeddings, labels = batch()
    triplets = miners.TripletMarginMiner(margin=100.0)(embeddings, labels)
    unit = nn.functional.normalize(embeddings.detach())
    above = [
        float((unit[a] - unit[p]).norm() - (unit[a] - unit[n]).norm() + 0.05) > 0
        for a, p, n in zip(*triplets, strict=True)
    ]
    assert 0 < sum(above) < len(above)
    for loss in (ours("triplet-margin"), ours("triplet-margin", embedding_regularizer={"name": "pml/lp"})):
        for _ in range(2):
            value = loss(embeddings, labels, Triplets(*triplets))
            assert value.active.item() == pytest.approx(sum(above) / len(above))
            assert not value.mean.requires_grad
            assert value.mean.item() == value.objective.item()
        copied = copy.deepcopy(loss)(embeddings, labels, Triplets(*triplets))
        assert copied.active.item() == value.active.item()
    assert ours("supcon")(embeddings, labels, None).active == 1, "a loss of each anchor has terms"
    assert torch.isnan(ours("p2s-grad")(embeddings, labels, None).active), "it reduces its terms itself"


def test_a_loss_inside_another_keeps_no_terms() -> None:
    """Its own adapter is not called, so what it kept would never be let go."""
    inner = ours("contrastive")
    outer = LOSSES.build("pml/multiple", {"losses": [{"name": "pml/contrastive"}]})
    assert outer(*batch(), None).active > 0
    outer_of_inner = PmlLoss(losses.MultipleLosses([inner.module]), outer.known)
    outer_of_inner(*batch(), None)
    assert inner._shares is None


NEEDS_PAIRS = {"histogram", "pnp", "ranked-list", "smooth-ap"}
"""Theirs fail on a batch without a positive pair."""


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_that_makes_no_pair_is_zero_and_has_a_gradient(name: str) -> None:
    """A loss of classes has a value all the same."""
    embeddings, _ = batch(photos=4)
    loss = ours(name)
    try:
        objective = loss(embeddings, torch.arange(4), None).objective
    except Exception as error:
        assert name in NEEDS_PAIRS, error
        return
    (gradient,) = torch.autograd.grad(objective, embeddings)
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("seed", range(5))
def test_two_views_are_each_individual_s_first_two_photos(seed: int) -> None:
    labels = np.random.default_rng(seed).integers(5, size=11)
    expected = []
    for photo in range(11):
        own = [other for other in range(11) if labels[other] == labels[photo]]
        if own[0] == photo and len(own) > 1:
            expected.append((photo, own[1]))
    first, second = two_views(torch.from_numpy(labels))
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == expected


def test_what_it_holds_for_classes_is_told() -> None:
    assert (ours("proxy-anchor").by_class, ours("proxy-anchor").takes_tuples) == (True, False)
    assert (ours("triplet-margin").by_class, ours("triplet-margin").takes_tuples) == (False, True)
    assert (ours("multiple").by_class, ours("multiple").takes_tuples) == (True, False)
    assert not LOSSES.build("pml/multiple", {"losses": [{"name": "pml/nca"}]}).by_class


@pytest.mark.parametrize(
    ("options", "make"),
    [
        ({"beta_per_class": True}, lambda: losses.MarginLoss(num_classes=CLASSES)),
        ({"beta_per_class": False}, lambda: losses.MarginLoss()),
        ({"triplets_per_anchor": 2}, lambda: losses.MarginLoss(triplets_per_anchor=2)),
        ({"learn_beta": True, "nu": 0.5}, lambda: losses.MarginLoss(learn_beta=True, nu=0.5)),
    ],
)
def test_margin_has_a_beta_for_each_class_on_request(options: dict[str, Any], make: Callable[[], nn.Module]) -> None:
    embeddings, labels = batch()
    loss, reference = ours("margin", **options), make()
    assert loss.module.beta.shape == reference.beta.shape
    assert_same("margin", loss, reference, embeddings, labels)


@pytest.mark.parametrize(
    "how", ["normal", "uniform", "xavier-normal", "xavier-uniform", "kaiming-normal", "kaiming-uniform"]
)
def test_weights_are_drawn_as_is_asked(how: str) -> None:
    torch.manual_seed(3)
    loss = ours("arcface", weight_init_func=how)
    torch.manual_seed(3)
    init = common_functions.TorchInitWrapper(getattr(nn.init, f"{how.replace('-', '_')}_"))
    expected = losses.ArcFaceLoss(num_classes=CLASSES, embedding_size=DIMENSIONS, weight_init_func=init)
    assert torch.equal(loss.module.W, expected.W)
