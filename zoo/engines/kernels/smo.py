"""Sequential minimal optimisation, one engine for SVC, SVR and one-class problems.

The problem, in signed variables `u` (for a classifier `u_i = y_i alpha_i`):

    minimise   1/2 u'K u + q'u + eps |u|_1     subject to   sum(u) = const,   lo <= u <= hi

`F = K u + q` is kept up to date. Raising `u_i` changes the objective at the rate `F_i + up_i`,
lowering `u_j` at `-(F_j + dn_j)`, where `up` and `dn` hold the slope of `eps |u|` on that side (0
for a classifier) and +-inf where the bound forbids the move. So the violating pair, the stopping
rule and the bias are the same three lines for all problems, and the passes over `n` have no branch.

One step (Fan, Chen and Lin 2005, second-order selection):

    i = argmin F + up,   m = F_i + up_i
    j = argmax b_j^2 / a_j   over   b_j = F_j + dn_j - m > 0,   a_j = K_ii + K_jj - 2 K_ij
        (times 0.7 where row j would have to be made)
    u_i += t,  u_j -= t,  F += t (K_i - K_j),     t = b_j / a_j  clipped to the box

K, not Q, stands in the denominator, for the reason given in SVC's notes. Kernel rows live in
float32 in a cache that grows row by row; a missing row returns control to Python, where a batch of
rows (the missing one and the worst violators) is made by one matrix product.
"""

import time
from dataclasses import dataclass

import numpy as np
from numba import njit

from zoo.engines.kernels.lanes import least_of, most_of
from zoo.engines.kernels.rows import Halves, Kernel

_MATH = {"nnan", "nsz", "arcp", "contract"}
_BLOCK = 256
_TAU = 1e-12
# A matrix that takes fewer multiplications than this is made at once.
SMALL = 5e7
# A partner whose row is in the cache may gain this much less than one whose row must be made.
_ABSENT = np.float32(0.7)


@dataclass
class Solution:
    """What a solver found.

    `status` is "converged", "max_iter", "time_limit", "stopped", "unbounded" or "rounding"; `negative`
    counts the steps that met negative curvature, which a positive semi-definite kernel does not have.
    """

    u: np.ndarray
    F: np.ndarray
    b: float
    n_iter: int
    gap: float
    status: str
    negative: int = 0


DONE, MISSING, PAUSE, UNBOUNDED = 0, 1, 2, 3


@njit(cache=True, nogil=True, fastmath=_MATH)
def _bounds_of(u, lo, hi, eps, i, up, dn):
    """Slopes on both sides of u_i, or +-inf where the box ends."""
    if u[i] >= hi[i]:
        up[i] = np.inf
    else:
        up[i] = eps if u[i] >= 0.0 else -eps
    if u[i] <= lo[i]:
        dn[i] = -np.inf
    else:
        dn[i] = -eps if u[i] <= 0.0 else eps


@njit(cache=True, nogil=True, fastmath=_MATH)
def _slopes(u, lo, hi, eps, up, dn):
    for i in range(u.shape[0]):
        _bounds_of(u, lo, hi, eps, i, up, dn)


@njit(cache=True, nogil=True, fastmath=_MATH)
def _update_block(F, Ki, Kj, up, dn, t):
    least, most = np.inf, -np.inf
    for k in range(F.shape[0]):
        f = F[k] + t * (np.float64(Ki[k]) - np.float64(Kj[k]))
        F[k] = f
        least = least_of(least, f + up[k])
        most = most_of(most, f + dn[k])
    return least, most


@njit(cache=True, nogil=True, fastmath=_MATH)
def _scan_block(F, up, dn):
    least, most = np.inf, -np.inf
    for k in range(F.shape[0]):
        least = least_of(least, F[k] + up[k])
        most = most_of(most, F[k] + dn[k])
    return least, most


