"""Logistic regression."""

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from zoo.contract.declaring import field
from zoo.contract.inputs import Input, Table
from zoo.contract.notices import warn
from zoo.contract.params import (
    Count,
    Device,
    Fixed,
    Interval,
    Positive,
    Probability,
    Search,
    Seed,
    Tolerance,
    UnitInterval,
)
from zoo.contract.roles import Classifier
from zoo.contract.steps import Steps
from zoo.engines import accepted
from zoo.engines.devices import arrays_on
from zoo.engines.magnitudes import check_squares


class LogisticRegression(Classifier):
    r"""A linear score for each class, turned into probabilities by the softmax.

    The penalised likelihood has one minimum, and every solver reaches it. Two classes share one
    vector of coefficients.

    .. math::
        p(k \mid x) = \frac{e^{\langle x, \beta_k\rangle}}{\sum_j e^{\langle x, \beta_j\rangle}},
        \qquad
        \min_\beta \; -C \sum_i w_i \log p(y_i \mid x_i)
          + \tfrac{1 - \rho}{2} |\beta|^2 + \rho |\beta|_1

    Parameters
    ----------
    penalty : {"l1", "l2", "elasticnet"} or None, default="deprecated"
        scikit-learn's older word: "l2" and "l1" are ``l1_ratio`` 0 and 1, None is ``C=inf``.
    C : float, default=1.0
        Inverse strength of the penalty, which leaves the intercept alone; ``inf`` is no penalty.
    l1_ratio : float, default=0.0
        rho: 0 is the l2 penalty, 1 the l1 penalty, which makes coefficients exactly zero.
    fit_intercept : bool, default=True
        Whether to fit the constants.
    solver : {"auto", "newton", "lbfgs", "gradient_descent", "momentum", "sgd", ...}, default="auto"
        "newton" reweights least squares; "lbfgs" takes start and curvature from a sample
        of the rows, or, with few rows for its columns, works in the space of the rows or without
        curvature. "auto" takes what should cost least at the shape of X. An l1 penalty has
        a proximal Newton solver of its own and takes "auto" alone. Of scikit-learn's other names
        "newton-cg" and "newton-cholesky" are "newton" here, "sag", "saga" and "liblinear" are "auto"
        (liblinear itself penalises the constants too).
    lr : float or None, default=None
        Step of the last three solvers; None is one over the largest curvature.
    momentum : float, default=0.9
        Share of the last step that "momentum" and "sgd" keep.
    batch_size : int, default=64
        Rows in a step of "sgd".
    tol : float, default=1e-8
        Stop when no entry of the gradient, per unit of weight, is larger.
    max_iter : int, default=1000
        Most steps (passes for "sgd").
    random_state : int, RandomState or None, default=None
        Order of the rows in "sgd"; None draws afresh.
    dual, intercept_scaling, n_jobs, verbose, warm_start : default=False, 1, None, 0, False
        Taken as in scikit-learn, without effect: the optimum is one, whatever the way to it.
    device : str, default="cpu"
        Where a dense X is worked on: "cpu" is numpy, "cuda" (or "auto", "mps") is torch.

    Attributes
    ----------
    coef_ : array of shape (1, d) or (k, d)
        Coefficients.
    intercept_ : array of shape (1,) or (k,)
        Constants.
    n_iter_ : int
        Steps taken.

    Notes
    -----
    The gradient of the loss is X'(p - y): the textbook writes the residual y - p, the direction of
    ascent. A Newton step costs O(n d^2 k^2), an lbfgs step O(n d k). Without penalty, separable
    classes have no optimum, and collinear columns no single one: both are warned of. "sgd" falls
    like one over the passes and needs a loose ``tol``.

    References
    ----------
    Nelder and Wedderburn (1972), Generalized linear models, JRSS A 135(3).
    Liu and Nocedal (1989), On the limited memory BFGS method, Mathematical Programming 45.
    Friedman, Hastie and Tibshirani (2010), Regularization paths for generalized linear models via
    coordinate descent, JSS 33(1).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from zoo import LogisticRegression
    >>> X, y = load_iris(return_X_y=True)
    >>> round(LogisticRegression().fit(X, y).score(X, y), 3)
    0.973
    """

    input: ClassVar[Input] = Table(sparse=True)
    extra_capabilities: ClassVar[tuple[str, ...]] = ("gpu",)

    penalty: Annotated[
        Literal["deprecated", "l1", "l2", "elasticnet"] | None, Fixed("l1_ratio and C say it")
    ] = field(default="deprecated", kw_only=False)
    C: Annotated[Positive, Search(1e-3, 1e3, log=True)] = 1.0
    l1_ratio: UnitInterval = 0.0
    fit_intercept: bool = True
    solver: Annotated[
        Literal[
            "auto", "newton", "lbfgs", "gradient_descent", "momentum", "sgd",
            "newton-cg", "newton-cholesky", "sag", "saga", "liblinear",
        ],
        Fixed("all reach the same optimum"),
    ] = "auto"
    lr: Annotated[Positive | None, Fixed("it sets the speed, not the optimum")] = None
    momentum: Annotated[Probability, Fixed("it sets the speed, not the optimum")] = 0.9
    batch_size: Annotated[Count, Fixed("it sets the speed, not the optimum")] = 64
    tol: Tolerance = 1e-8
    max_iter: Annotated[Count, Fixed("a budget, not a property of the model")] = 1000
    random_state: Seed = None
    dual: accepted.WarmStart = False
    intercept_scaling: Annotated[float, Interval(0, None), Fixed("it changes nothing here")] = 1.0
    n_jobs: accepted.Threads = None
    verbose: accepted.Verbose = 0
    warm_start: accepted.WarmStart = False
    device: Device = "cpu"

    def _learn(self, X: Any, y: np.ndarray, w: np.ndarray | None, steps: Steps) -> None:
        check_squares(type(self).__name__, w, X=X)
        n, d = X.shape
        k = 1 if len(self.classes_) == 2 else len(self.classes_)
        total = float(n) if w is None else float(w.sum())
        share = np.full(n, 1 / n, X.dtype) if w is None else w / w.sum()
        C, rho = self._penalty()
        strength = 1 / (C * total)
        problem = self._problem(X, y, k, share, strength * (1 - rho))
        theta = np.zeros((k, d + 1), X.dtype)
        self._put(theta, 0)
        ticks = iter(steps(None, "iteration"))

        def on_step(theta: np.ndarray, n_iter: int) -> bool:
            self._put(theta, n_iter)
            return next(ticks, None) is None or self._separates(problem, theta)

        # float32 cannot resolve a gradient below its own rounding
        tol = max(self.tol, 20 * np.finfo(X.dtype).eps * (1 if X.dtype == np.float32 else 0))
        answer = self._solve(problem, theta, tol, on_step, strength * rho)
        theta = answer.theta
        if k > 1:
            # adding a constant to every class changes no probability, and no sum is smaller than zero's
            free = np.append(np.full(d, rho == 0 or np.isinf(C)), True)
            theta = theta - theta.mean(axis=0) * free.astype(theta.dtype)
        self._put(theta, answer.n_iter)
        self._tell(problem, answer)

    def _penalty(self) -> tuple[float, float]:
        """C and rho as the parameters mean them together."""
        rho = {"l1": 1.0, "l2": 0.0}.get(str(self.penalty), float(self.l1_ratio))
        return np.inf if self.penalty is None else float(self.C), rho

    def _problem(self, X: Any, y: np.ndarray, k: int, share: np.ndarray, lam: float) -> Any:
        from zoo.engines.linear import logistic

        arrays = arrays_on(self.device, X.dtype)
        if arrays.xp is np:
            return logistic.Problem(X, y, k, share, lam, self.fit_intercept)
        if sparse.issparse(X):
            raise ValueError(
                f"LogisticRegression: device={self.device!r} takes a dense X, but X is sparse; use "
                "device='cpu' or give a dense array."
            )
        return logistic.ProblemOnDevice(X, y, k, share, lam, self.fit_intercept, arrays)

    def _solve(self, problem: Any, theta: np.ndarray, tol: float, on_step: Any, lam1: float) -> Any:
        from zoo.engines.linear import logistic

        solver = _NAMES.get(self.solver, self.solver)
        budget = (problem, theta, tol, self.max_iter, on_step)
        if lam1 > 0:
            if solver != "auto":
                raise ValueError(
                    f"LogisticRegression: solver={self.solver!r} was given with l1_ratio="
                    f"{self._penalty()[1]}; an l1 penalty takes solver='auto'."
                )
            return logistic.proximal(*budget, lam1)
        if solver == "gradient_descent":
            return logistic.gradient_descent(*budget, lr=self.lr)
        if solver == "momentum":
            return logistic.gradient_descent(*budget, lr=self.lr, momentum=self.momentum)
        if solver == "sgd":
            rng = self._random_source()
            return logistic.sgd(*budget, rng, lr=self.lr, momentum=self.momentum, batch_size=self.batch_size)
        if solver == "newton":
            return logistic.newton(*budget)
        solve = logistic.choose(problem)
        if solver == "lbfgs" and solve is logistic.newton:
            solve = logistic.preconditioned
        return solve(*budget)

    def _separates(self, problem: Any, theta: np.ndarray) -> bool:
        """Tell whether theta proves that an unpenalised fit has no optimum."""
        if not np.isinf(self._penalty()[0]) or not theta.any():
            return False
        s = problem.scores(theta)
        if problem.k == 1:
            margin = np.where(problem.y == 1, s[:, 0], -s[:, 0])
        else:
            r = np.arange(len(s))
            own = s[r, problem.y].copy()
            s[r, problem.y] = -np.inf
            margin = own - s.max(axis=1)
        return bool(margin.min() > 1e-6)

    def _tell(self, problem: Any, answer: Any) -> None:
        name, message = "LogisticRegression", ""
        if self._separates(problem, answer.theta):
            message = (
                "the classes are separable, so that without penalty the coefficients grow for "
                "ever; what was found is a separating plane: give a finite C."
            )
        elif np.isinf(self._penalty()[0]) and problem.d <= 1000:
            message = self._flat(problem, answer)
        elif not answer.converged and answer.n_iter >= self.max_iter:
            message = _late(self.max_iter)
        if message:
            warn(f"{name}: {message}", ConvergenceWarning)

    def _flat(self, problem: Any, answer: Any) -> str:
        from zoo.engines.linear import logistic

        why = logistic.flat_direction(problem, answer.theta)
        if why == "collinear":
            return (
                "columns of X are collinear, so that without penalty the coefficients are not "
                "unique; drop columns or give a finite C."
            )
        if why == "separable":
            return (
                "the classes are separable in part (some rows are certain), so that without penalty "
                "some coefficients have no limit: give a finite C."
            )
        late = not answer.converged and answer.n_iter >= self.max_iter
        return _late(self.max_iter) if late else ""

    def _put(self, theta: np.ndarray, n_iter: int) -> None:
        self.coef_, self.intercept_ = theta[:, :-1].copy(), theta[:, -1].copy()
        self.n_iter_ = max(1, n_iter)

    def _scores(self, X: Any) -> np.ndarray:
        s = X @ self.coef_.T + self.intercept_
        return s[:, 0] if s.shape[1] == 1 else s


# scikit-learn's names of solvers, and those that solve the same problem here.
_NAMES = {
    "newton-cg": "newton", "newton-cholesky": "newton", "sag": "auto", "saga": "auto", "liblinear": "auto",
}  # fmt: skip


def _late(max_iter: int) -> str:
    return f"no convergence in max_iter={max_iter} steps; raise max_iter, lower C or scale the columns of X."
