"""Losses: one file each, the function first."""
