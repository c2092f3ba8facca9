"""Networks whose pieces learn each for itself."""
