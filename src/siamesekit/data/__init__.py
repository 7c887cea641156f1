"""Photos and individuals: records, readers, splits, images, samplers."""
