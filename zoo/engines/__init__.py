"""Engines: the loops that several methods share; arrays or tensors in and out, one estimator.py each."""
