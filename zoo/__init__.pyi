"""The public names of the zoo; written by `python -m zoo.registry`."""

from .linear.logistic_regression import LogisticRegression as LogisticRegression
from .linear.ridge import Ridge as Ridge
from .mlp.mlp import MLPClassifier as MLPClassifier
from .mlp.mlp import MLPRegressor as MLPRegressor
from .persist import ZooFileError as ZooFileError
from .persist import load as load
from .persist import save as save
from .registry import all_estimators as all_estimators
from .registry import card as card
from .registry import matching as matching
from . import conformance as conformance

__version__: str
