import pytest
from sklearn.base import clone
from sklearn.utils import all_estimators

from zoo import registry
from zoo.experiment.spec import SpecError
from zoo.experiment.spec.forms import Place
from zoo.experiment.spec.names import (
    SPLITTERS,
    Between,
    Choices,
    Item,
    Splitter,
    all_names,
    domains_of,
    item_of,
    range_of,
    response_of,
    space_of,
    task_of_metric,
)
from zoo.experiment.spec.text import read_object
from zoo.search import Range


def item(value):
    source = read_object({"x": value})
    return Item.read(source.value["x"], Place(source, ("x",)))


def test_zoo_names_go_before_scikit_learns():
    assert item("Ridge").cls.__module__.startswith("zoo.")
    assert item("sklearn.Ridge").cls.__module__.startswith("sklearn.")
    assert item("StandardScaler").cls.__module__.startswith("sklearn.")


@pytest.mark.parametrize("name", all_names())
def test_every_estimator_has_domains_that_accept_its_defaults(name):
    import inspect

    cls = registry.resolve(name)
    domains = domains_of(cls)
    signature = inspect.signature(cls).parameters
    assert set(domains) <= set(signature)
    for key, domain in domains.items():
        default = signature[key].default
        if (name, key) == ("SelfTrainingClassifier", "estimator"):
            continue  # None by default and refused by its own constraints
        if default is not inspect.Parameter.empty and default != "deprecated" and default != "warn":
            assert domain.accepts(default), (key, default, domain.words)
        assert domain.words


def test_what_is_made_is_what_was_written():
    made = item({"SVC": {"C": 2.5, "kernel": "poly"}}).make(seed=7)
    assert made.get_params()["C"] == 2.5
    assert item("RandomForestClassifier").make(seed=7).random_state == 7
    assert item({"RandomForestClassifier": {"random_state": 1}}).make(seed=7).random_state == 1
    # A list where scikit-learn asks for a tuple.
    made = item({"TfidfVectorizer": {"ngram_range": [1, 2]}}).make()
    assert made.ngram_range == (1, 2)


def test_estimators_inside_estimators():
    inner = item({"BaggingClassifier": {"estimator": {"SVC": {"C": {"choices": [1, 2]}}}}})
    assert (
        inner.make(3).estimator.random_state == 3
        if hasattr(inner.make(3).estimator, "random_state")
        else True
    )
    assert inner.space() == {"estimator__C": [1, 2]}
    voting = item(
        {"VotingClassifier": {"estimators": [["a", "SVC"], ["b", {"LogisticRegression": {"C": 2}}]]}}
    )
    assert [type(e).__name__ for _, e in voting.make().estimators] == ["SVC", "LogisticRegression"]
    assert item(voting.plain()) == voting


def test_a_word_stays_a_word_where_words_are_accepted():
    assert (
        item({"SimpleImputer": {"strategy": "constant", "fill_value": "Ridge"}}).params["fill_value"]
        == "Ridge"
    )


def test_ranges():
    found = item({"SVC": {"C": {"between": [0.1, 10], "scale": "log"}, "degree": {"between": [2, 5]}}})
    assert found.params["C"] == Between((0.1, 10), "log")
    assert found.space() == {
        "C": Range(0.1, 10, log=True),
        "degree": Range(2, 5, integer=True),
    }
    # Integers for a parameter that takes fractions are a range of fractions.
    assert not item({"SVC": {"C": {"between": [1, 10]}}}).space()["C"].integer
    assert "C" not in {k for k, v in found.make().get_params().items() if isinstance(v, Between)}
    assert range_of(space_of(Between((1, 4)))) == Between((1, 4))
    assert range_of([1, "a"]) == Choices((1, "a"))


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("Rigde", "no estimator 'Rigde' .* Did you mean 'Ridge'"),
        ("svc", "Did you mean 'SVC'"),
        ({"SVC": {"c": 1}}, r"x\.SVC\.c: SVC has no parameter of that name; it has .*Did you mean 'C'"),
        ({"SVC": {"C": -1}}, r"x\.SVC\.C: -1 is not accepted; give a number > 0"),
        ({"sklearn.SVC": {"C": -1}}, r"-1 is not accepted; give a float in the range \(0\.0, inf"),
        ({"sklearn.SVC": {"kernel": "rbff"}}, "Did you mean 'rbf'"),
        ({"SVC": {"C": {"betwen": [1, 2]}}}, r"or a range \(\{choices.*Did you mean 'between'"),
        ({"AdaBoostClassifier": {"estimator": {"SVX": {}}}}, "no estimator 'SVX'"),
        ({"AdaBoostClassifier": {"estimator": "SVX"}}, "no estimator 'SVX'"),
        ("DQN", "acts in an environment"),
        ("Pipeline", "write a list of steps"),
        ({"VotingClassifier": {}}, "needs the parameter 'estimators'"),
        ({"FeatureAgglomeration": {"memory": "/tmp/x"}}, "reads and writes no files"),
        ({"CountVectorizer": {"input": "filename"}}, "reads and writes no files"),
    ],
)
def test_refusals(value, sentence):
    with pytest.raises(SpecError, match=sentence):
        item(value)


