"""Every component of every registry is built with its defaults and really run, and goes through a config file.

A new component is found by itself; a new kind needs a runner here, and fails until it has one.
"""

import inspect
import json
import pickle
import re
import tempfile
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import openpyxl
import pyarrow
import pyarrow.parquet
import pytest
import torch
from PIL import Image
from torch import nn

import siamesekit
from helpers import rows_of
from made_stores import require
from oracles import every_triplet, positive_pairs, triplets_of
from patterns import turned, view
from siamesekit.components.samplers.batch import Batch, Sampler
from siamesekit.components.samplers.shuffled import ShuffledSampler
from siamesekit.components.trackers.accepted import METHODS
from siamesekit.components.tuples import Pairs, Triplets, Tuples
from siamesekit.config import TABLES, Config, dump_toml, load_config
from siamesekit.data.images import read_pixels
from siamesekit.errors import ComponentError, ConfigError, DataError, MissingWeightsError
from siamesekit.randomness import Streams
from siamesekit.registry import REGISTRIES, Component, registry_of
from siamesekit.registry.problems import is_json
from siamesekit.registry.signatures import Parameter

FAMILY_MEMBERS = {"timm/*": "timm/test_resnet", "torchvision/*": "torchvision/shufflenet_v2_x0_5"}
"""A small model to stand for each family."""
LABELS = np.repeat(np.arange(4), 3)
TRIPLETS = Triplets(*torch.tensor([(a, a + 1, (a + 3) % 12) for a in (0, 1, 3, 4, 6, 7, 9, 10)]).T)
PAIRS = Pairs(TRIPLETS.anchor, TRIPLETS.positive, TRIPLETS.anchor, TRIPLETS.negative)
NO_METRICS = {"dot"}
"""Distances that may be below 0, and are not 0 of a point from itself."""
INNER: dict[str, dict[str, object]] = {"cross-batch-memory": {"loss": {"name": "contrastive"}}}
"""Options without which a component cannot be."""
NEEDED: dict[str, dict[str, object]] = {
    "several": {"trackers": [{"name": "tensorboard"}]},
    "torch/cosine-annealing-warm-restarts": {"T_0": 3},
    "torch/cyclic": {"base_lr": 0.001, "max_lr": 0.01},
    "torch/exponential": {"gamma": 0.9},
    "torch/multi-step": {"milestones": [2, 5]},
    "torch/one-cycle": {"max_lr": 0.01},
    "torch/step": {"step_size": 3},
    "pml/cross-batch-memory": {"loss": {"name": "pml/contrastive"}, "memory_size": 64},
    "pml/multiple": {"losses": [{"name": "pml/contrastive"}, {"name": "pml/proxy-anchor"}]},
    "pml/ranked-list": {"margin": 0.8, "Tn": 10.0},
    "pml/self-supervised": {"loss": {"name": "pml/nt-xent"}},
    "pml/class-weighted": {"weights": [1.0, 2.0, 0.5, 1.0]},
    "pml/threshold": {"low": 0.01},
    "pml/sparse-centers": {"centers_per_class": 2},
    "pml/fixed-set-of-triplets": {"num_triplets": 11},
    "pml/hierarchical": {"samples_per_class": 3},
    "pml/m-per-class": {"m": 3},
    "lightglue/aliked": {"weights": "gone.pth"},
    "lightglue/disk": {"weights": "gone.pth"},
    "sum": {"terms": [{"name": "contrastive"}, {"name": "triplet", "weight": 0.5}]},
    "sequence": {"steps": [{"name": "flip"}, {"name": "crop", "smallest": 0.8}]},
    "torchvision/color-jitter": {"brightness": 0.5},
    "torchvision/gaussian-blur": {"kernel_size": 3},
    "torchvision/jpeg": {"quality": [5, 60]},
    "torchvision/random-adjust-sharpness": {"sharpness_factor": 3.0},
    "torchvision/random-affine": {"degrees": 30.0},
    "torchvision/random-crop": {"padding": 4},
    "torchvision/random-grayscale": {"p": 0.5},
    "torchvision/random-posterize": {"bits": 2},
    "torchvision/random-rotation": {"degrees": 30.0},
    "torchvision/random-solarize": {"threshold": 100.0},
}
"""Options that a component requires, or without which it does nothing."""
SHIPPED = [
    member
    for registry in REGISTRIES
    for component in registry.components()
    if component.origin.startswith("siamesekit.")
    for member in (map(component.member, component.members()) if component.members_from else [component])
]
"""All components, and all members of families whose members have options of their own."""
CONFIGURED = [component for component in SHIPPED if component.kind != "store"]
"""Those that a run's config can name; a store is open once it is built, and `stores/` tests its options."""


def build(component: Component, options: dict[str, object] | None = None, **runtime: object) -> object:
    name = FAMILY_MEMBERS.get(component.name, component.name)
    return registry_of(component.kind).build(name, options or NEEDED.get(component.name) or {}, **runtime)


