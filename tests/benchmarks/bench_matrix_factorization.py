"""MatrixFactorization beside scikit-surprise's SVD: MovieLens latest-small, five folds.

``python tests/benchmarks/bench_matrix_factorization.py``; one thread on both sides, CPU seconds,
the two sides in turn on the same folds. Ratings are from the file in ``ZOO_DATA``. Defaults on both
sides; the ones of the zoo were chosen inside the training part of a single fold, as
``python tests/benchmarks/bench_matrix_factorization.py choose`` shows.

scikit-surprise: ``pip install scikit-surprise``. Where it is installed for another Python than the
zoo, name that one in ZOO_PEER_PYTHON: its side then runs there.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd

DATA = Path(os.environ.get("ZOO_DATA", Path(__file__).parents[3] / "shared" / "data"))
FILE = DATA / "ratings" / "movielens_latest_small_ratings.csv.gz"
N_FOLDS, SEED = 5, 0


def read() -> tuple[pd.DataFrame, np.ndarray]:
    """Return the ratings and the number of each one's fold."""
    ratings = pd.read_csv(FILE)
    order = np.random.default_rng(SEED).permutation(len(ratings))
    fold = np.empty(len(ratings), dtype=int)
    fold[order] = np.arange(len(ratings)) % N_FOLDS
    return ratings, fold


def rmse(p: np.ndarray, y: np.ndarray) -> float:
    """Root mean square error."""
    return float(np.sqrt(np.mean((p - y) ** 2)))


def ours(ratings: pd.DataFrame, test: np.ndarray, **options: object) -> tuple[float, float, float]:
    """RMSE, and CPU seconds of fit and predict."""
    from zoo import MatrixFactorization

    X, y = ratings[["userId", "movieId"]], ratings["rating"].to_numpy()
    model = MatrixFactorization(random_state=0, **options)
    start = time.process_time()
    model.fit(X[~test], y[~test])
    middle = time.process_time()
    p = model.predict(X[test])
    return rmse(p, y[test]), middle - start, time.process_time() - middle


def theirs(ratings: pd.DataFrame, test: np.ndarray) -> tuple[float, float, float]:
    """Do the same with SVD and its defaults; turning the frame into a trainset is not counted."""
    from surprise import SVD, Dataset, Reader

    columns = ["userId", "movieId", "rating"]
    reader = Reader(rating_scale=(0.5, 5))
    train = Dataset.load_from_df(ratings.loc[~test, columns], reader).build_full_trainset()
    pairs = list(ratings.loc[test, columns].itertuples(index=False, name=None))
    model = SVD(random_state=0)
    start = time.process_time()
    model.fit(train)
    middle = time.process_time()
    p = np.array([model.predict(user, item).est for user, item, _ in pairs])
    end = time.process_time()
    return rmse(p, ratings["rating"].to_numpy()[test]), middle - start, end - middle


def theirs_elsewhere(python: str, k: int) -> tuple[float, float, float]:
    """Run `theirs` on fold k with another Python."""
    done = subprocess.run(
        [python, __file__, "theirs", str(k)], capture_output=True, text=True, check=True
    )
    a, b, c = map(float, done.stdout.split())
    return a, b, c


def compare() -> None:
    """Print both sides, fold by fold and their means."""
    ratings, fold = read()
    python = os.environ.get("ZOO_PEER_PYTHON")
    ours(ratings, fold == 0)  # compile
    ours(ratings, fold == 0, solver="sgd")
    rows = []
    for k in range(N_FOLDS):
        als = ours(ratings, fold == k)
        svd = theirs_elsewhere(python, k) if python else theirs(ratings, fold == k)
        sgd = ours(ratings, fold == k, solver="sgd")
        rows.append((als, sgd, svd))
    table = np.array(rows)  # fold, side, (rmse, fit, predict)
    print("| fold | RMSE als | RMSE sgd | RMSE surprise SVD | fit s als | sgd | SVD |", end="")
    print(" predict s als | SVD | fit SVD/als |\n" + "|---" * 10 + "|")
    for name, t in [*enumerate(table), ("mean", table.mean(0)), ("median", np.median(table, 0))]:
        print(
            f"| {name} | {t[0, 0]:.4f} | {t[1, 0]:.4f} | {t[2, 0]:.4f} | {t[0, 1]:.3f} | "
            f"{t[1, 1]:.3f} | {t[2, 1]:.3f} | {t[0, 2]:.4f} | {t[2, 2]:.4f} | "
            f"{t[2, 1] / t[0, 1]:.2f} |"
        )


def choose() -> None:
    """Print the RMSE of candidates on a fifth of the training part of fold 0, which stays shut."""
    ratings, fold = read()
    ratings = ratings[fold != 0].reset_index(drop=True)
    held_out = np.random.default_rng(1).random(len(ratings)) < 0.2
    print("| options | RMSE | fit s |\n|---|---|---|")
    candidates = [
        *({"n_components": d} for d in (5, 10, 20, 50)),
        *({"alpha": a} for a in (5.0, 10.0, 15.0, 20.0)),
        *({"alpha_bias": a} for a in (0.0, 1.0, 3.0, 5.0, 10.0)),
        *({"tol": t} for t in (1e-2, 1e-3, 1e-4)),
        *({"solver": "sgd", "lr": lr} for lr in (0.005, 0.01, 0.02, 0.05)),
    ]
    for options in candidates:
        error, fit, _ = ours(ratings, held_out, **options)
        print(f"| {options} | {error:.4f} | {fit:.3f} |")


if __name__ == "__main__":
    if sys.argv[1:2] == ["theirs"]:
        frame, folds = read()
        print(*theirs(frame, folds == int(sys.argv[2])))
    elif sys.argv[1:2] == ["choose"]:
        choose()
    else:
        compare()
