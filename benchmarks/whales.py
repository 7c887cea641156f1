"""(a) The whale experiment, with epochs of 2,025 triplets."""

from __future__ import annotations

import json
import os
import statistics
from pathlib import Path
from typing import Any

from benchmarks.harness import (
    ROOT,
    Contender,
    FailedError,
    Headline,
    Outcome,
    Row,
    Setting,
    device_peak,
    fresh,
    side_by_side,
)

TITLE = "the whale experiment"
CONFIG = ROOT / "examples" / "whales" / "config.toml"
EPOCHS = 60
TRAINABLE = 9_583_800
"""Number of trainable parameters of the recipe; a peer with another number is refused."""
QUICK = ("split.train=0.6", "data.stand_in.individuals=6", "data.stand_in.photos=4", "sampler.photos=4",
         "sampler.batch_size=8", "data.size=71")  # fmt: skip
HEADLINE = Headline(
    "A whole run of 60 epochs takes {0.ours} s with this library. The epochs alone take {0.theirs} s with Keras "
    "({0.ratio}) and {1.theirs} s with a plain PyTorch loop ({1.ratio}), both extrapolated. The first epoch in fp32, "
    "which can skip the least work, takes {2.ours} s with this library, {2.theirs} s with Keras ({2.ratio}) and "
    "{3.theirs} s with PyTorch ({3.ratio}).",
    (
        ("60 epochs", "Keras"),
        ("60 epochs", "PyTorch"),
        ("the first epoch, ours in fp32", "Keras"),
        ("the first epoch, ours in fp32", "PyTorch"),
    ),
)
MEASURES = (
    "examples/whales/config.toml on the drawn flukes with random weights: three photos of 128 × 128 per triplet, "
    f"batches of 128 triplets, {TRAINABLE:,} trainable parameters, the others frozen. Ours is `siamesekit.run` over "
    f"all {EPOCHS} epochs. Epochs get faster as fewer triplets have a loss, because photos without a gradient need no "
    "backward pass; so the tables give both the first epoch and the mean of all epochs. In fp32 ours runs two epochs, "
    "of which the first counts. The peers are plain loops in fp32 over photos in memory. In each step they pass "
    "anchors, positives and negatives through the whole network: Keras with a step compiled by `tf.function`, PyTorch "
    "with timm's legacy_xception. Their figures are **extrapolated**: the seconds of a few steps after a warm-up step, "
    "times 2,025 / 128, measured before and after ours. The cost of their steps does not change over a run. The row of "
    "the whole run is measured for ours, including everything before and after training (drawing and reading the "
    "photos, the frozen part, test figures and a checkpoint each epoch, evaluation, report), and extrapolated for the "
    "peers from their epochs alone. Peak memory is that of each process: ours over the whole run, the peers' over "
    "their few steps."
)


