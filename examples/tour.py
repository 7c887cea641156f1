"""A tour in one minute: photos, a network, a loss, a miner, and retrieval of individuals that did not train.

    python examples/tour.py [FOLDER]      (writes five pictures; FOLDER is tour/ by default)

Nothing is downloaded. The photos are *drawn* flukes (`whales/flukes.py`) and the network is very small, with random
weights, so that a minute is enough. The tour shows how the parts work together, not how good the results can be. For
that: `siamesekit run examples/whales/config.toml`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from siamesekit import (
    ENCODERS,
    READERS,
    BatchHardMiner,
    Cosine,
    Distance,
    Encoder,
    Neighbours,
    PByKSampler,
    TripletLoss,
    adamw,
    nearest,
)

sys.path.insert(0, str(Path(__file__).parent / "whales"))
import flukes  # noqa: F401 - a plugin: importing this file registers the reader `flukes`

UNSEEN, PHOTOS, SIDE = 8, 8, 64
"""Number of individuals that do not train, number of photos of each individual, side of a photo in pixels."""
GREEN, RED, GREY = "#2a8a4a", "#c8372d", "#8a8f98"
COLOURS = ["#3b82c4", "#d9822b", "#2a8a4a", "#c8372d", "#7b5ea7", "#8c6d46", "#d46aa5", "#4c5566"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the tour from top to bottom."""
    parser = argparse.ArgumentParser(description="A tour of siamesekit in five pictures.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("tour"), help="folder for the pictures")
    parser.add_argument(
        "--epochs", type=int, default=24, help="number of epochs; more give better results and take longer"
    )
    parser.add_argument(
        "--individuals", type=int, default=48, help=f"number of individuals; {UNSEEN} of them do not train"
    )
    given = parser.parse_args(arguments)
    folder: Path = given.folder
    folder.mkdir(parents=True, exist_ok=True)
    begin = time.perf_counter()
    torch.manual_seed(0)

    print("1. Photos. A reader returns records; this one draws flukes, which are not photos of real whales.")
    records = READERS.build("flukes", individuals=given.individuals, photos=PHOTOS, difficulty=0.25, seed=3)
    images = torch.stack([small(record.source()) for record in records])  # uint8 [N, 3, 64, 64]
    names = sorted({record.individual for record in records})
    labels = torch.tensor([names.index(record.individual) for record in records])  # int64 [N]
    training, unseen = labels < len(names) - UNSEEN, labels >= len(names) - UNSEEN
    print(f"   {len(records)} drawn photos of {len(names)} individuals; {UNSEEN} individuals are kept from training.")
    draw_photos(images[unseen], folder / "1-photos.png")

    print("2. A network: images [N, 3, H, W] → embeddings [N, 32]. A distance compares two embeddings.")
    backbone = ENCODERS.build("timm/test_resnet", pretrained=False)
    encoder = Encoder(backbone, nn.Linear(backbone.num_features, 32), batchnorm="train")
    distance = Cosine()
    before = embed(encoder, images[unseen])
    right_before = found_at_once(before, labels[unseen], distance)
    print(
        f"   Untrained, the nearest photo is of the same individual for {right_before:.0%} of the unseen "
        f"individuals' photos; by chance it would be {(PHOTOS - 1) / (UNSEEN * PHOTOS - 1):.0%}."
    )

    print("3. Training: a sampler chooses the photos of a batch, a loss measures how wrong their distances are.")
    sampler = PByKSampler(individuals=12, photos=4, labels=labels[training], seed=0)
    loss = TripletLoss(margin=0.3, reduction="mean-nonzero", distance=distance)
    optimizer = adamw(lr=0.002, params=encoder.parameters())
    curve = []
    for epoch in range(1, given.epochs + 1):
        encoder.train()
        active = []
        for batch in sampler.epoch(epoch):
            value = loss(encoder(images[training][batch.images]), labels[training][batch.images])
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            active.append(float(value.active))
        curve.append((float(np.mean(active)), found_at_once(embed(encoder, images[unseen]), labels[unseen], distance)))
        if epoch % 6 == 0 or epoch == given.epochs:
            print(
                f"   epoch {epoch:2}: {curve[-1][0]:.1%} of the triplets still have a loss; "
                f"nearest photo right for {curve[-1][1]:.0%} of the unseen photos"
            )
    draw_training(curve, right_before, folder / "2-training.png")

    print("4. What the network learnt: the same unseen individuals before and after, in two principal components.")
    after = embed(encoder, images[unseen])
    draw_map([before, after], labels[unseen], [right_before, curve[-1][1]], folder / "3-map.png")

    print("5. What is still hard: a miner selects the triplets that are most wrong.")
    triplets = BatchHardMiner(distance=distance)(after, labels[unseen])
    d_ap = distance(after[triplets.anchor], after[triplets.positive])
    d_an = distance(after[triplets.anchor], after[triplets.negative])
    worst_first = (d_ap - d_an).argsort(descending=True)
    owners = labels[unseen][triplets.anchor]
    worst = torch.stack(
        [worst_first[owners[worst_first] == owner][0] for owner in owners.unique()]
    )  # one per individual
    wrong = int((d_ap >= d_an).sum())
    print(
        f"   For {wrong} of {len(d_ap)} photos, the farthest photo of the same individual is no nearer than the "
        "nearest photo of another individual."
    )
    rows = torch.stack([index[worst] for index in triplets], 1)
    titles = [["anchor", f"same, {d_ap[i]:.2f}", f"other, {d_an[i]:.2f}"] for i in worst.tolist()]
    right = torch.tensor([[True, True, False]] * len(rows))
    draw_rows(
        images[unseen][rows], titles, right, "Each individual's hardest triplet", folder / "4-hardest-triplets.png"
    )

    print("6. Retrieval: exact search for the nearest of all other photos.")
    queries = torch.arange(0, UNSEEN * PHOTOS, PHOTOS)  # the first photo of each individual
    found: Neighbours = nearest(after[queries], after, 7, distance, own=queries)
    own = labels[unseen]
    hits = own[found.index] == own[queries, None]
    shown = torch.cat([queries[:, None], found.index], 1)
    titles = [["query", *(f"{value:.2f}" for value in row)] for row in found.distance.tolist()]
    right = torch.cat([torch.ones(len(hits), 1, dtype=torch.bool), hits], 1)
    title = "Each query's nearest photos: green of the same individual, red of another"
    draw_rows(images[unseen][shown], titles, right, title, folder / "5-ranks.png")
    print(
        f"   {hits.double().mean():.0%} of the 7 nearest photos of {len(queries)} queries show the same individual; "
        "100% would be perfect."
    )
    print(f"Five pictures in {folder}/, {time.perf_counter() - begin:.0f} s.")
    print("These are figures of drawings and of a very small network. For a run on your own photos: `siamesekit init`.")


def small(pixels: NDArray[np.uint8]) -> Tensor:
    """Shrink a photo: uint8 `[H, W, 3]` → `[3, 64, 64]`."""
    shrunk = Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BOX)
    return torch.from_numpy(np.array(shrunk)).permute(2, 0, 1)


