"""The public names of the zoo; written by `python -m zoo.registry`."""

from .agents.dqn import DQN as DQN
from .generative.vae import VAE as VAE
from .linear.bradley_terry import BradleyTerry as BradleyTerry
from .linear.lasso import Lasso as Lasso
from .linear.lasso_cv import LassoCV as LassoCV
from .linear.linear_regression import LinearRegression as LinearRegression
from .linear.logistic_regression import LogisticRegression as LogisticRegression
from .linear.piecewise import PiecewiseLinearRegressor as PiecewiseLinearRegressor
from .linear.ridge import Ridge as Ridge
from .linear.ridge_cv import RidgeCV as RidgeCV
from .linear.scaling_law import ScalingLaw as ScalingLaw
from .mlp.mlp import MLPClassifier as MLPClassifier
from .mlp.mlp import MLPRegressor as MLPRegressor
from .noprop.ct import NoPropCTClassifier as NoPropCTClassifier
from .noprop.dt import NoPropDTClassifier as NoPropDTClassifier
from .noprop.fm import NoPropFMClassifier as NoPropFMClassifier
from .noprop.hybrid import NoPropHybridClassifier as NoPropHybridClassifier
from .noprop.target_activation import TargetActivationClassifier as TargetActivationClassifier
from .noprop.target_activation import TargetActivationRegressor as TargetActivationRegressor
from .persist import ZooFileError as ZooFileError
from .persist import load as load
from .persist import save as save
from .recommend.matrix_factorization import MatrixFactorization as MatrixFactorization
from .registry import all_estimators as all_estimators
from .registry import card as card
from .registry import matching as matching
from .sequence.rnn import RNNClassifier as RNNClassifier
from .sequence.rnn import RNNRegressor as RNNRegressor
from .svm.linear_svc import LinearSVC as LinearSVC
from .svm.svc import SVC as SVC
from .svm.svr import SVR as SVR
from .text.gpt import GPT as GPT
from .trees.ada_boost import AdaBoostClassifier as AdaBoostClassifier
from .trees.boosting import BoostingClassifier as BoostingClassifier
from .trees.boosting import BoostingRegressor as BoostingRegressor
from .trees.decision_tree import DecisionTreeClassifier as DecisionTreeClassifier
from .trees.decision_tree import DecisionTreeRegressor as DecisionTreeRegressor
from .trees.least_squares_boosting import LeastSquaresBoostingRegressor as LeastSquaresBoostingRegressor
from .trees.random_forest import RandomForestClassifier as RandomForestClassifier
from .trees.random_forest import RandomForestRegressor as RandomForestRegressor
from .vision.convnet import ConvNetClassifier as ConvNetClassifier
from .vision.convnet import ConvNetRegressor as ConvNetRegressor
from . import conformance as conformance

__version__: str