@njit(cache=True, nogil=True, fastmath=_MATH)
def _gain_block(F, dn, Ki, diag, worth, m, dii):
    best = np.float32(0.0)
    two, tau = np.float32(2.0), np.float32(_TAU)
    for k in range(F.shape[0]):
        b = np.float32(F[k] + dn[k] - m)
        a = most_of(dii + diag[k] - two * Ki[k], tau)
        best = most_of(best, worth[k] * b * abs(b) / a)
    return best


@njit(cache=True, nogil=True, fastmath=_MATH)
def _find_up(F, up, m):
    for k in range(F.shape[0]):
        if F[k] + up[k] == m:
            return k
    return -1


@njit(cache=True, nogil=True, fastmath=_MATH)
def _find_gain(F, dn, Ki, diag, worth, m, dii, least):
    """First index whose gain reaches `least` (a rounding below the block's own maximum)."""
    two, tau = np.float32(2.0), np.float32(_TAU)
    for k in range(F.shape[0]):
        b = np.float32(F[k] + dn[k] - m)
        a = max(dii + diag[k] - two * Ki[k], tau)
        if worth[k] * b * abs(b) / a >= least:
            return k
    return -1


@njit(cache=True, nogil=True, fastmath=_MATH)
def _run(F, u, lo, hi, eps, up, dn, diag, worth, rows, slot, used, clock, state, tol, steps):
    """Steps until converged, a row is missing, or the given number of them is done.

    `state` = (i waiting, gap, least, most).
    """
    n = F.shape[0]
    tick = clock[0]
    for _ in range(steps):
        i = np.int64(state[0])
        if i < 0:
            # a fresh scan: after the start and after every resume that has no pair in hand
            least, most, at = np.inf, -np.inf, 0
            for s in range(0, n, _BLOCK):
                e = min(s + _BLOCK, n)
                lb, mb = _scan_block(F[s:e], up[s:e], dn[s:e])
                if lb < least:
                    least, at = lb, s
                most = max(most, mb)
            state[1], state[2], state[3] = most - least, least, most
            if most - least < tol:
                clock[0] = tick
                return DONE, -1
            e = min(at + _BLOCK, n)
            i = at + _find_up(F[at:e], up[at:e], least)
            state[0] = i
        m = state[2]
        if slot[i] < 0:
            clock[0] = tick
            return MISSING, i
        tick += 1
        used[slot[i]] = tick
        Ki = rows[slot[i]]
        dii = diag[i]
        best, at = np.float32(0.0), 0
        for s in range(0, n, _BLOCK):
            e = min(s + _BLOCK, n)
            g = _gain_block(F[s:e], dn[s:e], Ki[s:e], diag[s:e], worth[s:e], m, dii)
            if g > best:
                best, at = g, s
        e = min(at + _BLOCK, n)
        least = best * np.float32(0.9999)
        j = at + _find_gain(F[at:e], dn[at:e], Ki[at:e], diag[at:e], worth[at:e], m, dii, least)
        if slot[j] < 0:
            clock[0] = tick
            return MISSING, j
        used[slot[j]] = tick
        Kj = rows[slot[j]]
        b = F[j] + dn[j] - m
        a = np.float64(diag[i]) + np.float64(diag[j]) - 2.0 * np.float64(Ki[j])
        if a < -1e-5 * (abs(diag[i]) + abs(diag[j])):
            clock[2] += 1
        t = b / max(a, _TAU)
        # eps |u| has a kink at zero: a step ends there and the next one may go on
        ceiling = hi[i] if (eps == 0.0 or u[i] >= 0.0) else 0.0
        floor = lo[j] if (eps == 0.0 or u[j] <= 0.0) else 0.0
        ri, rj = ceiling - u[i], u[j] - floor
        if t >= ri or t >= rj:
            if ri == np.inf and rj == np.inf:
                return UNBOUNDED, i
            t = min(ri, rj)
        u[i] = ceiling if t >= ri else u[i] + t
        u[j] = floor if t >= rj else u[j] - t
        _bounds_of(u, lo, hi, eps, i, up, dn)
        _bounds_of(u, lo, hi, eps, j, up, dn)
        least, most, at = np.inf, -np.inf, 0
        for s in range(0, n, _BLOCK):
            e = min(s + _BLOCK, n)
            lb, mb = _update_block(F[s:e], Ki[s:e], Kj[s:e], up[s:e], dn[s:e], t)
            if lb < least:
                least, at = lb, s
            most = max(most, mb)
        clock[1] += 1
        state[1], state[2], state[3] = most - least, least, most
        if most - least < tol:
            state[0] = -1
            clock[0] = tick
            return DONE, -1
        e = min(at + _BLOCK, n)
        state[0] = at + _find_up(F[at:e], up[at:e], least)
    clock[0] = tick
    return PAUSE, -1


