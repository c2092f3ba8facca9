"""Learning without end-to-end back-propagation."""

from zoo.engines.layerwise.trajectory import Trajectory, trajectory

__all__ = ["Trajectory", "trajectory"]
