"""Devices: which one a name means on this machine, and the array library that works there.

>>> import numpy as np
>>> from zoo.engines.devices import arrays_on
>>> arrays = arrays_on("cpu", np.dtype(float))
>>> arrays.put(np.ones(3)).sum().item()
3.0
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Arrays", "arrays_on", "resolve_device"]


@dataclass(frozen=True)
class Arrays:
    """The array library ``xp`` of a device: numpy on the CPU, torch elsewhere.

    Engines that write only what both understand (``@``, ``.T``, ``sum(axis)``, ``xp.exp`` ...) run
    on either.
    """

    xp: Any
    device: str

    def put(self, a: Any) -> Any:
        """Bring a numpy array to the device, without a copy where it can be shared."""
        if self.xp is np:
            return a
        if not isinstance(a, np.ndarray):
            return a.to(self.device)
        # torch does not read negative strides, and warns of memory that it may not write
        a = np.ascontiguousarray(a) if min(a.strides, default=0) < 0 else a
        return self.xp.asarray(a if a.flags.writeable else a.copy(), device=self.device)

    @staticmethod
    def get(a: Any) -> np.ndarray:
        """Bring an array back as numpy."""
        return np.asarray(a.cpu() if hasattr(a, "cpu") else a)


def arrays_on(device: str, dtype: np.dtype) -> Arrays:
    """Return the library for ``device``, or say why the device cannot be had."""
    if device == "cpu":
        return Arrays(np, "cpu")
    name = resolve_device(device, dtype)
    if name == "cpu":
        return Arrays(np, "cpu")
    import torch

    return Arrays(torch, name)


def resolve_device(device: str, dtype: np.dtype) -> str:
    """Return the device that ``device`` means on this machine, or say why it cannot be had."""
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda"):
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        index = int(device[5:] or 0) if ":" in device else 0
        if index >= count:
            raise ValueError(
                f"device={device!r} was asked for, but this machine has {count} CUDA device(s); use "
                "device='auto' or 'cpu'."
            )
    if device == "mps":
        if not torch.backends.mps.is_available():
            raise ValueError(
                "device='mps' was asked for, but this machine has none; use device='auto' or 'cpu'."
            )
        if dtype == np.float64:
            raise ValueError(
                "device='mps' has no float64; give X as float32 (or precision='float32', where there is one)."
            )
    return device
