"""Scaling laws."""

from dataclasses import dataclass
from itertools import product
from typing import Annotated, Any, ClassVar

import numpy as np
from scipy import optimize

from zoo.contract.inputs import Input, Table
from zoo.contract.params import Count, Fixed, OpenFraction, Positive, Search, Seed, Whole
from zoo.contract.roles import Regressor
from zoo.contract.steps import Steps


@dataclass(frozen=True)
class Resources(Table):
    """Rows of positive amounts. scikit-learn's own checks feed zeros, so they are not claimed."""

    two_d_array: ClassVar[bool] = False

    def check(self, estimator: Any, X: Any, *, reset: bool) -> np.ndarray:
        """Return a float array whose entries have a logarithm."""
        X = super().check(estimator, X, reset=reset)
        if (X <= 0).any():
            raise ValueError(
                f"X holds {X.min():g}, which has no logarithm; {type(estimator).__name__} takes "
                "positive amounts: parameters, tokens, operations."
            )
        return X

    def toy(self, rng: np.random.RandomState, n: int = 40) -> tuple[Any, np.ndarray]:
        """Two resources; a loss of 1 with much of the first, of 2 with little."""
        _, y = super().toy(rng, n)
        X = np.exp(rng.uniform(5, 6, size=(n, 2)))
        X[:, 0] *= np.where(y == 1, 100.0, 1.0)
        return X, 2 - y


class ScalingLaw(Regressor):
    r"""A constant that cannot be beaten, and a power law in each resource.

    One column (parameters N, tokens D or compute C) gives E + A / N^a; two columns, N and D, the
    joint law of Chinchilla, which says how to split a budget of compute.

    .. math::
        \hat L(x) = E + \sum_j A_j x_j^{-a_j}, \qquad
        \min_{E, A, a} \sum_i w_i \operatorname{Huber}_\delta(\log \hat L(x_i) - \log y_i)

    Parameters
    ----------
    delta : float, default=1e-3
        Error of log y above which rows count linearly and no longer by their square.
    n_starts : int, default=8
        Best starts, of a grid of exponents, that are followed to their optimum.
    n_bootstrap : int, default=0
        Refits on resampled rows, for ``intervals_``.
    level : float, default=0.95
        Coverage of the intervals.
    random_state : int, RandomState or None, default=None
        Seed of the bootstrap; None is 0.

    Attributes
    ----------
    E_ : float
        The irreducible loss.
    A_ : array of shape (d,)
        Factors of the power laws, their values at 1; inf where that is out of range.
    exponents_ : array of shape (d,)
        Exponents a.
    objective_ : float
        The minimum, per unit of weight.
    bootstrap_ : array of shape (n_bootstrap, 1 + 2 d)
        E, A, a of each refit.
    intervals_ : array of shape (1 + 2 d, 2)
        Percentile intervals of E, A, a; nan without bootstrap.

    Notes
    -----
    X and y must be positive. The textbook's (N_c / N)^a is A = N_c^a; it has no joint form. The
    optimum has a long flat valley in (A, a): trust the curve and ``allocate`` before single
    numbers.
    For given exponents E and A solve a non-negative least squares problem; that gives the starts.

    References
    ----------
    Hoffmann et al. (2022), Training compute-optimal large language models, arXiv 2203.15556.
    Besiroglu et al. (2024), Chinchilla scaling: a replication attempt, arXiv 2404.10102.

    Examples
    --------
    >>> import numpy as np
    >>> from zoo import ScalingLaw
    >>> N, D = np.meshgrid(np.geomspace(1e7, 1e10, 8), np.geomspace(1e9, 1e12, 8))
    >>> X = np.column_stack([N.ravel(), D.ravel()])
    >>> y = 1.69 + 406.4 / X[:, 0] ** 0.34 + 410.7 / X[:, 1] ** 0.28
    >>> m = ScalingLaw().fit(X, y)
    >>> round(m.E_, 2), m.exponents_.round(2).tolist()
    (1.69, [0.34, 0.28])
    """

    input: ClassVar[Input] = Resources()
    excused: ClassVar[dict[str, str]] = {"check_sample_weight": "it asks for losses below zero"}

    delta: Annotated[Positive, Search(1e-4, 1.0, log=True)] = 1e-3
    n_starts: Annotated[Count, Fixed("more starts only cost time")] = 8
    n_bootstrap: Annotated[Whole, Fixed("it sets the intervals, not the law")] = 0
    level: Annotated[OpenFraction, Fixed("it sets the intervals, not the law")] = 0.95
    random_state: Seed = None

    def _learn(self, X: np.ndarray, y: np.ndarray, w: np.ndarray | None, steps: Steps) -> None:
        x, v = self._logs(X), np.asarray(y, np.float64)
        if (v <= 0).any():
            raise ValueError(
                f"ScalingLaw: y holds {v.min():g}; a loss must be positive. Shift or drop the rows."
            )
        v = np.log(v)
        share = np.ones(len(v)) if w is None else np.asarray(w, np.float64)
        share = share / share.sum()
        # centred logs: the factors then live near the data and not at x = 1
        self._centre = x.mean(axis=0)
        x = x - self._centre
        rng = self._random_source()
        starts = _starts(x, v, share)[: self.n_starts]
        self._put(starts[0], np.nan, [])
        refits: list[np.ndarray] = []
        for fit in steps(1 + self.n_bootstrap, "fit"):
            if fit == 0:
                best = min(
                    (_follow(theta, x, v, share, self.delta) for theta in starts),
                    key=lambda answer: answer.fun,
                )
            else:
                count = rng.multinomial(len(v), share) / len(v)
                refits.append(self._constants(_follow(best.x, x, v, count, self.delta).x))
            self._put(best.x, float(best.fun), refits)

    def _put(self, theta: np.ndarray, objective: float, refits: list[np.ndarray]) -> None:
        d = len(self._centre)
        constants = self._constants(theta)
        self.objective_ = objective
        self.E_, self.A_ = float(constants[0]), constants[1 : d + 1]
        self._level, self.exponents_ = theta[1 : d + 1], theta[d + 1 :]
        self.bootstrap_ = np.array(refits).reshape(-1, 2 * d + 1)
        self.intervals_ = np.full((2 * d + 1, 2), np.nan)
        if refits:
            tail = (1 - self.level) / 2
            self.intervals_ = np.quantile(self.bootstrap_, [tail, 1 - tail], axis=0).T

    def _output(self, X: np.ndarray) -> np.ndarray:
        # A x^-a around the centre of the data, where no factor overflows
        s = self.E_ + np.exp(self._level - (self._logs(X) - self._centre) * self.exponents_).sum(axis=1)
        return s.astype(self.dtype_, copy=False)

    def _logs(self, X: np.ndarray) -> np.ndarray:
        return np.log(X.astype(np.float64))

    def _constants(self, theta: np.ndarray) -> np.ndarray:
        """E, A and a of the internal parameters (log E, log A at the centre, a)."""
        d = len(self._centre)
        a = theta[d + 1 :]
        # Data that follow no power law can have an exponent so large that A, the value at 1, is inf.
        with np.errstate(over="ignore"):
            A = np.exp(theta[1 : d + 1] + a * self._centre)
        return np.concatenate([[np.exp(theta[0])], A, a])

    def allocate(self, compute: Any, flops: float = 6.0) -> tuple[np.ndarray, np.ndarray]:
        """Return the (N, D) with flops N D = compute whose predicted loss is lowest.

        With two columns only; N = G (C / flops)^(b / (a + b)), G = (a A / (b B))^(1 / (a + b)).
        """
        if len(self.exponents_) != 2:
            raise ValueError(
                "ScalingLaw.allocate needs a joint law, but X had "
                f"{len(self.exponents_)} column(s); fit it on two, parameters and tokens."
            )
        a, b = self.exponents_
        if a <= 0 or b <= 0:
            raise ValueError(
                f"ScalingLaw.allocate: the exponents {a:.3g} and {b:.3g} are not both positive, so "
                "that no split is best; fit on data where both resources help."
            )
        budget = np.asarray(compute, dtype=np.float64) / flops
        G = (a * self.A_[0] / (b * self.A_[1])) ** (1 / (a + b))
        N = G * budget ** (b / (a + b))
        return N, budget / N


