"""What one process encodes of a batch where each holds a part of the network's weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from siamesekit.engine.chunked_encoding import Chunking
from siamesekit.engine.frozen.stored import Views, pixel_chunk
from siamesekit.engine.frozen.whole_network import stored_for_whole_network
from siamesekit.engine.ranks.share import Share
from siamesekit.engine.ranks.synced_batchnorm import SyncedBatchNorm
from siamesekit.hardware.compute import Compute
from siamesekit.hardware.ranks import Ranks
from siamesekit.model import Encoder

OPTION = "train.shard_encoder"


class ShardedShare(Share):
    """Encodes some of the images by a network that all processes run together, as often as each other.

    A share is encoded in rounds, as many as the largest share takes. A process that has no image left in a round runs
    the network on the first one, whose result does not count. If there are several rounds, the batch is encoded without
    gradient first, and again once the gradient of its features is known (`siamesekit.engine.steps`).

    Args:
        encoder: the whole encoder, which the leader keeps; on a process that follows its weights are still to come.
        images: all images, uint8 `[N, 3, S, S]`.
        views: views of the training photos.
        compute: device and number format.
        ranks: the connection to the other processes.
    """

    merges_lora = False

    def __init__(self, encoder: Encoder, images: Tensor, views: Views | None, compute: Compute, ranks: Ranks) -> None:
        from siamesekit.engine.ranks.sharded_network import ShardedNetwork  # FSDP2, slow to import, is seldom needed

        if ranks.leads:
            encoder.backbone.cpu()
        self.network = ShardedNetwork(encoder, images[:1], compute, ranks)
        super().__init__(self.network.encoder, images, views, compute, ranks)
        self.whole = encoder.backbone if ranks.leads else None
        self.stored = stored_for_whole_network(self.encoder, images, views, compute, OPTION)
        self._chunking, self._in_rounds = Chunking(), True
        self._encode: Callable[[Tensor], Tensor] = lambda images: images
        self._rounds: list[Tensor] = []
        self._held: Tensor | None = None  # the features of a share of one round, with their graph

    @property
    def parameters(self) -> list[nn.Parameter]:
        """This process's parts of the parameters that train."""
        return self.network.trained()

    def takes_part(self, count: int, trains: bool) -> bool:
        """Whether this process has to run the network: always."""
        return True

    def take_weights(self, every: bool) -> None:
        """Take this process's part of the leader's weights, of every one or of those that training changes."""
        self.network.take_weights(self.whole, every)

    def give_gradients(self) -> None:
        """Add the gradients of all processes to those of the leader's weights."""
        self.network.give_gradients(self.whole)

    def begin_training(self, chunking: Chunking, whole: bool, say: Callable[[str], object] | None = None) -> None:
        """Say how the share of a batch is split into rounds, or that it is encoded in one."""
        self._chunking, self._in_rounds = chunking, not whole

    def round_size(self, largest: int) -> int:
        """Most images that each process encodes in a round, if the largest share of a batch has `largest`."""
        in_one = not self._in_rounds or largest <= self._chunking.held
        return largest if in_one else self._chunking.size

    @torch.no_grad()
    def features(self, images: Tensor, largest: int) -> Tensor:
        """Features `[n, F]` of images int64 `[n]`, without gradient; the largest share has `largest` images."""
        assert self.stored is not None
        stored = self.stored
        self.encoder.eval()
        return torch.cat(
            [
                self._of_round(each, lambda chosen: stored.features_of(chosen, self.compute))
                for each in _rounds(images, stored.chunk, largest)
            ]
        )

    @torch.no_grad()
    def view_features(self, photos: Tensor, tta: Sequence[str], largest: int) -> Tensor:
        """Features `[n, V, F]` of the views of photos int64 `[n]`; the largest share has `largest` photos."""
        self.encoder.eval()
        rounds = _rounds(photos, pixel_chunk(self.images), largest)
        return torch.cat([self._of_round(each, lambda chosen: self._of_views(chosen, tta)) for each in rounds])

    def forward(self, images: Tensor, expected: Tensor, epoch: int, largest: int) -> Tensor:
        """Features `[n, F]` of a batch's share, without gradient; `backward` follows.

        Args:
            images: int64 `[n]`, n ≥ 0.
            expected: not used: each process encodes as many rounds as the others.
            epoch: the epoch whose views of the images are used.
            largest: number of images of the largest share.
        """
        stored = self.stored
        assert stored is not None
        self.encoder.train()
        for parameter in self.parameters:
            parameter.grad = None
        self._encode = lambda chosen: stored.features_of(chosen, self.compute, epoch)
        self._rounds = _rounds(images, self.round_size(largest), largest)
        holds = len(self._rounds) == 1 and bool(self.parameters)
        statistics = SyncedBatchNorm(self.ranks) if self.by_batch else nullcontext()
        with statistics, torch.set_grad_enabled(holds):
            found = [self._of_round(each, self._encode) for each in self._rounds]
        self._held = found[0] if holds else None
        if self.whole is not None:
            self.network.give_statistics(self.whole)
        return torch.cat([each.detach() for each in found])

    def rounds_with_gradient(self, needed: Sequence[Tensor]) -> list[int]:
        """The rounds in which an image of any process has a gradient; the first one if none has.

        Args:
            needed: for each process, whether each image of its share has a gradient, bool `[n]`.
        """
        size = self.round_size(max(map(len, needed)))
        return sorted({place // size for each in needed for place in each.nonzero().flatten().tolist()}) or [0]

    def backward(self, gradient: Tensor, moves: bool, rounds: Sequence[int] = ()) -> None:
        """Add the gradients of this process's parts of the parameters.

        Args:
            gradient: gradient of the share's features, `[n, F]`.
            moves: not used: the parameters always get gradients.
            rounds: numbers of the rounds that have a gradient, on any process.
        """
        if not self.parameters:
            return
        held, self._held = self._held, None
        pieces = gradient.split([len(each) for each in self._rounds])
        for number in [0] if held is not None else rounds:
            features = self._of_round(self._rounds[number], self._encode) if held is None else held
            with self.ranks.running_together():
                features.backward(pieces[number])

    def _of_round(self, images: Tensor, encode: Callable[[Tensor], Tensor]) -> Tensor:
        """Features `[n, F]` of images int64 `[n]`, n ≥ 0; the network runs in any case."""
        with self.ranks.running_together():
            if len(images) or self.by_batch:
                return encode(images)
            return encode(torch.zeros(1, dtype=torch.int64))[:0]

    @property
    def by_batch(self) -> bool:
        """Whether the backbone trains by statistics of the batch, in which only the images of the batch may count."""
        return self.encoder.training and self.encoder.batchnorm == "train" and bool(self.parameters)


def share_of(encoder: Encoder, images: Tensor, views: Views | None, compute: Compute, ranks: Ranks) -> Share:
    """A process's share of the images uint8 `[N, 3, S, S]`, with all of the network's weights or a part of each."""
    return (ShardedShare if encoder.sharded else Share)(encoder, images, views, compute, ranks)


def _rounds(images: Tensor, size: int, largest: int) -> list[Tensor]:
    """A share int64 `[n]` in rounds of at most `size`, as many as the largest share takes; the last may be empty."""
    count = -(-largest // size)
    return [images[number * size : (number + 1) * size] for number in range(count)]
