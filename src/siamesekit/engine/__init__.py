"""Training and evaluation of embeddings: the frozen part, precision, steps, checkpoints."""
