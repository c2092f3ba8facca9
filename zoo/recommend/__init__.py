"""Recommenders: ratings of pairs (user, item)."""
