"""The frozen part of a network: cut off (`cutting`), folded (`folding`), and computed once (`prefix`). Its outputs are
cached on disk (`feature_cache`) under a key of all that they depend on (`cache_key`).
"""
