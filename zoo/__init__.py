"""A declarative model zoo: every method is a scikit-learn estimator.

Names are loaded when they are first used, so that ``import zoo`` costs nothing.
"""

import lazy_loader as _lazy

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
