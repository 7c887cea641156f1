"""More threads read photos that are downloaded, and what they read does not depend on their number."""

import os
from pathlib import Path

from siamesekit.data.reading_threads import DOWNLOADS, reading_threads
from siamesekit.data.records import Record
from siamesekit.files.remote_address import RemoteFolder


def test_downloads_have_threads_of_their_own() -> None:
    cores = os.cpu_count() or 1
    remote = Record("1.jpg", "a", RemoteFolder.of("memory://a").photo("1.jpg"))
    assert reading_threads([Record("1.jpg", "a", Path("1.jpg"))]) == reading_threads([]) == cores
    assert reading_threads([remote]) == max(cores, DOWNLOADS)
