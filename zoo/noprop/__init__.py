"""Learning without end-to-end back-propagation."""

from zoo.noprop._trajectory import Trajectory, trajectory

__all__ = ["Trajectory", "trajectory"]
