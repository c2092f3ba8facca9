"""One tree of a fitted model as text or as a picture; names and options are scikit-learn's."""

from typing import Any, Literal

import numpy as np
from sklearn.utils.validation import check_is_fitted


class _Words:
    """What is said of the nodes of one tree."""

    def __init__(self, estimator: Any, tree: int, feature_names: Any, class_names: Any, unnamed: str) -> None:
        check_is_fitted(estimator)
        self.arrays = estimator._one_tree(tree)
        self.labels = getattr(estimator, "categories_", {})
        p = self.arrays.n_features
        names = getattr(estimator, "feature_names_in_", None) if feature_names is None else feature_names
        if names is not None and len(names) != p:
            raise ValueError(f"feature_names has {len(names)} entries, but the tree has {p} columns.")
        self.names = [unnamed.format(j) for j in range(p)] if names is None else [str(name) for name in names]
        self.classes: Any = None
        if self.arrays.n_outputs == 1 and self.arrays.n_classes[0] > 1:
            self.classes = estimator.classes_ if class_names is None or class_names is True else class_names
            if len(self.classes) != self.arrays.n_classes[0]:
                raise ValueError(
                    f"class_names has {len(self.classes)} entries, but the tree knows "
                    f"{self.arrays.n_classes[0]} classes."
                )
        self.held = self.arrays.categories

    def answers(self, i: int, write: Any) -> tuple[str, str]:
        """Say what sends a row left and right at node i."""
        t, j = self.arrays, int(self.arrays.feature[i])
        name = self.names[j]
        if self.held[i] is not None:
            known = self.labels.get(j)
            said = [str(c) if known is None else str(known[int(c)]) for c in self.held[i]]
            inside = f"{{{', '.join(said)}}}"
            return f"{name} in {inside}", f"{name} not in {inside}"
        if np.isinf(t.threshold[i]):
            return f"{name} is known", f"{name} is missing"
        return f"{name} <= {write(t.threshold[i])}", f"{name} >  {write(t.threshold[i])}"

    def depth_below(self, i: int) -> int:
        """Count the levels from node i down, itself included."""
        levels, nodes = 0, np.array([i])
        while len(nodes):
            levels += 1
            nodes = nodes[self.arrays.children_left[nodes] >= 0]
            nodes = np.concatenate([self.arrays.children_left[nodes], self.arrays.children_right[nodes]])
        return levels


def export_text(
    decision_tree: Any,
    tree: int = 0,
    *,
    feature_names: Any = None,
    class_names: Any = None,
    max_depth: int = 10,
    spacing: int = 3,
    decimals: int = 2,
    show_weights: bool = False,
    show_missing: bool = False,
) -> str:
    """Write one tree as indented questions, as scikit-learn's function of this name does.

    Parameters
    ----------
    decision_tree : fitted estimator of this family
        Whose trees to write: a single tree, a forest, boosting or AdaBoost.
    tree : int, default=0
        Which one. Boosting of K > 2 classes grows K trees a round, in the order of the classes.
    feature_names, class_names : sequence of str or None, default=None
        Names of columns and classes; None takes those of the fit.
    max_depth : int, default=10
        What lies deeper is not written.
    spacing, decimals : int, default=3 and 2
        Width of a level, and digits of numbers.
    show_weights : bool, default=False
        Whether leaves of classes say the weight of each.
    show_missing : bool, default=False
        Whether questions say where a missing value goes.

    Returns
    -------
    text : str

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from zoo import DecisionTreeClassifier
    >>> from zoo.trees import export_text
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> print(export_text(DecisionTreeClassifier(max_leaf_nodes=2, random_state=3).fit(X, y > 0)))
    |--- petal width (cm) <= 0.80
    |   |--- class: False
    |--- petal width (cm) >  0.80
    |   |--- class: True
    <BLANKLINE>
    """
    words = _Words(decision_tree, tree, feature_names, class_names, "feature_{}")
    t = words.arrays

    def number(v: float) -> str:
        return f"{v:.{decimals}f}"

    def listed(values: np.ndarray) -> str:
        return f"[{', '.join(map(number, values))}]"

    def leaf(i: int) -> str:
        if words.classes is None:
            return f" value: {listed(t.value[i].ravel())}"
        weights = f" weights: {listed(t.value[i, 0] * t.weighted_n_node_samples[i])}" if show_weights else ""
        return f"{weights} class: {words.classes[t.value[i, 0].argmax()]}"

    lines: list[str] = []
    # What is said after a node's left branch waits below it.
    stack: list[tuple[int, int, str | None]] = [(0, 1, None)]
    while stack:
        i, depth, said = stack.pop()
        indent = (("|" + " " * spacing) * depth)[:-spacing] + "-" * spacing
        if said is not None:
            lines.append(f"{indent} {said}")
            depth += 1
            indent = (("|" + " " * spacing) * depth)[:-spacing] + "-" * spacing
        if t.children_left[i] < 0:
            lines.append(indent + leaf(i))
        elif depth > max_depth + 1:
            lines.append(f"{indent} truncated branch of depth {words.depth_below(i)}")
        else:
            left, right = words.answers(i, number)
            if show_missing:
                if t.missing_go_to_left[i]:
                    left += " or missing"
                else:
                    right += " or missing"
            stack.append((int(t.children_right[i]), depth, right))
            stack.append((int(t.children_left[i]), depth, left))
    return "\n".join(lines) + "\n"


