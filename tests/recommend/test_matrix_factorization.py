import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from zoo.engines.factors import kernels, sweeps
from zoo.linear.ridge import Ridge
from zoo.persist import load, save
from zoo.recommend.matrix_factorization import MatrixFactorization


def planted(seed=0, n_users=60, n_items=40, d=2, share=0.5, noise=0.1):
    """Ratings of a share of all pairs: mean, biases and d components."""
    rng = np.random.default_rng(seed)
    truth = (
        3
        + 0.5 * rng.standard_normal((n_users, 1))
        + 0.5 * rng.standard_normal(n_items)
        + rng.standard_normal((n_users, d)) @ rng.standard_normal((d, n_items))
    )
    users, items = np.nonzero(rng.random(truth.shape) < share)
    order = rng.permutation(len(users))
    X = np.column_stack([users, items])[order]
    return X, truth[tuple(X.T)] + noise * rng.standard_normal(len(X)), truth


def everything(truth):
    """All pairs of a matrix, and its entries."""
    users, items = np.indices(truth.shape)
    return np.column_stack([users.ravel(), items.ravel()]), truth.ravel()


def parts(model, X):
    """Row numbers of the pairs, when ids are integers."""
    at = [{v: k for k, v in enumerate(ids)} for ids in (model.user_ids_, model.item_ids_)]
    return np.array([[at[0][u], at[1][i]] for u, i in X.tolist()]).T


# -- equation ---------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha_bias", [0.0, 2.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_items_solve_their_normal_equations(alpha_bias, weighted):
    X, y, _ = planted(share=0.15)  # rows with less and with more entries than columns
    w = np.random.default_rng(1).uniform(0.2, 3, len(y)) if weighted else np.ones(len(y))
    model = MatrixFactorization(
        n_components=5, alpha=1.5, alpha_bias=alpha_bias, max_iter=3, tol=0, random_state=0
    ).fit(X, y, sample_weight=w)
    users, items = parts(model, X)
    few = 0
    for i in range(len(model.item_ids_)):
        mine = items == i
        few += mine.sum() < 6
        F = np.column_stack([model.user_factors_[users[mine]], np.ones(mine.sum())])
        r = y[mine] - model.global_mean_ - model.user_biases_[users[mine]]
        A = (F.T * w[mine]) @ F + np.diag([1.5] * 5 + [alpha_bias])
        x = np.append(model.item_factors_[i], model.item_biases_[i])
        np.testing.assert_allclose(A @ x, F.T @ (w[mine] * r), atol=1e-9)
    assert 0 < few < len(model.item_ids_)


def test_singular_system_is_solved_where_it_is_consistent():
    rng = np.random.default_rng(0)
    F = rng.standard_normal((2, 6))
    x = np.zeros((1, 6))
    z = np.array([1.0, -2.0])
    nothing, start = np.empty((0, 0)), np.array([0, 2])
    kernels.solve_rows(0, 1, start, np.arange(2), np.ones(2), z, F, nothing, np.zeros(6), x)
    np.testing.assert_allclose(F @ x[0], z, atol=1e-10)


@pytest.mark.parametrize("feedback", ["explicit", "implicit"])
def test_objective_never_rises_over_sweeps(feedback):
    X, y, _ = planted()
    y = y if feedback == "explicit" else np.round(np.exp(y - 4))
    model = MatrixFactorization(feedback=feedback, alpha=0.5, max_iter=15, tol=0, random_state=0)
    J = model.fit(X, y).history_["objective"]
    assert len(J) == model.n_iter_ == 15
    assert (np.diff(J) <= 1e-9 * J[0]).all()
    assert J[-1] < J[0]


def test_history_is_the_objective_of_the_docstring():
    X, y, _ = planted()
    w = np.random.default_rng(1).uniform(0.5, 2, len(y))
    m = MatrixFactorization(alpha=2.0, alpha_bias=3.0, clip=False, random_state=0)
    m.fit(X, y, sample_weight=w)
    e = y - m.predict(X)
    J = (
        w @ e**2
        + 2 * ((m.user_factors_**2).sum() + (m.item_factors_**2).sum())
        + 3 * ((m.user_biases_**2).sum() + (m.item_biases_**2).sum())
    )
    np.testing.assert_allclose(m.history_["objective"][-1], J)
    np.testing.assert_allclose(m.history_["rmse"][-1], np.sqrt(w @ e**2 / w.sum()))


