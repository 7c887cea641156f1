"""Facts about a catalogue."""

from __future__ import annotations

from dataclasses import dataclass

from siamesekit.gallery import known_photos
from siamesekit.gallery.storage import Storage


@dataclass(frozen=True)
class CatalogueInfo:
    """Facts about a catalogue.

    Attributes:
        individuals: number of individuals with at least one photo.
        photos: number of their photos.
        kept: number of known photos without an individual: removed, called bad, or open.
        changes: number of entries in the journal.
        model: digest of the model.
        encoder: name of the model's encoder.
        dimensions: length of an embedding.
        columns: attributes of the photos, as conditions name them.
        store: the store in which the embeddings are searched, with its options.
    """

    individuals: int
    photos: int
    kept: int
    changes: int
    model: str
    encoder: str
    dimensions: int
    columns: tuple[str, ...]
    store: str


def catalogue_info(storage: Storage) -> CatalogueInfo:
    """Facts about a catalogue."""
    with storage.telling():
        (photos, individuals), (known,), (entries,) = (
            storage.connection.execute(query).fetchone()
            for query in (
                "SELECT count(individual), count(DISTINCT individual) FROM photos",
                "SELECT count(*) FROM photos",
                "SELECT count(*) FROM changes",
            )
        )
        return CatalogueInfo(
            individuals,
            photos,
            known - photos,
            entries,
            storage.fact("model"),
            storage.fact("encoder"),
            int(storage.fact("dimensions")),
            tuple(known_photos.columns(storage.connection)),
            str(storage.searched.choice),
        )
