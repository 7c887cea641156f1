"""The centres of a loss by class, divided among the processes of a run, as the leader sees them.

Each process holds the centres of a range of the individuals, and moves them by an optimizer of its own. All get the
embeddings of the whole batch, and give what their individuals add to the loss (`softmax_terms`), from which the leader
computes the loss of one process. Its gradient goes back the same way, and the processes' gradients of the embeddings
are added (`tests/engine/ranks/test_dealt_centers.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from siamesekit.components.batches import checked_batch
from siamesekit.components.labels import Labels
from siamesekit.components.losses.loss import LossValue, mean_of
from siamesekit.components.losses.margin_softmax import MarginSoftmaxLoss
from siamesekit.components.losses.softmax_terms import TERMS, losses_of_terms
from siamesekit.components.tuples import Tuples
from siamesekit.engine.ranks.dealt_state import Rows, named, shares_of
from siamesekit.hardware.float32 import at_least_float32
from siamesekit.hardware.ranks import Ranks


class LeadingCenters:
    """The connection to the centres that other processes hold.

    Args:
        ranks: the connection to the other processes, which follow.
        loss: the loss with the centres of all individuals; afterwards it holds the leader's own.
        device: device on which the leader computes.
        decay: decay of the average of the weights; 0 for no average.

    Attributes:
        counts: number of individuals of each process.
        rows: the rows of the centres that each process holds.
    """

    def __init__(self, ranks: Ranks, loss: MarginSoftmaxLoss, device: torch.device, decay: float = 0.0) -> None:
        centers, margins = loss.centers.detach(), loss.margins
        self.ranks = ranks
        self.loss = loss
        self.counts = shares_of(len(centers) // loss.sub_centers, ranks.size)
        self.rows = Rows(ranks, [count * loss.sub_centers for count in self.counts])
        self.order(
            "begin",
            counts=self.counts,
            each=loss.sub_centers,
            dimensions=centers.shape[1],
            dtype=named(centers.dtype),
            margins=margins is not None,
            average=decay,
        )
        own = self.rows.dealt(centers)
        if margins is not None:
            margins = Rows(ranks, self.counts).dealt(margins).to(device)
        ranks.reports()
        loss.hold(own.to(device), margins)

    def order(self, do: str, labels: Tensor | None = None, **values: Any) -> None:
        """Order the others to do something to their centres; their reports are to be taken.

        Args:
            do: what to do.
            labels: individuals of the batch, int64 `[N]`, if it is about one.
            values: further values.
        """
        self.ranks.order("centers", {"do": do, **values}, **({} if labels is None else {"labels": labels}))

    def ordered(self, do: str, **values: Any) -> list[Any]:
        """Order the others to do something to their centres, and wait until it is done; their reports."""
        self.order(do, **values)
        return self.ranks.reports()

    def gathered(self, own: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Tensors of all centres, each `[C · S, D]`, on the CPU, from the leader's own `[n · S, D]`, by name."""
        self.ordered("give", names=list(own))
        return {name: self.rows.gathered(each) for name, each in own.items()}

    def dealt(self, whole: Mapping[str, Tensor], updates: int | None = None) -> dict[str, Tensor]:
        """The leader's own rows of tensors of all centres, each `[C · S, D]`; the others take theirs.

        Args:
            whole: the tensors by name.
            updates: number of updates of the average; None if it stays.

        Raises:
            ValueError: a tensor has another shape than all centres together.
        """
        for name, each in whole.items():
            self.refuse_other_shape(name, each)
        self.order("take", names=list(whole), updates=updates)
        own = {name: self.rows.dealt(each.to(self.loss.centers.dtype)) for name, each in whole.items()}
        self.ranks.reports()
        return own

    def refuse_other_shape(self, name: str, whole: Any) -> None:
        """Refuse what is no tensor of all centres.

        Raises:
            ValueError: it is none.
        """
        shape = self.whole_shape
        if not isinstance(whole, Tensor) or tuple(whole.shape) != shape:
            found = list(whole.shape) if isinstance(whole, Tensor) else type(whole).__name__
            raise ValueError(f"{name}: expected a tensor {list(shape)}, not {found}")

    @property
    def whole_shape(self) -> tuple[int, ...]:
        """The shape `[C · S, D]` of all centres."""
        return sum(self.rows.counts), self.loss.centers.shape[1]


