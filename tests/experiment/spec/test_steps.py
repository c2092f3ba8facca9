import numpy as np
import pandas as pd
import pytest

from zoo.experiment.spec import SpecError, dump, read
from zoo.experiment.spec.names import Item
from zoo.experiment.spec.steps import auto_steps, needs_of
from zoo.registry import entries

RNG = np.random.default_rng(0)
N = 120
FRAME = pd.DataFrame(
    {
        "age": np.where(RNG.random(N) < 0.1, np.nan, RNG.normal(40, 9, N)),
        "city": pd.Series(RNG.choice(["Rome", "Oslo", "Bern"], N)).where(RNG.random(N) > 0.1),
        "many": [f"m{i // 2}" for i in range(N)],
        "note": [f"a note {i}" for i in range(N)],
        "day": pd.date_range("2024-01-01", periods=N),
        "t": RNG.choice(["no", "yes"], N),
    }
)


QUICK = ("BoostingClassifier", "DecisionTreeClassifier", "LogisticRegression", "MLPClassifier")


def ask(models, frame=FRAME, **keys):
    data = {"target": "t", **keys.pop("data", {})}
    return read({"data": data, "models": models, "test": "none", **keys}, data=frame)


@pytest.mark.parametrize(
    "name",
    [
        name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
        for name in (r["name"] for r in entries(role="classifier", input="table"))
    ]
    + [
        "HistGradientBoostingClassifier",
        "sklearn.RandomForestClassifier",
        "KNeighborsClassifier",
        "GaussianNB",
    ],
)
def test_auto_gives_every_model_what_it_can_read(name):
    from sklearn.base import clone

    params = {"max_epochs": 2} if "MLP" in name else {"n_estimators": 5} if "Boosting" in name else {}
    params = {"max_iter": 5} if "Hist" in name else params
    spec = ask([{name: params} if params else name])
    data = spec.load_data()
    (candidate,) = spec.candidates(data)
    rows = slice(0, 80)
    fitted = clone(candidate.estimator).fit(data.X.iloc[rows], data.y[rows])
    # Categories that were never seen, and gaps where there were none.
    new = data.X.iloc[80:].copy()
    new["city"] = pd.Series(["Paris"] * len(new), index=new.index, dtype="category")
    assert set(fitted.predict(new)) <= {"no", "yes"}


def test_needs():
    assert needs_of(Item("BoostingClassifier")) == needs_of(Item("HistGradientBoostingClassifier"))
    assert needs_of(Item("SVC")).wants_scale
    assert not needs_of(Item("SVC")).reads_missing
    assert not needs_of(Item("sklearn.RandomForestClassifier")).reads_categories
    assert needs_of(Item("sklearn.RandomForestClassifier")).reads_missing
    assert not needs_of(Item("GaussianNB")).wants_scale


def test_auto_says_what_it_drops():
    spec = ask(["SVC"])
    data = spec.load_data()
    steps, notes = auto_steps(Item("SVC"), data)
    assert steps[0].plain()["columns"]["text"] == "drop"
    assert "note" in notes[0]
    assert "# dropped as free text or identifiers: note" in dump(spec.resolved(data))


def test_numbers_only_need_no_columns():
    frame = FRAME[["age", "t"]]
    data = ask(["SVC"], frame).load_data()
    assert [s.name for s in auto_steps(Item("SVC"), data)[0]] == ["SimpleImputer", "StandardScaler"]
    assert auto_steps(Item("BoostingClassifier"), data)[0] == ()
    data = ask(["SVC"], frame.dropna()).load_data()
    assert [s.name for s in auto_steps(Item("SVC"), data)[0]] == ["StandardScaler"]


def test_columns_of_many_categories_get_means_of_the_target():
    frame = pd.DataFrame({"c": [f"c{i % 250}" for i in range(600)], "x": range(600), "t": [0, 1] * 300})
    data = ask(["SVC"], frame).load_data()
    (step,), _ = auto_steps(Item("BoostingClassifier"), data)
    assert step.plain() == {"columns": {("c",): ["TargetEncoder"], "rest": "passthrough"}}


def test_columns_by_kind_name_and_rest():
    steps = [
        {
            "columns": {
                "numbers": ["SimpleImputer", "StandardScaler"],
                "categories": {"OneHotEncoder": {"handle_unknown": "ignore"}},
                "many": "drop",
                "note": {"TfidfVectorizer": {"max_features": {"choices": [3, 5]}}},
                "rest": "passthrough",
            }
        },
        {"SelectKBest": {"k": {"choices": [2, 4]}}},
    ]
    spec = ask(["SVC"], steps=steps)
    data = spec.load_data()
    (candidate,) = spec.candidates(data)
    assert candidate.space == {
        "columns__note__max_features": [3, 5],
        "selectkbest__k": [2, 4],
    }
    fitted = candidate.estimator.set_params(**{k: v[0] for k, v in candidate.space.items()}).fit(
        data.X, data.y
    )
    columns = fitted.named_steps["columns"]
    assert [name for name, _, _ in columns.transformers_][:5] == [
        "numbers",
        "categories",
        "many",
        "note",
        "rest",
    ]
    assert columns.transformers_[4][2] == ["day"]


def test_what_passes_through_keeps_its_type():
    steps = [{"columns": {"note": "drop", "rest": "passthrough"}}]
    spec = ask(["BoostingClassifier", "HistGradientBoostingClassifier"], steps=steps)
    data = spec.load_data()
    for candidate in spec.candidates(data):
        out = candidate.estimator[:-1].fit_transform(data.X, data.y)
        assert out.dtypes.tolist() == data.X.drop(columns="note").dtypes.tolist()


@pytest.mark.parametrize(
    ("steps", "sentence"),
    [
        (
            [{"columns": {"numbers": "drop"}}],
            r"steps\[0\]\.columns: nothing is said of city, many, note, day; add rest",
        ),
        ([{"columns": {"t": "drop", "rest": "drop"}}], "'t' is not learned from"),
        ([{"columns": {"agee": "drop", "rest": "drop"}}], "no column 'agee'.*Did you mean 'age'"),
        (["StandardScaler", {"columns": {"rest": "drop"}}], r"steps\[1\]: .*put it first"),
        ([{"columns": {"age": "drop", ("age", "city"): "drop"}}], "'age' is selected twice"),
    ],
)
def test_columns_that_do_not_go(steps, sentence):
    with pytest.raises(SpecError, match=sentence):
        prepare(ask(["SVC"], steps=steps))


def prepare(spec):
    return spec.candidates(spec.load_data())


def test_an_array_has_no_columns():
    asked = {"models": ["SVC"], "steps": [{"columns": {"numbers": "StandardScaler"}}]}
    with pytest.raises(SpecError, match="an array, whose columns have no names"):
        prepare(read(asked, data=(RNG.normal(size=(20, 3)), np.arange(20) % 2)))


def test_only_text_needs_steps():
    frame = FRAME[["note", "t"]]
    with pytest.raises(SpecError, match="every column is free text"):
        prepare(ask(["SVC"], frame))
    (candidate,) = prepare(ask(["SVC"], frame, steps=[{"columns": {"text": "TfidfVectorizer"}}]))
    assert candidate.estimator.fit(frame[["note"]], frame["t"]).score(frame[["note"]], frame["t"]) > 0.5
