"""Components by name: fifteen registries, and how a callable's signature becomes the schema of its options.

`registry` has the class `Registry` and the fifteen registries. `component` describes a registered callable,
`signatures` reads its parameters from source without importing it, `problems` words validation errors, and `nested`
builds components within components. `construction` checks calls in Python. `plugin_files` and `installed_plugins` load
plugins; `component_faults` and `culprits` name the plugin component that failed. `adapted/` reads the classes of other
packages.
"""

from siamesekit.registry.component import Component, Member
from siamesekit.registry.registry import (
    AUGMENTATIONS,
    DISTANCES,
    ENCODERS,
    LOSSES,
    MATCHERS,
    MINERS,
    OPTIMIZERS,
    PROJECTIONS,
    READERS,
    REDUCERS,
    REGISTRIES,
    REGULARIZERS,
    SAMPLERS,
    SCHEDULES,
    STORES,
    TRACKERS,
    Registry,
    registry_of,
)

__all__ = [
    "AUGMENTATIONS",
    "DISTANCES",
    "ENCODERS",
    "LOSSES",
    "MATCHERS",
    "MINERS",
    "OPTIMIZERS",
    "PROJECTIONS",
    "READERS",
    "REDUCERS",
    "REGISTRIES",
    "REGULARIZERS",
    "SAMPLERS",
    "SCHEDULES",
    "STORES",
    "TRACKERS",
    "Component",
    "Member",
    "Registry",
    "registry_of",
]
