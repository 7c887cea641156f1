"""Families of components from other packages: their options, documentation and defaults, read from source."""