def run_distance(component: Component) -> None:
    """Symmetric, smaller where one comes nearer, and, but for `NO_METRICS`, above 0 but to itself, where it is 0."""
    distance = build(component)
    a, b = torch.randn(50, 8), torch.randn(50, 8)
    apart = distance(a, b)
    assert apart.shape == (50,)
    if component.name in NO_METRICS:
        assert apart.min() < 0
    else:
        assert apart.min() > 0
        assert distance(a, a).min() >= 0
        np.testing.assert_allclose(distance(a, a), 0, atol=1e-6)
    unit_a, unit_b = nn.functional.normalize(a), nn.functional.normalize(b)
    assert (distance(unit_a, (unit_a + unit_b) / 2) < distance(unit_a, unit_b)).all()
    np.testing.assert_allclose(apart, distance(b, a), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(distance(a[:, None], b[None])[range(50), range(50)], apart, rtol=1e-4, atol=1e-6)


def run_loss(component: Component) -> None:
    """A step against its gradient, which is finite and not zero, lowers it; with triplets, with pairs, and without."""
    for tuples in (TRIPLETS, PAIRS, None):
        run_loss_on(component, tuples)


def run_loss_on(component: Component, tuples: Tuples | None) -> None:
    euclidean = registry_of("distance").build("euclidean")
    loss = build(component, INNER.get(component.name), distance=euclidean, embedding_dim=8, num_classes=4)
    as_new = deepcopy(loss)
    embeddings = nn.Parameter(torch.randn(12, 8, dtype=torch.float64) * 0.1)
    labels = torch.from_numpy(LABELS)
    before = loss(embeddings, labels, tuples)
    assert before.objective.dtype == torch.float64
    before.objective.backward()
    assert torch.isfinite(before.mean)
    assert before.mean > 0
    assert 0 < before.active <= 1
    assert not before.mean.requires_grad
    assert torch.isfinite(embeddings.grad).all()
    assert embeddings.grad.abs().max() > 0
    after = as_new(embeddings.detach() - 1e-4 * embeddings.grad, labels, tuples)
    assert after.objective < before.objective
    run_three_batches(deepcopy(as_new), labels, tuples)
    if isinstance(loss, nn.Module):
        run_module(component, loss, embeddings.detach(), labels, tuples)


def run_three_batches(loss: Any, labels: torch.Tensor, tuples: Tuples | None) -> None:
    """Forward and backward through one object, in bfloat16, in float32, and with copies of photos."""
    for number, dtype in enumerate((torch.bfloat16, torch.float32, torch.float32)):
        values = torch.randn(len(labels), 8).to(dtype)
        if number == 2:
            values[1], values[-1] = values[0], -values[0]
        values.requires_grad_()
        objective = loss(values, labels, tuples).objective
        objective.backward()
        assert torch.isfinite(objective)
        assert values.grad is not None
        assert torch.isfinite(values.grad).all()


def run_module(
    component: Component, loss: nn.Module, embeddings: torch.Tensor, labels: torch.Tensor, tuples: Tuples | None
) -> None:
    """Its parameters have gradients, in `eval()` mode it stays as it is, and its state is all that it remembers."""
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in loss.parameters())
    kept = deepcopy(loss.state_dict())
    loss.eval()(embeddings * 2, labels, tuples)
    assert all(torch.equal(value, kept[name]) for name, value in loss.state_dict().items())
    other = build(
        component,
        INNER.get(component.name),
        distance=registry_of("distance").build("euclidean"),
        embedding_dim=8,
        num_classes=4,
    )
    other.load_state_dict(kept)
    found = [each.train()(embeddings.flip(0), labels, tuples).objective for each in (loss, other)]
    assert torch.equal(*found)


def run_sampler(component: Component) -> None:
    """An epoch has as many batches as are told, valid triplets (all there are, where it names none), and every photo
    and every positive pair, also after it was given embeddings, where it wants some, and from its state.
    """
    runtime = {"labels": LABELS, "groups": LABELS // 2, "batch_size": 5, "seed": 0}
    runtime["distance"] = registry_of("distance").build("euclidean")
    sampler = build(component, **runtime)
    batches = epoch_of(sampler, 1)
    if hasattr(sampler, "mine"):
        embeddings, asked = torch.randn(12, 8), []
        for epoch in range(1, 6):
            sampler.mine(epoch, lambda: asked.append(None) or embeddings)
            batches = epoch_of(sampler, epoch)
        assert asked
        resumed = build(component, **runtime)
        resumed.load_state_dict(sampler.state_dict())
        again = epoch_of(resumed, 5)
    else:
        again = epoch_of(build(component, **runtime), 1)
    for one, two in zip(batches, again, strict=True):
        assert torch.equal(one.images, two.images)
        assert one.triplets is two.triplets or all(map(torch.equal, one.triplets, two.triplets))


def epoch_of(sampler: Sampler, epoch: int) -> list[Batch]:
    """The batches of an epoch, found right."""
    batches = list(sampler.epoch(epoch))
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
    assert set(seen) == set(positive_pairs(LABELS)) or isinstance(sampler, ShuffledSampler)
    assert {photo for batch in batches for photo in batch.images.tolist()} == set(range(len(LABELS)))
    return batches


def run_miner(component: Component) -> None:
    """Some of the valid triplets or pairs, none of them twice, the same from the same random numbers; none where there
    is none.
    """
    euclidean = registry_of("distance").build("euclidean")
    miner = build(component, distance=euclidean, seed=0)
    embeddings, labels = torch.randn(12, 8), torch.from_numpy(LABELS)
    valid = set(triplets_of(LABELS))
    found = []
    for _ in range(2):
        torch.manual_seed(0)
        tuples = miner(embeddings, labels)
        found.append([index.tolist() for index in tuples])
        kinds = [tuples] if isinstance(tuples, Triplets) else [tuples[:2], tuples[2:]]
        for kind, places in zip(kinds, [(0, 1, 2)] if len(kinds) == 1 else [(0, 1), (0, 2)], strict=True):
            rows = rows_of(kind)
            assert len(set(rows)) == len(rows) > 0
            assert set(rows) <= {tuple(row[place] for place in places) for row in valid}
    assert found[0] == found[1]
    for nothing in (torch.arange(12), torch.zeros(12, dtype=torch.int64)):
        tuples = miner(embeddings, nothing)
        assert len(tuples[-1] if isinstance(tuples, Triplets) or len(nothing.unique()) == 1 else tuples[1]) == 0


def csv_of(file: Path, header: str, rows: Iterable[str]) -> None:
    file.write_text("\n".join([header, *rows]))


def layout_of(reader: str, root: Path) -> dict[str, str]:
    """Six photos of two individuals in the layout of a reader, and the reader's required options."""
    below = {"kaggle-whales": "train", "happywhale": "train_images", "noaa-right-whale": "imgs"}.get(reader, "")
    photos = [(f"{individual}/{photo}.png", individual) for individual in ("ann", "bob") for photo in range(3)]
    for photo, _ in photos:
        (root / below / photo).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (12, 8), (int(photo[-5]) * 50, 100, 200)).save(root / below / photo)
    plain = [f"{photo},{individual}" for photo, individual in photos]
    table = root / "photos.csv"
    csv_of(table, "photo,individual", plain)
    if reader == "parquet":
        columns = list(zip(*photos, strict=True))
        pyarrow.parquet.write_table(pyarrow.table({"photo": columns[0], "individual": columns[1]}), root / "p.parquet")
        return {"file": str(root / "p.parquet")}
    if reader == "excel":
        book = openpyxl.Workbook()
        for row in [("photo", "individual"), *photos]:
            book.active.append(row)
        book.save(root / "photos.xlsx")
        return {"file": str(root / "photos.xlsx")}
    if reader == "kaggle-whales":
        csv_of(root / "train.csv", "Image,Id", plain)
    if reader == "noaa-right-whale":
        csv_of(root / "train.csv", "Image,whaleID", plain)
    if reader == "happywhale":
        rows = [f"{photo},beluga,{individual}" for photo, individual in photos]
        csv_of(root / "train.csv", "image,species,individual_id", rows)
    if reader == "wildlife":
        csv_of(table, "path,identity", plain)
    if reader == "camtrap-dp":
        csv_of(root / "deployments.csv", "deploymentID", ["d"])
        csv_of(root / "media.csv", "mediaID,deploymentID,filePath", [f"m{n},d,{p}" for n, (p, _) in enumerate(photos)])
        rows = [f"o{n},m{n},d,animal,{individual}" for n, (_, individual) in enumerate(photos)]
        csv_of(root / "observations.csv", "observationID,mediaID,deploymentID,observationType,individualID", rows)
    if reader == "wildbook":
        csv_of(table, "Encounter.mediaAsset0,MarkedIndividual.individualID", plain)
    if reader == "coco":
        images = [{"id": n, "file_name": photo, "width": 12, "height": 8} for n, (photo, _) in enumerate(photos)]
        boxes = [
            {"id": n, "image_id": n, "category_id": 1, "bbox": [1, 1, 6, 6], "name": individual}
            for n, (_, individual) in enumerate(photos)
        ]
        content = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "lion"}]}
        (root / "coco.json").write_text(json.dumps(content))
        return {"file": str(root / "coco.json")}
    if reader == "megadetector":
        found = [{"category": "1", "conf": 0.9, "bbox": [0.1, 0.1, 0.5, 0.5]}]
        images = [{"file": photo, "detections": found} for photo, _ in photos]
        content = {"images": images, "detection_categories": {"1": "animal"}}
        (root / "boxes.json").write_text(json.dumps(content))
        return {"file": str(table), "detections": str(root / "boxes.json")}
    return {"root": str(root), "file": str(table)}