ROUND = [
    (name, cls)
    for name, cls in [*registry.all_estimators(), *all_estimators()]
    if not any(
        word in name
        for word in (
            "Pipeline",
            "ColumnTransformer",
            "DQN",
            "FeatureUnion",
            "Frozen",
            "SearchCV",
            "SparseCoder",
        )
    )
]


@pytest.mark.parametrize(
    "cls", [c for _, c in ROUND], ids=[f"{c.__module__.split('.')[0]}-{n}" for n, c in ROUND]
)
def test_objects_to_items_and_back(cls):
    import inspect

    from zoo import LogisticRegression

    required = {
        name: [("a", LogisticRegression())] if name == "estimators" else LogisticRegression()
        for name, p in inspect.signature(cls).parameters.items()
        if p.default is p.empty and p.kind is not p.VAR_KEYWORD
    }
    made = cls(**required)
    written = item_of(made)
    again = item(written.plain())
    assert again == written
    assert str(again.make().get_params(deep=False)) == str(clone(made).get_params(deep=False)) or required


def test_parameters_survive_the_way_to_an_item_and_back():
    from sklearn.ensemble import HistGradientBoostingClassifier

    from zoo import BoostingRegressor

    for made in (
        HistGradientBoostingClassifier(learning_rate=0.05, max_leaf_nodes=None, categorical_features=[0, 2]),
        BoostingRegressor(n_estimators=7, learning_rate=0.3),
    ):
        assert item_of(made).make().get_params() == made.get_params()
    assert item_of(made, {"n_estimators": [1, 2]}).space() == {"n_estimators": [1, 2]}
    from sklearn.preprocessing import FunctionTransformer

    with pytest.raises(SpecError, match="is no plain value"):
        item_of(FunctionTransformer(func=len))

    class Ridge:
        pass

    with pytest.raises(SpecError, match="neither the zoo's"):
        item_of(Ridge())


@pytest.mark.parametrize("name", SPLITTERS)
def test_splitters(name):
    params = {"n_groups": 2} if name == "LeavePGroupsOut" else {"p": 2} if name == "LeavePOut" else {}
    source = read_object({"cv": {name: params} if params else name})
    found = Splitter.read(source.value["cv"], Place(source, ("cv",)))
    made = found.make(5)
    assert type(made).__name__ == name
    assert Splitter.read(found.plain(), Place(source)) == found
    if name in ("ShuffleSplit", "RepeatedKFold"):
        assert made.random_state == 5
    if name == "KFold":
        assert made.random_state is None
        assert Splitter(name, {"shuffle": True}).make(5).random_state == 5


def test_splitters_inside_estimators():
    found = item({"CalibratedClassifierCV": {"cv": {"KFold": {"n_splits": 3, "shuffle": True}}}})
    made = found.make(7).cv
    assert (type(made).__name__, made.n_splits, made.random_state) == ("KFold", 3, 7)
    assert item(found.plain()) == found
    with pytest.raises(SpecError, match="no splitter 'KFlod'"):
        item({"CalibratedClassifierCV": {"cv": "KFlod"}})


def test_target_encoder_takes_its_folds_from_the_seed():
    made = item("TargetEncoder").make(7)
    assert made.cv.random_state == 7
    again = item(item_of(made).plain()).make(1)
    assert again.cv.random_state == 7


def test_metrics_know_their_task():
    assert task_of_metric("r2") == "regression"
    assert task_of_metric("roc_auc") == "classification"
    assert response_of("neg_log_loss") == ("predict_proba",)
