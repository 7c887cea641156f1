"""Every component of every registry is built with its defaults and really run.

A new component is found by itself; a new kind needs a runner here, and fails until it has one.
"""

import tempfile
from collections import Counter
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from siamesekit.data.images import read_pixels
from siamesekit.randomness import Streams
from siamesekit.registry import REGISTRIES, Component, registry_of
from siamesekit.triplets import Triplets

FAMILY_MEMBERS = {"timm/*": "timm/test_resnet"}
"""A small model to stand for each family."""
LABELS = np.repeat(np.arange(4), 3)
TRIPLETS = Triplets(*torch.tensor([(a, a + 1, (a + 3) % 12) for a in (0, 1, 3, 4, 6, 7, 9, 10)]).T)
SHIPPED = [
    component
    for registry in REGISTRIES
    for component in registry.components()
    if component.origin.startswith("siamesekit.")
]


def build(component: Component, options: dict[str, object] | None = None, **runtime: object) -> object:
    name = FAMILY_MEMBERS.get(component.name, component.name)
    return registry_of(component.kind).build(name, options or {}, **runtime)


def every_triplet(labels: np.ndarray) -> Triplets:
    """All triplets of photos of these individuals, by a plain loop."""
    every = range(len(labels))
    rows = [
        (a, p, n)
        for a in every for p in every for n in every
        if a != p and labels[a] == labels[p] != labels[n]
    ]  # fmt: skip
    return Triplets(*torch.tensor(rows, dtype=torch.int64).reshape(-1, 3).T)


def run_distance(component: Component) -> None:
    """Not negative, zero to itself, symmetric, and apart where rows are."""
    distance = build(component)
    a, b = torch.randn(50, 8), torch.randn(50, 8)
    apart = distance(a, b)
    assert apart.shape == (50,)
    assert apart.min() > 0
    assert distance(a, a).min() >= 0
    np.testing.assert_allclose(distance(a, a), 0, atol=1e-6)
    np.testing.assert_allclose(apart, distance(b, a), rtol=1e-6)
    np.testing.assert_allclose(distance(a[:, None], b[None])[range(50), range(50)], apart, rtol=1e-4, atol=1e-6)


def run_loss(component: Component) -> None:
    """A step against its gradient, which is finite and not zero, lowers it; with triplets and without."""
    for triplets in (TRIPLETS, None):
        run_loss_on(component, triplets)


def run_loss_on(component: Component, triplets: Triplets | None) -> None:
    euclidean = registry_of("distance").build("euclidean")
    loss = build(component, distance=euclidean, embedding_dim=8, num_classes=4)
    embeddings = nn.Parameter(torch.randn(12, 8, dtype=torch.float64) * 0.1)
    labels = torch.from_numpy(LABELS)
    before = loss(embeddings, labels, triplets)
    before.objective.backward()
    assert torch.isfinite(before.mean)
    assert before.mean > 0
    assert 0 < before.active <= 1
    assert torch.isfinite(embeddings.grad).all()
    assert embeddings.grad.abs().max() > 0
    after = loss(embeddings.detach() - 1e-4 * embeddings.grad, labels, triplets)
    assert after.objective < before.objective


def run_sampler(component: Component) -> None:
    """An epoch has as many batches as are told, valid triplets (all there are, where it names none), and every photo
    and every positive pair.
    """
    sampler = build(component, labels=LABELS, batch_size=5, seed=0)
    batches = list(sampler.epoch(1))
    assert len(batches) == len(sampler)
    seen: Counter[tuple[int, int]] = Counter()
    for images, triplets in batches:
        assert len(set(images.tolist())) == len(images)
        if triplets is None:
            triplets = every_triplet(LABELS[images])
        anchor, positive, negative = (images[index].numpy() for index in triplets)
        assert (LABELS[anchor] == LABELS[positive]).all()
        assert (LABELS[anchor] != LABELS[negative]).all()
        seen.update((min(a, p), max(a, p)) for a, p in zip(anchor.tolist(), positive.tolist(), strict=True))
    assert set(seen) == {(i, j) for i, j in combinations(range(12), 2) if LABELS[i] == LABELS[j]}
    again = list(sampler.epoch(1))
    assert all(torch.equal(one.images, two.images) for one, two in zip(batches, again, strict=True))


