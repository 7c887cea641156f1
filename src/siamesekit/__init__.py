"""siamesekit: metric learning by composition.

Encoders, distances, losses, samplers, miners, readers, augmentations and optimizers are plain callables in registries;
a run is a composition of them in a TOML file. The public names below are loaded when they are first used, so importing
the package does not import torch.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import warnings
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any

from siamesekit._version import __version__ as __version__
from siamesekit.hardware.postponed_compiler import Loader, PostponedCompiler

if TYPE_CHECKING:  # for type checkers; `_PUBLIC` has the same names at run time, as a test checks
    from siamesekit.artifact.comparison import Comparison as Comparison
    from siamesekit.artifact.ensemble import Ensemble as Ensemble
    from siamesekit.artifact.ensemble import ensemble as ensemble
    from siamesekit.artifact.hub_model import from_pretrained as from_pretrained
    from siamesekit.artifact.hub_push import Pushed as Pushed
    from siamesekit.artifact.hub_push import push_to_hub as push_to_hub
    from siamesekit.artifact.named_model import load as load
    from siamesekit.artifact.pretrained_model import pretrained as pretrained
    from siamesekit.artifact.saving import Preprocessing as Preprocessing
    from siamesekit.artifact.similarity_model import SimilarityModel as SimilarityModel
    from siamesekit.components.augmentations.augmentation import Augmentation as Augmentation
    from siamesekit.components.augmentations.crop import Crop as Crop
    from siamesekit.components.augmentations.flip import Flip as Flip
    from siamesekit.components.augmentations.photo_id import PhotoId as PhotoId
    from siamesekit.components.augmentations.photo_id_strong import PhotoIdStrong as PhotoIdStrong
    from siamesekit.components.augmentations.random_erasing import RandomErasing as RandomErasing
    from siamesekit.components.augmentations.sequence import AugmentationSequence as AugmentationSequence
    from siamesekit.components.distances.cosine import Cosine as Cosine
    from siamesekit.components.distances.distance import Distance as Distance
    from siamesekit.components.distances.distance import pairwise as pairwise
    from siamesekit.components.distances.dot import Dot as Dot
    from siamesekit.components.distances.euclidean import Euclidean as Euclidean
    from siamesekit.components.distances.manhattan import Manhattan as Manhattan
    from siamesekit.components.distances.nearest import Neighbours as Neighbours
    from siamesekit.components.distances.nearest import nearest as nearest
    from siamesekit.components.distances.squared_euclidean import SquaredEuclidean as SquaredEuclidean
    from siamesekit.components.encoders.backbone import Backbone as Backbone
    from siamesekit.components.encoders.efficientnet_lite0 import efficientnet_lite0 as efficientnet_lite0
    from siamesekit.components.encoders.head import BatchNormNeck as BatchNormNeck
    from siamesekit.components.encoders.head import Head as Head
    from siamesekit.components.encoders.head import L2Normalize as L2Normalize
    from siamesekit.components.encoders.miewid import miewid as miewid
    from siamesekit.components.encoders.pooling import GlobalPooling as GlobalPooling
    from siamesekit.components.encoders.xception import xception as xception
    from siamesekit.components.losses.arcface import ArcFaceLoss as ArcFaceLoss
    from siamesekit.components.losses.circle import CircleLoss as CircleLoss
    from siamesekit.components.losses.circle_classes import CircleClassesLoss as CircleClassesLoss
    from siamesekit.components.losses.contrastive import ContrastiveLoss as ContrastiveLoss
    from siamesekit.components.losses.cosface import CosFaceLoss as CosFaceLoss
    from siamesekit.components.losses.cross_batch_memory import CrossBatchMemory as CrossBatchMemory
    from siamesekit.components.losses.info_nce import InfoNCELoss as InfoNCELoss
    from siamesekit.components.losses.loss import Loss as Loss
    from siamesekit.components.losses.loss import LossValue as LossValue
    from siamesekit.components.losses.loss import mean_of as mean_of
    from siamesekit.components.losses.multi_similarity import MultiSimilarityLoss as MultiSimilarityLoss
    from siamesekit.components.losses.proxy_anchor import ProxyAnchorLoss as ProxyAnchorLoss
    from siamesekit.components.losses.sum import SumOfLosses as SumOfLosses
    from siamesekit.components.losses.triplet import TripletLoss as TripletLoss
    from siamesekit.components.matchers.matcher import Keypoints as Keypoints
    from siamesekit.components.matchers.matcher import Matcher as Matcher
    from siamesekit.components.matchers.matcher import PointMatches as PointMatches
    from siamesekit.components.matchers.sift import Sift as Sift
    from siamesekit.components.miners.all import AllTripletsMiner as AllTripletsMiner
    from siamesekit.components.miners.batch_hard import BatchHardMiner as BatchHardMiner
    from siamesekit.components.miners.distance_weighted import DistanceWeightedMiner as DistanceWeightedMiner
    from siamesekit.components.miners.easy_positive import EasyPositiveMiner as EasyPositiveMiner
    from siamesekit.components.miners.miner import Miner as Miner
    from siamesekit.components.miners.semi_hard import SemiHardMiner as SemiHardMiner
    from siamesekit.components.optimizers.adam import adam as adam
    from siamesekit.components.optimizers.adamw import adamw as adamw
    from siamesekit.components.optimizers.keras_adam import KerasAdam as KerasAdam
    from siamesekit.components.optimizers.keras_adam import keras_adam as keras_adam
    from siamesekit.components.optimizers.sgd import sgd as sgd
    from siamesekit.components.projections.lda import LinearDiscriminantAnalysis as LinearDiscriminantAnalysis
    from siamesekit.components.projections.projection import LinearMap as LinearMap
    from siamesekit.components.projections.projection import Projection as Projection
    from siamesekit.components.projections.wccn import (
        WithinClassCovarianceNormalization as WithinClassCovarianceNormalization,
    )
    from siamesekit.components.projections.whitening import Whitening as Whitening
    from siamesekit.components.readers.camtrap_dp import read_camtrap_dp as read_camtrap_dp
    from siamesekit.components.readers.coco import read_coco as read_coco
    from siamesekit.components.readers.csv import read_csv as read_csv
    from siamesekit.components.readers.excel import read_excel as read_excel
    from siamesekit.components.readers.folder import read_folder as read_folder
    from siamesekit.components.readers.happywhale import read_happywhale as read_happywhale
    from siamesekit.components.readers.kaggle_whales import read_kaggle_whales as read_kaggle_whales
    from siamesekit.components.readers.megadetector import read_megadetector as read_megadetector
    from siamesekit.components.readers.noaa_right_whale import read_noaa_right_whale as read_noaa_right_whale
    from siamesekit.components.readers.parquet import read_parquet as read_parquet
    from siamesekit.components.readers.wildbook import read_wildbook as read_wildbook
    from siamesekit.components.readers.wildlife import read_wildlife as read_wildlife
    from siamesekit.components.samplers.all_pairs import AllPairsSampler as AllPairsSampler
    from siamesekit.components.samplers.batch import Batch as Batch
    from siamesekit.components.samplers.batch import Sampler as Sampler
    from siamesekit.components.samplers.hierarchical import HierarchicalSampler as HierarchicalSampler
    from siamesekit.components.samplers.mined import MinedSampler as MinedSampler
    from siamesekit.components.samplers.p_by_k import PByKSampler as PByKSampler
    from siamesekit.components.samplers.random_triplets import RandomTripletsSampler as RandomTripletsSampler
    from siamesekit.components.samplers.shuffled import ShuffledSampler as ShuffledSampler
    from siamesekit.components.schedules.exponential import ExponentialSchedule as ExponentialSchedule
    from siamesekit.components.schedules.schedule import Schedule as Schedule
    from siamesekit.components.schedules.step import StepSchedule as StepSchedule
    from siamesekit.components.schedules.warmup_cosine import WarmupCosineSchedule as WarmupCosineSchedule
    from siamesekit.components.schedules.warmup_linear import WarmupLinearSchedule as WarmupLinearSchedule
    from siamesekit.components.stores.lancedb import LanceDB as LanceDB
    from siamesekit.components.stores.memory_mapped import MemoryMapped as MemoryMapped
    from siamesekit.components.stores.qdrant import Qdrant as Qdrant
    from siamesekit.components.stores.store import Found as Found
    from siamesekit.components.stores.store import Store as Store
    from siamesekit.components.trackers.mlflow import MLflow as MLflow
    from siamesekit.components.trackers.several import SeveralTrackers as SeveralTrackers
    from siamesekit.components.trackers.tensorboard import TensorBoard as TensorBoard
    from siamesekit.components.trackers.tracker import Epoch as Epoch
    from siamesekit.components.trackers.tracker import Tracked as Tracked
    from siamesekit.components.trackers.tracker import TrackedRun as TrackedRun
    from siamesekit.components.trackers.tracker import Tracker as Tracker
    from siamesekit.components.trackers.trackio import Trackio as Trackio
    from siamesekit.components.trackers.wandb import WeightsAndBiases as WeightsAndBiases
    from siamesekit.components.tuples import Pairs as Pairs
    from siamesekit.components.tuples import Triplets as Triplets
    from siamesekit.components.tuples import Tuples as Tuples
    from siamesekit.components.tuples import as_pairs as as_pairs
    from siamesekit.components.tuples import as_triplets as as_triplets
    from siamesekit.components.tuples import count_triplets as count_triplets
    from siamesekit.components.tuples import positives_of as positives_of
    from siamesekit.config import Config as Config
    from siamesekit.config import load_config as load_config
    from siamesekit.data.photo_reading import Reading as Reading
    from siamesekit.data.records import Box as Box
    from siamesekit.data.records import Record as Record
    from siamesekit.engine.doctor import diagnose as diagnose
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
    from siamesekit.evaluation.query_expansion import QueryExpansion as QueryExpansion
    from siamesekit.evaluation.query_expansion import expand_queries as expand_queries
    from siamesekit.evaluation.re_ranking import KReciprocal as KReciprocal
    from siamesekit.evaluation.re_ranking import k_reciprocal as k_reciprocal
    from siamesekit.experiment.plan import Plan as Plan
    from siamesekit.experiment.run_result import RunResult as RunResult
    from siamesekit.experiment.running import check as check
    from siamesekit.experiment.running import run as run
    from siamesekit.gallery.catalogue import Catalogue as Catalogue
    from siamesekit.gallery.catalogue import enrol as enrol
    from siamesekit.gallery.discovering import cluster as cluster
    from siamesekit.gallery.second_look import SecondLook as SecondLook
    from siamesekit.gallery.store_choice import StoreChoice as StoreChoice
    from siamesekit.model import DistanceLayer as DistanceLayer
    from siamesekit.model import Encoder as Encoder
    from siamesekit.model import SiameseNetwork as SiameseNetwork
    from siamesekit.progress import Progress as Progress
    from siamesekit.randomness import Streams as Streams
    from siamesekit.registry import AUGMENTATIONS as AUGMENTATIONS
    from siamesekit.registry import DISTANCES as DISTANCES
    from siamesekit.registry import ENCODERS as ENCODERS
    from siamesekit.registry import LOSSES as LOSSES
    from siamesekit.registry import MATCHERS as MATCHERS
    from siamesekit.registry import MINERS as MINERS
    from siamesekit.registry import OPTIMIZERS as OPTIMIZERS
    from siamesekit.registry import PROJECTIONS as PROJECTIONS
    from siamesekit.registry import READERS as READERS
    from siamesekit.registry import REDUCERS as REDUCERS
    from siamesekit.registry import REGULARIZERS as REGULARIZERS
    from siamesekit.registry import SAMPLERS as SAMPLERS
    from siamesekit.registry import SCHEDULES as SCHEDULES
    from siamesekit.registry import STORES as STORES
    from siamesekit.registry import TRACKERS as TRACKERS
    from siamesekit.registry import Registry as Registry
    from siamesekit.registry.plugin_files import load_plugin_file as load_plugin_file

_PUBLIC = {
    "AUGMENTATIONS": "registry",
    "AllPairsSampler": "components.samplers.all_pairs",
    "AllTripletsMiner": "components.miners.all",
    "ArcFaceLoss": "components.losses.arcface",
    "ArtifactError": "errors",
    "Augmentation": "components.augmentations.augmentation",
    "AugmentationSequence": "components.augmentations.sequence",
    "Backbone": "components.encoders.backbone",
    "Batch": "components.samplers.batch",
    "BatchHardMiner": "components.miners.batch_hard",
    "BatchNormNeck": "components.encoders.head",
    "Box": "data.records",
    "Catalogue": "gallery.catalogue",
    "CircleClassesLoss": "components.losses.circle_classes",
    "CircleLoss": "components.losses.circle",
    "Ensemble": "artifact.ensemble",
    "cluster": "gallery.discovering",
    "enrol": "gallery.catalogue",
    "ensemble": "artifact.ensemble",
    "Comparison": "artifact.comparison",
    "ComponentError": "errors",
    "Config": "config",
    "ConfigError": "errors",
    "ContrastiveLoss": "components.losses.contrastive",
    "CosFaceLoss": "components.losses.cosface",
    "Cosine": "components.distances.cosine",
    "Crop": "components.augmentations.crop",
    "CrossBatchMemory": "components.losses.cross_batch_memory",
    "DISTANCES": "registry",
    "DataError": "errors",
    "Distance": "components.distances.distance",
    "DistanceLayer": "model",
    "DistanceWeightedMiner": "components.miners.distance_weighted",
    "Dot": "components.distances.dot",
    "ENCODERS": "registry",
    "EasyPositiveMiner": "components.miners.easy_positive",
    "Encoder": "model",
    "Epoch": "components.trackers.tracker",
    "Euclidean": "components.distances.euclidean",
    "ExponentialSchedule": "components.schedules.exponential",
    "Flip": "components.augmentations.flip",
    "Found": "components.stores.store",
    "GlobalPooling": "components.encoders.pooling",
    "Head": "components.encoders.head",
    "HierarchicalSampler": "components.samplers.hierarchical",
    "InfoNCELoss": "components.losses.info_nce",
    "KReciprocal": "evaluation.re_ranking",
    "Keypoints": "components.matchers.matcher",
    "KerasAdam": "components.optimizers.keras_adam",
    "L2Normalize": "components.encoders.head",
    "LOSSES": "registry",
    "LanceDB": "components.stores.lancedb",
    "LinearDiscriminantAnalysis": "components.projections.lda",
    "LinearMap": "components.projections.projection",
    "Loss": "components.losses.loss",
    "LossValue": "components.losses.loss",
    "MLflow": "components.trackers.mlflow",
    "MATCHERS": "registry",
    "MINERS": "registry",
    "MemoryMapped": "components.stores.memory_mapped",
    "Matcher": "components.matchers.matcher",
    "Manhattan": "components.distances.manhattan",
    "MinedSampler": "components.samplers.mined",
    "Miner": "components.miners.miner",
    "MissingDataError": "errors",
    "MissingWeightsError": "errors",
    "MultiSimilarityLoss": "components.losses.multi_similarity",
    "Neighbours": "components.distances.nearest",
    "OPTIMIZERS": "registry",
    "OutputError": "errors",
    "PROJECTIONS": "registry",
    "PByKSampler": "components.samplers.p_by_k",
    "Pairs": "components.tuples",
    "PointMatches": "components.matchers.matcher",
    "PhotoId": "components.augmentations.photo_id",
    "PhotoIdStrong": "components.augmentations.photo_id_strong",
    "Projection": "components.projections.projection",
    "Plan": "experiment.plan",
    "PluginError": "errors",
    "Preprocessing": "artifact.saving",
    "Progress": "progress",
    "ProxyAnchorLoss": "components.losses.proxy_anchor",
    "Pushed": "artifact.hub_push",
    "Qdrant": "components.stores.qdrant",
    "QueryExpansion": "evaluation.query_expansion",
    "READERS": "registry",
    "REDUCERS": "registry",
    "REGULARIZERS": "registry",
    "RandomTripletsSampler": "components.samplers.random_triplets",
    "RandomErasing": "components.augmentations.random_erasing",
    "Reading": "data.photo_reading",
    "Record": "data.records",
    "Registry": "registry",
    "RunError": "errors",
    "RunResult": "experiment.run_result",
    "SAMPLERS": "registry",
    "SCHEDULES": "registry",
    "STORES": "registry",
    "TRACKERS": "registry",
    "Sampler": "components.samplers.batch",
    "Schedule": "components.schedules.schedule",
    "SemiHardMiner": "components.miners.semi_hard",
    "ShuffledSampler": "components.samplers.shuffled",
    "SecondLook": "gallery.second_look",
    "SeveralTrackers": "components.trackers.several",
    "Sift": "components.matchers.sift",
    "SiameseNetwork": "model",
    "SiamesekitError": "errors",
    "SimilarityModel": "artifact.similarity_model",
    "SquaredEuclidean": "components.distances.squared_euclidean",
    "StepSchedule": "components.schedules.step",
    "Store": "components.stores.store",
    "StoreChoice": "gallery.store_choice",
    "Streams": "randomness",
    "SumOfLosses": "components.losses.sum",
    "TensorBoard": "components.trackers.tensorboard",
    "Tracked": "components.trackers.tracker",
    "TrackedRun": "components.trackers.tracker",
    "Tracker": "components.trackers.tracker",
    "Trackio": "components.trackers.trackio",
    "TripletLoss": "components.losses.triplet",
    "Triplets": "components.tuples",
    "Tuples": "components.tuples",
    "UserError": "errors",
    "WarmupCosineSchedule": "components.schedules.warmup_cosine",
    "WarmupLinearSchedule": "components.schedules.warmup_linear",
    "WeightsError": "errors",
    "WeightsAndBiases": "components.trackers.wandb",
    "Whitening": "components.projections.whitening",
    "WithinClassCovarianceNormalization": "components.projections.wccn",
    "adam": "components.optimizers.adam",
    "adamw": "components.optimizers.adamw",
    "as_pairs": "components.tuples",
    "as_triplets": "components.tuples",
    "check": "experiment.running",
    "count_triplets": "components.tuples",
    "diagnose": "engine.doctor",
    "efficientnet_lite0": "components.encoders.efficientnet_lite0",
    "expand_queries": "evaluation.query_expansion",
    "from_pretrained": "artifact.hub_model",
    "k_reciprocal": "evaluation.re_ranking",
    "keras_adam": "components.optimizers.keras_adam",
    "load": "artifact.named_model",
    "load_config": "config",
    "load_plugin_file": "registry.plugin_files",
    "mean_of": "components.losses.loss",
    "miewid": "components.encoders.miewid",
    "nearest": "components.distances.nearest",
    "pairwise": "components.distances.distance",
    "positives_of": "components.tuples",
    "pretrained": "artifact.pretrained_model",
    "push_to_hub": "artifact.hub_push",
    "read_camtrap_dp": "components.readers.camtrap_dp",
    "read_coco": "components.readers.coco",
    "read_happywhale": "components.readers.happywhale",
    "read_kaggle_whales": "components.readers.kaggle_whales",
    "read_megadetector": "components.readers.megadetector",
    "read_noaa_right_whale": "components.readers.noaa_right_whale",
    "read_parquet": "components.readers.parquet",
    "read_wildbook": "components.readers.wildbook",
    "read_wildlife": "components.readers.wildlife",
    "read_csv": "components.readers.csv",
    "read_excel": "components.readers.excel",
    "read_folder": "components.readers.folder",
    "run": "experiment.running",
    "sgd": "components.optimizers.sgd",
    "xception": "components.encoders.xception",
}

__all__ = sorted([*_PUBLIC, "__version__"])

_MOVED = {
    "allocator": "hardware.allocator",
    "batches": "components.batches",
    "calibration": "evaluation.calibration",
    "data.augmentations": "components.augmentations",
    "data.augmentations.torchvision": "components.adapted.torchvision_augmentations",
    "data.readers": "components.readers",
    "data.samplers": "components.samplers",
    "data.samplers.pml": "components.adapted.pml.samplers",
    "distances": "components.distances",
    "distances.pml": "components.adapted.pml.distances",
    "doctor": "engine.doctor",
    "encoders": "components.encoders",
    "encoders.timm": "components.adapted.timm",
    "encoders.torchvision": "components.adapted.torchvision_encoders",
    "labels": "components.labels",
    "losses": "components.losses",
    "losses.pml": "components.adapted.pml.losses",
    "metrics": "evaluation.retrieval",
    "miners": "components.miners",
    "miners.pml": "components.adapted.pml.miners",
    "optimizers": "components.optimizers",
    "optimizers.torch": "components.adapted.torch_optimizers",
    "plugins": "registry.plugin_files",
    "pml": "components.adapted.pml.bridge",
    "retrieval": "components.distances.nearest",
    "schedules": "components.schedules",
    "schedules.torch": "components.adapted.torch_schedules",
    "stopping": "experiment.stopping",
    "triplets": "components.tuples",
}
"""New places of the modules of version 0.1 that its documents, pickles and plugins name."""
_SPLIT = {
    "calibration": {
        "CrossFit": "evaluation.cross_fit.CrossFit",
        "RocCurve": "evaluation.roc.RocCurve",
        "ScoredPairs": "evaluation.pairs.ScoredPairs",
        "chance_of_shuffled": "evaluation.permutation.chance_of_shuffled",
        "choose_pairs": "evaluation.pairs.choose_pairs",
        "cross_fit": "evaluation.cross_fit.cross_fit",
        "equal_error_rate": "evaluation.roc.equal_error_rate",
        "includes_guessing": "evaluation.cross_fit.includes_guessing",
        "pairs_of": "evaluation.pairs.pairs_of",
        "roc_auc": "evaluation.roc.roc_auc",
        "roc_curve": "evaluation.roc.roc_curve",
        "true_accept_rate": "evaluation.roc.true_accept_rate",
        "why_guessing": "evaluation.cross_fit.why_guessing",
    },
    "metrics": {
        "Interval": "evaluation.intervals.Interval",
        "interval": "evaluation.intervals.interval",
        "mean_with_interval": "evaluation.intervals.mean_with_interval",
        "retrieval": "evaluation.retrieval.retrieval_metrics",
        "triplet_accuracy": "evaluation.ranking.triplet_accuracy",
    },
    "triplets": {
        "all_pairs_triplets": "components.samplers.triplets.all_pairs_triplets",
        "random_triplets": "components.samplers.triplets.random_triplets",
    },
}
"""Names in modules of version 0.1 that have moved to other modules, or have been renamed."""


def moved(module: str) -> str | None:
    """The new name of a module of version 0.1; None if the module has not moved.

    Args:
        module: full name, such as `siamesekit.losses.triplet`.
    """
    parts = module.split(".")[1:]
    for length in range(len(parts), 0, -1):
        if now := _MOVED.get(".".join(parts[:length])):
            return ".".join(["siamesekit", now, *parts[length:]])
    return None


class _OldPaths(Loader):
    """Imports modules of version 0.1 from their new places, with a warning. The next version removes it."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if not name.startswith("siamesekit.") or (now := moved(name)) is None:
            return None
        return ModuleSpec(name, self) if importlib.util.find_spec(now) else None

    def create_module(self, spec: ModuleSpec) -> None:
        """Python makes a usual module."""

    def exec_module(self, module: ModuleType) -> None:
        now = moved(module.__name__)
        warnings.warn(
            f"{module.__name__} is now {now}: import from siamesekit instead", DeprecationWarning, stacklevel=2
        )
        sys.modules[module.__name__] = found = importlib.import_module(str(now))
        for name, place in _SPLIT.get(module.__name__.removeprefix("siamesekit."), {}).items():
            home, _, value = place.rpartition(".")
            setattr(found, name, getattr(importlib.import_module(f"siamesekit.{home}"), value))


sys.meta_path[:0] = [_OldPaths(), PostponedCompiler()]

if not TYPE_CHECKING:  # a type checker would take any misspelt name for Any

    def __getattr__(name: str) -> Any:
        if name not in _PUBLIC:
            raise AttributeError(f"module 'siamesekit' has no attribute {name!r}")
        value = getattr(importlib.import_module(f"siamesekit.{_PUBLIC[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return __all__
