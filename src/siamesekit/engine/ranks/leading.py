"""The team as its leader sees it: shares are dealt, features are gathered, gradients are added.

The leader alone holds the head, the loss with its miner, the sampler, the optimizers and all that is saved. It deals
the images of a batch, and the team gives back the backbone's features of the whole batch, from which the leader
computes the loss exactly as a single process does. The gradient of each image's features goes back to the process
that encoded the image, and the sum over the processes is the gradient of the whole batch. So every loss, miner and
sampler gives on several processes what it gives on one (`tests/engine/ranks/test_team.py`). The centres of some losses
can be divided, too (`siamesekit.engine.ranks.leading_centers`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256

import torch
from torch import Tensor

from siamesekit.engine.chunked_encoding import Chunking
from siamesekit.engine.frozen.stored import FrozenPart, Views, pixel_chunk, selections
from siamesekit.engine.ranks.dealt_state import named
from siamesekit.engine.ranks.share import Share
from siamesekit.engine.ranks.shared_tensors import deal_out
from siamesekit.engine.ranks.weights import trained_tensors

ROUND = 16
"""Chunks that each process encodes at a time without gradient, before features are gathered."""


class LeadingTeam:
    """Several processes that encode images together, of which this one leads.

    Args:
        share: the work of this process, with its connection to the others, which follow
            (`siamesekit.engine.ranks.following`).
    """

    def __init__(self, share: Share) -> None:
        self.ranks = ranks = share.ranks
        self.share = share
        self._dealt: list[Tensor] = []
        self._say: Callable[[str], object] = lambda text: None
        self._whole = False
        self._final = False  # whether the others have the last weights
        ranks.order("weights", {"all": True})
        share.take_weights(every=True)
        ranks.reports()

    def outputs(self, part: FrozenPart, images: Tensor, views: Views | None) -> Iterator[tuple[Tensor, ...]]:
        """The frozen part's outputs for all images and then all views, chunk by chunk.

        Args:
            part: the frozen part.
            images: all images, uint8 `[N, 3, S, S]`.
            views: views of the training photos.
        """
        self.share.part = part
        for photos, view in selections(images, views, pixel_chunk(images) * self.ranks.size):
            shares = self._shares(len(photos))
            self.ranks.order("outputs", {"view": view, **_lengths(shares)}, photos=photos[torch.cat(shares)])
            own = self.share.outputs(photos[shares[0]], view)
            self.ranks.reports()
            yield tuple(self._gathered(each, shares) for each in own)

    def keep(self, kept: Sequence[Tensor] | None) -> None:
        """Give the others the frozen part's outputs, each `[N, …]`; None: the images themselves are stored."""
        self.ranks.order("keep", {"cached": kept is not None, "tensors": len(kept or ())})
        for tensor in kept or ():
            deal_out(self.ranks, tensor)
        self.ranks.order("kept")
        self.ranks.reports()

    def begin_training(self, size: int, held: int, whole: bool, say: Callable[[str], object]) -> None:
        """Say how shares of batches are split into chunks, or that each process encodes its share whole."""
        self._say, self._whole = say, whole
        self.ranks.order("training", {"size": size, "held": held, "whole": whole})
        self.share.begin_training(Chunking(size, held), whole, say)
        self.ranks.reports()

    def features(self, images: Tensor) -> Tensor:
        """Features `[n, F]` of images with indices int64 `[n]`, in inference mode, without gradient."""
        assert self.share.stored is not None
        self._send_weights()
        gathered = []
        for chunk in images.split(ROUND * self.share.stored.chunk * self.ranks.size):
            shares = self._shares(len(chunk))
            self.ranks.order("features", _lengths(shares), images=chunk[torch.cat(shares)])
            own = self.share.features(chunk[shares[0]], len(shares[0]))
            self.ranks.reports()
            gathered.append(self._gathered(own, shares))
        return torch.cat(gathered)

    @torch.no_grad()
    def view_features(self, photos: Tensor, tta: Sequence[str]) -> Iterator[Tensor]:
        """Features of the V views of photos int64 `[n]`, in inference mode: `[m, V, F]` of some photos at a time.

        Args:
            photos: indices into all images.
            tta: views of each photo in addition to the photo itself.
        """
        self._send_weights()
        for chunk in photos.split(ROUND * pixel_chunk(self.share.images) * self.ranks.size):
            shares = self._shares(len(chunk))
            self.ranks.order("views", {"tta": list(tta), **_lengths(shares)}, images=chunk[torch.cat(shares)])
            own = self.share.view_features(chunk[shares[0]], tta, len(shares[0]))
            self.ranks.reports()
            yield self._gathered(own, shares)

    def forward(self, images: Tensor, expected: Tensor, epoch: int) -> Tensor:
        """Features `[n, F]` of a batch in training mode, without gradient; `backward` follows for the same batch.

        Images that are expected to get a gradient are dealt first, since they are the most work.
        """
        order = expected.long().argsort(descending=True, stable=True)
        self._dealt = shares = [order[each] for each in self._shares(len(images))]
        self._send_weights()
        together = torch.cat(shares)
        values = {"epoch": epoch, "seed": _seed() if self._whole else None, **_lengths(shares)}
        self.ranks.order("forward", values, images=images[together], expected=expected[together])
        own = self.share.forward(images[shares[0]], expected[shares[0]], epoch, len(shares[0]))
        self._heed(self.ranks.reports())
        return self._gathered(own, shares)

    def backward(self, gradient: Tensor) -> Tensor:
        """Add the gradients of the backbone's parameters, for the gradient `[n, F]` of the features.

        Returns:
            Whether each image has a gradient, bool `[n]`.
        """
        needed = (gradient != 0).any(dim=1).cpu()
        if not self.share.parameters:
            return needed
        shares = self._dealt
        rounds = self.share.rounds_with_gradient([needed[each] for each in shares])
        values = {"dtype": named(gradient.dtype), "width": gradient.shape[1], "rounds": rounds}
        self.ranks.order("backward", values)
        for rank in self.ranks.others:
            if len(shares[rank]):
                self.ranks.send(gradient[shares[rank].to(gradient.device)], rank)
        self.share.backward(gradient[shares[0].to(gradient.device)], not bool(needed.any()), rounds)
        self._heed(self.ranks.reports())
        self.share.give_gradients()
        return needed

    def merge_lora(self) -> None:
        """Let the other processes merge LoRA into their weights, as they are now; this process does it by itself."""
        self._send_weights()
        if not self.share.merges_lora:
            self._final = True
            return
        self.ranks.order("merge")
        self.ranks.reports()

    def _shares(self, count: int) -> list[Tensor]:
        """`count` places dealt to the ranks in turn, each int64; rank 0 always gets one."""
        return [torch.arange(count)[rank :: self.ranks.size] for rank in range(self.ranks.size)]

    def _gathered(self, own: Tensor, shares: Sequence[Tensor]) -> Tensor:
        """All rows `[n, …]` from this process's own and those that the others send."""
        whole = own.new_empty((sum(map(len, shares)), *own.shape[1:]))
        whole[shares[0].to(own.device)] = own
        for rank in self.ranks.others:
            if len(shares[rank]):
                theirs = self.ranks.receive(own.new_empty((len(shares[rank]), *own.shape[1:])), rank)
                whole[shares[rank].to(own.device)] = theirs
        return whole

    def _send_weights(self) -> None:
        """Give the others the weights as they are now."""
        if not self._final and trained_tensors(self.share.encoder):
            self.ranks.order("weights", {"all": False})
            self.share.take_weights(every=False)
            self.ranks.reports()

    def _heed(self, reports: Sequence[list[str] | None]) -> None:
        for rank, said in zip(self.ranks.others, reports, strict=True):
            for text in said or ():
                self._say(f"rank {rank} on {self.ranks.host_of(rank)}: {text}")


def _lengths(shares: Sequence[Tensor]) -> dict[str, list[int]]:
    return {"lengths": [len(share) for share in shares]}


def _seed() -> int:
    """A seed for the other processes' random numbers, from the state of this process's generator, which stays."""
    return int.from_bytes(sha256(torch.get_rng_state().numpy().tobytes()).digest()[:6])
