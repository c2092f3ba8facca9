"""Ridge regression that chooses its penalty."""

from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from zoo.contract.declaring import field
from zoo.contract.inputs import Input, Table
from zoo.contract.params import Device, Fixed, Positive
from zoo.contract.roles import Regressor
from zoo.contract.targets import Numbers, Target
from zoo.engines.linear import least_squares as ls
from zoo.engines.linear import left_out
from zoo.engines.linear.splits import Scoring, Splits, scorer_of, splits_of


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
    alphas : float or tuple of float, default=(0.1, 1.0, 10.0)
        Penalties to try.
    fit_intercept : bool, default=True
        Whether to fit the unpenalised constant.
    cv : int, splitter, iterable or None, default=None
        As in scikit-learn: None is leave-one-out, k that many folds of consecutive rows, else a
        splitter or pairs (train, test).
    scoring : str, callable or None, default=None
        As in scikit-learn; None is minus the mean squared error, with folds too, where scikit-learn
        takes R^2.
    alpha_per_target : bool, default=False
        Whether each target takes its own best alpha.
    store_cv_results : bool, default=False
        Whether to keep ``cv_results_``, with leave-one-out.
    gcv_mode : {"auto", "svd", "eigen"} or None, default=None
        Taken as in scikit-learn, without effect: the decomposition is chosen by the digits it keeps.
    device : str, default="cpu"
        Where a dense X is worked on: "cpu" is numpy, "cuda" (or "auto", "mps") is torch.

    Attributes
    ----------
    alpha_ : float or array of shape (targets,)
        The best penalty.
    best_score_ : float or array of shape (targets,)
        Its score on rows that were left out.
    scores_ : array of shape (alphas,) or (alphas, targets)
        The scores of all penalties.
    cv_results_ : array of shape (n, alphas) or (n, targets, alphas)
        Squared errors of the rows left out, or their predictions where ``scoring`` is given.
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

    alphas: Annotated[tuple[Positive, ...] | Positive, Fixed("all of them are tried")] = field(
        default=(0.1, 1.0, 10.0), kw_only=False
    )
    fit_intercept: bool = True
    cv: Splits = None
    scoring: Scoring = None
    alpha_per_target: bool = False
    store_cv_results: Annotated[bool, Fixed("it keeps what was seen")] = False
    gcv_mode: Annotated[Literal["auto", "svd", "eigen"] | None, Fixed("it changes nothing here")] = None
    device: Device = "cpu"

    def _learn(self, X: Any, y: np.ndarray, w: np.ndarray | None) -> None:
        Y = y[:, None] if y.ndim == 1 else y
        self._one_target = y.ndim == 1
        alphas = np.atleast_1d(np.asarray(self.alphas, dtype=X.dtype))
        if not alphas.size:
            raise ValueError("RidgeCV: alphas is empty; give at least one penalty.")
        if self.cv is None and len(y) == 1:
            raise ValueError("RidgeCV: n_samples=1 leaves no row to learn from; give more rows.")
        if self.cv is not None and self.store_cv_results:
            raise ValueError("RidgeCV: store_cv_results=True was given with cv; it takes cv=None.")
        design = ls.design_on(self, X, Y, w)
        found = left_out.decompose(design, alphas)
        each = self.alpha_per_target and Y.shape[1] > 1
        if self.cv is None:
            scores = self._score_rows(found, design, alphas, each)
        else:
            splits = splits_of("RidgeCV", self.cv, X, y, self._kept)
            scores = self._score_parts(found, design, alphas, splits)
        scores = scores if each else scores.mean(axis=1)
        best = scores.argmax(axis=0)
        self.scores_ = scores
        self.best_score_ = scores[best, np.arange(Y.shape[1])] if each else float(scores[best])
        self.alpha_ = alphas[best] if each else float(alphas[best])
        beta = found.solve(np.broadcast_to(alphas[best], Y.shape[1]))
        beta = ls.on_host(beta).astype(X.dtype, copy=False)
        self.coef_, self.intercept_ = ls.coefficients(design, beta, y.ndim)

    def _score_rows(self, found: Any, design: Any, alphas: np.ndarray, each: bool) -> np.ndarray:
        """Scores of all rows left out one by one, (alphas, targets or 1)."""
        share, Y = ls.on_host(design.shares(slice(None))), ls.on_host(design.given_y)
        scores = np.zeros((len(alphas), Y.shape[1]))
        kept = None
        if self.scoring is not None or self.store_cv_results:
            kept = np.empty((len(Y), len(alphas), Y.shape[1]), Y.dtype)

        def take(rows: np.ndarray, e: np.ndarray) -> None:
            scores[:] -= np.einsum("i,iat->at", share[rows], e**2)
            if kept is not None:
                kept[rows] = e

        found.leave_one_out(alphas, take)
        if self.store_cv_results:
            results = kept**2 if self.scoring is None else Y[:, None] - kept  # type: ignore[operator]
            results = results.transpose(0, 2, 1)
            self.cv_results_ = results[:, 0] if self._one_target else results
        if self.scoring is None:
            return scores
        score = scorer_of(self.scoring)
        w = None if design.w is None else ls.on_host(design.w)
        columns = [slice(t, t + 1) for t in range(Y.shape[1])] if each else [slice(None)]
        return np.array(
            [[score(Y[:, c], Y[:, c] - e[:, c], w) for c in columns] for e in kept.transpose(1, 0, 2)]
        )

    def _score_parts(self, found: Any, design: Any, alphas: np.ndarray, splits: Any) -> np.ndarray:
        """Mean scores of the test parts, (alphas, targets or 1)."""
        Y = ls.on_host(design.given_y)
        score = None if self.scoring is None else scorer_of(self.scoring)
        scores = np.zeros((len(alphas), Y.shape[1] if score is None else 1))

        def take(rows: np.ndarray, e: np.ndarray) -> None:
            if score is None:
                share = ls.on_host(design.shares(rows)) / len(splits)
                scores[:] -= np.einsum("i,iat->at", share, e**2)
                return
            w = None if design.w is None else ls.on_host(design.w[rows])
            each = [score(Y[rows], Y[rows] - e[:, a], w) for a in range(len(alphas))]
            scores[:, 0] += np.array(each) / len(splits)

        found.leave_parts_out(alphas, splits, take)
        return scores

    def _output(self, X: Any) -> np.ndarray:
        return X @ self.coef_.T + self.intercept_
