"""A declarative model zoo: every method is a scikit-learn estimator.

Names are loaded when they are first used, so that ``import zoo`` costs nothing.
"""

import lazy_loader as _lazy

__version__ = "0.1.0"

_named, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)


def __getattr__(name: str) -> object:
    try:
        return _named(name)
    except AttributeError as missing:
        if name.startswith("_"):
            raise
        from zoo.contract.elsewhere import did_you_mean

        raise AttributeError(f"zoo has no {name!r}.{did_you_mean(name, __all__)}") from missing
