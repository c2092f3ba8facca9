"""A picture of an estimator at work, chosen by its role and by what it eats.

There is one kind of picture for each pair of role and input, not one for each method: whoever leafs through
the pages sees what is the same and what is not.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits, make_moons

# What a method needs to be quick here, or to eat the rows of the picture.
SETTINGS: dict[str, dict[str, Any]] = {
    "PiecewiseLinearRegressor": {"n_breakpoints": 9},
    "VAE": {"decoder": "bernoulli", "sample_mean": True},
    "MatrixFactorization": {"n_components": 2, "alpha": 2.0},
    "DQN": {"env": "CartPole-v1", "total_timesteps": 15_000},
    "BradleyTerry": {"C": np.inf},
    "OneClassSVM": {"nu": 0.1},
    "ConvNetClassifier": {"max_epochs": 12},
    "ConvNetRegressor": {"max_epochs": 12},
    "MLPClassifier": {"max_epochs": 300},
    "MLPRegressor": {"max_epochs": 500},
}


def draw(cls: Any, path: Path) -> None:
    """Fit an estimator to what its input and role call for, and save the picture."""
    card = cls.card()
    picture = PICTURES.get((card.input, card.role)) or PICTURES[card.input, ""]
    settings = dict(SETTINGS.get(card.name, {}))
    if "random_state" in {p.name for p in card.parameters}:
        settings["random_state"] = 0
    figure = picture(lambda **more: cls(**settings | more))
    figure.savefig(path, dpi=110)
    plt.close(figure)


Make = Callable[..., Any]


def boundaries(make: Make) -> Any:
    """Two moons and three rings, and what is said of every point of the plane."""
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
    rng = np.random.default_rng(0)
    angle, ring = rng.uniform(0, 2 * np.pi, 300), np.repeat([0, 1, 2], 100)
    radius = 0.35 + ring * 0.75 + 0.14 * rng.normal(size=300)
    rings = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])
    for ax, (X, y) in zip(axes, (make_moons(200, noise=0.25, random_state=0), (rings, ring)), strict=True):
        model = make().fit(X, y)
        plane, shape, extent = grid_over(X)
        k = len(model.classes_)
        if hasattr(model, "predict_proba"):
            P = model.predict_proba(plane)
        else:
            P = np.eye(k)[np.searchsorted(model.classes_, model.predict(plane))]
        colors = plt.get_cmap("Set2")(np.arange(k))[:, :3]
        ax.imshow(
            (P @ colors).reshape(*shape, 3).clip(0, 1),
            origin="lower",
            extent=extent,
            aspect="auto",
            alpha=0.8,
        )
        ax.scatter(*X.T, c=colors[y] * 0.6, s=10)
        ax.set(xticks=[], yticks=[], title=f"{model.score(X, y):.0%} of these rows right")
    return figure


def grid_over(X: np.ndarray, n: int = 120) -> tuple[np.ndarray, tuple[int, int], tuple[float, ...]]:
    """Return the points of a grid round X, its shape, and where it lies."""
    low, high = X.min(axis=0) - 0.3, X.max(axis=0) + 0.3
    a, b = np.meshgrid(np.linspace(low[0], high[0], n), np.linspace(low[1], high[1], n))
    return np.column_stack([a.ravel(), b.ravel()]), (n, n), (low[0], high[0], low[1], high[1])


def curve(make: Make) -> Any:
    """A noisy curve in one column; for laws that need positive rows, a power law."""
    figure, ax = plt.subplots(figsize=(6.5, 3.4), layout="constrained")
    rng = np.random.default_rng(0)
    x = np.sort(rng.uniform(0.3, 6, 120))
    y = 2 + 3 / x + 0.5 * np.sin(2 * x) + 0.2 * rng.normal(size=120)
    model = make().fit(x[:, None], y)
    grid = np.linspace(0.2, 6.3, 400)
    ax.plot(x, y, ".", color="0.6")
    ax.plot(
        grid, model.predict(grid[:, None]), linewidth=2, label=f"$R^2$ = {model.score(x[:, None], y):.2f}"
    )
    ax.set(xlabel="x", ylabel="y")
    ax.legend()
    return figure


def outliers(make: Make) -> Any:
    """Rows in two clouds, and where new rows would be thought strange."""
    figure, ax = plt.subplots(figsize=(6.5, 3.6), layout="constrained")
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal([-1.5, 0], 0.4, (120, 2)), rng.normal([1.2, 0.5], 0.5, (120, 2))])
    X = np.concatenate([X, rng.uniform(-3, 3, (12, 2))])
    model = make().fit(X)
    plane, shape, extent = grid_over(X)
    f = model.decision_function(plane).reshape(shape)
    ax.imshow(f, origin="lower", extent=extent, aspect="auto", cmap="PuBu", alpha=0.8)
    ax.contour(f, levels=[0], extent=extent, colors="k", linewidths=1)
    inside = model.predict(X) == 1
    ax.scatter(*X[inside].T, s=10, color="k")
    ax.scatter(*X[~inside].T, s=24, color="#c03a2b", marker="x", label="outliers")
    ax.set(xticks=[], yticks=[])
    ax.legend()
    return figure


def digits_told(make: Make) -> Any:
    """Handwritten digits and what is said of them; those that are missed are marked."""
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    model = make(image_shape=(1, 8, 8)).fit(X[:1200], y[:1200])
    told = model.predict(X[1200:])
    right = told == y[1200:]
    # Some of each kind, so that it is seen what a mistake looks like.
    shown = np.concatenate([np.flatnonzero(~right)[:4], np.flatnonzero(right)[:12]])[:12]
    figure, axes = plt.subplots(1, 12, figsize=(8, 1.4), layout="constrained")
    for ax, i in zip(axes, shown, strict=True):
        ax.imshow(X[1200 + i].reshape(8, 8), cmap="gray_r")
        ax.set_title(str(told[i]), color="k" if right[i] else "#c03a2b", fontsize=11)
        ax.axis("off")
    figure.suptitle(f"{right.mean():.1%} of new digits right; in red, mistakes", fontsize=9)
    return figure


def angle_of_bars(make: Make) -> Any:
    """Pictures of a bar, and how well its slope is told."""
    rng = np.random.default_rng(0)
    slope = rng.uniform(-1, 1, 700)
    a, b = np.meshgrid(np.linspace(-1, 1, 12), np.linspace(-1, 1, 12))
    X = np.exp(-(((b - slope[:, None, None] * a) / 0.25) ** 2)).astype(np.float32)
    X = (X + 0.1 * rng.normal(size=X.shape)).astype(np.float32).reshape(len(X), -1)
    model = make(image_shape=(1, 12, 12)).fit(X[:500], slope[:500])
    figure = plt.figure(figsize=(8, 3), layout="constrained")
    left, right = figure.subfigures(1, 2)
    for ax, image in zip(left.subplots(2, 4).flat, X[500:], strict=False):
        ax.imshow(image.reshape(12, 12), cmap="gray_r")
        ax.axis("off")
    ax = right.subplots()
    ax.plot(slope[500:], model.predict(X[500:]), ".")
    ax.plot([-1, 1], [-1, 1], "k:")
    ax.set(xlabel="slope", ylabel="told")
    return figure


def waves(make: Make, regress: bool = False) -> Any:
    """Waves of several lengths, coloured by what is said of them."""
    rng = np.random.default_rng(0)
    t = np.linspace(0, 1, 40)
    kind = rng.integers(0, 3, 150)
    pitch = 1.5 + kind + 0.3 * rng.normal(size=150) if not regress else rng.uniform(1, 4, 150)
    X = np.sin(2 * np.pi * (pitch[:, None] * t + rng.uniform(0, 1, (150, 1)))) + 0.2 * rng.normal(
        size=(150, 40)
    )
    X = X[:, None, :]
    y = pitch if regress else kind
    model = make(max_epochs=60).fit(X[:110], y[:110])
    told = model.predict(X[110:])
    figure, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
    if regress:
        ax.plot(y[110:], told, ".", label=f"$R^2$ = {model.score(X[110:], y[110:]):.2f}")
        ax.plot([1, 4], [1, 4], "k:")
        ax.set(xlabel="frequency", ylabel="told")
        ax.legend()
        return figure
    for i in range(12):
        ax.plot(t, X[110 + i, 0] + 2.5 * told[i], color=f"C{told[i]}", linewidth=0.9, alpha=0.8)
    ax.set(
        xticks=[],
        yticks=[],
        title=f"sorted by what was said; {np.mean(told == y[110:]):.0%} of new waves right",
    )
    return figure


def matches(make: Make) -> Any:
    """Strengths of players from who beat whom."""
    rng = np.random.default_rng(0)
    players = np.array(list("abcdefgh"))
    strength = np.linspace(1.5, -1.5, 8)
    i, j = np.array([rng.choice(8, 2, replace=False) for _ in range(240)]).T
    won = (rng.uniform(size=240) < 1 / (1 + np.exp(strength[j] - strength[i]))).astype(int)
    model = make().fit(list(zip(players[i], players[j], strict=True)), won)
    figure, ax = plt.subplots(figsize=(6.5, 3.2), layout="constrained")
    ax.errorbar(
        model.items_,
        model.strengths_,
        1.96 * model.standard_errors(),
        fmt="o",
        capsize=3,
        label="found, 95 %",
    )
    ax.plot(players, strength, "k_", markersize=16, label="truth")
    ax.set(xlabel="player", ylabel="strength")
    ax.legend()
    return figure


def ratings(make: Make) -> Any:
    """Ratings that were hidden, and what was said of them."""
    rng = np.random.default_rng(0)
    U, V = rng.normal(size=(60, 2)), rng.normal(size=(40, 2))
    pairs = np.array([(u, i) for u in range(60) for i in range(40) if rng.uniform() < 0.5])
    y = 3 + (U @ V.T)[pairs[:, 0], pairs[:, 1]] + 0.2 * rng.normal(size=len(pairs))
    shown = rng.uniform(size=len(pairs)) < 0.7
    model = make().fit(pairs[shown], y[shown])
    figure, ax = plt.subplots(figsize=(5, 3.4), layout="constrained")
    ax.plot(y[~shown], model.predict(pairs[~shown]), ".", markersize=4)
    ax.plot([y.min(), y.max()], [y.min(), y.max()], "k:")
    ax.set(xlabel="rating that was hidden", ylabel="told")
    return figure


def drawn_digits(make: Make) -> Any:
    """Digits that nobody wrote."""
    X = load_digits().data.astype(np.float32) / 16
    model = make(image_shape=(1, 8, 8)).fit(X)
    figure, axes = plt.subplots(2, 12, figsize=(8, 1.7), layout="constrained")
    for ax, image in zip(axes.flat, model.sample(24, random_state=0), strict=True):
        ax.imshow(np.asarray(image).reshape(8, 8), cmap="gray_r")
        ax.axis("off")
    return figure


def written(make: Make) -> Any:
    """The loss while it learns a few lines by heart, and what it then writes."""
    lines = [
        "the cat sat on the mat",
        "the dog sat on the log",
        "a bird sang in the tree",
        "the sun rose over the sea",
    ]
    model = make(max_epochs=60).fit(lines * 8)
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
    left.plot(model.history_["train_loss"])
    left.set(xlabel="epoch", ylabel="loss")
    right.axis("off")
    text = "\n".join(str(line)[:40] for line in model.sample(5, random_state=0))
    right.text(0, 0.5, text, family="monospace", fontsize=9, va="center")
    return figure


def played(make: Make) -> Any:
    """What an agent earned, game after game."""
    model = make().fit()
    returns = np.asarray(model.history_["return"], dtype=float)
    figure, ax = plt.subplots(figsize=(6.5, 3), layout="constrained")
    ax.plot(returns, ".", color="0.7")
    smooth = np.convolve(returns, np.ones(10) / 10, "valid")
    ax.plot(np.arange(9, len(returns)), smooth, linewidth=2, label="mean of ten")
    ax.set(xlabel="game", ylabel="return")
    ax.legend()
    return figure


PICTURES: dict[tuple[str, str], Callable[[Make], Any]] = {
    ("table", "Classifier"): boundaries,
    ("table", "Regressor"): curve,
    ("table", "Detector"): outliers,
    ("images", "Classifier"): digits_told,
    ("images", "Regressor"): angle_of_bars,
    ("images", "Transformer"): drawn_digits,
    ("images", "Sampler"): drawn_digits,
    ("series", "Classifier"): waves,
    ("series", "Regressor"): lambda make: waves(make, regress=True),
    ("pairs", "Classifier"): matches,
    ("pairs", "Regressor"): ratings,
    ("text", ""): written,
    ("env", ""): played,
}