def test_step_of_sgd_is_the_gradient():
    rng = np.random.default_rng(0)
    P, Q = rng.standard_normal((2, 1, 4))  # one user, one item; the last column is the bias
    y, w, mean, lr, penalty = 1.7, 0.6, 0.3, 1e-7, np.array([0.8, 0.5])

    def half_loss(t):
        p, q = t[:4], t[4:]
        e = y - mean - p[3] - q[3] - p[:3] @ q[:3]
        size = penalty[0] * (t @ t - p[3] ** 2 - q[3] ** 2) + penalty[1] * (p[3] ** 2 + q[3] ** 2)
        return (w * e * e + size) / 2

    t = np.concatenate([P[0], Q[0]])
    steps = 1e-6 * np.eye(8)
    gradient = np.array([(half_loss(t + h) - half_loss(t - h)) / 2e-6 for h in steps])
    first = np.zeros(1, dtype=np.intp)
    kernels.descend(
        first, first, first, np.array([y]), np.array([w]), mean, lr, penalty[None], penalty[None],
        P, Q, 3,
    )  # fmt: skip
    np.testing.assert_allclose((t - np.concatenate([P[0], Q[0]])) / lr, gradient, rtol=1e-6)


def test_implicit_users_solve_the_dense_weighted_problem():
    X, y, _ = planted(share=0.3)
    y = np.round(np.exp(y - 3))
    twice = np.concatenate([X, X[:50]]), np.concatenate([y, y[:50]])  # counts of a pair add up
    model = MatrixFactorization(
        n_components=4, feedback="implicit", alpha=2.0, confidence=3.0, max_iter=4, random_state=0
    ).fit(*twice)
    R = np.zeros((len(model.user_ids_), len(model.item_ids_)))
    np.add.at(R, tuple(parts(model, twice[0])), twice[1])
    C = 1 + 3.0 * R
    P = model.user_factors_
    for i, q in enumerate(model.item_factors_):
        A = (P.T * C[:, i]) @ P + 2.0 * np.eye(4)
        np.testing.assert_allclose(A @ q, P.T @ (C[:, i] * (R[:, i] > 0)), atol=1e-8)
    S = P @ model.item_factors_.T
    J = (C * ((R > 0) - S) ** 2).sum() + 2 * ((P**2).sum() + (model.item_factors_**2).sum())
    np.testing.assert_allclose(model.history_["objective"][-1], J)


# -- oracle -----------------------------------------------------------------------------------


def test_full_matrix_without_penalty_reaches_eckart_young():
    rng = np.random.default_rng(0)
    M = rng.standard_normal((30, 20)) + 3
    X, y = everything(M)
    model = MatrixFactorization(
        n_components=4, alpha=0.0, biases=False, max_iter=500, tol=0, random_state=0, clip=False
    ).fit(X, y)
    best = np.sqrt((np.linalg.svd(M, compute_uv=False)[4:] ** 2).sum() / M.size)
    np.testing.assert_allclose(np.sqrt(np.mean((model.predict(X) - y) ** 2)), best, rtol=1e-8)


def test_full_matrix_with_penalty_shrinks_the_singular_values():
    rng = np.random.default_rng(0)
    M = rng.standard_normal((30, 20))
    X, y = everything(M)
    model = MatrixFactorization(
        n_components=20, alpha=3.0, biases=False, max_iter=2000, tol=0, random_state=0, clip=False
    ).fit(X, y)
    U, s, Vt = np.linalg.svd(M, full_matrices=False)
    np.testing.assert_allclose(
        model.predict(X).reshape(M.shape), U * np.maximum(s - 3, 0) @ Vt, atol=1e-4
    )


def test_enough_components_reach_the_optimum_of_the_nuclear_norm():
    X, y, truth = planted(noise=0.5)
    model = MatrixFactorization(
        n_components=30, alpha=6.0, alpha_bias=0.0, max_iter=3000, tol=0, clip=False,
        random_state=0,
    ).fit(X, y)  # fmt: skip
    E = np.zeros(truth.shape)
    E[tuple(X.T)] = y - model.predict(X)
    # Optimality of min |E|^2 + 2 alpha |M|_*: no direction of the residual exceeds alpha.
    assert np.linalg.norm(E, 2) == pytest.approx(6.0, rel=1e-3)


