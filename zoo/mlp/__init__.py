"""Multi-layer perceptrons on tables."""
