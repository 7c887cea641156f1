"""Processes that follow the test's process: `python followers.py` in an environment as torchrun makes it.

Each order `job` makes the test's encoder and follows a team until its end, and each order `loss` holds centres of the
test's loss, until the order `quit`.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

TESTS = Path(__file__).parent
sys.path.insert(0, str(TESTS))

from conftest import FP32  # noqa: E402 - from the folder of tests, also in a process of its own
from siamesekit.components.encoders.lora import add_lora  # noqa: E402
from siamesekit.components.encoders.weights import calibrate_batchnorm  # noqa: E402
from siamesekit.engine.frozen.stored import Views  # noqa: E402
from siamesekit.engine.ranks.following import follow  # noqa: E402
from siamesekit.engine.ranks.following_centers import FollowingCenters  # noqa: E402
from siamesekit.engine.ranks.sharded_share import share_of  # noqa: E402
from siamesekit.engine.ranks.share import Share  # noqa: E402
from siamesekit.engine.ranks.shared_tensors import get_dealt  # noqa: E402
from siamesekit.hardware.place import Place, place_here  # noqa: E402
from siamesekit.hardware.ranks import Ranks, join, open_store  # noqa: E402
from siamesekit.model import Architecture, Encoder, build  # noqa: E402
from siamesekit.registry import LOSSES, OPTIMIZERS  # noqa: E402

IMAGES = 14


def images(side: int = 32) -> Tensor:
    """Blotches, uint8 `[14, 3, side, side]`: no value is a whole number before it is cut off.

    There, the last bit would decide, which depends on the number of threads.
    """
    blotches = torch.randint(0, 256, (IMAGES, 3, 6, 6), generator=torch.Generator().manual_seed(1))
    return (nn.functional.interpolate(blotches.double(), side, mode="bilinear") + 0.3137).to(torch.uint8)


class Dropping(nn.Module):
    """Features whose values are dropped by chance in training."""

    def __init__(self, network: nn.Module, rate: float) -> None:
        super().__init__()
        self.network, self.rate = network, rate

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(self.network(x), self.rate, self.training)


class Scaled(nn.Module):
    """Features times a number that trains."""

    def __init__(self, network: nn.Module, factor: float) -> None:
        super().__init__()
        self.network, self.factor = network, nn.Parameter(torch.tensor(factor))

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * self.network(x)


def encoder_of(job: dict[str, Any]) -> Encoder:
    """The encoder of a job, in float64; its weights are those of a seed."""
    torch.manual_seed(0)
    head = {"layers": [24, 16], "neck": job["neck"]}
    encoder = build(Architecture(job["name"], job["options"], head, job["batchnorm"]))
    if job["dropout"]:
        encoder.backbone.network = Dropping(encoder.backbone.network, job["dropout"])
    if job["factor"]:
        encoder.backbone.network = Scaled(encoder.backbone.network, job["factor"])
    encoder.backbone.freeze_before(job["train_from"])
    if job["lora"]:
        add_lora(encoder.backbone, **job["lora"])
    for module in encoder.backbone.modules():
        if isinstance(module, nn.BatchNorm2d):  # timm's residual branches begin with a factor of 0
            nn.init.uniform_(module.weight, 0.5, 1.5)
    calibrate_batchnorm(encoder.backbone.network, iter([encoder.backbone.scale(images(job["side"]))]))
    encoder.sharded, encoder.checkpoint_activations = job["sharded"], job["checkpoint"]
    return encoder.double()


def views_of(job: dict[str, Any]) -> Views | None:
    """Views of every second image, darker with each epoch and view; none if the job says so."""
    if not job["views"]:
        return None

    def darker(pixels: Tensor, photos: Tensor, epoch: int, view: int) -> Tensor:
        return (pixels.double() * (1 - 0.1 * (epoch + view)) - photos.view(-1, 1, 1, 1)).clamp(0).to(torch.uint8)

    return Views(torch.arange(0, IMAGES, 2), job["views"], darker)


def loss_for(job: dict[str, Any], individuals: int, dimensions: int = 6, seed: int = 1) -> Any:
    """The loss of a job, in float64."""
    torch.manual_seed(seed)
    counts = [1 + number**2 for number in range(individuals)]
    given = {"distance": "cosine", "embedding_dim": dimensions, "num_classes": individuals, "class_counts": counts}
    return LOSSES.build_for_run(job["loss"], job["options"], seed=3, **given).double().train()


def optimizer_for(job: dict[str, Any], params: list[nn.Parameter]) -> Any:
    """The optimizer of a job's loss."""
    return OPTIMIZERS.build(job["optimizer"], job["moving"], params=params)


@contextmanager
def followers(size: int, hosts: str = "") -> Iterator[Ranks]:
    """The connection to `size` − 1 processes that follow; they are ended afterwards.

    Args:
        size: number of processes, this one included.
        hosts: the name of each process's machine, a letter; by default all are on this one.
    """
    store, port = open_store(size)
    common = {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    environment = {**os.environ, **common, "GLOO_SOCKET_IFNAME": "lo"}
    children = [
        subprocess.Popen([sys.executable, __file__], env={**environment, **_place(rank, hosts)})
        for rank in range(1, size)
    ]
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    ranks = Ranks(Place(0, size, 0, hosts[:1] or socket.gethostname()), store)
    try:
        ranks.connect(gpu=False)
        yield ranks
        ranks.order("quit")
    finally:
        ranks.close()
        del os.environ["GLOO_SOCKET_IFNAME"]
        for child in children:
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def _place(rank: int, hosts: str) -> dict[str, str]:
    return {"RANK": str(rank), "LOCAL_RANK": str(rank), "HOST_OF_TEST": hosts[rank : rank + 1]}


def _main() -> None:
    place = place_here(os.environ)
    assert place is not None
    ranks = join(replace(place, host=os.environ["HOST_OF_TEST"] or place.host))
    ranks.connect(gpu=False)
    while True:
        kind, job, _ = ranks.next_order()
        if kind == "quit":
            break
        if kind == "get":
            got = get_dealt(ranks)
            ranks.next_order()
            ranks.report([str(got.dtype), got.double().tolist()])
            continue
        if kind == "loss":
            share = Share(nn.Identity(), images(), None, FP32, ranks)  # type: ignore[arg-type]  # it encodes nothing
            centers = FollowingCenters(
                ranks,
                torch.device("cpu"),
                partial(loss_for, job, 1),
                partial(optimizer_for, job),
            )
            follow(share, centers)
            continue
        follow(share_of(encoder_of(job), images(job["side"]), views_of(job), FP32, ranks))
    ranks.close()


if __name__ == "__main__":
    _main()
