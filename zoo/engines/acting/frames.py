"""Frame stacking: an observation is the last n that were made, so that what moves can be seen."""

import numpy as np

from zoo.engines.acting.images import channel_axis, is_image
from zoo.engines.acting.spaces import Box, Space


def stacked(space: Space, n: int) -> Space:
    """Return the space of n elements side by side: of images along their channels."""
    if n == 1:
        return space
    if not isinstance(space, Box) or not space.shape:
        raise ValueError(
            f"n_frames={n} puts arrays of numbers side by side, but env gives {space.kind} "
            "observations; leave it at 1."
        )
    frames = Frames(space, n, 1)
    low, high = (np.concatenate([frames.framed(b)] * n, axis=frames.axis) for b in (space.low, space.high))
    return Box(low, high, space.dtype)


class Frames:
    """The last n observations of every environment.

    Parameters
    ----------
    space : Box
        Of one observation.
    n : int
        How many are shown at once; the oldest comes first, and where an episode is younger than
        that, its first observation is repeated.
    n_envs : int
        Environments.
    """

    def __init__(self, space: Box, n: int, n_envs: int) -> None:
        self.n = n
        flat = is_image(space) and channel_axis(space.shape) is None
        # Images without an axis of channels get one in front.
        self.shape = (1, *space.shape) if flat else space.shape
        self.axis = len(space.shape) - 1
        if is_image(space):
            self.axis = 0 if flat else channel_axis(space.shape) or 0
        self.width = self.shape[self.axis]
        self.shown = [np.empty(0)] * n_envs

    def framed(self, observation: np.ndarray) -> np.ndarray:
        """Return one observation with the axis along which frames are put."""
        return np.reshape(observation, self.shape)

    def begin(self, i: int, observation: np.ndarray) -> np.ndarray:
        """Return what environment i shows as an episode begins."""
        self.shown[i] = np.concatenate([self.framed(observation)] * self.n, axis=self.axis)
        return self.shown[i]

    def push(self, i: int, observation: np.ndarray) -> np.ndarray:
        """Return what environment i shows after one more observation."""
        older = self.shown[i][(slice(None),) * self.axis + (slice(self.width, None),)]
        self.shown[i] = np.concatenate([older, self.framed(observation)], axis=self.axis)
        return self.shown[i]