def run_miner(component: Component) -> None:
    """Some of the valid triplets, none of them twice, the same every time; none where there is none."""
    euclidean = registry_of("distance").build("euclidean")
    miner = build(component, distance=euclidean, seed=0)
    embeddings, labels = torch.randn(12, 8), torch.from_numpy(LABELS)
    mined = [tuple(row) for row in torch.stack(miner(embeddings, labels), 1).tolist()]
    assert len(set(mined)) == len(mined) > 0
    assert set(mined) <= {tuple(row) for row in torch.stack(every_triplet(LABELS), 1).tolist()}
    assert mined == [tuple(row) for row in torch.stack(miner(embeddings, labels), 1).tolist()]
    for nothing in (torch.arange(12), torch.zeros(12, dtype=torch.int64)):
        assert [index.tolist() for index in miner(embeddings, nothing)] == [[], [], []]


def run_reader(component: Component) -> None:
    """Distinct names in a stable order, and photos that can be read."""
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        for individual in ("ann", "bob"):
            (root / individual).mkdir()
            for photo in range(3):
                Image.new("RGB", (12, 8), (photo * 50, 100, 200)).save(root / individual / f"{photo}.png")
        required = {option.name: str(root) for option in component.options if option.required}
        records = build(component, required, seed=0)
        names = [record.name for record in records]
        assert len(set(names)) == len(names) >= 4
        assert names == [record.name for record in build(component, required, seed=0)]
        assert max(Counter(record.individual for record in records).values()) >= 2
        assert len({record.individual for record in records}) >= 2
        for record in records[:3]:
            assert read_pixels(record).dtype == np.uint8


def run_encoder(component: Component) -> None:
    """Features of the width it tells, one row per image, that differ between images and reach every weight."""
    torch.manual_seed(0)
    backbone = build(component, pretrained=False).eval()
    images = torch.randint(0, 256, (2, 3, 71, 71), dtype=torch.uint8)
    images[1, :, :, :36] = 0
    features = backbone(images)
    assert features.shape == (2, backbone.num_features)
    assert torch.isfinite(features).all()
    assert (features[0] - features[1]).abs().max() > 1e-6
    np.testing.assert_allclose(backbone(images[:1])[0].detach(), features[0].detach(), rtol=1e-3, atol=1e-5)
    features.sum().backward()
    assert all(parameter.grad is not None for parameter in backbone.parameters())
    trainable = []
    for block in ["", *backbone.blocks(), "head"]:
        backbone.freeze_before(block)
        trainable.append(sum(parameter.requires_grad for parameter in backbone.parameters()))
    assert trainable == sorted(trainable, reverse=True)
    assert (trainable[0], trainable[-1]) == (len(list(backbone.parameters())), 0)


def run_optimizer(component: Component) -> None:
    """Steps lower a convex loss."""
    parameter = nn.Parameter(torch.tensor([3.0, -2.0]))
    optimizer = build(component, params=[parameter])
    losses = []
    for _ in range(50):
        optimizer.zero_grad()
        loss = (parameter**2).sum()
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0] - 0.1


def run_augmentation(component: Component) -> None:
    """Views of the photos' shape and type, that differ between streams and are the same for the same stream."""
    augmentation = build(component)
    images = torch.randint(0, 256, (1, 3, 16, 16), dtype=torch.uint8).expand(20, 3, 16, 16)
    views = augmentation(images, Streams.of(0, np.arange(20)))
    assert (views.shape, views.dtype) == (images.shape, torch.uint8)
    assert len({view.numpy().tobytes() for view in views}) > 1
    assert torch.equal(augmentation(images[:5], Streams.of(0, np.arange(5))), views[:5])


RUNNERS: dict[str, Callable[[Component], None]] = {
    "distance": run_distance,
    "loss": run_loss,
    "miner": run_miner,
    "sampler": run_sampler,
    "reader": run_reader,
    "encoder": run_encoder,
    "augmentation": run_augmentation,
    "optimizer": run_optimizer,
}


@pytest.mark.parametrize("component", SHIPPED, ids=lambda component: f"{component.kind}-{component.name}")
def test_component_runs(component: Component) -> None:
    assert component.kind in RUNNERS, f"write a runner for components of kind {component.kind!r}"
    torch.manual_seed(0)
    RUNNERS[component.kind](component)


def test_every_registry_has_components_here() -> None:
    assert {component.kind for component in SHIPPED} == {registry.kind for registry in REGISTRIES}
