"""siamesekit: metric learning by composition.

Encoders, distances, losses, samplers, miners, readers, augmentations and optimizers are plain callables in registries;
a run is a composition of them in a TOML file. The public names below are loaded when they are first used, so importing
the package does not import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what a type checker sees; `_PUBLIC` is what runs, and a test holds them equal
    from siamesekit.artifact import Comparison as Comparison
    from siamesekit.artifact import SimilarityModel as SimilarityModel
    from siamesekit.artifact import load as load
    from siamesekit.config import Config as Config
    from siamesekit.config import load_config as load_config
    from siamesekit.data.augmentations.augmentation import Augmentation as Augmentation
    from siamesekit.data.augmentations.crop import Crop as Crop
    from siamesekit.data.augmentations.flip import Flip as Flip
    from siamesekit.data.augmentations.photo_id import PhotoId as PhotoId
    from siamesekit.data.augmentations.sequence import AugmentationSequence as AugmentationSequence
    from siamesekit.data.readers.csv import read_csv as read_csv
    from siamesekit.data.readers.folder import read_folder as read_folder
    from siamesekit.data.records import Record as Record
    from siamesekit.data.samplers.all_pairs import AllPairsSampler as AllPairsSampler
    from siamesekit.data.samplers.batch import Batch as Batch
    from siamesekit.data.samplers.batch import Sampler as Sampler
    from siamesekit.data.samplers.hierarchical import HierarchicalSampler as HierarchicalSampler
    from siamesekit.data.samplers.mined import MinedSampler as MinedSampler
    from siamesekit.data.samplers.p_by_k import PByKSampler as PByKSampler
    from siamesekit.data.samplers.random_triplets import RandomTripletsSampler as RandomTripletsSampler
    from siamesekit.distances.cosine import Cosine as Cosine
    from siamesekit.distances.distance import Distance as Distance
    from siamesekit.distances.distance import pairwise as pairwise
    from siamesekit.distances.dot import Dot as Dot
    from siamesekit.distances.euclidean import Euclidean as Euclidean
    from siamesekit.distances.manhattan import Manhattan as Manhattan
    from siamesekit.distances.squared_euclidean import SquaredEuclidean as SquaredEuclidean
    from siamesekit.doctor import diagnose as diagnose
    from siamesekit.encoders.backbone import Backbone as Backbone
    from siamesekit.encoders.xception import xception as xception
    from siamesekit.errors import ArtifactError as ArtifactError
    from siamesekit.errors import ComponentError as ComponentError
    from siamesekit.errors import ConfigError as ConfigError
    from siamesekit.errors import DataError as DataError
    from siamesekit.errors import MissingDataError as MissingDataError
    from siamesekit.errors import MissingWeightsError as MissingWeightsError
    from siamesekit.errors import OutputError as OutputError
    from siamesekit.errors import PluginError as PluginError
    from siamesekit.errors import RunError as RunError
    from siamesekit.errors import SiamesekitError as SiamesekitError
    from siamesekit.errors import UserError as UserError
    from siamesekit.errors import WeightsError as WeightsError
    from siamesekit.experiment import RunResult as RunResult
    from siamesekit.experiment import check as check
    from siamesekit.experiment import run as run
    from siamesekit.losses.arcface import ArcFaceLoss as ArcFaceLoss
    from siamesekit.losses.contrastive import ContrastiveLoss as ContrastiveLoss
    from siamesekit.losses.cross_batch_memory import CrossBatchMemory as CrossBatchMemory
    from siamesekit.losses.info_nce import InfoNCELoss as InfoNCELoss
    from siamesekit.losses.loss import Loss as Loss
    from siamesekit.losses.loss import LossValue as LossValue
    from siamesekit.losses.loss import mean_of as mean_of
    from siamesekit.losses.multi_similarity import MultiSimilarityLoss as MultiSimilarityLoss
    from siamesekit.losses.proxy_anchor import ProxyAnchorLoss as ProxyAnchorLoss
    from siamesekit.losses.triplet import TripletLoss as TripletLoss
    from siamesekit.miners.all import AllTripletsMiner as AllTripletsMiner
    from siamesekit.miners.batch_hard import BatchHardMiner as BatchHardMiner
    from siamesekit.miners.distance_weighted import DistanceWeightedMiner as DistanceWeightedMiner
    from siamesekit.miners.easy_positive import EasyPositiveMiner as EasyPositiveMiner
    from siamesekit.miners.miner import Miner as Miner
    from siamesekit.miners.semi_hard import SemiHardMiner as SemiHardMiner
    from siamesekit.model import DistanceLayer as DistanceLayer
    from siamesekit.model import Encoder as Encoder
    from siamesekit.model import SiameseNetwork as SiameseNetwork
    from siamesekit.optimizers.adam import adam as adam
    from siamesekit.optimizers.adamw import adamw as adamw
    from siamesekit.optimizers.keras_adam import KerasAdam as KerasAdam
    from siamesekit.optimizers.keras_adam import keras_adam as keras_adam
    from siamesekit.optimizers.sgd import sgd as sgd
    from siamesekit.planning import Plan as Plan
    from siamesekit.plugins import load_plugin_file as load_plugin_file
    from siamesekit.progress import Progress as Progress
    from siamesekit.randomness import Streams as Streams
    from siamesekit.registry import AUGMENTATIONS as AUGMENTATIONS
    from siamesekit.registry import DISTANCES as DISTANCES
    from siamesekit.registry import ENCODERS as ENCODERS
    from siamesekit.registry import LOSSES as LOSSES
    from siamesekit.registry import MINERS as MINERS
    from siamesekit.registry import OPTIMIZERS as OPTIMIZERS
    from siamesekit.registry import READERS as READERS
    from siamesekit.registry import REDUCERS as REDUCERS
    from siamesekit.registry import REGULARIZERS as REGULARIZERS
    from siamesekit.registry import SAMPLERS as SAMPLERS
    from siamesekit.registry import SCHEDULES as SCHEDULES
    from siamesekit.registry import Registry as Registry
    from siamesekit.retrieval import Neighbours as Neighbours
    from siamesekit.retrieval import nearest as nearest
    from siamesekit.schedules.exponential import ExponentialSchedule as ExponentialSchedule
    from siamesekit.schedules.schedule import Schedule as Schedule
    from siamesekit.schedules.step import StepSchedule as StepSchedule
    from siamesekit.schedules.warmup_cosine import WarmupCosineSchedule as WarmupCosineSchedule
    from siamesekit.schedules.warmup_linear import WarmupLinearSchedule as WarmupLinearSchedule
    from siamesekit.triplets import Pairs as Pairs
    from siamesekit.triplets import Triplets as Triplets
    from siamesekit.triplets import Tuples as Tuples
    from siamesekit.triplets import as_pairs as as_pairs
    from siamesekit.triplets import as_triplets as as_triplets
    from siamesekit.triplets import count_triplets as count_triplets
    from siamesekit.triplets import positives_of as positives_of

__version__ = "0.1.0"

_PUBLIC = {
    "AUGMENTATIONS": "registry",
    "AllPairsSampler": "data.samplers.all_pairs",
    "AllTripletsMiner": "miners.all",
    "ArcFaceLoss": "losses.arcface",
    "ArtifactError": "errors",
    "Augmentation": "data.augmentations.augmentation",
    "AugmentationSequence": "data.augmentations.sequence",
    "Backbone": "encoders.backbone",
    "Batch": "data.samplers.batch",
    "BatchHardMiner": "miners.batch_hard",
    "Comparison": "artifact",
    "ComponentError": "errors",
    "Config": "config",
    "ConfigError": "errors",
    "ContrastiveLoss": "losses.contrastive",
    "Cosine": "distances.cosine",
    "Crop": "data.augmentations.crop",
    "CrossBatchMemory": "losses.cross_batch_memory",
    "DISTANCES": "registry",
    "DataError": "errors",
    "Distance": "distances.distance",
    "DistanceLayer": "model",
    "DistanceWeightedMiner": "miners.distance_weighted",
    "Dot": "distances.dot",
    "ENCODERS": "registry",
    "EasyPositiveMiner": "miners.easy_positive",
    "Encoder": "model",
    "Euclidean": "distances.euclidean",
    "ExponentialSchedule": "schedules.exponential",
    "Flip": "data.augmentations.flip",
    "HierarchicalSampler": "data.samplers.hierarchical",
    "InfoNCELoss": "losses.info_nce",
    "KerasAdam": "optimizers.keras_adam",
    "LOSSES": "registry",
    "Loss": "losses.loss",
    "LossValue": "losses.loss",
    "MINERS": "registry",
    "Manhattan": "distances.manhattan",
    "MinedSampler": "data.samplers.mined",
    "Miner": "miners.miner",
    "MissingDataError": "errors",
    "MissingWeightsError": "errors",
    "MultiSimilarityLoss": "losses.multi_similarity",
    "Neighbours": "retrieval",
    "OPTIMIZERS": "registry",
    "OutputError": "errors",
    "PByKSampler": "data.samplers.p_by_k",
    "Pairs": "triplets",
    "PhotoId": "data.augmentations.photo_id",
    "Plan": "planning",
    "PluginError": "errors",
    "Progress": "progress",
    "ProxyAnchorLoss": "losses.proxy_anchor",
    "READERS": "registry",
    "REDUCERS": "registry",
    "REGULARIZERS": "registry",
    "RandomTripletsSampler": "data.samplers.random_triplets",
    "Record": "data.records",
    "Registry": "registry",
    "RunError": "errors",
    "RunResult": "experiment",
    "SAMPLERS": "registry",
    "SCHEDULES": "registry",
    "Sampler": "data.samplers.batch",
    "Schedule": "schedules.schedule",
    "SemiHardMiner": "miners.semi_hard",
    "SiameseNetwork": "model",
    "SiamesekitError": "errors",
    "SimilarityModel": "artifact",
    "SquaredEuclidean": "distances.squared_euclidean",
    "StepSchedule": "schedules.step",
    "Streams": "randomness",
    "TripletLoss": "losses.triplet",
    "Triplets": "triplets",
    "Tuples": "triplets",
    "UserError": "errors",
    "WarmupCosineSchedule": "schedules.warmup_cosine",
    "WarmupLinearSchedule": "schedules.warmup_linear",
    "WeightsError": "errors",
    "adam": "optimizers.adam",
    "adamw": "optimizers.adamw",
    "as_pairs": "triplets",
    "as_triplets": "triplets",
    "check": "experiment",
    "count_triplets": "triplets",
    "diagnose": "doctor",
    "keras_adam": "optimizers.keras_adam",
    "load": "artifact",
    "load_config": "config",
    "load_plugin_file": "plugins",
    "mean_of": "losses.loss",
    "nearest": "retrieval",
    "pairwise": "distances.distance",
    "positives_of": "triplets",
    "read_csv": "data.readers.csv",
    "read_folder": "data.readers.folder",
    "run": "experiment",
    "sgd": "optimizers.sgd",
    "xception": "encoders.xception",
}

__all__ = sorted([*_PUBLIC, "__version__"])

if not TYPE_CHECKING:  # or any misspelt name would pass as Any

    def __getattr__(name: str) -> Any:
        if name not in _PUBLIC:
            raise AttributeError(f"module 'siamesekit' has no attribute {name!r}")
        value = getattr(importlib.import_module(f"siamesekit.{_PUBLIC[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return __all__
