"""The figures of a run's report as matplotlib axes, for papers and notebooks.

Each function takes a run, as its folder or its result, and an optional `ax`, draws, and returns the axes. Colours are
those of the report; everything else is as your matplotlib is set. `curves` draws what the files of a run have;
`photos` draws what needs the test photos, which `tested_photos` embeds. `axes` has the axes, and opens runs.
"""

from siamesekit.plot.curves import cmc, learning_curve, precision_at_k, reliability, roc
from siamesekit.plot.photos import embedding_map, pair_distances

__all__ = ["cmc", "embedding_map", "learning_curve", "pair_distances", "precision_at_k", "reliability", "roc"]
