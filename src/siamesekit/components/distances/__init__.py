"""Distances between embeddings; smaller always means nearer."""
