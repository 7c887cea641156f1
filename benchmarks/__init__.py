"""Benchmarks of this library against common alternatives: `python -m benchmarks` writes docs/benchmarks.md."""