@torch.no_grad()
def embed(encoder: Encoder, images: Tensor) -> Tensor:
    """Embeddings in inference mode: `[N, 3, H, W]` → `[N, D]`."""
    embeddings: Tensor = encoder.eval()(images)
    return embeddings


def found_at_once(embeddings: Tensor, labels: Tensor, distance: Distance) -> float:
    """The share of photos `[N, D]` whose nearest other photo is of the same individual `[N]`: P@1."""
    found = nearest(embeddings, embeddings, 1, distance, own=torch.arange(len(embeddings)))
    return float((labels[found.index[:, 0]] == labels).double().mean())


def draw_photos(images: Tensor, file: Path) -> None:
    """Draw photos `[N, 3, H, W]`, one row per individual."""
    rows = images.unflatten(0, (-1, PHOTOS))
    titles = [
        [f"individual {number + 1}" if place == 0 else "" for place in range(PHOTOS)] for number in range(len(rows))
    ]
    draw_rows(rows, titles, None, "The individuals that do not train (drawn, not photographed)", file)


def draw_training(curve: Sequence[tuple[float, float]], before: float, file: Path) -> None:
    """Plot, for each epoch, the share of training triplets with a loss and P@1 of the unseen individuals."""
    figure = Figure((7, 3.4), layout="constrained")
    panel = figure.subplots()
    epochs = range(1, len(curve) + 1)
    panel.plot(epochs, [active for active, _ in curve], color=COLOURS[1], label="training: triplets with a loss")
    panel.plot(
        [0, *epochs], [before, *(right for _, right in curve)], color=COLOURS[0], label="unseen: nearest photo is right"
    )
    panel.set(xlabel="epoch", ylabel="share", ylim=(0, 1), title="Training")
    panel.grid(alpha=0.25)
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(frameon=False, loc="center right")
    figure.savefig(file, dpi=120)


def draw_map(embeddings: Sequence[Tensor], labels: Tensor, right: Sequence[float], file: Path) -> None:
    """Plot unit embeddings `[N, D]` before and after training, each in its own two principal components."""
    figure = Figure((10, 5), layout="constrained")
    for panel, rows, share, when in zip(figure.subplots(1, 2), embeddings, right, ["Before", "After"], strict=True):
        centred = nn.functional.normalize(rows, dim=1)
        centred = centred - centred.mean(0)
        _, singular, directions = torch.linalg.svd(centred, full_matrices=False)
        x, y = (centred @ directions[:2].T).T
        kept = float(singular[:2].square().sum() / singular.square().sum())
        for number, label in enumerate(labels.unique().tolist()):
            mine = labels == label
            panel.scatter(x[mine], y[mine], s=60, color=COLOURS[number], edgecolor="white", linewidth=0.8,
                          label=f"individual {number + 1}")  # fmt: skip
        panel.set(title=f"{when} training: nearest photo right for {share:.0%}", xticks=[], yticks=[], aspect="equal")
        panel.set_xlabel(f"two directions of 32, {kept:.0%} of the spread", color=GREY)
    figure.axes[0].margins(0.1)
    figure.legend(*figure.axes[1].get_legend_handles_labels(), loc="outside lower center", ncols=8, frameon=False,
                  handletextpad=0.1, columnspacing=1)  # fmt: skip
    figure.savefig(file, dpi=120)


def draw_rows(images: Tensor, titles: Sequence[Sequence[str]], right: Tensor | None, title: str, file: Path) -> None:
    """Draw rows of photos `[R, C, 3, H, W]` with titles; `right` `[R, C]` frames them in green or red."""
    rows, columns = images.shape[:2]
    figure = Figure((1.15 * columns + 0.2, 1.35 * rows + 0.45), layout="constrained")
    figure.suptitle(title, fontsize=11)
    panels = figure.subplots(rows, columns, squeeze=False)
    for row in range(rows):
        for column in range(columns):
            panel = panels[row, column]
            panel.imshow(images[row, column].permute(1, 2, 0).numpy())
            panel.set_title(titles[row][column], fontsize=8, pad=3, loc="left" if right is None else "center")
            panel.set(xticks=[], yticks=[])
            framed = right is not None and column > 0
            for spine in panel.spines.values():
                spine.set_visible(framed)
                if framed and right is not None:
                    spine.set(color=GREEN if right[row, column] else RED, linewidth=2.5)
    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    main()
