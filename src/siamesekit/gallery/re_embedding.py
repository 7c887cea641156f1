"""Move a catalogue to another model."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from siamesekit.artifact.loading import load_folder
from siamesekit.artifact.named_model import SavedModel, saved_model
from siamesekit.artifact.similarity_model import SimilarityModel
from siamesekit.components.stores.embedding_matrix import EmbeddingMatrix
from siamesekit.data.loading import EMBEDDING, UnusablePhoto
from siamesekit.data.records import Record
from siamesekit.errors import DataError
from siamesekit.gallery import database, known_photos
from siamesekit.gallery.bound_model import copy_model, model_digest, remove_model
from siamesekit.gallery.enrolling import box_of, fingerprints
from siamesekit.gallery.identifying import trained_individuals
from siamesekit.gallery.leftovers import Leftover
from siamesekit.gallery.storage import BATCH, MATRICES, Storage, finite
from siamesekit.progress import InParts, Progress
from siamesekit.wording import line_of_name


def re_embed(storage: Storage, model: str | Path | SimilarityModel, progress: Progress) -> int:
    """Compute the embeddings of all known photos with a model, or that of a name; return their number.

    Raises:
        ArtifactError: there is no such model.
        DataError: a photo's file is missing or has changed.
    """
    with saved_model(model) as saved:
        return _re_embed(storage, saved, progress)


def _re_embed(storage: Storage, saved: SavedModel, progress: Progress) -> int:
    folder = saved.folder
    digest = model_digest(folder)
    with storage.writing():
        old = storage.fact("model")
        model = load_folder(folder, saved.inside, storage.device, "fp32")
        foreign, known = storage.connection.execute(
            "SELECT coalesce(sum(substr(sha256, 1, ?) = ?), 0), count(*) FROM photos",
            (len(known_photos.EMBEDDED), known_photos.EMBEDDED),
        ).fetchone()
        if foreign:
            raise DataError(
                f"{foreign} of {known} photos were enrolled by their embeddings, which cannot be computed again; "
                "enrol a file of the other model's embeddings as another catalogue"
            )
        rows = storage.connection.execute("SELECT name, path, box, sha256 FROM photos ORDER BY id").fetchall()
        records = [Record(name, "", Path(path), box=box_of(box)) for name, path, box, _ in rows]
        problems = [
            str(digest) if isinstance(digest, UnusablePhoto) else f"{line_of_name(name)}: its file has changed"
            for digest, (name, _, _, enrolled) in zip(fingerprints(records, progress), rows, strict=True)
            if digest != enrolled
        ]
        if problems:
            raise DataError(
                f"{len(problems)} of {len(rows)} photos are not there as they were enrolled; nothing was changed: "
                "put the files back, or remove these photos",
                problems[:10],
            )
        copy_model(folder, storage.path, digest)
        facts = facts_of(model, folder, digest, int(storage.fact("matrix").partition("-")[0]) + 1)
        matrix = EmbeddingMatrix(storage.path / MATRICES / facts["matrix"], int(facts["dimensions"]))
        former, searched = storage.matrix.file, storage.searched
        left = Leftover(searched.choice, searched.collection, int(storage.fact("dimensions")))
        batches = []
        with InParts(progress, len(records), EMBEDDING, "photos") as whole:
            for start in range(0, len(records), BATCH):
                embedded = finite(model.embed_records(records[start : start + BATCH], whole))
                batches.append(matrix.store(start, embedded.numpy()))
        with storage.transaction():
            storage.connection.execute("DELETE FROM batches")
            known_photos.note(storage.connection, batches)
            database.set_facts(storage.connection, facts)
            storage.change("re-embed", f"{len(records)} photos, from model {old[:12]} to {digest[:12]}")
        searched.drop(left)
        with suppress(OSError):  # what nothing refers to any more
            former.unlink()
            if old != digest:
                remove_model(storage.path, old)
    return len(records)


def facts_of(model: SimilarityModel, run: Path, digest: str, matrix: int = 1) -> dict[str, str]:
    """What a catalogue's database says of its model."""
    return {
        "matrix": f"{matrix}-{digest[:16]}.f32",
        "model": digest,
        "dimensions": str(model.encoder.head.embedding_dim),
        "encoder": str(model.description["encoder"]["name"]),
        "trained": json.dumps(trained_individuals(run)),
    }
