"""One fit of the histogram grower: memory, helper threads and the calls of a boosting round."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from zoo.engines.trees import bins as _bins
from zoo.engines.trees import histograms
from zoo.engines.trees.threads import cores

FEW_ROWS = 4_000
"""Below this many rows one thread is faster than two."""


def n_threads(n_jobs, n_rows):
    """Threads that a fit on n_rows rows should use."""
    if n_rows < FEW_ROWS or os.name != "posix":
        return 1
    return cores(n_jobs)


EXACT_ROWS = 4_000
"""Up to this many rows the sums of leaves are taken in float64; above it rounding is noise."""


class Limits(NamedTuple):
    """What a tree may be."""

    max_leaves: int
    max_depth: int = 0  # 0: no limit
    policy: int = histograms.BEST_FIRST
    lam: float = 0.0
    alpha: float = 0.0
    gamma: float = 0.0
    min_child_weight: float = 1e-3
    min_child_samples: int = 1
    cat_smooth: float = 10.0
    per_node: int = 0  # 0: all features
    monotone: np.ndarray | None = None
    sets: np.ndarray | None = None  # interaction constraints, one set a row


class Tree(NamedTuple):
    """A finished tree; children of node i are left[i] and left[i] + 1, a leaf is its own child."""

    left: np.ndarray
    feature: np.ndarray  # -1 for a leaf
    bin: np.ndarray  # the last bin that goes left
    missing_left: np.ndarray
    set: np.ndarray  # the categories that go left, as bits
    value: np.ndarray
    gain: np.ndarray
    weight: np.ndarray  # sum of the curvatures
    count: np.ndarray  # type: ignore[assignment]  # hides tuple.count, which nobody calls
    depth: np.ndarray


class Grower:
    """Binned data and the memory in which trees grow; a context, because it holds threads."""

    def __init__(self, X, bins, limits, *, y, w=None, n_scores=1, softmax=False, threads=1):
        n, p = X.shape
        pool = ThreadPoolExecutor(threads) if threads > 1 else None
        cols, has_missing = _bins.encode(X, bins, pool)
        groups = _bins.find_groups(cols, bins.n_bins + has_missing)
        rows = _bins.weave(groups.bytes, pool)
        if pool is not None:
            pool.shutdown()
        leaves = max(1, min(limits.max_leaves or n, n))
        if limits.max_depth and limits.max_depth < 31:
            leaves = min(leaves, 2**limits.max_depth)
        # Histograms of waiting leaves are a convenience: beyond 64 MiB they are computed again.
        # Whole cache lines a column, and one to spare.
        cells = (groups.cells + 7) // 8 * 8 + 8
        size = int(cells.sum())
        slots = max(3, min(leaves + 2, (64 << 20) // (size * 8)))
        chunks = -(-n // histograms.CHUNK)
        nodes = 2 * leaves
        none = np.zeros((0, p), dtype=np.uint8)
        sets = none if limits.sets is None else np.ascontiguousarray(limits.sets, dtype=np.uint8)
        mono = np.zeros(p) if limits.monotone is None else limits.monotone
        gh = np.empty(n, dtype=np.int64)
        given = dict(
            rows=rows,
            cols=cols,
            n_bins=bins.n_bins,
            has_missing=has_missing,
            is_cat=bins.is_cat,
            monotone=np.ascontiguousarray(mono, dtype=np.int8),
            features=np.arange(p),
            groups=np.arange(len(cells)),
            group=groups.group,
            rest=groups.rest,
            listed=groups.listed,
            listed_byte=groups.byte,
            listed_bin=groups.bin,
            offset=np.append(0, np.cumsum(cells)),
            sets=sets,
            y=np.ascontiguousarray(y, dtype=np.float64),
            w=np.empty(0) if w is None else np.ascontiguousarray(w, dtype=np.float64),
            gh=gh,
            pair=gh.view(np.float32).reshape(n, 2),
            pool=_bins.aligned((slots, size), np.int64),
            private=_bins.aligned((threads, size if threads > 1 else 1), np.int64),
            touched=np.full(threads, -1, dtype=np.int64),
        )
        shapes = dict(
            score=(n_scores, n), norm=(2, n if softmax else 0), order=n, spare=n, parts=(chunks, 4),
            sums=(chunks, 4), found_gain=(2, p), found=(2, p, 4), found_set=(2, p, 4), side=(2, 4),
            bound=(2, 2), allowed=(2, p), scratch=(threads, 6, histograms.CELLS),
            cum=(threads, histograms.BATCH + histograms.CELLS),
            batch=(threads, 2, histograms.SCAN_BLOCK), counts=(threads, histograms.CELLS),
            own=(threads, histograms.CELLS),
            lanes=(threads, 2, histograms.CHUNK), draw=p, leaf_start=leaves, leaf_end=leaves,
            leaf_node=leaves, leaf_value=leaves, gate=24, set=(nodes, 4), open=leaves + 1,
            node_allowed=(nodes if len(sets) else 0, p), free=slots,
            exact=(n if n <= EXACT_ROWS else 0, 2), real=len(histograms.REALS),
        )  # fmt: skip
        self.arrays = {
            name: given[name] if name in given else np.zeros(shapes.get(name, nodes), dtype)
            for name, dtype in histograms.ARRAYS.items()
        }
        self.n, self.p, self.threads = n, p, threads
        self.exact = self.arrays["exact"]
        self.score, self.pair, self.order = (self.arrays[k] for k in ("score", "pair", "order"))
        # Kernels read sizes and addresses from this table; ``arrays`` keeps what they point to.
        self.table = np.zeros(histograms.TABLE, dtype=np.int64)
        self.real = self.arrays["real"]
        for name, array in self.arrays.items():
            assert array.dtype == histograms.ARRAYS[name], name
            assert array.flags.c_contiguous, name
            self.table[histograms.ADDRESS[name]] = array.ctypes.data
        self._set(
            N=n, P=p, G=len(cells), SIZE=size, WIDTH=rows.shape[1], THREADS=threads, SLOTS=slots,
            MAX_LEAVES=leaves,
            N_SETS=len(sets), EXACT=n <= EXACT_ROWS, N_SCORES=n_scores, WEIGHTED=w is not None,
            MAX_DEPTH=limits.max_depth, POLICY=limits.policy, PER_NODE=limits.per_node,
        )  # fmt: skip
        for name, value in dict(
            LAM=limits.lam, ALPHA=limits.alpha, GAMMA=limits.gamma, MIN_H=limits.min_child_weight,
            MIN_N=limits.min_child_samples, CAT_SMOOTH=limits.cat_smooth,
        ).items():  # fmt: skip
            self.real[histograms.REAL[name]] = value
        self._helpers = []

    def _set(self, **numbers):
        for name, value in numbers.items():
            self.table[histograms.PLACE[name]] = value

    def _enter(self, what, tid=0):
        histograms.enter(self.table.ctypes.data, what, tid)

    def __enter__(self):
        for tid in range(1, self.threads):
            t = threading.Thread(target=self._enter, args=(histograms.HELP, tid), daemon=True)
            t.start()
            self._helpers.append(t)
        return self

    def __exit__(self, *exc):
        self._enter(histograms.STOP_HELP)
        for t in self._helpers:
            t.join()

    def _loss(self, kind, k=0, option=0.0):
        self._set(KIND=kind, K=k)
        self.real[histograms.REAL["OPTION"]] = option

    def gradients(self, kind, k=0, option=0.0):
        """Gradient and curvature of the scores, into ``pair``; OUTSIDE only sums what is there."""
        self._loss(kind, k, option)
        self._enter(histograms.GRADIENTS)

    def grow(self, loss=None, counted=False, rows=None, features=None, seed=0):
        """Grow a tree on ``pair``, or on a loss (kind, k, option) of the scores.

        ``counted`` says that every h is 1; ``rows`` (sorted) and ``features`` may be fewer than
        all.
        """
        if rows is not None:
            self.order[: len(rows)] = rows
        m = self.p if features is None else len(features)
        self.arrays["features"][:m] = np.arange(self.p) if features is None else features
        g = len(self.arrays["groups"])
        used = np.arange(g) if features is None else np.unique(self.arrays["group"][features])
        self.arrays["groups"][: len(used)] = used
        self._set(N_GROUPS=len(used))
        self._set(IS_COUNTED=counted, SEED=seed, N_ROWS=0 if rows is None else len(rows), N_FEATURES=m)
        if loss is None:
            self._enter(histograms.GROW)
        else:
            self._loss(*loss)
            self._enter(histograms.GRADIENTS_AND_GROW)
        n_nodes = self.table[histograms.N_NODES]
        return Tree(*(self.arrays[name][:n_nodes].copy() for name in Tree._fields))

    def leaves(self):
        """Node and rows (a view) of each leaf of the last tree."""
        a = self.arrays
        for q in range(self.table[histograms.N_LEAVES]):
            yield int(a["leaf_node"][q]), self.order[a["leaf_start"][q] : a["leaf_end"][q]]

    def add(self, tree, k=0):
        """Add the last tree, whose values may have been changed, to the scores of its rows."""
        q = self.table[histograms.N_LEAVES]
        self.arrays["leaf_value"][:q] = tree.value[self.arrays["leaf_node"][:q]]
        self._set(K=k)
        self._enter(histograms.ADD)