def run_reader(component: Component) -> None:
    """Distinct names in a stable order, and photos that can be read."""
    with tempfile.TemporaryDirectory() as temporary:
        places = layout_of(component.name, Path(temporary))
        places = {"root": temporary, **places}
        required = {option.name: places[option.name] for option in component.options if option.required}
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
    features.sum().backward()
    assert all(parameter.grad is not None for parameter in backbone.parameters())
    with torch.no_grad():
        alone, beside = backbone(images[:1])[0], features[0]
        if not torch.allclose(alone, beside, rtol=1e-3, atol=1e-5):
            # a deep network of random weights makes much of the rounding of float32
            backbone.double()
            smaller = images[..., :48, :48]
            alone, beside = backbone(smaller[:1])[0], backbone(smaller)[0]
        np.testing.assert_allclose(alone, beside.detach(), rtol=1e-3, atol=1e-5)
    trainable = []
    for block in ["", *backbone.blocks(), "head"]:
        backbone.freeze_before(block)
        trainable.append(sum(parameter.requires_grad for parameter in backbone.parameters()))
    assert trainable == sorted(trainable, reverse=True)
    assert (trainable[0], trainable[-1]) == (len(list(backbone.parameters())), 0)


def members(component: Component) -> list[Component]:
    """The component; of a family whose members have options of their own, each of those."""
    if component.members_from is None:
        return [component]
    return [component.member(name) for name in component.members()]


def run_optimizer(component: Component) -> None:
    """Each: steps lower a convex loss, each group's at its own learning rate."""
    for member in members(component):
        run_one_optimizer(member)


def run_one_optimizer(component: Component) -> None:
    fast, slow = nn.Parameter(torch.tensor([3.0, -2.0])), nn.Parameter(torch.tensor([3.0, -2.0]))
    optimizer = build(component, params=[{"params": [fast]}, {"params": [slow], "lr": 1e-9}])
    before, losses = slow.detach().clone(), []
    for _ in range(50):
        optimizer.zero_grad()
        loss = (fast**2).sum() + (slow**2).sum()
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
    assert losses[-1] < losses[0] - 0.01
    assert losses[1] < losses[0]
    moved = [(parameter.detach() - before).abs().max().item() for parameter in (slow, fast)]
    assert moved[0] < 0.1 * moved[1], component.name


def run_schedule(component: Component) -> None:
    """Each: finite factors of at least 0, not all 0, the same in whatever order steps are asked; for one step, too."""
    for member in members(component):
        for steps, steps_per_epoch in ((60, 6), (1, 1)):
            run_one_schedule(member, steps, steps_per_epoch)


def run_one_schedule(component: Component, steps: int, steps_per_epoch: int) -> None:
    options = NEEDED.get(component.name, {})

    def made() -> Callable[[int], float]:
        return build(component, options, steps=steps, steps_per_epoch=steps_per_epoch, lr=0.01)

    factors = [made()(step) for step in range(steps)]
    assert all(np.isfinite(factor) and factor >= 0 for factor in factors)
    assert max(factors) > 0
    backwards = made()
    assert [backwards(step) for step in reversed(range(steps))] == factors[::-1]