# -- character --------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["als", "sgd"])
def test_planted_components_are_recovered(solver):
    X, y, truth = planted()
    model = MatrixFactorization(
        n_components=2, alpha=0.3, alpha_bias=0.1, solver=solver, lr=0.03, max_iter=300, tol=1e-6,
        random_state=0,
    ).fit(X, y)  # fmt: skip
    absent = np.ones(truth.shape, dtype=bool)
    absent[tuple(X.T)] = False
    new = np.argwhere(absent)
    assert model.score(new, truth[absent]) > 0.97


def test_defaults_beat_biases_alone_on_noisy_ratings():
    X, y, truth = planted(noise=0.7, share=0.4, n_users=200, n_items=150)
    absent = np.ones(truth.shape, dtype=bool)
    absent[tuple(X.T)] = False
    new, target = np.argwhere(absent), truth[absent]
    full = MatrixFactorization(random_state=0).fit(X, y).score(new, target)
    bare = MatrixFactorization(alpha=1e6, random_state=0).fit(X, y).score(new, target)
    assert full > bare + 0.3
    assert full > 0.7


def test_unseen_ids_fall_back_to_biases():
    X, y, _ = planted()
    m = MatrixFactorization(random_state=0, clip=False).fit(X, y)
    u, i = X[0]
    at_u, at_i = m.user_ids_.tolist().index(u), m.item_ids_.tolist().index(i)
    expected = m.global_mean_ + np.array([m.user_biases_[at_u], m.item_biases_[at_i], 0.0])
    pairs = [(u, "new"), ("new", i), ("new", "newer")]
    np.testing.assert_allclose(m.predict(pairs), expected)
    by_bias = m.item_ids_[np.argsort(-m.item_biases_)]
    np.testing.assert_array_equal(m.recommend("new", 5), by_bias[:5])


@pytest.mark.parametrize("options", [{"biases": False}, {"feedback": "implicit"}])
def test_without_biases_the_unseen_are_average(options):
    X, y, _ = planted()
    m = MatrixFactorization(random_state=0, clip=False, **options).fit(X, np.maximum(y, 0))
    i = m.item_ids_[3]
    expected = m.user_factors_.mean(axis=0) @ m.item_factors_[3]
    np.testing.assert_allclose(m.predict([("new", i)]), expected)
    assert np.isfinite(m.predict([("new", "new")])).all()


def renamed(X, kind):
    names = {
        "str": lambda v: f"id {v}",
        "tuple": lambda v: ("shop", v % 3, v),
        "frozenset": lambda v: frozenset((v, -1)),
        "negative": lambda v: -7 * v,
    }[kind]
    return [(names(u), names(i)) for u, i in X.tolist()]


@pytest.mark.parametrize("solver", ["als", "sgd"])
@pytest.mark.parametrize("kind", ["str", "tuple", "frozenset", "negative"])
def test_names_of_ids_do_not_matter(kind, solver):
    X, y, _ = planted()
    model = MatrixFactorization(solver=solver, random_state=0)
    expected = model.fit(X, y).predict(X)
    pairs = renamed(X, kind)
    np.testing.assert_array_equal(model.fit(pairs, y).predict(pairs), expected)


def test_containers_of_pairs_do_not_matter():
    X, y, _ = planted()
    expected = MatrixFactorization(random_state=0).fit(X, y).predict(X)
    frame = pd.DataFrame({"user": X[:, 0], "item": X[:, 1].astype(str)})
    mixed = list(zip(X[:, 0].tolist(), frame["item"], strict=True))
    for pairs in (X.tolist(), X.astype(object), X.astype(str), frame, frame.to_numpy(), mixed):
        model = MatrixFactorization(random_state=0).fit(pairs, y)
        np.testing.assert_array_equal(model.predict(pairs), expected)
    np.testing.assert_array_equal(model.predict(frame), expected)
    dates = pd.DataFrame(
        {"day": pd.Timestamp("2024-01-01") + pd.to_timedelta(X[:, 0], "D"), "item": X[:, 1]}
    )
    np.testing.assert_array_equal(
        MatrixFactorization(random_state=0).fit(dates, y).predict(dates), expected
    )


