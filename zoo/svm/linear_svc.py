"""Linear support vector classification."""

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from zoo.contract.declaring import field
from zoo.contract.inputs import Input, Table
from zoo.contract.notices import warn
from zoo.contract.params import Count, Fixed, Positive, Search, Seed, Tolerance
from zoo.contract.roles import Classifier
from zoo.contract.steps import Steps
from zoo.engines import accepted
from zoo.engines.magnitudes import check_squares


class LinearSVC(Classifier):
    r"""A separating plane with a wide margin, for many rows or many columns.

    Each row inside the margin costs its distance from it (hinge) or the square of that. Several
    classes are each told from the rest, or all at once (Crammer and Singer).

    .. math::
        \min_w \; \tfrac12 |w|^2 + C \sum_i w_i \max(0, 1 - y_i \langle w, x_i\rangle)^p,
        \qquad p = 1, 2

    Parameters
    ----------
    penalty : {"l2", "l1"}, default="l2"
        "l1" puts |w|_1 in the place of half |w|^2, which makes coefficients exactly zero; it takes the
        squared hinge and one plane a class, and has coordinate descent as its solver.
    C : float, default=1.0
        Price of a margin violation.
    loss : {"hinge", "squared_hinge"}, default="squared_hinge"
        p = 1 or 2.
    multi_class : {"ovr", "crammer_singer"}, default="ovr"
        One plane against the rest for each class, or one problem for all.
    solver : {"auto", "dual_ascent", "newton", "interior_point"}, default="auto"
        "dual_ascent" moves one dual variable at a time; "newton" is for the squared hinge,
        "interior_point" for the hinge and dense X; both need few columns, and "auto" takes them
        there.
    fit_intercept : bool, default=True
        Whether to add a column of constant value ``intercept_scaling``, penalised like the others.
    intercept_scaling : float, default=1.0
        That value; a large one frees the intercept from the penalty.
    tol : float, default=1e-4
        "dual_ascent": largest spread of the projected gradient; "newton": a million times the
        gradient relative to the first one, because its last step is nearly free.
    max_iter : int, default=1000
        Most passes or Newton steps.
    dual, verbose : default="auto", 0
        Taken as in scikit-learn, without effect: ``solver`` says it.
    random_state : int, RandomState or None, default=None
        Order of the rows in "dual_ascent"; the optimum does not depend on it, and None is 0.

    Attributes
    ----------
    coef_ : array of shape (1, d) or (k, d)
        w without the intercept.
    intercept_ : array of shape (1,) or (k,)
        Constants.
    n_iter_ : int
        Most passes or steps that one of the problems took.
    duality_gap_ : float
        Primal minus dual objective, relative to the primal, the largest over the problems.

    Notes
    -----
    The textbook's coordinate update lacks alpha_i itself, and its shrinking rule is not the
    optimality condition: alpha_i + (1 - y_i <w, x_i>) / |x_i|^2 clipped to the box, and the
    projected gradient, are meant. Dual ascent converges slowly for large C on unscaled columns:
    scale them, or use the other solvers. A pass costs the non-zeros of X, a Newton step O(n d^2).

    References
    ----------
    Hsieh, Chang, Lin, Keerthi and Sundararajan (2008), A dual coordinate descent method for
    large-scale linear SVM, ICML.
    Keerthi and DeCoste (2005), A modified finite Newton method, JMLR 6.
    Crammer and Singer (2001), On the algorithmic implementation of multiclass kernel-based vector
    machines, JMLR 2.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from zoo import LinearSVC
    >>> X, y = load_iris(return_X_y=True)
    >>> round(LinearSVC().fit(X, y).score(X, y), 3)
    0.967
    """

    input: ClassVar[Input] = Table(sparse=True)
    logits: ClassVar[bool] = False

    penalty: Annotated[Literal["l2", "l1"], Fixed("l1 takes one loss only")] = field(
        default="l2", kw_only=False
    )
    C: Annotated[Positive, Search(1e-3, 1e2, log=True)] = 1.0
    loss: Literal["hinge", "squared_hinge"] = "squared_hinge"
    multi_class: Literal["ovr", "crammer_singer"] = "ovr"
    solver: Annotated[
        Literal["auto", "dual_ascent", "newton", "interior_point"],
        Fixed("it changes the time, not the result"),
    ] = "auto"
    fit_intercept: bool = True
    intercept_scaling: Annotated[Positive, Search(1.0, 100.0, log=True)] = 1.0
    tol: Tolerance = 1e-4
    max_iter: Annotated[Count, Fixed("a budget, not a property of the model")] = 1000
    dual: Annotated[Literal["auto"] | bool, Fixed("it changes nothing here")] = "auto"
    verbose: accepted.Verbose = 0
    random_state: Seed = None

    def _learn(self, X: Any, y: np.ndarray, w: np.ndarray | None, steps: Steps) -> None:
        if np.isinf(self.C):
            raise ValueError("LinearSVC: C=inf was given; use SVC(kernel='linear', C=inf).")
        n, d = X.shape
        k = len(self.classes_)
        c = self.C * (np.ones(n) if w is None else np.asarray(w, np.float64))
        if self.penalty == "l1" and (
            self.loss == "hinge" or self.multi_class != "ovr" or self.solver != "auto"
        ):
            raise ValueError(
                f"LinearSVC: penalty='l1' was given with loss={self.loss!r}, multi_class="
                f"{self.multi_class!r} and solver={self.solver!r}; it takes loss='squared_hinge', "
                "multi_class='ovr' and solver='auto'."
            )
        check_squares(type(self).__name__, X=X, sample_weight=c)
        seed = int(self._random_source().randint(2**30))
        planes = 1 if k == 2 else k
        self.coef_ = np.zeros((planes, d), self.dtype_)
        self.intercept_ = np.zeros(planes, self.dtype_)
        self.n_iter_, self.duality_gap_ = 0, np.inf
        unfinished = False
        if self.multi_class == "crammer_singer" and k > 2:
            unfinished = self._solve_together(X, y, c, seed, steps)
        else:
            gaps = []
            for p in steps(planes, "class", inner=None):
                s = np.where(y == (1 if k == 2 else p), 1.0, -1.0)
                v, alpha, done = self._solve_one(X, s, c, seed, steps)
                self.coef_[p] = v[:d]
                self.intercept_[p] = v[d] * self._scaling()
                gap = self._gap_l1 if self.penalty == "l1" else self._gap
                gaps.append(gap(X, s, c, v, alpha))
                unfinished = unfinished or not done
            self.duality_gap_ = max(gaps)
        if unfinished:
            warn(
                f"LinearSVC did not converge in max_iter={self.max_iter} passes (relative duality "
                f"gap {self.duality_gap_:.2g}); scale the columns of X, lower C or raise max_iter.",
                ConvergenceWarning,
            )

    def _scores(self, X: Any) -> np.ndarray:
        s = X @ self.coef_.T + self.intercept_
        return s[:, 0] if s.shape[1] == 1 else s

    def _scaling(self) -> float:
        return float(self.intercept_scaling) if self.fit_intercept else 0.0

    def _choose(self, X: Any) -> str:
        dense = isinstance(X, np.ndarray)
        wanted = {"newton": "squared_hinge", "interior_point": "hinge"}
        if self.loss != wanted.get(self.solver, self.loss):
            raise ValueError(
                f"LinearSVC: solver={self.solver!r} was given with loss={self.loss!r}; it takes "
                f"loss={wanted[self.solver]!r}: use solver='auto'."
            )
        if self.solver == "interior_point" and not dense:
            raise ValueError("LinearSVC: solver='interior_point' would make the sparse X dense; use 'auto'.")
        if self.solver != "auto":
            return self.solver
        n, d = X.shape
        if d > (max(200, min(n, 2000)) if dense else 100) or (not dense and self.loss == "hinge"):
            return "dual_ascent"
        return "newton" if self.loss == "squared_hinge" else "interior_point"

    def _solve_one(self, X: Any, s: np.ndarray, c: np.ndarray, seed: int, steps: Steps) -> Any:
        from zoo.engines.kernels import primal as _primal

        scaling = self._scaling()
        if self.penalty == "l1":
            v, n_iter, done = _primal.descend_l1(
                X, s, c, scaling=scaling, tol=self.tol, max_iter=self.max_iter, seed=seed,
                steps=steps(None, "pass"),
            )  # fmt: skip
            self.n_iter_ = max(self.n_iter_, n_iter, 1)
            return v, None, done
        solver = self._choose(X)
        if solver == "interior_point":
            v, alpha, done = _primal.interior_hinge(X, s, c, scaling=scaling)
            if done:
                self.n_iter_ = max(self.n_iter_, 1)
                return v, alpha, done
            solver = "dual_ascent"  # the factorisation broke down: slower, but it cannot
        pace = steps(None, "pass")
        if solver == "newton":
            v, alpha, n_iter, done = _primal.newton_squared_hinge(
                X,
                s,
                c,
                scaling=scaling,
                tol=1e-6 * self.tol,
                max_iter=self.max_iter,
                steps=pace,
            )
        else:
            v, alpha, n_iter, done = _primal.dual_coordinate_ascent(
                X, s, c, squared=self.loss == "squared_hinge", scaling=scaling, tol=self.tol,
                max_iter=self.max_iter, seed=seed, steps=pace,
            )  # fmt: skip
        self.n_iter_ = max(self.n_iter_, n_iter, 1)
        return v, alpha, done

    def _solve_together(self, X: Any, y: np.ndarray, c: np.ndarray, seed: int, steps: Steps) -> bool:
        from zoo.engines.kernels import primal as _primal

        if self.solver not in ("auto", "dual_ascent"):
            raise ValueError("LinearSVC: multi_class='crammer_singer' takes solver='dual_ascent'.")
        k = len(self.classes_)
        V, alpha, self.n_iter_, done = _primal.crammer_singer(
            X, y, c, k, scaling=self._scaling(), tol=self.tol, max_iter=self.max_iter, seed=seed,
            steps=steps(None, "pass"),
        )  # fmt: skip
        self.coef_ = V[:, :-1].astype(self.dtype_)
        self.intercept_ = (V[:, -1] * self._scaling()).astype(self.dtype_)
        s = self._scores(X).astype(np.float64)
        own = s[np.arange(len(y)), y]
        s[np.arange(len(y)), y] -= 1
        primal = 0.5 * (V**2).sum() + c @ (1 + s.max(axis=1) - own)
        dual = -0.5 * (V**2).sum() + alpha[np.arange(len(y)), y].sum()
        self.duality_gap_ = float((primal - dual) / max(primal, 1e-300))
        return not done

    def _gap_l1(self, X: Any, s: np.ndarray, c: np.ndarray, v: np.ndarray, alpha: Any) -> float:
        """As `_gap`: the slacks, shrunk until every column's gradient is at most one, are dual feasible."""
        slack = np.maximum(1 - s * (X @ v[:-1] + self._scaling() * v[-1]), 0)
        u = 2 * c * slack * s
        steepest = max(float(np.abs(X.T @ u).max()), abs(self._scaling() * float(u.sum())))
        beta = 2 * c * slack / max(1.0, steepest)
        primal = float(np.abs(v).sum()) + c @ slack**2
        dual = beta.sum() - float((beta**2 / (4 * c)).sum())
        return float((primal - dual) / max(primal, 1e-300))

    def _gap(self, X: Any, s: np.ndarray, c: np.ndarray, v: np.ndarray, alpha: np.ndarray) -> float:
        """Compare the objective at v with the dual objective at alpha."""
        slack = np.maximum(1 - s * (X @ v[:-1] + self._scaling() * v[-1]), 0)
        u = alpha * s
        r = np.append(X.T @ u, self._scaling() * u.sum())
        dual = alpha.sum() - 0.5 * float(r @ r)
        if self.loss == "hinge":
            primal = 0.5 * float(v @ v) + c @ slack
        else:
            primal = 0.5 * float(v @ v) + c @ slack**2
            dual -= float((alpha**2 / (4 * c)).sum())
        return float((primal - dual) / max(primal, 1e-300))
