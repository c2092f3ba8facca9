import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.model_selection import PredefinedSplit, RepeatedStratifiedKFold, StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from zoo import SVC, BoostingClassifier, Ridge
from zoo.experiment.spec import SpecError, dump, of, read
from zoo.search import Candidate, Plan, Range

IRIS = {"sklearn": "load_iris"}
DIABETES = {"sklearn": "load_diabetes"}


def asked(models, data=IRIS, **keys):
    spec = read({"data": data, "models": models, **keys})
    return spec, spec.load_data()


# -- spec -> objects ----------------------------------------------------------------------------------


def test_labels():
    spec, data = asked(["SVC", {"SVC": {"C": 2}}, {"name": "SVC 3", "model": "SVC"}, "sklearn.SVC"])
    assert [c.name for c in spec.candidates(data)] == ["SVC", "SVC 2", "SVC 3", "sklearn.SVC"]
    with pytest.raises(SpecError, match=r"models\[1\]\.name: another model is called 'a'"):
        asked([{"name": "a", "model": "SVC"}, {"name": "a", "model": "SVC"}])


def test_the_seed_reaches_every_part():
    spec, data = asked(
        ["MLPClassifier", {"BaggingClassifier": {"estimator": "DecisionTreeClassifier"}}], seed=9
    )
    first, second = spec.candidates(data)
    assert first.estimator.named_steps["model"].random_state == 9
    inner = second.estimator.named_steps["model"]
    assert (inner.random_state, inner.estimator.random_state) == (9, 9)
    assert spec.plan(data).random_state == 9


def test_auto_models_match_the_data():
    spec, data = asked("auto")
    names = [c.name for c in spec.candidates(data)]
    assert {"BoostingClassifier", "LogisticRegression", "SVC", "MLPClassifier"} <= set(names)
    spec, data = asked("auto", DIABETES)
    assert "Ridge" in [c.name for c in spec.candidates(data)]


@pytest.mark.parametrize(
    ("search", "kind", "space"),
    [
        ("none", "none", {}),
        (None, "none", {}),
        ("auto", "random", {"model__C"}),
        ({"kind": "grid", "n_grid": 2}, "grid", {"model__C"}),
        ({"kind": "halving"}, "halving", {"model__C"}),
        ({"kind": "random", "cards": False}, "none", {}),
    ],
)
def test_search(search, kind, space):
    keys = {} if search is None else {"search": search}
    spec, data = asked(["SVC"], **keys)
    assert spec.plan(data).kind == kind
    (candidate,) = spec.candidates(data)
    assert set(space) <= set(candidate.space)
    assert bool(space) == bool(candidate.space)


def test_ranges_are_searched_without_being_asked_twice():
    spec, data = asked([{"SVC": {"C": {"choices": [1, 2, 3]}}}, "Perceptron"])
    assert spec.plan(data).kind == "grid"
    assert [set(c.space) for c in spec.candidates(data)] == [{"model__C"}, set()]
    assert not spec.plan(data).as_given
    spec, data = asked([{"SVC": {"C": {"between": [1, 3]}}}])
    assert spec.plan(data).kind == "random"
    with pytest.raises(SpecError, match="the models hold ranges"):
        asked([{"SVC": {"C": {"choices": [1, 2]}}}], search="none")


def test_own_search_of_a_model():
    model = {"name": "a", "model": "SVC", "steps": ["PCA"], "search": {"C": {"between": [1, 9]},
             "pca__n_components": {"choices": [1, 2]}}}  # fmt: skip
    spec, data = asked([model, {"name": "b", "model": "SVC", "search": "none"}], search="auto")
    first, second = spec.candidates(data)
    assert first.space == {"model__C": Range(1, 9), "pca__n_components": [1, 2]}
    assert second.space == {}
    model["search"] = {"pca__n": {"choices": [1]}}
    spec, data = asked([model])
    with pytest.raises(SpecError, match=r"models\[0\]\.search: there is no parameter 'pca__n'"):
        spec.candidates(data)


def test_large_grids_are_refused():
    grid = {"C": {"choices": list(range(1, 500))}, "gamma": {"choices": list(range(1, 500))}}
    spec, data = asked([{"SVC": grid}], search={"kind": "grid"})
    with pytest.raises(SpecError, match=r"search: the grid has 249001 settings"):
        spec.plan(data)


