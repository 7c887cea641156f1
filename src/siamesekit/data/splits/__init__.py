"""Splits: which photos train, validate, test, or are only searched. One file for each kind of split.

```
records ─ split_records(by, shares, options) ─ Split(train, validation, test, gallery, left_out)
          one of BY: identity, photo, column,     │
          time, encounter, open-set, similarity   └─ leaks_of ─ Leaks: what the test has in common with the rest
```

`split` has the parts and the options; `making` chooses the kind and checks the parts by `sound_parts`. `whole_groups`
deals photos that stay together, `encounters` says which photos are of one encounter, and `embedding_table` reads
embeddings.
"""

from siamesekit.data.splits.leaks import Leaks, leaks_of
from siamesekit.data.splits.making import searches_gallery, split_records
from siamesekit.data.splits.split import CLOSED_SET, WITH_GALLERY, Kind, Split, SplitOptions

__all__ = [
    "CLOSED_SET",
    "WITH_GALLERY",
    "Kind",
    "Leaks",
    "Split",
    "SplitOptions",
    "leaks_of",
    "searches_gallery",
    "split_records",
]
