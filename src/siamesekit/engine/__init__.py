"""Exact, fast training: no step does more than it must, and every run can continue where it stopped.

`training` runs the epochs, `steps` computes a batch in chunks that fit into memory, `frozen/` computes the frozen part
once, `optimization` moves the weights. `checkpoints`, `state_files` and `random_state` keep the state. `doctor` reads
the figures of the epochs.
"""
