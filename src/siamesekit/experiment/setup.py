"""The setup of a run, which all later stages read and none changes."""

from __future__ import annotations

from dataclasses import dataclass

from siamesekit.audit.auditing import Audit
from siamesekit.components.matchers.matcher import Matcher
from siamesekit.config import Config
from siamesekit.experiment.dataset import Dataset
from siamesekit.experiment.prepared_encoder import PreparedEncoder
from siamesekit.hardware.compute import Compute
from siamesekit.model import Encoder
from siamesekit.report.content import StandIn


@dataclass(frozen=True)
class Setup:
    """Config, photos, network and machine of a run.

    Attributes:
        config: the checked config.
        dataset: the photos and their split.
        prepared: the encoder with its weights and their source.
        compute: device and number format.
        matcher: finds the points that are drawn in the report; None if none are.
        audit: what was found in the photos; None if they were not audited.
    """

    config: Config
    dataset: Dataset
    prepared: PreparedEncoder
    compute: Compute
    matcher: Matcher | None = None
    audit: Audit | None = None

    @property
    def encoder(self) -> Encoder:
        """The network that trains."""
        return self.prepared.encoder

    @property
    def stand_ins(self) -> tuple[StandIn, ...]:
        """The stand-ins in use, for data and for weights."""
        both = (self.dataset.stand_in, self.prepared.stand_in)
        return tuple(stand_in for stand_in in both if stand_in is not None)
