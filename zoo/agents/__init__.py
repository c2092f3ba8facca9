"""Agents that learn by acting."""
