"""Samplers, which plan the photos of each batch. One file each."""