@pytest.mark.parametrize(
    ("cv", "data", "name", "n"),
    [
        (4, IRIS, "StratifiedKFold", 4),
        (3, DIABETES, "KFold", 3),
        ({"folds": 3, "repeats": 2}, IRIS, "RepeatedStratifiedKFold", 6),
        ({"folds": 3, "shuffle": False}, DIABETES, "KFold", 3),
        ("TimeSeriesSplit", DIABETES, "TimeSeriesSplit", 5),
        ({"ShuffleSplit": {"n_splits": 2, "test_size": 0.5}}, IRIS, "ShuffleSplit", 2),
    ],
)
def test_folds(cv, data, name, n):
    spec, found = asked(["Ridge"] if data is DIABETES else ["SVC"], data, cv=cv)
    splitter = spec.plan(found).cv
    assert type(splitter).__name__ == name
    assert splitter.get_n_splits(found.X, found.y) == n


def test_groups_stay_together():
    import pandas as pd

    frame = pd.DataFrame({"a": range(40), "g": np.repeat(range(8), 5), "t": [0, 1] * 20})
    spec = read(
        {"data": {"target": "t", "groups": "g"}, "models": ["SVC"], "cv": 3, "test": "none"}, data=frame
    )
    data = spec.load_data()
    splitter = spec.plan(data).cv
    assert type(splitter).__name__ == "StratifiedGroupKFold"
    for train, test in splitter.split(data.X, data.y, data.groups):
        assert not set(data.groups[train]) & set(data.groups[test])


def test_folds_that_do_not_go():
    with pytest.raises(SpecError, match=r"cv: GroupKFold needs groups; name their column"):
        asked(["SVC"], cv="GroupKFold")
    spec, data = asked(["SVC"], cv=200)
    with pytest.raises(SpecError, match=r"cv: .*n_splits=200"):
        spec.plan(data)


def test_metrics():
    spec, data = asked(["SVC"])
    assert spec.plan(data).metrics == ("accuracy", "balanced_accuracy", "f1_macro")
    spec, data = asked(["SVC"], {"sklearn": {"make_classification": {"weights": [0.95]}}})
    assert spec.plan(data).metrics == ("balanced_accuracy", "accuracy", "roc_auc")
    spec, data = asked(["SVC"], metrics=["roc_auc"])
    with pytest.raises(SpecError, match=r"metrics\[0\]: roc_auc does not score this target .*roc_auc_ovr"):
        spec.plan(data)
    with pytest.raises(SpecError, match="neg_log_loss needs predict_proba, which SVC does not have"):
        asked(["SVC"], metrics=["neg_log_loss"])
    spec, data = asked(["Ridge"], DIABETES, metrics=["accuracy"])
    with pytest.raises(SpecError, match="accuracy scores a classification, but the task is regression"):
        spec.plan(data)
    spec, data = asked(["Ridge"])
    with pytest.raises(SpecError, match=r"models\[0\]: Ridge is a regressor, but the task is classification"):
        spec.candidates(data)


@pytest.mark.parametrize(
    ("backend", "plan"),
    [
        (None, (None, None, None)),
        ("threading", ("threading", None, None)),
        ({"loky": {"n_jobs": 2}}, ("loky", 2, None)),
        ({"dask": {"workers": 2}}, ("dask", 2, None)),
        ({"dask": {"address": "tcp://10.0.0.1:8786"}}, ("dask", None, "tcp://10.0.0.1:8786")),
        ({"ray": {}}, ("ray", None, None)),
    ],
)
def test_backend(backend, plan):
    spec, data = asked(["SVC"], **({} if backend is None else {"backend": backend}))
    found = spec.plan(data)
    assert (found.backend, found.n_jobs, found.address) == plan


# -- resolved -----------------------------------------------------------------------------------------

