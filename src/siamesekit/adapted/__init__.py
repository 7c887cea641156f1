"""What other packages have: classes with options and docstrings, read from their sources, not imported."""
