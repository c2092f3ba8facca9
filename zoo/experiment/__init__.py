"""Experiments: a spec, and the folder that is made from it."""

import lazy_loader as _lazy

# Whoever only reads a spec does not load what runs it.
__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "comparing": ["compare"],
        "folder": ["ExperimentError"],
        "predicting": ["predict"],
        "running": ["Result", "outline", "run"],
    },
)
