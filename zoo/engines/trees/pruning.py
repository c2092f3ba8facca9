"""Pruning: the price of a leaf at which each branch is no longer worth it (Breiman et al. 1984)."""

import numpy as np
from scipy.special import xlogy


def mean_risks(trees, X, w, moments, impurity):
    """Impurity of each node times its share of the weight.

    ``moments`` are what rows have to be averaged for it, and ``impurity`` turns means into numbers.
    """
    left = trees.arrays["left"]
    at = trees.leaves(X)[:, 0]
    sums = np.zeros((len(left), moments.shape[1] + 1))
    np.add.at(sums, at, np.column_stack([moments, np.ones(len(w))]) * w[:, None])
    for node in range(len(left) - 1, -1, -1):
        if left[node] != node:
            sums[node] = sums[left[node]] + sums[left[node] + 1]
    share = sums[:, -1] / sums[0, -1]
    return impurity(sums[:, :-1] / sums[:, -1:]) * share


def absolute_risks(trees, X, y, w):
    """Mean distance from each node's median, times its share of the weight."""
    model = trees.arrays
    left = model["left"].astype(np.int64)
    inner = np.flatnonzero(left != np.arange(len(left)))
    parent = np.full(len(left), -1)
    parent[left[inner]] = parent[left[inner] + 1] = inner
    Y, sums = y.reshape(len(y), -1), np.zeros(len(left))
    at, rows = trees.leaves(X)[:, 0], np.arange(len(y))
    while len(rows):
        error = np.abs(Y[rows] - model["value"][at]).mean(axis=1)
        sums += np.bincount(at, w[rows] * error, minlength=len(left))
        at = parent[at]
        rows, at = rows[at >= 0], at[at >= 0]
    return sums / w.sum()


def impurities(trees, X, y, w, criterion):
    """Impurity of each node of a tree of numbers: of leaves from their rows, of others from the gains."""
    model = trees.arrays
    left, value = model["left"].astype(np.int64), model["value"].astype(np.float64)
    at, Y = trees.leaves(X)[:, 0], y.reshape(len(y), -1).astype(np.float64)
    if criterion == "poisson":
        loss = xlogy(Y, Y) - xlogy(Y, value[at])
    else:
        loss = np.abs(Y - value[at]) if criterion == "absolute_error" else (Y - value[at]) ** 2
    risk = np.bincount(at, loss.mean(axis=1) * w, minlength=len(left))
    levels = [np.zeros(1, np.int64)]
    while len(levels[-1]):
        inner = levels[-1][left[levels[-1]] != levels[-1]]
        levels.append(np.concatenate([left[inner], left[inner] + 1]))
    for nodes in levels[::-1]:
        inner = nodes[left[nodes] != nodes]
        risk[inner] = risk[left[inner]] + risk[left[inner] + 1] + model["gain"][inner]
    return risk / model["weight"]


def prune(tree, risk, price):
    """Prune a grown tree to the smallest that minimises its risk plus a price for each leaf."""
    steps = weakest_links(tree.left, risk)
    return collapse(tree, [node for alpha, _, nodes in steps if alpha <= price for node in nodes])


def prune_by_gains(tree, price):
    """Prune a grown tree by the falls of the impurity that were noted while it grew."""
    left = tree.left.astype(np.int64)
    # What lies below a node fell from its risk: a leaf that is left has none.
    risk = tree.gain.copy()
    for node in range(len(left) - 1, -1, -1):
        if left[node] != node:
            risk[node] += risk[left[node]] + risk[left[node] + 1]
    return prune(tree, risk / tree.weight[0], price)


def weakest_links(left, risk):
    """Give, for each step of weakest-link pruning: price, impurity of the leaves, nodes cut."""
    left = np.asarray(left, np.int64)
    n = len(left)
    parent = np.full(n, -1)
    inner = np.flatnonzero(left != np.arange(n))
    parent[left[inner]] = parent[left[inner] + 1] = inner
    leaves = np.ones(n)
    below = risk.copy()
    for node in inner[::-1]:
        leaves[node] = leaves[left[node]] + leaves[left[node] + 1]
        below[node] = below[left[node]] + below[left[node] + 1]
    alive = left != np.arange(n)
    while alive.any():
        at = np.flatnonzero(alive)
        price = (risk[at] - below[at]) / (leaves[at] - 1)
        alpha = price.min()
        cut = []
        # The order from the root down: what lies below a cut is gone with it.
        for node in at[price <= alpha * (1 + 1e-12) + 1e-15]:
            if not alive[node]:
                continue
            cut.append(int(node))
            stack = [int(node)]
            while stack:
                v = stack.pop()
                if alive[v]:
                    alive[v] = False
                    stack += [int(left[v]), int(left[v]) + 1]
            fewer, more = leaves[node] - 1, risk[node] - below[node]
            up = node
            while up >= 0:
                leaves[up] -= fewer
                below[up] += more
                up = parent[up]
        yield max(float(alpha), 0.0), float(below[0]), cut


def collapse(tree, cut):
    """Make the given nodes leaves and number the others anew."""
    left = tree.left.copy()
    left[cut] = cut
    order, new = [0], {0: 0}
    for node in order:
        if left[node] != node:
            for child in (int(left[node]), int(left[node]) + 1):
                new[child] = len(order)
                order.append(child)
    keep = np.array(order)
    is_leaf = left[keep] == keep
    renumbered = np.array(
        [new[v] if end else new[int(left[v])] for v, end in zip(order, is_leaf, strict=True)]
    )
    depth = np.zeros(len(keep), int)
    for i, end in enumerate(is_leaf):
        if not end:
            depth[renumbered[i]] = depth[renumbered[i] + 1] = depth[i] + 1
    set_at = np.where(is_leaf, -1, tree.set_at[keep]).astype(np.int32)
    return tree._replace(
        left=renumbered.astype(np.int32),
        feature=np.where(is_leaf, -1, tree.feature[keep]).astype(np.int32),
        threshold=np.where(is_leaf, np.inf, tree.threshold[keep]),
        missing_left=np.where(is_leaf, 1, tree.missing_left[keep]).astype(np.uint8),
        set_at=set_at,
        value=tree.value[keep],
        gain=np.where(is_leaf, 0.0, tree.gain[keep]),
        weight=tree.weight[keep],
        count=tree.count[keep],
        depth=int(depth.max()),
    )
