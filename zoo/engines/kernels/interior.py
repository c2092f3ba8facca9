"""Interior point for the linear kernel: `K = X X'` has rank d, so a Newton step costs n d^2.

    minimise  1/2 u'X X'u + q'u   subject to   e'u = e'u_0,   lo <= u <= hi

With `v = u - lo`, `s = hi - u` and multipliers `z, t >= 0` of the two bounds the Newton system is
`(X X' + D) du - e dy = r`, `D = z/v + t/s`, solved through the d x d matrix `I + X' D^-1 X`
(Woodbury; Ferris and Munson 2002), predictor and corrector after Mehrotra.
"""

import numpy as np
from scipy import linalg


def interior_point(X, q, lo, hi, e=None, tol=1e-9, max_iter=100, constrained=True):
    """Solve with e'u = 0 (or without); return u, w = X'u, the multiplier y, and convergence."""
    n, d = X.shape
    e = np.ones(n) if e is None else e
    R = hi - lo
    u = lo + 0.5 * R
    v, s = 0.5 * R, 0.5 * R
    v, s = v.copy(), s.copy()
    z = np.full(n, max(1.0, float(np.abs(q).max())))
    t = z.copy()
    y = 0.0
    scale = 1.0 + float(np.abs(q).max())
    converged = False
    XD = np.empty_like(X)
    for _ in range(max_iter):
        w = X.T @ u
        grad = X @ w + q
        dual = grad - y * e - z + t
        primal = float(e @ u) if constrained else 0.0
        mu = float(v @ z + s @ t) / (2 * n)
        if (
            mu < tol * scale
            and np.abs(dual).max() < 1e-2 * tol * scale + 1e-9 * np.abs(grad).max()
            and abs(primal) < 1e-9 * (1.0 + np.abs(u).sum())
        ):
            converged = True
            break
        D = z / v + t / s
        np.divide(X, D[:, None], out=XD)
        M = X.T @ XD
        M.flat[:: d + 1] += 1.0
        try:
            factor = linalg.cho_factor(M, check_finite=False)
        except linalg.LinAlgError:
            break

        def solve(r, D=D, XD=XD, factor=factor):
            a = r / D
            return a - XD @ linalg.cho_solve(factor, X.T @ a, check_finite=False)

        Ke = solve(e) if constrained else np.zeros(n)
        eKe = float(e @ Ke) if constrained else 1.0

        def direction(cz, ct, dual=dual, primal=primal, Ke=Ke, eKe=eKe, v=v, s=s, z=z, t=t):
            # cz = target of v z, ct = target of s t
            Kr = solve(-dual + cz / v - z - (ct / s - t))
            dy = -(primal + float(e @ Kr)) / eKe if constrained else 0.0
            du = Kr + dy * Ke
            return du, dy, (cz - z * du) / v - z, (ct + t * du) / s - t

        du, dy, dz, dt = direction(np.zeros(n), np.zeros(n))
        a = min(_longest(v, du), _longest(s, -du), _longest(z, dz), _longest(t, dt))
        ahead = float((v + a * du) @ (z + a * dz) + (s - a * du) @ (t + a * dt)) / (2 * n)
        goal = mu * min(1.0, ahead / mu) ** 3
        du, dy, dz, dt = direction(goal - du * dz, goal + du * dt)
        a = 0.995 * min(_longest(v, du), _longest(s, -du))
        b = 0.995 * min(_longest(z, dz), _longest(t, dt))
        # unequal steps would break the quadratic's dual feasibility
        a = min(1.0, a, b)
        u += a * du
        v += a * du
        s -= a * du
        z += a * dz
        t += a * dt
        y += a * dy
    # a bound that is as good as reached is reached: the multiplier says which one
    u = np.where(v < np.minimum(1e-6 * R, z), lo, np.where(s < np.minimum(1e-6 * R, t), hi, u))
    free = (u > lo) & (u < hi)
    if constrained and free.any():
        u[free] -= e[free] * float(e @ u) / free.sum()
        u = np.clip(u, lo, hi)
    if constrained:
        converged = converged and abs(float(e @ u)) < 1e-8 * (1.0 + np.abs(u).sum())
    return u, X.T @ u, y, converged


def _longest(x, dx):
    """The longest step, up to 1, that keeps x + a dx >= 0."""
    m = float(np.max(-dx / x))
    return 1.0 if m <= 1.0 else 1.0 / m