def plot_tree(
    decision_tree: Any,
    tree: int = 0,
    *,
    max_depth: int | None = None,
    feature_names: Any = None,
    class_names: Any = None,
    label: Literal["all", "root", "none"] = "all",
    filled: bool = False,
    impurity: bool = True,
    node_ids: bool = False,
    proportion: bool = False,
    rounded: bool = False,
    precision: int = 3,
    ax: Any = None,
    fontsize: float | None = None,
) -> list[Any]:
    """Draw one tree with matplotlib; left is the branch for yes. Names and options are scikit-learn's.

    Parameters
    ----------
    decision_tree : fitted estimator of this family
        Whose trees to draw: a single tree, a forest, boosting or AdaBoost.
    tree : int, default=0
        Which one.
    max_depth : int or None, default=None
        What lies deeper is drawn as dots.
    feature_names, class_names : sequence of str or None, default=None
        Names of columns and classes; None takes those of the fit (classes: of none). True: of the fit.
    label : {"all", "root", "none"}, default="all"
        Where numbers say what they are.
    filled : bool, default=False
        Whether colours say the commonest class and how pure a node is, or its value.
    impurity, node_ids, proportion : bool, default=True, False and False
        Whether to say the impurity (where it was noted), the node's number, and shares for counts.
    rounded : bool, default=False
        Whether boxes have round corners.
    precision : int, default=3
        Digits.
    ax : matplotlib axes or None, default=None
        Where to draw; None takes the current axes.
    fontsize : float or None, default=None
        Size of the text; None is 8.

    Returns
    -------
    annotations : list of matplotlib annotations
        One a node that is drawn.
    """
    import matplotlib.pyplot as plt

    words = _Words(decision_tree, tree, feature_names, class_names, "x[{}]")
    t, named = words.arrays, class_names is not None
    ax = plt.gca() if ax is None else ax
    place = _places(t, max_depth)
    depth = max(-y for _, y in place.values())
    criterion = getattr(decision_tree, "criterion", "impurity")
    colours = _colours(t) if filled else None

    def text(i: int) -> str:
        says = label == "all" or (label == "root" and i == 0)
        lines = [f"{'node ' if says else ''}#{i}"] if node_ids else []
        if t.children_left[i] >= 0:
            lines.append(words.answers(i, lambda v: str(round(float(v), precision)))[0])
        if impurity and t._impurity is not None:
            lines.append(f"{criterion + ' = ' if says else ''}{round(float(t.impurity[i]), precision)}")
        # A forest notes weights, not counts.
        size = t.n_node_samples if len(t._arrays["count"]) else t.weighted_n_node_samples
        share = f"{round(100 * float(size[i]) / float(size[0]), 1)}%" if proportion else f"{size[i]:g}"
        lines.append(f"{'samples = ' if says else ''}{share}")
        value = t.value[i]
        if t.n_classes[0] > 1 and not proportion:
            value = value * t.weighted_n_node_samples[i]
        said = np.array2string(np.around(value.squeeze(), precision), separator=", ")
        lines.append(f"{'value = ' if says else ''}{said}")
        if named and words.classes is not None:
            lines.append(f"{'class = ' if says else ''}{words.classes[t.value[i, 0].argmax()]}")
        return "\n".join(lines)

    drawn = []
    box = {"boxstyle": "round" if rounded else "square", "facecolor": "white", "edgecolor": "grey"}
    for i, (x, y) in place.items():
        hidden = max_depth is not None and -y > max_depth
        for child in (t.children_left[i], t.children_right[i]):
            if child in place:
                ax.plot(*zip((x, y), place[child], strict=True), color="grey", zorder=1)
        own = box if colours is None or hidden else {**box, "facecolor": colours[i]}
        drawn.append(
            ax.annotate(
                "(...)" if hidden else text(i), (x, y), ha="center", va="center", bbox=own, zorder=2,
                fontsize=8 if fontsize is None else fontsize,
            )
        )  # fmt: skip
    widths = [x for x, _ in place.values()]
    ax.set_xlim(min(widths) - 0.5, max(widths) + 0.5)
    ax.set_ylim(-depth - 0.5, 0.5)
    ax.set_axis_off()
    return drawn


def _places(t: Any, max_depth: int | None) -> dict[int, tuple[float, float]]:
    """Where nodes stand: leaves side by side, others above the middle of their children."""
    place: dict[int, tuple[float, float]] = {}
    leaves = 0
    stack = [(0, 0, False)]
    while stack:
        i, depth, ready = stack.pop()
        left, right = int(t.children_left[i]), int(t.children_right[i])
        if left < 0 or (max_depth is not None and depth > max_depth):
            place[i] = (float(leaves), -float(depth))
            leaves += 1
        elif ready:
            place[i] = ((place[left][0] + place[right][0]) / 2, -float(depth))
        else:
            stack += [(i, depth, True), (right, depth + 1, False), (left, depth + 1, False)]
    return place


def _colours(t: Any) -> list[Any]:
    """Give each node a colour: its class, paler where others are near; or its value."""
    from matplotlib import colormaps

    value = t.value[:, 0]
    if t.n_classes[0] > 1:
        hues = np.array(colormaps["tab10"](np.arange(value.shape[1]) % 10))[:, :3]
        top = np.sort(value, axis=1)
        strength = ((top[:, -1] - top[:, -2]) / (1 - top[:, -2]).clip(1e-12))[:, None]
        return list(strength * hues[value.argmax(axis=1)] + 1 - strength)
    low, high = value[:, 0].min(), value[:, 0].max()
    return list(colormaps["Oranges"](0.7 * (value[:, 0] - low) / max(high - low, 1e-300)))
