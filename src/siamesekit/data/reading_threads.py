"""How many threads read photos."""

from __future__ import annotations

import os
from collections.abc import Sequence

from siamesekit.data.records import Record
from siamesekit.files.remote_address import RemotePhoto

DOWNLOADS = 16
"""Photos of other machines that are read at a time: most of it is waiting."""


def reading_threads(records: Sequence[Record]) -> int:
    """The number of threads that read photos: one per CPU, and more if photos are downloaded.

    The first record tells, because a reader reads from one place.
    """
    cores = os.cpu_count() or 1
    return max(DOWNLOADS, cores) if records and isinstance(records[0].source, RemotePhoto) else cores
