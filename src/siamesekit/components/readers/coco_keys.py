"""Keys of annotations in COCO's format that readers and writers share."""

from __future__ import annotations

INDIVIDUAL_KEYS = ("individual_id", "individual_ids", "individual", "identity", "name")
"""Keys of an annotation, or of its table `attributes`, that name the individual."""
STRUCTURE = {"id", "image_id", "category_id", "bbox", "area", "iscrowd", "width", "height", "license"}
"""Keys that are no facts about a photo."""