def test_order_of_rows_does_not_matter_to_als():
    X, y, _ = planted(noise=0.5)
    order = np.random.default_rng(5).permutation(len(y))
    model = MatrixFactorization(alpha=4.0, n_components=20, max_iter=2000, tol=1e-10)
    a = clone(model).set_params(random_state=0).fit(X, y).predict(X)
    b = clone(model).set_params(random_state=1).fit(X[order], y[order]).predict(X)
    np.testing.assert_allclose(a, b, atol=2e-3)


@pytest.mark.parametrize("options", [{}, {"feedback": "implicit"}, {"biases": False}])
def test_weights_are_repetitions(options):
    X, y, _ = planted()
    y = np.abs(y)
    w = np.random.default_rng(0).integers(0, 4, len(y))
    model = MatrixFactorization(random_state=0, max_iter=5, tol=0, **options)
    a = clone(model).fit(X, y, sample_weight=w).predict(X)
    b = clone(model).fit(X.repeat(w, axis=0), y.repeat(w)).predict(X)
    np.testing.assert_allclose(a, b, rtol=1e-7)


def test_unit_of_the_ratings_does_not_matter():
    X, y, _ = planted()
    a = MatrixFactorization(random_state=0).fit(X, y).predict(X)
    b = MatrixFactorization(random_state=0).fit(X, 100 * y).predict(X)
    np.testing.assert_allclose(b, 100 * a, rtol=1e-8)


def test_clip_holds_the_range():
    X, y, _ = planted()
    wide = MatrixFactorization(random_state=0, clip=False, alpha=0.1).fit(X, np.sign(y))
    narrow = clone(wide).set_params(clip=True).fit(X, np.sign(y))
    assert np.abs(wide.predict(X)).max() > 1
    np.testing.assert_array_equal(narrow.predict(X), wide.predict(X).clip(-1, 1))


def test_recommend_is_the_ranking_of_predict_and_leaves_out_the_seen():
    X, y, _ = planted()
    model = MatrixFactorization(random_state=0, clip=False).fit(X, y)
    for user in (int(X[0, 0]), "new"):
        items, scores = model.recommend(user, n=1000, exclude_seen=False, return_scores=True)
        assert set(items) == set(model.item_ids_)
        assert (np.diff(scores) <= 0).all()
        pairs = [(user, i) for i in items.tolist()]
        np.testing.assert_allclose(scores, model.predict(pairs))
    user = int(X[0, 0])
    seen = set(X[X[:, 0] == user, 1].tolist())
    rest = model.recommend(user, n=1000)
    assert set(rest) == set(model.item_ids_) - seen
    np.testing.assert_array_equal(model.recommend(user, n=3), rest[:3])


def test_similar_finds_the_twin():
    X, y, _ = planted()
    twin = X[:, 1] == 4
    X2 = np.concatenate([X, np.column_stack([X[twin, 0], np.full(twin.sum(), 999)])])
    model = MatrixFactorization(alpha=1.0, random_state=0).fit(X2, np.append(y, y[twin]))
    items, cosines = model.similar(4, n=3, return_scores=True)
    assert items[0] == 999
    assert cosines[0] > 0.999
    assert 4 not in items


def test_implicit_ranks_what_the_group_plays():
    rng = np.random.default_rng(0)
    X = rng.integers(0, [60, 40], size=(900, 2))
    X = X[X[:, 0] % 2 == X[:, 1] % 2]
    model = MatrixFactorization(feedback="implicit", random_state=0).fit(X, np.ones(len(X)))
    for user in range(10):
        assert (model.recommend(user, 5) % 2 == user % 2).all()


def test_transform_gives_the_factors():
    X, y, _ = planted()
    model = MatrixFactorization(n_components=3, random_state=0).fit(X, y)
    Z = model.transform(X)
    users, items = parts(model, X)
    np.testing.assert_array_equal(Z[:, :3], model.user_factors_[users])
    np.testing.assert_array_equal(Z[:, 3:], model.item_factors_[items])
    np.testing.assert_array_equal(model.transform([("new", "new")]), np.zeros((1, 6)))
    named = model.set_output(transform="pandas").transform(X)
    assert list(named.columns) == [f"matrixfactorization{k}" for k in range(6)]


# -- learning on ------------------------------------------------------------------------------


