"""Matrix factorisation: an embedding of every user and every item, fitted to the known ratings."""

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from sklearn.utils.validation import check_is_fitted

from zoo.contract.inputs import Input, Pairs
from zoo.contract.params import Count, Fixed, Interval, Jobs, NonNegative, Search, Seed, Tolerance
from zoo.contract.roles import Regressor, Transformer
from zoo.engines.factors import rows as _rows
from zoo.engines.magnitudes import check_squares

# Factors on the size of noise that "auto" tries, by a few sweeps each: the start does most of the work.
FACTORS = (0.06, 0.12, 0.25, 0.5, 0.7, 1.0, 1.4, 2.0)
SWEEPS = 3
# Ratings held out, below which their error says nothing.
FEWEST = 50


class MatrixFactorization(Regressor, Transformer):
    r"""Ratings as products of a user's and an item's vector, plus biases.

    Every user and every item gets a vector of a few numbers, such that the products of the vectors
    (and a bias for each user and item) fit the known ratings; unknown ratings follow. X holds pairs
    (user, item) of ids of any hashable type, y the ratings.

    .. math::
        \hat r_{ui} = \mu + b_u + b_i + \langle p_u, q_i\rangle, \qquad
        \min \sum_{(u,i)} w_{ui} (r_{ui} - \hat r_{ui})^2
        + \alpha \Big(\sum_u |p_u|^2 + \sum_i |q_i|^2\Big)
        + \alpha_b \Big(\sum_u b_u^2 + \sum_i b_i^2\Big)

    Parameters
    ----------
    n_components : int, default=10
        Length d of the vectors.
    alpha : float or "auto", default="auto"
        Penalty on the vectors; "auto" is about what noise alone would need to leave no trace: the
        factor on it that predicts a tenth of the ratings best (see Notes).
    alpha_bias : float, default=3.0
        Penalty on the biases: that many ratings of average size are added to each id's own.
    biases : bool, default=True
        Whether the mean and the biases belong to the model; without, it is the bare product.
    solver : {"als", "sgd"}, default="als"
        "als" solves for all users, then for all items, exactly and in turn; "sgd" takes a step a
        rating, in random order.
    feedback : {"explicit", "implicit"}, default="explicit"
        "implicit" takes y as a count r >= 0 of plays, clicks, ...: every pair, given or not, has
        the preference [r > 0] with weight 1 + ``confidence`` r. No biases; "als" only.
    confidence : float, default=40.0
        Weight of a unit of y above that of a pair never seen, for implicit feedback.
    max_iter : int, default=30
        Sweeps (als) or passes over the ratings (sgd), at most.
    tol : float, default=1e-3
        Stop when the objective falls by less than this share; 0 never stops early.
    lr : float, default=0.02
        Step of sgd.
    clip : bool, default=True
        Whether predictions are held within the smallest and the largest y of fit (explicit only).
    n_jobs : int or None, default=None
        Threads of als; the result is the same for any number.
    random_state : int, RandomState or None, default=None
        Seed of the first vectors and of the order of sgd.

    Attributes
    ----------
    user_ids_, item_ids_ : array of shape (n_users,), (n_items,)
        Ids, in the order of the rows below.
    user_factors_, item_factors_ : array of shape (n_users, d), (n_items, d)
        Vectors p and q.
    user_biases_, item_biases_ : array of shape (n_users,), (n_items,)
        Biases b (zeros without).
    global_mean_ : float
        The constant mu (0 without biases).
    alpha_ : float
        Penalty that was used.
    history_ : dict of arrays
        "objective" and "rmse" (of training, before clipping) after each sweep or pass.
    n_iter_ : int
        Sweeps or passes that were taken.
    seen_ : array of shape (n_pairs, 2)
        Row numbers of the pairs of fit, sorted.
    y_range_ : tuple of two floats
        Smallest and largest y.

    Notes
    -----
    Unseen ids are no error: what is not known of a pair is left at its bias, in the end at mu;
    without biases an unseen user counts as the average user, an unseen item as the average item.

    With d large enough the problem is that of the nuclear norm of the matrix of products, in which
    components below alpha vanish. "auto" puts alpha at the size to which noise of the residuals'
    spread s adds up, :math:`s\,(\sqrt{n_u} + \sqrt{n_i}) \sqrt{\sum w / (n_u n_i)}` (Candes and
    Plan): it follows the size and the unit of the data. For explicit feedback it is then taken two
    times to a sixteenth, whichever predicts a tenth of the ratings best that is held out meanwhile
    (where that are 50 or more); this costs about as much as the fit. For implicit feedback s is the
    root mean square of 1 + ``confidence`` r, and every given pair counts once. Learning starts from
    the biases alone and the leading singular vectors of what they leave. The textbook's loss has no
    penalty: it fits every user with less than d ratings exactly, and learns nothing from them.

    ``partial_fit`` starts like fit, with one step of the solver. Later calls take one pass of sgd
    whatever the solver (als needs all ratings at once); new ids join. With an int as random_state
    k calls with the same data equal one sgd fit with ``max_iter=k, tol=0``.

    A sweep costs O(n d^2 + (n_u + n_i) d^3), less for ids with few ratings; a pass O(n d). With
    features of users and items at hand, or ratings that drift in time, look elsewhere.

    References
    ----------
    Koren, Bell and Volinsky (2009), Matrix factorization techniques for recommender systems,
    Computer 42(8). Hu, Koren and Volinsky (2008), Collaborative filtering for implicit feedback
    datasets, ICDM. Candes and Plan (2010), Matrix completion with noise, Proc. IEEE 98(6).

    Examples
    --------
    >>> import numpy as np
    >>> from zoo import MatrixFactorization
    >>> rng = np.random.default_rng(0)
    >>> X = rng.integers(0, [40, 30], size=(800, 2))
    >>> taste = np.where(X[:, 0] % 2 == X[:, 1] % 2, 4.0, 2.0)
    >>> y = taste + 0.3 * rng.standard_normal(800)
    >>> model = MatrixFactorization(alpha=3.0, random_state=0).fit(X[:600], y[:600])
    >>> round(model.score(X[600:], y[600:]), 2)
    0.86
    >>> model.recommend(7, n=3) % 2
    array([1, 1, 1])
    """

    input: ClassVar[Input] = Pairs()

    n_components: Annotated[int, Interval(1, None), Search(2, 64, log=True)] = 10
    alpha: Annotated[float, Interval(0, None), Search(1, 100, log=True)] | Literal["auto"] = "auto"
    alpha_bias: NonNegative = 3.0
    biases: bool = True
    solver: Literal["als", "sgd"] = "als"
    feedback: Annotated[
        Literal["explicit", "implicit"], Fixed("it says what y means")
    ] = "explicit"
    confidence: NonNegative = 40.0
    max_iter: Count = 30
    tol: Tolerance = 1e-3
    lr: Annotated[float, Interval(0, None, "neither"), Search(1e-3, 1e-1, log=True)] = 0.02
    clip: bool = True
    n_jobs: Jobs = None
    random_state: Seed = None

    # -- learning -----------------------------------------------------------------------------

    def _learn(
        self, X: np.ndarray, y: np.ndarray, w: np.ndarray | None, resume: bool, steps: Any
    ) -> None:
        self._check_feedback(y, resume)
        check_squares(type(self).__name__, w, y=y)
        users, user_ids = _rows.number(self.user_ids_ if resume else None, X[:, 0], "user")
        items, item_ids = _rows.number(self.item_ids_ if resume else None, X[:, 1], "item")
        pairs = np.column_stack([users, items])
        seen = np.concatenate([self.seen_, pairs]) if resume else pairs
        seen = np.column_stack(np.divmod(np.unique(seen @ [len(item_ids), 1]), len(item_ids)))
        w = np.ones(len(y)) if w is None else w
        seed = self._random_source().randint(2**31 - 1)
        shape = (len(user_ids), len(item_ids))
        if resume:
            problem = self._go_on(users, items, y, w, shape, seed)
        else:
            problem = self._begin(users, items, y, w, shape, seed)
            self.n_iter_, self.history_ = 0, {"objective": np.empty(0), "rmse": np.empty(0)}
            self.y_range_ = (float(y.min()), float(y.max()))
            self._store(problem, user_ids, item_ids, seen)
        counts = [
            np.maximum(np.bincount(now, minlength=n), np.bincount(ever, minlength=n))
            for now, ever, n in zip(pairs.T, seen.T, shape, strict=True)
        ]
        for _ in steps(self.max_iter, "sweep"):
            if self.solver == "als" and not resume:
                problem.sweep()
            else:
                rng = np.random.default_rng([seed, 1, self.n_iter_])
                problem.descend(rng, self.lr, counts)
            objective, rmse = problem.measure()
            if not np.isfinite(objective):
                raise ValueError(
                    f"MatrixFactorization: sgd diverged in pass {self.n_iter_ + 1} with "
                    f"lr={self.lr}; lower lr, or use solver='als'."
                )
            self._store(problem, user_ids, item_ids, seen)
            before = self.history_["objective"][-1] if self.n_iter_ else np.inf
            self.n_iter_ += 1
            self.history_ = {
                "objective": np.append(self.history_["objective"], objective),
                "rmse": np.append(self.history_["rmse"], rmse),
            }
            if self.tol > 0 and before - objective < self.tol * objective:
                break
        low, high = self.y_range_
        self.y_range_ = (min(low, float(y.min())), max(high, float(y.max())))

    def _check_feedback(self, y: np.ndarray, resume: bool) -> None:
        if resume and self.user_factors_.shape[1] != self.n_components:
            raise ValueError(
                f"n_components={self.n_components}, but this MatrixFactorization was fitted with "
                f"{self.user_factors_.shape[1]}; call fit to begin anew."
            )
        if self.feedback == "explicit":
            return
        if self.solver == "sgd" or resume:
            raise ValueError(
                "MatrixFactorization: implicit feedback counts every pair that was not given, so "
                "it cannot go rating by rating; use solver='als' and fit."
            )
        if y.min() < 0 or y.max() == 0:
            raise ValueError(
                f"MatrixFactorization: y lies in [{y.min():g}, {y.max():g}]; implicit feedback "
                "takes counts >= 0, some of them above 0."
            )

    def _begin(
        self,
        users: np.ndarray,
        items: np.ndarray,
        y: np.ndarray,
        w: np.ndarray,
        shape: tuple[int, int],
        seed: int,
    ) -> Any:
        """Pose the problem, with the biases and the leading components of what they leave."""
        if self.alpha == "auto" and self.feedback == "explicit":
            part = self._share_of_noise(users, items, y, w, shape, seed)
        else:
            part = 1.0
        return self._pose(users, items, y, w, shape, seed, part)

    def _share_of_noise(
        self,
        users: np.ndarray,
        items: np.ndarray,
        y: np.ndarray,
        w: np.ndarray,
        shape: tuple[int, int],
        seed: int,
    ) -> float:
        """The factor on the size of noise that predicts best a tenth of the ratings, held out."""
        # Drawn by pair, so that a rating given twice is one of weight two, whatever the order of the rows.
        pairs, of_row = np.unique(users.astype(np.int64) * shape[1] + items, return_inverse=True)
        drawn = np.random.default_rng([seed, 2, 0]).random(len(pairs)) < 0.1
        if drawn.sum() < FEWEST:
            return 1.0
        held = drawn[of_row]
        rest = ~held

        def error(part: float) -> float:
            problem = self._pose(users[rest], items[rest], y[rest], w[rest], shape, seed, part)
            for _ in range(min(self.max_iter, SWEEPS)):
                problem.sweep()
            return problem.error(users[held], items[held], y[held], w[held])

        at, errors = FACTORS.index(1.0), {1.0: error(1.0)}
        # from one on, the way in which the error falls
        for step in (1, -1):
            while 0 <= at + step < len(FACTORS):
                part = FACTORS[at + step]
                if part not in errors:
                    errors[part] = error(part)
                if errors[part] >= errors[FACTORS[at]]:
                    break
                at += step
        return FACTORS[at]

    def _pose(
        self,
        users: np.ndarray,
        items: np.ndarray,
        y: np.ndarray,
        w: np.ndarray,
        shape: tuple[int, int],
        seed: int,
        part: float,
    ) -> Any:
        """Pose the problem with ``part`` of the penalty that noise would need."""
        from zoo.engines.factors import sweeps

        implicit = self.feedback == "implicit"
        mean = 0.0
        biases: list[np.ndarray] = []
        if implicit:
            users, items, r = sweeps.merge_pairs(users, items, w * y, shape[1])
            y, w = np.ones(len(r)), self.confidence * r
            e, known = 1 + w, float(len(r))
            spread = float(np.sqrt(np.mean(e * e)))
        else:
            e, known = w * y, float(w.sum())
            fitted = sweeps.fit_biases(users, items, y, w, shape, self.alpha_bias)
            spread = fitted[3]
            if self.biases:
                mean, biases = fitted[0], [fitted[1], fitted[2]]
                e = w * (y - mean - biases[0][users] - biases[1][items])
        self.alpha_ = (
            part * sweeps.size_of_noise(spread, known, shape)
            if self.alpha == "auto"
            else float(self.alpha)
        )
        factors = sweeps.spectral_start(
            users, items, e, shape, self.n_components, self.alpha_,
            np.random.default_rng([seed, 0, 0]),
        )  # fmt: skip
        if biases:
            factors = [np.column_stack(F_and_b) for F_and_b in zip(factors, biases, strict=True)]
        return sweeps.Factorization(
            users, items, y, w, factors, self.n_components, mean, (self.alpha_, self.alpha_bias),
            implicit=implicit, n_jobs=self.n_jobs,
        )  # fmt: skip

    def _go_on(
        self,
        users: np.ndarray,
        items: np.ndarray,
        y: np.ndarray,
        w: np.ndarray,
        shape: tuple[int, int],
        seed: int,
    ) -> Any:
        """Pose the problem of more ratings, with the factors so far and small ones for new ids."""
        from zoo.engines.factors import sweeps

        if self.alpha != "auto":
            self.alpha_ = float(self.alpha)
        rng = np.random.default_rng([seed, 0, self.n_iter_])
        grown = []
        for n, F, b in (
            (shape[0], self.user_factors_, self.user_biases_),
            (shape[1], self.item_factors_, self.item_biases_),
        ):
            new = 0.1 * F.std() * rng.standard_normal((n - len(F), F.shape[1]))
            F = np.concatenate([F, new])
            b = np.concatenate([b, np.zeros(n - len(b))])
            grown.append(np.column_stack([F, b]) if self.biases else F)
        return sweeps.Factorization(
            users, items, y, w, grown, self.n_components, self.global_mean_,
            (self.alpha_, self.alpha_bias),
        )  # fmt: skip

    def _store(
        self, problem: Any, user_ids: np.ndarray, item_ids: np.ndarray, seen: np.ndarray
    ) -> None:
        P, Q, d = problem.P, problem.Q, self.n_components
        self.user_ids_, self.item_ids_, self.seen_ = user_ids, item_ids, seen
        self.user_factors_, self.item_factors_ = P[:, :d], Q[:, :d]
        self.user_biases_ = P[:, d] if problem.biased else np.zeros(len(P))
        self.item_biases_ = Q[:, d] if problem.biased else np.zeros(len(Q))
        self.global_mean_ = problem.mean
        self.n_features_out_ = 2 * d

    # -- what was learned ---------------------------------------------------------------------

    def _rows_of(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return (
            _rows.find(self.user_ids_, X[:, 0], "user"),
            _rows.find(self.item_ids_, X[:, 1], "item"),
        )

    def _unknown(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the vectors of a user and of an item of whom nothing is known."""
        P, Q = self.user_factors_, self.item_factors_
        if self.biases and self.feedback == "explicit":
            return np.zeros(P.shape[1]), np.zeros(Q.shape[1])
        return P.mean(axis=0), Q.mean(axis=0)

    def _output(self, X: np.ndarray) -> np.ndarray:
        users, items = self._rows_of(X)
        s = _rows.products(self.user_factors_, self.item_factors_, users, items, self._unknown())
        s += self.global_mean_
        s += _rows.gather(self.user_biases_, users, 0.0)
        s += _rows.gather(self.item_biases_, items, 0.0)
        return np.clip(s, *self.y_range_) if self.clip and self.feedback == "explicit" else s

    def _represent(self, X: np.ndarray) -> np.ndarray:
        users, items = self._rows_of(X)
        p, q = self._unknown()
        return np.hstack(
            [_rows.gather(self.user_factors_, users, p), _rows.gather(self.item_factors_, items, q)]
        )

    def recommend(
        self, user: Any, n: int = 10, *, exclude_seen: bool = True, return_scores: bool = False
    ) -> Any:
        """Return the ids of the n items with the highest prediction for a user, best first.

        Parameters
        ----------
        user : hashable
            A user's id; one never seen gets what suits everybody.
        n : int, default=10
            How many items, at most.
        exclude_seen : bool, default=True
            Leave out the items that the user was given in fit.
        return_scores : bool, default=False
            Return the predictions as well, before clipping.

        Returns
        -------
        items : array of shape (<= n,)
            Ids of items, and their scores with ``return_scores``.
        """
        check_is_fitted(self)
        _check_n(n)
        u = _rows.find_one(self.user_ids_, user, "user")
        p = self.user_factors_[u] if u >= 0 else self._unknown()[0]
        s = self.item_factors_ @ p + self.item_biases_ + self.global_mean_
        s += self.user_biases_[u] if u >= 0 else 0.0
        candidates = np.ones(len(s), dtype=bool)
        if exclude_seen:
            first, last = np.searchsorted(self.seen_[:, 0], [u, u + 1])
            candidates[self.seen_[first:last, 1]] = False
        return self._best(s, candidates, n, return_scores)

    def similar(self, item: Any, n: int = 10, *, return_scores: bool = False) -> Any:
        """Return the ids of the n items whose vectors point most nearly the same way.

        Parameters
        ----------
        item : hashable
            An item's id, among those of fit.
        n : int, default=10
            How many items, at most.
        return_scores : bool, default=False
            Return the cosines as well.

        Returns
        -------
        items : array of shape (<= n,)
            Ids of items, and their cosines with ``return_scores``.
        """
        check_is_fitted(self)
        _check_n(n)
        i = _rows.find_one(self.item_ids_, item, "item")
        if i < 0:
            raise ValueError(
                f"the item {item!r} was not in the pairs of fit, so nothing is known to be similar "
                "to it; item_ids_ holds those that were."
            )
        Q = self.item_factors_
        size = np.linalg.norm(Q, axis=1)
        cosine = Q @ Q[i] / np.maximum(size * size[i], np.finfo(float).tiny)
        return self._best(cosine, np.arange(len(Q)) != i, n, return_scores)

    def _best(self, s: np.ndarray, candidates: np.ndarray, n: int, return_scores: bool) -> Any:
        rows = np.flatnonzero(candidates)
        rows = rows[np.argsort(-s[rows], kind="stable")[:n]]
        return (self.item_ids_[rows], s[rows]) if return_scores else self.item_ids_[rows]


def _check_n(n: Any) -> None:
    if not isinstance(n, int | np.integer) or n < 1:
        raise ValueError(f"n={n!r} is not accepted; give an integer >= 1.")
