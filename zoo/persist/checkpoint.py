"""A callback that keeps a loadable snapshot of a fit that is under way."""

import os
from typing import Any


class Checkpoint:
    """Save the estimator after every few steps of its fit, and at its end.

    The file is always a whole one: `zoo.load` gives the estimator as if its fit had stopped there. A fit
    that was killed goes on from there with ``warm_start=True``, or with ``partial_fit``.

    Parameters
    ----------
    path : str or path
        Where to write; the usual ending is ``.zoo``.
    every : int, default=1
        Steps between two files: epochs of a network, rounds of a boosting, iterations of an agent.

    Notes
    -----
    What a file holds of each method is said at `zoo.save`: networks keep their weights, and begin anew with
    the moments of the optimizer. Inside a search every fit would write to the same path.

    Examples
    --------
    >>> import tempfile, zoo
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "iris.zoo")
    ...     model = zoo.MLPClassifier(max_epochs=4, random_state=0)
    ...     _ = model.set_callbacks(zoo.Checkpoint(path, every=2)).fit(X, y)
    ...     zoo.load(path).n_iter_
    4
    """

    def __init__(self, path: str | os.PathLike[str], every: int = 1) -> None:
        if not isinstance(every, int) or isinstance(every, bool) or every < 1:
            raise ValueError(f"Checkpoint: every={every!r} is not accepted; give an integer >= 1.")
        self.path = path
        self.every = every

    def setup(self, estimator: Any, context: Any) -> None:
        """Need nothing."""

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Wait for the end of the step."""

    def on_fit_task_end(self, estimator: Any, context: Any, *, fitted_estimator: Any = None) -> None:
        """Write the file, after steps of the outermost loop and after the fit."""
        if fitted_estimator is not None and self._is_due(context):
            from zoo.persist import save

            save(fitted_estimator, self.path)

    def _is_due(self, context: Any) -> bool:
        if context.task_name == "fit":
            return True
        outermost = context.parent is not None and context.parent.task_name == "fit"
        return outermost and (context.task_id + 1) % self.every == 0

    def teardown(self, estimator: Any, context: Any) -> None:
        """Need nothing."""
