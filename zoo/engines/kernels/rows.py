"""Kernel functions on arrays: rows of a kernel matrix by matrix products, and a vectorised exp.

`K(x, z)` is computed for a batch of rows at a time, `S = A @ B.T` by BLAS and then one pass over
`S` in place. Nothing here ever holds more than the batch that was asked for.
"""

from copy import copy

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from scipy import sparse

from zoo.engines.devices import arrays_on

_NUMPY = arrays_on("cpu", np.dtype(np.float32))

# min/max by comparison only become vector instructions when the compiler may ignore NaN; infinities
# are used as masks, so `ninf` must stay out
_MATH = {"nnan", "nsz", "arcp", "contract", "afn"}


@intrinsic
def _two_to_32(typing_context, z):
    """2**n as float32, where z = n + 1.5 * 2**23 was rounded by the float32 addition."""

    def codegen(context, builder, signature, args):
        i32, f32 = ir.IntType(32), ir.FloatType()
        n = builder.add(builder.bitcast(args[0], i32), ir.Constant(i32, 127))
        return builder.bitcast(builder.shl(n, ir.Constant(i32, 23)), f32)

    return types.float32(types.float32), codegen


@intrinsic
def _two_to_64(typing_context, z):
    """2**n as float64, where z = n + 1.5 * 2**52 was rounded by the float64 addition."""

    def codegen(context, builder, signature, args):
        i64, f64 = ir.IntType(64), ir.DoubleType()
        n = builder.add(builder.bitcast(args[0], i64), ir.Constant(i64, 1023))
        return builder.bitcast(builder.shl(n, ir.Constant(i64, 52)), f64)

    return types.float64(types.float64), codegen


# no `reassoc` here: the compiler would cancel the rounding constant
@njit(cache=True, nogil=True, inline="always")
def _exp32(x):
    f = np.float32
    x = min(max(x, f(-87.0)), f(87.0))
    z = x * f(1.4426950408889634) + f(12582912.0)
    n = z - f(12582912.0)
    r = (x - n * f(0.693359375)) + n * f(2.12194440e-4)
    p = f(1.9875691500e-4)
    p = p * r + f(1.3981999507e-3)
    p = p * r + f(8.3334519073e-3)
    p = p * r + f(4.1665795894e-2)
    p = p * r + f(1.6666665459e-1)
    p = p * r + f(5.0000001201e-1)
    return (p * r * r + r + f(1.0)) * _two_to_32(z)


