"""Matchers: find the same points of two photos, one file each, the class first."""
