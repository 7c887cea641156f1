"""Components of pytorch-metric-learning: `bridge` converts arguments, and each other file registers one kind."""
