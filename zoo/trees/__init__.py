"""Trees, forests and boosting."""

from zoo.engines.trees.drawing import export_text as export_text
from zoo.engines.trees.drawing import plot_tree as plot_tree


def warmup() -> None:
    """Compile what the family needs, now rather than at the first fit.

    The result is kept on disk: it is paid once a machine and version.
    """
    import numpy as np

    from zoo.trees.boosting import BoostingClassifier
    from zoo.trees.random_forest import RandomForestRegressor

    X = np.arange(40.0)[:, None] % np.array([5.0, 7.0])
    y = (X[:, 0] > 2).astype(int)
    BoostingClassifier(n_estimators=1).fit(X, y).predict(X)
    for max_bins in (None, 255):
        RandomForestRegressor(n_estimators=1, max_bins=max_bins).fit(X, y).predict(X)
