"""The components of a run: one folder per kind, one file per component. Each kind has a registry and a config table.

Losses and miners share `labels`, `tuples` (triplets and pairs) and `batches`. A kind's protocol is in the file of its
name, such as `losses/loss.py`; `accepted.py` checks the results of a plugin's component. `adapted` wraps components of
other libraries; reducers and regularizers exist only there.
"""
