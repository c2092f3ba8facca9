"""The Bradley-Terry model of who beats whom."""

from collections.abc import Hashable, Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
from scipy import linalg, sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from zoo.contract.inputs import Input, Pairs
from zoo.contract.logits import log_softmax
from zoo.contract.notices import warn
from zoo.contract.params import Count, Fixed, Positive, Search, Tolerance
from zoo.contract.roles import Classifier
from zoo.contract.steps import Steps


class BradleyTerry(Classifier):
    r"""Strengths from the outcomes of matches between two.

    A row of X names two players, y says who won: the largest label that the first did, the
    smallest that the second did, and a label between, if there is one, a tie. Strengths may be
    free, or linear in features of the players.

    .. math::
        P(i \succ j) = \frac{e^{\delta / 2}}{Z}, \quad P(j \succ i) = \frac{e^{-\delta / 2}}{Z},
        \quad P(i \sim j) = \frac{\nu}{Z}, \qquad \delta = s_i - s_j + h, \quad \nu = 0
        \text{ without ties}

    Parameters
    ----------
    C : float, default=1.0
        Inverse strength of the l2 penalty on strengths (or on the coefficients of the features);
        ``inf`` is none.
    home_advantage : bool, default=False
        Whether the first of a pair has the advantage h.
    features : mapping from player to vector, or None, default=None
        s = <features, beta> in place of free strengths.
    tol : float, default=1e-9
        Stop when no entry of the gradient, per unit of weight, is larger.
    max_iter : int, default=100
        Most Newton steps.

    Attributes
    ----------
    items_ : array of shape (m,)
        The players.
    strengths_ : array of shape (m,)
        s, mean zero when free. A player never seen has strength 0 (free) or its features'.
    coef_ : array of shape (1, p)
        beta, with features; the strengths without.
    home_advantage_ : float
        h, or 0.
    tie_ : float
        nu, or 0.
    n_iter_ : int
        Newton steps taken.

    Notes
    -----
    Without ties this is logistic regression on the differences of the players' indicators. Ties are
    Davidson's. Without penalty a player who won or lost all matches has no finite strength, and two
    groups that never met no common scale: both are warned of. A step costs O(n + m^3).

    References
    ----------
    Bradley and Terry (1952), Rank analysis of incomplete block designs, Biometrika 39. Davidson
    (1970), On extending the Bradley-Terry model to accommodate ties, JASA 65.

    Examples
    --------
    >>> from zoo import BradleyTerry
    >>> X = [("a", "b"), ("b", "c"), ("a", "c"), ("c", "b"), ("a", "b")]
    >>> m = BradleyTerry().fit(X, [1, 1, 1, 0, 1])
    >>> [str(player) for player in m.ranking()]
    ['a', 'b', 'c']
    """

    input: ClassVar[Input] = Pairs()
    logits: ClassVar[bool] = False
    excused: ClassVar[dict[str, str]] = {
        "check_pairs_renamed_ids": "both columns name the same players",
        "check_learns_toy": "who likes what has no order of strength",
    }

    C: Annotated[Positive, Search(1e-2, 1e3, log=True)] = 1.0
    home_advantage: bool = False
    features: Annotated[Mapping[Any, Any] | None, Fixed("it is data")] = None
    tol: Tolerance = 1e-9
    max_iter: Annotated[Count, Fixed("a budget, not a property of the model")] = 100

    def _learn(self, X: Any, y: np.ndarray, w: np.ndarray | None, steps: Steps) -> None:
        k, n = len(self.classes_), len(X)
        if k > 3:
            raise ValueError(f"BradleyTerry: y has {k} labels; it takes 2 (lost, won) or 3 (lost, tie, won).")
        self.items_ = _distinct(X)
        self._place = {item: i for i, item in enumerate(self.items_.tolist())}
        F = None if self.features is None else self._rows(self.items_)
        A = self._differences(X)
        w = np.ones(n) if w is None else np.asarray(w, np.float64)
        self._lam = 1 / (float(self.C) * w.sum())
        self._total = float(w.sum())
        model = (A, y, w / w.sum(), self._lam, k)
        m = A.shape[1]
        theta = np.zeros(m + 2)  # strengths or coefficients, home advantage, log nu
        self._free = np.append(np.ones(m, bool), [self.home_advantage, k == 3])
        self.n_iter_ = 1
        self._put(theta, F)
        f, g, H = _likelihood(theta, *model)
        done = False
        for n_iter in steps(self.max_iter, "iteration"):
            done = bool(np.abs(g[self._free]).max() <= self.tol)
            if done or np.abs(theta[:m]).max(initial=0) > 30:  # a strength that runs away
                break
            move = np.zeros_like(theta)
            move[self._free] = -_least_norm(H[np.ix_(self._free, self._free)], g[self._free])
            slope, a = float(g @ move), 1.0
            new = _likelihood(theta + move, *model)
            while new[0] > f + 1e-4 * a * slope + 1e-14 * abs(f) and a > 1e-10:
                a *= 0.5
                new = _likelihood(theta + a * move, *model)
            theta, (f, g, H) = theta + a * move, new
            self.n_iter_ = n_iter + 1
            self._put(theta, F)
        self._hessian = H
        self._tell(done, m)

    def _tell(self, done: bool, m: int) -> None:
        # odds of a thousand million to one are no estimate: such a curvature counts as none
        unique = np.linalg.matrix_rank(self._hessian[:m, :m], rtol=1e-7, hermitian=True)
        alone = np.isinf(self.C) and unique < m - (self.features is None)
        if done and not alone:
            return
        warn(
            "BradleyTerry: strengths are not determined (a player or a group of them won, or lost, "
            "all its matches against the others, or never met them); give a smaller C, "
            "or raise max_iter if it was reached.",
            ConvergenceWarning,
        )

    def _put(self, theta: np.ndarray, F: np.ndarray | None) -> None:
        self.coef_ = theta[None, :-2].copy()
        self.strengths_ = theta[:-2].copy() if F is None else F @ theta[:-2]
        if F is None and np.isinf(self.C):
            self.strengths_ -= self.strengths_.mean()
        self.home_advantage_ = float(theta[-2]) if self.home_advantage else 0.0
        self.tie_ = float(np.exp(theta[-1])) if len(self.classes_) == 3 else 0.0

    def _rows(self, items: Any) -> np.ndarray:
        features = self.features or {}
        missing = [i for i in items if i not in features]
        if missing:
            raise ValueError(
                f"BradleyTerry: features holds no vector for {missing[0]!r}; give one for each player."
            )
        return np.array([np.asarray(features[i], dtype=np.float64) for i in items])

    def _differences(self, X: Any) -> Any:
        """One row a match: the first player's row less the second's."""
        if self.features is not None:
            return self._rows(X[:, 0].tolist()) - self._rows(X[:, 1].tolist())
        n = len(X)
        place = np.array([[self._place.get(i, -1) for i in row] for row in X.tolist()])
        known = place.ravel() >= 0
        rows = np.repeat(np.arange(n), 2)[known]
        return sparse.csr_array(
            (np.tile([1.0, -1.0], n)[known], (rows, place.ravel()[known])),
            shape=(n, len(self.items_)),
        )

    def _proba(self, X: Any) -> np.ndarray:
        delta = self._differences(X) @ self.coef_[0] + self.home_advantage_
        S = np.column_stack([-delta / 2, delta / 2])
        if len(self.classes_) == 3:
            S = np.insert(S, 1, np.log(self.tie_), axis=1)
        return np.exp(log_softmax(S)).astype(self.dtype_, copy=False)

    def ranking(self) -> list[Hashable]:
        """Return the players, best first."""
        check_is_fitted(self)
        order = np.argsort(-self.strengths_, kind="stable")
        return [self.items_[i] for i in order]

    def standard_errors(self) -> np.ndarray:
        """Return the standard errors of ``coef_`` (free strengths: about their mean)."""
        check_is_fitted(self)
        m = self.coef_.shape[1]
        H = self._hessian[np.ix_(self._free, self._free)] * self._total
        v, V = linalg.eigh(H)
        kept = v > 1e-10 * v[-1]
        B = V[:m, kept] / np.sqrt(v[kept])
        if self.features is None:
            B = B - B.mean(axis=0)
        return np.sqrt(np.einsum("ij,ij->i", B, B))


