"""Networks on series."""