def test_passes_of_partial_fit_are_the_passes_of_fit():
    X, y, _ = planted()
    model = MatrixFactorization(solver="sgd", max_iter=4, tol=0, random_state=0)
    on = clone(model)
    for _ in range(4):
        on.partial_fit(X, y)
    whole = model.fit(X, y)
    np.testing.assert_array_equal(on.predict(X), whole.predict(X))
    np.testing.assert_array_equal(on.history_["rmse"], whole.history_["rmse"])
    assert on.n_iter_ == whole.n_iter_ == 4


@pytest.mark.parametrize("solver", ["als", "sgd"])
def test_new_ids_join_and_the_others_stay(solver):
    X, y, _ = planted()
    old = (X[:, 0] < 50) & (X[:, 1] < 35)
    model = MatrixFactorization(alpha=1.0, solver=solver, random_state=0).fit(X[old], y[old])
    ids, before = model.user_ids_.copy(), model.predict(X[old])
    new = X[:, 0] >= 50
    e_before = np.sqrt(np.mean((model.predict(X[new]) - y[new]) ** 2))
    for _ in range(30):
        model.partial_fit(X[new], y[new])
    np.testing.assert_array_equal(model.user_ids_[: len(ids)], ids)
    assert set(model.user_ids_) == set(range(60))
    assert np.sqrt(np.mean((model.predict(X[new]) - y[new]) ** 2)) < 0.8 * e_before
    assert np.corrcoef(before, model.predict(X[old]))[0, 1] > 0.95
    assert 36 not in model.recommend(55, 100) or 36 not in X[X[:, 0] == 55, 1]


def test_ratings_that_come_one_by_one_are_not_punished_one_by_one():
    X, y, _ = planted()
    model = MatrixFactorization(alpha=1.0, random_state=0).fit(X, y)
    size = np.linalg.norm(model.user_factors_)
    for k in range(100):
        model.partial_fit(X[k : k + 1], y[k : k + 1])
    assert np.linalg.norm(model.user_factors_) > 0.9 * size


def test_threads_do_not_change_the_result():
    X, y, _ = planted()
    one = MatrixFactorization(random_state=0).fit(X, y)
    three = MatrixFactorization(random_state=0, n_jobs=3).fit(X, y)
    np.testing.assert_array_equal(one.user_factors_, three.user_factors_)
    np.testing.assert_array_equal(one.item_factors_, three.item_factors_)


@pytest.mark.parametrize("solver", ["als", "sgd"])
def test_random_state_repeats(solver):
    X, y, _ = planted()
    fits = [
        MatrixFactorization(solver=solver, random_state=s).fit(X, y).user_factors_
        for s in (3, np.random.RandomState(3), 4)
    ]
    again = MatrixFactorization(solver=solver, random_state=3).fit(X, y).user_factors_
    np.testing.assert_array_equal(fits[0], again)
    np.testing.assert_array_equal(fits[0], fits[1])
    assert not np.array_equal(fits[0], fits[2])


# -- in scikit-learn --------------------------------------------------------------------------


def test_search_and_folds():
    X, y, _ = planted()
    search = GridSearchCV(
        MatrixFactorization(random_state=0),
        {"alpha": ["auto", 1.0, 1e4], "solver": ["als", "sgd"]},
        cv=KFold(3, shuffle=True, random_state=0),
        n_jobs=2,
    ).fit(X, y)
    assert search.best_params_["alpha"] != 1e4
    assert search.best_score_ > 0.5
    users = renamed(X, "tuple")
    pairs = np.empty((len(X), 2), dtype=object)
    for k, (u, i) in enumerate(users):
        pairs[k, 0], pairs[k, 1] = u, i
    scores = cross_val_score(MatrixFactorization(random_state=0), pairs, y, cv=3)
    frame = pd.DataFrame(X, columns=["user", "item"])
    np.testing.assert_allclose(
        scores, cross_val_score(MatrixFactorization(random_state=0), frame, y, cv=3)
    )
    assert cross_val_predict(MatrixFactorization(random_state=0), X, y, cv=2).shape == y.shape


def test_pipelines():
    X, y, _ = planted()
    order = ["user", "item"]
    frame = pd.DataFrame({"item": X[:, 1], "when": 0, "user": X[:, 0]})
    last = make_pipeline(
        FunctionTransformer(lambda f: f[order]), MatrixFactorization(random_state=0)
    ).fit(frame, y)
    np.testing.assert_array_equal(
        last.predict(frame), MatrixFactorization(random_state=0).fit(X, y).predict(X)
    )
    first = make_pipeline(MatrixFactorization(n_components=3, random_state=0), Ridge()).fit(X, y)
    assert first.predict(X).shape == y.shape
    assert first[:-1].get_feature_names_out().shape == (6,)