@njit(cache=True, nogil=True, fastmath=_MATH)
def _worst(F, up, dn, slot, wanted, least, most, picked):
    """The missing row, then the worst violators of either side. Returns how many."""
    n, B = F.shape[0], picked.shape[0]
    picked[0] = wanted
    c = 1
    for side in range(2):
        room = (B - c) // (2 - side)
        if room <= 0:
            continue
        size, at = np.zeros(room), np.full(room, -1)
        low, last = 0.0, 0
        for k in range(n):
            x = most - F[k] - up[k] if side == 0 else F[k] + dn[k] - least
            if x <= low or slot[k] >= 0 or k == wanted:
                continue
            if side == 1:
                known = False
                for r in range(1, c):
                    known = known or picked[r] == k
                if known:
                    continue
            size[last], at[last] = x, k
            last = np.argmin(size)
            low = size[last]
        for r in range(room):
            if at[r] >= 0:
                picked[c] = at[r]
                c += 1
    return c


@njit(cache=True, nogil=True, fastmath=_MATH)
def _gather_near(F, up, dn, slot, least, most, picked):
    """Replace the picks by violators near the first, if there are enough. Returns how many."""
    n, B = F.shape[0], picked.shape[0]
    found, c = np.empty(B, np.int64), 1
    found[0] = picked[0]
    start = picked[0] // (4 * B) * 4 * B
    for k in range(start, min(start + 4 * B, n)):
        x = max(most - F[k] - up[k], F[k] + dn[k] - least)
        if x > 0.0 and slot[k] < 0 and k != picked[0] and c < B:
            found[c] = k
            c += 1
    if c < B // 2:
        return B
    picked[:c] = found[:c]
    return c


def _batch_width(d, free):
    """Rows to make at once: what a matrix product wants while the cache has room, then fewer.

    A product reads all of Z for one row or for eight; where that is dear, rows that may not be
    wanted are worth it even though they push others out.
    """
    ideal = 4 if d < 64 else 16 if d < 200 else 64
    return max(1 if d < 64 else 8, min(ideal, free))


