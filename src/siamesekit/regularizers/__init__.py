"""Regularizers: what a loss of pytorch-metric-learning adds for embeddings or for its own weights."""
