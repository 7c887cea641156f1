"""A run computed by several processes: one leads, the others encode their share of each batch."""