def _distinct(X: np.ndarray) -> np.ndarray:
    """Return the players in a fixed order, whatever their types."""
    if X.dtype != object:
        return np.unique(X)
    names = dict.fromkeys(X.ravel().tolist())
    out = np.empty(len(names), dtype=object)
    out[:] = sorted(names, key=lambda v: (type(v).__name__, v))
    return out


def _likelihood(
    theta: np.ndarray, A: Any, y: np.ndarray, w: np.ndarray, lam: float, k: int
) -> tuple[float, np.ndarray, np.ndarray]:
    """Value, gradient and Hessian of the mean negative log-likelihood with its penalty."""
    beta, home, tie = theta[:-2], theta[-2], theta[-1]
    delta = A @ beta + home
    S = np.column_stack([-delta / 2, np.full(len(y), tie if k == 3 else -np.inf), delta / 2])
    top = S.max(axis=1, keepdims=True)
    P = np.exp(S - top)
    total = P.sum(axis=1, keepdims=True)
    P /= total
    place = y if k == 3 else 2 * y
    own = S[np.arange(len(y)), place]
    f = float(w @ (top[:, 0] + np.log(total[:, 0]) - own)) + 0.5 * lam * float(beta @ beta)
    lost, tied, won = P.T
    d = w * ((won - lost) / 2 - (place == 2) / 2 + (place == 0) / 2)
    t = w * (tied - (place == 1))
    g = np.concatenate([A.T @ d + lam * beta, [d.sum(), t.sum()]])
    dd = w * ((won + lost) / 4 - ((won - lost) / 2) ** 2)
    dt = -w * tied * (won - lost) / 2
    tt = w * tied * (1 - tied)
    m = len(beta)
    H = np.empty((m + 2, m + 2))
    weighted = A.multiply(dd[:, None]) if sparse.issparse(A) else A * dd[:, None]
    inner = A.T @ weighted
    H[:m, :m] = inner.toarray() if sparse.issparse(inner) else inner
    H.flat[: m * (m + 2) : m + 3] += lam
    H[:m, m] = H[m, :m] = A.T @ dd
    H[:m, m + 1] = H[m + 1, :m] = A.T @ dt
    H[m:, m:] = [[dd.sum(), dt.sum()], [dt.sum(), tt.sum()]]
    return f, g, H


def _least_norm(H: np.ndarray, g: np.ndarray) -> np.ndarray:
    """Solve H x = g; where all strengths may move together (no penalty), by the least norm."""
    try:
        factor = linalg.cho_factor(H)
        if factor[0].diagonal().min() > 1e-6 * factor[0].diagonal().max():
            return linalg.cho_solve(factor, g)
    except linalg.LinAlgError:
        return linalg.lstsq(H, g, cond=1e-10)[0]
    return linalg.lstsq(H, g, cond=1e-10)[0]
