"""Parameters that scikit-learn's classes have and that change nothing here: accepted, so that calls run.

A leaf names those of the class of its name; its docstring says that they have no effect.
"""

from typing import Annotated, Any, Literal

from zoo.contract.params import Fixed, Interval, Jobs, Seed

_NOTHING = Fixed("it changes nothing here")

Verbose = Annotated[bool | Annotated[int, Interval(0, None)], _NOTHING]
CopyX = Annotated[bool, _NOTHING]
Threads = Annotated[Jobs, _NOTHING]
Draw = Annotated[Seed, _NOTHING]
WarmStart = Annotated[bool, _NOTHING]
Precompute = Annotated[Any, _NOTHING]
Selection = Annotated[Literal["cyclic", "random"], _NOTHING]
