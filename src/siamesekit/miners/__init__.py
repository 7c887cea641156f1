"""Miners: which triplets of a batch train. One file each, the function first."""