@njit(cache=True, nogil=True, inline="always")
def _exp64(x):
    x = min(max(x, -708.0), 708.0)
    z = x * 1.4426950408889634 + 6755399441055744.0
    n = z - 6755399441055744.0
    r = (x - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10
    p = 1.0 / 479001600.0
    p = p * r + 1.0 / 39916800.0
    p = p * r + 1.0 / 3628800.0
    p = p * r + 1.0 / 362880.0
    p = p * r + 1.0 / 40320.0
    p = p * r + 1.0 / 5040.0
    p = p * r + 1.0 / 720.0
    p = p * r + 1.0 / 120.0
    p = p * r + 1.0 / 24.0
    p = p * r + 1.0 / 6.0
    p = p * r + 0.5
    return (p * r * r + r + 1.0) * _two_to_64(z)


@njit(cache=True, nogil=True, fastmath=_MATH)
def _rbf32(S, a, b, gamma, out, slots):
    two, g = np.float32(2.0), np.float32(gamma)
    for r in range(S.shape[0]):
        s, o, ar = S[r], out[slots[r]], a[r]
        for k in range(s.shape[0]):
            o[k] = _exp32(-g * max(ar + b[k] - two * s[k], np.float32(0.0)))


@njit(cache=True, nogil=True, fastmath=_MATH)
def _rbf64(S, a, b, gamma, out, slots):
    for r in range(S.shape[0]):
        s, o, ar = S[r], out[slots[r]], a[r]
        for k in range(s.shape[0]):
            o[k] = _exp64(-gamma * max(ar + b[k] - 2.0 * s[k], 0.0))


# in place, as functions of their own: a loop whose arrays may overlap is not vectorised


@njit(cache=True, nogil=True, fastmath=_MATH)
def _rbf32_here(S, a, b, gamma):
    two, g = np.float32(2.0), np.float32(gamma)
    for r in range(S.shape[0]):
        s, ar = S[r], a[r]
        for k in range(s.shape[0]):
            s[k] = _exp32(-g * max(ar + b[k] - two * s[k], np.float32(0.0)))


@njit(cache=True, nogil=True, fastmath=_MATH)
def _rbf64_here(S, a, b, gamma):
    for r in range(S.shape[0]):
        s, ar = S[r], a[r]
        for k in range(s.shape[0]):
            s[k] = _exp64(-gamma * max(ar + b[k] - 2.0 * s[k], 0.0))


@njit(cache=True, nogil=True, fastmath=_MATH)
def _poly(S, gamma, coef0, degree, out, slots):
    for r in range(S.shape[0]):
        s, o = S[r], out[slots[r]]
        for k in range(s.shape[0]):
            t = gamma * s[k] + coef0
            p = t
            for _ in range(degree - 1):
                p = p * t
            o[k] = p


@njit(cache=True, nogil=True)
def _tanh(S, gamma, coef0, out, slots):
    for r in range(S.shape[0]):
        s, o = S[r], out[slots[r]]
        for k in range(s.shape[0]):
            o[k] = np.tanh(gamma * s[k] + coef0)


@njit(cache=True, nogil=True)
def _scatter(S, out, slots):
    for r in range(S.shape[0]):
        out[slots[r]] = S[r]


@njit(cache=True, nogil=True)
def _swap(A, i, j):
    for k in range(A.shape[1]):
        A[i, k], A[j, k] = A[j, k], A[i, k]


@njit(cache=True, nogil=True)
def _bring_forward(Z, norms, order, place, picked, done):
    """Swap the variables `picked` into the positions from `done` on."""
    for r in range(picked.shape[0]):
        i, j = done + r, place[picked[r]]
        if i != j:
            _swap(Z, i, j)
            norms[i], norms[j] = norms[j], norms[i]
            order[i], order[j] = order[j], order[i]
            place[order[i]], place[order[j]] = i, j


@njit(cache=True, nogil=True)
def _place_and_mirror(S, rows, order, picked, done):
    """Put S where its columns belong, and copy what the rows made before know of the new ones."""
    m = picked.shape[0]
    for r in range(m):
        s, o = S[r], rows[done + r]
        for k in range(s.shape[0]):
            o[order[done + k]] = s[k]
    for start in range(0, done, 64):
        end = min(start + 64, done)
        for r in range(m):
            o, p = rows[done + r], picked[r]
            for c in range(start, end):
                o[order[c]] = rows[c, p]


class Halves:
    """Rows of a kernel matrix that is kept whole, so that no entry is computed twice.

    The points whose rows are made stand first, in the order in which they came, which is also the
    order of the rows: one product then makes new rows against the points that have none yet, and
    the rest is in the rows that are there. Z and its norms are reordered in place, so the kernel
    itself is not to be asked any more.
    """

    def __init__(self, kernel):
        self.kernel = kernel
        if np.may_share_memory(kernel.Z, kernel.raw):
            kernel.Z = kernel.Z.copy()
        self.order, self.place = np.arange(kernel.n), np.arange(kernel.n)

    def rows(self, index, out, slots):
        """As `Kernel.rows`; the slots are those that follow the rows made before."""
        kernel, m, done = self.kernel, index.size, int(slots[0])
        Z, norms = kernel.Z, kernel.norms
        _bring_forward(Z, norms, self.order, self.place, index, done)
        S = np.empty((m, kernel.n - done), kernel.dtype)
        some = np.arange(m)
        part = copy(kernel)
        part.Z, part.norms, part.n = Z[done:], norms[done:], kernel.n - done
        part._finish(Z[done : done + m], norms[done : done + m], S, some, S=S)
        _place_and_mirror(S, out, self.order, index, done)


@njit(cache=True, nogil=True)
def _csr_products(data, indices, indptr, A, out):
    """out[r, k] = <A[r], row k of the CSR matrix>, A dense."""
    for k in range(indptr.shape[0] - 1):
        s, e = indptr[k], indptr[k + 1]
        for r in range(A.shape[0]):
            Ar = A[r]
            t = 0.0
            for p in range(s, e):
                t += data[p] * Ar[indices[p]]
            out[r, k] = t


def called(kernel, A, B):
    """The matrix that a user's kernel gives for the rows of A and B, dense and of that shape."""
    K = kernel(A, B)
    K = K.toarray() if sparse.issparse(K) else np.asarray(K)
    if K.shape != (A.shape[0], B.shape[0]):
        raise ValueError(
            f"the kernel gave an array of shape {K.shape} for {A.shape[0]} rows and {B.shape[0]} rows; it "
            f"must give one of shape {(A.shape[0], B.shape[0])}."
        )
    return K


class Kernel:
    """Rows of the kernel matrix between any points and the fixed columns `Z`.

    Parameters
    ----------
    Z : ndarray or CSR of shape (n, d)
        The column points (for a precomputed kernel: unused but for its length).
    kind : {"linear", "poly", "rbf", "sigmoid", "precomputed"} or callable
    gamma, coef0, degree : kernel constants
    dtype : numpy.float32 or numpy.float64
    centre : bool
        Shift the data by its mean before rounding. Harmless where the kernel is a function of
        differences (rbf), and for the linear kernel where the dual variables sum to zero; it saves
        the digits that a large offset would eat.
    arrays : Arrays
        Where dense blocks of the named kernels are made. On torch they come back as numpy.
    """

    def __init__(
        self, Z, kind, gamma=1.0, coef0=0.0, degree=3, dtype=np.float32, centre=True, arrays=_NUMPY
    ):
        self.kind, self.gamma, self.coef0, self.degree = kind, gamma, coef0, degree
        self.dtype = np.dtype(dtype)
        self.sparse = sparse.issparse(Z)
        self.n = Z.shape[0]
        self.width = 100 if kind == "precomputed" else Z.shape[1]  # rows that are there cost little
        self.mean = None
        self.raw = Z
        self._centre = centre
        self.columns = None
        self.matrix = None  # the whole matrix, where somebody has it already
        self.arrays, self.there = _NUMPY, None
        self._buffer = np.empty(0, self.dtype)
        self.norms = None
        if callable(kind) or kind == "precomputed":
            self.Z = Z
            return
        with np.errstate(over="ignore"):  # numbers beyond the precision show in the norms
            self._hold(Z, centre)
        if arrays.xp is not np and not self.sparse:
            self.arrays = arrays
            self.there = arrays.put(self.Z), arrays.put(self.norms)

    def _hold(self, Z, centre):
        if self.sparse:
            self.Z = sparse.csr_array(Z, dtype=self.dtype)
            self.norms = np.asarray(self.Z.multiply(self.Z).sum(axis=1), dtype=np.float64).ravel()
        else:
            if centre and self.kind in ("rbf", "linear"):
                self.mean = Z.mean(axis=0, dtype=np.float64)
                self.Z = np.empty(Z.shape, self.dtype)
                for s in range(0, self.n, 512):  # no second copy in the precision of the data
                    self.Z[s : s + 512] = Z[s : s + 512] - self.mean
            else:
                self.Z = np.ascontiguousarray(Z, dtype=self.dtype)
            self.norms = np.einsum("ij,ij->i", self.Z, self.Z, dtype=np.float64)
        self.norms = self.norms.astype(self.dtype)

    def varies(self):
        """Whether the rows that were given differ."""
        raw = self.raw
        return bool((raw != raw[:1]).nnz if self.sparse else (raw != raw[:1]).any())

    def can_halve(self):
        """Whether entries are dear enough, and named, to be worth looking up instead of computing."""
        named = not callable(self.kind) and self.kind != "precomputed"
        return named and not self.sparse and self.there is None and self.width >= 256

    def in_double(self):
        """The same kernel in float64."""
        given = (self.raw, self.kind, self.gamma, self.coef0, self.degree)
        whole = Kernel(*given, dtype=np.float64, centre=self._centre, arrays=self.arrays)
        return whole if self.columns is None else whole.subset(self.columns)

    def subset(self, index):
        """The same kernel with only the columns `index`."""
        if index.size == self.n:
            return self
        part = copy(self)
        part.n, part.matrix = index.size, None
        part._buffer = np.empty(0, self.dtype)
        part.columns = index if self.columns is None else self.columns[index]
        if self.kind == "precomputed":
            return part
        part.Z = self.Z[index]
        if not callable(self.kind):
            part.norms = self.norms[index]
        if self.there is not None:
            k = self.arrays.put(index)
            part.there = tuple(a[k] for a in self.there)
        return part

    def rows_of(self, parent, index, out, slots):
        """As `rows`, with `index` counted among the columns of `parent`."""
        if self.kind == "precomputed":
            who = index if parent.columns is None else parent.columns[index]
            out[slots] = self.Z[who] if self.columns is None else self.Z[np.ix_(who, self.columns)]
        elif callable(self.kind):
            out[slots] = called(self.kind, parent.Z[index], self.Z)
        else:
            A = parent.Z[index]
            self._finish(A.toarray() if self.sparse else A, parent.norms[index], out, slots)

    def diagonal(self):
        """K(z, z) for every column point."""
        if self.kind == "precomputed":
            k = np.arange(self.n) if self.columns is None else self.columns
            return np.ascontiguousarray(self.Z[k, k], dtype=self.dtype)
        if callable(self.kind):
            blocks = (self.Z[s : s + 64] for s in range(0, self.n, 64))
            return np.concatenate([np.diag(called(self.kind, A, A)) for A in blocks]).astype(self.dtype)
        if self.kind == "rbf":
            return np.ones(self.n, self.dtype)
        s = self.norms.astype(np.float64)
        if self.kind == "poly":
            s = (self.gamma * s + self.coef0) ** self.degree
        elif self.kind == "sigmoid":
            s = np.tanh(self.gamma * s + self.coef0)
        return s.astype(self.dtype)

    def rows(self, index, out, slots):
        """Write K(Z[index], Z) into the rows `slots` of `out`."""
        self.rows_of(self, index, out, slots)

    def between(self, A, out):
        """Write K(A, Z) into `out`, A in the units of the user's data."""
        m = A.shape[0]
        if self.kind == "precomputed":
            out[:] = A
        elif callable(self.kind):
            out[:] = called(self.kind, A, self.raw)
        else:
            if sparse.issparse(A):
                A = A.toarray()
            A = np.ascontiguousarray(A if self.mean is None else A - self.mean, dtype=self.dtype)
            a = np.einsum("ij,ij->i", A, A, dtype=np.float64).astype(self.dtype)
            self._finish(A, a, out, np.arange(m), S=out)

    def _finish_there(self, A, a, out, slots):
        """As `_finish`, on the device."""
        xp, (Z, norms) = self.arrays.xp, self.there
        S = self.arrays.put(A) @ Z.T
        if self.kind == "rbf":
            S *= -2.0
            S += self.arrays.put(a)[:, None]
            S += norms
            S = xp.exp(S.clamp_(min=0.0).mul_(-self.gamma))
        elif self.kind == "poly":
            S = (self.gamma * S + self.coef0) ** self.degree
        elif self.kind == "sigmoid":
            S = xp.tanh(self.gamma * S + self.coef0)
        out[slots] = self.arrays.get(S)

    def _finish(self, A, a, out, slots, S=None):
        if self.there is not None:
            self._finish_there(A, a, out, slots)
            return
        m = A.shape[0]
        if S is None:
            if self._buffer.size < m * self.n:
                self._buffer = np.empty(m * self.n, self.dtype)
            S = self._buffer[: m * self.n].reshape(m, self.n)
        if self.sparse:
            _csr_products(self.Z.data, self.Z.indices, self.Z.indptr, A, S)
        elif m == 1:
            np.dot(self.Z, A[0], out=S[0])
        else:
            np.dot(A, self.Z.T, out=S)
        f = self.dtype.type
        if self.kind == "rbf" and S is out:
            rbf = _rbf32_here if self.dtype == np.float32 else _rbf64_here
            rbf(S, a, self.norms, f(self.gamma))
        elif self.kind == "rbf":
            rbf = _rbf32 if self.dtype == np.float32 else _rbf64
            rbf(S, a, self.norms, f(self.gamma), out, slots)
        elif self.kind == "poly":
            _poly(S, f(self.gamma), f(self.coef0), self.degree, out, slots)
        elif self.kind == "sigmoid":
            _tanh(S, f(self.gamma), f(self.coef0), out, slots)
        elif S is not out:
            _scatter(S, out, slots)
