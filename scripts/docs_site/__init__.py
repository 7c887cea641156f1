"""What of the documentation site is not written by hand; `scripts/docs_hooks.py` calls it from MkDocs."""
