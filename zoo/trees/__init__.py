"""Trees, forests and boosting."""


def warmup() -> None:
    """Compile what the family needs, now rather than at the first fit.

    The result is kept on disk: it is paid once a machine and version.
    """
    import numpy as np

    from zoo.trees.boosting import BoostingClassifier
    from zoo.trees.random_forest import RandomForestRegressor

    for dtype in (np.float64, np.float32):
        X = np.arange(40, dtype=dtype)[:, None] % np.array([5, 7], dtype=dtype)
        y = (X[:, 0] > 2).astype(int)
        BoostingClassifier(n_estimators=1).fit(X, y).predict(X)
    for max_bins in (None, 255):
        RandomForestRegressor(n_estimators=1, max_bins=max_bins).fit(X, y).predict(X)
