"""The disk: files that are complete or absent, locks, and which files a run may move or remove.

`atomic` writes files completely or not at all; `untrusted` opens untrusted files within limits and computes
fingerprints; `untrusted_json` reads untrusted JSON; `locks` keeps two processes out of one folder; `paths` examines
paths; `replaceable` decides which files may be overwritten, and `run_files` which files belong to a run.
"""
