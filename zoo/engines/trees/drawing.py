"""One tree of a fitted model as text or as a picture."""

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted


def _tree(estimator: Any, tree: int) -> dict[str, np.ndarray]:
    """Take one tree, its nodes numbered from 0."""
    check_is_fitted(estimator)
    model = estimator.model_
    n = len(model["root"])
    if not 0 <= tree < n:
        raise ValueError(
            f"{type(estimator).__name__} has {n} trees, but tree {tree} was asked for; give a "
            f"number from 0 to {n - 1}."
        )
    a = int(model["root"][tree])
    b = int(model["root"][tree + 1]) if tree + 1 < n else len(model["left"])
    names = ("feature", "threshold", "missing_left", "set_at", "value", "weight")
    part = {name: model[name][a:b] for name in names}
    return part | {"left": model["left"][a:b] - a, "sets": model["sets"]}


def _question(estimator: Any, t: dict[str, np.ndarray], i: int) -> str:
    """Say what sends a row to the left at node i."""
    j = int(t["feature"][i])
    names = getattr(estimator, "feature_names_in_", None)
    name = f"x[{j}]" if names is None else str(names[j])
    if t["set_at"][i] < 0:
        if np.isinf(t["threshold"][i]):
            return f"{name} is known"
        return f"{name} <= {t['threshold'][i]:.4g}"
    bits = t["sets"][t["set_at"][i]]
    codes = estimator.codes_[j]
    held = [c for c in range(len(codes)) if bits[c >> 6] >> np.uint64(c & 63) & np.uint64(1)]
    labels = getattr(estimator, "categories_", {}).get(j)
    said = [str(codes[c]) if labels is None else str(labels[int(codes[c])]) for c in held]
    return f"{name} in {{{', '.join(said)}}}"


def _value(t: dict[str, np.ndarray], i: int) -> str:
    return ", ".join(f"{v:.4g}" for v in np.atleast_1d(t["value"][i]))


def tree_text(estimator: Any, tree: int = 0) -> str:
    """Write one tree as indented questions; the first branch is the one for yes.

    Parameters
    ----------
    estimator : fitted estimator of this family
        Whose trees to write.
    tree : int, default=0
        Which one. Boosting of K > 2 classes grows K trees a round, in the order of the classes.

    Returns
    -------
    text : str

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from zoo import DecisionTreeClassifier
    >>> from zoo.engines.trees.drawing import tree_text
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> print(tree_text(DecisionTreeClassifier(max_leaf_nodes=2, random_state=3).fit(X, y > 0)))
    petal width (cm) <= 0.8 (missing: no)
      yes: 0
      no: 1
    """
    t = _tree(estimator, tree)
    lines: list[str] = []
    # Right children wait below their left siblings.
    stack = [(0, 0, "")]
    while stack:
        i, depth, answer = stack.pop()
        head = "  " * depth + answer
        if t["left"][i] == i:
            lines.append(head + _value(t, i))
            continue
        missing = "yes" if t["missing_left"][i] else "no"
        lines.append(f"{head}{_question(estimator, t, i)} (missing: {missing})")
        left = int(t["left"][i])
        stack += [(left + 1, depth + 1, "no: "), (left, depth + 1, "yes: ")]
    return "\n".join(lines)


def plot_tree(estimator: Any, tree: int = 0, ax: Any = None) -> Any:
    """Draw one tree with matplotlib; left is the branch for yes.

    Parameters
    ----------
    estimator : fitted estimator of this family
        Whose trees to draw.
    tree : int, default=0
        Which one.
    ax : matplotlib axes or None, default=None
        Where to draw; None takes the current axes.

    Returns
    -------
    ax : matplotlib axes
    """
    import matplotlib.pyplot as plt

    ax = plt.gca() if ax is None else ax
    t = _tree(estimator, tree)
    left = t["left"]
    place: dict[int, tuple[float, float]] = {}
    leaves = 0
    # Leaves stand side by side; a node stands above the middle of its children.
    stack = [(0, 0, False)]
    while stack:
        i, depth, ready = stack.pop()
        if left[i] == i:
            place[i] = (float(leaves), -float(depth))
            leaves += 1
        elif ready:
            x = (place[int(left[i])][0] + place[int(left[i]) + 1][0]) / 2
            place[i] = (x, -float(depth))
        else:
            stack += [(i, depth, True), (int(left[i]) + 1, depth + 1, False)]
            stack.append((int(left[i]), depth + 1, False))
    box = {"boxstyle": "round", "facecolor": "white", "edgecolor": "grey"}
    for i, (x, y) in place.items():
        if left[i] != i:
            for child in (int(left[i]), int(left[i]) + 1):
                ax.plot(*zip((x, y), place[child], strict=True), color="grey", zorder=1)
        text = _value(t, i) if left[i] == i else _question(estimator, t, i)
        ax.text(x, y, text, ha="center", va="center", bbox=box, zorder=2, fontsize=8)
    ax.set_xlim(-0.5, leaves - 0.5)
    ax.set_ylim(min(y for _, y in place.values()) - 0.5, 0.5)
    ax.set_axis_off()
    return ax
