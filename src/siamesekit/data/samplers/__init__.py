"""Samplers: which photos meet in a batch. One file each."""
