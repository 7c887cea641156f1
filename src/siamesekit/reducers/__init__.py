"""Reducers: from the terms of a loss of pytorch-metric-learning to one number."""
