"""Ridge regression that chooses its penalty."""

from typing import Annotated, Any, ClassVar

import numpy as np
from scipy import linalg

from zoo.base import Regressor
from zoo.inputs import Input, Table
from zoo.linear import _least_squares as ls
from zoo.params import Fixed, Interval, Positive


class RidgeCV(Regressor):
    r"""Ridge regression with the best of many penalties, for little more than the price of one.

    One eigendecomposition gives the solution and the exact leave-one-out error of every ``alpha``.
    With ``folds=k`` the Gram matrix of each training part is that of all rows less that of the part
    left out.

    .. math::
        e_i(\alpha) = \frac{y_i - \hat y_i(\alpha)}{1 - h_i(\alpha)}, \qquad
        h_i(\alpha) = \frac{w_i}{\sum w} + \sum_j \frac{q_{ij}^2}{s_j + \alpha},
        \qquad X^\top W X = V S V^\top,\ Q = W^{1/2} X V

    Parameters
    ----------
    alphas : tuple of float, default=(0.1, 1.0, 10.0)
        Penalties to try.
    fit_intercept : bool, default=True
        Whether to fit the unpenalised constant.
    folds : int or None, default=None
        None is leave-one-out; k is that many folds of consecutive rows.
    alpha_per_target : bool, default=False
        Whether each target takes its own best alpha.

    Attributes
    ----------
    alpha_ : float or array of shape (targets,)
        The best penalty.
    best_score_ : float or array of shape (targets,)
        Its score: minus the mean squared error on rows that were left out.
    scores_ : array of shape (alphas,) or (alphas, targets)
        The scores of all penalties.
    coef_, intercept_ : arrays
        As in Ridge, fitted on all rows with the best penalty.

    Notes
    -----
    Time O(n d min(n, d)) for any number of alphas, and O(k d^3) more for k folds. The leave-one-out
    error leaves out the row as such, however large its weight, and is averaged by weight.

    References
    ----------
    Golub, Heath and Wahba (1979), Generalized cross-validation, Technometrics 21(2).

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from zoo import RidgeCV
    >>> X, y = load_diabetes(return_X_y=True)
    >>> RidgeCV(alphas=(0.001, 0.01, 0.1, 1.0)).fit(X, y).alpha_
    0.01
    """

    input: ClassVar[Input] = Table(sparse=True)
    multi_output: ClassVar[bool] = True
    excused: ClassVar[dict[str, str]] = {
        "check_sample_weight_equivalence_on_dense_data": (
            "leaving out one of two equal rows is not leaving out a row of weight 2"
        ),
        "check_sample_weight_equivalence_on_sparse_data": (
            "leaving out one of two equal rows is not leaving out a row of weight 2"
        ),
        "check_weights_count_as_repetition": (
            "leaving out one of two equal rows is not leaving out a row of weight 2"
        ),
    }

    alphas: Annotated[tuple[Positive, ...], Fixed("all of them are tried")] = (0.1, 1.0, 10.0)
    fit_intercept: bool = True
    folds: Annotated[Annotated[int, Interval(2, None)] | None, Fixed("it sets the estimate")] = None
    alpha_per_target: bool = False

    def _learn(self, X: Any, y: np.ndarray, w: np.ndarray | None) -> None:
        Y = y[:, None] if y.ndim == 1 else y
        alphas = np.asarray(self.alphas, dtype=X.dtype)
        if not alphas.size:
            raise ValueError("RidgeCV: alphas is empty; give at least one penalty.")
        x_mean, y_mean = ls.means(X, Y, w, self.fit_intercept)
        if self.folds is None:
            errors, solution = self._leave_one_out(X, Y, w, x_mean, y_mean, alphas)
        else:
            errors, solution = self._folds(X, Y, w, x_mean, y_mean, alphas)
        each = self.alpha_per_target and Y.shape[1] > 1
        scores = -errors if each else -errors.mean(axis=1)
        best = scores.argmax(axis=0)
        self.scores_ = scores
        self.best_score_ = scores[best, np.arange(Y.shape[1])] if each else float(scores[best])
        self.alpha_ = alphas[best] if each else float(alphas[best])
        beta = solution(np.broadcast_to(alphas[best], Y.shape[1]))
        intercept = y_mean - x_mean @ beta
        self.coef_ = np.ascontiguousarray(beta.T) if y.ndim == 2 else beta[:, 0]
        self.intercept_ = intercept if y.ndim == 2 else intercept[0]

    def _output(self, X: Any) -> np.ndarray:
        return X @ self.coef_.T + self.intercept_

    def _leave_one_out(
        self, X: Any, Y: np.ndarray, w: Any, x_mean: Any, y_mean: Any, alphas: np.ndarray
    ) -> Any:
        n, d = X.shape
        Yc = Y - y_mean
        total = n if w is None else w.sum()
        part = np.full(n, 1 / n, X.dtype) if w is None else w / total
        errors = np.zeros((len(alphas), Y.shape[1]), X.dtype)
        own = part if self.fit_intercept else np.zeros(n, X.dtype)
        if d <= n:
            gram, cross = ls.normal_equations(X, Yc, w, x_mean)
            s, V = linalg.eigh(gram, check_finite=False)
            s = np.maximum(s, 0)
            c = V.T @ cross
            shrink = 1 / (s[:, None] + alphas)
            for rows in _pieces(n, d):
                Q = X[rows] @ V - x_mean @ V
                h = own[rows, None] + ((Q * Q) @ shrink) * (1 if w is None else w[rows, None])
                for t in range(Y.shape[1]):
                    r = Yc[rows, t, None] - Q @ (c[:, t, None] * shrink)
                    errors[:, t] += part[rows] @ (r / (1 - h)) ** 2

            def solution(alpha: np.ndarray) -> np.ndarray:
                return V @ (c / (s[:, None] + alpha))

            return errors, solution
        root = np.ones(n, X.dtype) if w is None else np.sqrt(w)
        s, U = linalg.eigh(ls.dual_equations(X, w, x_mean), check_finite=False)
        s = np.maximum(s, 0)
        c = U.T @ (Yc * root[:, None])
        left = alphas / (s[:, None] + alphas)
        # 1 - h and the residual are both made of alpha / (s + alpha): nothing cancels
        room = (U * U) @ left - own[:, None]
        for t in range(Y.shape[1]):
            r = U @ (c[:, t, None] * left)
            errors[:, t] = part @ ((r / root[:, None]) / room) ** 2

        def solution_dual(alpha: np.ndarray) -> np.ndarray:
            dual = (U @ (c / (s[:, None] + alpha))) * root[:, None]
            return X.T @ dual - np.outer(x_mean, dual.sum(axis=0))

        return errors, solution_dual

    def _folds(self, X: Any, Y: np.ndarray, w: Any, x_mean: Any, y_mean: Any, alphas: np.ndarray) -> Any:
        n, d = X.shape
        k = int(self.folds or 0)
        if not 2 <= k <= n:
            raise ValueError(f"RidgeCV: folds={k} was given for n_samples={n}; give 2 to {n}, or None.")
        if d > n:
            return self._folds_of_wide(X, Y, w, x_mean, y_mean, alphas, k)
        Yc, zero = Y - y_mean, np.zeros_like(y_mean)
        parts = np.array_split(np.arange(n), k)
        folds = [slice(p[0], p[-1] + 1) for p in parts]
        ones = np.ones(n, X.dtype) if w is None else w
        # moments about the common mean: every training part is the whole less one fold
        pieces = []
        for f in folds:
            G, c = ls.normal_equations(X[f], Yc[f], None if w is None else w[f], x_mean)
            W = ones[f]
            first = np.asarray(W @ X[f]).ravel() - W.sum() * x_mean
            pieces.append((G, c, first, W @ Yc[f], W.sum()))
        whole = [sum(p[j] for p in pieces) for j in range(5)]
        errors = np.zeros((len(alphas), Y.shape[1]), X.dtype)
        for f, piece in zip(folds, pieces, strict=True):
            G, c, mx, my, total = (a - b for a, b in zip(whole, piece, strict=True))
            if self.fit_intercept:
                G = G - np.outer(mx, mx) / total
                c = c - np.outer(mx, my) / total
                mx, my = mx / total, my / total
            else:
                mx, my = np.zeros_like(mx), zero
            s, V = linalg.eigh(G, check_finite=False)
            z = V.T @ c
            shrink = 1 / (np.maximum(s, 0)[:, None] + alphas)
            part = ones[f] / ones[f].sum() / k
            for t in range(Y.shape[1]):
                B = V @ (z[:, t, None] * shrink)
                r = Yc[f, t, None] - my[t] - (X[f] @ B - (x_mean + mx) @ B)
                errors[:, t] += part @ r**2
        s, V = linalg.eigh(whole[0], check_finite=False)
        c = V.T @ whole[1]

        def solution(alpha: np.ndarray) -> np.ndarray:
            return V @ (c / (np.maximum(s, 0)[:, None] + alpha))

        return errors, solution

    def _folds_of_wide(
        self, X: Any, Y: np.ndarray, w: Any, x_mean: Any, y_mean: Any, alphas: Any, k: int
    ) -> Any:
        """Wide X: every part through its rows' n x n products, made once."""
        n = X.shape[0]
        K = ls.dual_equations(X, None, x_mean)
        Yc = Y - y_mean
        ones = np.ones(n, X.dtype) if w is None else w
        errors = np.zeros((len(alphas), Y.shape[1]), X.dtype)
        for out in np.array_split(np.arange(n), k):
            rest = np.setdiff1d(np.arange(n), out)
            v = ones[rest]
            mean = v / v.sum() if self.fit_intercept else np.zeros_like(v)
            A, B = K[np.ix_(rest, rest)], K[np.ix_(out, rest)]
            m = A @ mean
            A = A - m - m[:, None] + mean @ m
            B = B - m - (B @ mean)[:, None] + mean @ m
            y0 = mean @ Yc[rest]
            root = np.sqrt(v)
            s, U = linalg.eigh(A * root * root[:, None], check_finite=False)
            z = U.T @ ((Yc[rest] - y0) * root[:, None])
            shrink = 1 / (np.maximum(s, 0)[:, None] + alphas)
            part = ones[out] / ones[out].sum() / k
            for t in range(Y.shape[1]):
                dual = (U @ (z[:, t, None] * shrink)) * root[:, None]
                errors[:, t] += part @ (Yc[out, t, None] - y0[t] - B @ dual) ** 2
        return errors, self._leave_one_out(X, Y, w, x_mean, y_mean, alphas[:1])[1]


def _pieces(n: int, d: int) -> list[slice]:
    step = max(256, 2**18 // d)
    return [slice(a, a + step) for a in range(0, n, step)]