def test_clone_and_pickle():
    X, y, _ = planted()
    pairs = renamed(X, "tuple")
    model = MatrixFactorization(solver="sgd", random_state=0).fit(pairs, y)
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.predict(pairs), model.predict(pairs))
    np.testing.assert_array_equal(
        copy.partial_fit(pairs, y).predict(pairs), model.partial_fit(pairs, y).predict(pairs)
    )
    assert clone(model).get_params() == model.get_params()
    assert not hasattr(clone(model), "user_factors_")


@pytest.mark.parametrize("kind", ["str", "tuple", "negative"])
def test_save_and_load(kind, tmp_path):
    X, y, _ = planted()
    pairs = renamed(X, kind)
    model = MatrixFactorization(solver="sgd", random_state=0).fit(pairs, y)
    save(model, tmp_path / "model.zoo")
    copy = load(tmp_path / "model.zoo")
    np.testing.assert_array_equal(copy.predict(pairs), model.predict(pairs))
    user = pairs[0][0]
    assert copy.recommend(user).tolist() == model.recommend(user).tolist()
    np.testing.assert_array_equal(
        copy.partial_fit(pairs, y).predict(pairs), model.partial_fit(pairs, y).predict(pairs)
    )


# -- bad input --------------------------------------------------------------------------------


def one_sentence(error):
    message = str(error.value)
    assert len(message) < 300
    return message


@pytest.mark.parametrize(
    ("X", "y", "words"),
    [
        ("ab", [1.0], "two ids a row"),
        (None, [1.0], "two ids a row"),
        (["ab", "cd"], [1.0, 2.0], "two ids a row"),
        ([1, 2], [1.0, 2.0], "two ids a row"),
        (np.zeros((3, 3), int), [1.0] * 3, "3 columns"),
        (np.zeros((0, 2), int), [], "no pair"),
        ([], [], "no pair"),
        ([(1, None)], [1.0], "missing id"),
        ([(1.0, np.nan), (1.0, 2.0)], [1.0, 2.0], "missing id"),
        (np.array([[1.0, 2.0], [np.nan, 1.0]]), [1.0, 2.0], "missing id"),
        (pd.DataFrame({"u": ["a", None], "i": [1, 2]}), [1.0, 2.0], "missing id"),
        ([(1, [2]), (1, [3])], [1.0, 2.0], "cannot be hashed"),
        ([(1, 2), (1, 3)], [1.0], "inconsistent numbers of samples"),
        ([(1, 2), (1, 3)], [1.0, np.nan], "NaN"),
        ([(1, 2), (1, 3)], None, "requires y"),
    ],
)
def test_bad_pairs_and_ratings(X, y, words):
    with pytest.raises(ValueError, match=words) as error:
        MatrixFactorization().fit(X, y)
    one_sentence(error)


@pytest.mark.parametrize(
    ("options", "y", "words"),
    [
        ({"feedback": "implicit", "solver": "sgd"}, [1.0, 2.0], "solver='als'"),
        ({"feedback": "implicit"}, [1.0, -2.0], "counts >= 0"),
        ({"feedback": "implicit"}, [0.0, 0.0], "counts >= 0"),
        ({"n_components": 0}, [1.0, 2.0], "n_components"),
        ({"alpha": -1.0}, [1.0, 2.0], "alpha"),
        ({"alpha": "scale"}, [1.0, 2.0], "alpha"),
        ({"solver": "adam"}, [1.0, 2.0], "solver"),
    ],
)
def test_bad_options(options, y, words):
    with pytest.raises(ValueError, match=words) as error:
        MatrixFactorization(**options).fit([(1, 2), (2, 3)], y)
    one_sentence(error)


def test_diverging_sgd_says_so_and_leaves_the_fit_alone():
    X, y, _ = planted()
    with pytest.raises(ValueError, match="lower lr"):
        MatrixFactorization(solver="sgd", lr=50.0, random_state=0).fit(X, y)
    model = MatrixFactorization(solver="sgd", random_state=0).fit(X, y)
    before = model.predict(X)
    with pytest.raises(ValueError, match="lower lr"):
        model.set_params(lr=50.0).partial_fit(X, y)
    np.testing.assert_array_equal(model.predict(X), before)


