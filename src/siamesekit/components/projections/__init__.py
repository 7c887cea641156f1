"""Projections: linear layers fitted in closed form, one file each, the function first."""
