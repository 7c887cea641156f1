"""Observations as annotations in COCO's format, with the individual in each annotation's `attributes`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from siamesekit._version import __version__
from siamesekit.components.readers.coco_keys import INDIVIDUAL_KEYS, STRUCTURE
from siamesekit.gallery.exchange.box_units import BoxUnits
from siamesekit.gallery.exchange.observation import Observation, note_of
from siamesekit.gallery.exchange.written_tables import Written, note_of_lost, path_within

OF_PHOTO = {"date": "date_captured", "site": "location"}
"""Attribute → its key of an image."""
OF_ANIMAL = {"side": "viewpoint"}
"""Attribute → its key of an annotation's `attributes`, where the names differ."""
INDIVIDUAL = "individual"
NO_SPECIES = "animal"
TAKEN = {*STRUCTURE, *INDIVIDUAL_KEYS, *OF_PHOTO.values(), *OF_ANIMAL.values(), "file_name", "category", "bbox"}
"""Keys that mean something else."""


def coco(observations: Sequence[Observation], base: Path) -> Written:
    """The annotations as JSON, one per observation; the categories are the species.

    Args:
        observations: the observations.
        base: folder at which `file_name` begins.

    Raises:
        DataError: a photo is not below that folder, or cannot be read.
    """
    boxes = BoxUnits()
    images: dict[Path, dict[str, Any]] = {}
    species = sorted({each.attribute("species") or NO_SPECIES for each in observations})
    annotations = []
    for number, each in enumerate(observations, 1):
        if each.file not in images:
            width, height = boxes.size(each)
            images[each.file] = {
                "id": len(images) + 1,
                "file_name": path_within(each, base),
                "width": width,
                "height": height,
                **{key: each.attribute(name) for name, key in OF_PHOTO.items() if each.attribute(name)},
            }
        image, sides = images[each.file], boxes.pixels(each)
        annotation: dict[str, Any] = {
            "id": number,
            "image_id": image["id"],
            "category_id": species.index(each.attribute("species") or NO_SPECIES) + 1,
            "iscrowd": 0,
            "attributes": {INDIVIDUAL: each.record.individual, **_attributes(each, image)},
        }
        if sides is not None:
            annotation |= {"bbox": list(map(float, sides)), "area": float(sides[2] * sides[3])}
        annotations.append(annotation)
    made = {
        "info": {"description": f"written by siamesekit {__version__}"},
        "images": list(images.values()),
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for number, name in enumerate(species, 1)],
    }
    lost = {name for each in observations for name in each.record.attributes if name in TAKEN}
    notes = [
        *boxes.notes("pixels"),
        *note_of([each.record.name for each in observations if each.record.box is None],
                 "have no box, and so have their annotations"),
        *note_of([each.record.name for each in observations if not each.attribute("species")],
                 f"have no species: their category is {NO_SPECIES!r}"),
        *note_of_lost(sorted(lost)),
    ]  # fmt: skip
    text = json.dumps(made, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    return Written({"": text.encode("utf-8", "backslashreplace")}, tuple(notes))


def _attributes(observation: Observation, image: dict[str, Any]) -> dict[str, str]:
    """What is known of an animal, and what another animal's photo of the same file says otherwise."""
    facts = {}
    for name, text in observation.record.attributes.items():
        key = OF_PHOTO.get(name) or OF_ANIMAL.get(name, name)
        if text and name not in TAKEN and name != "species" and image.get(key) != text:
            facts[key] = text
    return facts
