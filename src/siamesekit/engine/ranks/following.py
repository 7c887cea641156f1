"""A process that follows: it carries out the leader's orders until the leader ends the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from siamesekit.components.encoders.lora import merge_lora
from siamesekit.engine.chunked_encoding import Chunking
from siamesekit.engine.frozen.prefix import frozen_part, stored_images, stored_outputs
from siamesekit.engine.random_state import seed_all
from siamesekit.engine.ranks.following_centers import FollowingCenters
from siamesekit.engine.ranks.share import Share
from siamesekit.engine.ranks.shared_tensors import get_dealt
from siamesekit.hardware.ranks import LEADER, LostRankError


def follow(share: Share, centers: FollowingCenters | None = None) -> None:
    """Carry out the leader's orders until it ends the run.

    Args:
        share: the work of this process, with its connection to the leader.
        centers: the centres of the loss that this process holds; None if the leader holds all.

    Raises:
        LostRankError: the leader, or the connection to it, is lost.
    """
    ranks, follower = share.ranks, _Follower(share, centers)
    while True:
        kind, values, numbers = ranks.next_order()
        if kind == "end":
            return
        try:
            follower.carry_out(kind, values, numbers)
        except LostRankError:
            raise
        except Exception as error:
            ranks.fail(f"{type(error).__name__}: {error}")
            raise


Values = Mapping[str, Any]


class _Follower:
    """The orders of the leader, one method each."""

    def __init__(self, share: Share, centers: FollowingCenters | None) -> None:
        self.ranks = share.ranks
        self.centers = centers
        self.share = share
        self._count = 0  # images of this process's share of the batch

    def carry_out(self, kind: str, values: Values, numbers: dict[str, Tensor]) -> None:
        """Carry out one order."""
        getattr(self, f"_{kind}")(values, numbers)

    def _weights(self, values: Values, numbers: dict[str, Tensor]) -> None:
        self.share.take_weights(bool(values["all"]))
        self.ranks.report()

    def _outputs(self, values: Values, numbers: dict[str, Tensor]) -> None:
        if self.share.part is None:
            self.share.part = frozen_part(self.share.encoder, self.share.compute)
        own = self._own(values, numbers["photos"])
        outputs = self.share.outputs(own, values["view"]) if len(own) else ()
        self.ranks.report()
        for each in outputs:
            self.ranks.send(each, LEADER)

    def _keep(self, values: Values, numbers: dict[str, Tensor]) -> None:
        share = self.share
        encoder, images, views, compute = share.encoder, share.images, share.views, share.compute
        if values["cached"]:
            part = share.part or frozen_part(encoder, compute)
            kept = [get_dealt(self.ranks) for _ in range(values["tensors"])]
            share.stored = stored_outputs(encoder, images, views, compute, part, kept)
        else:
            share.stored = stored_images(encoder, images, views, compute, "the leader stores images")
        self.ranks.next_order()
        encoder.eval()
        self.ranks.report()

    def _merge(self, values: Values, numbers: dict[str, Tensor]) -> None:
        merge_lora(self.share.encoder.backbone.network)
        self.ranks.report()

    def _training(self, values: Values, numbers: dict[str, Tensor]) -> None:
        self.share.begin_training(Chunking(values["size"], values["held"]), bool(values["whole"]))
        self.ranks.report()

    def _features(self, values: Values, numbers: dict[str, Tensor]) -> None:
        self._answer(values, numbers, self.share.features)

    def _views(self, values: Values, numbers: dict[str, Tensor]) -> None:
        self._answer(values, numbers, lambda photos, largest: self.share.view_features(photos, values["tta"], largest))

    def _answer(self, values: Values, numbers: dict[str, Tensor], features_of: Callable[[Tensor, int], Tensor]) -> None:
        """Send the leader features of this process's share, by its photos and the length of the largest share."""
        own = self._own(values, numbers["images"])
        self.share.encoder.eval()
        takes_part = self.share.takes_part(len(own), trains=False)
        features = features_of(own, max(values["lengths"])) if takes_part else None
        self.ranks.report()
        if features is not None and len(own):
            self.ranks.send(features, LEADER)

    def _forward(self, values: Values, numbers: dict[str, Tensor]) -> None:
        own, expected = self._own(values, numbers["images"]), self._own(values, numbers["expected"]).bool()
        self.share.encoder.train()
        if values["seed"] is not None:
            seed_all(values["seed"], f"rank {self.ranks.place.rank}")
        for parameter in self.share.parameters:
            parameter.grad = None
        self._count = len(own)
        features = None
        if self.share.takes_part(len(own), trains=True):
            features = self.share.forward(own, expected, values["epoch"], max(values["lengths"]))
        self._report_what_was_said()
        if features is not None and len(own):
            self.ranks.send(features, LEADER)

    def _backward(self, values: Values, numbers: dict[str, Tensor]) -> None:
        if self.share.takes_part(self._count, trains=True):
            shape, device = (self._count, values["width"]), self.share.compute.device
            gradient = torch.empty(shape, dtype=getattr(torch, values["dtype"]), device=device)
            if self._count:
                self.ranks.receive(gradient, LEADER)
            self.share.backward(gradient, False, values["rounds"])
        self._report_what_was_said()
        self.share.give_gradients()

    def _centers(self, values: Values, numbers: dict[str, Tensor]) -> None:
        assert self.centers is not None
        self.centers.carry_out(values, numbers)

    def _report_what_was_said(self) -> None:
        said, self.share.said[:] = list(self.share.said), []
        self.ranks.report(said)

    def _own(self, values: Values, numbers: Tensor) -> Tensor:
        """This process's part of what is dealt to all ranks."""
        own: Tensor = numbers.split(values["lengths"])[self.ranks.place.rank]
        return own
