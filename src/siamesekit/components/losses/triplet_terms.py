"""The losses of the triplets of an anchor, as a matrix of its K positives by its n negatives, with their derivatives.

The soft hinge takes an exponential per distance, not per triplet, since exp(d_ap − d_an) = exp(d_ap) · exp(−d_an), and
with `swap`, exp(−min(d_an, d_pn)) = max(exp(−d_an), exp(−d_pn)). The logarithms of several triplets are that of one
product, and no small loss is lost in it: (1 + y)(1 + z) = 1 + (y + z + yz).
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from siamesekit.components.losses.batch_all import Mining
from siamesekit.components.losses.enumerated import Enumerated
from siamesekit.components.losses.log_sum_exp import log_one_plus_exp

SPREAD = 80.0
"""Largest difference of distances plus margin for which exponentials are factored: exp(80) is finite in float32."""
HALVINGS = 3
"""How often the number of logarithms is halved at most."""
MULTIPLE = 1 << HALVINGS
"""Buffers have room for a number of triplets that is rounded up to a multiple of this."""


class TripletTerm(NamedTuple):
    """The loss of a triplet, as the options of `TripletLoss`."""

    margin: float
    mining: Mining
    hinge: Literal["linear", "squared", "soft"]


class Directly:
    """Any hinge and mining, from the distances.

    Attributes:
        slope: `[K, n]`, the derivatives by d_ap of the anchor that was computed last.
        spare: `[K, n]`, memory that the next anchor overwrites.
    """

    slope: Tensor
    spare: Tensor

    def __init__(self, term: TripletTerm, d_an: Tensor, buffers: Tensor) -> None:
        """Set the distances of A anchors from their n negatives, `[A, n]`, and two buffers for K n triplets."""
        self.term, self.negative, self.buffers = term, d_an.unbind(), buffers
        self.photos = d_an.new_ones(d_an.shape[1])

    def start(self, d_ap: Tensor, d_pn: Tensor | None) -> None:
        """Begin with K positives.

        Args:
            d_ap: `[A, K]`; a positive at −∞ does not count.
            d_pn: `[K, n]`; None without `swap`.
        """
        shape = (d_ap.shape[1], len(self.photos))
        self.slope, self.spare = self.buffers[:2, : shape[0] * shape[1]].view(2, *shape)
        self.other, self.positive = d_pn, d_ap[:, :, None].unbind()
        self.threshold = (d_ap + self.term.margin)[:, :, None].unbind()
        self.total, self.active = d_ap.new_zeros(2, shape[0])
        every = self.term.mining == "all"
        self.triplets = (d_ap > -torch.inf).sum() * shape[1] if every else d_ap.new_zeros((), dtype=torch.int64)

    def compute(self, anchor: int) -> None:
        """Compute the triplets of an anchor."""
        negative, slope = self.negative[anchor], self.slope
        nearest = negative if self.other is None else torch.minimum(self.other, negative, out=slope)
        admitted = None
        if self.term.mining == "hard":
            admitted = nearest <= self.positive[anchor]
        elif self.term.mining == "semi-hard":
            admitted = (self.positive[anchor] < nearest) & (nearest < self.threshold[anchor])
        violation = torch.sub(self.threshold[anchor], nearest, out=slope)
        if self.term.hinge == "soft":
            losses = self.spare.copy_(log_one_plus_exp(violation))
            slope.sigmoid_()
        elif self.term.hinge == "linear":
            losses = violation.clamp_min_(0)
        else:
            losses = torch.square(violation.clamp_min_(0), out=self.spare)
            slope.mul_(2)
        if admitted is not None:
            losses.masked_fill_(~admitted, 0)
            slope.masked_fill_(~admitted, 0)
            self.triplets += admitted.sum()
        self.total.addmv_(losses, self.photos)
        self.active.addmv_(losses.sign_(), self.photos)  # the slope of the linear hinge

    def add_to(self, found: Enumerated) -> None:
        """Add the figures of the anchors that were computed."""
        found.total += self.total.sum(dtype=torch.float64)
        found.triplets += self.triplets
        found.active += self.active.sum(dtype=torch.float64).long()


class Factors(NamedTuple):
    """How the exponentials of the soft hinge are factored.

    Attributes:
        margin: margin of the loss.
        centre: distance whose exponential is 1.
        halvings: how often the number of logarithms is halved.
    """

    margin: float
    centre: float
    halvings: int

    @classmethod
    def of(cls, distances: Tensor, term: TripletTerm) -> Factors | None:
        """The factors for distances `[…]`; None if they are too far apart, or for another loss."""
        if term.hinge != "soft" or term.mining != "all" or not distances.numel():
            return None
        least, greatest = torch.stack(distances.aminmax()).tolist()
        if not (spread := greatest - least + term.margin) <= SPREAD:
            return None
        finite = math.log(torch.finfo(distances.dtype).max) / (spread + 1)  # number of factors of a finite product
        return cls(term.margin, (least + greatest) / 2, min(HALVINGS, int(math.log2(finite))))

    def positive(self, d_ap: Tensor) -> Tensor:
        """exp(d_ap + margin), up to a common factor: `[…]` → `[…]`."""
        return (d_ap + (self.margin - self.centre)).exp_()

    def negative(self, d: Tensor) -> Tensor:
        """exp(−d_an) or exp(−d_pn), up to a common factor: `[…]` → `[…]`."""
        return (self.centre - d).exp_()


class Factored:
    """The soft hinge from exponentials: log(1 + y), whose slope is y / (1 + y); attributes as of `Directly`."""

    slope: Tensor
    spare: Tensor

    def __init__(self, factors: Factors, d_an: Tensor, buffers: Tensor) -> None:
        """Set the distances of A anchors from their n negatives, `[A, n]`, and three buffers for K n triplets."""
        self.factors, self.negative, self.buffers = factors, factors.negative(d_an).unbind(), buffers

    def start(self, d_ap: Tensor, d_pn: Tensor | None) -> None:
        """Begin with K positives.

        Args:
            d_ap: `[A, K]`; a positive at −∞ does not count.
            d_pn: `[K, n]`; None without `swap`.
        """
        shape, parts = (d_ap.shape[1], len(self.negative[0])), 1 << self.factors.halvings
        self.positive = self.factors.positive(d_ap)[:, :, None].unbind()
        self.other = None if d_pn is None else self.factors.negative(d_pn)
        size = shape[0] * shape[1]
        whole = -(-size // parts) * parts
        self.slope, self.spare = self.buffers[:2, :size].view(2, *shape)
        self.buffers[0, size:whole] = 0  # log(1 + 0) = 0
        self.products = d_ap.new_zeros(len(d_ap), whole // parts)
        self.counted = (d_ap > -torch.inf).sum() * shape[1]
        self.halved: list[tuple[Tensor, Tensor, Tensor]] = []
        self.product = self.buffers[0, :whole]
        for halving in range(self.factors.halvings):
            a, b = self.product.view(2, -1)
            self.product = self.buffers[1 + halving % 2, : len(a)]
            self.halved.append((a, b, self.product))

    def compute(self, anchor: int) -> None:
        """Compute the triplets of an anchor."""
        negative, y = self.negative[anchor], self.slope
        nearest = negative if self.other is None else torch.maximum(self.other, negative, out=y)
        torch.mul(nearest, self.positive[anchor], out=y)
        for a, b, product in self.halved:
            torch.add(a, b, out=product).addcmul_(a, b)
        self.products[anchor] = self.product
        y.div_(torch.add(y, 1, out=self.spare))

    def add_to(self, found: Enumerated) -> None:
        """Add the figures of the anchors that were computed."""
        found.total += self.products.log1p_().sum(dtype=torch.float64)
        found.triplets += self.counted
        found.active += self.counted
