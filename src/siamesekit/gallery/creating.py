"""Create the folder of a catalogue for a saved model."""

from __future__ import annotations

from pathlib import Path

from siamesekit.artifact.loading import load_folder
from siamesekit.artifact.named_model import SavedModel
from siamesekit.errors import OutputError
from siamesekit.files.atomic import write_atomic
from siamesekit.files.writer_lock import writer
from siamesekit.gallery import database
from siamesekit.gallery.bound_model import MODELS, copy_model
from siamesekit.gallery.catalogue_store import FOLDER, new_collection
from siamesekit.gallery.re_embedding import facts_of
from siamesekit.gallery.storage import DATABASE, LOCK, MATRICES
from siamesekit.gallery.store_choice import StoreChoice, try_store
from siamesekit.hardware.compute import DeviceChoice
from siamesekit.wording import line_of_name


def create(target: Path, model: SavedModel, digest: str, device: DeviceChoice, store: StoreChoice) -> None:
    """Create an empty catalogue; its database comes last and whole.

    Args:
        target: folder of the catalogue.
        model: the saved model, which is copied.
        digest: digest of that model.
        device: device on which the model runs.
        store: where the embeddings will be searched.

    Raises:
        OutputError: the folder holds something else or a catalogue, or cannot be made.
        UserError: the store needs a package, or does not know the model's distance.
    """
    own, shown = {MATRICES, LOCK, MODELS, FOLDER}, line_of_name(str(target))
    if target.exists() and (not target.is_dir() or {entry.name for entry in target.iterdir()} - own):
        raise OutputError(f"{shown} exists and is not a catalogue; choose another folder")
    loaded = load_folder(model.folder, model.inside, device, "fp32")
    try_store(store, loaded)
    facts = facts_of(loaded, model.folder, digest)
    facts |= {"store": store.text(), "collection": new_collection()}
    try:
        (target / MATRICES).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{shown} cannot be created: {error.strerror}") from error
    with writer(target / LOCK, f"the catalogue {shown}"):
        if (target / DATABASE).exists():
            raise OutputError(f"{shown} is a catalogue already")
        copy_model(model.folder, target, digest)
        write_atomic(target / DATABASE, lambda path: database.create(path, facts))
