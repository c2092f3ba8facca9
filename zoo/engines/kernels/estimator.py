"""What the kernel machines share: the kernel's parameters, the budget, the support vectors."""

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from zoo.contract.estimator import Estimator
from zoo.contract.inputs import Input, Table
from zoo.contract.params import Among, Count, Device, Fixed, Interval, Positive, Search, Tolerance
from zoo.engines import accepted
from zoo.engines.magnitudes import check_squares


class KernelMachine(Estimator, abstract=True):
    """A function that a kernel expands over the training rows, found by its dual problem.

    Parameters
    ----------
    kernel : {"linear", "poly", "rbf", "sigmoid", "precomputed"} or callable, default="rbf"
        K; a callable takes (A, B) and returns the matrix.
    gamma : {"scale", "auto"} or float, default="scale"
        Factor of <x, z> or |x - z|^2: "scale" is 1 / (d var(X)), "auto" 1 / d.
    degree : int, default=3
        Power of "poly".
    coef0 : float, default=0.0
        Constant of "poly" and "sigmoid".
    tol : float, default=1e-3
        Largest violation of the optimality conditions that is accepted.
    max_iter : int, default=-1
        Most steps for each problem; -1 is no limit.
    time_limit : float or None, default=None
        Most seconds for each problem.
    cache_size : float, default=200
        Megabytes for kernel rows.
    shrinking : bool, default=True
        Leave out rows that have come to rest, where the cache cannot hold all.
    verbose : bool or int, default=False
        Taken as in scikit-learn, without effect; callbacks report.
    device : str, default="cpu"
        Where rows of the kernel are made: "cpu", "cuda", "cuda:1", "mps" or "auto". The steps
        themselves, sparse X and precomputed or callable kernels stay on the CPU.

    Attributes
    ----------
    support_ : array of shape (m,)
        Rows of the support vectors.
    support_vectors_ : array of shape (m, d)
        The support vectors (empty for a precomputed kernel).
    gamma_ : float
        The number that ``gamma`` stood for.
    """

    input: ClassVar[Input] = Table(sparse=True)
    extra_capabilities: ClassVar[tuple[str, ...]] = ("gpu",)

    kernel: Annotated[
        Literal["linear", "poly", "rbf", "sigmoid", "precomputed"] | Callable[..., Any],
        Among("linear", "poly", "rbf", "sigmoid"),  # a kernel that is given is other data
    ] = "rbf"
    gamma: Literal["scale", "auto"] | Annotated[Positive, Search(1e-4, 1e1, log=True)] = "scale"
    degree: Annotated[Count, Search(2, 5)] = 3
    coef0: Annotated[float, Interval(None, None), Search(0.0, 1.0)] = 0.0
    tol: Tolerance = 1e-3
    max_iter: Annotated[int, Interval(-1, None), Fixed("a budget")] = -1
    time_limit: Annotated[Positive | None, Fixed("a budget")] = None
    cache_size: Annotated[Positive, Fixed("it changes the time, not the result")] = 200.0
    shrinking: Annotated[bool, Fixed("it changes the time, not the result")] = True
    verbose: accepted.Verbose = False
    device: Device = "cpu"

    def __sklearn_tags__(self) -> Any:
        """Say that a precomputed kernel comes pairwise and dense."""
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = self.kernel == "precomputed"
        tags.input_tags.sparse = self.kernel != "precomputed"
        return tags

    def _prepare(self, X: Any) -> None:
        """Fix the kernel's constants on the training data."""
        from zoo.engines.kernels.dual import check_square, resolve_gamma

        if self.kernel == "precomputed":
            check_square(type(self).__name__, X)
        check_squares(type(self).__name__, X=X)
        self.gamma_ = resolve_gamma(self.gamma, X)

    def _keep_vectors(self, X: Any, used: np.ndarray) -> None:
        """Keep the rows ``used`` of X; ``support_`` counts as the user does."""
        self.support_ = used if self._kept is None else self._kept[used]
        known = self.kernel == "precomputed"
        self.support_vectors_ = np.empty((0, 0), self.dtype_) if known else X[used]
