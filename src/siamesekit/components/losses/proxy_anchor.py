"""Loss `proxy-anchor`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from siamesekit.components.batches import checked_batch
from siamesekit.components.labels import Labels
from siamesekit.components.losses.class_cosines import class_cosines
from siamesekit.components.losses.log_sum_exp import log_one_plus_exp, log_sum_exp
from siamesekit.components.losses.loss import LossValue
from siamesekit.components.tuples import Tuples
from siamesekit.hardware.allocator import refuse_too_many_numbers
from siamesekit.options import Count, NonNegative, Positive
from siamesekit.registry import LOSSES


def proxy_anchor(cosines: Tensor, labels: Tensor, margin: float, alpha: float) -> tuple[Tensor, Tensor]:
    """The pull and push terms of each proxy: `[N, C]`, int64 `[N]` of 0 … C − 1 → `[C]`, `[C]`, each at least 0.

    The pull is log(1 + Σ exp(−alpha (cos − margin))) over the photos of the proxy's individual, the push
    log(1 + Σ exp(alpha (cos + margin))) over all others. Kim et al. 2020 (arXiv:2003.13911), equation 4.
    """
    own = torch.zeros_like(cosines, dtype=torch.bool).scatter_(1, labels[:, None], True)
    pull = log_one_plus_exp(log_sum_exp(-alpha * (cosines - margin), own, dim=0))
    push = log_one_plus_exp(log_sum_exp(alpha * (cosines + margin), ~own, dim=0))
    return pull, push


@LOSSES.register("proxy-anchor")
class ProxyAnchorLoss(nn.Module):
    """Proxy anchor loss: a learned proxy per individual attracts its own photos and repels all others.

    Embeddings `[N, D]`, labels `[N]` of 0 … C − 1 → the mean pull of the proxies whose individual is in the batch, plus
    the mean push of all C proxies; 0 without photos. The loss measures by the cosine; it ignores the run's distance,
    triplets and pairs. Kim et al. 2020 (arXiv:2003.13911).

    The proxies `[C, D]` are initialized as by the authors: normal with variance 2 / C, drawn from torch's global
    generator.

    Args:
        margin: margin of the cosine.
        alpha: sharpness: how much the hardest photos of a proxy outweigh the others.
        embedding_dim: supplied by the run.
        num_classes: supplied by the run.
    """

    __module__ = "siamesekit"

    by_class = True
    measures_by = "cosine"

    def __init__(
        self, margin: NonNegative = 0.1, alpha: Positive = 32.0, *, embedding_dim: Count, num_classes: Count
    ) -> None:
        super().__init__()
        self.margin = margin
        self.alpha = alpha
        refuse_too_many_numbers(num_classes * embedding_dim, "loss 'proxy-anchor'", "the embedding's dimension")
        self.proxies = nn.Parameter(torch.randn(num_classes, embedding_dim) * (2 / num_classes) ** 0.5)

    def forward(self, embeddings: Tensor, labels: Labels, tuples: Tuples | None = None) -> LossValue:
        """The loss of a batch of embeddings `[N, D]` of individuals `[N]`, in float32 or better."""
        embeddings, labels, _ = checked_batch(
            embeddings, labels, tuples, dimensions=self.proxies.shape[1], classes=len(self.proxies)
        )
        pull, push = proxy_anchor(class_cosines(embeddings, self.proxies), labels, self.margin, self.alpha)
        objective = pull.sum() / max(1, len(labels.unique())) + push.mean()
        return LossValue(objective, objective.detach(), ((pull + push).detach() > 0).double().mean())