def test_bad_questions():
    X, y, _ = planted()
    model = MatrixFactorization(random_state=0).fit(X, y)
    for ask, words in (
        (lambda: model.similar("new"), "not in the pairs of fit"),
        (lambda: model.recommend([1]), "cannot be hashed"),
        (lambda: model.recommend(1, n=0), "integer >= 1"),
        (lambda: model.similar(1, n=2.5), "integer >= 1"),
        (lambda: model.predict(X[:, :1]), "1 columns"),
        (lambda: model.set_params(n_components=3).partial_fit(X, y), "call fit"),
    ):
        with pytest.raises(ValueError, match=words) as error:
            ask()
        one_sentence(error)
    implicit = MatrixFactorization(feedback="implicit", random_state=0).fit(X, np.abs(y))
    with pytest.raises(ValueError, match="use solver='als' and fit"):
        implicit.partial_fit(X, np.abs(y))


def test_small_and_constant_data():
    one = MatrixFactorization(random_state=0).fit([("a", "b")], [4.0])
    np.testing.assert_allclose(one.predict([("a", "b"), ("x", "y")]), 4.0)
    assert len(one.recommend("a")) == 0
    X, _, _ = planted()
    flat = MatrixFactorization(random_state=0).fit(X, np.full(len(X), 2.5))
    np.testing.assert_allclose(flat.predict(X), 2.5)


# -- real ratings -----------------------------------------------------------------------------


@pytest.mark.data
def test_movielens(data_dir):
    ratings = pd.read_csv(data_dir / "ratings" / "movielens_latest_small_ratings.csv.gz")
    X, y = ratings[["userId", "movieId"]], ratings["rating"]
    for solver in ("als", "sgd"):
        rmse = -cross_val_score(
            MatrixFactorization(solver=solver, random_state=0), X, y,
            cv=KFold(5, shuffle=True, random_state=0), scoring="neg_root_mean_squared_error",
        )  # fmt: skip
        assert rmse.mean() < 0.868, solver


def test_noise_has_the_size_that_auto_takes():
    rng = np.random.default_rng(0)
    known = rng.random((200, 100)) < 0.3
    E = known * rng.standard_normal(known.shape)
    assert sweeps.size_of_noise(1.0, known.sum(), known.shape) == pytest.approx(
        np.linalg.norm(E, 2), rel=0.1
    )


@pytest.mark.parametrize("noise", [0.2, 2.0])
def test_auto_is_chosen_by_ratings_that_were_held_out(noise):
    """Much signal asks for less than the size of noise, little signal for no more than twice of it."""
    rng = np.random.default_rng(0)
    P, Q = rng.normal(size=(150, 3)), rng.normal(size=(80, 3))
    X = np.column_stack([rng.integers(150, size=6000), rng.integers(80, size=6000)])
    y = np.einsum("ij,ij->i", P[X[:, 0]], Q[X[:, 1]]) + noise * rng.normal(size=6000)
    train, test = (X[:5000], y[:5000]), (X[5000:], y[5000:])
    chosen = MatrixFactorization(random_state=0).fit(*train)
    fixed = [MatrixFactorization(alpha=a, random_state=0).fit(*train).score(*test)
             for a in chosen.alpha_ * np.array([0.25, 4.0])]  # fmt: skip
    assert chosen.score(*test) > max(fixed) - 0.01


@pytest.mark.data
@pytest.mark.parametrize("n", [10_000, 35_000, 100_000])
def test_the_default_is_near_the_best_fixed_penalty(data_dir, n):
    table = pd.read_csv(data_dir / "ratings" / "movielens_latest_small_ratings.csv.gz")
    rows = np.random.default_rng(1).permutation(len(table))[:n]
    X, y = table[["userId", "movieId"]].to_numpy()[rows], table["rating"].to_numpy(float)[rows]
    test, train = slice(0, n // 5), slice(n // 5, n)

    def error(**kw):
        m = MatrixFactorization(random_state=0, **kw).fit(X[train], y[train])
        return np.sqrt(np.mean((m.predict(X[test]) - y[test]) ** 2))

    assert error() < min(error(alpha=a) for a in (2.0, 5.0, 10.0, 15.0, 20.0)) + 0.003
