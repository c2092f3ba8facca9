"""Kernel support vector classification."""

from itertools import combinations, pairwise
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from zoo.contract.params import Fixed, Jobs, Positive, Search
from zoo.contract.roles import Classifier
from zoo.contract.steps import Steps
from zoo.engines import accepted
from zoo.engines.kernels.estimator import KernelMachine


class SVC(Classifier, KernelMachine):
    r"""The widest margin between classes in the feature space of a kernel.

    Few training rows, the support vectors, carry the solution. More than two classes are told apart
    pair by pair. With ``C=inf`` the margin is hard, and data that no kernel surface separates are
    refused.

    .. math::
        \max_{0 \le \alpha_i \le C w_i} \sum_i \alpha_i
          - \tfrac12 \sum_{ij} \alpha_i \alpha_j y_i y_j K(x_i, x_j), \quad \sum_i \alpha_i y_i = 0,
        \qquad f(x) = \sum_i \alpha_i y_i K(x_i, x) + b

    Parameters
    ----------
    C : float, default=1.0
        Price of a margin violation; ``inf`` allows none.
    solver : {"auto", "smo", "interior_point", "dual_ascent"}, default="auto"
        "smo" moves two variables at a time; "interior_point" is for the linear kernel and few
        columns; "dual_ascent" moves one variable at a time and has no bias (b = 0). "auto" takes
        the interior point where it can, else smo.
    decision_function_shape, break_ties, random_state : default="ovr", False, None
        Taken as in scikit-learn, without effect: scores are one a class, and votes that tie are always
        decided by the margins.
    probability : bool, default="deprecated"
        True is refused: wrap SVC in scikit-learn's CalibratedClassifierCV.
    n_jobs : int or None, default=None
        Threads over the pairs of classes; None is one, or those of BLAS where many small pairs are
        worth them.

    Attributes
    ----------
    support_ : array of shape (m,)
        Rows of the support vectors, class by class.
    n_support_ : array of shape (k,)
        How many of them each class has.
    dual_coef_ : array of shape (k - 1, m)
        alpha y, in scikit-learn's layout: a vector of class c has one number for each other class.
    intercept_ : array of shape (k (k - 1) / 2,)
        b of each pair.
    coef_ : array of shape (k (k - 1) / 2, d)
        w of each pair, for the linear kernel.
    n_iter_ : array of shape (k (k - 1) / 2,)
        Steps taken.

    Notes
    -----
    The step of a pair is (E_j - E_i) / (K_ii + K_jj - 2 K_ij) for the errors E = f - y; written
    with the gradient g = Q alpha - 1 it needs y_i g_i and the same K, not Q, below the line. The
    textbook's coordinate update for b = 0 lacks alpha_i itself: alpha_i + (1 - y_i f(x_i)) / K_ii,
    clipped, is meant. Its stopping test multiplies quantities that vanish apart from the optimum;
    the projected gradient is used here.

    Kernel rows are float32 on centred data, gradients float64. Time grows between n^2 and n^3:
    above some 100,000 rows use LinearSVC or boosting. For probabilities wrap it in scikit-learn's
    CalibratedClassifierCV; nothing is cross-validated behind your back. Votes that tie are decided
    by the sum of the margins.

    References
    ----------
    Fan, Chen and Lin (2005), Working set selection using second order information, JMLR 6.
    Platt (1998), Sequential minimal optimization, MSR-TR-98-14.
    Ferris and Munson (2002), Interior-point methods for massive support vector machines, SIAM J.
    Opt.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from zoo import SVC
    >>> X, y = load_iris(return_X_y=True)
    >>> round(SVC().fit(X, y).score(X, y), 3)
    0.973
    """

    logits: ClassVar[bool] = False
    no_probabilities: ClassVar[str] = (
        "SVC gives no probabilities; wrap it: sklearn.calibration.CalibratedClassifierCV(SVC(...), "
        "ensemble=False)."
    )
    excused: ClassVar[dict[str, str]] = {
        "check_sample_weight_equivalence_on_dense_data": "solved to tol, as scikit-learn's SVC",
        "check_sample_weight_equivalence_on_sparse_data": "solved to tol, as scikit-learn's SVC",
        "check_weights_count_as_repetition": "solved to tol, as scikit-learn's SVC",
    }

    C: Annotated[Positive, Search(1e-2, 1e3, log=True)] = 1.0
    solver: Annotated[
        Literal["auto", "smo", "interior_point", "dual_ascent"], Fixed("it changes the time, not the result")
    ] = "auto"
    decision_function_shape: Annotated[Literal["ovr"], Fixed("it changes nothing here")] = "ovr"
    break_ties: Annotated[bool, Fixed("it changes nothing here")] = False
    probability: Annotated[
        Literal["deprecated"] | bool, Fixed("a calibration is a second fit")
    ] = "deprecated"
    random_state: accepted.Draw = None
    n_jobs: Jobs = None

    def _learn(self, X: Any, y: np.ndarray, w: np.ndarray | None, steps: Steps) -> None:
        from zoo.engines.kernels.dual import kernel_of

        if self.probability is True:
            raise ValueError(f"SVC: probability=True was given, but {self.no_probabilities}")
        self._prepare(X)
        k = len(self.classes_)
        price = np.full(len(y), float(self.C)) if w is None else self.C * np.asarray(w, np.float64)
        rows = [np.flatnonzero(y == c) for c in range(k)]
        pairs = list(combinations(range(k), 2))
        duals: dict[tuple[int, int], np.ndarray] = {}
        self.intercept_ = np.zeros(len(pairs))
        self.n_iter_ = np.zeros(len(pairs), dtype=np.int32)
        self._publish(X, rows, duals)
        if len(pairs) == 1:
            ticks = iter(steps(None, "thousand steps"))

            def pause(n_iter: int, gap: float, u: Any, F: Any) -> bool:
                # until rows are dropped the state is whole, and a callback may look at it
                if u is not None and steps.watched:
                    self.n_iter_[0], duals[0, 1] = n_iter, u[np.concatenate(rows)]
                    self._publish(X, rows, duals)
                return next(ticks, None) is None

            # two classes: the second is the positive one, as everywhere in scikit-learn
            answer = self._solve_pair(X, y, price, (1, 0), pause, kernel_of(self, X, self.gamma_))
            self._keep(0, (0, 1), (np.arange(len(y)), answer), duals, rows)
            next(ticks, None)
        else:
            answers = self._solve_pairs(X, y, price, pairs, rows)
            for p, _ in zip(range(len(pairs)), steps(len(pairs), "pair"), strict=False):
                self._keep(p, pairs[p], next(answers), duals, rows)
        self._publish(X, rows, duals)

    def _solve_pairs(
        self, X: Any, y: np.ndarray, price: np.ndarray, pairs: list[Any], rows: list[np.ndarray]
    ) -> Any:
        from concurrent.futures import ThreadPoolExecutor
        from contextlib import nullcontext

        from joblib import effective_n_jobs
        from threadpoolctl import threadpool_limits

        from zoo.engines.kernels.dual import kernel_of
        from zoo.engines.kernels.pairs import ClassBlocks, are_many, are_small, threads

        kernel = kernel_of(self, X, self.gamma_)
        small = self.solver != "dual_ascent" and are_small(kernel, rows, self.cache_size)
        blocks = ClassBlocks(kernel, rows) if small else None
        many = small and are_many(rows)
        asked = threads() if many and self.n_jobs is None else effective_n_jobs(self.n_jobs)
        jobs = min(asked, len(pairs))

        def one(pair: tuple[int, int]) -> Any:
            index = np.concatenate([rows[pair[0]], rows[pair[1]]])
            part = kernel.subset(index)
            if blocks is not None:
                part.matrix = blocks.matrix(*pair)
            Z = X[index] if self.kernel == "linear" else None
            return index, self._solve_pair(Z, y[index], price[index], pair, None, part)

        # alone, small products wake no thread of BLAS, and asking it costs more than a small pair
        with threadpool_limits(1) if many or jobs > 1 else nullcontext():
            if jobs == 1:
                yield from map(one, pairs)
                return
            with ThreadPoolExecutor(jobs) as pool:
                yield from pool.map(one, pairs)

    def _solve_pair(
        self, X: Any, y: np.ndarray, price: np.ndarray, pair: tuple[int, int], pause: Any, kernel: Any
    ) -> Any:
        """Solve for one pair; the first class is the positive one."""
        from zoo.engines.kernels.dual import solve

        s = np.where(y == pair[0], 1.0, -1.0)
        lo, hi = np.where(s > 0, 0.0, -price), np.where(s > 0, price, 0.0)
        if np.isinf(self.C):
            pause = _until_hopeless(s, kernel, pause)
        answer = solve(self, X, self.gamma_, -s, lo, hi, pause=pause, kernel=kernel)
        if answer.status == "unbounded":
            raise ValueError(_INSEPARABLE)
        return answer

    def _keep(self, p: int, pair: tuple[int, int], found: Any, duals: Any, rows: Any) -> None:
        index, answer = found
        u = answer.u
        whole = np.zeros(sum(map(len, rows)))
        whole[index] = u
        duals[pair] = np.concatenate([whole[rows[pair[0]]], whole[rows[pair[1]]]])
        self.intercept_[p], self.n_iter_[p] = answer.b, answer.n_iter

    def _publish(self, X: Any, rows: list[np.ndarray], duals: dict[Any, np.ndarray]) -> None:
        """Gather the duals of all pairs in the layout that scikit-learn's users know."""
        k = len(rows)
        table = [np.zeros((k - 1, len(r))) for r in rows]
        for (a, b), u in duals.items():
            table[a][b - 1], table[b][a] = u[: len(rows[a])], u[len(rows[a]) :]
        used = [np.flatnonzero(t.any(axis=0)) for t in table]
        self._keep_vectors(X, np.concatenate([r[s] for r, s in zip(rows, used, strict=True)]))
        self.n_support_ = np.array([len(s) for s in used], dtype=np.int32)
        self.dual_coef_ = np.hstack([t[:, s] for t, s in zip(table, used, strict=True)])
        self._parts = self._make_parts()
        if self.kernel == "linear":
            V, at = self.support_vectors_, np.cumsum([0, *self.n_support_])
            w = [
                V[at[a] : at[a + 1]].T @ self.dual_coef_[b - 1, at[a] : at[a + 1]]
                + V[at[b] : at[b + 1]].T @ self.dual_coef_[a, at[b] : at[b + 1]]
                for a, b in combinations(range(k), 2)
            ]
            self.coef_ = np.array(w).astype(self.dtype_)

    def _make_parts(self) -> list[tuple[slice, np.ndarray]]:
        at = np.cumsum([0, *self.n_support_])
        D = self.dual_coef_.astype(self.dtype_)
        if len(self.classes_) == 2:
            return [(slice(0, at[2]), np.ascontiguousarray(D.T))]
        return [(slice(s, e), np.ascontiguousarray(D[:, s:e].T)) for s, e in pairwise(at)]

    def _scores(self, X: Any) -> np.ndarray:
        from zoo.engines.kernels.dual import expand

        k, pairs = len(self.classes_), list(combinations(range(len(self.classes_)), 2))
        if self.kernel == "linear":
            s = X @ self.coef_.T + self.intercept_
        else:
            S = expand(self, X, self.support_vectors_, self._parts)
            if k > 2:
                S = np.column_stack([S[:, a * (k - 1) + b - 1] + S[:, b * (k - 1) + a] for a, b in pairs])
            s = S + self.intercept_
        s = s.astype(self.dtype_, copy=False)
        return s[:, 0] if k == 2 else _one_vs_rest(s, pairs, k)


