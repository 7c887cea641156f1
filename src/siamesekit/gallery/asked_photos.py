"""The photos of a search with their embeddings, some at a time: from the photos, or from a file of embeddings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor, cat, from_numpy

from siamesekit.artifact.embedding_reading import read_embeddings
from siamesekit.data.loading import UnusablePhoto, report
from siamesekit.data.records import Record
from siamesekit.errors import DataError
from siamesekit.gallery.search import AT_ONCE
from siamesekit.gallery.shared_points import sightings
from siamesekit.gallery.sighting import Sighting
from siamesekit.progress import Progress
from siamesekit.wording import line_of_name

if TYPE_CHECKING:
    from siamesekit.gallery.catalogue import Catalogue


@dataclass(frozen=True)
class Asked:
    """Some photos of a search.

    Attributes:
        names: their names.
        embeddings: their embeddings, `[Q, D]`.
        photos: the photos, for a second look; empty without one.
    """

    names: Sequence[str]
    embeddings: Tensor
    photos: Sequence[Sighting] = ()

    @property
    def of(self) -> tuple[Sequence[str], Tensor]:
        """Names and embeddings."""
        return self.names, self.embeddings


@dataclass
class AskedPhotos:
    """The photos of a search, or a file of their embeddings.

    Attributes:
        source: the photos, or the file.
        look: whether the photos are looked at again.
        unusable: photos that could not be read, as far as they have been read.
        enrolled: photos that the catalogue has itself, with the names of their individuals, as far as they have been
            read.
    """

    source: Sequence[Path] | Path
    look: bool = False
    unusable: list[UnusablePhoto] = field(default_factory=list)
    enrolled: dict[str, str] = field(default_factory=dict)

    def embedded(self, catalogue: Catalogue, progress: Progress, together: bool = False) -> Iterator[Asked]:
        """Some photos at a time with their embeddings; all at once if they are searched together.

        Raises:
            DataError: no photo can be read, or the file is damaged.
        """
        parts = self._from_file(catalogue) if isinstance(self.source, Path) else self._from_photos(catalogue, progress)
        if not together:
            yield from parts
            return
        every = list(parts)
        names, photos = (
            [name for part in every for name in part.names],
            [each for part in every for each in part.photos],
        )
        yield Asked(names, cat([part.embeddings for part in every]), photos)

    def _from_file(self, catalogue: Catalogue) -> Iterator[Asked]:
        assert isinstance(self.source, Path)
        empty = True
        for rows in read_embeddings(self.source, catalogue.info().dimensions, AT_ONCE):
            empty = False
            yield Asked(rows.paths, from_numpy(rows.embeddings))
        if empty:
            raise DataError(f"{line_of_name(str(self.source))} has no rows: embed photos into it")

    def _from_photos(self, catalogue: Catalogue, progress: Progress) -> Iterator[Asked]:
        assert not isinstance(self.source, Path)
        files, usable = self.source, 0
        for start in range(0, len(files), AT_ONCE):
            records = [Record(str(file), "", file) for file in files[start : start + AT_ONCE]]
            bad: dict[int, UnusablePhoto] = {}
            embeddings = catalogue.model.embed_records(records, progress, bad)
            self.unusable += bad.values()
            kept = [record for number, record in enumerate(records) if number not in bad]
            usable += len(kept)
            if kept:
                seen = sightings(kept)
                found = catalogue.individuals_of([photo.sha256 for photo in seen])
                self.enrolled |= {photo.record.name: found[photo.sha256] for photo in seen if photo.sha256 in found}
                yield Asked([record.name for record in kept], embeddings, seen if self.look else ())
        if not usable:
            raise DataError(*report(tuple(self.unusable), len(files)))
