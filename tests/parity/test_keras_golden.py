"""The network, its loss and its optimizer against Keras's, with the same weights: `tests/golden/` holds the results."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from siamesekit.components.distances.squared_euclidean import SquaredEuclidean
from siamesekit.components.losses.triplet import TripletLoss
from siamesekit.components.optimizers.keras_adam import KerasAdam
from siamesekit.components.samplers.batch import batch_of
from siamesekit.components.tuples import Triplets
from siamesekit.engine.frozen.prefix import store
from siamesekit.hardware.compute import choose_compute
from siamesekit.model import Architecture, Encoder, SiameseNetwork, build

GOLDEN = Path(__file__).parent.parent / "golden"
sys.path.insert(0, str(GOLDEN))
import drawing  # noqa: E402


@pytest.fixture(scope="module")
def golden() -> Iterator[np.lib.npyio.NpzFile]:
    with np.load(GOLDEN / "keras_xception.npz") as file:
        yield file


@pytest.fixture
def encoder() -> Encoder:
    """The recipe's encoder with the drawn weights."""
    made = build(Architecture("xception", {}, {"layers": [512, 256]}, "inference"))
    state = made.state_dict()
    drawn = {
        name: value if name.endswith("num_batches_tracked") else torch.from_numpy(drawing.weight(name, value.shape))
        for name, value in state.items()
    }
    made.load_state_dict(drawn)
    made.backbone.freeze_before("block11")
    return made.train()


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.from_numpy(drawing.images()).permute(0, 3, 1, 2)


def relative(ours: Tensor, theirs: np.ndarray) -> float:
    return float(np.linalg.norm(ours.detach().numpy() - theirs) / np.linalg.norm(theirs))


@pytest.mark.medium
def test_features_of_the_whole_xception(encoder: Encoder, images: Tensor, golden: np.lib.npyio.NpzFile) -> None:
    features = encoder.backbone(images[:4])
    for ours, theirs in zip(features, golden["features"], strict=True):
        assert relative(ours, theirs) < 1e-5


def test_parameter_counts(encoder: Encoder, golden: np.lib.npyio.NpzFile) -> None:
    trainable = sum(parameter.numel() for parameter in encoder.trainable())
    counted = [value for name, value in encoder.state_dict().items() if not name.endswith("num_batches_tracked")]
    assert trainable == golden["trainable"] == 9_583_800
    assert sum(value.numel() for value in counted) == golden["parameters"] == 22_043_944


@pytest.mark.slow
def test_cached_prefix_and_distinct_images_give_the_gradients_of_three_images(encoder: Encoder, images: Tensor) -> None:
    """To 1e-5 in float32. Rounding alone takes some of a million ReLUs across their kink, where gradients jump by 1e-4
    of their size; so it is the median of many small batches, in each of which every image stands twice.
    """
    distance = SquaredEuclidean()
    loss = TripletLoss(margin=1.0, reduction="sum", distance=distance)
    precision = choose_compute("cpu", "fp32")
    stored = store(encoder, images, precision)
    network = SiameseNetwork(encoder, distance).train()
    apart = []
    for anchor, positive, negative in drawing.batches()[:3].reshape(-1, 3).tolist():
        triplets = Triplets(*torch.tensor([[anchor, positive], [positive, anchor], [negative, negative]]))
        d_ap, d_an = network(*(images[index] for index in triplets))
        plain = (d_ap - d_an + 1.0).clamp_min(0).sum()
        batch = batch_of(triplets)
        assert len(batch.images) == 3
        embeddings = stored.embeddings(batch.images, precision)
        ours = loss(embeddings, [0] * 3, batch.triplets).objective
        assert ours.item() == pytest.approx(plain.item(), rel=1e-5)
        both = zip(*(torch.autograd.grad(each, encoder.trainable()) for each in (ours, plain)), strict=True)
        apart.append([relative(a, b.numpy()) for a, b in both])
    assert np.median(apart, axis=0).max() < 1e-5


@pytest.mark.parametrize(
    ("how", "steps"),
    [
        pytest.param("three images", 8, marks=pytest.mark.slow),
        pytest.param("three images", drawing.STEPS, marks=pytest.mark.huge),
        pytest.param("cached prefix, distinct images", drawing.STEPS, marks=pytest.mark.slow),
    ],
)
def test_training_steps(encoder: Encoder, images: Tensor, golden: np.lib.npyio.NpzFile, how: str, steps: int) -> None:
    distance = SquaredEuclidean()
    loss = TripletLoss(margin=1.0, reduction="sum", distance=distance)
    optimizer = KerasAdam(encoder.trainable(), lr=1e-3, epsilon=0.1)
    precision = choose_compute("cpu", "fp32")
    stored = store(encoder, images, precision)
    assert stored.cached
    network = SiameseNetwork(encoder, distance).train()
    plan = torch.from_numpy(drawing.batches())
    losses = []
    for step in range(steps):
        triplets = Triplets(*plan[step % len(plan)].T)
        if how == "three images":
            d_ap, d_an = network(*(images[index] for index in triplets))
            elements = (d_ap - d_an + 1.0).clamp_min(0)
            objective, mean = elements.sum(), elements.mean()
        else:
            batch = batch_of(triplets)
            embeddings = stored.embeddings(batch.images, precision)
            objective, mean, _ = loss(embeddings, [0] * len(batch.images), batch.triplets)
        losses.append(mean.item())
        optimizer.zero_grad()
        objective.backward()
        optimizer.step()
    assert np.ptp(golden["losses"]) > 0.1, "the golden steps must learn, or they would show nothing"
    np.testing.assert_allclose(losses, golden["losses"][:steps], rtol=1e-4)
    if steps == drawing.STEPS:
        assert relative(encoder(images[:4]), golden["final_embeddings"]) < 1e-4