MANY = [
    {"models": ["SVC"]},
    {"models": "auto", "search": "auto"},
    {"models": [{"SVC": {"C": {"choices": [1, 2]}}}], "cv": "LeaveOneOut"},
    {"models": ["SVC", "HistGradientBoostingClassifier"], "search": {"kind": "optuna", "n_iter": 3}},
    {"models": [{"name": "x", "model": "SVC", "steps": [{"PCA": {"n_components": {"choices": [1, 2]}}}]}]},
    {"models": ["SVC"], "steps": ["MinMaxScaler"], "metrics": ["f1_macro"], "seed": 4, "keep": ["model"]},
    {"models": ["SVC"], "test": "none", "cv": {"folds": 3, "repeats": 2}, "backend": {"loky": {"n_jobs": 2}}},
]


@pytest.mark.parametrize("keys", MANY)
def test_resolved_is_a_spec_that_means_the_same(keys):
    spec = read({"data": IRIS, **keys})
    data = spec.load_data()
    settled = spec.resolved(data)
    assert "auto" not in dump(settled).replace("scale: auto", "")
    again = read(dump(settled))
    assert again == settled
    assert again.resolved(data) == settled
    for one, other in zip(spec.candidates(data), again.candidates(data), strict=True):
        assert one.name == other.name
        assert one.space == other.space
        assert str(one.estimator.get_params()) == str(other.estimator.get_params())
    assert repr(spec.plan(data)) == repr(again.plan(data))


# -- objects -> spec ----------------------------------------------------------------------------------


def test_objects_to_a_spec_and_back():
    mixed = ColumnTransformer(
        [
            (
                "n",
                Pipeline([("i", SimpleImputer(strategy="median")), ("s", StandardScaler())]),
                ["sepal length (cm)"],
            ),
            ("c", OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["petal width (cm)"]),
        ]
    )
    forest = RandomForestClassifier(5)
    candidates = [
        Candidate("plain", SVC(C=3.0), {"gamma": Range(0.01, 1.0, log=True)}),
        Candidate("steps", Pipeline([("s", StandardScaler()), ("p", PCA()), ("m", forest)]),
                  {"p__n_components": [1, 2], "m__max_depth": [2, None]}),
        Candidate("mixed", Pipeline([("x", mixed), ("m", BoostingClassifier(n_estimators=3))]), {}),
    ]  # fmt: skip
    plan = Plan(
        kind="grid",
        cv=StratifiedKFold(3, shuffle=True, random_state=1),
        metrics=("accuracy",),
        random_state=5,
    )
    spec = of(candidates, plan, data=IRIS, test="none")
    data = spec.load_data()
    made = spec.candidates(data)
    assert [c.name for c in made] == ["plain", "steps", "mixed"]
    assert made[0].space == candidates[0].space
    assert made[0].estimator.C == 3.0
    assert made[1].space == {"pca__n_components": [1, 2], "model__max_depth": [2, None]}
    found = spec.plan(data)
    assert (found.kind, found.metrics, found.random_state) == ("grid", ("accuracy",), 5)
    assert repr(found.cv) == repr(plan.cv)
    for ours, theirs in zip(made, candidates, strict=True):
        a = ours.estimator.fit(data.X, data.y)
        b = theirs.estimator
        b = b.set_params(m__random_state=5) if "m__random_state" in b.get_params() else b
        assert np.mean(a.predict(data.X) == b.fit(data.X, data.y).predict(data.X)) > 0.99
    assert of(made, found, data=IRIS, test="none") == read(dump(of(made, found, data=IRIS, test="none")))


def test_what_cannot_be_written_is_said():
    import scipy.stats

    with pytest.raises(SpecError, match="cannot be written"):
        of([Candidate("a", Ridge(), {"alpha": scipy.stats.uniform(0, 1)})], data=DIABETES)
    with pytest.raises(SpecError, match="PredefinedSplit cannot be written"):
        of([Candidate("a", Ridge(), {})], Plan(cv=PredefinedSplit([0, 1])), data=DIABETES)
    plan = Plan(cv=RepeatedStratifiedKFold(n_splits=3, n_repeats=2, random_state=1), n_jobs=2)
    spec = of([Candidate("a", SVC(), {})], plan, data=IRIS)
    assert spec.cv.params == {"n_splits": 3, "n_repeats": 2, "random_state": 1}
    assert spec.backend.loky.n_jobs == 2
