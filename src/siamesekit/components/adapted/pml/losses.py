"""Losses `pml/*`: the losses of pytorch-metric-learning."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from pytorch_metric_learning.losses import BaseMetricLossFunction
from torch import Tensor, nn

from siamesekit.components.adapted.pml.bridge import as_theirs, construct, seeded
from siamesekit.components.batches import checked_batch
from siamesekit.components.labels import Labels
from siamesekit.components.losses.loss import LossValue
from siamesekit.components.tuples import Tuples, by_individual
from siamesekit.errors import ComponentError
from siamesekit.hardware.float32 import at_least_float32
from siamesekit.registry import LOSSES
from siamesekit.registry.adapted.pml import Facts, facts
from siamesekit.registry.construction import member_repr


class PmlLoss(nn.Module):
    """A loss of pytorch-metric-learning: embeddings `[N, D]`, individuals `[N]`, triplets or pairs → `LossValue`.

    The reported mean is the loss itself. The active share is the share of terms above 0, or NaN for losses that do not
    expose their terms.

    Args:
        module: the loss of pytorch-metric-learning.
        known: facts about its class.
    """

    def __init__(self, module: nn.Module, known: Facts) -> None:
        super().__init__()
        self.module = module
        self.by_class = known.by_class
        self.takes_tuples = known.takes_tuples
        self.known = known
        self.embedding_dim = self.num_classes = 0  # the sizes that the loss requires; 0 for any
        self._shares: list[Tensor] | None = None  # set only during a call; a nested loss is never called directly
        self._in_order = any(type(part).__name__ == "SmoothAPLoss" for part in module.modules())
        for part in module.modules():
            reducer = getattr(part, "reducer", None)
            if isinstance(reducer, nn.Module) and isinstance(part, BaseMetricLossFunction):
                reducer.register_forward_pre_hook(self._see_terms)

    __repr__ = member_repr

    def forward(self, embeddings: Tensor, labels: Labels, tuples: Tuples | None = None) -> LossValue:
        """The loss of embeddings `[N, D]` of individuals `[N]`, in float32 or better, as some losses require.

        In `eval()` mode the state of the loss does not change, and a memory is not used.
        """
        classes = self._classes()
        lasting = classes is not None or any(
            type(part).__name__ == "CrossBatchMemory" for part in self.module.modules()
        )
        embeddings, individuals, tuples = checked_batch(
            embeddings,
            labels,
            tuples,
            dimensions=self.embedding_dim or None,
            classes=classes,
            lasting="the loss depends on individuals of other batches" if lasting else "",
        )
        if not lasting:  # some losses count the photos of each label from 0
            individuals = individuals.unique(return_inverse=True)[1]
        embeddings = at_least_float32(embeddings)
        shares: list[Tensor] = []
        before = None if self.training else self._kept()
        self._shares = shares
        try:
            with seeded():
                value = self._value(embeddings, individuals, tuples)
        finally:
            self._shares = None
        if before is not None:
            self._put_back(*before)
        objective = value.sum() + 0 * embeddings.sum()  # a scalar with a gradient even without terms
        active = torch.cat(shares).double().mean() if shares else torch.tensor(torch.nan)
        return LossValue(objective, objective.detach(), active)

    def _classes(self) -> int | None:
        """The number of individuals for which the loss or its reducers have parameters; None if for none."""
        held = [self.num_classes] if self.by_class and self.num_classes else []
        part: Any
        for part in self.module.modules():
            if type(part).__name__ == "ClassWeightedReducer":
                held.append(len(part.weights))
            if type(part).__name__ == "MarginLoss" and len(part.beta) > 1:
                held.append(len(part.beta))
        return min(held, default=None)

    def _value(self, embeddings: Tensor, labels: Tensor, tuples: Tuples | None) -> Tensor:
        module: Any = self.module
        if self._in_order:
            # SmoothAPLoss of 2.9 assumes that the photos of an individual are consecutive, and that there are as many
            # individuals as photos of each. On any other batch its value would silently be wrong.
            sizes = labels.unique(return_counts=True)[1]
            if not bool((sizes == len(sizes)).all()):
                raise ComponentError(
                    f"smooth-ap of pytorch-metric-learning needs batches of n individuals with n photos each, "
                    f"not of individuals with {sizes.tolist()} photos"
                )
            order = labels.argsort(stable=True)
            embeddings, labels = embeddings.index_select(0, order), labels[order]
            tuples = tuples and type(tuples)(*(order.argsort()[index] for index in tuples))
        if self.known.two_views:
            first, second = two_views(labels)
            if len(first) < 2:
                return embeddings.sum() * 0
            value: Tensor = module(embeddings.index_select(0, first), ref_emb=embeddings.index_select(0, second))
        elif self.known.name == "ManifoldLoss":
            value = module(embeddings, indices_tuple=labels)
        else:
            if self.known.name == "CrossBatchMemory" and not self.training:
                module = module.loss
            value = module(embeddings, labels, as_theirs(tuples) if self.takes_tuples else None)
        return value

    def _see_terms(self, _: nn.Module, inputs: tuple[Any, ...]) -> None:
        """Record which terms of a loss are above 0 when its reducer receives them, without those of regularizers."""
        if self._shares is None:
            return
        for name, info in inputs[0].items():
            terms = info["losses"]
            own = not name.endswith("reg_loss") and info["reduction_type"] != "already_reduced"
            if isinstance(terms, Tensor) and own:
                self._shares.append(terms.detach().flatten() > 0)

    def get_extra_state(self) -> dict[str, Any]:
        """The state of the modules beside parameters and buffers: counters, pointers, running statistics."""
        state: dict[str, Any] = {}
        for name, key, value in self._plain_state():
            if isinstance(value, np.generic):  # weights_only refuses NumPy scalars
                value = value.item()
            state[f"{name}:{key}"] = value.clone() if isinstance(value, Tensor) else value
        return state

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restore the state from `get_extra_state`."""
        parts = dict(self.module.named_modules())
        for place, value in state.items():
            name, _, key = place.rpartition(":")
            setattr(parts[name], key, value.clone() if isinstance(value, Tensor) else value)

    def _kept(self) -> tuple[dict[str, Any], list[Tensor]]:
        return self.get_extra_state(), [tensor.detach().clone() for tensor in (*self.parameters(), *self.buffers())]

    def _put_back(self, state: dict[str, Any], tensors: list[Tensor]) -> None:
        """Restore the state from `_kept`: remove attributes that a call added, and restore weights that it scaled."""
        parts = dict(self.module.named_modules())
        for name, key, _ in list(self._plain_state()):
            if f"{name}:{key}" not in state:
                delattr(parts[name], key)
        self.set_extra_state(state)
        for tensor, before in zip((*self.parameters(), *self.buffers()), tensors, strict=True):
            tensor.data = before

    def _plain_state(self) -> Iterator[tuple[str, str, Any]]:
        for name, part in self.module.named_modules():
            for key, value in vars(part).items():
                if not key.startswith("_") and key != "training" and isinstance(value, Tensor | int | float | bool):
                    yield name, key, value


