"""Models that give new data."""
