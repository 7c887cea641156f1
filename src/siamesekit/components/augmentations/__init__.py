"""Augmentations: random views of photos for training."""
