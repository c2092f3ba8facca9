"""Parameters that scikit-learn's classes have and that change nothing here: accepted, so that calls run.

A leaf names those of the class of its name; its docstring says that they have no effect.
"""

from typing import Annotated, Any, Literal

import numpy as np

from zoo.contract.params import Fixed

_NOTHING = Fixed("it changes nothing here")

Verbose = Annotated[bool | int, _NOTHING]
CopyX = Annotated[bool, _NOTHING]
Threads = Annotated[int | None, _NOTHING]
Draw = Annotated[int | np.random.RandomState | None, _NOTHING]
WarmStart = Annotated[bool, _NOTHING]
Precompute = Annotated[Any, _NOTHING]
Selection = Annotated[Literal["cyclic", "random"], _NOTHING]