def _starts(x: np.ndarray, v: np.ndarray, w: np.ndarray) -> list[np.ndarray]:
    """For exponents on a grid, E and A by non-negative least squares; the best first."""
    n, d = x.shape
    spread = np.maximum(np.ptp(x, axis=0), 1e-12)
    # exponents as the range of the power law over the data: from almost linear to a factor e^12
    reach = np.array([0.1, 0.5, 1, 2, 3, 4, 6, 9, 12, -1])
    grid = product(reach, repeat=d) if d <= 2 else ([r] * d for r in reach)
    scale = np.sqrt(w) * np.exp(-v)
    found = []
    for r in grid:
        a = np.asarray(r) / spread
        M = np.column_stack([np.ones(n), np.exp(-x * a)])
        size = np.abs(M).max(axis=0)
        c, rest = optimize.nnls(M / size * scale[:, None], np.sqrt(w))
        c = np.maximum(c / size, 1e-6 * np.exp(v.mean()) / size)
        found.append((rest, np.concatenate([np.log(c), a])))
    found.sort(key=lambda item: item[0])
    return [theta for _, theta in found]


def _objective(
    theta: np.ndarray, x: np.ndarray, v: np.ndarray, w: np.ndarray, delta: float
) -> tuple[float, np.ndarray]:
    """Mean Huber loss of log L, divided by delta^2, and its gradient."""
    d = x.shape[1]
    T = np.column_stack([np.full(len(v), theta[0]), theta[1 : d + 1] - x * theta[d + 1 :]])
    top = T.max(axis=1)
    P = np.exp(T - top[:, None])
    total = P.sum(axis=1)
    P /= total[:, None]
    r = (top + np.log(total) - v) / delta
    bounded = np.clip(r, -1, 1)
    f = float(w @ (bounded * (r - 0.5 * bounded)))
    e = w * bounded / delta
    return f, np.concatenate([e @ P, -((e[:, None] * x) * P[:, 1:]).sum(axis=0)])


def _follow(theta: np.ndarray, x: np.ndarray, v: np.ndarray, w: np.ndarray, delta: float) -> Any:
    """Go down from theta, first with a wide Huber loss, whose kinks catch nothing."""
    for wide in (max(delta, 0.1), max(delta, 0.01), delta):
        answer = optimize.minimize(
            _objective,
            theta,
            (x, v, w, wide),
            jac=True,
            method="BFGS",
            options={"gtol": 1e-9, "maxiter": 500},
        )
        theta = answer.x
    return answer
