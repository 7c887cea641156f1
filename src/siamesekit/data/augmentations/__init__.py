"""Augmentations: random views of photos to train on."""