_INSEPARABLE = (
    "SVC: C=inf asks for a hard margin, but the classes are not separable with this kernel (the "
    "hulls of the two classes touch to working precision); give a finite C, or a kernel with a "
    "larger gamma."
)


def _until_hopeless(s: np.ndarray, kernel: Any, pause: Any) -> Any:
    """Watch the distance of the two hulls: no margin is left when it vanishes."""
    size = float(np.mean(kernel.diagonal()))

    def watch(n_iter: int, gap: float, u: Any, F: Any) -> bool:
        if u is not None:
            mass = float(np.abs(u).sum()) / 2
            if mass > 0 and float(u @ (F + s)) / mass**2 < 1e-6 * size:
                raise ValueError(_INSEPARABLE)
        return pause is not None and pause(n_iter, gap, u, F)

    return watch


def _one_vs_rest(s: np.ndarray, pairs: list[tuple[int, int]], k: int) -> np.ndarray:
    """Count votes, and add the sums of the margins squeezed below half a vote."""
    votes, sums = np.zeros((len(s), k), s.dtype), np.zeros((len(s), k), s.dtype)
    for p, (a, b) in enumerate(pairs):
        won = s[:, p] > 0
        votes[:, a] += won
        votes[:, b] += ~won
        sums[:, a] += s[:, p]
        sums[:, b] -= s[:, p]
    return votes + sums / (3 * (np.abs(sums) + 1))
