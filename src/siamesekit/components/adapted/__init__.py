"""Adapters to components of other libraries: one file or folder per library and kind."""
