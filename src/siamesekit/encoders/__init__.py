"""Backbones: image to feature vector. One file per family of networks."""
