"""This library beside what a user would otherwise write: `python -m benchmarks` writes docs/benchmarks.md."""