def run_augmentation(component: Component) -> None:
    """Views of the photos' shape and type, that differ between streams and are the same for the same stream."""
    augmentation = build(component)
    images = torch.randint(0, 256, (1, 3, 16, 16), dtype=torch.uint8).expand(20, 3, 16, 16)
    views = augmentation(images, Streams.of(0, np.arange(20)))
    assert (views.shape, views.dtype) == (images.shape, torch.uint8)
    assert len({view.numpy().tobytes() for view in views}) > 1
    assert torch.equal(augmentation(images[:5], Streams.of(0, np.arange(5))), views[:5])


def run_pml_distance(component: Component) -> None:
    """Zero to itself to its own 1e-6, apart where rows are, and its matrix holds its rows."""
    distance = build(component)
    a, b = torch.randn(50, 8), torch.randn(50, 8)
    assert distance(a, b).min() > 0
    np.testing.assert_allclose(distance(a, a), 0, atol=1e-5)
    np.testing.assert_allclose(distance.pairwise(a, b).diagonal(), distance(a, b), rtol=1e-4, atol=1e-5)


def run_pml_loss(component: Component) -> None:
    """A finite gradient that is not zero, and a step against it that lowers the loss; with tuples where it takes them.

    On four individuals with four photos each; `tests/components/adapted/pml/test_pml_losses.py` has the values.
    """
    labels = torch.arange(4).repeat_interleave(4)
    rows = [(a, a ^ 1, (a + 4) % 16) for a in range(16)]
    triplets = Triplets(*torch.tensor(rows).T)
    loss = build(component, embedding_dim=8, num_classes=4)
    for tuples in (triplets, Pairs(*triplets[:2], triplets.anchor, triplets.negative), None):
        if tuples is not None and not loss.takes_tuples:
            continue
        as_new = deepcopy(loss)
        embeddings = nn.Parameter(torch.randn(16, 8, dtype=torch.float64))
        before = deepcopy(loss)(embeddings, labels, tuples)
        before.objective.backward()
        assert torch.isfinite(before.objective)
        assert before.mean == before.objective
        assert torch.isfinite(embeddings.grad).all()
        assert embeddings.grad.abs().max() > 0
        after = as_new(embeddings.detach() - 1e-5 * embeddings.grad, labels, tuples)
        assert after.objective < before.objective
        run_three_batches(deepcopy(loss), labels, tuples)
    kept = deepcopy(loss.state_dict())
    loss.eval()(embeddings, labels, None)
    assert str(loss.state_dict()) == str(kept)


def run_pml_miner(component: Component) -> None:
    """Valid triplets or pairs, the same for the same state of torch's generator."""
    miner = build(component)
    embeddings, labels = torch.randn(12, 8), torch.from_numpy(LABELS)
    state = torch.get_rng_state()
    mined = miner(embeddings, labels)
    torch.set_rng_state(state)
    assert all(torch.equal(one, two) for one, two in zip(mined, miner(embeddings, labels), strict=True))
    assert len(mined[0]) > 0
    negative = mined[2:] if isinstance(mined, Pairs) else (mined[0], mined[2])
    assert (labels[mined[0]] == labels[mined[1]]).all()
    assert (mined[0] != mined[1]).all()
    assert (labels[negative[0]] != labels[negative[1]]).all()


