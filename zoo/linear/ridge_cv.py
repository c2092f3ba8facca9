"""Ridge regression that chooses its penalty."""

from typing import Annotated, Any, ClassVar

import numpy as np

from zoo.contract.declaring import field
from zoo.contract.inputs import Input, Table
from zoo.contract.params import Device, Fixed, Positive
from zoo.contract.roles import Regressor
from zoo.contract.targets import Numbers, Target
from zoo.engines.linear import least_squares as ls
from zoo.engines.linear import left_out
from zoo.engines.linear.splits import Splits, splits_of


class RidgeCV(Regressor):
    r"""Ridge regression with the best of many penalties, for little more than the price of one.

    One eigendecomposition gives the solution and the exact leave-one-out error of every ``alpha``.
    With ``cv`` the Gram matrix of each training part is that of all rows less that of the part left
    out.

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
    cv : int, splitter, iterable or None, default=None
        As in scikit-learn: None is leave-one-out, k that many folds of consecutive rows, else a
        splitter or pairs (train, test).
    alpha_per_target : bool, default=False
        Whether each target takes its own best alpha.
    device : str, default="cpu"
        Where a dense X is worked on: "cpu" is numpy, "cuda" (or "auto", "mps") is torch.

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
    error leaves out the row as such, however large its weight, and is averaged by weight; with
    ``cv`` every split counts the same, as in GridSearchCV with ``neg_mean_squared_error``.

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
    target: ClassVar[Target] = Numbers(many=True)
    extra_capabilities: ClassVar[tuple[str, ...]] = ("gpu",)
    excused: ClassVar[dict[str, str]] = {
        "check_weights_count_as_repetition": (
            "leaving out one of two equal rows is not leaving out a row of weight 2"
        ),
    }

    alphas: Annotated[tuple[Positive, ...], Fixed("all of them are tried")] = field(
        default=(0.1, 1.0, 10.0), kw_only=False
    )
    fit_intercept: bool = True
    cv: Splits = None
    alpha_per_target: bool = False
    device: Device = "cpu"

    def _learn(self, X: Any, y: np.ndarray, w: np.ndarray | None) -> None:
        Y = y[:, None] if y.ndim == 1 else y
        alphas = np.asarray(self.alphas, dtype=X.dtype)
        if not alphas.size:
            raise ValueError("RidgeCV: alphas is empty; give at least one penalty.")
        if self.cv is None and len(y) == 1:
            raise ValueError("RidgeCV: n_samples=1 leaves no row to learn from; give more rows.")
        design = ls.design_on(self, X, Y, w)
        found = left_out.decompose(design, alphas)
        errors = np.zeros((len(alphas), Y.shape[1]))
        if self.cv is None:
            share = ls.on_host(design.shares(slice(None)))

            def take(rows: np.ndarray, e: np.ndarray) -> None:
                errors[:] += np.einsum("i,iat->at", share[rows], e**2)

            found.leave_one_out(alphas, take)
        else:
            splits = splits_of("RidgeCV", self.cv, X, y, self._kept)

            def take(rows: np.ndarray, e: np.ndarray) -> None:
                share = ls.on_host(design.shares(rows)) / len(splits)
                errors[:] += np.einsum("i,iat->at", share, e**2)

            found.leave_parts_out(alphas, splits, take)
        each = self.alpha_per_target and Y.shape[1] > 1
        scores = -errors if each else -errors.mean(axis=1)
        best = scores.argmax(axis=0)
        self.scores_ = scores
        self.best_score_ = scores[best, np.arange(Y.shape[1])] if each else float(scores[best])
        self.alpha_ = alphas[best] if each else float(alphas[best])
        beta = found.solve(np.broadcast_to(alphas[best], Y.shape[1]))
        beta = ls.on_host(beta).astype(X.dtype, copy=False)
        self.coef_, self.intercept_ = ls.coefficients(design, beta, y.ndim)

    def _output(self, X: Any) -> np.ndarray:
        return X @ self.coef_.T + self.intercept_
