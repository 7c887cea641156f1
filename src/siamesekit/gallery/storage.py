"""A catalogue's folder: its database, matrix of embeddings, model and lock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from torch import Tensor

from siamesekit.artifact.similarity_model import SimilarityModel
from siamesekit.components.stores.embedding_matrix import EmbeddingMatrix
from siamesekit.data.loading import EMBEDDING, UnusablePhoto
from siamesekit.errors import ArtifactError, RunError, UserError
from siamesekit.files.writer_lock import user, writer
from siamesekit.gallery import database, known_photos
from siamesekit.gallery.bound_model import load_bound
from siamesekit.gallery.catalogue_store import CatalogueStore
from siamesekit.gallery.enrolling import NewPhoto, thumbnails
from siamesekit.hardware.compute import DeviceChoice
from siamesekit.progress import InParts, Progress
from siamesekit.wording import line_of_name

DATABASE, LOCK, MATRICES = "catalogue.sqlite", "writer.lock", "embeddings"
"""Files and folders of a catalogue, beside the models."""
UNDOABLE = ("add", "decide", "remove", "rename", "merge", "split")
"""Commands whose changes can be undone."""
BATCH = 1024
"""Photos that are embedded and stored at a time."""


class Storage:
    """The folder of a catalogue, opened.

    Args:
        path: the folder.
        device: device on which the model runs.
        author: who makes changes; by default the user of this process.

    Attributes:
        connection: connection to the database.
        searched: the store in which the embeddings are searched.

    Raises:
        ArtifactError: there is no catalogue, or it is damaged.
    """

    def __init__(self, path: Path, device: DeviceChoice = "auto", author: str | None = None) -> None:
        self.path = path
        self.device = device
        self.author = (author or user()).encode(errors="backslashreplace").decode()
        self.connection = database.connect(path / DATABASE)
        self.searched = CatalogueStore(self)
        self._model: tuple[str, SimilarityModel] | None = None

    def close(self) -> None:
        """Close the store and the database."""
        self.searched.close()
        self.connection.close()

    @property
    def model(self) -> SimilarityModel:
        """The model to which the catalogue is bound."""
        with self.telling():
            digest = self.fact("model")
            if self._model is None or self._model[0] != digest:
                self._model = digest, load_bound(self.path, digest, self.device)
            return self._model[1]

    @property
    def matrix(self) -> EmbeddingMatrix:
        """The embeddings of all known photos.

        Raises:
            ArtifactError: its name leads out of the catalogue's folder.
        """
        name = self.fact("matrix")
        if Path(name).name != name:
            raise ArtifactError("the catalogue is altered: its embeddings are elsewhere; restore a copy of it")
        return EmbeddingMatrix(self.path / MATRICES / name, int(self.fact("dimensions")))

    def fact(self, key: str) -> str:
        """One fact about the catalogue, such as the digest of its model."""
        return database.fact(self.connection, key)

    def fact_or(self, key: str, default: str) -> str:
        """One fact about the catalogue, or a default for those that do not name it."""
        return database.fact(self.connection, key, default)

    def change(self, command: str, summary: str, undoes: int | None = None) -> int:
        """Write an entry of the journal, now and by the author; return its number."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return database.new_change(self.connection, now, self.author, command, summary, undoes)

    def last_change(self) -> int:
        """Number of the last entry of the journal; 0 without one."""
        (last,) = self.connection.execute("SELECT coalesce(max(id), 0) FROM changes").fetchone()
        return int(last)

    def undo(self, number: int | None = None) -> database.Change:
        """Undo a change, by default the last one that is not undone yet; return it.

        Raises:
            UserError: there is nothing to undo, or the change is undone already, or its photos have been moved since.
        """
        with self.changing():
            return self.reverse(number)

    def reverse(self, number: int | None = None) -> database.Change:
        """What `undo` does, within a transaction."""
        changes = database.newest_changes(self.connection)
        open_ones = (each for each in changes if each.command in UNDOABLE and not each.undone)
        found = next((each for each in open_ones if number in (None, each.id)), None)
        if found is None:
            raise UserError("there is nothing to undo" if number is None else f"change {number} is undone already")
        if number is not None and database.moved_since(self.connection, number):
            raise UserError(
                f"change {number} cannot be undone: its photos have been moved since; undo the later changes first"
            )
        change = self.change("undo", f"change {found.id}: {found.command}, {found.summary}", found.id)
        database.reverse(self.connection, found.id, change)
        return found

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Turn SQLite's errors into words."""
        with database.telling(line_of_name(str(self.path / DATABASE))):
            yield

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the only process that changes the catalogue; what a move that was killed has left is removed first."""
        with writer(self.path / LOCK, f"the catalogue {line_of_name(str(self.path))}"), self.telling():
            self.searched.remove_leftovers()
            yield

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All statements or none, with the store in step."""
        with self.searched.changing(), database.transaction(self.connection):
            yield
            self.searched.add_missing()

    def settle(self) -> None:
        """Make the index that an interrupted change has not made, where the store has one; nothing else is changed."""
        with self.transaction():
            pass

    @contextmanager
    def rehearsal(self, undone: int | None) -> Iterator[None]:
        """See the catalogue as if a change were undone; nothing that is written here stays."""
        if undone is None:
            yield
            return
        with database.rehearsal(self.connection):
            self.reverse(undone)
            yield

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Read one state of the catalogue, whatever other processes change meanwhile."""
        with self.telling(), database.reading(self.connection):
            yield

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Be the only process that changes the catalogue, and change all or nothing."""
        with self.writing(), self.transaction():
            yield

    def store(
        self, new: list[NewPhoto], progress: Progress, unusable: list[UnusablePhoto]
    ) -> list[tuple[int, NewPhoto]]:
        """Embed photos and store them, `BATCH` at a time, without an individual; return them with their numbers.

        Args:
            new: photos that the catalogue does not know.
            progress: progress display.
            unusable: receives findings on photos that cannot be read; they are not stored.
        """
        with InParts(progress, len(new), EMBEDDING, "photos") as whole:
            batches = (new[start : start + BATCH] for start in range(0, len(new), BATCH))
            return [photo for batch in batches for photo in self._store(batch, whole, unusable)]

    def _store(
        self, photos: list[NewPhoto], progress: Progress, unusable: list[UnusablePhoto]
    ) -> list[tuple[int, NewPhoto]]:
        """What `store` does with one batch."""
        bad: dict[int, UnusablePhoto] = {}
        embeddings = self.model.embed_records([photo.record for photo in photos], progress, bad)
        unusable += bad.values()
        photos = [photo for number, photo in enumerate(photos) if number not in bad]
        if not photos:
            return []
        small = thumbnails(photos)
        first = known_photos.count(self.connection)
        batch = self.matrix.store(first, finite(embeddings).numpy())
        with database.transaction(self.connection):
            known_photos.note(self.connection, [batch])
            numbered = list(enumerate(photos, first + 1))
            known_photos.insert(self.connection, numbered, small)
        return numbered


def finite(embeddings: Tensor) -> Tensor:
    """The embeddings `[N, D]`, if all are finite.

    Raises:
        RunError: the model gives NaN or infinity.
    """
    if not bool(embeddings.isfinite().all()):
        raise RunError("the model gives embeddings that are not finite: its weights are NaN, infinite or too large")
    return embeddings