def measure(setting: Setting) -> Outcome:
    """Measure epochs, the run and peak memory against both peers."""
    flukes = setting.folder / "flukes.npz"
    overrides = ["encoder.weights=calibrated", f"data.root={setting.folder / 'none'}"]
    overrides += QUICK if setting.quick else ()
    drawing = Contender("flukes", "benchmarks.whales:draw", {"out": str(flukes), "overrides": overrides})
    try:
        drawn = fresh(drawing, setting.folder)
    except FailedError as error:
        return Outcome([], [f"(a) the flukes could not be drawn: {error}."])
    batch, triplets, steps = drawn["batch"], drawn["triplets"], 1 if setting.quick else 2
    peer = {"flukes": str(flukes), "batch": batch, "steps": steps}
    run = {"overrides": overrides, "device": setting.device}
    contenders = [
        Contender("Keras", "benchmarks.whales:keras", peer, ("tensorflow", "tf_keras"),
                  "left out: not set up for a GPU" if setting.device == "cuda" else ""),
        Contender("PyTorch", "benchmarks.whales:pytorch", {**peer, "device": setting.device}),
        Contender("siamesekit auto", "benchmarks.whales:siamesekit",
                  {**run, "precision": "auto", "epochs": 1 if setting.quick else EPOCHS}),
    ]  # fmt: skip
    bf16 = drawn[f"bf16_{setting.device}"]
    if bf16:
        contenders.append(
            Contender("siamesekit fp32", "benchmarks.whales:siamesekit", {**run, "precision": "fp32", "epochs": 2})
        )
    measured = side_by_side(setting, 1, contenders)
    for theirs, again in zip(measured, side_by_side(setting, 1, contenders[:2]), strict=False):
        theirs.rounds += again.rounds
    number = "auto (bf16)" if bf16 else "fp32"
    ours = measured[2]
    rows = []
    for theirs, name in zip(measured, ("Keras", "PyTorch"), strict=False):
        epoch = theirs.best("step_s", triplets / batch)
        whole = EPOCHS * epoch if isinstance(epoch, float) else epoch
        rows += [
            Row("a", f"an epoch, mean of the run, ours in {number}, s", name, epoch, ours.best("epoch_s")),
            Row("a", f"the first epoch, ours in {number}, s", name, epoch, ours.best("first_epoch_s")),
            *(
                Row("a", "the first epoch, ours in fp32, s", name, epoch, fp32.best("first_epoch_s"))
                for fp32 in measured[3:]
            ),
            Row("a", f"{EPOCHS} epochs, ours in {number}, s", name, whole, ours.best("run_s")),
            Row("a", f"peak MiB, ours in {number}", name, theirs.most("peak_mib"), ours.most("peak_mib")),
        ]
    notes = [
        f"{triplets:,} triplets an epoch in batches of {batch}; {steps} steps of the peers are timed in each round."
    ]
    return Outcome(rows, notes)


def draw(out: str, overrides: list[str]) -> dict[str, Any]:
    """Draw the photos and plan the triplets for the peers, as the run does."""
    import numpy as np
    import torch

    from siamesekit.components.samplers.triplets import all_pairs_triplets
    from siamesekit.config import load_config
    from siamesekit.experiment.dataset import prepare_dataset
    from siamesekit.hardware.compute import choose_compute
    from siamesekit.progress import Progress

    config = load_config(CONFIG, overrides)
    data = prepare_dataset(config, Progress())
    train = list(data.split.train)
    rng = np.random.default_rng(config.seed)
    triplets = all_pairs_triplets(data.labels[train], config.sampler.options.get("photos", 10), rng)
    np.savez(out, images=data.images[train].numpy(), triplets=torch.stack(tuple(triplets), dim=1).numpy())
    cuda = torch.cuda.is_available() and choose_compute("cuda").bf16
    return {
        "triplets": len(triplets.anchor),
        "batch": config.sampler.batch_size,
        "bf16_cpu": choose_compute("cpu").bf16,
        "bf16_cuda": cuda,
    }


def siamesekit(overrides: list[str], device: Any, precision: Any, epochs: int) -> dict[str, Any]:
    """The whole run."""
    import tempfile

    from siamesekit import load_config, run

    config = load_config(CONFIG, [*overrides, f"train.epochs={epochs}"])
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = str(Path(folder) / "cache")  # no cached frozen part of another run
        result = run(config, Path(folder) / "run", device=device, precision=precision)
        lines = [json.loads(line) for line in (result.folder / "metrics.jsonl").read_text().splitlines()]
    return {
        "epoch_s": statistics.mean(line["seconds"] for line in lines),
        "first_epoch_s": lines[0]["seconds"],
        "run_s": result.manifest["seconds"]["total"],
    } | device_peak(device)


