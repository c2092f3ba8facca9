import pytest

from zoo.contract.docstrings import meanings
from zoo.experiment.spec import SpecError, dump, read
from zoo.experiment.spec.forms import Section, hints_of
from zoo.experiment.spec.grammar import Columns, Contender, Dataset, DataSource, Folds, Spec

IRIS = {"sklearn": "load_iris"}


def sections(cls=Section):
    for sub in cls.__subclasses__():
        if sub.__module__.startswith("zoo."):
            yield sub
            yield from sections(sub)


@pytest.mark.parametrize("section", list(sections()), ids=lambda s: s.__name__)
def test_every_key_says_what_it_means(section):
    assert set(meanings(section)) == set(hints_of(section))
    assert all(meanings(section).values())
    assert section.words


def test_defaults():
    spec = read({"data": IRIS})
    assert (spec.test, spec.task, spec.steps, spec.models, spec.cv, spec.seed) == (
        0.2,
        "auto",
        "auto",
        "auto",
        5,
        0,
    )
    assert spec.data == DataSource(sklearn=Dataset("load_iris"))
    assert dump(spec) == "data:\n  sklearn: load_iris\n"


def test_a_target_may_be_called_anything():
    for word in ("yes", "no", "y", "on", "1", "1.5", "true", "2024-01-31", "0x1", "1e3"):
        spec = read(f"data: {{csv: a.csv, target: {word}}}\nmodels: [SVC]\n")
        assert spec.data.target == word
        assert read(dump(spec)) == spec


def test_columns_are_selected_by_name_and_kind():
    spec = read(
        """
data: {csv: a.csv, target: t}
steps:
  - columns:
      numbers: [SimpleImputer, StandardScaler]
      [a, 1]: drop
      [numbers]: passthrough
      b: {OneHotEncoder: {sparse_output: false}}
      rest: drop
models: [SVC]
"""
    )
    (step,) = spec.steps
    assert isinstance(step, Columns)
    assert list(step.parts) == ["numbers", ("a", "1"), ("numbers",), "b", "rest"]
    assert sorted(step.names()) == ["1", "a", "b", "numbers"]
    assert read(dump(spec)) == spec


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"csv": "a.csv"}, "'target' is missing"),
        ({"csv": "a.csv", "npz": "b.npz", "target": "t"}, "keep csv or npz"),
        ({"csv": "a.csv", "target": "t", "size": [3, 3]}, "for images only"),
        ({"npz": "a.npz", "target": "t"}, "name the arrays under 'arrays'"),
        ({"csv": "a.csv", "target": "t", "groups": "t"}, "'t' is the target already"),
        ({"csv": "a.csv", "target": "t", "drop": ["t"]}, "'t' is the target; delete it here"),
        ({"csv": "a.csv", "target": "t", "keep": ["a"], "drop": ["a"]}, "dropped as well"),
        ({}, "no key says where the rows come from"),
    ],
)
def test_data_that_contradict_themselves(data, sentence):
    with pytest.raises(SpecError, match=sentence):
        read({"data": data, "models": ["SVC"]})


def test_contenders():
    spec = read({"data": IRIS, "models": ["SVC", {"name": "mine", "model": {"SVC": {"C": 3}}, "steps": []}]})
    assert spec.models[1] == Contender(name="mine", model=spec.models[1].model, steps=())
    assert read(dump(spec)) == spec
    assert read({"data": IRIS, "cv": {"folds": 3}}).cv == Folds(folds=3)


def test_keys_in_any_order_and_json():
    a = read('{"models": ["SVC"], "data": {"sklearn": "load_iris"}}\n')
    assert a == read({"data": IRIS, "models": ["SVC"]})
    assert isinstance(a, Spec)
