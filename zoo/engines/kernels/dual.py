"""The dual problem of a kernel machine: its constants, the choice of solver, prediction."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from zoo.contract.notices import warn
from zoo.engines.devices import Arrays, arrays_on
from zoo.engines.kernels.interior import interior_point
from zoo.engines.kernels.rows import Kernel, called
from zoo.engines.kernels.smo import Solution, dual_ascent, smo


def resolve_gamma(gamma: Any, X: Any) -> float:
    """1 / (d var(X)) for "scale", 1 / d for "auto"."""
    if gamma == "scale":
        if sparse.issparse(X):
            size = X.shape[0] * X.shape[1]
            variance = float(X.multiply(X).sum()) / size - (float(X.sum()) / size) ** 2
        else:
            variance = float(X.var(dtype=np.float64))
        return 1.0 / (X.shape[1] * variance) if variance > 0 else 1.0
    return 1.0 / X.shape[1] if gamma == "auto" else float(gamma)


def check_square(name: str, X: Any) -> None:
    """A precomputed kernel is a dense n x n matrix."""
    if sparse.issparse(X):
        raise TypeError(f"Sparse X with kernel='precomputed' was given to {name}; give it dense.")
    if X.shape[0] != X.shape[1]:
        raise ValueError(
            f"Precomputed matrix must be a square matrix. Input is a {X.shape[0]}x{X.shape[1]} "
            f"matrix; give {name} the kernel between all pairs of training rows."
        )


def _arrays(machine: Any) -> Arrays:
    """The array library of the device that the machine asks for."""
    return arrays_on(machine.device, np.dtype(np.float32))


def kernel_of(machine: Any, X: Any, gamma: float, *, one_class: bool = False) -> Kernel:
    """The kernel of a machine on its training rows, for the solvers."""
    # the dual variables of a one-class problem do not sum to zero: shifting X would change it
    centre = machine.kernel == "rbf" or not (one_class or getattr(machine, "solver", "") == "dual_ascent")
    constants = (machine.kernel, gamma, machine.coef0, machine.degree)
    if callable(machine.kernel) and X.shape[0] ** 2 * 8 <= machine.cache_size * 2**20:
        # one call is cheaper than many
        return Kernel(called(machine.kernel, X, X), "precomputed", *constants[1:])
    kernel = Kernel(X, *constants, centre=centre, arrays=_arrays(machine))
    _check_range(machine, kernel)
    return kernel


def _check_range(machine: Any, kernel: Kernel) -> None:
    """Refuse rows whose squares, about their mean, are beyond the float32 of kernel rows."""
    if kernel.norms is None:
        return
    largest = float(kernel.norms.max(initial=0))
    if not np.isfinite(largest) or (largest < 1e-30 and kernel.varies()):
        raise ValueError(
            f"{type(machine).__name__}: rows of the kernel are float32, which does not hold the squares "
            "of X; scale the columns of X."
        )


def spread(kernel: Kernel, hi: np.ndarray, mass: float) -> np.ndarray:
    """A start for a one-class problem: the weight `mass` on the rows in the thinnest places.

    How thin a place is, a few hundred rows tell: outliers score low whatever the support.
    """
    n = kernel.n
    some = np.unique(np.linspace(0, n - 1, min(n, 256)).astype(np.int64))
    block = np.empty((32, n), np.float32)
    density = np.zeros(n)
    for s in range(0, some.size, 32):
        piece = some[s : s + 32]
        kernel.rows(piece, block, np.arange(piece.size))
        density += hi[piece] @ block[: piece.size]
    order = np.argsort(density, kind="stable")
    before = np.concatenate([[0.0], np.cumsum(hi[order])[:-1]])
    u = np.empty(n)
    u[order] = np.clip(mass - before, 0.0, hi[order])
    return u


def solve(
    machine: Any,
    X: Any,
    gamma: float,
    q: np.ndarray,
    lo: np.ndarray,
    hi: np.ndarray,
    *,
    u: np.ndarray | None = None,
    eps: float = 0.0,
    pause: Callable[..., bool] | None = None,
    kernel: Kernel | None = None,
) -> Solution:
    """Solve one dual problem with the solver that the machine asks for.

    `kernel` is that of X where it is there already, and X may be None then unless it is linear.
    """
    name, method = type(machine).__name__, getattr(machine, "solver", "auto")
    budget = {
        "tol": machine.tol,
        "cache_size": machine.cache_size,
        "max_iter": machine.max_iter,
        "pause": pause,
        "time_limit": machine.time_limit,
    }
    if kernel is None:
        kernel = kernel_of(machine, X, gamma, one_class=u is not None)
    if method == "dual_ascent":
        answer = dual_ascent(kernel, q, lo, hi, **budget)
    else:
        start: dict[str, Any] = {"u": u}
        n, d = kernel.n, kernel.width
        linear = machine.kernel == "linear" and not sparse.issparse(X)
        finite = bool(np.isfinite(hi).all() and np.isfinite(lo).all())
        if method == "interior_point" and not (linear and finite and u is None):
            raise ValueError(
                f"{name}: solver='interior_point' was given; it takes kernel='linear', dense X and "
                "finite C: use solver='smo' otherwise."
            )
        if (
            linear
            and finite
            and u is None
            and method != "smo"
            and machine.max_iter < 0
            and (method == "interior_point" or (n >= 200 and d <= n // 4 and d <= 1000))
        ):
            start = _start_inside(X, q, lo, hi, eps)
        answer = smo(kernel, q, lo, hi, eps=eps, shrinking=machine.shrinking, **start, **budget)
    if kernel.mean is not None and machine.kernel == "linear":
        answer.b -= float(kernel.mean @ (X.T @ answer.u))
    _tell(machine, name, answer)
    return answer


def _start_inside(
    X: np.ndarray, q: np.ndarray, lo: np.ndarray, hi: np.ndarray, eps: float
) -> dict[str, np.ndarray]:
    """Find the optimum by interior point; SMO then only checks it, or finishes the last digits."""
    Z = np.asarray(X, dtype=np.float64)
    Z = Z - Z.mean(axis=0)
    if eps == 0.0:
        u, w, _, _ = interior_point(Z, q, lo, hi)
    else:
        zero, n = np.zeros_like(hi), len(q)
        both, w, _, _ = interior_point(
            np.vstack([Z, -Z]),
            np.concatenate([q + eps, eps - q]),
            np.concatenate([zero, zero]),
            np.concatenate([hi, -lo]),
            np.concatenate([np.ones(n), -np.ones(n)]),
        )
        u = both[:n] - both[n:]
        w = Z.T @ u
    return {"u": u, "F": Z @ w + q}


def _tell(machine: Any, name: str, answer: Solution) -> None:
    if answer.status in ("max_iter", "time_limit"):
        warn(
            f"{name} stopped early (max_iter={machine.max_iter}, time_limit={machine.time_limit}) "
            f"with violation {answer.gap:.3g} > tol={machine.tol}; scale the columns of X, lower C "
            "or raise the limit.",
            ConvergenceWarning,
        )
    if answer.status == "rounding":
        warn(
            f"{name} stopped with violation {answer.gap:.3g} > tol={machine.tol}, which the rounding of "
            "the kernel's values hides; scale the columns of X or raise tol.",
            ConvergenceWarning,
        )
    if answer.negative and (machine.kernel == "precomputed" or callable(machine.kernel)):
        warn(
            f"{name}: the kernel is not positive semi-definite ({answer.negative} steps met "
            "negative curvature), so what was found is a stationary point and need not be the "
            "optimum; clip its negative eigenvalues.",
            RuntimeWarning,
        )


def expand(machine: Any, X: Any, vectors: Any, parts: list[tuple[slice, np.ndarray]]) -> np.ndarray:
    """Sum over K(X, vectors[part]) @ coefficients for each part, block by block of rows of X.

    `parts` are (slice of the vectors, (len, p) coefficients); returns (n, p of all parts) joined.
    """
    n = X.shape[0]
    total = sum(c.shape[1] for _, c in parts)
    out = np.zeros((n, total), dtype=np.float64)
    m = X.shape[1] if machine.kernel == "precomputed" else vectors.shape[0]
    if m == 0:
        return out
    dtype = machine.dtype_
    if machine.kernel == "precomputed":
        support = machine.support_
        at = 0
        for part, coefficients in parts:
            out[:, at : at + coefficients.shape[1]] = X[:, support[part]] @ coefficients
            at += coefficients.shape[1]
        return out
    kernel = Kernel(
        vectors, machine.kernel, machine.gamma_, machine.coef0, machine.degree, dtype,
        arrays=_arrays(machine),
    )  # fmt: skip
    width = int(max(32, min(256, 2**20 // m)))
    block = np.empty((min(width, n), m), dtype)
    for s in range(0, n, width):
        rows = X[s : s + width]
        K = block[: rows.shape[0]]
        kernel.between(rows, K)
        at = 0
        for part, coefficients in parts:
            out[s : s + width, at : at + coefficients.shape[1]] = K[:, part] @ coefficients
            at += coefficients.shape[1]
    return out
