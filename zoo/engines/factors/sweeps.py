"""One sweep, one pass and the objective of matrix factorisation, on numbered users and items."""

import itertools
from typing import Any

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from scipy import sparse

from zoo.engines.factors import kernels
from zoo.engines.factors.rows import products

_NOTHING = np.empty((0, 0))


def fit_biases(
    users: np.ndarray,
    items: np.ndarray,
    y: np.ndarray,
    w: np.ndarray,
    shape: tuple[int, int],
    alpha_bias: float,
    rounds: int = 3,
) -> tuple[float, np.ndarray, np.ndarray, float]:
    """Return mean, biases of users and of items, and the spread that they leave."""
    mean = float(np.average(y, weights=w))
    b_user, b_item = np.zeros(shape[0]), np.zeros(shape[1])
    total_user = np.bincount(users, w, shape[0]) + alpha_bias
    total_item = np.bincount(items, w, shape[1]) + alpha_bias
    for _ in range(rounds):
        b_item = np.bincount(items, w * (y - mean - b_user[users]), shape[1]) / total_item
        b_user = np.bincount(users, w * (y - mean - b_item[items]), shape[0]) / total_user
    e = y - mean - b_user[users] - b_item[items]
    return mean, b_user, b_item, float(np.sqrt(np.average(e * e, weights=w)))


def size_of_noise(spread: float, total: float, shape: tuple[int, int]) -> float:
    """Return the spectral norm that noise of this spread has when ``total`` entries are known."""
    n_users, n_items = shape
    return spread * (n_users**0.5 + n_items**0.5) * (total / (n_users * n_items)) ** 0.5


def merge_pairs(
    users: np.ndarray, items: np.ndarray, r: np.ndarray, n_items: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Add up the counts r of pairs that occur more than once; drop those without any."""
    key, place = np.unique(users * n_items + items, return_inverse=True)
    total = np.bincount(place, r)
    key, total = key[total > 0], total[total > 0]
    return key // n_items, key % n_items, total


def spectral_start(
    users: np.ndarray,
    items: np.ndarray,
    e: np.ndarray,
    shape: tuple[int, int],
    d: int,
    alpha: float,
    rng: np.random.Generator,
    rounds: int = 3,
) -> list[np.ndarray]:
    """Return factors of the leading part of the sparse matrix e that stands out above alpha.

    Small random factors are a saddle near which alternating least squares stands almost still; its
    first sweeps there are a power iteration on e. These rounds do the same at the price of products
    with e alone.
    """
    E = sparse.csr_array((e, (users, items)), shape=shape)
    Et = E.T.tocsr()
    Q = rng.standard_normal((shape[1], min(d, *shape)))
    for _ in range(rounds):
        P = np.linalg.qr(E @ Q)[0]
        Q = np.linalg.qr(Et @ P)[0]
    U, size, Vt = np.linalg.svd(E @ Q, full_matrices=False)
    root = np.sqrt(np.maximum(size - alpha, 0))
    factors = []
    for n, F in zip(shape, (U * root, Q @ Vt.T * root), strict=True):
        # A trace of noise, so that a component that starts at 0 can grow if more data want it.
        G = 1e-3 * np.sqrt(np.abs(E.data).mean() / d) * rng.standard_normal((n, d))
        G[:, : F.shape[1]] += F
        factors.append(G)
    return factors


class Factorization:
    """The ratings, grouped by user and by item, and the factors that are fitted to them in place.

    Column ``d`` of P and Q, where there is one, holds the biases. ``implicit`` data have the
    targets 1 and the weights 1 + w, and every other pair the target 0 and the weight 1.
    """

    def __init__(
        self,
        users: np.ndarray,
        items: np.ndarray,
        y: np.ndarray,
        w: np.ndarray,
        factors: list[np.ndarray],
        d: int,
        mean: float,
        penalties: tuple[float, float],
        *,
        implicit: bool = False,
        n_jobs: int | None = None,
    ) -> None:
        self.users, self.items, self.y, self.w = users, items, y, w
        self.P, self.Q = factors
        self.d, self.mean = d, mean
        self.biased = self.P.shape[1] > d
        self.penalty = np.repeat(np.asarray(penalties, dtype=float), [d, 1])[: self.P.shape[1]]
        self.implicit = implicit
        self.n_jobs = n_jobs
        self._groups: list[Any] = []

    def sweep(self) -> None:
        """Solve for all users, then for all items."""
        if not self._groups:
            for ids, others, n in (
                (self.users, self.items, len(self.P)),
                (self.items, self.users, len(self.Q)),
            ):
                order, starts = kernels.group(ids, n)
                self._groups.append((starts, others[order], self.y[order], self.w[order]))
        self._solve(self._groups[0], self.Q, self.P)
        self._solve(self._groups[1], self.P, self.Q)

    def _solve(self, group: Any, F: np.ndarray, X: np.ndarray) -> None:
        """Give every row of X its best value given the rows F of the other side."""
        starts, others, y, w = group
        gram = _NOTHING
        if self.implicit:
            z, gram = 1 + w, F.T @ F
        elif self.biased:
            z = w * (y - self.mean - F[others, self.d])
            F = F.copy()
            F[:, self.d] = 1
        else:
            z = w * y
        jobs = effective_n_jobs(self.n_jobs)
        ends = np.searchsorted(starts, np.linspace(0, len(y), jobs + 1)[1:-1])
        ranges = list(itertools.pairwise([0, *ends.tolist(), len(X)]))
        Parallel(n_jobs=jobs, require="sharedmem")(
            delayed(kernels.solve_rows)(
                first, last, starts, others, w, z, F, gram, self.penalty, X
            )
            for first, last in ranges
        )

    def descend(
        self, rng: np.random.Generator, lr: float, counts: tuple[np.ndarray, np.ndarray]
    ) -> None:
        """Take one gradient step a rating; ``counts`` of ratings share out each id's penalty."""
        penalties = np.array([self.penalty[0], self.penalty[-1]])
        kernels.descend(
            rng.permutation(len(self.y)), self.users, self.items, self.y, self.w, self.mean, lr,
            penalties / counts[0][:, None], penalties / counts[1][:, None], self.P, self.Q, self.d,
        )  # fmt: skip

    def measure(self) -> tuple[float, float]:
        """Return the objective, and the root mean square error of the ratings."""
        P, Q, d = self.P, self.Q, self.d
        s = products(P[:, :d], Q[:, :d], self.users, self.items, (np.zeros(d), np.zeros(d)))
        penalty = self.penalty @ ((P * P).sum(axis=0) + (Q * Q).sum(axis=0))
        if self.implicit:
            e2 = (1 - s) ** 2
            everywhere = np.sum((P.T @ P) * (Q.T @ Q))
            loss = everywhere + ((1 + self.w) * e2 - s * s).sum()
            return float(loss + penalty), float(np.sqrt(e2.mean()))
        e = self.y - s
        if self.biased:
            e -= self.mean + P[self.users, d] + Q[self.items, d]
        loss = self.w @ (e * e)
        return float(loss + penalty), float(np.sqrt(loss / self.w.sum()))

    def error(self, users: np.ndarray, items: np.ndarray, y: np.ndarray, w: np.ndarray) -> float:
        """Return the weighted sum of squared errors of other ratings, explicit ones."""
        P, Q, d = self.P, self.Q, self.d
        s = self.mean + products(P[:, :d], Q[:, :d], users, items, (np.zeros(d), np.zeros(d)))
        if self.biased:
            s += P[users, d] + Q[items, d]
        return float(w @ (y - s) ** 2)