def keras(flukes: str, batch: int, steps: int) -> dict[str, Any]:
    """The recipe in Keras: the network and the step of tests/golden/make_keras_golden.py, weights random."""
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    import tensorflow as tf
    import tf_keras
    from tf_keras import layers

    images, triplets = _photos(flukes)
    side = images.shape[-1]
    scaled = tf.constant(images.transpose(0, 2, 3, 1) / 127.5 - 1, dtype=tf.float32)
    xception = tf_keras.applications.Xception(
        weights=None, include_top=False, input_shape=(side, side, 3), pooling="avg"
    )
    for layer in xception.layers[:-27]:
        layer.trainable = False
    encoder = tf_keras.Sequential(
        [
            xception,
            layers.Flatten(),
            layers.Dense(512, activation="relu"),
            layers.BatchNormalization(),
            layers.Dense(256, activation="relu"),
            layers.Lambda(lambda x: tf.math.l2_normalize(x, axis=1)),
        ]
    )
    encoder.build((None, side, side, 3))
    _check_trainable(sum(int(tf.size(variable)) for variable in encoder.trainable_variables))
    optimizer = tf_keras.optimizers.Adam(learning_rate=1e-3, epsilon=0.1)

    @tf.function  # type: ignore[untyped-decorator]
    def train(anchor: Any, positive: Any, negative: Any) -> Any:
        with tf.GradientTape() as tape:
            a, p, n = encoder(anchor), encoder(positive), encoder(negative)
            d_ap = tf.reduce_sum(tf.square(a - p), axis=-1)
            d_an = tf.reduce_sum(tf.square(a - n), axis=-1)
            loss = tf.maximum(d_ap - d_an + 1.0, 0.0)
        gradients = tape.gradient(loss, encoder.trainable_variables)
        optimizer.apply_gradients(zip(gradients, encoder.trainable_variables, strict=True))
        return loss

    def step(number: int) -> float:
        chosen = _batch(triplets, number, batch)
        return float(tf.reduce_mean(train(*(tf.gather(scaled, index) for index in chosen.T))))

    return _timed(step, steps)


def pytorch(flukes: str, batch: int, steps: int, device: str) -> dict[str, Any]:
    """The recipe as a plain PyTorch loop."""
    import timm
    import torch
    from torch import nn

    photos, triplets = _photos(flukes)
    images = torch.from_numpy(photos).float() / 127.5 - 1
    backbone = timm.create_model("legacy_xception", pretrained=False, num_classes=0)
    frozen = True
    for name, parameter in backbone.named_parameters():
        frozen = frozen and not name.startswith("block11.")
        parameter.requires_grad = not frozen
    encoder = nn.Sequential(
        backbone, nn.Linear(2048, 512), nn.ReLU(), nn.BatchNorm1d(512, eps=1e-3), nn.Linear(512, 256), nn.ReLU()
    )
    encoder.to(device).eval()  # BatchNorm in inference mode
    trainable = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
    _check_trainable(sum(parameter.numel() for parameter in trainable))
    optimizer = torch.optim.Adam(trainable, lr=1e-3, eps=0.1)

    def step(number: int) -> float:
        chosen = torch.from_numpy(_batch(triplets, number, batch))
        a, p, n = (nn.functional.normalize(encoder(images[index].to(device)), dim=1) for index in chosen.T)
        loss = ((a - p).square().sum(1) - (a - n).square().sum(1) + 1).relu().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return _timed(step, steps) | device_peak(device)


def _photos(flukes: str) -> tuple[Any, Any]:
    import numpy as np

    with np.load(flukes) as file:
        return file["images"], file["triplets"]


def _batch(triplets: Any, number: int, batch: int) -> Any:
    """Batch of the given number, `[batch, 3]`; all batches have the same size."""
    start = number % (len(triplets) // batch) * batch
    return triplets[start : start + batch]


def _check_trainable(parameters: int) -> None:
    if parameters != TRAINABLE:
        raise ValueError(f"this peer has {parameters} trainable parameters; the recipe has {TRAINABLE}")


def _timed(step: Any, steps: int) -> dict[str, Any]:
    """Mean seconds of a step after a warm-up step; reading each loss as a number waits for pending work."""
    import math
    import time

    step(0)
    start = time.perf_counter()
    losses = [step(number) for number in range(1, steps + 1)]
    seconds = time.perf_counter() - start
    if not all(map(math.isfinite, losses)):
        raise ValueError(f"the peer's losses are not finite: {losses}")
    return {"step_s": seconds / steps}