class _Cache:
    """Kernel rows in one flat buffer, which is touched only as far as it is filled."""

    def __init__(self, n, megabytes, dtype=np.float32):
        size = np.dtype(dtype).itemsize
        self.cells = int(max(2 * n, min(n * n, megabytes * 2**20 // size)))
        self.flat = np.empty(self.cells, dtype)
        self.filled = 0
        self._shape(n)
        self.slot = np.full(n, -1, np.int64)
        self.worth = np.full(n, _ABSENT, np.float32)
        self.owner = np.full(self.capacity, -1, np.int64)
        self.used = np.zeros(self.capacity, np.int64)

    @classmethod
    def of(cls, matrix):
        """A cache that holds all rows of a matrix."""
        n = len(matrix)
        cache = cls.__new__(cls)
        cache.cells, cache.flat, cache.filled = matrix.size, matrix.reshape(-1), n
        cache._shape(n)
        cache.slot, cache.owner = np.arange(n), np.arange(n)
        cache.worth, cache.used = np.ones(n, np.float32), np.zeros(n, np.int64)
        return cache

    def _shape(self, n):
        self.n = n
        self.capacity = int(min(n, self.cells // n))
        self.rows = self.flat[: self.capacity * n].reshape(self.capacity, n)

    def fetch(self, kernel, picked, keep, tick):
        """Make the rows `picked`, giving up the least recently used ones but never row `keep`."""
        fresh = min(picked.size, self.capacity - self.filled)
        slots = np.arange(self.filled, self.filled + fresh)
        if fresh < picked.size:
            stale = self.used.copy()
            stale[slots] = np.iinfo(np.int64).max
            if keep >= 0 and self.slot[keep] >= 0:
                stale[self.slot[keep]] = np.iinfo(np.int64).max
            lost = picked.size - fresh
            old = np.argpartition(stale, lost - 1)[:lost]
            self.slot[self.owner[old]] = -1
            self.worth[self.owner[old]] = _ABSENT
            slots = np.concatenate([slots, old])
        kernel.rows(picked, self.rows, slots)
        self.slot[picked], self.owner[slots], self.used[slots] = slots, picked, tick
        self.worth[picked] = 1.0
        self.filled += fresh

    def narrow(self, keep):
        """Keep only the columns `keep` (and the rows that these own)."""
        live = np.flatnonzero(self.slot[keep] >= 0)
        slots = self.slot[keep][live]
        order = np.argsort(slots)
        live, slots = live[order], slots[order]
        _compact(self.flat, self.n, slots, keep)
        used = self.used[slots]
        self._shape(keep.size)
        self.filled = live.size
        self.slot = np.full(keep.size, -1, np.int64)
        self.slot[live] = np.arange(live.size)
        self.worth = self.worth[keep]
        self.owner = np.full(self.capacity, -1, np.int64)
        self.owner[: live.size] = live
        self.used = np.zeros(self.capacity, np.int64)
        self.used[: live.size] = used

    def forget(self, n):
        """Start again with rows of length n."""
        self._shape(n)
        self.filled = 0
        self.slot = np.full(n, -1, np.int64)
        self.worth = np.full(n, _ABSENT, np.float32)
        self.owner = np.full(self.capacity, -1, np.int64)
        self.used = np.zeros(self.capacity, np.int64)


@njit(cache=True, nogil=True)
def _compact(flat, n, slots, keep):
    # destinations never overtake sources because slots are ascending and rows only get shorter
    m = keep.shape[0]
    for r in range(slots.shape[0]):
        source, target = slots[r] * n, r * m
        for c in range(m):
            flat[target + c] = flat[source + keep[c]]


@njit(cache=True, nogil=True, fastmath=_MATH)
def _movable(F, up, dn, least, most):
    """True where a variable is free or could still pair with the worst violators."""
    out = np.empty(F.shape[0], np.bool_)
    for k in range(F.shape[0]):
        stuck_high = up[k] == np.inf and F[k] + dn[k] < least
        stuck_low = dn[k] == -np.inf and F[k] + up[k] > most
        out[k] = not (stuck_high or stuck_low)
    return out


def _add_products(kernel, F, at, index, v):
    """F[at] += K[at, index] v, in blocks that stay small."""
    columns = kernel.subset(at)
    width = int(max(1, min(64, 2**22 // max(at.size, 1))))
    block = np.empty((width, at.size), kernel.dtype)
    total = np.zeros(at.size)
    for s in range(0, index.size, width):
        piece = index[s : s + width]
        columns.rows_of(kernel, piece, block, np.arange(piece.size))
        total += v[s : s + width] @ block[: piece.size]
    F[at] += total


def smo(
    kernel: Kernel,
    q,
    lo,
    hi,
    u=None,
    F=None,
    eps=0.0,
    tol=1e-3,
    cache_size=200.0,
    max_iter=-1,
    shrinking=True,
    pause=None,
    time_limit=None,
):
    """Solve the problem at the head of this file.

    Parameters
    ----------
    kernel : Kernel whose n columns are the n variables, float32
    q, lo, hi : float64 arrays of length n
    u : feasible start, zeros by default
    F : K u + q at the start, if it is known
    eps : weight of |u|_1
    tol : stop when the largest violation is below
    cache_size : megabytes for kernel rows
    max_iter : -1 for no limit
    shrinking : leave out variables that rest at a bound, where the cache cannot hold all rows
    pause : called as pause(n_iter, gap, u, F) every thousand steps; True stops. u and F are the
    whole
        problem's until shrinking drops variables, and None afterwards
    time_limit : seconds, or None

    Returns
    -------
    Solution
    """
    n = kernel.n
    u_all = np.zeros(n) if u is None else np.array(u, dtype=np.float64)
    F_all = np.array(q if F is None else F, dtype=np.float64)
    diag_all = kernel.diagonal()
    everything = np.arange(n)
    nonzero = np.flatnonzero(u_all)
    if nonzero.size and F is None:
        _add_products(kernel, F_all, everything, nonzero, u_all[nonzero])

    cache = _Cache(n, cache_size) if kernel.matrix is None else _Cache.of(kernel.matrix)
    # with room for every row there is nothing to win: full passes are cheap beside lost rows
    shrinking = shrinking and n >= 2000 and cache.capacity < 0.6 * n
    # a device wants many rows at a time
    d = kernel.width if kernel.there is None else 1000
    active = everything
    local: Kernel | Halves = kernel
    halves = cache.capacity == n and kernel.can_halve()
    if kernel.matrix is not None:
        halves = False
    elif kernel.n * cache.capacity * (d + 20) <= SMALL and cache.capacity == n:
        halves = False
        cache.fetch(kernel, everything, -1, 0)
    elif halves:
        local = Halves(kernel)
    history: list[tuple[np.ndarray, np.ndarray]] = []
    u, F, diag, lo_a, hi_a = u_all, F_all, diag_all, lo, hi
    up, dn = np.empty(n), np.empty(n)
    _slopes(u, lo_a, hi_a, eps, up, dn)
    state = np.array([-1.0, np.inf, 0.0, 0.0])
    clock = np.zeros(3, np.int64)
    every = min(n, 1000)
    next_look, next_pause = every, 1000
    finishing = False
    # steps without a smaller gap after which rounding is suspected
    patience = max(20_000, 10 * n)
    best, next_doubt = np.inf, patience
    status, started = "converged", time.monotonic()
    while True:
        steps = max(64, min(int(1e8 // active.size), next_doubt - int(clock[1])))
        if max_iter >= 0:
            steps = min(steps, max_iter - int(clock[1]))
        if shrinking:
            steps = min(steps, max(1, next_look - int(clock[1])))
        if pause is not None:
            steps = min(steps, max(1, next_pause - int(clock[1])))
        if steps <= 0:
            status = "max_iter"
            break
        code, want = _run(
            F,
            u,
            lo_a,
            hi_a,
            eps,
            up,
            dn,
            diag,
            cache.worth,
            cache.rows,
            cache.slot,
            cache.used,
            clock,
            state,
            tol,
            steps,
        )
        if code == UNBOUNDED:
            status = "unbounded"
            break
        if code == DONE and not history:
            break
        if code == MISSING:
            width = _batch_width(d, cache.capacity - cache.filled)
            picked = np.empty(width, np.int64)
            count = _worst(F, up, dn, cache.slot, want, state[2], state[3], picked)
            # entries are quick to look up for neighbours, which is worth more than the best choice
            # once it is plain that most rows will be wanted
            if halves and count == width and cache.filled > 0.4 * n:
                count = _gather_near(F, up, dn, cache.slot, state[2], state[3], picked)
            cache.fetch(local, picked[:count], int(state[0]), clock[0])
        if state[1] < 0.99 * best:
            best, next_doubt = state[1], int(clock[1]) + patience
        elif clock[1] >= next_doubt:
            best, next_doubt = np.inf, int(clock[1]) + patience
            exact = kernel.in_double() if kernel.dtype == np.float32 else kernel
            now, kept = _restore(kernel, u_all.copy(), F_all.copy(), active, u, F, history)
            true, moved = np.array(q, dtype=np.float64), np.flatnonzero(now)
            _add_products(exact, true, everything, moved, now[moved])
            if np.abs(true - kept).max() > 0.1 * state[1]:
                u_all, F_all, history, active = now, true, [], everything
                u, F, lo_a, hi_a = u_all, F_all, lo, hi
                if exact is kernel:
                    status = "rounding"
                    break
                kernel = local = exact
                halves = False
                diag = diag_all = exact.diagonal()
                cache = _Cache(n, cache_size, kernel.dtype)
                up, dn = np.empty(n), np.empty(n)
                _slopes(u, lo_a, hi_a, eps, up, dn)
                state[:] = -1.0, np.inf, 0.0, 0.0
                next_look = int(clock[1]) + every
        if time_limit is not None and time.monotonic() - started > time_limit:
            status = "time_limit"
            break
        if pause is not None and clock[1] >= next_pause:
            next_pause = int(clock[1]) + 1000
            whole = (None, None) if history else (u, F)
            if pause(int(clock[1]), float(state[1]), *whole):
                status = "stopped"
                break
        if code == DONE or (history and not finishing and state[1] < 10 * tol):
            # the first look back comes early, so that wrongly dropped variables are found in time
            finishing = True
            u_all, F_all = _restore(kernel, u_all, F_all, active, u, F, history)
            keep = everything
            history = []
            active, local = everything, kernel
            u, F, diag, lo_a, hi_a = u_all, F_all, diag_all, lo, hi
            up, dn = np.empty(n), np.empty(n)
            _slopes(u, lo_a, hi_a, eps, up, dn)
            least, most = np.min(F + up), np.max(F + dn)
            state[:] = -1.0, most - least, least, most
            keep = np.flatnonzero(_movable(F, up, dn, least, most))
            if most - least < tol:
                break
            cache.forget(n)
            next_look = int(clock[1])
        if shrinking and clock[1] >= next_look:
            next_look = int(clock[1]) + every
            keep = np.flatnonzero(_movable(F, up, dn, state[2], state[3]))
            if keep.size < 0.9 * active.size and keep.size > 1:
                if not history:
                    u_all, F_all = u.copy(), F.copy()
                else:
                    u_all[active], F_all[active] = u, F
                gone = np.ones(active.size, bool)
                gone[keep] = False
                history.append((active[gone], u_all.copy()))
                active = active[keep]
                local = kernel.subset(active)
                cache.narrow(keep)
                u, F, diag, lo_a, hi_a, up, dn = (a[keep] for a in (u, F, diag, lo_a, hi_a, up, dn))
                state[0] = -1
    if history:
        u_all, F_all = _restore(kernel, u_all, F_all, active, u, F, history)
        u, F = u_all, F_all
    return Solution(u, F, bias(u, F, lo, hi, eps), int(clock[1]), float(state[1]), status, int(clock[2]))


@njit(cache=True, nogil=True, fastmath=_MATH)
def _ascent_block(F, u, lo, hi, diag, Ki, t):
    """F += t K_i and the largest fall of the objective that one variable of the block can bring."""
    best, worst = 0.0, 0.0
    for k in range(F.shape[0]):
        f = F[k] + t * np.float64(Ki[k])
        F[k] = f
        step = least_of(most_of(u[k] - f / np.float64(diag[k]), lo[k]), hi[k]) - u[k]
        best = most_of(best, -step * (f + 0.5 * np.float64(diag[k]) * step))
        worst = most_of(worst, abs(step) * np.float64(diag[k]))
    return best, worst


@njit(cache=True, nogil=True, fastmath=_MATH)
def _find_fall(F, u, lo, hi, diag, least):
    for k in range(F.shape[0]):
        f = F[k]
        step = min(max(u[k] - f / np.float64(diag[k]), lo[k]), hi[k]) - u[k]
        if -step * (f + 0.5 * np.float64(diag[k]) * step) >= least:
            return k
    return -1


@njit(cache=True, nogil=True, fastmath=_MATH)
def _run_ascent(F, u, lo, hi, diag, rows, slot, used, clock, state, tol, steps):
    n = F.shape[0]
    for _ in range(steps):
        i, t = np.int64(state[0]), 0.0
        Ki = rows[0]
        if i >= 0:
            if slot[i] < 0:
                return MISSING, i
            clock[0] += 1
            used[slot[i]] = clock[0]
            Ki = rows[slot[i]]
            new = min(max(u[i] - F[i] / np.float64(diag[i]), lo[i]), hi[i])
            t = new - u[i]
            u[i] = new
            clock[1] += 1
        best, worst, at = 0.0, 0.0, 0
        for s in range(0, n, _BLOCK):
            e = min(s + _BLOCK, n)
            g, v = _ascent_block(F[s:e], u[s:e], lo[s:e], hi[s:e], diag[s:e], Ki[s:e], t)
            if g > best:
                best, at = g, s
            worst = max(worst, v)
        state[1] = worst
        if worst < tol or best <= 0.0:
            state[0] = -1
            return DONE, -1
        e = min(at + _BLOCK, n)
        state[0] = at + _find_fall(F[at:e], u[at:e], lo[at:e], hi[at:e], diag[at:e], best * 0.9999)
    return PAUSE, -1


def dual_ascent(
    kernel: Kernel, q, lo, hi, tol=1e-3, cache_size=200.0, max_iter=-1, pause=None, time_limit=None
):
    """The problem without the sum constraint (b = 0), by the coordinate that gains most.

    `u_i <- clip(u_i - F_i / K_ii, lo_i, hi_i)`, until no projected gradient exceeds `tol`.
    """
    n = kernel.n
    u, F = np.zeros(n), np.array(q, dtype=np.float64)
    diag = kernel.diagonal().astype(np.float32)
    diag = np.maximum(diag, np.float32(1e-12))
    cache = _Cache(n, cache_size)
    cache.rows[0] = 0.0
    state, clock = np.array([-1.0, np.inf, 0.0, 0.0]), np.zeros(3, np.int64)
    status, started, next_pause = "converged", time.monotonic(), 1000
    while True:
        steps = max(64, int(1e8 // n))
        if max_iter >= 0:
            steps = min(steps, max_iter - int(clock[1]))
        if steps <= 0:
            status = "max_iter"
            break
        code, want = _run_ascent(
            F, u, lo, hi, diag, cache.rows, cache.slot, cache.used, clock, state, tol, steps
        )
        if code == DONE:
            break
        if code == MISSING:
            cache.fetch(kernel, np.array([want]), -1, clock[0])
        if time_limit is not None and time.monotonic() - started > time_limit:
            status = "time_limit"
            break
        if pause is not None and clock[1] >= next_pause:
            next_pause = int(clock[1]) + 1000
            if pause(int(clock[1]), float(state[1]), u, F):
                status = "stopped"
                break
    return Solution(u, F, 0.0, int(clock[1]), float(state[1]), status)


def _restore(kernel, u_all, F_all, active, u, F, history):
    """Bring F up to date everywhere: a dropped variable missed the moves made since."""
    u_all[active], F_all[active] = u, F
    for gone, then in history:
        moved = np.flatnonzero(u_all != then)
        if moved.size:
            _add_products(kernel, F_all, gone, moved, (u_all - then)[moved])
    return u_all, F_all


def bias(u, F, lo, hi, eps=0.0):
    """The bias from the free variables' mean, or the middle of its interval if there is none."""
    free = (u > lo) & (u < hi) & ((u != 0.0) | (eps == 0.0))
    if free.any():
        return float(-np.mean(F[free] + eps * np.sign(u[free])))
    up, dn = np.empty_like(u), np.empty_like(u)
    _slopes(u, lo, hi, eps, up, dn)
    ends = np.array([np.min(F + up), np.max(F + dn)])
    # with every variable at the same bound the interval has one end only
    return float(-np.mean(ends[np.isfinite(ends)]))