def run_pml_sampler(component: Component) -> None:
    """As many batches as are told, of distinct photos with at least one triplet, the same every time."""
    sampler = build(component, labels=LABELS, groups=LABELS // 2, batch_size=6, seed=0)
    batches = list(sampler.epoch(1))
    assert len(batches) == len(sampler) > 0
    for (images, triplets), again in zip(batches, sampler.epoch(1), strict=True):
        assert torch.equal(images, again.images)
        assert len(set(images.tolist())) == len(images)
        anchor, positive, negative = (images[i].numpy() for i in triplets or every_triplet(LABELS[images]))
        assert len(anchor) > 0
        assert (LABELS[anchor] == LABELS[positive]).all()
        assert (LABELS[anchor] != LABELS[negative]).all()


def run_transform(component: Component) -> None:
    """Views of the photos' shape and type that differ from the photos, each from its own stream."""
    augmentation = build(component)
    images = torch.randint(40, 200, (12, 3, 24, 24), dtype=torch.uint8)
    views = augmentation(images, Streams.of(0, np.arange(12)))
    assert (views.shape, views.dtype) == (images.shape, torch.uint8)
    assert not torch.equal(views, images)
    assert torch.equal(augmentation(images[3:5], Streams.of(0, np.arange(3, 5))), views[3:5])


def run_reducer(component: Component) -> None:
    """Terms of 0.5 and 1, of one anchor each, become one number that has a gradient."""
    reducer = build(component)
    terms = nn.Parameter(torch.tensor([0.5, 1.0]))
    info = {"losses": terms, "indices": torch.arange(2), "reduction_type": "element", "divisor": 2}
    embeddings, labels = torch.randn(2, 8), torch.arange(2)
    value = reducer({"loss": info}, embeddings, labels)
    value.backward()
    assert value.shape == ()
    assert value > 0
    assert (terms.grad > 0).all()


def run_regularizer(component: Component) -> None:
    """Rows become one finite number above 0 that has a gradient."""
    regularizer = build(component, embedding_dim=8, num_classes=4)
    rows = nn.Parameter(torch.randn(8, 8))
    value = regularizer(rows)
    value.backward()
    assert value.shape == ()
    assert value > 0
    assert torch.isfinite(rows.grad).all()
    assert rows.grad.abs().max() > 0


def run_projection(component: Component) -> None:
    """A finite map of the announced shape, the same every time, under which the features' mean is 0."""
    projection = build(component)
    features, labels = torch.randn(len(LABELS), 8) + 2, torch.from_numpy(LABELS)
    fitted, again = projection(features, labels), projection(features, labels)
    assert fitted.matrix.shape == (8, projection.width(8, len(set(LABELS.tolist()))))
    assert fitted.matrix.isfinite().all()
    assert torch.equal(fitted.matrix, again.matrix)
    torch.testing.assert_close(fitted(features).mean(0), torch.zeros(fitted.matrix.shape[1], dtype=torch.float64))


def run_matcher(component: Component) -> None:
    """A turned view of a skin shares many points that agree, another skin few; the same every time."""
    matcher = build(component)
    mine, same, other = (
        matcher.describe(view(person, turned(angle))) for person, angle in ((1, 0.0), (1, 12.0), (2, 0.0))
    )
    assert len(mine.points) == len(mine.descriptors) > 20
    shared = matcher.match(mine, same)
    assert len(shared) > 20 > len(matcher.match(mine, other))
    np.testing.assert_array_equal(shared.second, matcher.match(mine, same).second)


def run_learnt_matcher(component: Component) -> None:
    """Without the files of its weights it says so; `test_lightglue.py` runs it with made-up ones."""
    pytest.importorskip("kornia")
    with pytest.raises(MissingWeightsError, match=r"no such weights file: gone\.pth"):
        build(component)


def run_store(component: Component) -> None:
    """A row finds itself; `tests/components/stores/test_stores.py` has the rest."""
    require(component.name)
    rows = np.eye(4, dtype=np.float32)
    with tempfile.TemporaryDirectory() as folder:
        runtime = {"folder": Path(folder), "collection": "rows", "dimensions": 4, "distance": "euclidean"}
        store = build(component, **runtime)
        store.add(np.arange(1, 5), rows)
        assert store.search(rows, 2).ids.tolist() == [[1, 2], [2, 1], [3, 1], [4, 1]]
        store.drop()


def run_tracker(component: Component) -> None:
    """It is built without its package, which `test_trackers.py` runs; `several` has those that it is told."""
    tracker = build(component)
    trackers = getattr(tracker, "trackers", [tracker])
    assert trackers
    assert all(callable(getattr(each, method)) for each in trackers for method in METHODS)


RUNNERS: dict[str, Callable[[Component], None]] = {
    "store": run_store,
    "tracker": run_tracker,
    "matcher": run_matcher,
    "distance": run_distance,
    "loss": run_loss,
    "miner": run_miner,
    "sampler": run_sampler,
    "reader": run_reader,
    "encoder": run_encoder,
    "augmentation": run_augmentation,
    "optimizer": run_optimizer,
    "schedule": run_schedule,
    "projection": run_projection,
    "reducer": run_reducer,
    "regularizer": run_regularizer,
}
RUNNERS_OF_FAMILIES: dict[tuple[str, str], Callable[[Component], None]] = {
    ("distance", "pml/*"): run_pml_distance,
    ("loss", "pml/*"): run_pml_loss,
    ("miner", "pml/*"): run_pml_miner,
    ("sampler", "pml/*"): run_pml_sampler,
    ("augmentation", "torchvision/*"): run_transform,
}
"""Where another package's components keep another promise than ours."""
RUNNERS_BY_NAME = {"lightglue/disk": run_learnt_matcher, "lightglue/aliked": run_learnt_matcher}


@pytest.mark.parametrize("component", SHIPPED, ids=lambda component: f"{component.kind}-{component.name}")
def test_component_runs(component: Component) -> None:
    assert component.kind in RUNNERS, f"write a runner for components of kind {component.kind!r}"
    torch.manual_seed(0)
    usual = RUNNERS_OF_FAMILIES.get((component.kind, component.family), RUNNERS[component.kind])
    RUNNERS_BY_NAME.get(component.name, usual)(component)


def required_of(component: Component) -> dict[str, Any]:
    """A value for each option without a default, and those without which it does nothing."""
    given = NEEDED.get(component.name) or INNER.get(component.name) or {}
    return given | {option.name: "x" for option in component.options if option.required and option.name not in given}


def written(component: Component, options: dict[str, Any], folder: Path) -> Config:
    """A config that names the component with these options, in the table where it belongs, loaded from a file."""
    name = FAMILY_MEMBERS.get(component.name, component.name)
    table = {component.kind if component.kind in ("reader", "matcher") else "name": name, **options}
    document: dict[str, Any] = {"data": {"reader": "folder", "root": "photos"}, "encoder": {"name": "xception"}}
    document |= {
        "reader": {"data": table},
        "matcher": {"report": table},
        "tracker": {"track": table},
        "reducer": {"loss": {"name": "pml/triplet-margin", "reducer": table}},
        "regularizer": {"loss": {"name": "pml/triplet-margin", "embedding_regularizer": table}},
    }.get(component.kind, {component.kind: table})
    (folder / "c.toml").write_text(dump_toml(document), encoding="utf-8")
    return load_config(folder / "c.toml")


def named(component: Component) -> str:
    return f"{component.kind}-{component.name}"


@pytest.mark.medium
@pytest.mark.parametrize("component", CONFIGURED, ids=named)
def test_a_component_goes_through_a_config_file_with_every_option_spelled_out(
    component: Component, tmp_path: Path
) -> None:
    """At its defaults it is the same config as without them, and the config that a run writes is that again."""
    required = required_of(component)
    every = {option.name: option.default for option in component.options if not option.required} | required
    config = written(component, every, tmp_path)
    assert config == written(component, required, tmp_path)
    text = config.to_toml()
    (tmp_path / "again.toml").write_text(text, encoding="utf-8")
    assert replace(load_config(tmp_path / "again.toml"), source=config.source) == config
    place = {
        "reader": ["data"],
        "matcher": ["report"],
        "tracker": ["track"],
        "reducer": ["loss", "reducer"],
        "regularizer": ["loss", "embedding_regularizer"],
    }
    table = tomllib.loads(text)
    for key in place.get(component.kind, [component.kind]):
        table = table[key]
    assert {option.name for option in component.options} - set(table) == {
        option.name for option in component.options if every[option.name] is None
    }


def misspelt(name: str) -> list[str]:
    """A name with a letter doubled, and with one left out."""
    return [name[0] + name, *([name[:-1]] if len(name) > 1 else [])]


@pytest.mark.medium
@pytest.mark.parametrize("component", CONFIGURED, ids=named)
def test_every_misspelt_option_is_caught_with_the_right_one_or_the_choices(
    component: Component, tmp_path: Path
) -> None:
    names = [option.name for option in component.options]
    own = set(TABLES[component.kind].model_fields) if component.kind in TABLES else {"name"}
    required = required_of(component)
    for option in component.options:
        for wrong in misspelt(option.name):
            if wrong in names or wrong in own:
                continue
            given = {key: value for key, value in required.items() if key != option.name}
            with pytest.raises(ConfigError) as error:
                written(component, {**given, wrong: 1}, tmp_path)
            [problem] = [problem for problem in error.value.problems if f".{wrong}: unknown option" in problem]
            assert "did you mean" in problem
            assert repr(option.name) in problem.partition("(did you mean ")[2].partition("?)")[0]
            assert set(names) <= set(problem.rpartition("choices: ")[2].split(", "))
            missing = [other for other in error.value.problems if other != problem]
            assert len(missing) == option.required
            assert all(other.endswith(f".{option.name}: is required") for other in missing)
    if not names:
        with pytest.raises(ConfigError, match=r"\.nonsense: unknown option of "):
            written(component, {"nonsense": 1}, tmp_path)


def test_every_registry_has_components_here() -> None:
    assert {component.kind for component in SHIPPED} == {registry.kind for registry in REGISTRIES}


RUNTIME: dict[str, Any] = {
    "distance": "cosine", "embedding_dim": 8, "num_classes": 4, "class_counts": [1, 2, 3, 4], "seed": 0,
    "labels": LABELS, "groups": LABELS // 2,
    "batch_size": 6, "steps": 20, "steps_per_epoch": 4, "lr": 0.01, "pretrained": False,
}  # fmt: skip
"""A value for each runtime value but `params`."""
NESTED = {"distance": "manhattan", "loss": "contrastive", "miner": "batch-hard", "reducer": "pml/mean",
          "regularizer": "pml/lp", "augmentation": "crop", "tracker": "mlflow"}  # fmt: skip
"""For an option that is a component, one that is not its default."""
OWN = [component for component in SHIPPED if "/" not in component.name]
STORES_FOLDER = tempfile.TemporaryDirectory()
"""Has a folder for each store; it is removed at the end."""


def runtime_of(component: Component) -> dict[str, Any]:
    """The runtime values that the component takes."""
    values = RUNTIME | {"params": [nn.Parameter(torch.zeros(2))]}
    if component.kind == "store":
        folder = Path(tempfile.mkdtemp(dir=STORES_FOLDER.name))
        values |= {"folder": folder, "collection": "rows", "dimensions": 4, "distance": "euclidean"}
    return {p.name: values[p.name] for p in component.runtime if p.name not in ("model", "options")}


def needed_of(component: Component, folder: Path) -> dict[str, Any]:
    """The options without which the component cannot be built, in a folder that has what a reader reads."""
    (folder / "ann").mkdir(exist_ok=True)
    Image.new("RGB", (8, 8)).save(folder / "ann" / "1.png")
    (folder / "photos.csv").write_text("photo,individual,x\nann/1.png,ann,b\n")
    places = {"root": folder, "file": folder / "photos.csv", "detections": folder / "boxes.json"}
    required = {
        option.name: places[option.name] for option in component.options if option.required and option.name in places
    }
    return {**(NEEDED.get(component.name) or INNER.get(component.name) or {}), **required}


def another(component: Component, option: Parameter, needed: dict[str, Any]) -> Any:
    """A value of an option that is right and is not its default."""
    if (component.name, option.name) == ("distance-weighted", "upper_cutoff"):
        return 1.5  # above its other cutoff
    if option.nested is not None:
        name = NESTED[option.nested.kind]
        name = (
            {"contrastive": "pml/contrastive", "batch-hard": "pml/batch-hard"}.get(name, name)
            if ("/" in component.name)
            else name
        )
        return [name] if option.many else name
    choices = (0.3, 7, 0.03, 1.5, 0.75, 2, 3, 30.0, True, False, "x", [0.25, 0.5], [2, 5], ["x"], [4, 60])
    literals = [value for part in get_args(option.annotation) or (option.annotation,) for value in get_args(part)]
    for value in [*get_args(option.annotation), *literals, *choices]:
        resolved, problems = component.check_plain({**needed, option.name: value}) if is_json(value) else ({}, [()])
        if not problems and resolved[option.name] not in (option.default, needed.get(option.name)):
            return value
    raise AssertionError(f"no other value of {option} is known")


@pytest.mark.medium
@pytest.mark.parametrize("component", SHIPPED, ids=named)
def test_a_keyword_that_is_neither_option_nor_runtime_value_is_refused(component: Component, tmp_path: Path) -> None:
    """Misspelt ones with near matches, and all choices; by the registry, and by the class or function itself."""
    registry, name = registry_of(component.kind), FAMILY_MEMBERS.get(component.name, component.name)
    given = {**needed_of(component, tmp_path), **runtime_of(component)}
    taken = [option.name for option in component.options] + list(runtime_of(component))
    callables = [lambda **keywords: registry.build(name, **keywords)]
    callables += [registry.factory(name)] if component in OWN else []
    for build_it in callables:
        for right in [*taken, "nonsense"]:
            for wrong in misspelt(right) if right != "nonsense" else [right]:
                if wrong in taken:
                    continue
                with pytest.raises(ComponentError) as error:
                    build_it(**given, **{wrong: 1})
                [line] = [line for line in str(error.value).splitlines() if line.startswith(f"  {wrong}: ")]
                assert line.startswith(f"  {wrong}: unknown option of {component.kind} {name!r}")
                assert right == "nonsense" or repr(right) in line.partition("(did you mean ")[2].partition("?)")[0]
                choices = line.rpartition("choices: ")[2].split(", ")
                assert choices == ["none"] if not choices else set(taken) <= set(choices) | {"none"}


@pytest.mark.medium
@pytest.mark.parametrize("component", CONFIGURED, ids=named)
def test_every_option_may_be_a_keyword_and_is_the_same_as_in_a_table(component: Component, tmp_path: Path) -> None:
    """Where the options do not fit each other, both are refused in the same words."""
    registry, name = registry_of(component.kind), FAMILY_MEMBERS.get(component.name, component.name)
    needed, runtime = needed_of(component, tmp_path), runtime_of(component)

    def outcome(table: dict[str, Any], keywords: dict[str, Any]) -> str:
        torch.manual_seed(0)
        try:
            return repr(registry.build(name, table, **keywords, **runtime))
        except (ComponentError, DataError, MissingWeightsError) as error:
            return f"{type(error).__name__}: {error}"

    for option in component.options:
        value = another(component, option, needed)
        changed = {**needed, option.name: value}
        assert outcome({}, changed) == outcome(changed, {})
        with pytest.raises(ComponentError, match=f"{option.name}: is given twice, in the table and as a keyword"):
            registry.build(name, changed, **{option.name: value}, **runtime)


@pytest.mark.parametrize("component", [c for c in OWN if c.kind != "store"], ids=named)
def test_every_option_of_an_own_component_is_seen_in_the_object(component: Component, tmp_path: Path) -> None:
    """As keyword and by position, in its attributes or, of an optimizer, its groups; its `repr` has them in order."""
    registry, factory = registry_of(component.kind), registry_of(component.kind).factory(component.name)
    needed, runtime = needed_of(component, tmp_path), runtime_of(component)
    for option in component.options:
        value = another(component, option, needed)
        try:
            made = factory(**{**needed, option.name: value}, **runtime)
        except DataError:
            assert component.kind == "reader"  # it looked for what the table does not have
            continue
        if component.kind in ("reader", "optimizer"):
            plain = factory(**needed, **runtime)
            assert repr(made) != repr(plain) or component.kind == "reader"
            continue
        shown = repr(made)
        if isinstance(value, str | list) and option.nested is not None:
            kind = registry_of(option.nested.kind).factory(value[0] if option.many else value).__name__
            assert re.search(rf"\b{option.name}=\[?{kind}\(", shown), shown
        else:
            checked, _ = component.check_plain({**needed, option.name: value})
            assert getattr(made, option.name) == checked[option.name]
            assert f"{option.name}={checked[option.name]!r}" in shown
    if component.kind in ("reader", "optimizer", "encoder"):
        return
    made = registry.build(component.name, needed, **runtime)
    parameters = [p.name for p in inspect.signature(factory).parameters.values()]
    shown = repr(made).partition("(")[2]
    while re.search(r"\([^()]*\)|\[[^][]*\]", shown):  # without what is nested
        shown = re.sub(r"\([^()]*\)|\[[^][]*\]", "", shown)
    assert re.findall(r"(\w+)=", shown) == parameters
    assert repr(made).startswith(f"{factory.__name__}(")
    assert "<" not in repr(made).replace("labels=<int64 [12]>", "").replace("groups=<int64 [12]>", "")
    for again in (deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert repr(again) == repr(made)


@pytest.mark.parametrize("component", OWN, ids=named)
def test_every_own_component_is_imported_from_the_package(component: Component) -> None:
    factory = registry_of(component.kind).factory(component.name)
    assert getattr(siamesekit, factory.__name__) is factory
    assert [p.name for p in inspect.signature(factory).parameters.values()] == [
        p.name
        for p in sorted(
            (*component.options, *component.runtime),
            key=lambda p: list(inspect.signature(factory).parameters).index(p.name),
        )
    ]
    assert inspect.getdoc(factory) == component.doc


@pytest.mark.parametrize("component", [c for c in SHIPPED if c.kind in ("loss", "miner", "sampler")], ids=named)
def test_a_distance_may_be_a_name_a_table_or_built(component: Component, tmp_path: Path) -> None:
    """Where the component takes one, as a runtime value or as an option; else it is left."""
    registry, needed = registry_of(component.kind), needed_of(component, tmp_path)
    runtime = {key: value for key, value in runtime_of(component).items() if key != "distance"}
    shown = set()
    for distance in ("cosine", {"name": "cosine"}, siamesekit.Cosine()):
        try:
            shown.add(repr(registry.build(component.name, needed, **runtime, distance=distance)))
        except ComponentError as error:  # of pytorch-metric-learning's some take their own measures only
            assert component.family == "pml/*"
            shown.add(str(error))
    [only] = shown
    takes = "distance" in {p.name for p in (*component.options, *component.runtime)}
    assert takes or component.name in ("cross-batch-memory", "sum") or "distance=Cosine()" not in only
    assert not takes or "distance=Cosine()" in only or "refuses these options" in only
    for wrong, what in ((3, "not 3"), (siamesekit.Cosine, "the class Cosine"), ("cosin", "did you mean 'cosine'")):
        with pytest.raises(ComponentError, match=what):
            registry.build(component.name, needed, **runtime, distance=wrong)


LOSSES_AND_MINERS = [component for component in SHIPPED if component.kind in ("loss", "miner")]
FOUR_OF_FOUR = torch.arange(4).repeat_interleave(4)
"""Individuals of a batch that every loss takes."""
UNFIT: dict[str, tuple[Callable[[], tuple[Any, ...]], str]] = {
    "fewer labels": (lambda: (torch.randn(16, 8), FOUR_OF_FOUR[:15]), "16 embeddings and 15 labels"),
    "more labels": (lambda: (torch.randn(15, 8), FOUR_OF_FOUR), "15 embeddings and 16 labels"),
    "one label": (lambda: (torch.randn(16, 8), FOUR_OF_FOUR[:1]), "16 embeddings and 1 labels"),
    "a column of labels": (lambda: (torch.randn(16, 8), FOUR_OF_FOUR[:, None]), r"labels must be \[N\]"),
    "float labels": (lambda: (torch.randn(16, 8), FOUR_OF_FOUR.float()), "labels must be a list"),
    "labels that are no numbers": (lambda: (torch.randn(16, 8), [float("nan")] * 16), "labels must be a list"),
    "flat embeddings": (
        lambda: (torch.randn(16), FOUR_OF_FOUR),
        r"embeddings must be a floating-point tensor \[N, D\]",
    ),
    "embeddings of whole numbers": (lambda: (torch.ones(16, 8, dtype=torch.int64), FOUR_OF_FOUR), "embeddings must be"),
    "an array of embeddings": (
        lambda: (np.zeros((16, 8), np.float32), FOUR_OF_FOUR),
        "embeddings must be a floating-point tensor",
    ),
}
UNFIT_TUPLES: dict[str, tuple[tuple[torch.Tensor, ...], str]] = {
    "beyond the batch": (tuple(torch.tensor([[0], [16], [4]])), "positive 16 is not among the 16 photos"),
    "negative": (tuple(torch.tensor([[0], [1], [-4]])), "negative -4 is not among the 16 photos"),
    "of floating point": (tuple(torch.tensor([[0.0], [1.0], [4.0]])), "must be an int64 tensor"),
    "of unequal length": (
        (torch.tensor([0, 1]), torch.tensor([1]), torch.tensor([4])),
        "equally many indices of each kind",
    ),
}


def made_for(component: Component) -> Any:
    distance = {} if component.family else {"distance": "euclidean"}
    return build(
        component,
        INNER.get(component.name),
        **distance,
        **{name: value for name, value in (("embedding_dim", 8), ("num_classes", 4)) if component.kind == "loss"},
    )


@pytest.mark.parametrize("component", LOSSES_AND_MINERS, ids=named)
def test_batches_that_do_not_fit_are_refused_by_every_loss_and_miner(component: Component) -> None:
    made = made_for(component)
    for given, expected in UNFIT.values():
        with pytest.raises(ComponentError, match=expected):
            made(*given())
    if component.kind == "loss":
        for tuples, expected in UNFIT_TUPLES.values():
            with pytest.raises(ComponentError, match=expected):
                made(torch.randn(16, 8), FOUR_OF_FOUR, Triplets(*tuples))


@pytest.mark.medium
@pytest.mark.parametrize("component", LOSSES_AND_MINERS, ids=named)
def test_every_loss_and_miner_takes_labels_in_whatever_holds_them(component: Component) -> None:
    """Numbers of any integer type give the same to the last bit; so do names and large numbers, where any will do."""
    torch.manual_seed(0)
    made, embeddings = made_for(component), torch.randn(16, 8)

    def outcome(labels: Any) -> list[list[float]]:
        torch.manual_seed(1)
        found = deepcopy(made)(embeddings, labels)
        return [[found.item()]] if component.kind == "loss" else [index.tolist() for index in found]

    expected = outcome(FOUR_OF_FOUR)
    for same in (
        FOUR_OF_FOUR.tolist(),
        tuple(FOUR_OF_FOUR.tolist()),
        FOUR_OF_FOUR.numpy().astype(np.uint8),
        FOUR_OF_FOUR.to(torch.int16),
    ):
        assert outcome(same) == expected
    names = ["ada", "bea", "carl", "dora"]
    apart = [[names[label] for label in FOUR_OF_FOUR], np.array(names)[FOUR_OF_FOUR], FOUR_OF_FOUR * 10**18 - 5]
    if getattr(made, "by_class", False) or "cross-batch-memory" in component.name:
        with pytest.raises(ComponentError, match="must be numbers, not names such as 'ada'"):
            outcome(apart[0])
        apart = apart[2:] if not getattr(made, "by_class", False) else []
    for labels in apart:
        assert outcome(labels) == expected


@pytest.mark.parametrize("component", [c for c in SHIPPED if c.kind == "loss"], ids=named)
def test_a_loss_by_class_names_the_labels_that_it_takes(component: Component) -> None:
    made = made_for(component)
    if getattr(made, "by_class", False):
        for wrong, which in ((FOUR_OF_FOUR + 1, 4), (FOUR_OF_FOUR - 1, -1)):
            with pytest.raises(ComponentError, match=rf"labels must be 0 … 3, the numbers of the 4 .* not {which}$"):
                made(torch.randn(16, 8), wrong)
    for keyword in ("embedding_dim", "num_classes"):
        if any(p.name == keyword and p.required for p in component.runtime):
            other = {"embedding_dim": 8, "num_classes": 4}
            del other[keyword]
            with pytest.raises(ComponentError, match=f"needs {keyword}, which is not given"):
                build(component, INNER.get(component.name), **other)


@pytest.mark.parametrize("component", [c for c in OWN if c.kind == "sampler"], ids=named)
def test_every_sampler_takes_labels_and_groups_in_whatever_holds_them(component: Component) -> None:
    names, runtime = np.array(["ada", "bea", "carl", "dora"]), runtime_of(component)
    plain = [batch.images.tolist() for batch in build(component, **runtime).epoch(1)]
    for labels in (names[LABELS], names[LABELS].tolist(), torch.from_numpy(LABELS), LABELS * 10**17 - 3):
        changed = runtime | {"labels": labels} | ({"groups": list("aaaaaabbbbbb")} if "groups" in runtime else {})
        assert [batch.images.tolist() for batch in build(component, **changed).epoch(1)] == plain
