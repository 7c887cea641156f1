"""Backbones, from image to feature vector; one file per family of networks."""