def two_views(labels: Tensor) -> tuple[Tensor, Tensor]:
    """The first two photos of each individual, for losses of two views: int64 `[N]` → `[I]`, `[I]`.

    Individuals with a single photo are left out.
    """
    order, start, size = by_individual(labels)
    photos = torch.arange(len(labels), device=labels.device)
    first = photos[(order[start] == photos) & (size > 1)]
    return first, order[start[first] + 1]


@LOSSES.register("pml/*", members="siamesekit.registry.adapted.pml:losses")
def pml_loss(*, model: str, options: dict[str, Any], embedding_dim: int = 0, num_classes: int = 0) -> PmlLoss:
    """The losses of pytorch-metric-learning by name: embeddings `[N, D]`, individuals `[N]` → a scalar.

    Each loss uses its default distance or `[loss.distance]`, which may be any distance of siamesekit; the run's
    distance is used for evaluation, but not passed to the loss. `num_classes` (training individuals) and
    `embedding_size` are supplied. Losses of two views (`vicreg`, `self-supervised`) get the first two photos of each
    individual. `multiple` may have one `pml/` miner per loss, in `[[loss.miners]]`.
    """
    known = facts("losses", model)
    if known.by_class and num_classes < 1:
        raise ComponentError(f"loss 'pml/{model}' needs num_classes, which is not there")
    of_width = {"embedding_size", "descriptors_dim", "l"} & set(known.runtime)
    if of_width and embedding_dim < 1:
        raise ComponentError(f"loss 'pml/{model}' needs embedding_dim, which is not there")
    if (miners := options.get("miners")) and len(miners) != len(options["losses"]):
        raise ComponentError(
            f"pml/{model}: {len(miners)} miners for {len(options['losses'])} losses: give one miner per loss, or none"
        )
    module = construct("losses", model, options, embedding_dim=embedding_dim, num_classes=num_classes)
    loss = PmlLoss(module, known)
    loss.num_classes, loss.embedding_dim = num_classes, embedding_dim if of_width else 0
    inner = [
        each
        for value in options.values()
        for each in (value if isinstance(value, list) else [value])
        if isinstance(each, PmlLoss)
    ]
    loss.by_class = loss.by_class or any(each.by_class for each in inner)
    loss.takes_tuples = loss.takes_tuples and not miners and all(each.takes_tuples for each in inner)
    return loss