class DealtLoss(nn.Module):
    """A margin-softmax loss whose centres are divided among processes; value and gradients are those of one process.

    Its parameters are the leader's own; its state is that of the loss in one process.

    Args:
        centers: the connection to the centres of the other processes.
    """

    by_class = True
    measures_by = "cosine"

    def __init__(self, centers: LeadingCenters) -> None:
        super().__init__()
        self.own = centers.loss
        self.centers = centers

    def forward(self, embeddings: Tensor, labels: Labels, tuples: Tuples | None = None) -> LossValue:
        """The loss of a batch of embeddings `[N, D]` of individuals `[N]`, in float32 or better."""
        own, counts = self.own, self.centers.counts
        embeddings, labels, _ = checked_batch(
            embeddings, labels, tuples, dimensions=own.centers.shape[1], classes=sum(counts)
        )
        spread: Tensor = _Spread.apply(at_least_float32(embeddings), own.centers, labels, self.centers)
        terms = torch.cat([own.terms(spread, labels)[None], _TermsOfOthers.apply(spread, self.centers)])
        return mean_of(losses_of_terms(terms, [count for count in counts if count], own.smoothing))

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        """The state of the loss in one process: the centres of all individuals, gathered from all processes."""
        return dict(self.centers.gathered({"centers": self.own.centers}))

    def load_state_dict(self, state: Mapping[str, Any], *args: Any, **kwargs: Any) -> None:  # type: ignore[override]
        """Continue from the state of the loss in one process: each process takes its centres.

        Raises:
            ValueError: it is the state of another loss.
        """
        if [*state] != ["centers"]:
            raise ValueError(f"expected a state with centers alone, not with {', '.join(state) or 'nothing'}")
        own = self.centers.dealt({"centers": state["centers"]})["centers"]
        with torch.no_grad():
            self.own.centers.copy_(own)


class _Spread(torch.autograd.Function):
    """Embeddings that are sent to all processes; their gradient is the sum of those of all processes."""

    @staticmethod
    def forward(ctx: Any, embeddings: Tensor, own: Tensor, labels: Tensor, centers: LeadingCenters) -> Tensor:
        """Send embeddings `[N, D]` and labels `[N]`; the others begin to compute.

        Args:
            ctx: PyTorch's context.
            embeddings: the embeddings.
            own: the leader's own centres: with a gradient for them, the others' centres need theirs, too.
            labels: the true individuals.
            centers: the connection.
        """
        ctx.ranks = centers.ranks
        sent = embeddings.detach().contiguous().clone()
        centers.order(
            "terms_of",
            labels,
            shape=list(sent.shape),
            dtype=named(sent.dtype),
            gradient=any(ctx.needs_input_grad),
        )
        return centers.ranks.broadcast(sent)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        """Add the gradients `[N, D]` of all processes."""
        ctx.ranks.reports()
        return ctx.ranks.add_to_leader(gradients[0].contiguous().clone()), None, None, None


class _TermsOfOthers(torch.autograd.Function):
    """What the individuals of the other processes add to the loss (`softmax_terms`), `[W, 4, N]`."""

    @staticmethod
    def forward(ctx: Any, spread: Tensor, centers: LeadingCenters) -> Tensor:
        """Receive the terms for embeddings `[N, D]` that were spread."""
        ctx.centers = centers
        centers.ranks.reports()
        terms = spread.new_empty((len(centers.rows.holding), TERMS, len(spread)))
        for each, rank in zip(terms, centers.rows.holding, strict=True):
            centers.ranks.receive(each, rank)
        return terms

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None]:
        """Send the gradients `[W, 4, N]`; the others go on with theirs while the leader computes its own."""
        centers: LeadingCenters = ctx.centers
        centers.order("backward")
        for each, rank in zip(gradients[0], centers.rows.holding, strict=True):
            centers.ranks.send(each[1:], rank)  # the greatest logit has no gradient
        return None, None
