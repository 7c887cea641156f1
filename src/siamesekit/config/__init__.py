"""A run's config: one typed table per stage, loaded from TOML, all its errors reported at once.

```
config.toml ─ load_config ─ Config(name, seed, data, split, encoder, distance, sampler, loss, …)
```

A table that names a component (`[loss] name = "triplet"`) has keys of its own and the options of the component,
which the registry checks against the component's signature. Loading a config imports its plugins; torch is imported
only if a plugin imports it.
"""

from siamesekit.config.loading import load_config
from siamesekit.config.tables import NAMED_WEIGHTS, TABLES, ComponentTable, Config, EncoderTable
from siamesekit.config.toml import dump_toml, line_of

__all__ = ["NAMED_WEIGHTS", "TABLES", "ComponentTable", "Config", "EncoderTable", "dump_toml", "line_of", "load_config"]
