"""The public names of the zoo; written by `python -m zoo.registry`."""

from .linear.logistic_regression import LogisticRegression as LogisticRegression
from .linear.ridge import Ridge as Ridge
from .svm.svc import SVC as SVC
from .svm.svr import SVR as SVR
from .mlp.mlp import MLPClassifier as MLPClassifier
from .mlp.mlp import MLPRegressor as MLPRegressor
from .vision.convnet import ConvNetClassifier as ConvNetClassifier
from .vision.convnet import ConvNetRegressor as ConvNetRegressor
from .recommend.matrix_factorization import MatrixFactorization as MatrixFactorization
from .agents.dqn import DQN as DQN
from .persist import ZooFileError as ZooFileError
from .persist import load as load
from .persist import save as save
from .registry import all_estimators as all_estimators
from .registry import card as card
from .registry import matching as matching
from . import conformance as conformance

__version__: str
