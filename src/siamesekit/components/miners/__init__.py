"""Miners, which select the triplets of a batch that train. One file each, the function first."""
